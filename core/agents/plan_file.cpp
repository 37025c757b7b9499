#include "core/agents/plan_file.hpp"

#include "core/agents/values.hpp"
#include "core/base/strings.hpp"
#include "core/edit/diff.hpp"
#include "core/edit/mask.hpp"
#include "core/system/hash.hpp"

#include <algorithm>

namespace dbx::agents {

namespace {

using edit::Edit;
using edit::Value;
using state::WrittenFile;
using state::WrittenKey;

Error in_file(Error error, const std::string& verb, const std::string& shown, const std::string& again) {
    if (error.kind != ErrorKind::file) return error;
    error.what = "cannot " + verb + " " + shown + ": " + error.what;
    if (error.fix.empty()) error.fix = "correct that line, then run " + again + " again";
    return error;
}

std::string shown_value(const Wanted::Set& set) {
    if (set.secret) return std::string(edit::masked);
    return edit::mask_value(set.path.back(), text_of(set.value));
}

class FilePlanner {
  public:
    explicit FilePlanner(const FileScene& scene)
        : agent_(scene.agent)
        , file_(scene.file)
        , journal_(scene.journal)
        , environment_(scene.environment)
        , files_(scene.files)
        , now_(scene.now)
        , auth_(scene.auth) {}

    Result<std::optional<FileChange>> plan(Wanted wanted) {
        const auto named = path_of(agent_, file_, environment_);
        if (!named) return fail(named.error());
        shown_ = system::display_path(environment_, *named);
        const auto real = files_.resolve(*named);
        if (!real) return fail(real.error());
        entry_ = journal_.find(*real);
        if (wanted.sets.empty() && wanted.removes.empty() && !wanted.text && !entry_)
            return std::optional<FileChange>{};

        change_.agent = agent_.name;
        change_.file_name = file_.name;
        change_.format = file_.format;
        change_.named = *named;
        change_.real = *real;
        change_.print = file_.print;
        change_.scope = file_.scope;
        change_.auth = auth_;
        const auto status = files_.status(*real);
        if (!status) return fail(status.error());
        if (status->kind != system::FileKind::missing) {
            auto bytes = files_.read(*real, edit::max_file_bytes);
            if (!bytes) { // by the name that the user knows
                Error error = bytes.error();
                error.what =
                    "cannot read " + shown_ + (*real == *named ? "" : ", which leads to " + real->string());
                return fail(error);
            }
            change_.existed = true;
            change_.before = std::move(*bytes);
            change_.mode_before = status->mode;
        } else if (wanted.sets.empty() && !wanted.text && !entry_) {
            return std::optional<FileChange>{}; // nothing to take out of a file that is not there
        }
        if (auto planned = wanted.text ? plan_text(*wanted.text) : plan_keys(wanted); !planned)
            return fail(in_file(planned.error(), "update", shown_, "dbx-agents setup " + agent_.name));

        plan_mode(wanted.secret);
        if (!change_.existed && change_.after && wanted.sets.empty() && !wanted.text) change_.after.reset();
        if (change_.changes()) {
            if (!change_.existed && !change_.after) return std::optional<FileChange>{};
            // Who may not write everybody's files may still look at what would become of them.
            const bool only_looks = file_.scope == Scope::managed && environment_.user_id() != 0;
            if (auto writable = files_.check_writable(*real); !writable && !only_looks)
                return fail(writable.error());
            const bool ours = change_.after && (!keys_.empty() || wanted.text ||
                                                change_.mode_after != original_mode_ || !pristine_existed_);
            if (ours) {
                record();
            } else {
                change_.forget = true; // nothing of ours is left in it
            }
        }
        return std::optional<FileChange>(std::move(change_));
    }

  private:
    // A file that receives a secret loses its group and other bits; one that no longer holds ours gets them
    // back.
    void plan_mode(bool secret) {
        if (!change_.existed) {
            change_.mode_after = file_.scope == Scope::managed ? 0644 : 0600;
            return;
        }
        original_mode_ = change_.mode_before;
        if (entry_ && entry_->existed && change_.mode_before == entry_->after_mode)
            original_mode_ = entry_->before_mode;
        change_.mode_after = secret ? original_mode_ & ~mode_t{077} : original_mode_;
        if (file_.scope == Scope::managed) change_.mode_after |= 0444; // or it would be nobody's but root's
        if (secret && change_.mode_before != change_.mode_after)
            change_.remarks.push_back("it receives a token, so from now on only you can read it");
    }

