#include "core/proxy/relay_verdict.hpp"

#include "core/base/strings.hpp"
#include "core/databricks/api_error.hpp"
#include "core/edit/mask.hpp"
#include "core/http/retry.hpp"

#include <protozero/pbf_reader.hpp>

#include <algorithm>
#include <climits>

namespace dbx::proxy {

namespace {

using std::chrono::milliseconds;

// A failure of the server that stays is one of this batch.
constexpr int most_server_errors = 10;
constexpr milliseconds longest_asked = std::chrono::minutes(10);

// Export…ServiceResponse: partial_success = 1 { rejected items = 1, error_message = 2 }.
void read_partial_success(std::string_view body, Verdict& verdict) {
    try {
        protozero::pbf_reader response(body.data(), body.size());
        while (response.next(1, protozero::pbf_wire_type::length_delimited)) {
            auto partial = response.get_message();
            while (partial.next()) {
                if (partial.tag() == 1 && partial.wire_type() == protozero::pbf_wire_type::varint)
                    verdict.not_taken =
                        static_cast<std::uint64_t>(std::max<std::int64_t>(partial.get_int64(), 0));
                else if (partial.tag() == 2 &&
                         partial.wire_type() == protozero::pbf_wire_type::length_delimited)
                    verdict.not_taken_why = edit::mask_text(printable(partial.get_string()));
                else
                    partial.skip();
            }
        }
    } catch (const protozero::exception&) {
        // The answer of a workspace that says something else: it took the batch.
        verdict.not_taken = 0;
    }
}

} // namespace

Verdict judge(const http::Response& response, int answers, system::WallTime now) {
    using databricks::ApiProblem;
    Verdict verdict;
    if (databricks::is_good(response)) {
        verdict.kind = Verdict::Kind::delivered;
        const auto* type = response.header("Content-Type");
        if (type != nullptr && icontains(*type, "protobuf")) read_partial_success(response.body, verdict);
        return verdict;
    }
    const auto error = databricks::classify(response, "");
    // Its words may quote what was sent; they are kept on the disk and shown.
    verdict.why = {response.status, edit::mask_text(error.error.why), error.error.fix, {}};
    verdict.asked = http::retry_after(response, now);
    switch (error.problem) {
    case ApiProblem::invalid_token:
    case ApiProblem::not_authenticated:
        verdict.kind = Verdict::Kind::new_token;
        return verdict;
    case ApiProblem::no_permission:
    case ApiProblem::not_found:
    case ApiProblem::route_missing:
    case ApiProblem::conflict:
    case ApiProblem::bad_request:
        verdict.kind = Verdict::Kind::aside;
        break;
    default:
        verdict.kind = Verdict::Kind::later;
    }
    const bool transient = response.status == 408 || response.status == 429 || response.status == 502 ||
                           response.status == 503 || response.status == 504 ||
                           databricks::is_transient(error);
    if (transient) verdict.kind = Verdict::Kind::later;
    if (!transient && response.status >= 500 && answers >= most_server_errors)
        verdict.kind = Verdict::Kind::aside;
    return verdict;
}

Verdict judge(const http::Failure& failure, const std::string& url) {
    Verdict verdict;
    const auto error = http::to_error(failure, url);
    verdict.why = {0, error.what + (error.why.empty() ? "" : ": " + error.why), error.fix, {}};
    // An answer that is too long is one: nobody reads it, but it came.
    if (failure.problem == http::NetworkProblem::too_large) verdict.kind = Verdict::Kind::aside;
    return verdict;
}

milliseconds wait_after(int attempts, std::optional<milliseconds> asked, double random) {
    const http::RetryPolicy policy{std::chrono::seconds(1), std::chrono::minutes(1), milliseconds::max(),
                                   INT_MAX};
    if (asked) asked = std::min(*asked, longest_asked);
    return http::next_wait(policy, std::max(attempts, 1), milliseconds(0), asked, random)
        .value_or(policy.longest_wait);
}

} // namespace dbx::proxy
