#include "cli/service.hpp"

#include "core/base/strings.hpp"
#include "core/proxy/service_unit.hpp"

#include <nlohmann/json.hpp>

namespace dbx::cli {

namespace {

using nlohmann::ordered_json;

// `enable --now` waits until the proxy is ready, and systemd gives a start 90 s.
constexpr std::chrono::seconds control_patience{100};
constexpr std::uint64_t record_limit = 1U << 16U;

} // namespace

Result<Service> Service::find(Session& session) {
    Service service(session);
    const auto systemctl = system::find_program(session.environment(), session.files(), "systemctl");
    if (!systemctl)
        return fail(ErrorKind::failed, "cannot make the proxy a service",
                    "there is no systemd here (no systemctl on PATH)",
                    "start it from your shell's start file or your own service manager: dbx-agents proxy");
    service.systemctl_ = *systemctl;
    const auto config = system::config_directory(session.environment()); // …/dbx-agents
    if (!config) return fail(config.error());
    service.unit_ = config->parent_path() / "systemd" / "user" / proxy::service_name;
    const auto state = system::state_directory(session.environment());
    if (!state) return fail(state.error());
    service.record_ = *state / "service.json";
    return service;
}

std::string Service::typed(const std::vector<std::string>& words) {
    return "systemctl --user " + join(words, " ");
}

bool Service::manager_runs() const {
    return control({"show-environment"}).has_value();
}

Result<std::string> Service::control(const std::vector<std::string>& words) const {
    system::ProcessRequest request;
    request.program = systemctl_;
    request.arguments = {"--user", "--no-pager", "--no-ask-password"};
    request.arguments.insert(request.arguments.end(), words.begin(), words.end());
    request.environment = session_->environment().all();
    request.timeout = control_patience;
    const auto result = session_->process().run(request);
    if (!result) return fail(result.error());
    if (result->exit_code == 0) return result->out;
    std::string said;
    for (const auto& line : split(result->err, '\n'))
        if (!line.empty() && line.find("symlink") == std::string::npos)
            said += (said.empty() ? "" : " ") + line;
    return fail(ErrorKind::failed, typed(words) + " failed", said,
                "see journalctl --user -u dbx-agents-proxy");
}

system::Path Service::enabled_link() const {
    return unit_.parent_path() / "default.target.wants" / unit_.filename();
}

Result<std::optional<Service::Written>> Service::written() const {
    const auto status = session_->files().status(record_);
    if (!status) return fail(status.error());
    if (status->kind == system::FileKind::missing) return std::optional<Written>();
    const auto text = session_->files().read(record_, record_limit);
    if (!text) return fail(text.error());
    const auto root = ordered_json::parse(*text, nullptr, false);
    Written written;
    if (!root.is_object() || !root.contains("hash") || !root["hash"].is_string())
        return fail(ErrorKind::file, "cannot read " + session_->shown(record_), "it is damaged",
                    "remove it, and " + session_->shown(unit_) + " with it");
    written.hash = root["hash"].get<std::string>();
    for (const auto& folder : root.value("folders", ordered_json::array()))
        if (folder.is_string()) written.folders.push_back(folder.get<std::string>());
    return std::optional(std::move(written));
}

Result<void> Service::remember(const Written& written) const {
    const ordered_json root = {
        {"unit", unit_.string()}, {"hash", written.hash}, {"folders", written.folders}};
    return session_->files().write(record_, root.dump(2) + "\n", 0600);
}

Result<void> Service::forget() const {
    return session_->files().remove(record_);
}

} // namespace dbx::cli
