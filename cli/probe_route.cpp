#include "cli/probe_route.hpp"

#include "core/base/strings.hpp"
#include "core/proxy/status.hpp"
#include "core/state/journal.hpp"
#include "core/state/local_keys.hpp"
#include "core/state/running_proxies.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <set>

namespace dbx::cli {

namespace {

using nlohmann::ordered_json;
using tables::ProbeCause;
using tables::ProbeTrouble;
using tables::Signal;

// Another version's proxy may lack a member, or have one of another type.
std::uint64_t count_of(const ordered_json& object, const char* name) {
    const auto member = object.find(name);
    return member != object.end() && member->is_number_unsigned() ? member->get<std::uint64_t>() : 0;
}

std::string text_of(const ordered_json& object, const char* name) {
    const auto member = object.find(name);
    return member != object.end() && member->is_string() ? member->get<std::string>() : std::string();
}

const ordered_json& object_of(const ordered_json& object, const std::string& name) {
    static const ordered_json none = ordered_json::object();
    const auto member = object.find(name);
    return member != object.end() && member->is_object() ? *member : none;
}

// Through the local proxy: it takes a batch at once, and hands it on later.
class RelayRoute : public tables::ProbeRoute {
  public:
    RelayRoute(http::HttpClient& http, int port, Secret key, tables::Place place, const ordered_json& before)
        : http_(http)
        , port_(port)
        , key_(std::move(key))
        , place_(std::move(place)) {
        for (const Signal signal : tables::all_signals) before_[index(signal)] = counts(before, signal);
    }

    std::optional<ProbeTrouble> send(Signal signal, const std::string& bytes) override {
        http::Request request;
        request.method = "POST";
        request.url = fmt::format("http://127.0.0.1:{}/api/2.0/otel/v1/{}", port_, tables::name_of(signal));
        request.headers = {{"Content-Type", "application/x-protobuf"}};
        request.authorization = Secret("Bearer " + key_.reveal());
        request.body = bytes;
        request.timeout = std::chrono::seconds(30);
        const auto answer = http_.send(request);
        if (!answer) {
            auto error = http::to_error(answer.error(), request.url);
            if (error.kind != ErrorKind::interrupted) error.kind = ErrorKind::workspace;
            return ProbeTrouble{ProbeCause::proxy_not_running, std::move(error)};
        }
        if (answer->status >= 200 && answer->status < 300) return std::nullopt;
        return ProbeTrouble{
            ProbeCause::refused,
            {ErrorKind::workspace, fmt::format("the local proxy on port {} refuses the probe", port_),
             fmt::format("HTTP {}: {}", answer->status, printable(answer->body.substr(0, 300))),
             "see what it says of itself: dbx-agents proxy status", ""}};
    }

    std::optional<ProbeTrouble> news(Signal signal) override {
        const auto status = ask();
        if (!status) return std::nullopt;
        const auto now = counts(*status, signal);
        const auto& before = before_[index(signal)];
        if (now.rejected > before.rejected) {
            const auto& one = object_of(object_of(*status, "signals"), std::string(name_of(signal)));
            const auto& last = object_of(one, "last_rejection");
            auto trouble =
                tables::explain_rejection(static_cast<int>(count_of(last, "status")), text_of(last, "why"),
                                          text_of(last, "fix"), place_, signal);
            trouble.error.why += "; the local proxy has set the batch aside";
            return trouble;
        }
        if (now.dropped > before.dropped)
            return ProbeTrouble{ProbeCause::rejected,
                                {ErrorKind::workspace,
                                 "the local proxy has dropped the probe for " + place_.table_name(signal),
                                 text_of(*status, "dropped_why"), "see dbx-agents proxy status", ""}};
        return std::nullopt;
    }

    std::string hindrance(Signal signal) override {
        const auto status = ask();
        if (!status) return "the local proxy does not answer any more";
        const auto waiting =
            count_of(object_of(object_of(*status, "signals"), std::string(name_of(signal))), "waiting");
        if (waiting == 0) return {};
        const auto trouble = text_of(*status, "trouble");
        return fmt::format("{} batch{} wait{} in the local proxy's spool{}", waiting,
                           waiting == 1 ? "" : "es", waiting == 1 ? "s" : "",
                           trouble.empty() ? "" : ": " + trouble);
    }

