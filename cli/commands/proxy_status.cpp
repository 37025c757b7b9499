#include "cli/command.hpp"
#include "cli/proxy_support.hpp"
#include "core/state/local_keys.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace dbx::cli {

namespace {

std::string duration(long long seconds) {
    if (seconds < 60) return fmt::format("{} s", seconds);
    if (seconds < 3600) return fmt::format("{} min", seconds / 60);
    return fmt::format("{} h {} min", seconds / 3600, seconds % 3600 / 60);
}

// Asks each running proxy how it does. Exit 1 when none runs.
class ProxyStatus : public Command {
  public:
    void declare(CLI::App& app) override {
        app.add_option("--port", port_, "Only the proxy on this port")->type_name("N");
    }

    Result<int> run(Session& session) override {
        const auto port = parse_port(port_);
        if (!port) return fail(port.error());
        const auto running = running_proxies(session, *port);
        if (!running) return fail(running.error());
        const auto keys = state::read_local_keys(session.environment(), session.files());
        if (!keys) return fail(keys.error());
        auto& output = session.output();
        nlohmann::ordered_json all = nlohmann::ordered_json::array();
        for (const auto& proxy : *running) {
            nlohmann::ordered_json entry = {{"port", proxy.port}, {"pid", proxy.process_id}};
            const auto answer = ask(session, proxy.port, *keys);
            if (answer)
                entry["status"] = *answer;
            else
                entry["problem"] =
                    answer.error().what + (answer.error().why.empty() ? "" : ": " + answer.error().why);
            if (!output.json()) output.result(text(proxy, entry));
            all.push_back(std::move(entry));
        }
        if (output.json())
            output.document({{"proxies", all}});
        else if (running->empty())
            output.result(*port == 0 ? std::string("No proxy is running. Start one: dbx-agents proxy\n")
                                     : fmt::format("No proxy is running on port {}.\n", *port));
        return running->empty() ? 1 : 0;
    }

  private:
    static Result<nlohmann::ordered_json> ask(Session& session, int port, const state::LocalKeys& keys) {
        if (keys.empty())
            return fail(ErrorKind::failed, "it cannot be asked", "no agent has a key for the proxy yet",
                        "run dbx-agents setup --all --auth proxy");
        http::Request request;
        request.url = fmt::format("http://127.0.0.1:{}/status", port);
        request.authorization = Secret("Bearer " + keys.begin()->second.reveal());
        request.timeout = std::chrono::seconds(5);
        const auto response = session.http().send(request);
        if (!response) return fail(http::to_error(response.error(), request.url));
        auto root = nlohmann::ordered_json::parse(response->body, nullptr, false);
        if (response->status != 200 || !root.is_object())
            return fail(ErrorKind::failed, fmt::format("it answered with status {}", response->status));
        return root;
    }

    static std::string text(const RunningProxy& proxy, const nlohmann::ordered_json& entry) {
        if (!entry.contains("status"))
            return fmt::format("port {}, process {}: {}\n", proxy.port, proxy.process_id,
                               entry["problem"].get<std::string>());
        const auto& status = entry["status"];
        const auto number = [&](const char* name) { return status.value(name, 0LL); };
        return fmt::format(
            "port {}, process {}, up {}\n"
            "  gateway     {}\n"
            "  credential  {}\n"
            "  requests    {} accepted, {} under way, {} turned away\n"
            "  answers     {} fine, {} refused (4xx), {} failed (5xx), {} left by the client\n"
            "  upstream    {} connections, {} failures, {} retries with a new token\n",
            proxy.port, proxy.process_id, duration(number("uptime_seconds")), status.value("gateway", ""),
            status.value("credential", ""), number("accepted"), number("active"), number("turned_away"),
            number("answered_2xx"), number("answered_4xx"), number("answered_5xx"), number("aborted"),
            number("upstream_connections"), number("upstream_failed"), number("token_retries"));
    }

    std::string port_;
};

} // namespace

std::unique_ptr<Command> make_proxy_status() {
    return std::make_unique<ProxyStatus>();
}

} // namespace dbx::cli
