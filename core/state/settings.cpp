#include "core/state/settings.hpp"

#include "core/base/strings.hpp"
#include "core/state/toml_reader.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace dbx::state {

namespace {

constexpr std::uint64_t config_limit_bytes = 4U << 20;

// The environment's spelling of each key that has one; the first name is ours.
struct EnvironmentName {
    std::string_view key;
    std::string_view name;
    Rank rank;
};
constexpr EnvironmentName environment_names[] = {
    {"workspace", "DBX_AGENTS_WORKSPACE", Rank::environment},
    {"workspace", "DATABRICKS_HOST", Rank::standard_environment},
    {"gateway", "DBX_AGENTS_GATEWAY", Rank::environment},
    {"profile", "DBX_AGENTS_PROFILE", Rank::environment},
    {"profile", "DATABRICKS_CONFIG_PROFILE", Rank::standard_environment},
    {"warehouse", "DBX_AGENTS_WAREHOUSE", Rank::environment},
    {"warehouse", "DATABRICKS_WAREHOUSE_ID", Rank::standard_environment},
    {"proxy.port", "DBX_AGENTS_PROXY_PORT", Rank::environment},
    {"otel.tables", "DBX_AGENTS_OTEL_TABLES", Rank::environment},
};

// Every key of config.toml (contract, section 4). `*`: any name, `#`: the place in an array, `?`: any name
// that is not nearly one of its neighbours (what a template calls its models), `**`: whatever follows.
constexpr std::string_view known_keys[] = {
    "workspace",
    "gateway",
    "profile",
    "warehouse",
    "agents.*.model",
    "agents.*.otel",
    "agents.*.route",
    "agents.*.?",
    "otel.tables",
    "otel.traces",
    "otel.resource_attributes.**",
    "otel.drop_attributes.#",
    "proxy.port",
    "proxy.bind",
    "proxy.names.#",
    "proxy.threads",
    "proxy.max_connections",
    "proxy.drain",
    "proxy.log_level",
    "proxy.upstream",
    "proxy.rpm",
    "proxy.tpm",
    "proxy.max_concurrent",
    "proxy.hold",
    "proxy.spool_size",
    "proxy.spool_age",
    "proxy.export_usage",
    "proxy.export_every",
    "proxy.model.#.asked",
    "proxy.model.#.sent",
    "proxy.limit.#.name",
    "proxy.limit.#.agent",
    "proxy.limit.#.model",
    "proxy.limit.#.requests_per_minute",
    "proxy.limit.#.tokens_per_minute",
    "proxy.limit.#.concurrent",
    "proxy.budget.#.name",
    "proxy.budget.#.agent",
    "proxy.budget.#.model",
    "proxy.budget.#.tokens_per_day",
    "proxy.budget.#.tokens_per_week",
    "proxy.budget.#.tokens_per_month",
    "proxy.budget.#.usd_per_day",
    "proxy.budget.#.usd_per_week",
    "proxy.budget.#.usd_per_month",
    "price.#.model",
    "price.#.input",
    "price.#.output",
    "price.#.cache_read",
    "price.#.cache_write",
    "price.#.cache_write_1h",
    "ledger.file",
    "ledger.keep",
    "ledger.off",
    "network.ca_file",
};

bool is_index(std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// What is wrong with a key, if anything. `path`: as far as it is wrong: a misspelt table is told once.
struct Misspelt {
    std::string path;
    std::string why; // a clause that begins with the key
};
std::optional<Misspelt> misspelt(const std::string& key, const std::string& value) {
    // Split once: a configuration may have hundreds of keys, and every command reads it.
    static const auto patterns = [] {
        std::vector<std::vector<std::string>> split_keys;
        for (const auto known : known_keys) split_keys.push_back(split(known, '.'));
        return split_keys;
    }();
    const auto parts = split(key, '.');
    std::vector<const std::vector<std::string>*> fitting;
    for (const auto& pattern : patterns) fitting.push_back(&pattern);
    std::string path, shown; // the same but for places in arrays
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const auto& part = parts[i];
        std::vector<std::string> names; // that may stand here
        bool any = false, place = false, unlike = false;
        for (const auto* each : fitting) {
            const auto& pattern = *each;
            if (pattern.size() <= i) continue;
            if (pattern[i] == "**") return std::nullopt;
            any = any || pattern[i] == "*";
            place = place || pattern[i] == "#";
            unlike = unlike || pattern[i] == "?";
            if (pattern[i].find_first_of("*#?") == std::string::npos) names.push_back(pattern[i]);
        }
        const std::string before = shown;
        path += (path.empty() ? "" : ".") + part;
        if (!is_index(part) || !place) shown += (shown.empty() ? "" : ".") + printable(part);
        const bool known = std::find(names.begin(), names.end(), part) != names.end();
        const std::string near = known ? std::string() : nearest(part, names);
        if (place && !is_index(part)) {
            const bool of_tables = std::any_of(fitting.begin(), fitting.end(),
                                               [&](const auto* pattern) { return pattern->size() > i + 1; });
            path.resize(path.size() - part.size());
            return Misspelt{path, "'" + before + "' is an array" +
                                      (of_tables ? " of tables: [[" + before + "]]" : ", not a table")};
        }
        if (!known && !any && !place && !(unlike && near.empty()))
            return Misspelt{
                path,
                "'" + shown + "' is not a setting" +
                    (near.empty() ? ""
                                  : "; did you mean '" + (before.empty() ? "" : before + ".") + near + "'?")};
        std::erase_if(fitting, [&](const auto* pattern) {
            return pattern->size() <= i ||
                   (known ? (*pattern)[i] != part : (*pattern)[i].find_first_of("*#?") == std::string::npos);
        });
    }
    const bool whole = std::any_of(fitting.begin(), fitting.end(),
                                   [&](const auto* pattern) { return pattern->size() == parts.size(); });
    if (whole || value == "[]") return std::nullopt;
    const bool array = std::any_of(fitting.begin(), fitting.end(),
                                   [&](const auto* pattern) { return (*pattern)[parts.size()] == "#"; });
    return Misspelt{path, "'" + shown + "' is " + (array ? "an array" : "a table") + ", not one value"};
}

// And those that only the organisation's file may have.
const std::vector<std::string> organisation_top_level = {"locked", "contact"};

// The same, but for how an address may be written.
bool same_value(std::string_view a, std::string_view b) {
    const auto plain = [](std::string_view text) {
        std::string result = to_lower(trim(text));
        if (result.starts_with("https://")) result.erase(0, 8);
        while (result.ends_with('/')) result.pop_back();
        return result;
    };
    return a == b || plain(a) == plain(b);
}

} // namespace

