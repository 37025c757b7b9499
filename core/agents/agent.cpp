#include "core/agents/agent.hpp"

#include "core/base/strings.hpp"
#include "templates/builtin.hpp"

#include <algorithm>
#include <set>

namespace dbx::agents {

namespace {

using edit::Value;

constexpr std::uint64_t template_limit_bytes = 1U << 20;

constexpr std::pair<FileFormat, std::string_view> format_names[] = {{FileFormat::toml, "toml"},
                                                                    {FileFormat::json, "json"},
                                                                    {FileFormat::jsonc, "jsonc"},
                                                                    {FileFormat::dotenv, "dotenv"},
                                                                    {FileFormat::text, "text"}};

const std::vector<std::string> auth_forms = {"helper", "pat", "env", "proxy"};

// Reads a table of agent.toml and remembers the first thing that is wrong with it.
class Reader {
  public:
    Reader(const edit::Document& document, std::string place)
        : document_(document)
        , place_(std::move(place)) {}

    void complain(const edit::KeyPath& path, const std::string& why) {
        if (error_) return;
        const auto at = document_.position(path);
        error_ = Error{ErrorKind::usage,
                       "cannot use the template " + place_ + ":" + std::to_string(at ? at->line : 1),
                       why,
                       "correct it, or move the folder away to get the built-in template back",
                       {}};
    }

    void known_keys(const Value& table, const edit::KeyPath& path, const std::vector<std::string>& known) {
        for (const auto& item : table.items()) {
            if (std::find(known.begin(), known.end(), item.key()) != known.end()) continue;
            const std::string near = nearest(item.key(), known);
            complain(child(path, item.key()), "there is no key '" + item.key() + "'" +
                                                  (near.empty() ? "" : "; did you mean '" + near + "'?"));
        }
    }

    std::string text(const Value& table, const edit::KeyPath& path, const std::string& key,
                     bool required = false) {
        if (!table.contains(key)) {
            if (required) complain(path, "the key '" + key + "' is missing");
            return {};
        }
        if (!table[key].is_string()) {
            complain(child(path, key), "'" + key + "' must be a string");
            return {};
        }
        return table[key].get<std::string>();
    }

    bool flag(const Value& table, const edit::KeyPath& path, const std::string& key, bool otherwise) {
        if (!table.contains(key)) return otherwise;
        if (!table[key].is_boolean()) complain(child(path, key), "'" + key + "' must be true or false");
        return table[key].is_boolean() ? table[key].get<bool>() : otherwise;
    }

    // A string or an array of strings.
    std::vector<std::string> texts(const Value& table, const edit::KeyPath& path, const std::string& key) {
        std::vector<std::string> result;
        if (!table.contains(key)) return result;
        const Value& value = table[key];
        if (value.is_string()) return {value.get<std::string>()};
        if (value.is_array()) {
            for (const auto& element : value) {
                if (element.is_string()) {
                    result.push_back(element.get<std::string>());
                } else {
                    complain(child(path, key), "'" + key + "' must hold strings");
                }
            }
            return result;
        }
        complain(child(path, key), "'" + key + "' must be a string or an array of strings");
        return result;
    }

    std::vector<edit::KeyPath> key_paths(const Value& table, const edit::KeyPath& path,
                                         const std::string& key) {
        std::vector<edit::KeyPath> result;
        for (const auto& item : texts(table, path, key)) {
            result.push_back(edit::parse_key_path(item));
            if (result.back().empty()) complain(child(path, key), "'" + item + "' is not a key");
        }
        return result;
    }

    Condition condition(const Value& table, const edit::KeyPath& path) {
        Condition result;
        if (!table.contains("when")) return result;
        const edit::KeyPath here = child(path, "when");
        if (!table["when"].is_object()) {
            complain(here, "'when' must be a table");
            return result;
        }
        known_keys(table["when"], here, {"auth", "gateway", "claude_betas"});
        for (const auto& item : table["when"].items())
            result[item.key()] = texts(table["when"], here, item.key());
        return result;
    }

