#include "core/doctor/bounded.hpp"

#include <algorithm>

namespace dbx::doctor {

using std::chrono::milliseconds;

milliseconds Deadline::left() const {
    return std::max(milliseconds(0), std::chrono::duration_cast<milliseconds>(end_ - pacer_.now()));
}

tl::expected<http::Response, http::Failure> BoundedClient::send(const http::Request& request) {
    const auto limit = std::min(deadline_.left(), each_);
    if (limit <= milliseconds(0))
        return tl::unexpected(
            http::Failure{http::NetworkProblem::timeout, false, "there was no time left", "try again"});
    auto bounded = request;
    bounded.timeout = std::min(request.timeout, limit);
    bounded.connect_timeout = std::min(request.connect_timeout, limit);
    return client_.send(bounded);
}

Result<system::ProcessResult> BoundedProcess::run(const system::ProcessRequest& request) {
    const auto limit = std::min(deadline_.left(), each_);
    if (limit <= milliseconds(0))
        return fail(ErrorKind::timeout, "there was no time left to start " + request.program.string());
    auto bounded = request;
    bounded.timeout = std::min(request.timeout, limit);
    return process_.run(bounded);
}

std::chrono::steady_clock::time_point ImpatientPacer::now() const {
    return pacer_.now() + std::chrono::hours(hours_.load());
}

bool ImpatientPacer::wait(milliseconds time) {
    const bool go_on = pacer_.wait(std::min({time, deadline_.left(), milliseconds(1'000)}));
    ++hours_;
    return go_on;
}

} // namespace dbx::doctor