Result<Settings> Settings::load(const Sources& sources, const system::Environment& environment,
                                system::FileSystem& files) {
    Settings result;
    const auto add = [&](std::string key, std::string value, Rank rank, std::string origin) {
        result.values_[std::move(key)].push_back(Setting{std::move(value), rank, std::move(origin)});
    };

    // 1. flags
    for (const auto& [key, value] : sources.flags) {
        const auto dot = key.rfind('.');
        add(key, value, Rank::flag,
            "--" + replace_all(dot == std::string::npos ? key : key.substr(dot + 1), "_", "-"));
    }

    // 2. the environment: ours, then Databricks' own names; an empty variable counts as unset
    for (const Rank rank : {Rank::environment, Rank::standard_environment}) {
        for (const auto& entry : environment_names) {
            if (entry.rank != rank) continue;
            if (const auto value = environment.get(entry.name); value && !value->empty())
                add(std::string(entry.key), *value, rank, std::string(entry.name) + " in the environment");
        }
    }

    // 3. the user's configuration, 4. the organisation's
    std::vector<Lock> locks;
    const auto read_config = [&](const system::Path& path, Rank rank, bool must_exist) -> Result<void> {
        const auto status = files.status(path);
        if (!status) return fail(status.error());
        const std::string shown = system::display_path(environment, path);
        if (status->kind == system::FileKind::missing) {
            if (!must_exist) return {};
            return fail(ErrorKind::usage, "cannot read the configuration " + shown, "there is no such file",
                        "correct the path behind --config");
        }
        auto text = files.read(path, config_limit_bytes);
        if (!text) return fail(text.error());
        const auto entries = read_toml(*text);
        if (!entries)
            return fail(ErrorKind::file, "cannot use " + shown + ": " + entries.error().what,
                        entries.error().why, "correct that line in " + shown);
        std::string warned;
        for (const auto& entry : *entries) {
            const std::string top = entry.key.substr(0, entry.key.find('.'));
            const std::string at = shown + ":" + std::to_string(entry.line);
            if (rank == Rank::organisation_config && top == "locked") {
                const auto index = entry.key.find_first_not_of("0123456789", top.size() + 1);
                if (entry.key.size() > top.size() && index == std::string::npos) {
                    locks.push_back({entry.value, at});
                } else if (entry.key != "locked" || entry.value != "[]") {
                    return fail(ErrorKind::file, "cannot use " + shown,
                                "line " + std::to_string(entry.line) +
                                    ": 'locked' is not an array of keys, such as [\"workspace\"]",
                                "correct that line in " + shown);
                }
                continue;
            }
            if (rank == Rank::organisation_config && entry.key == "contact") {
                result.contact_ = entry.value;
                continue;
            }
            if (std::find(organisation_top_level.begin(), organisation_top_level.end(), top) !=
                organisation_top_level.end()) {
                result.warnings_.push_back(at + ": '" + top + "' counts in /etc/dbx-agents/config.toml only");
                continue;
            }
            add(entry.key, entry.value, rank, at);
            result.values_[entry.key].back().file = path;
            result.values_[entry.key].back().line = entry.line;
            const auto wrong = misspelt(entry.key, entry.value);
            if (!wrong) continue;
            // A table by its first key; an entry of an array for itself.
            if (wrong->path != warned) result.warnings_.push_back(at + ": " + wrong->why);
            warned = wrong->path;
        }
        return {};
    };

    std::optional<system::Path> named = sources.config_file;
    if (!named) {
        if (const auto value = environment.get("DBX_AGENTS_CONFIG"); value && !value->empty()) named = *value;
    }
    if (named) {
        if (auto read = read_config(*named, Rank::user_config, true); !read) return fail(read.error());
    } else {
        const auto directory = system::config_directory(environment);
        if (!directory) return fail(directory.error());
        if (auto read = read_config(*directory / "config.toml", Rank::user_config, false); !read)
            return fail(read.error());
    }
    result.organisation_file_ = "/etc/dbx-agents/config.toml";
    if (auto read = read_config(result.organisation_file_, Rank::organisation_config, false); !read)
        return fail(read.error());

    // 5. what the last setup used
    const auto directory = system::state_directory(environment);
    if (!directory) return fail(directory.error());
    const system::Path remembered = *directory / "remembered.json";
    const auto status = files.status(remembered);
    if (status && status->kind == system::FileKind::regular) {
        const auto text = files.read(remembered, config_limit_bytes);
        if (!text) return fail(text.error());
        const auto root = nlohmann::json::parse(*text, nullptr, false);
        // Ours, written whole; a damaged one is no reason to refuse work, it only costs a flag.
        if (root.is_object()) {
            for (const auto& item : root.items()) {
                if (item.value().is_string())
                    add(item.key(), item.value().get<std::string>(), Rank::remembered,
                        "remembered from the last setup");
            }
        } else {
            result.warnings_.push_back(system::display_path(environment, remembered) +
                                       " is damaged and was ignored; the next setup writes it again");
        }
    }

    if (auto locked = result.apply_locks(locks, sources.flags); !locked) return fail(locked.error());
    for (auto& [key, list] : result.values_)
        std::stable_sort(list.begin(), list.end(),
                         [](const Setting& a, const Setting& b) { return a.rank < b.rank; });
    return result;
}

