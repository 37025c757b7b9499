#pragma once

#include "core/base/error.hpp"
#include "core/system/files.hpp"

#include <string>
#include <vector>

namespace dbx::doctor {

// What Cursor's own database (state.vscdb, seen in versions 2 to 3.20) says about its OpenAI override. The
// key itself is never read: the database is only asked whether there is one.
struct CursorState {
    bool known = false;      // the application's settings were there and understood
    std::string base_url;    // openAIBaseUrl; empty: off
    bool key_in_use = false; // useOpenAIKey
    bool key_present = false;
    std::vector<std::string> added;    // userAddedModels
    std::vector<std::string> enabled;  // modelOverrideEnabled
    std::vector<std::string> disabled; // modelOverrideDisabled
    bool stale = false;                // a write-ahead log could not be read: the last minutes may be missing
};

// Reads it strictly read-only: creates no file (no -wal, -shm or journal) and takes no lock that would make
// Cursor wait, also while Cursor runs. Reads a few rows by key, whatever the file's size; takes at most about
// three seconds. Errors: kind failed.
Result<CursorState> read_cursor_state(const system::Path& database, system::FileSystem& files);

} // namespace dbx::doctor