    Result<void> plan_text(const std::string& text) {
        change_.after = text;
        if (change_.before != text || !change_.existed) {
            pristine_existed_ = entry_ ? entry_->existed : change_.existed;
            pristine_ = change_.before;
            if (entry_ && system::sha256(change_.before) == entry_->after_hash)
                pristine_ = journal_.blob(entry_->before_blob, files_).value_or("");
        }
        return {};
    }

    Result<void> plan_keys(Wanted& wanted) {
        const edit::Format format = *edit_format(file_.format);
        // Where the new text starts from, and what the file would be without us:
        // 1. as setup left it: from the bytes before that setup, so that keys no longer wanted vanish without
        // a trace;
        // 2. changed since: from the file as it is; keys no longer wanted are put back one by one;
        // 3. never touched by us: from the file as it is.
        std::string base = change_.existed ? change_.before : new_text(wanted);
        from_blank_ = !change_.existed;
        pristine_ = change_.before;
        pristine_existed_ = change_.existed;
        bool touched = false;
        if (entry_ && change_.existed) {
            auto stored =
                entry_->existed ? journal_.blob(entry_->before_blob, files_) : std::optional<std::string>("");
            pristine_existed_ = entry_->existed;
            if (stored && system::sha256(change_.before) == entry_->after_hash) {
                base = entry_->existed ? *stored : new_text(wanted);
                from_blank_ = !entry_->existed;
                pristine_ = std::move(*stored);
            } else {
                touched = true;
                auto reverted = revert_text(*entry_, stored, change_.before, Force::no);
                if (!reverted) return fail(reverted.error());
                pristine_ = std::move(reverted->text);
                if (!pristine_existed_ && is_empty_text(file_.format, pristine_)) {
                    pristine_.clear();
                } else {
                    pristine_existed_ = true;
                }
            }
        }

        const auto document = edit::Document::parse(format, base);
        if (!document) return fail(document.error());
        std::erase_if(wanted.sets, [&](const Wanted::Set& set) {
            return set.only_present && !(*document)->get(set.path) && !environment_.get(set.path.back());
        });
        for (auto& set : wanted.sets) join_value(set, **document);

        std::vector<Edit> edits;
        for (const auto& remove : wanted.removes) edits.push_back(Edit::remove(remove.path));
        for (const auto& set : wanted.sets) {
            if (set.join == Join::append) {
                for (const auto& element : set.value) edits.push_back(Edit::append(set.path, element));
            } else {
                edits.push_back(Edit::set(set.path, set.value));
            }
        }
        if (touched) {
            const auto stale_keys = no_longer_wanted(wanted);
            const auto stale = restore_edits(stale_keys, Force::no, **document);
            edits.insert(edits.begin(), stale.begin(), stale.end());
            // Tables that were made for them go as well, once they are empty.
            const auto pristine =
                edit::Document::parse(format, pristine_existed_ ? pristine_ : empty_text(file_.format));
            const auto prune = prune_edits(stale_keys, pristine ? pristine->get() : nullptr);
            edits.insert(edits.end(), prune.begin(), prune.end());
        }
        auto after = (*document)->apply(edits);
        if (!after) return fail(after.error());
        change_.after = std::move(*after);
        if (change_.existed && entry_ && !pristine_existed_ && wanted.sets.empty() &&
            is_empty_text(file_.format, *change_.after))
            change_.after.reset(); // our own file, no longer wanted

        const auto before = change_.existed ? edit::Document::parse(format, change_.before)
                                            : edit::Document::parse(format, empty_text(file_.format));
        if (!before) return fail(before.error());
        show(wanted, **before);
        return journal_keys(wanted, format);
    }

    // What a new file begins with: for dotenv the documents' text as it is, if it means what it should.
    std::string new_text(const Wanted& wanted) const {
        if (!wanted.blank) return empty_text(file_.format);
        const auto document = edit::Document::parse(edit::Format::dotenv, *wanted.blank);
        const auto certain = std::count_if(wanted.sets.begin(), wanted.sets.end(),
                                           [](const Wanted::Set& set) { return !set.only_present; });
        const bool right = document && static_cast<std::ptrdiff_t>((*document)->leaves().size()) == certain &&
                           std::all_of(wanted.sets.begin(), wanted.sets.end(), [&](const Wanted::Set& set) {
                               const auto found = (*document)->get(set.path);
                               return set.only_present || (found && same(found->value, set.value));
                           });
        return right ? *wanted.blank : empty_text(file_.format);
    }

