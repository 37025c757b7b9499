#include "core/agents/read_agent.hpp"

#include "core/agents/render.hpp"
#include "core/agents/table_reader.hpp"
#include "core/base/strings.hpp"

#include <algorithm>
#include <set>

namespace dbx::agents {

namespace {

using edit::Value;

const std::vector<std::string> auth_forms = {"helper", "pat", "env", "proxy"};

bool is_known_placeholder(const Agent& agent, const std::string& name) {
    const auto& names = placeholder_names();
    if (std::find(names.begin(), names.end(), name) != names.end()) return true;
    if (agent.run &&
        (name == "no_proxy" || (name.rfind("run.", 0) == 0 && agent.run->files.contains(name.substr(4)))))
        return true;
    return name.rfind("model.", 0) == 0 && agent.models.contains(name.substr(6));
}

bool is_secret_placeholder(const std::string& name) {
    return name == "token" || name == "local_key";
}

RunForm read_run(TableReader& reader, const Value& table, const Agent& agent) {
    const edit::KeyPath here = {"run"};
    RunForm run;
    reader.known_keys(table, here,
                      {"arguments", "unset", "reserved", "home", "environment", "files", "options"});
    const auto need_document = [&](const std::string& document, const edit::KeyPath& path) {
        if (!agent.documents.contains(document))
            reader.complain(path, "there is no document " + document + " in this folder");
    };
    const auto below = [&](const std::string& key) -> Value {
        if (!table.contains(key)) return Value::object();
        if (table[key].is_object()) return table[key];
        reader.complain(TableReader::child(here, key), "'" + key + "' must be a table");
        return Value::object();
    };
    run.arguments = reader.texts(table, here, "arguments");
    run.unset = reader.texts(table, here, "unset");
    run.reserved = reader.texts(table, here, "reserved");
    run.home = reader.texts(table, here, "home");
    for (const auto& file : run.home) {
        if (!agent.file(file))
            reader.complain(TableReader::child(here, "home"), "there is no [[file]] named '" + file + "'");
        else if (agent.file(file)->path.find('/') != std::string::npos)
            reader.complain(TableReader::child(here, "home"), "'" + file + "' is in a folder below the home");
    }
    if (!run.home.empty() && agent.home_variable.empty())
        reader.complain(TableReader::child(here, "home"), "[home] has no 'variable' to name it with");
    const Value files = below("files");
    for (const auto& item : files.items()) {
        run.files[item.key()] = reader.text(files, {"run", "files"}, item.key());
        need_document(run.files[item.key()], {"run", "files", item.key()});
    }
    const auto check = [&](const std::string& text, const edit::KeyPath& path, bool secrets) {
        each_placeholder(text, [&](const std::string& name) {
            if (!is_known_placeholder(agent, name) && name != "no_proxy" &&
                !(name.rfind("run.", 0) == 0 && run.files.contains(name.substr(4))))
                reader.complain(path, "there is no placeholder {{" + name + "}}");
            if (!secrets && is_secret_placeholder(name))
                reader.complain(path, "{{" + name + "}} is a secret, and an argument can be read by others");
        });
    };
    for (const auto& argument : run.arguments) check(argument, TableReader::child(here, "arguments"), false);
    const Value environment = below("environment");
    for (const auto& item : environment.items()) {
        const edit::KeyPath path = {"run", "environment", item.key()};
        RunForm::Variable& variable = run.environment[item.key()];
        if (item.value().is_object()) {
            reader.known_keys(item.value(), path, {"document"});
            variable.document = reader.text(item.value(), path, "document", true);
            need_document(variable.document, path);
        } else {
            variable.value = reader.text(environment, {"run", "environment"}, item.key());
            check(variable.value, path, true);
        }
    }
    const Value options = below("options");
    for (const auto& item : options.items()) {
        const auto document = reader.text(options, {"run", "options"}, item.key());
        need_document(document, {"run", "options", item.key()});
        run.options.push_back({item.key(), document});
    }
    return run;
}

void need_file(TableReader& reader, const Agent& agent, const std::string& file, const edit::KeyPath& path) {
    if (!agent.file(file))
        reader.complain(TableReader::child(path, "file"), "there is no [[file]] named '" + file + "'");
}

void read_program(TableReader& reader, const Value& program, Agent& agent) {
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
}

AgentFile read_file(TableReader& reader, const Value& item, const edit::KeyPath& path) {
    reader.known_keys(item, path, {"name", "path", "instead", "scope", "format", "print"});
    AgentFile file;
    file.name = reader.text(item, path, "name", true);
    file.path = reader.text(item, path, "path", true);
    file.instead = reader.text(item, path, "instead");
    file.print = reader.flag(item, path, "print", false);
    if (item.contains("scope")) {
        const auto scope = reader.text(item, path, "scope");
        if (scope != "user" && scope != "managed")
            reader.complain(TableReader::child(path, "scope"), "'scope' must be user or managed");
        file.scope = scope == "managed" ? Scope::managed : Scope::user;
        if (file.scope == Scope::managed && !file.path.starts_with('/'))
            reader.complain(TableReader::child(path, "path"), "a managed file's path must be absolute");
    }
    if (const auto format = file_format(reader.text(item, path, "format", true))) {
        file.format = *format;
    } else {
        reader.complain(TableReader::child(path, "format"),
                        "'format' must be toml, json, jsonc, dotenv or text");
    }
    return file;
}

Part read_part(TableReader& reader, const Value& item, const edit::KeyPath& path, const Agent& agent) {
    reader.known_keys(item, path,
                      {"file", "when", "document", "remove", "replace", "merge", "only_present", "why"});
    Part part;
    part.file = reader.text(item, path, "file", true);
    need_file(reader, agent, part.file, path);
    part.when = reader.condition(item, path);
    part.document = reader.text(item, path, "document");
    if (!part.document.empty() && !agent.documents.contains(part.document))
        reader.complain(TableReader::child(path, "document"),
                        "there is no document " + part.document + " in this folder");
    part.remove = reader.key_paths(item, path, "remove");
    part.replace = reader.key_paths(item, path, "replace");
    part.why = reader.text(item, path, "why");
    part.only_present = reader.flag(item, path, "only_present", false);
    if (item.contains("merge")) {
        const edit::KeyPath here = TableReader::child(path, "merge");
        const Value merge = item["merge"].is_object() ? item["merge"] : Value::object();
        if (!item["merge"].is_object()) reader.complain(here, "'merge' must be a table");
        for (const auto& rule : merge.items()) {
            const auto kind = reader.text(merge, here, rule.key());
            const Join join = kind == "lines" ? Join::lines : kind == "append" ? Join::append : Join::entries;
            if (kind != "lines" && kind != "append" && kind != "entries")
                reader.complain(TableReader::child(here, rule.key()),
                                "must be \"lines\", \"entries\" or \"append\"");
            part.merge[edit::to_string(edit::parse_key_path(rule.key()))] = join;
        }
    }
    return part;
}

Shadow read_shadow(TableReader& reader, const Value& item, const edit::KeyPath& path, const Agent& agent) {
    reader.known_keys(item, path, {"file", "by", "path", "format", "only", "whole", "title"});
    Shadow shadow;
    shadow.file = reader.text(item, path, "file", true);
    need_file(reader, agent, shadow.file, path);
    const auto by = reader.text(item, path, "by", true);
    constexpr std::pair<std::string_view, Shadow::By> kinds[] = {{"file", Shadow::By::file},
                                                                 {"folder", Shadow::By::folder},
                                                                 {"directory", Shadow::By::directory},
                                                                 {"project", Shadow::By::project},
                                                                 {"environment", Shadow::By::environment}};
    const auto kind =
        std::find_if(std::begin(kinds), std::end(kinds), [&](const auto& k) { return k.first == by; });
    if (kind == std::end(kinds)) {
        reader.complain(TableReader::child(path, "by"),
                        "'by' must be file, folder, directory, project or environment");
    } else {
        shadow.by = kind->second;
    }
    shadow.path = reader.text(item, path, "path", shadow.by != Shadow::By::environment);
    shadow.format = file_format(reader.text(item, path, "format")).value_or(FileFormat::toml);
    shadow.only = reader.key_paths(item, path, "only");
    shadow.whole = reader.flag(item, path, "whole", false);
    shadow.title = reader.text(item, path, "title", true);
    return shadow;
}

Warning read_warning(TableReader& reader, const Value& item, const edit::KeyPath& path, const Agent& agent) {
    reader.known_keys(item, path, {"file", "key", "environment", "unless", "when", "text"});
    Warning warning;
    warning.environment = reader.text(item, path, "environment");
    if (warning.environment.empty()) {
        warning.file = reader.text(item, path, "file", true);
        need_file(reader, agent, warning.file, path);
        warning.key = edit::parse_key_path(reader.text(item, path, "key", true));
    }
    warning.has_unless = item.contains("unless");
    warning.unless = reader.texts(item, path, "unless");
    warning.when = reader.condition(item, path);
    warning.text = reader.text(item, path, "text", true);
    return warning;
}

// Every document must parse, and every placeholder must be one that will be filled.
Result<void> check_documents(const Agent& agent) {
    const std::string folder = agent.origin == "built-in" ? agent.name : agent.origin;
    const auto check = [&](const std::string& file, std::optional<edit::Format> format,
                           bool secrets) -> Result<void> {
        const std::string& body = agent.documents.at(file);
        const std::string where = folder + "/" + file;
        if (format) {
            if (const auto parsed = edit::Document::parse(*format, body); !parsed)
                return fail(ErrorKind::usage, "cannot use the template " + where + ": " + parsed.error().what,
                            parsed.error().why, "correct that line, or move the folder away");
        }
        std::size_t line = 0;
        for (const auto& row : split(body, '\n')) {
            ++line;
            std::string bad, secret;
            each_placeholder(row, [&](const std::string& placeholder) {
                if (bad.empty() && !is_known_placeholder(agent, placeholder)) bad = placeholder;
                if (!secrets && is_secret_placeholder(placeholder)) secret = placeholder;
            });
            const std::string at = "cannot use the template " + where + ":" + std::to_string(line);
            if (!bad.empty())
                return fail(ErrorKind::usage, at, "there is no placeholder {{" + bad + "}}",
                            "use one of: " + join(placeholder_names(), ", ") +
                                ", model.NAME for a name in [models], run.NAME for one in [run.files]");
            if (!secret.empty())
                return fail(ErrorKind::usage, at,
                            "{{" + secret + "}} is a secret, and an argument can be read by other processes",
                            "put it into [run.environment] or [run.files]");
        }
        return {};
    };
    std::set<std::string> checked;
    for (const auto& part : agent.parts) {
        if (part.document.empty() || !checked.insert(part.document).second) continue;
        if (auto good = check(part.document, edit_format(agent.file(part.file)->format), true); !good)
            return fail(good.error());
    }
    if (agent.run) {
        for (const auto& option : agent.run->options)
            if (auto good = check(option.document, document_format(option.document), false); !good)
                return fail(good.error());
        for (const auto& [unused, file] : agent.run->files)
            if (auto good = check(file, document_format(file), true); !good) return fail(good.error());
        for (const auto& [unused, variable] : agent.run->environment)
            if (!variable.document.empty())
                if (auto good = check(variable.document, document_format(variable.document), true); !good)
                    return fail(good.error());
    }
    return {};
}

} // namespace

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
    TableReader reader(**document, place);

