#include "core/proxy/status.hpp"

#include <array>

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

std::string metrics_text(const std::vector<const Counters*>& loops) {
    std::string text;
    for (const auto& entry : entries) {
        const std::string name = "dbx_agents_proxy_" + std::string(entry.metric);
        text += "# HELP " + name + " " + entry.help + "\n# TYPE " + name + " " + entry.type + "\n" + name +
                " " + std::to_string(sum(loops, entry.count)) + "\n";
    }
    return text;
}

} // namespace dbx::proxy