// A lock: 1. a flag with another value is refused; 2. the environment, the user's configuration and what is
// remembered are left out, the first two with a warning; 3. the organisation's value is the strongest. A
// locked address closes the other keys that would lead elsewhere.
Result<void> Settings::apply_locks(const std::vector<Lock>& locks,
                                   const std::map<std::string, std::string>& flags) {
    const auto set_here = [&](const std::string& key) {
        const auto found = values_.find(key);
        return found != values_.end() &&
               std::any_of(found->second.begin(), found->second.end(), [](const Setting& setting) {
                   return setting.rank == Rank::organisation_config || setting.rank == Rank::locked;
               });
    };
    for (const auto& lock : locks) {
        bool has_value = false;
        for (auto& [key, list] : values_) {
            if (key != lock.key && !key.starts_with(lock.key + ".")) continue;
            const auto own = std::find_if(list.begin(), list.end(), [](const Setting& setting) {
                return setting.rank == Rank::organisation_config || setting.rank == Rank::locked;
            });
            // Entries of an array of tables are one value: the user's further ones go as well.
            const bool of_array = key.find_first_of("0123456789", lock.key.size()) == lock.key.size() + 1;
            if (own == list.end() && !of_array) continue;
            has_value = true;
            for (const auto& setting : list) {
                if (setting.rank == Rank::environment || setting.rank == Rank::standard_environment ||
                    setting.rank == Rank::user_config) {
                    if (own == list.end() || !same_value(setting.value, own->value))
                        overrule(of_array ? lock.key : key, setting, lock);
                }
            }
            if (own == list.end()) {
                list.clear();
                continue;
            }
            Setting value = *own;
            // The order of arrays goes by the file that they stand in.
            if (!of_array) value.rank = Rank::locked;
            list = {std::move(value)};
        }
        if (!has_value)
            warnings_.push_back(lock.origin + ": 'locked' names '" + lock.key +
                                "', which has no value in this file");
        const std::vector<std::string> others =
            lock.key == "workspace" ? std::vector<std::string>{"gateway", "proxy.upstream"}
            : lock.key == "gateway" ? std::vector<std::string>{"proxy.upstream"}
                                    : std::vector<std::string>{};
        for (const auto& other : others) {
            if (!has_value || set_here(other)) continue;
            closed_[other] = lock.key;
            const auto found = values_.find(other);
            if (found == values_.end()) continue;
            for (const auto& setting : found->second) {
                if (setting.rank != Rank::flag && setting.rank != Rank::remembered)
                    overrule(other, setting, lock);
            }
            found->second.clear();
        }
    }
    std::erase_if(values_, [](const auto& item) { return item.second.empty(); });
    for (const auto& [key, value] : flags) {
        const auto dot = key.rfind('.');
        const std::string flag =
            "--" + replace_all(dot == std::string::npos ? key : key.substr(dot + 1), "_", "-");
        if (auto wrong = refuse_flag(key, flag, value)) return fail(std::move(*wrong));
    }
    return {};
}

