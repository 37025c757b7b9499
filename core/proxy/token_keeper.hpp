#pragma once

#include "core/databricks/tokens.hpp"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace dbx::proxy {

// The value of an Authorization header. Shared by all requests that use it.
using Bearer = std::shared_ptr<const Secret>;

// Keeps one fresh token at hand, off the way of the requests: a thread of its own asks the source early
// enough. Any number of threads.
class TokenKeeper {
  public:
    using Get = std::function<Result<databricks::Token>(databricks::Freshness)>;
    using Done = std::function<void(Result<Bearer>)>;

    // `get` may take seconds; it is called on the keeper's thread only.
    TokenKeeper(Get get, const system::Clock& clock);
    ~TokenKeeper();
    TokenKeeper(const TokenKeeper&) = delete;
    TokenKeeper& operator=(const TokenKeeper&) = delete;

    // The token now; null while there is none. Never waits.
    Bearer current() const {
        const std::lock_guard lock(current_guard_);
        return current_;
    }

    // For a request that finds none, or whose token was refused upstream (`refused`): many that ask at once
    // cause one refresh. `done` runs on the keeper's thread; the token may be the refused one again when
    // there is no other.
    void ask(Bearer refused, Done done);

    // How often a token was fetched anew, and why the last fetch failed (empty: it did not).
    std::uint64_t fetched() const { return fetched_.load(); }
    std::string last_problem() const;

  private:
    struct Waiting {
        Bearer refused;
        Done done;
    };
    void run();
    void fetch(databricks::Freshness freshness);
    void set_current(Bearer bearer);

    const Get get_;
    const system::Clock& clock_;
    mutable std::mutex current_guard_; // of current_, alone: requests never wait for a fetch
    Bearer current_;
    std::atomic<std::uint64_t> fetched_ = 0;

    mutable std::mutex guard_; // of what follows
    std::condition_variable wake_;
    std::vector<Waiting> waiting_;
    std::string problem_;
    Error error_;
    bool stopping_ = false;

    std::optional<databricks::Token> token_; // the thread's own
    std::thread thread_;                     // last: it uses the others
};

} // namespace dbx::proxy