    // The value that a merged key gets, from what stands in the file.
    void join_value(Wanted::Set& set, const edit::Document& document) const {
        if (set.join == Join::replace || set.join == Join::append) return;
        auto found = document.get(set.path);
        if (from_blank_) found.reset(); // that is our own
        std::string there = found ? text_of(found->value) : "";
        const std::string ours = text_of(set.value);
        if (set.join == Join::lines) {
            set.value = merge_lines(there, split(ours, '\n'));
            return;
        }
        // A value in the file replaces the shell's as a whole, so the shell's entries come along; also those
        // of no_proxy, which programs that look for NO_PROXY first would no longer see.
        const std::string& name = set.path.back();
        if (!found) there = environment_.get(name).value_or("");
        if (!found && there.empty()) there = environment_.get(to_lower(name)).value_or("");
        set.value = merge_entries(there, split(ours, ','));
    }

    std::vector<const WrittenKey*> no_longer_wanted(const Wanted& wanted) const {
        std::vector<const WrittenKey*> keys;
        for (const auto& key : entry_->keys) {
            const bool is_set =
                std::any_of(wanted.sets.begin(), wanted.sets.end(), [&](const Wanted::Set& set) {
                    if (set.path != key.path) return false;
                    if (key.kind != WrittenKey::Kind::append) return true;
                    return std::any_of(set.value.begin(), set.value.end(),
                                       [&](const Value& element) { return same(element, key.element); });
                });
            const bool is_removed =
                std::any_of(wanted.removes.begin(), wanted.removes.end(),
                            [&](const Wanted::Remove& remove) { return remove.path == key.path; });
            if (!is_set && !is_removed) keys.push_back(&key);
        }
        return keys;
    }

    void show(const Wanted& wanted, const edit::Document& before) {
        using Action = FileChange::Key::Action;
        for (const auto& remove : wanted.removes) {
            if (!before.get(remove.path)) continue;
            change_.keys.push_back({remove.path, Action::removed, {}, remove.why});
            if (!remove.why.empty())
                change_.remarks.push_back(edit::to_string(remove.path) + " is taken out: " + remove.why);
        }
        for (const auto& set : wanted.sets) {
            if (set.secret) change_.secrets.push_back(text_of(set.value));
            const auto found = before.get(set.path);
            if (set.join == Join::append) {
                const auto is_there = [&](const Value& element) {
                    return found && found->value.is_array() &&
                           std::any_of(found->value.begin(), found->value.end(),
                                       [&](const Value& other) { return same(other, element); });
                };
                const auto missing = std::count_if(set.value.begin(), set.value.end(),
                                                   [&](const Value& element) { return !is_there(element); });
                if (missing > 0)
                    change_.keys.push_back({set.path,
                                            Action::added,
                                            std::to_string(missing) + (missing == 1 ? " entry" : " entries"),
                                            {}});
                continue;
            }
            if (found && same(found->value, set.value)) continue;
            change_.keys.push_back({set.path, found ? Action::set : Action::added, shown_value(set), {}});
        }
        if (!entry_) return;
        for (const WrittenKey* key : no_longer_wanted(wanted)) {
            if (state_of(*key, before) != KeyState::ours || key->kind == WrittenKey::Kind::append) continue;
            change_.keys.push_back(
                {key->path,
                 key->existed ? Action::set : Action::removed,
                 key->existed ? edit::mask_value(key->path.back(), text_of(key->before_value)) : "",
                 {}});
        }
    }

    // What the journal remembers: the difference to the file as it would be without us.
    Result<void> journal_keys(const Wanted& wanted, edit::Format format) {
        const auto document =
            edit::Document::parse(format, pristine_existed_ ? pristine_ : empty_text(file_.format));
        if (!document) return fail(document.error());
        const auto remember = [&](const edit::KeyPath& path, WrittenKey::Kind kind) {
            WrittenKey key;
            key.path = path;
            key.kind = kind;
            if (const auto found = (*document)->get(path)) {
                key.existed = true;
                key.before_raw = found->raw;
                key.before_value = found->value;
            }
            return key;
        };
        for (const auto& remove : wanted.removes) {
            auto key = remember(remove.path, WrittenKey::Kind::remove);
            if (key.existed) keys_.push_back(std::move(key));
        }
        for (const auto& set : wanted.sets) {
            const auto found = (*document)->get(set.path);
            if (set.join == Join::append) {
                for (const auto& element : set.value) {
                    const bool there = found && found->value.is_array() &&
                                       std::any_of(found->value.begin(), found->value.end(),
                                                   [&](const Value& other) { return same(other, element); });
                    if (there) continue;
                    WrittenKey key;
                    key.path = set.path;
                    key.kind = WrittenKey::Kind::append;
                    key.element = element;
                    keys_.push_back(std::move(key));
                }
                continue;
            }
            if (found && same(found->value, set.value)) continue;
            auto key = remember(set.path, set.join == Join::lines     ? WrittenKey::Kind::lines
                                          : set.join == Join::entries ? WrittenKey::Kind::entries
                                                                      : WrittenKey::Kind::set);
            key.after_hash = state::value_hash(set.value);
            if (set.join != Join::replace) {
                const std::string before = key.existed ? text_of(key.before_value) : "";
                const char separator = set.join == Join::lines ? '\n' : ',';
                const auto old = split(before, separator);
                for (const auto& part : split(text_of(set.value), separator)) {
                    if (!trim(part).empty() && std::find(old.begin(), old.end(), part) == old.end())
                        key.entries.emplace_back(trim(part));
                }
            }
            keys_.push_back(std::move(key));
        }
        return {};
    }