void Settings::overrule(const std::string& key, const Setting& setting, const Lock& lock) {
    warnings_.push_back(setting.origin + " is ignored: " + lock.key + " is locked by " + lock.origin);
    const bool known = std::any_of(overruled_.begin(), overruled_.end(), [&](const Overruled& other) {
        return other.key == key && other.setting.rank == setting.rank && other.setting.file == setting.file &&
               !setting.file.empty();
    });
    if (!known) overruled_.push_back({key, setting, lock.key, lock.origin});
}

Error Settings::refused(std::string_view key, std::string_view flag) const {
    const auto found = values_.find(key);
    const std::string where =
        found == values_.end() ? organisation_file_ : std::string(found->second.front().origin);
    return {ErrorKind::usage,
            std::string(flag) + " cannot be used here",
            std::string(key) + " is locked by " + where +
                (found == values_.end() ? std::string() : ": " + found->second.front().value),
            "leave " + std::string(flag) + " out, or ask " +
                (contact_.empty() ? "whoever maintains " + organisation_file_ : contact_),
            {}};
}

std::optional<Error> Settings::refuse_flag(std::string_view key, std::string_view flag,
                                           std::string_view value) const {
    if (const auto closed = closed_.find(key); closed != closed_.end()) return refused(closed->second, flag);
    const auto found = values_.find(key);
    if (found == values_.end() || found->second.front().rank != Rank::locked ||
        same_value(found->second.front().value, value))
        return std::nullopt;
    return refused(key, flag);
}

std::vector<std::pair<std::string, Setting>> Settings::locked() const {
    std::vector<std::pair<std::string, Setting>> result;
    for (const auto& [key, list] : values_)
        if (list.front().rank == Rank::locked) result.emplace_back(key, list.front());
    return result;
}

std::optional<Setting> Settings::find(std::string_view key) const {
    const auto found = values_.find(key);
    if (found == values_.end()) return std::nullopt;
    return found->second.front();
}

std::vector<Setting> Settings::all(std::string_view key) const {
    const auto found = values_.find(key);
    return found == values_.end() ? std::vector<Setting>{} : found->second;
}

std::vector<std::string> Settings::keys_below(std::string_view prefix) const {
    std::vector<std::string> keys;
    for (auto at = values_.lower_bound(prefix); at != values_.end() && at->first.starts_with(prefix); ++at)
        keys.push_back(at->first);
    return keys;
}

Result<void> remember(const std::map<std::string, std::string>& values,
                      const system::Environment& environment, system::FileSystem& files) {
    const auto directory = system::state_directory(environment);
    if (!directory) return fail(directory.error());
    auto root = nlohmann::json::object();
    for (const auto& [key, value] : values) {
        if (!value.empty()) root[key] = value;
    }
    const std::string text = root.dump(2) + "\n";
    const system::Path path = *directory / "remembered.json";
    if (const auto status = files.status(path); status && status->kind == system::FileKind::regular) {
        if (const auto old = files.read(path, config_limit_bytes); old && *old == text) return {};
    }
    if (auto made = files.make_directories(*directory, 0700); !made) return made;
    return files.write(path, text, 0600);
}

} // namespace dbx::state