    reader.known_keys(root, {},
                      {"format", "display_name", "always", "order", "loopback", "route", "auth", "api_types",
                       "token_variable", "program", "home", "models", "requires", "file", "part", "shadow",
                       "warn", "note", "run"});
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
    agent.api_types = reader.texts(root, {}, "api_types");
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
    read_program(reader, table("program"), agent);
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
        agent.files.push_back(read_file(reader, item, path));
    });
    if (agent.files.empty()) reader.complain({"file"}, "there must be at least one [[file]]");
    reader.each(root, "part", [&](const Value& item, const edit::KeyPath& path) {
        agent.parts.push_back(read_part(reader, item, path, agent));
    });
    reader.each(root, "shadow", [&](const Value& item, const edit::KeyPath& path) {
        agent.shadows.push_back(read_shadow(reader, item, path, agent));
    });
    reader.each(root, "warn", [&](const Value& item, const edit::KeyPath& path) {
        agent.warnings.push_back(read_warning(reader, item, path, agent));
    });
    reader.each(root, "note", [&](const Value& item, const edit::KeyPath& path) {
        reader.known_keys(item, path, {"when", "below", "text"});
        agent.notes.push_back({reader.condition(item, path), reader.text(item, path, "below"),
                               reader.text(item, path, "text", true)});
        each_placeholder(agent.notes.back().text, [&](const std::string& placeholder) {
            if (!is_known_placeholder(agent, placeholder))
                reader.complain(TableReader::child(path, "text"),
                                "there is no placeholder {{" + placeholder + "}}");
        });
    });
    if (root.contains("run")) agent.run = read_run(reader, table("run"), agent);
    if (reader.error()) return fail(*reader.error());

    if (auto good = check_documents(agent); !good) return fail(good.error());
    return agent;
}

} // namespace dbx::agents