    // Runs `use(table, path)` for each table of an array of tables.
    template <class Use>
    void each(const Value& table, const std::string& key, Use use) {
        if (!table.contains(key)) return;
        if (!table[key].is_array()) {
            complain({key}, "'" + key + "' must be an array of tables: [[" + key + "]]");
            return;
        }
        std::size_t index = 0;
        for (const auto& item : table[key]) {
            const edit::KeyPath path = {key, std::to_string(index++)};
            if (!item.is_object()) {
                complain({key}, "'" + key + "' must be an array of tables: [[" + key + "]]");
                return;
            }
            use(item, path);
        }
    }

    static edit::KeyPath child(edit::KeyPath path, const std::string& key) {
        path.push_back(key);
        return path;
    }

    const std::optional<Error>& error() const { return error_; }

  private:
    const edit::Document& document_;
    std::string place_;
    std::optional<Error> error_;
};

// Calls `use(name)` for every {{name}} in a text.
template <class Use>
void each_placeholder(std::string_view text, Use use) {
    for (std::size_t at = 0; (at = text.find("{{", at)) != std::string_view::npos;) {
        const auto end = text.find("}}", at);
        if (end == std::string_view::npos) return;
        use(std::string(text.substr(at + 2, end - at - 2)));
        at = end + 2;
    }
}

bool is_known_placeholder(const Agent& agent, const std::string& name) {
    const auto& names = placeholder_names();
    if (std::find(names.begin(), names.end(), name) != names.end()) return true;
    return name.rfind("model.", 0) == 0 && agent.models.contains(name.substr(6));
}

void flatten(const Value& value, edit::KeyPath& path, std::vector<Leaf>& out) {
    if (value.is_object()) {
        for (const auto& item : value.items()) {
            path.push_back(item.key());
            flatten(item.value(), path, out);
            path.pop_back();
        }
        return;
    }
    out.push_back({path, value, false});
}

Value fill(const Value& value, const Variables& variables, bool& secret, std::string& unknown) {
    if (value.is_array()) {
        Value result = Value::array();
        for (const auto& element : value) result.push_back(fill(element, variables, secret, unknown));
        return result;
    }
    if (value.is_object()) {
        Value result = Value::object();
        for (const auto& item : value.items())
            result[item.key()] = fill(item.value(), variables, secret, unknown);
        return result;
    }
    if (!value.is_string()) return value;
    const auto text = value.get<std::string>();
    const auto lookup = [&](const std::string& name) -> const Value* {
        const auto found = variables.values.find(name);
        if (found == variables.values.end()) {
            if (unknown.empty()) unknown = name;
            return nullptr;
        }
        if (std::find(variables.secrets.begin(), variables.secrets.end(), name) != variables.secrets.end())
            secret = true;
        return &found->second;
    };
    if (text.rfind("{{", 0) == 0 && text.find("}}") == text.size() - 2 &&
        text.find("{{", 2) == std::string::npos) {
        const Value* variable = lookup(text.substr(2, text.size() - 4));
        return variable ? *variable : value;
    }
    // One pass: what a variable brings in is never searched for placeholders.
    std::string result;
    std::size_t at = 0;
    while (true) {
        const auto begin = text.find("{{", at);
        const auto end = begin == std::string::npos ? begin : text.find("}}", begin);
        if (end == std::string::npos) break;
        result += text.substr(at, begin - at);
        if (const Value* variable = lookup(text.substr(begin + 2, end - begin - 2));
            variable && variable->is_string())
            result += variable->get<std::string>();
        at = end + 2;
    }
    return result + text.substr(at);
}

} // namespace

bool holds(const Condition& condition, const Facts& facts) {
    return std::all_of(condition.begin(), condition.end(), [&](const auto& item) {
        const auto fact = facts.find(item.first);
        return fact != facts.end() &&
               std::find(item.second.begin(), item.second.end(), fact->second) != item.second.end();
    });
}

std::string to_string(FileFormat format) {
    for (const auto& [value, name] : format_names)
        if (value == format) return std::string(name);
    return {};
}

std::optional<FileFormat> file_format(std::string_view name) {
    for (const auto& [value, known] : format_names)
        if (known == name) return value;
    return std::nullopt;
}

std::optional<edit::Format> edit_format(FileFormat format) {
    switch (format) {
    case FileFormat::toml:
        return edit::Format::toml;
    case FileFormat::json:
        return edit::Format::json;
    case FileFormat::jsonc:
        return edit::Format::jsonc;
    case FileFormat::dotenv:
        return edit::Format::dotenv;
    case FileFormat::text:
        break;
    }
    return std::nullopt;
}

const AgentFile* Agent::file(std::string_view file_name) const {
    const auto found =
        std::find_if(files.begin(), files.end(), [&](const AgentFile& f) { return f.name == file_name; });
    return found == files.end() ? nullptr : &*found;
}

bool Agent::has_files_for(Scope scope) const {
    return std::any_of(files.begin(), files.end(), [&](const AgentFile& f) { return f.scope == scope; });
}

const std::vector<std::string>& placeholder_names() {
    static const std::vector<std::string> names = {
        "gateway",   "route",       "workspace",      "model",        "token",
        "local_key", "helper.args", "helper.command", "helper.shell", "config"};
    return names;
}

Result<Agent> read_agent(std::string name, std::string origin, std::map<std::string, std::string> documents) {
    Agent agent;
    agent.name = std::move(name);
    agent.origin = std::move(origin);
    agent.documents = std::move(documents);
    const std::string place = (agent.origin == "built-in" ? agent.name : agent.origin) + "/agent.toml";

    const auto text = agent.documents.find("agent.toml");
    if (text == agent.documents.end())
        return fail(ErrorKind::usage, "cannot use the template folder " + agent.origin,
                    "it has no agent.toml", "see 'dbx-agents templates export codex' for an example");
    const auto document = edit::Document::parse(edit::Format::toml, text->second);
    if (!document)
        return fail(ErrorKind::usage, "cannot use the template " + place + ": " + document.error().what,
                    document.error().why, "correct that line, or move the folder away");
    const Value root = (*document)->value();
    Reader reader(**document, place);

    reader.known_keys(root, {},
                      {"format", "display_name", "always", "order", "loopback", "route", "auth",
                       "token_variable", "program", "home", "models", "requires", "file", "part", "shadow",
                       "warn", "note"});
    if (!root.contains("format") || root["format"] != 1)
        reader.complain({"format"}, "the first key must be 'format = 1': this program reads no other format");
    agent.display_name = reader.text(root, {}, "display_name", true);
    agent.always = reader.flag(root, {}, "always", false);
    agent.loopback = reader.flag(root, {}, "loopback", true);
    agent.route = reader.text(root, {}, "route");
    agent.token_variable = reader.text(root, {}, "token_variable");
    if (root.contains("order")) {
        if (root["order"].is_number_integer()) {
            agent.order = root["order"].get<int>();
        } else {
            reader.complain({"order"}, "'order' must be a whole number");
        }
    }
    agent.auth = reader.texts(root, {}, "auth");
    for (const auto& form : agent.auth) {
        if (std::find(auth_forms.begin(), auth_forms.end(), form) == auth_forms.end())
            reader.complain({"auth"}, "'" + form + "' is not one of helper, pat, env, proxy");
    }
    if (agent.auth.empty())
        reader.complain({"auth"}, "'auth' must list at least one of helper, pat, env, proxy");

    const auto table = [&](const std::string& key) -> Value {
        if (!root.contains(key)) return Value::object();
        if (root[key].is_object()) return root[key];
        reader.complain({key}, "'" + key + "' must be a table");
        return Value::object();
    };
    const Value program = table("program");
    reader.known_keys(program, {"program"}, {"name", "npm", "bad"});
    agent.program = reader.text(program, {"program"}, "name");
    agent.npm_package = reader.text(program, {"program"}, "npm");
    if (program.contains("bad")) {
        const edit::KeyPath path = {"program", "bad"};
        if (program["bad"].is_object()) {
            reader.known_keys(program["bad"], path, {"from", "below", "text"});
            agent.bad_versions.push_back({reader.text(program["bad"], path, "from", true),
                                          reader.text(program["bad"], path, "below", true),
                                          reader.text(program["bad"], path, "text", true)});
        } else {
            reader.complain(path, "'bad' must be a table");
        }
    }
    const Value home = table("home");
    reader.known_keys(home, {"home"}, {"path", "variable", "below"});
    agent.home = reader.text(home, {"home"}, "path", true);
    agent.home_variable = reader.text(home, {"home"}, "variable");
    agent.home_below = reader.text(home, {"home"}, "below");
    const Value models = table("models");
    for (const auto& item : models.items())
        agent.models[item.key()] = reader.text(models, {"models"}, item.key());
    if (!agent.models.contains("main")) reader.complain({"models"}, "[models] must have a 'main'");

    reader.each(root, "requires", [&](const Value& item, const edit::KeyPath& path) {
        reader.known_keys(item, path, {"auth", "version"});
        agent.requirements.push_back(
            {reader.text(item, path, "auth", true), reader.text(item, path, "version", true)});
    });
    reader.each(root, "file", [&](const Value& item, const edit::KeyPath& path) {
        reader.known_keys(item, path, {"name", "path", "scope", "format", "print"});
        AgentFile file;
        file.name = reader.text(item, path, "name", true);
        file.path = reader.text(item, path, "path", true);
        file.print = reader.flag(item, path, "print", false);
        if (item.contains("scope")) {
            const auto scope = reader.text(item, path, "scope");
            if (scope != "user" && scope != "managed")
                reader.complain(Reader::child(path, "scope"), "'scope' must be user or managed");
            file.scope = scope == "managed" ? Scope::managed : Scope::user;
            if (file.scope == Scope::managed && !file.path.starts_with('/'))
                reader.complain(Reader::child(path, "path"), "a managed file's path must be absolute");
        }
        if (const auto format = file_format(reader.text(item, path, "format", true))) {
            file.format = *format;
        } else {
            reader.complain(Reader::child(path, "format"),
                            "'format' must be toml, json, jsonc, dotenv or text");
        }
        agent.files.push_back(std::move(file));
    });
    if (agent.files.empty()) reader.complain({"file"}, "there must be at least one [[file]]");
    const auto need_file = [&](const std::string& file, const edit::KeyPath& path) {
        if (!agent.file(file))
            reader.complain(Reader::child(path, "file"), "there is no [[file]] named '" + file + "'");
    };
    reader.each(root, "part", [&](const Value& item, const edit::KeyPath& path) {
        reader.known_keys(item, path, {"file", "when", "document", "remove", "merge", "only_present", "why"});
        Part part;
        part.file = reader.text(item, path, "file", true);
        need_file(part.file, path);
        part.when = reader.condition(item, path);
        part.document = reader.text(item, path, "document");
        if (!part.document.empty() && !agent.documents.contains(part.document))
            reader.complain(Reader::child(path, "document"),
                            "there is no document " + part.document + " in this folder");
        part.remove = reader.key_paths(item, path, "remove");
        part.why = reader.text(item, path, "why");
        part.only_present = reader.flag(item, path, "only_present", false);
        if (item.contains("merge")) {
            const edit::KeyPath here = Reader::child(path, "merge");
            const Value merge = item["merge"].is_object() ? item["merge"] : Value::object();
            if (!item["merge"].is_object()) reader.complain(here, "'merge' must be a table");
            for (const auto& rule : merge.items()) {
                const auto kind = reader.text(merge, here, rule.key());
                const Join join = kind == "lines"    ? Join::lines
                                  : kind == "append" ? Join::append
                                                     : Join::entries;
                if (kind != "lines" && kind != "append" && kind != "entries")
                    reader.complain(Reader::child(here, rule.key()),
                                    "must be \"lines\", \"entries\" or \"append\"");
                part.merge[edit::to_string(edit::parse_key_path(rule.key()))] = join;
            }
        }
        agent.parts.push_back(std::move(part));
    });
    reader.each(root, "shadow", [&](const Value& item, const edit::KeyPath& path) {
        reader.known_keys(item, path, {"file", "by", "path", "format", "only", "whole", "title"});
        Shadow shadow;
        shadow.file = reader.text(item, path, "file", true);
        need_file(shadow.file, path);
        const auto by = reader.text(item, path, "by", true);
        constexpr std::pair<std::string_view, Shadow::By> kinds[] = {
            {"file", Shadow::By::file},
            {"folder", Shadow::By::folder},
            {"directory", Shadow::By::directory},
            {"project", Shadow::By::project},
            {"environment", Shadow::By::environment}};
        const auto kind =
            std::find_if(std::begin(kinds), std::end(kinds), [&](const auto& k) { return k.first == by; });
        if (kind == std::end(kinds)) {
            reader.complain(Reader::child(path, "by"),
                            "'by' must be file, folder, directory, project or environment");
        } else {
            shadow.by = kind->second;
        }
        shadow.path = reader.text(item, path, "path", shadow.by != Shadow::By::environment);
        shadow.format = file_format(reader.text(item, path, "format")).value_or(FileFormat::toml);
        shadow.only = reader.key_paths(item, path, "only");
        shadow.whole = reader.flag(item, path, "whole", false);
        shadow.title = reader.text(item, path, "title", true);
        agent.shadows.push_back(std::move(shadow));
    });
    reader.each(root, "warn", [&](const Value& item, const edit::KeyPath& path) {
        reader.known_keys(item, path, {"file", "key", "environment", "unless", "when", "text"});
        Warning warning;
        warning.environment = reader.text(item, path, "environment");
        if (warning.environment.empty()) {
            warning.file = reader.text(item, path, "file", true);
            need_file(warning.file, path);
            warning.key = edit::parse_key_path(reader.text(item, path, "key", true));
        }
        warning.has_unless = item.contains("unless");
        warning.unless = reader.texts(item, path, "unless");
        warning.when = reader.condition(item, path);
        warning.text = reader.text(item, path, "text", true);
        agent.warnings.push_back(std::move(warning));
    });
    reader.each(root, "note", [&](const Value& item, const edit::KeyPath& path) {
        reader.known_keys(item, path, {"when", "text"});
        agent.notes.push_back({reader.condition(item, path), reader.text(item, path, "text", true)});
    });
    if (reader.error()) return fail(*reader.error());

    // Every document must parse, and every placeholder must be one that will be filled.
    std::set<std::string> checked;
    for (const auto& part : agent.parts) {
        if (part.document.empty() || !checked.insert(part.document).second) continue;
        const std::string& body = agent.documents.at(part.document);
        const std::string where =
            (agent.origin == "built-in" ? agent.name : agent.origin) + "/" + part.document;
        if (const auto format = edit_format(agent.file(part.file)->format)) {
            if (const auto parsed = edit::Document::parse(*format, body); !parsed)
                return fail(ErrorKind::usage, "cannot use the template " + where + ": " + parsed.error().what,
                            parsed.error().why, "correct that line, or move the folder away");
        }
        std::size_t line = 0;
        for (const auto& row : split(body, '\n')) {
            ++line;
            std::string bad;
            each_placeholder(row, [&](const std::string& placeholder) {
                if (bad.empty() && !is_known_placeholder(agent, placeholder)) bad = placeholder;
            });
            if (!bad.empty())
                return fail(ErrorKind::usage, "cannot use the template " + where + ":" + std::to_string(line),
                            "there is no placeholder {{" + bad + "}}",
                            "use one of: " + join(placeholder_names(), ", ") +
                                ", model.NAME for a name in [models]");
        }
    }
    return agent;
}

const Agent* Catalogue::find(std::string_view name) const {
    const auto found =
        std::find_if(agents.begin(), agents.end(), [&](const Agent& agent) { return agent.name == name; });
    return found == agents.end() ? nullptr : &*found;
}

std::vector<std::string> Catalogue::names() const {
    std::vector<std::string> result;
    for (const auto& agent : agents) result.push_back(agent.name);
    return result;
}

Result<system::Path> user_templates(const system::Environment& environment) {
    auto directory = system::config_directory(environment);
    if (!directory) return directory;
    return *directory / "templates";
}

Result<Catalogue> load_catalogue(const system::Environment& environment, system::FileSystem& files) {
    std::map<std::string, std::pair<std::string, std::map<std::string, std::string>>> folders;
    for (const auto& file : templates::builtin_files()) {
        auto& folder = folders[std::string(file.folder)];
        folder.first = "built-in";
        folder.second[std::string(file.name)] = std::string(file.text);
    }
    folders.erase("sql");

    const auto own = user_templates(environment);
    if (!own) return fail(own.error());
    const auto names = files.list(*own);
    if (!names) return fail(names.error());
    for (const auto& name : *names) {
        const auto path = *own / name;
        const auto status = files.status(path);
        if (!status) return fail(status.error());
        if (status->kind != system::FileKind::directory || name.empty() || name.front() == '.') continue;
        auto& folder = folders[name];
        folder.first = system::display_path(environment, path);
        folder.second.clear();
        const auto documents = files.list(path);
        if (!documents) return fail(documents.error());
        for (const auto& document : *documents) {
            const auto kind = files.status(path / document);
            if (!kind || kind->kind != system::FileKind::regular) continue;
            auto text = files.read(path / document, template_limit_bytes);
            if (!text) return fail(text.error());
            folder.second[document] = std::move(*text);
        }
    }

    Catalogue catalogue;
    for (auto& [name, folder] : folders) {
        auto agent = read_agent(name, folder.first, std::move(folder.second));
        if (agent) {
            catalogue.agents.push_back(std::move(*agent));
        } else {
            catalogue.broken.emplace(name, agent.error()); // its own agent's problem, nobody else's
        }
    }
    std::stable_sort(catalogue.agents.begin(), catalogue.agents.end(),
                     [](const Agent& a, const Agent& b) { return a.order < b.order; });
    return catalogue;
}

Result<system::Path> home_of(const Agent& agent, const system::Environment& environment) {
    if (!agent.home_variable.empty()) {
        if (const auto value = environment.get(agent.home_variable); value && !value->empty()) {
            system::Path path = *value;
            if (path.is_relative()) path = environment.working_directory() / path;
            return agent.home_below.empty() ? path : path / agent.home_below;
        }
    }
    if (agent.home == "{{config}}") return system::config_directory(environment);
    if (agent.home.rfind("~/", 0) == 0) {
        auto home = system::home_directory(environment);
        if (!home) return home;
        return *home / agent.home.substr(2);
    }
    return system::Path(agent.home);
}

Result<system::Path> path_of(const Agent& agent, const AgentFile& file,
                             const system::Environment& environment) {
    auto home = home_of(agent, environment);
    if (!home) return home;
    return *home / file.path;
}

Result<std::vector<Leaf>> render(const Agent& agent, const std::string& document, edit::Format format,
                                 const Variables& variables) {
    const auto parsed = edit::Document::parse(format, agent.documents.at(document));
    if (!parsed) return fail(parsed.error());
    std::vector<Leaf> leaves;
    edit::KeyPath path;
    flatten((*parsed)->value(), path, leaves);
    for (auto& leaf : leaves) {
        std::string unknown;
        leaf.value = fill(leaf.value, variables, leaf.secret, unknown);
        if (!unknown.empty())
            return fail(ErrorKind::failed, "cannot fill the template " + agent.name + "/" + document,
                        "nothing is known for {{" + unknown + "}} in this situation");
    }
    return leaves;
}

Result<std::string> render_text(const Agent& agent, const std::string& document, const Variables& variables) {
    bool secret = false;
    std::string unknown;
    const Value filled = fill(Value(agent.documents.at(document)), variables, secret, unknown);
    if (!unknown.empty())
        return fail(ErrorKind::failed, "cannot fill the template " + agent.name + "/" + document,
                    "nothing is known for {{" + unknown + "}} in this situation");
    return filled.get<std::string>();
}

} // namespace dbx::agents