  private:
    struct Counts {
        std::uint64_t rejected = 0;
        std::uint64_t dropped = 0;
    };
    static std::size_t index(Signal signal) { return static_cast<std::size_t>(signal); }
    static Counts counts(const ordered_json& telemetry, Signal signal) {
        const auto& one = object_of(object_of(telemetry, "signals"), std::string(tables::name_of(signal)));
        return {count_of(one, "rejected"), count_of(one, "dropped")};
    }
    std::optional<ordered_json> ask() const {
        const auto status = proxy::ask_status(http_, port_, key_);
        if (!status) return std::nullopt;
        return object_of(*status, "telemetry");
    }

    http::HttpClient& http_;
    const int port_;
    const Secret key_;
    const tables::Place place_;
    std::array<Counts, tables::all_signals.size()> before_;
};

ProbeTrouble no_proxy(const std::string& agents) {
    return {
        ProbeCause::proxy_not_running,
        {ErrorKind::workspace, "the probe was not sent: no local proxy is running",
         agents + " export through it, so nothing of theirs arrives now",
         "start it: dbx-agents proxy (or try the way without it: dbx-agents tables check --probe --direct)",
         ""}};
}

// A trouble of the proxy's own settings.
std::optional<ProbeTrouble> unfit(const ordered_json& telemetry, int port, const tables::Place& place) {
    const std::string wanted = place.schema_name() + "." + place.prefix;
    const auto has = text_of(telemetry, "tables");
    if (iequals(has, wanted)) return std::nullopt;
    Error error{
        ErrorKind::workspace,
        fmt::format("the probe was not sent: the local proxy on port {} does not write to {}", port, wanted),
        has.empty() ? "it was told of no tables" : "it writes to " + printable(has),
        "set tables = \"" + wanted +
            "\" below [otel] in config.toml, then send the proxy a SIGHUP or start it "
            "again",
        ""};
    if (telemetry.empty()) {
        error.why = "it is of a version that takes no telemetry";
        error.fix = "start it again: dbx-agents proxy stop, then dbx-agents proxy";
    }
    return ProbeTrouble{ProbeCause::proxy_elsewhere, std::move(error)};
}

} // namespace

Result<ProbeWay> choose_way(Session& session, databricks::Workspace& workspace, const tables::Place& place,
                            ProbeDirection direction) {
    ProbeWay way;
    std::set<std::string> agents;
    if (direction == ProbeDirection::as_agents) {
        const auto journal = state::Journal::load(session.environment(), session.files());
        if (!journal) return fail(journal.error());
        for (const auto& entry : journal->written())
            if (entry.auth == "proxy") agents.insert(entry.agent);
    }
    if (agents.empty()) {
        way.route = std::make_unique<tables::DirectRoute>(workspace, place);
        way.words = "straight to " + workspace.root();
        return way;
    }
    const std::string names = join({agents.begin(), agents.end()}, ", ");
    const auto keys = state::read_local_keys(session.environment(), session.files());
    if (!keys) return fail(keys.error());
    const auto running = state::running_proxies(session.environment(), session.files());
    if (!running) return fail(running.error());
    const auto key =
        std::find_if(keys->begin(), keys->end(), [&](const auto& one) { return agents.contains(one.first); });
    if (running->empty() || key == keys->end()) {
        way.trouble = no_proxy(names);
        return way;
    }
    way.port = running->front().port;
    way.words = fmt::format("through the local proxy on port {}, as that of {} does", way.port, names);
    const auto status = proxy::ask_status(session.http(), way.port, key->second);
    if (!status) {
        way.trouble = no_proxy(names);
        way.trouble->error.why =
            fmt::format("the one on port {} does not answer: {}", way.port, status.error().what);
        return way;
    }
    const auto& telemetry = object_of(*status, "telemetry");
    if (auto trouble = unfit(telemetry, way.port, place)) {
        way.trouble = std::move(trouble);
        return way;
    }
    way.traces = telemetry.value("traces", false);
    way.route = std::make_unique<RelayRoute>(session.http(), way.port, key->second, place, telemetry);
    return way;
}

} // namespace dbx::cli
