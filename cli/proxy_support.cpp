#include "cli/proxy_support.hpp"

#include "core/state/running_proxies.hpp"

namespace dbx::cli {

Result<int> parse_port(const std::string& text) {
    if (text.empty()) return 0;
    if (const auto port = state::to_port(text)) return *port;
    return fail(ErrorKind::usage, "--port '" + text + "' is not a port", "a port is a number from 1 to 65535",
                "correct it");
}

} // namespace dbx::cli