    void record() {
        WrittenFile entry;
        entry.path = change_.real;
        entry.named = change_.named;
        entry.agent = agent_.name;
        entry.file_id = file_.name;
        entry.format = to_string(file_.format);
        entry.auth = auth_;
        if (file_.scope == Scope::managed) entry.scope = "managed";
        entry.written_at = system::format_utc(now_);
        entry.existed = pristine_existed_;
        entry.before_mode = change_.existed ? original_mode_ : 0;
        entry.after_hash = system::sha256(*change_.after);
        entry.after_mode = change_.mode_after;
        entry.keys = keys_;
        if (entry_ && change_.existed) {
            entry.created_directories = entry_->created_directories;
        } else if (!change_.existed) {
            for (system::Path folder = change_.real.parent_path(); folder.has_relative_path();
                 folder = folder.parent_path()) {
                const auto status = files_.status(folder);
                if (!status || status->kind != system::FileKind::missing) break;
                entry.created_directories.insert(entry.created_directories.begin(), folder);
            }
        }
        const auto old_pieces =
            pieces_of(pristine_existed_ ? std::string_view(pristine_) : std::string_view());
        const auto new_pieces = pieces_of(*change_.after);
        for (const auto& hunk : edit::diff(old_pieces, new_pieces)) {
            state::WrittenPieces run{hunk.before_begin, hunk.before_end, {}};
            for (std::size_t i = hunk.after_begin; i < hunk.after_end; ++i)
                run.after.push_back(state::piece_hash(new_pieces[i]));
            entry.pieces.push_back(std::move(run));
        }
        if (pristine_existed_) change_.backup = pristine_;
        change_.entry = std::move(entry);
    }

    const Agent& agent_;
    const AgentFile& file_;
    const state::Journal& journal_;
    const system::Environment& environment_;
    system::FileSystem& files_;
    system::WallTime now_;
    std::string auth_;

    std::string shown_;
    const WrittenFile* entry_ = nullptr;
    FileChange change_;
    std::string pristine_; // the file as it would be without us
    bool pristine_existed_ = false;
    bool from_blank_ = false;  // the new text starts from the documents' own
    mode_t original_mode_ = 0; // its mode as it would be without us
    std::vector<WrittenKey> keys_;
};

} // namespace

Result<Wanted> collect(const Agent& agent, const AgentFile& file, const Facts& facts,
                       const Variables& variables) {
    Wanted wanted;
    for (const auto& part : agent.parts) {
        if (part.file != file.name || !holds(part.when, facts)) continue;
        for (const auto& path : part.remove) wanted.removes.push_back({path, part.why});
        if (part.document.empty()) continue;
        const auto format = edit_format(file.format);
        if (!format) {
            auto text = render_text(agent, part.document, variables);
            if (!text) return fail(text.error());
            wanted.text = wanted.text.value_or("") + *text;
            continue;
        }
        auto leaves = render(agent, part.document, *format, variables);
        if (!leaves) return fail(leaves.error());
        if (*format == edit::Format::dotenv && !part.only_present) {
            if (const auto text = render_text(agent, part.document, variables))
                wanted.blank = wanted.blank.value_or("") + *text;
        }
        for (auto& leaf : *leaves) {
            const auto rule = part.merge.find(edit::to_string(leaf.path));
            wanted.secret = wanted.secret || leaf.secret;
            wanted.sets.push_back({std::move(leaf.path), std::move(leaf.value), leaf.secret,
                                   rule == part.merge.end() ? Join::replace : rule->second,
                                   part.only_present});
        }
    }
    return wanted;
}

Result<std::optional<FileChange>> plan_file(const FileScene& scene, Wanted wanted) {
    return FilePlanner(scene).plan(std::move(wanted));
}

} // namespace dbx::agents
