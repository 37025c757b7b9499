#include "cli/command.hpp"
#include "cli/proxy_support.hpp"
#include "cli/session.hpp"
#include "core/proxy/status.hpp"
#include "core/state/local_keys.hpp"
#include "core/state/running_proxies.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <utility>
#include <vector>

namespace dbx::cli {

namespace {

using nlohmann::ordered_json;

std::string duration(long long seconds) {
    if (seconds < 60) return fmt::format("{} s", seconds);
    if (seconds < 3600) return fmt::format("{} min", seconds / 60);
    return fmt::format("{} h {} min", seconds / 3600, seconds % 3600 / 60);
}

// Another version's proxy may lack a member, or have one of another type.
double real_of(const ordered_json& object, const char* name) {
    const auto member = object.find(name);
    return member != object.end() && member->is_number() ? member->get<double>() : 0;
}

long long number_of(const ordered_json& object, const char* name) {
    return std::llround(real_of(object, name));
}

std::string text_of(const ordered_json& object, const char* name) {
    const auto member = object.find(name);
    return member != object.end() && member->is_string() ? printable(member->get<std::string>()) : "";
}

// "60", "12.5"; at most two decimals.
std::string amount(double value) {
    auto text = fmt::format("{:.2f}", value);
    while (text.back() == '0') text.pop_back();
    if (text.back() == '.') text.pop_back();
    return text == "-0" ? "0" : text;
}

// "limit 1 (claude): 12 of 60 requests per minute, 2 waiting, 5 refused, free in 8 s"
std::string limit(const ordered_json& level) {
    if (!level.is_object()) return {};
    const auto agent = text_of(level, "agent");
    const auto model = text_of(level, "model");
    const std::string whose =
        agent.empty() && model.empty()
            ? ""
            : fmt::format(" ({}{}{})", agent, agent.empty() || model.empty() ? "" : ", ", model);
    std::string text =
        fmt::format("{}{}: {} of {} {}", text_of(level, "limit"), whose, amount(real_of(level, "used")),
                    amount(real_of(level, "allowed")), text_of(level, "counts"));
    const auto add = [&](const char* name, std::string_view word) {
        if (const auto count = number_of(level, name); count > 0) text += fmt::format(", {} {}", count, word);
    };
    add("waiting", "waiting");
    add("refused", "refused");
    add("unpriced", "without a price");
    if (const auto ms = number_of(level, "frees_in_ms"); ms > 0)
        text += ", free in " + duration((ms + 999) / 1000);
    if (const auto at = text_of(level, "resets_at"); !at.empty()) text += ", starts anew " + at;
    return text;
}

// "good, 120 rows written"
std::string in_words(const ordered_json& ledger) {
    const auto rows = [](long long count) { return fmt::format("{} row{}", count, count == 1 ? "" : "s"); };
    std::string text = text_of(ledger, "health");
    if (const auto why = text_of(ledger, "why"); !why.empty()) text += " (" + why + ")";
    text += ", " + rows(number_of(ledger, "committed")) + " written";
    if (const auto waiting = number_of(ledger, "waiting"); waiting > 0)
        text += ", " + rows(waiting) + " waiting in memory";
    if (const auto lost = number_of(ledger, "lost"); lost > 0) text += ", " + rows(lost) + " lost";
    if (const auto killed = number_of(ledger, "killed"); killed > 0)
        text += ", " + rows(killed) + " of an earlier proxy that was killed";
    if (const auto aside = text_of(ledger, "set_aside"); !aside.empty())
        text += ", a damaged file was moved to " + aside;
    return text;
}

std::string size(long long bytes) {
    if (bytes < 1024) return fmt::format("{} bytes", bytes);
    if (bytes < 1024 * 1024) return fmt::format("{} KB", bytes / 1024);
    return fmt::format("{:.1f} MB", static_cast<double>(bytes) / (1024.0 * 1024.0));
}

// "12 accepted, 10 delivered, 2 waiting (3 KB, the oldest for 40 s), 1 rejected"; empty when nothing came.
std::string signal_in_words(const ordered_json& signal) {
    if (!signal.is_object()) return {};
    const auto waiting = number_of(signal, "waiting");
    std::string more;
    const auto add = [&](const char* name, std::string_view word) {
        if (const auto count = number_of(signal, name); count > 0)
            more += fmt::format(", {} {}", count, word);
    };
    if (waiting > 0)
        more += fmt::format(", {} waiting ({}, the oldest for {})", waiting,
                            size(number_of(signal, "waiting_bytes")),
                            duration(number_of(signal, "oldest_seconds")));
    add("rejected", "rejected");
    add("dropped", "dropped");
    add("refused", "unreadable");
    add("unwanted", "not wanted");
    const auto accepted = number_of(signal, "accepted");
    if (accepted == 0 && more.empty()) return {};
    return fmt::format("{} accepted, {} delivered{}", accepted, number_of(signal, "delivered"), more);
}

// What the relay says, line by line.
std::vector<std::pair<std::string, std::string>> telemetry(const ordered_json& relay) {
    std::vector<std::pair<std::string, std::string>> rows;
    const auto tables = text_of(relay, "tables");
    rows.emplace_back("telemetry", tables.empty() ? "no tables are named (setup --otel)"
                                                  : fmt::format("to the tables {}", tables));
    if (const auto signals = relay.find("signals"); signals != relay.end() && signals->is_object()) {
        for (const auto& [name, signal] : signals->items())
            if (const auto words = signal_in_words(signal); !words.empty())
                rows.emplace_back("  " + printable(name), words);
    }
    if (const auto why = text_of(relay, "trouble"); !why.empty()) rows.emplace_back("  waits", why);
    if (const auto why = text_of(relay, "dropped_why"); !why.empty()) rows.emplace_back("  dropped", why);
    if (const auto aside = relay.find("rejected"); aside != relay.end() && aside->is_object()) {
        if (const auto count = number_of(*aside, "batches"); count > 0)
            rows.emplace_back("  set aside", fmt::format("{} batch{}: {}", count, count == 1 ? "" : "es",
                                                         text_of(*aside, "why")));
    }
    return rows;
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
        const auto running = state::running_proxies(session.environment(), session.files(), *port);
        if (!running) return fail(running.error());
        const auto keys = state::read_local_keys(session.environment(), session.files());
        if (!keys) return fail(keys.error());
        auto& output = session.output();
        ordered_json all = ordered_json::array();
        for (const auto& proxy : *running) {
            ordered_json entry = {{"port", proxy.port}, {"pid", proxy.process_id}};
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
    static Result<ordered_json> ask(Session& session, int port, const state::LocalKeys& keys) {
        if (keys.empty())
            return fail(ErrorKind::failed, "it cannot be asked", "no agent has a key for the proxy yet",
                        "run dbx-agents setup --all --auth proxy");
        return proxy::ask_status(session.http(), port, keys.begin()->second);
    }

    static std::string text(const state::RunningProxy& proxy, const ordered_json& entry) {
        if (!entry.contains("status"))
            return fmt::format("port {}, process {}: {}\n", proxy.port, proxy.process_id,
                               text_of(entry, "problem"));
        const auto& status = entry["status"];
        const auto number = [&](const char* name) { return number_of(status, name); };
        std::string result = fmt::format(
            "port {}, process {}, up {}\n"
            "  gateway     {}\n"
            "  credential  {}\n"
            "  requests    {} accepted, {} under way, {} turned away\n"
            "  answers     {} fine, {} refused (4xx), {} failed (5xx), {} left by the client\n"
            "  upstream    {} connections, {} failures, {} retries with a new token\n",
            proxy.port, proxy.process_id, duration(number("uptime_seconds")), text_of(status, "gateway"),
            text_of(status, "credential"), number("accepted"), number("active"), number("turned_away"),
            number("answered_2xx"), number("answered_4xx"), number("answered_5xx"), number("aborted"),
            number("upstream_connections"), number("upstream_failed"), number("token_retries"));
        const auto row = [&](std::string_view name, const std::string& words) {
            result += fmt::format("  {:<10}  {}\n", name, words);
        };
        if (const auto limits = status.find("limits"); limits != status.end() && limits->is_array()) {
            for (std::size_t i = 0; i < limits->size(); ++i) row(i == 0 ? "limits" : "", limit((*limits)[i]));
            if (limits->empty()) row("limits", "none");
        }
        if (const auto ledger = status.find("ledger"); ledger != status.end())
            row("ledger", ledger->is_object() ? in_words(*ledger) : "off");
        if (const auto relay = status.find("telemetry"); relay != status.end() && relay->is_object())
            for (const auto& [name, words] : telemetry(*relay)) row(name, words);
        return result;
    }

    std::string port_;
};

} // namespace

std::unique_ptr<Command> make_proxy_status() {
    return std::make_unique<ProxyStatus>();
}

} // namespace dbx::cli
