// Pasted addresses: what is accepted is stable under a second pass, and cannot smuggle anything into a file
// or a header.
#include "core/databricks/hosts.hpp"
#include "core/http/url.hpp"

#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

void check(const dbx::Result<std::string>& first, dbx::Result<std::string> (*normalise)(std::string_view)) {
    if (!first) {
        if (first.error().why.empty() || first.error().fix.empty()) std::abort();
        return;
    }
    const auto second = normalise(*first);
    if (!second || *second != *first) std::abort();
    if (first->find_first_of(" \t\r\n\"'`\\@$<>") != std::string::npos &&
        first->find('@') == std::string::npos)
        std::abort();
    const auto url = dbx::http::parse_url(*first);
    if (!url) std::abort();
    if (url->scheme == "http" && !dbx::http::is_loopback_host(url->host)) std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    check(dbx::databricks::normalise_workspace(text), dbx::databricks::normalise_workspace);
    check(dbx::databricks::normalise_gateway(text), dbx::databricks::normalise_gateway);
    check(dbx::databricks::normalise_upstream(text), dbx::databricks::normalise_upstream);
    return 0;
}
