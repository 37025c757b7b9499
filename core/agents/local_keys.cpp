#include "core/agents/plan.hpp"
#include "core/edit/mask.hpp"
#include "core/system/hash.hpp"

#include <algorithm>
#include <set>

namespace dbx::agents {

namespace {

// What the journal says of a file once `before` has become `after`, which differs in nothing but a key of the
// same length: pieces and values that held the old one hold the new one. Only hashes of them are kept.
Result<state::WrittenFile> with_new_key(state::WrittenFile entry, const std::string& before,
                                        const std::string& after) {
    if (entry.after_hash == system::sha256(before)) entry.after_hash = system::sha256(after);

    std::map<std::string, std::string> renamed;
    const auto old_pieces = pieces_of(before), new_pieces = pieces_of(after);
    for (std::size_t i = 0; i < std::min(old_pieces.size(), new_pieces.size()); ++i) {
        if (old_pieces[i] != new_pieces[i])
            renamed[state::piece_hash(old_pieces[i])] = state::piece_hash(new_pieces[i]);
    }
    for (auto& run : entry.pieces) {
        for (auto& hash : run.after) {
            if (const auto found = renamed.find(hash); found != renamed.end()) hash = found->second;
        }
    }

    const auto format = file_format(entry.format);
    const auto edited = format ? edit_format(*format) : std::nullopt;
    if (!edited) return entry;
    const auto old_document = edit::Document::parse(*edited, before);
    if (!old_document) return fail(old_document.error());
    const auto new_document = edit::Document::parse(*edited, after);
    if (!new_document) return fail(new_document.error());
    for (auto& key : entry.keys) {
        const auto old_value = (*old_document)->get(key.path);
        const auto new_value = (*new_document)->get(key.path);
        if (old_value && new_value && state::value_hash(old_value->value) == key.after_hash)
            key.after_hash = state::value_hash(new_value->value);
    }
    return entry;
}

// The change of one file that holds a local key; nullopt: it holds none (any more).
Result<std::optional<FileChange>> plan_new_key(const state::WrittenFile& entry, const Secret& key,
                                               const system::Environment& environment,
                                               system::FileSystem& files) {
    const auto status = files.status(entry.path);
    if (!status) return fail(status.error());
    if (status->kind == system::FileKind::missing) return std::optional<FileChange>();
    auto bytes = files.read(entry.path, edit::max_file_bytes);
    if (!bytes) return fail(bytes.error());
    std::string text = state::with_local_key(*bytes, key);
    if (text == *bytes) return std::optional<FileChange>();

    FileChange change;
    change.agent = entry.agent;
    change.file_name = entry.file_id;
    change.format = file_format(entry.format).value_or(FileFormat::text);
    change.named = entry.named;
    change.real = entry.path;
    change.existed = true;
    change.before = std::move(*bytes);
    change.mode_before = status->mode;
    change.mode_after = status->mode & ~mode_t{077};
    change.secrets.push_back(key.reveal());
    auto renewed = with_new_key(entry, change.before, text);
    if (!renewed) {
        Error error = renewed.error();
        error.what = "cannot update " + system::display_path(environment, entry.named) + ": " + error.what;
        if (error.fix.empty()) error.fix = "correct that line, then run dbx-agents proxy rotate-keys again";
        return fail(error);
    }
    if (renewed->after_mode == change.mode_before) renewed->after_mode = change.mode_after;
    change.after = std::move(text);
    change.entry = std::move(*renewed);
    return std::optional<FileChange>(std::move(change));
}

} // namespace

Result<FileChange> plan_local_keys(const state::LocalKeys& keys, const system::Environment& environment,
                                   system::FileSystem& files) {
    const auto path = state::local_keys_path(environment);
    if (!path) return fail(path.error());
    const auto real = files.resolve(*path);
    if (!real) return fail(real.error());
    const auto text = state::local_keys_text(keys);
    if (!text) return fail(text.error());
    FileChange change;
    change.format = FileFormat::json;
    change.named = *path;
    change.real = *real;
    change.after = *text;
    change.mode_after = 0600;
    for (const auto& [agent, key] : keys) change.secrets.push_back(key.reveal());
    const auto status = files.status(*real);
    if (!status) return fail(status.error());
    if (status->kind == system::FileKind::missing) return change;
    auto bytes = files.read(*real, edit::max_file_bytes);
    if (!bytes) return fail(bytes.error());
    change.existed = true;
    change.before = std::move(*bytes);
    change.mode_before = status->mode;
    return change;
}

Result<KeyRotation> plan_key_rotation(const state::Journal& journal, const system::Environment& environment,
                                      system::FileSystem& files) {
    const auto old = state::read_local_keys(environment, files);
    if (!old) return fail(old.error());
    KeyRotation rotation;
    state::LocalKeys keys;
    for (const auto& entry : journal.written()) {
        if (entry.auth == "proxy") keys.try_emplace(entry.agent, state::new_local_key());
    }
    for (const auto& [agent, key] : *old) {
        if (!keys.contains(agent)) rotation.dropped.push_back(agent);
    }

    auto own = plan_local_keys(keys, environment, files);
    if (!own) return fail(own.error());
    rotation.changes.push_back(std::move(*own));
    std::set<std::string> holding;
    for (const auto& entry : journal.written()) {
        const auto key = keys.find(entry.agent);
        if (key == keys.end()) continue;
        auto change = plan_new_key(entry, key->second, environment, files);
        if (!change) return fail(change.error());
        if (!*change) continue;
        holding.insert(entry.agent);
        rotation.changes.push_back(std::move(**change));
    }
    for (const auto& [agent, key] : keys)
        (holding.contains(agent) ? rotation.rotated : rotation.without).push_back(agent);
    return rotation;
}

} // namespace dbx::agents
