// Answers of a workspace or of whatever stands in its place: every one becomes an error for people.
#include "core/base/strings.hpp"
#include "core/databricks/api_error.hpp"
#include "core/databricks/tokens.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>

// The first two bytes are the status, the first line is the content type, the second the Location, the rest
// the body.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    std::string text(reinterpret_cast<const char*>(data) + 2, size - 2);
    dbx::http::Response response;
    response.status = 100 + (data[0] << 8 | data[1]) % 500;
    response.url = "https://w.com/ai-gateway/x";
    for (const auto* name : {"Content-Type", "Location"}) {
        const auto end = text.find('\n');
        if (end == std::string::npos) break;
        response.headers.emplace_back(name, text.substr(0, end));
        text.erase(0, end + 1);
    }
    (void)dbx::databricks::jwt_expiry(text);
    (void)dbx::databricks::parse_rfc3339(text);
    response.body = std::move(text);
    if (dbx::databricks::is_good(response)) return 0;
    const auto error = dbx::databricks::classify(response, "cannot x");
    if (error.error.why.empty() || error.error.fix.empty() || error.code.empty()) std::abort();
    if (!dbx::is_utf8(error.message) || error.message.size() > 600) std::abort();
    for (const char c : error.error.why) {
        if (static_cast<unsigned char>(c) < 0x20) std::abort();
    }
    return 0;
}
