#include "core/proxy/status.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <string_view>

namespace dbx::proxy {

namespace {

struct Entry {
    const char* name;   // in /status
    const char* metric; // in /metrics, without dbx_agents_proxy_
    const char* type;
    const char* help;
    Counters::Count Counters::*count;
};

constexpr std::array entries = {
    Entry{"connections", "connections", "gauge", "Open connections of clients", &Counters::connections},
    Entry{"connections_total", "connections_total", "counter", "Connections of clients",
          &Counters::connections_total},
    Entry{"active", "active_requests", "gauge", "Requests under way", &Counters::active},
    Entry{"accepted", "accepted_requests_total", "counter", "Requests with good key, Host, path and framing",
          &Counters::accepted},
    Entry{"turned_away", "turned_away_requests_total", "counter", "Requests without them",
          &Counters::turned_away},
    Entry{"answered_2xx", "answers_ok_total", "counter", "Answers below 400", &Counters::answered_2xx},
    Entry{"answered_4xx", "answers_client_error_total", "counter", "Answers from 400 to 499",
          &Counters::answered_4xx},
    Entry{"answered_5xx", "answers_server_error_total", "counter", "Answers from 500 on",
          &Counters::answered_5xx},
    Entry{"limited", "limited_requests_total", "counter", "Requests that a limit refused",
          &Counters::limited},
    Entry{"aborted", "aborted_requests_total", "counter", "Requests whose client left", &Counters::aborted},
    Entry{"upstream_failed", "upstream_failures_total", "counter",
          "Requests that the upstream did not answer, or not to the end", &Counters::upstream_failed},
    Entry{"upstream_connections", "upstream_connections", "gauge", "Open connections to the upstream",
          &Counters::upstream_connections},
    Entry{"token_retries", "token_retries_total", "counter", "Requests sent again with a new token",
          &Counters::token_retries},
    Entry{"bytes_in", "request_body_bytes_total", "counter", "Bytes of request bodies", &Counters::bytes_in},
    Entry{"bytes_out", "response_body_bytes_total", "counter", "Bytes of response bodies",
          &Counters::bytes_out},
};

std::string_view counts_in_words(const usage::Limiter::Level& level) {
    using Kind = usage::Limiter::Kind;
    const auto per = [&](std::string_view day, std::string_view week, std::string_view month) {
        return level.period == usage::Period::day ? day : level.period == usage::Period::week ? week : month;
    };
    switch (level.kind) {
    case Kind::requests:
        return "requests per minute";
    case Kind::tokens:
        return "tokens per minute";
    case Kind::concurrent:
        return "concurrent requests";
    case Kind::budget_tokens:
        return per("tokens per day", "tokens per week", "tokens per month");
    case Kind::budget_usd:
        return per("USD per day", "USD per week", "USD per month");
    case Kind::line:
        break;
    }
    return "waiting requests";
}

std::string_view health_in_words(usage::Ledger::Health health) {
    using Health = usage::Ledger::Health;
    switch (health) {
    case Health::good:
        return "good";
    case Health::locked:
        return "locked";
    case Health::full:
        return "disk full";
    case Health::newer:
        return "from a newer version";
    case Health::unavailable:
        break;
    }
    return "unavailable";
}

std::uint64_t sum(const std::vector<const Counters*>& loops, Counters::Count Counters::*count) {
    std::uint64_t total = 0;
    for (const auto* loop : loops) total += (loop->*count).load(std::memory_order_relaxed);
    return total;
}

} // namespace

std::string status_json(const std::vector<const Counters*>& loops, const std::string& members) {
    std::string text = "{" + members;
    for (const auto& entry : entries) {
        if (text.size() > 1) text += ",";
        text += "\"" + std::string(entry.name) + "\":" + std::to_string(sum(loops, entry.count));
    }
    return text + "}\n";
}

std::string limits_json(const std::vector<usage::Limiter::Level>& levels) {
    nlohmann::ordered_json all = nlohmann::ordered_json::array();
    for (const auto& level : levels) {
        nlohmann::ordered_json one;
        one["limit"] = level.limit;
        one["where"] = level.where;
        one["counts"] = counts_in_words(level);
        if (!level.agent.empty()) one["agent"] = level.agent;
        if (!level.model.empty()) one["model"] = level.model;
        one["allowed"] = level.allowed;
        one["used"] = level.used;
        one["waiting"] = level.waiting;
        one["held"] = level.held;
        one["refused"] = level.refused;
        if (level.unpriced > 0) one["unpriced"] = level.unpriced;
        one["frees_in_ms"] = level.frees_in.count();
        if (level.resets_at) one["resets_at"] = system::format_utc(*level.resets_at);
        all.push_back(std::move(one));
    }
    return all.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string ledger_json(const usage::Ledger::Status& status) {
    nlohmann::ordered_json one;
    one["health"] = health_in_words(status.health);
    if (!status.why.empty()) one["why"] = status.why;
    one["committed"] = status.committed;
    one["waiting"] = status.waiting;
    one["lost"] = status.lost;
    one["killed"] = status.killed;
    if (!status.set_aside.empty()) one["set_aside"] = status.set_aside;
    if (status.unmarked > 0) one["unmarked"] = status.unmarked;
    return one.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string metrics_text(const std::vector<const Counters*>& loops) {
    std::string text;
    for (const auto& entry : entries) {
        const std::string name = "dbx_agents_proxy_" + std::string(entry.metric);
        text += "# HELP " + name + " " + entry.help + "\n# TYPE " + name + " " + entry.type + "\n" + name +
                " " + std::to_string(sum(loops, entry.count)) + "\n";
    }
    return text;
}

Result<nlohmann::ordered_json> ask_status(http::HttpClient& http, int port, const Secret& key) {
    http::Request request;
    request.url = "http://127.0.0.1:" + std::to_string(port) + "/status";
    request.authorization = Secret("Bearer " + key.reveal());
    request.timeout = std::chrono::seconds(5);
    const auto response = http.send(request);
    if (!response) return fail(http::to_error(response.error(), request.url));
    auto root = nlohmann::ordered_json::parse(response->body, nullptr, false);
    if (response->status != 200 || !root.is_object())
        return fail(ErrorKind::failed, "it answered with status " + std::to_string(response->status));
    return root;
}

} // namespace dbx::proxy
