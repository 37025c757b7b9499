#pragma once

#include "cli/session.hpp"
#include "core/base/secret.hpp"
#include "core/system/programs.hpp"

#include <memory>
#include <optional>
#include <string>

namespace dbx::cli {

// What an agent shows to the proxy, and whether it was made just now.
struct LocalKey {
    Secret key;
    bool is_new = false;
};

// The local proxy of one run: one that runs already and serves the same gateway, or one that is started for
// runs and ends with the last of them. Nobody's own proxy is ever ended.
class RunProxy {
  public:
    struct Found {
        int port = 0;
        bool for_runs = false; // it was started by a run
    };
    // A proxy that could be used as it is; nothing is started.
    static std::optional<Found> find(Session& session, const databricks::Target& target, const LocalKey& key);

    // Uses one or starts one; it answers to `key`. Errors: no credential, it does not start.
    static Result<RunProxy> get(Session& session, const databricks::Target& target, const LocalKey& key);

    // Gives it back; the last one ends it. Waits a moment for that, no longer.
    void release(Session& session);

    int port() const { return port_; }

  private:
    int port_ = 0;
    bool for_runs_ = false;
    system::Path users_; // the file that those who use it share
    std::optional<system::Share> share_;
};

// What a proxy that was started for runs asks every other second: whether anybody still uses it. The answer
// "no" comes with the lock that keeps others from beginning to.
std::optional<system::Lock> nobody_uses(const system::Path& users);

} // namespace dbx::cli
