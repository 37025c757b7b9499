#pragma once

#include "cli/session.hpp"

#include <string>
#include <vector>

namespace dbx::cli {

// The lock that a running proxy holds: state directory/proxy-PORT.lock, with its process id in it.
system::Path proxy_lock_path(const system::Path& state_directory, int port);

struct RunningProxy {
    int port = 0;
    long process_id = 0;
};

// The user's proxies that run now, by port. `port`: only that one; 0: all.
Result<std::vector<RunningProxy>> running_proxies(Session& session, int port);

// A port as typed; error: kind usage.
Result<int> parse_port(const std::string& text);

} // namespace dbx::cli
