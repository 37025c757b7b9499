// Hands core/otlp to a test in another language. Requests on stdin, each a line "JOB SIGNAL SIZE" and SIZE
// bytes; the answer to each on stdout: "ok SIZE" or "no SIZE", and the bytes: the message, or why there is
// none.
//   json    OTLP/JSON to protobuf
//   amend   as amend() with no amendments
//   change  as amend() with team=core added, and host.name and secret dropped
//   count   resources, metrics, points, records and spans, with blanks between
#include "core/otlp/amend.hpp"
#include "core/otlp/json.hpp"

#include <algorithm>
#include <iostream>
#include <string>

using namespace dbx;
using namespace dbx::otlp;

namespace {

Result<std::string> done(const std::string& job, Signal signal, const std::string& bytes) {
    if (job == "json") return protobuf_from_json(signal, bytes);
    if (job == "amend") return amend(signal, bytes, {});
    if (job == "change") return amend(signal, bytes, {{{"team", "core"}}, {"host.name", "secret"}});
    const auto counts = count(signal, bytes);
    if (!counts) return tl::unexpected(counts.error());
    return std::to_string(counts->resources) + ' ' + std::to_string(counts->metrics) + ' ' +
           std::to_string(counts->points) + ' ' + std::to_string(counts->records) + ' ' +
           std::to_string(counts->spans);
}

} // namespace

int main() {
    std::string job, name;
    std::size_t size = 0;
    while (std::cin >> job >> name >> size) {
        const auto signal = std::find_if(all_signals.begin(), all_signals.end(),
                                         [&](Signal one) { return name_of(one) == name; });
        if (signal == all_signals.end()) return 2;
        std::cin.get();
        std::string bytes(size, '\0');
        std::cin.read(bytes.data(), static_cast<std::streamsize>(size));
        const auto result = done(job, *signal, bytes);
        const auto& answer = result ? *result : result.error().why;
        std::cout << (result ? "ok " : "no ") << answer.size() << '\n' << answer;
    }
    return 0;
}
