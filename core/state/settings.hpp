#pragma once

#include "core/base/error.hpp"
#include "core/system/environment.hpp"
#include "core/system/files.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::state {

// Where a setting came from, strongest first: the order in which sources are asked.
enum class Rank {
    locked, // by the organisation's file: nothing wins over it
    flag,
    environment,          // DBX_AGENTS_*
    standard_environment, // DATABRICKS_*
    user_config,
    organisation_config,
    remembered,
    built_in,
};

struct Setting {
    std::string value;
    Rank rank = Rank::built_in;
    std::string origin;     // for people: "--workspace", "DATABRICKS_HOST in the environment",
                            // "~/.config/…/config.toml:3"
    system::Path file = {}; // where it stands, when that is a file
    std::size_t line = 0;
};

// A value that somebody set and that counts for nothing, because the organisation locks its key, or one that
// closes it.
struct Overruled {
    std::string key;  // the locked one, or the closed one: "workspace", "proxy.limit", "gateway"
    Setting setting;  // what was set; of a table its first value
    std::string lock; // the locked key: "workspace"
    std::string by;   // the lock's origin: "/etc/dbx-agents/config.toml:3"
};

// The sources of all settings, read once. Keys are dotted: "workspace", "gateway", "profile",
// "agents.codex.model", "proxy.port".
class Settings {
  public:
    struct Sources {
        std::map<std::string, std::string> flags; // key -> value, only those given
        std::optional<system::Path>
            config_file; // --config (or DBX_AGENTS_CONFIG): instead of the user's file; must exist
    };

    // Errors: a configuration file that can't be read or parsed (kind file, with line and column); a flag
    // against a locked key (kind usage).
    static Result<Settings> load(const Sources& sources, const system::Environment& environment,
                                 system::FileSystem& files);

    // The strongest value of a key. Numbers and booleans come as their TOML spelling.
    std::optional<Setting> find(std::string_view key) const;

    // Every source's value of a key, strongest first: what `status` explains.
    std::vector<Setting> all(std::string_view key) const;

    // The keys that begin with `prefix`, sorted.
    std::vector<std::string> keys_below(std::string_view prefix) const;

    // The keys that the organisation's file locks, with their values. A lock on a table locks the keys below
    // it that have a value there.
    std::vector<std::pair<std::string, Setting>> locked() const;

    // What the environment and the user's configuration say against a lock; a table counts once.
    const std::vector<Overruled>& overruled() const { return overruled_; }

    // Why a flag cannot have this value: the key is locked with another one. For flags that are no setting of
    // their own; those among the sources are judged by load().
    std::optional<Error> refuse_flag(std::string_view key, std::string_view flag,
                                     std::string_view value) const;

    // Sentences about keys in the configuration files that this program does not know.
    const std::vector<std::string>& warnings() const { return warnings_; }

  private:
    struct Lock {
        std::string key;
        std::string origin;
    };
    Result<void> apply_locks(const std::vector<Lock>& locks, const std::map<std::string, std::string>& flags);
    void overrule(const std::string& key, const Setting& setting, const Lock& lock);
    Error refused(std::string_view key, std::string_view flag) const;

    std::map<std::string, std::vector<Setting>, std::less<>> values_;
    std::map<std::string, std::string, std::less<>> closed_; // keys that a lock on another one closes -> it
    std::string organisation_file_;
    std::string contact_; // who to ask
    std::vector<Overruled> overruled_;
    std::vector<std::string> warnings_;
};

// What setup used is remembered in the state directory (remembered.json), so that later commands need no
// flags. Replaces the whole set; an empty value forgets a key.
Result<void> remember(const std::map<std::string, std::string>& values,
                      const system::Environment& environment, system::FileSystem& files);

} // namespace dbx::state
