#include "core/databricks/config_file.hpp"

#include "core/base/strings.hpp"

#include <algorithm>

namespace dbx::databricks {

namespace {

constexpr std::uint64_t config_limit_bytes = 1U << 20U;
constexpr std::string_view settings_name = "__settings__";

bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

// Where a comment after a value begins: a '#' with white space before it. A '#' inside a word is part of a
// secret.
std::size_t comment_start(std::string_view value) {
    for (std::size_t i = 0; i < value.size(); ++i) {
        if (value[i] == '#' && (i == 0 || is_blank(value[i - 1]))) return i;
    }
    return std::string_view::npos;
}

std::string read_value(std::string_view text) {
    text = trim(text);
    if (text.size() >= 2 && (text[0] == '"' || text[0] == '\'')) {
        const auto close = text.find(text[0], 1);
        const auto after =
            close == std::string_view::npos ? std::string_view() : trim(text.substr(close + 1));
        if (close != std::string_view::npos && (after.empty() || after[0] == '#'))
            return std::string(text.substr(1, close - 1));
    }
    return std::string(trim(text.substr(0, comment_start(text))));
}

void add(ConfigProfile& profile, ConfigEntry entry) {
    for (const auto& known : profile.entries) {
        if (known.key == entry.key && known.value != entry.value && profile.problem.empty())
            profile.problem = "it has '" + entry.key + "' twice with different values, in line " +
                              std::to_string(known.line) + " and in line " + std::to_string(entry.line);
    }
    profile.entries.push_back(std::move(entry));
}

} // namespace

const std::string* ConfigProfile::find(std::string_view key) const {
    const auto found =
        std::find_if(entries.begin(), entries.end(), [&](const auto& e) { return e.key == key; });
    return found == entries.end() || found->value.empty() ? nullptr : &found->value;
}

const ConfigProfile* ConfigFile::find(std::string_view name) const {
    const auto found =
        std::find_if(profiles.begin(), profiles.end(), [&](const auto& p) { return p.name == name; });
    return found == profiles.end() ? nullptr : &*found;
}

std::vector<std::string> ConfigFile::names() const {
    std::vector<std::string> result;
    for (const auto& profile : profiles) result.push_back(profile.name);
    return result;
}

Result<ConfigFile> parse_config_file(std::string_view text, std::string_view shown) {
    int number = 0;
    const auto refuse = [&](std::string why) {
        return fail(ErrorKind::credential,
                    "cannot read " + std::string(shown) + ": it is not a valid profile file",
                    "line " + std::to_string(number) + ": " + std::move(why),
                    "correct that line; 'databricks auth profiles' reads the same file");
    };
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    if (text.find('\0') != std::string_view::npos || text.starts_with("\xFF\xFE") ||
        text.starts_with("\xFE\xFF"))
        return fail(ErrorKind::credential,
                    "cannot read " + std::string(shown) + ": it is not a text file in UTF-8",
                    "it holds NUL bytes or a UTF-16 byte-order mark", "save it as UTF-8");

    ConfigFile file;
    ConfigProfile settings;
    settings.name = settings_name;
    ConfigProfile* current = nullptr;
    const auto open = [&](std::string_view name) {
        if (name == settings_name) {
            current = &settings;
            return;
        }
        for (auto& known : file.profiles) {
            if (known.name == name) {
                current = &known;
                return;
            }
        }
        file.profiles.push_back({std::string(name), number, {}, {}});
        current = &file.profiles.back();
    };

    for (const auto& raw : split(text, '\n')) {
        ++number;
        const auto line = trim(raw);
        if (line.empty() || line[0] == '#' || line[0] == ';') continue;
        if (line[0] == '[') {
            const auto close = line.find(']');
            if (close == std::string_view::npos) return refuse("a section header without its ']'");
            const auto name = trim(line.substr(1, close - 1));
            if (name.empty()) return refuse("a section header without a name");
            const auto after = trim(line.substr(close + 1));
            if (!after.empty() && after[0] != '#' && after[0] != ';')
                return refuse("text after a section header");
            open(name);
            continue;
        }
        const auto separator = line.find_first_of("=:");
        if (separator == std::string_view::npos)
            return refuse("neither a [section], nor a key with '=' and a value, nor a comment");
        const auto key = trim(line.substr(0, separator));
        if (key.empty()) return refuse("a value without a key");
        if (current == nullptr) open("DEFAULT");
        add(*current, {to_lower(key), read_value(line.substr(separator + 1)), number});
    }
    if (const auto* name = settings.find("default_profile")) file.default_profile = *name;
    return file;
}

system::Path config_file_path(const system::Environment& environment, const system::Path& home) {
    const auto named = environment.get("DATABRICKS_CONFIG_FILE").value_or("");
    if (named.empty()) return home / ".databrickscfg";
    if (named.starts_with("~/")) return home / named.substr(2);
    if (named[0] == '/') return named;
    return environment.working_directory() / named;
}

Result<ConfigFile> read_config_file(const system::Environment& environment, system::FileSystem& files,
                                    const system::Path& home, bool must_exist) {
    const auto path = config_file_path(environment, home);
    std::string shown = path.string();
    if (const auto prefix = home.string() + "/"; home.string().size() > 1 && shown.starts_with(prefix))
        shown = "~/" + shown.substr(prefix.size());
    const auto refuse = [&](const Error& error) {
        return fail(ErrorKind::credential, "cannot read " + shown, error.why.empty() ? error.what : error.why,
                    error.fix);
    };
    const auto status = files.status(path);
    if (!status) return refuse(status.error());
    if (status->kind == system::FileKind::missing) {
        if (!must_exist) return ConfigFile{};
        return fail(ErrorKind::credential, "cannot read " + shown, "it does not exist",
                    "run: databricks auth login");
    }
    const auto text = files.read(path, config_limit_bytes);
    if (!text) return refuse(text.error());
    return parse_config_file(*text, shown);
}

} // namespace dbx::databricks
