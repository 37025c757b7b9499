#include "core/agents/render.hpp"

#include <algorithm>

namespace dbx::agents {

namespace {

using edit::Value;

void flatten(const Value& value, const std::vector<edit::KeyPath>& whole, edit::KeyPath& path,
             std::vector<Leaf>& out) {
    if (value.is_object() && std::find(whole.begin(), whole.end(), path) == whole.end()) {
        for (const auto& item : value.items()) {
            path.push_back(item.key());
            flatten(item.value(), whole, path, out);
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

const std::vector<std::string>& placeholder_names() {
    static const std::vector<std::string> names = {
        "gateway", "route", "workspace", "model", "token", "local_key", "helper.args", "helper.command",
        "helper.shell", "config",
        // Telemetry: the root of the OTLP routes, what --otel was given, each signal's table, the command
        // that prints the headers as JSON, and the token as a value of OTEL_EXPORTER_OTLP_…_HEADERS.
        "otel.endpoint", "otel.tables", "otel.metrics", "otel.logs", "otel.traces", "otel.helper",
        "token.header"};
    return names;
}

Result<std::vector<Leaf>> render(const Agent& agent, const std::string& document, edit::Format format,
                                 const Variables& variables, const std::vector<edit::KeyPath>& whole) {
    const auto parsed = edit::Document::parse(format, agent.documents.at(document));
    if (!parsed) return fail(parsed.error());
    std::vector<Leaf> leaves;
    edit::KeyPath path;
    flatten((*parsed)->value(), whole, path, leaves);
    for (auto& leaf : leaves) {
        std::string unknown;
        leaf.value = fill(leaf.value, variables, leaf.secret, unknown);
        for (auto& name : leaf.path) {
            const Value filled = fill(name, variables, leaf.secret, unknown);
            if (filled.is_string()) name = filled.get<std::string>();
        }
        if (!unknown.empty())
            return fail(ErrorKind::failed, "cannot fill the template " + agent.name + "/" + document,
                        "nothing is known for {{" + unknown + "}} in this situation");
    }
    return leaves;
}

Result<std::string> render_note(const Agent& agent, const Note& note, const Variables& variables) {
    bool secret = false;
    std::string unknown;
    const Value filled = fill(Value(note.text), variables, secret, unknown);
    if (!unknown.empty() || secret || !filled.is_string())
        return fail(ErrorKind::failed, "cannot fill a note of the template " + agent.name,
                    secret ? "a secret has no place in it"
                           : "nothing is known for {{" + unknown + "}} in this situation");
    return filled.get<std::string>();
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
