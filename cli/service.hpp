#pragma once

#include "cli/session.hpp"
#include "core/system/process.hpp"

#include <string>
#include <vector>

namespace dbx::cli {

// The user's systemd, and what `proxy install` has left with it.
class Service {
  public:
    // Errors: there is no systemctl.
    static Result<Service> find(Session& session);

    // Whether the user's service manager answers; it does not without a login session.
    bool manager_runs() const;
    // systemctl --user WORDS. Errors: what it said.
    Result<std::string> control(const std::vector<std::string>& words) const;
    // The same for people to type.
    static std::string typed(const std::vector<std::string>& words);

    // Where the unit stands: $XDG_CONFIG_HOME/systemd/user.
    const system::Path& unit() const { return unit_; }
    // The link that `enable` makes.
    system::Path enabled_link() const;

    // What we wrote: the hash of the unit, and the folders that were made for it.
    struct Written {
        std::string hash;
        std::vector<std::string> folders; // innermost first
    };
    // Nothing when we have written none.
    Result<std::optional<Written>> written() const;
    Result<void> remember(const Written& written) const;
    Result<void> forget() const;

  private:
    explicit Service(Session& session)
        : session_(&session) {}
    Session* session_;
    system::Path systemctl_, unit_, record_;
};

} // namespace dbx::cli
