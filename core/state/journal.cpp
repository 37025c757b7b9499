#include "core/state/journal.hpp"

#include "core/system/hash.hpp"

#include <algorithm>
#include <set>

namespace dbx::state {

namespace {

using nlohmann::ordered_json;

constexpr std::uint64_t journal_limit_bytes = 256U << 20;
constexpr std::uint64_t blob_limit_bytes = 128U << 20;
constexpr int journal_format = 1;

NLOHMANN_JSON_SERIALIZE_ENUM(WrittenKey::Kind, {{WrittenKey::Kind::set, "set"},
                                                {WrittenKey::Kind::remove, "remove"},
                                                {WrittenKey::Kind::append, "append"},
                                                {WrittenKey::Kind::lines, "lines"},
                                                {WrittenKey::Kind::entries, "entries"}})

// Paths and spellings are bytes; JSON wants UTF-8. What is not UTF-8 is kept byte by byte as U+0000..U+00FF
// behind a mark.
constexpr std::string_view latin_mark = "\x01";

std::string to_json_text(const std::string& bytes) {
    const auto probe = nlohmann::json(bytes);
    try {
        (void)probe.dump();
        return bytes;
    } catch (const nlohmann::json::exception&) {
        std::string text(latin_mark);
        for (const char c : bytes) {
            const auto byte = static_cast<unsigned char>(c);
            if (byte < 0x80) {
                text += c;
            } else {
                text += static_cast<char>(0xC0 | (byte >> 6));
                text += static_cast<char>(0x80 | (byte & 0x3F));
            }
        }
        return text;
    }
}

std::string from_json_text(const std::string& text) {
    if (text.rfind(latin_mark, 0) != 0) return text;
    std::string bytes;
    for (std::size_t i = latin_mark.size(); i < text.size(); ++i) {
        const auto lead = static_cast<unsigned char>(text[i]);
        if (lead < 0x80 || i + 1 >= text.size()) {
            bytes += text[i];
        } else {
            bytes += static_cast<char>(((lead & 0x03) << 6) | (static_cast<unsigned char>(text[++i]) & 0x3F));
        }
    }
    return bytes;
}

ordered_json to_json(const WrittenFile& file) {
    ordered_json out;
    out["path"] = to_json_text(file.path.string());
    out["named"] = to_json_text(file.named.string());
    out["agent"] = file.agent;
    out["file"] = file.file_id;
    out["format"] = file.format;
    out["auth"] = file.auth;
    if (!file.scope.empty()) out["scope"] = file.scope;
    out["written_at"] = file.written_at;
    out["before"] = {{"existed", file.existed}, {"blob", file.before_blob}, {"mode", file.before_mode}};
    out["after"] = {{"sha256", file.after_hash}, {"mode", file.after_mode}};
    out["pieces"] = ordered_json::array();
    for (const auto& run : file.pieces)
        out["pieces"].push_back({{"before", {run.before_begin, run.before_end}}, {"after", run.after}});
    out["keys"] = ordered_json::array();
    for (const auto& key : file.keys) {
        ordered_json item;
        item["path"] = key.path;
        item["kind"] = key.kind;
        if (key.existed) item["before"] = {{"raw", key.before_raw}, {"value", key.before_value}};
        if (!key.after_hash.empty()) item["after"] = key.after_hash;
        if (key.kind == WrittenKey::Kind::append) item["element"] = key.element;
        if (!key.entries.empty()) item["entries"] = key.entries;
        out["keys"].push_back(std::move(item));
    }
    out["created_directories"] = ordered_json::array();
    for (const auto& path : file.created_directories)
        out["created_directories"].push_back(to_json_text(path.string()));
    return out;
}

WrittenFile file_from_json(const ordered_json& in) {
    WrittenFile file;
    file.path = from_json_text(in.at("path").get<std::string>());
    file.named = from_json_text(in.at("named").get<std::string>());
    file.agent = in.at("agent").get<std::string>();
    file.file_id = in.at("file").get<std::string>();
    file.format = in.at("format").get<std::string>();
    file.auth = in.value("auth", "");
    file.scope = in.value("scope", "");
    file.written_at = in.at("written_at").get<std::string>();
    file.existed = in.at("before").at("existed").get<bool>();
    file.before_blob = in.at("before").at("blob").get<std::string>();
    file.before_mode = in.at("before").at("mode").get<mode_t>();
    file.after_hash = in.at("after").at("sha256").get<std::string>();
    file.after_mode = in.at("after").at("mode").get<mode_t>();
    for (const auto& item : in.at("pieces")) {
        WrittenPieces run;
        run.before_begin = item.at("before").at(0).get<std::size_t>();
        run.before_end = item.at("before").at(1).get<std::size_t>();
        run.after = item.at("after").get<std::vector<std::string>>();
        file.pieces.push_back(std::move(run));
    }
    for (const auto& item : in.at("keys")) {
        WrittenKey key;
        key.path = item.at("path").get<std::vector<std::string>>();
        key.kind = item.at("kind").get<WrittenKey::Kind>();
        key.existed = item.contains("before");
        if (key.existed) {
            key.before_raw = item["before"].at("raw").get<std::string>();
            key.before_value = item["before"].at("value");
        }
        key.after_hash = item.value("after", "");
        if (item.contains("element")) key.element = item["element"];
        if (item.contains("entries")) key.entries = item["entries"].get<std::vector<std::string>>();
        file.keys.push_back(std::move(key));
    }
    for (const auto& item : in.at("created_directories"))
        file.created_directories.emplace_back(from_json_text(item.get<std::string>()));
    return file;
}

struct Content {
    std::vector<WrittenFile> written;
    std::vector<Backup> backups;
};

std::optional<Content> parse(const std::string& text) {
    try {
        const auto root = ordered_json::parse(text);
        if (root.at("format").get<int>() != journal_format) return std::nullopt;
        Content content;
        for (const auto& item : root.at("files")) content.written.push_back(file_from_json(item));
        for (const auto& item : root.at("backups")) {
            Backup backup;
            backup.path = from_json_text(item.at("path").get<std::string>());
            backup.existed = item.at("existed").get<bool>();
            backup.blob = item.at("blob").get<std::string>();
            backup.mode = item.at("mode").get<mode_t>();
            backup.taken_at = item.at("taken_at").get<std::string>();
            content.backups.push_back(std::move(backup));
        }
        return content;
    } catch (const nlohmann::json::exception&) {
        return std::nullopt;
    }
}

Result<std::optional<std::string>> read_if_there(const system::Path& path, system::FileSystem& files) {
    const auto status = files.status(path);
    if (!status) return fail(status.error());
    if (status->kind == system::FileKind::missing) return std::optional<std::string>{};
    auto text = files.read(path, journal_limit_bytes);
    if (!text) return fail(text.error());
    return std::optional<std::string>(std::move(*text));
}

std::string current_hash(const system::Path& path, system::FileSystem& files) {
    const auto bytes = files.read(path, journal_limit_bytes);
    return bytes ? system::sha256(*bytes) : std::string();
}

} // namespace

std::string piece_hash(std::string_view piece) {
    while (!piece.empty() && (piece.back() == '\n' || piece.back() == '\r')) piece.remove_suffix(1);
    return system::sha256(piece).substr(0, 32);
}

std::string value_hash(const nlohmann::ordered_json& value) {
    return system::sha256(
        nlohmann::json(value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

Result<Journal> Journal::load(const system::Environment& environment, system::FileSystem& files) {
    const auto directory = system::state_directory(environment);
    if (!directory) return fail(directory.error());
    Journal journal;
    journal.directory_ = *directory;

    const system::Path path = *directory / "journal.json";
    const auto text = read_if_there(path, files);
    if (!text) return fail(text.error());
    if (*text) {
        auto content = parse(**text);
        if (!content)
            return fail(ErrorKind::file, "cannot read the journal " + system::display_path(environment, path),
                        "it is damaged or was written by a newer dbx-agents",
                        "move it away to begin a new one (the backups stay in " +
                            system::display_path(environment, *directory / "blobs") + ")");
        journal.written_ = std::move(content->written);
        journal.backups_ = std::move(content->backups);
    }

    // A prepared journal without its commit: the program died between two files. An entry counts when the
    // file it speaks of really has the bytes it announces.
    const auto next = read_if_there(*directory / "journal.next.json", files);
    if (!next) return fail(next.error());
    if (*next) {
        if (auto content = parse(**next)) {
            for (auto& entry : content->written) {
                if (current_hash(entry.path, files) == entry.after_hash) journal.put(std::move(entry));
            }
            // An entry that the prepared journal no longer has was being reverted: it is done when the
            // file has its old bytes again.
            const auto announced = [&](const system::Path& real) {
                return std::any_of(content->written.begin(), content->written.end(),
                                   [&](const WrittenFile& entry) { return entry.path == real; });
            };
            std::vector<system::Path> reverted;
            for (const auto& entry : journal.written_) {
                if (announced(entry.path)) continue;
                const std::string now = current_hash(entry.path, files);
                if (entry.existed ? now == entry.before_blob : now.empty()) reverted.push_back(entry.path);
            }
            for (const auto& real : reverted) journal.erase(real);
            for (auto& backup : content->backups) journal.add_backup(std::move(backup));
        }
    }
    return journal;
}

const WrittenFile* Journal::find(const system::Path& real_path) const {
    const auto found = std::find_if(written_.begin(), written_.end(),
                                    [&](const WrittenFile& entry) { return entry.path == real_path; });
    return found == written_.end() ? nullptr : &*found;
}

void Journal::put(WrittenFile entry) {
    for (auto& old : written_) {
        if (old.path != entry.path) continue;
        old = std::move(entry);
        return;
    }
    written_.push_back(std::move(entry));
}

void Journal::erase(const system::Path& real_path) {
    std::erase_if(written_, [&](const WrittenFile& entry) { return entry.path == real_path; });
}

void Journal::add_backup(Backup backup) {
    const Backup* newest = nullptr;
    std::size_t count = 0;
    for (const auto& old : backups_) {
        if (old.path != backup.path) continue;
        newest = &old;
        ++count;
    }
    if (newest && newest->existed == backup.existed && newest->blob == backup.blob) return;
    for (auto old = backups_.begin(); count >= backups_per_file && old != backups_.end();) {
        if (old->path == backup.path) {
            old = backups_.erase(old);
            --count;
        } else {
            ++old;
        }
    }
    backups_.push_back(std::move(backup));
}

Result<std::string> Journal::store_blob(std::string_view bytes, system::FileSystem& files) {
    const std::string name = system::sha256(bytes);
    const system::Path path = directory_ / "blobs" / name;
    if (const auto status = files.status(path); status && status->kind == system::FileKind::regular) {
        if (status->size == bytes.size()) return name;
    }
    if (auto made = files.make_directories(directory_ / "blobs", 0700); !made) return fail(made.error());
    if (auto written = files.write(path, bytes, 0600); !written) return fail(written.error());
    return name;
}

std::optional<std::string> Journal::blob(const std::string& name, system::FileSystem& files) const {
    if (name.empty()) return std::nullopt;
    auto bytes = files.read(directory_ / "blobs" / name, blob_limit_bytes);
    if (!bytes || system::sha256(*bytes) != name) return std::nullopt;
    return std::move(*bytes);
}

Result<void> Journal::prepare(system::FileSystem& files) {
    ordered_json root;
    root["format"] = journal_format;
    root["files"] = ordered_json::array();
    for (const auto& entry : written_) root["files"].push_back(to_json(entry));
    root["backups"] = ordered_json::array();
    for (const auto& backup : backups_)
        root["backups"].push_back({{"path", to_json_text(backup.path.string())},
                                   {"existed", backup.existed},
                                   {"blob", backup.blob},
                                   {"mode", backup.mode},
                                   {"taken_at", backup.taken_at}});
    if (auto made = files.make_directories(directory_, 0700); !made) return made;
    return files.write(directory_ / "journal.next.json", root.dump(1) + "\n", 0600);
}

Result<void> Journal::commit(system::FileSystem& files) {
    const auto text = files.read(directory_ / "journal.next.json", journal_limit_bytes);
    if (!text) return fail(text.error());
    if (auto written = files.write(directory_ / "journal.json", *text, 0600); !written) return written;
    if (auto removed = files.remove(directory_ / "journal.next.json"); !removed) return removed;

    std::set<std::string> used;
    for (const auto& entry : written_) used.insert(entry.before_blob);
    for (const auto& backup : backups_) used.insert(backup.blob);
    if (const auto names = files.list(directory_ / "blobs")) {
        for (const auto& name : *names) {
            // A blob that could not be removed costs a little room, nothing else.
            if (!used.contains(name)) (void)files.remove(directory_ / "blobs" / name);
        }
    }
    return {};
}

void Journal::abandon(system::FileSystem& files) {
    (void)files.remove(directory_ / "journal.next.json");
}

} // namespace dbx::state
