#pragma once

#include "core/system/environment.hpp"

#include <string_view>

namespace dbx::system {

// Tells a service manager that waits for it ("READY=1", "STOPPING=1", one assignment a line): a datagram to
// the socket that NOTIFY_SOCKET names, as sd_notify(3) describes it. Nothing where there is none.
void notify_service_manager(const Environment& environment, std::string_view assignments);

// Why a user's own service manager cannot give a service a file system view of its own; empty: it can. That
// needs a user namespace, which some systems refuse.
std::string no_user_namespaces(FileSystem& files);

} // namespace dbx::system
