#include "core/http/client.hpp"

#include "core/base/strings.hpp"
#include "core/http/url.hpp"

#include <algorithm>

namespace dbx::http {

const std::string* Response::header(std::string_view name) const {
    const auto found =
        std::find_if(headers.begin(), headers.end(), [&](const auto& h) { return iequals(h.first, name); });
    return found == headers.end() ? nullptr : &found->second;
}

Error to_error(const Failure& failure, std::string_view url) {
    const auto parsed = parse_url(url);
    const std::string host = parsed ? parsed->origin() : shown_url(url);
    switch (failure.problem) {
    case NetworkProblem::interrupted:
        return Error{ErrorKind::interrupted, "interrupted while waiting for " + host, "", "", {}};
    case NetworkProblem::timeout:
        return Error{ErrorKind::timeout, host + " did not answer in time", failure.why, failure.fix, {}};
    case NetworkProblem::too_large:
        return Error{
            ErrorKind::workspace, "the answer of " + host + " is too large", failure.why, failure.fix, {}};
    default:
        return Error{ErrorKind::workspace, "cannot reach " + host, failure.why, failure.fix, {}};
    }
}

ClientOptions ClientOptions::from(const system::Environment& environment) {
    const auto first = [&](std::initializer_list<std::string_view> names) {
        for (const auto name : names) {
            if (auto value = environment.get(name); value && !value->empty()) return *value;
        }
        return std::string();
    };
    ClientOptions options;
    options.user_agent = "dbx-agents/" DBX_VERSION;
    options.ca_file = first({"SSL_CERT_FILE", "CURL_CA_BUNDLE"});
    options.ca_folder = first({"SSL_CERT_DIR"});
    options.https_proxy = first({"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"});
    options.http_proxy = first({"http_proxy", "all_proxy", "ALL_PROXY"});
    options.no_proxy = first({"no_proxy", "NO_PROXY"});
    options.interrupted = system::InterruptGuard::interrupted;
    return options;
}

} // namespace dbx::http
