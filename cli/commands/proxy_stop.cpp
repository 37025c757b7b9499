#include "cli/command.hpp"
#include "cli/progress.hpp"
#include "cli/proxy_support.hpp"
#include "cli/session.hpp"
#include "core/state/running_proxies.hpp"
#include "core/system/self.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace dbx::cli {

namespace {

// Longer than a proxy's default --drain.
constexpr std::chrono::seconds patience{45};
constexpr std::chrono::milliseconds look_every{50};

class ProxyStop : public Command {
  public:
    void declare(CLI::App& app) override {
        app.add_option("--port", port_, "Only the proxy on this port")->type_name("N");
    }

    Result<int> run(Session& session) override {
        const auto port = parse_port(port_);
        if (!port) return fail(port.error());
        const auto running = state::running_proxies(session.environment(), session.files(), *port);
        if (!running) return fail(running.error());
        auto& output = session.output();
        nlohmann::ordered_json stopped = nlohmann::ordered_json::array();
        for (const auto& proxy : *running) {
            if (auto asked = system::ask_to_end(proxy.process_id); !asked) return fail(asked.error());
        }
        const auto end = session.pacer().now() + patience;
        for (const auto& proxy : *running) {
            std::optional<Progress> progress(
                std::in_place, output,
                fmt::format("waiting for the requests of the proxy on port {}", proxy.port));
            while (system::process_exists(proxy.process_id)) {
                if (session.pacer().now() > end)
                    return fail(ErrorKind::timeout,
                                fmt::format("the proxy on port {} has not ended yet", proxy.port),
                                fmt::format("process {} still finishes requests", proxy.process_id),
                                fmt::format("a second signal ends it at once: kill {}", proxy.process_id));
                if (!session.pacer().wait(look_every))
                    return fail(ErrorKind::interrupted, "interrupted while waiting for the proxy to end");
            }
            progress.reset();
            stopped.push_back({{"port", proxy.port}, {"pid", proxy.process_id}});
            if (!output.json())
                output.summary(fmt::format("The proxy on port {} has ended (process {}).\n", proxy.port,
                                           proxy.process_id));
        }
        if (output.json())
            output.document({{"stopped", stopped}});
        else if (running->empty())
            output.summary(*port == 0 ? std::string("No proxy is running.\n")
                                      : fmt::format("No proxy is running on port {}.\n", *port));
        return 0;
    }

  private:
    std::string port_;
};

} // namespace

std::unique_ptr<Command> make_proxy_stop() {
    return std::make_unique<ProxyStop>();
}

} // namespace dbx::cli
