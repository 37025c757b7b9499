#pragma once

#include "core/databricks/credentials.hpp"
#include "core/http/client.hpp"
#include "core/http/retry.hpp"
#include "core/system/process.hpp"

#include <mutex>
#include <optional>

namespace dbx::databricks {

struct Token {
    Secret value;
    system::WallTime issued_at = {};                 // when we got it
    std::optional<system::WallTime> expires_at = {}; // nothing: a personal access token, or unknown
    // Of an Azure service principal with a workspace resource id: its token for Azure's management API.
    Secret management = {};
};

enum class Freshness {
    cached, // a token that is good for a while longer
    forced, // a new one: the workspace refused the old one
};

// What it takes to make tokens. All of it outlives the source.
struct TokenServices {
    http::HttpClient& http;
    http::Pacer& pacer;
    system::Process& process;
    system::FileSystem& files;
    const system::Environment& environment;
    const system::Clock& clock;
    system::Path state_directory; // short-lived tokens are kept in its folder "tokens" (0700, files 0600)
    // How long to wait for another process that refreshes the same token. Longer than a refresh can take
    // (token_fetch.cpp): whoever holds the lock that long hangs, and we ask for ourselves.
    std::chrono::milliseconds lock_wait{60'000};
};

// Tokens of one credential. Short-lived ones are kept in memory and in a file, are refreshed before they
// expire, and only one process at a time refreshes (the others wait and take its token). While a refresh
// fails, the old token is served as long as it is valid. Any number of threads; get() may take seconds.
class TokenSource {
  public:
    TokenSource(Credential credential, TokenServices services);

    // Errors: kind credential (refused, tool missing, hanging or printing garbage), workspace or timeout
    // (network).
    Result<Token> get(Freshness freshness = Freshness::cached);

    // Only what is in memory and still fresh: never waits. For threads that must not block.
    std::optional<Token> in_memory() const;

    const Credential& credential() const { return credential_; }

  private:
    Result<Token> refresh(Freshness freshness);

    Credential credential_;
    TokenServices services_;
    mutable std::mutex guard_; // of memory_
    std::mutex refreshing_;    // one thread at a time; taken before guard_
    std::optional<Token> memory_;
};

// Long enough before its end to be handed out: 5 minutes, or a tenth of its life if that is shorter. A token
// issued in the future (the clock was set back) is not fresh.
bool is_fresh(const Token& token, system::WallTime now);

// When a JWT expires by its own `exp`; nothing when it is not a JWT or says nothing.
std::optional<system::WallTime> jwt_expiry(std::string_view token);

// 2026-10-01T12:00:00.123Z, also with an offset (RFC 3339).
std::optional<system::WallTime> parse_rfc3339(std::string_view text);

} // namespace dbx::databricks
