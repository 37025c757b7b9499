#include "core/agents/plan.hpp"
#include "core/system/hash.hpp"

namespace dbx::agents {

namespace {

Error interrupted() {
    return {ErrorKind::interrupted, "interrupted", {}, {}, {}};
}

// Puts one file back to how it was before this run.
Result<void> put_back(const FileChange& change, system::FileSystem& files) {
    if (change.existed) return files.write(change.real, change.before, change.mode_before);
    return files.remove(change.real);
}

void remove_created(const FileChange& change, system::FileSystem& files) {
    if (!change.entry || change.existed) return;
    const auto& created = change.entry->created_directories;
    for (auto folder = created.rbegin(); folder != created.rend(); ++folder)
        (void)files.remove_empty_directory(*folder);
}

// An agent has one auth form: its files that stay as they are belong to the new one as well.
void note_auth(const FileChange& change, state::Journal& journal) {
    const std::string& auth = change.auth;
    std::vector<state::WrittenFile> others;
    for (const auto& entry : journal.written())
        if (entry.agent == change.agent && entry.auth != auth &&
            (entry.scope == "managed") == (change.scope == Scope::managed))
            others.push_back(entry);
    for (auto& entry : others) {
        entry.auth = auth;
        journal.put(std::move(entry));
    }
}

Result<void> carry_out(const FileChange& change, const system::Environment& environment,
                       system::FileSystem& files) {
    // The file as it was planned on? An agent may have written in between.
    const auto status = files.status(change.real);
    if (!status) return fail(status.error());
    const bool exists = status->kind != system::FileKind::missing;
    bool same = exists == change.existed;
    if (same && exists) {
        const auto now = files.read(change.real, edit::max_file_bytes);
        if (!now) return fail(now.error());
        same = *now == change.before;
    }
    if (!same)
        return fail(ErrorKind::file, "cannot update " + system::display_path(environment, change.named),
                    "somebody changed it while this command was running", "run the command again");

    if (!change.after) return files.remove(change.real);
    if (!change.existed) {
        if (auto made = files.make_directories(change.real.parent_path(),
                                               change.scope == Scope::managed ? 0755 : 0700);
            !made)
            return made;
    }
    if (!change.text_changes()) return files.set_mode(change.real, change.mode_after);
    return files.write(change.real, *change.after, change.mode_after);
}

} // namespace

Result<void> apply(const std::vector<const FileChange*>& changes, state::Journal& journal,
                   const system::Environment& environment, system::FileSystem& files, system::WallTime now) {
    for (const FileChange* change : changes) {
        if (!change->changes()) continue;
        if (auto writable = files.check_writable(change->real); !writable) return writable;
    }

    // 1. What is going to be, and the bytes to get back, are on disk before the first file is touched.
    for (const FileChange* change : changes) {
        if (change->backup) {
            auto blob = journal.store_blob(*change->backup, files);
            if (!blob) return fail(blob.error());
            journal.add_backup(
                {change->real, true, *blob, change->entry->before_mode, system::format_utc(now)});
            auto entry = *change->entry;
            entry.before_blob = *blob;
            journal.put(std::move(entry));
        } else if (change->entry) {
            journal.put(*change->entry);
        } else if (change->forget) {
            journal.erase(change->real);
        }
    }
    for (const FileChange* change : changes)
        if (!change->auth.empty()) note_auth(*change, journal);
    if (auto prepared = journal.prepare(files); !prepared) return prepared;

    // 2. The files, all or none.
    std::vector<const FileChange*> done;
    Result<void> outcome;
    for (const FileChange* change : changes) {
        if (!change->changes()) continue;
        if (system::InterruptGuard::interrupted()) {
            outcome = fail(interrupted());
        } else {
            outcome = carry_out(*change, environment, files);
        }
        if (!outcome) {
            remove_created(*change, files);
            break;
        }
        done.push_back(change);
    }
    if (!outcome) {
        Error error = outcome.error();
        for (auto change = done.rbegin(); change != done.rend(); ++change) {
            if (auto back = put_back(**change, files); !back) {
                error.state = "Not everything could be put back: " +
                              system::display_path(environment, (*change)->named) + " has its new content (" +
                              back.error().why + "). dbx-agents revert takes it back.";
                return fail(error);
            }
            remove_created(**change, files);
        }
        journal.abandon(files);
        return fail(error);
    }

    // 3. The journal; then folders that were ours and are empty now.
    if (auto committed = journal.commit(files); !committed) return committed;
    for (const FileChange* change : changes) {
        for (const auto& folder : change->remove_directories) (void)files.remove_empty_directory(folder);
    }
    return {};
}

} // namespace dbx::agents
