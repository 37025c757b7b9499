#pragma once

#include "core/base/error.hpp"

#include <chrono>
#include <map>
#include <string>
#include <vector>

namespace dbx::proxy {

inline constexpr const char* service_name = "dbx-agents-proxy.service";

// What the unit of a user's systemd says about the proxy.
struct ServiceUnit {
    std::vector<std::string> command;               // with the program's absolute path
    std::map<std::string, std::string> environment; // nothing secret: a unit can be read by others
    std::string environment_file;                   // may be missing when the service starts
    std::vector<std::string> writable;              // folders
    std::vector<std::string> writable_if_there;     // folders of the programs that fetch tokens
    std::chrono::seconds drain{30};
    bool own_view = true; // a file system view of its own; needs a user namespace
};

// The unit's text. Errors: a value that no unit can hold (a line end; a quote in the program's path).
Result<std::string> unit_text(const ServiceUnit& unit);

// A word of a unit's command line or assignment, quoted by systemd.syntax(7); `%` is doubled. In a command
// `$` is doubled as well.
enum class UnitWord { command, assignment, path };
std::string unit_quoted(const std::string& word, UnitWord where);

} // namespace dbx::proxy
