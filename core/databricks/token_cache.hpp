#pragma once

#include "core/databricks/tokens.hpp"

namespace dbx::databricks {

// The file that keeps one credential's token between processes, and the failure of the last attempt to get
// one.
struct TokenFile {
    std::optional<Token> token = {};
    std::optional<Error> failure = {};
    system::WallTime failed_at = {};
};

// A name for the credential's files: a hash over everything that makes its tokens what they are.
std::string cache_key(const Credential& credential);

// An unreadable, corrupt, foreign or openly readable file is as good as none.
TokenFile read_token_file(system::FileSystem& files, const system::Path& path, uid_t user);
Result<void> write_token_file(system::FileSystem& files, const system::Path& path, const TokenFile& content);

} // namespace dbx::databricks
