#include "core/agents/inspect.hpp"

#include "core/agents/values.hpp"
#include "core/base/strings.hpp"
#include "core/edit/mask.hpp"
#include "core/system/hash.hpp"

#include <algorithm>

namespace dbx::agents {

namespace {

using edit::Value;

struct Known {
    edit::KeyPath path;
    bool secret = false;
};

bool holds_secret(const Value& value) {
    if (value.is_string())
        return value.get<std::string>().find("{{token}}") != std::string::npos ||
               value.get<std::string>().find("{{local_key}}") != std::string::npos;
    return value.is_structured() && std::any_of(value.begin(), value.end(),
                                                [](const Value& element) { return holds_secret(element); });
}

void collect(const Value& value, edit::KeyPath& path, std::vector<Known>& out) {
    if (value.is_object()) {
        for (const auto& item : value.items()) {
            path.push_back(item.key());
            collect(item.value(), path, out);
            path.pop_back();
        }
        return;
    }
    const bool there =
        std::any_of(out.begin(), out.end(), [&](const Known& known) { return known.path == path; });
    if (!there) out.push_back({path, holds_secret(value)});
}

// Every key that the templates may set in a file, in their order; then those that setup took out.
std::vector<Known> known_keys(const Agent& agent, const AgentFile& file, const state::WrittenFile* entry) {
    std::vector<Known> known;
    const auto format = edit_format(file.format);
    if (!format) return known;
    for (const auto& part : agent.parts) {
        if (part.file != file.name || part.document.empty()) continue;
        const auto document = edit::Document::parse(*format, agent.documents.at(part.document));
        if (!document) continue;
        edit::KeyPath path;
        collect((*document)->value(), path, known);
    }
    if (entry) {
        for (const auto& key : entry->keys) {
            if (key.kind != state::WrittenKey::Kind::remove) continue;
            if (std::none_of(known.begin(), known.end(),
                             [&](const Known& item) { return item.path == key.path; }))
                known.push_back({key.path, false});
        }
    }
    return known;
}

// A file that may decide instead of ours, parsed if it is there.
struct ShadowFile {
    const Shadow* shadow;
    system::Path path;
    std::unique_ptr<edit::Document> document;
};

std::vector<ShadowFile> shadow_files(const Agent& agent, const AgentFile& file, const system::Path& own,
                                     const system::Environment& environment, system::FileSystem& files) {
    std::vector<ShadowFile> found;
    const auto add = [&](const Shadow& shadow, const system::Path& path) {
        if (path == own) return;
        const auto status = files.status(path);
        if (!status || status->kind != system::FileKind::regular) return;
        const auto format = edit_format(shadow.format);
        if (!format) return;
        auto text = files.read(path, edit::max_file_bytes);
        if (!text) return;
        auto document = edit::Document::parse(*format, std::move(*text));
        if (document) found.push_back({&shadow, path, std::move(*document)});
    };
    for (const auto& shadow : agent.shadows) {
        if (shadow.file != file.name) continue;
        switch (shadow.by) {
        case Shadow::By::file:
            add(shadow, shadow.path);
            break;
        case Shadow::By::folder:
            if (const auto names = files.list(shadow.path)) {
                for (auto name = names->rbegin(); name != names->rend(); ++name)
                    add(shadow, system::Path(shadow.path) / *name);
            }
            break;
        case Shadow::By::directory:
            add(shadow, environment.working_directory() / shadow.path);
            break;
        case Shadow::By::project:
            for (system::Path folder = environment.working_directory();; folder = folder.parent_path()) {
                add(shadow, folder / shadow.path);
                if (!folder.has_relative_path()) break;
            }
            break;
        case Shadow::By::environment:
            break;
        }
    }
    return found;
}

std::string shadow_of(const Agent& agent, const AgentFile& file, const edit::KeyPath& path,
                      const std::vector<ShadowFile>& candidates, const system::Environment& environment) {
    for (const auto& shadow : agent.shadows) {
        if (shadow.file != file.name) continue;
        if (shadow.by == Shadow::By::environment && path.size() == 1 && environment.get(path.front()))
            return path.front() + " in the environment wins";
    }
    for (const auto& candidate : candidates) {
        const auto& only = candidate.shadow->only;
        if (!only.empty() && std::find(only.begin(), only.end(), path) == only.end()) continue;
        const std::string place = system::display_path(environment, candidate.path);
        if (candidate.shadow->whole) return place + " wins: " + candidate.shadow->title;
        if (const auto at = candidate.document->get(path))
            return place + ":" + std::to_string(at->position.line) + " wins: " + candidate.shadow->title;
    }
    return {};
}

const state::WrittenKey* written_key(const state::WrittenFile* entry, const edit::KeyPath& path) {
    if (!entry) return nullptr;
    for (const auto& key : entry->keys)
        if (key.path == path) return &key;
    return nullptr;
}

KeyReport report_key(const Known& known, const edit::Document& document, const state::WrittenFile* entry) {
    KeyReport report;
    report.path = known.path;
    const auto found = document.get(known.path);
    const auto* written = written_key(entry, known.path);
    if (found) {
        report.line = found->position.line;
        report.owner = KeyReport::Owner::somebody;
        if (known.secret) {
            report.value = text_of(found->value).empty() ? "" : std::string(edit::masked);
        } else if (found->value.is_array() && !found->value.empty() && found->value.front().is_object()) {
            report.value = std::to_string(found->value.size()) + " entries";
        } else {
            report.value = edit::mask_value(known.path.back(), text_of(found->value));
        }
    }
    if (!written) return report;
    switch (state_of(*written, document)) {
    case KeyState::ours:
        report.owner = KeyReport::Owner::us;
        break;
    case KeyState::partly:
        report.owner = KeyReport::Owner::us;
        report.drift = "extended since setup";
        break;
    case KeyState::back:
        report.drift = written->kind == state::WrittenKey::Kind::remove ? "setup took it out, and it is back"
                       : found ? "it has its value from before setup again"
                               : "setup wrote it, and it is gone";
        break;
    case KeyState::changed:
        report.drift = written->kind == state::WrittenKey::Kind::remove ? "setup took it out, and it is back"
                       : found                                          ? "changed since setup"
                                                                        : "setup wrote it, and it is gone";
        break;
    }
    return report;
}

} // namespace

Result<AgentReport> inspect(const Agent& agent, const state::Journal& journal,
                            const system::Environment& environment, system::FileSystem& files) {
    AgentReport report;
    report.agent = &agent;
    report.installed = find_installed(agent, environment, files);
    for (const auto& file : agent.files) {
        const auto named = path_of(agent, file, environment);
        if (!named) return fail(named.error());
        FileReport item;
        item.name = file.name;
        item.named = *named;
        const auto real = files.resolve(*named);
        if (!real) {
            item.problem = real.error().what + (real.error().why.empty() ? "" : ": " + real.error().why);
            report.files.push_back(std::move(item));
            continue;
        }
        const auto* entry = journal.find(*real);
        // What somebody else made of a managed file is told where it wins over ours.
        if (file.scope == Scope::managed && !entry) continue;
        if (entry) {
            report.configured = true;
            item.written_at = entry->written_at;
            if (!entry->auth.empty() && (file.scope == Scope::user || report.auth.empty()))
                report.auth = entry->auth;
        }
        const auto status = files.status(*real);
        item.exists = status && status->kind != system::FileKind::missing;
        auto text = item.exists ? files.read(*real, edit::max_file_bytes)
                                : Result<std::string>(empty_text(file.format));
        if (!text) {
            item.problem = text.error().why.empty() ? text.error().what : text.error().why;
            report.files.push_back(std::move(item));
            continue;
        }
        const auto format = edit_format(file.format);
        if (!format) {
            if (entry && item.exists && system::sha256(*text) != entry->after_hash)
                item.problem = "changed since setup";
            report.files.push_back(std::move(item));
            continue;
        }
        const auto document = edit::Document::parse(*format, std::move(*text));
        if (!document) {
            item.problem = document.error().what + ": " + document.error().why;
            report.files.push_back(std::move(item));
            continue;
        }
        const auto shadows = shadow_files(agent, file, *real, environment, files);
        for (const auto& known : known_keys(agent, file, entry)) {
            KeyReport key = report_key(known, **document, entry);
            if (!key.value && key.drift.empty()) continue;
            key.shadow = shadow_of(agent, file, known.path, shadows, environment);
            item.keys.push_back(std::move(key));
        }
        report.files.push_back(std::move(item));
    }
    if (!report.configured) return report;
    for (const auto& warning : agent.warnings) {
        if (warning.environment.empty() || !holds(warning.when, {{"auth", report.auth}})) continue;
        const auto value = environment.get(warning.environment);
        if (value && !value->empty())
            report.warnings.push_back(warning.environment + " in the environment: " + warning.text);
    }
    return report;
}

} // namespace dbx::agents
