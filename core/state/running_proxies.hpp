#pragma once

#include "core/base/error.hpp"
#include "core/system/environment.hpp"
#include "core/system/files.hpp"

#include <optional>
#include <string_view>
#include <vector>

namespace dbx::state {

// The lock that a running proxy holds: state directory/proxy-PORT.lock, with its process id in it.
system::Path proxy_lock_path(const system::Path& state_directory, int port);

struct RunningProxy {
    int port = 0;
    long process_id = 0;
};

// The user's proxies that run now, by port. `port`: only that one; 0: all. A file that a dead one left counts
// for nothing.
Result<std::vector<RunningProxy>> running_proxies(const system::Environment& environment,
                                                  system::FileSystem& files, int port = 0);

// "8790" -> 8790; anything that is no port -> nothing.
std::optional<int> to_port(std::string_view text);

} // namespace dbx::state
