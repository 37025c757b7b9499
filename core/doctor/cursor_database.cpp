#include "core/doctor/cursor_database.hpp"

#include <nlohmann/json.hpp>
#include <sqlite3.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <optional>

namespace dbx::doctor {

namespace {

constexpr const char* settings_key =
    "src.vs.platform.reactivestorage.browser.reactiveStorageServiceImpl.persistentStorage.applicationUser";
constexpr int value_limit_bytes = 64 << 20;
constexpr std::chrono::seconds time_limit{3};
constexpr int busy_ms = 500;

struct Close {
    void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Database = std::unique_ptr<sqlite3, Close>;
using Statement = std::unique_ptr<sqlite3_stmt, Close>;

// A path in an SQLite URI.
std::string in_uri(const system::Path& path) {
    static constexpr char digits[] = "0123456789ABCDEF";
    std::string result;
    for (const char c : path.string()) {
        const auto byte = static_cast<unsigned char>(c);
        if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
            c == '/' || c == '-' || c == '_' || c == '.') {
            result += c;
        } else {
            result += '%';
            result += digits[byte >> 4U];
            result += digits[byte & 15U];
        }
    }
    return result;
}

// Byte 18 of the header: 2 is a database with a write-ahead log.
bool has_write_ahead_log(const system::Path& path) {
    char header[20] = {};
    std::ifstream in(path, std::ios::binary);
    return in.read(header, sizeof header) && header[18] == 2;
}

using Clock = std::chrono::steady_clock;

int past_deadline(void* deadline) {
    return Clock::now() > *static_cast<Clock::time_point*>(deadline) ? 1 : 0;
}

class Reader {
  public:
    int open(const system::Path& path, const std::string& options) {
        sqlite3* raw = nullptr;
        const std::string uri = "file://" + in_uri(path) + "?" + options;
        const int code = sqlite3_open_v2(
            uri.c_str(), &raw, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_PRIVATECACHE, nullptr);
        database_.reset(raw);
        if (code != SQLITE_OK) return code;
        sqlite3_busy_timeout(raw, busy_ms);
        sqlite3_limit(raw, SQLITE_LIMIT_LENGTH, value_limit_bytes);
        deadline_ = Clock::now() + time_limit;
        sqlite3_progress_handler(raw, 10'000, past_deadline, &deadline_);
        return SQLITE_OK;
    }

    // The first column of the first row as text; nullopt: no row. `code` tells trouble.
    std::optional<std::string> text(const char* sql, const char* key, int& code) {
        sqlite3_stmt* raw = nullptr;
        code = sqlite3_prepare_v2(database_.get(), sql, -1, &raw, nullptr);
        const Statement statement(raw);
        if (code != SQLITE_OK) return std::nullopt;
        if (key != nullptr) sqlite3_bind_text(raw, 1, key, -1, SQLITE_STATIC);
        const int step = sqlite3_step(raw);
        code = step == SQLITE_ROW || step == SQLITE_DONE ? SQLITE_OK : step;
        if (step != SQLITE_ROW) return std::nullopt;
        const auto* bytes = static_cast<const char*>(sqlite3_column_blob(raw, 0));
        const int size = sqlite3_column_bytes(raw, 0);
        return bytes == nullptr ? std::string() : std::string(bytes, static_cast<std::size_t>(size));
    }

    std::string words(int code) const {
        return database_ && code != SQLITE_OK ? std::string(sqlite3_errmsg(database_.get()))
                                              : std::string(sqlite3_errstr(code));
    }

  private:
    Clock::time_point deadline_;
    Database database_; // closed before the deadline goes
};

std::vector<std::string> texts(const nlohmann::json& object, const char* key) {
    std::vector<std::string> result;
    const auto found = object.find(key);
    if (found == object.end() || !found->is_array()) return result;
    for (const auto& item : *found) {
        if (item.is_string()) {
            result.push_back(item.get<std::string>());
        } else if (item.is_object() && item.contains("name") && item["name"].is_string()) {
            result.push_back(item["name"].get<std::string>());
        }
    }
    return result;
}

} // namespace

Result<CursorState> read_cursor_state(const system::Path& database, system::FileSystem& files) {
    const auto trouble = [&](const std::string& why) {
        return fail(ErrorKind::failed, "cannot read Cursor's database", why, "");
    };
    const auto status = files.status(database);
    if (!status || status->kind != system::FileKind::regular) return trouble("it is not a file");

    // A read-only connection still creates -wal and -shm of a database with a write-ahead log when they are
    // missing. Without a log everything is in the file itself, and nobody has it open: it can be read as if
    // nothing could change. With one, the shared memory beside it is opened for reading only.
    const auto log = files.status(system::Path(database.string() + "-wal"));
    const bool log_there = log && log->kind == system::FileKind::regular;
    CursorState state;
    Reader reader;
    int code = SQLITE_OK;
    std::optional<std::string> settings;
    const char* const value_of_key = "SELECT value FROM ItemTable WHERE key = ?1";
    const bool alone = has_write_ahead_log(database) && !log_there;
    code = reader.open(database, alone ? "mode=ro&immutable=1" : "mode=ro&readonly_shm=1");
    if (code == SQLITE_OK) settings = reader.text(value_of_key, settings_key, code);
    if (!alone && ((code & 0xff) == SQLITE_CANTOPEN || (code & 0xff) == SQLITE_READONLY)) {
        state.stale = true;
        code = reader.open(database, "mode=ro&immutable=1");
        if (code == SQLITE_OK) settings = reader.text(value_of_key, settings_key, code);
    }
    if (code != SQLITE_OK) return trouble(reader.words(code));

    // Whether there is a key: an empty secret is {"type":"Buffer","data":[]}. The value itself stays in the
    // database.
    const char* const key_is_there =
        "SELECT 1 FROM ItemTable WHERE (key = 'secret://cursorAuth/openAIKey' AND length(value) > 0 AND "
        "replace(CAST(value AS TEXT), ' ', '') NOT IN ('{\"type\":\"Buffer\",\"data\":[]}', 'null', '\"\"')) "
        "OR "
        "(key = 'cursorAuth/openAIKey' AND length(value) > 0) LIMIT 1";
    state.key_present = reader.text(key_is_there, nullptr, code).has_value();
    if (code != SQLITE_OK) return trouble(reader.words(code));

    if (!settings) return state;
    const auto root = nlohmann::json::parse(*settings, nullptr, false);
    if (!root.is_object()) return state;
    state.known = true;
    if (const auto url = root.find("openAIBaseUrl"); url != root.end() && url->is_string())
        state.base_url = url->get<std::string>();
    if (const auto use = root.find("useOpenAIKey"); use != root.end() && use->is_boolean())
        state.key_in_use = use->get<bool>();
    if (const auto ai = root.find("aiSettings"); ai != root.end() && ai->is_object()) {
        state.added = texts(*ai, "userAddedModels");
        state.enabled = texts(*ai, "modelOverrideEnabled");
        state.disabled = texts(*ai, "modelOverrideDisabled");
    }
    return state;
}

} // namespace dbx::doctor
