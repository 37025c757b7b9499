#include "core/proxy/service_unit.hpp"

#include "core/base/strings.hpp"

#include <algorithm>

namespace dbx::proxy {

namespace {

// After what the proxy itself allows for requests under way.
constexpr std::chrono::seconds after_drain{10};

} // namespace

std::string unit_quoted(const std::string& word, UnitWord where) {
    std::string result;
    for (const char c : word) {
        if (c == '%' || (c == '$' && where == UnitWord::command)) result += c;
        if (c == '"' || c == '\\') result += '\\';
        result += c;
    }
    const bool plain = result.find_first_of(" \t\"'\\;#") == std::string::npos && !result.empty();
    return plain ? result : "\"" + result + "\"";
}

Result<std::string> unit_text(const ServiceUnit& unit) {
    std::vector<std::string> all = unit.command;
    for (const auto& [name, value] : unit.environment) all.push_back(name + "=" + value);
    all.insert(all.end(), unit.writable.begin(), unit.writable.end());
    all.insert(all.end(), unit.writable_if_there.begin(), unit.writable_if_there.end());
    all.push_back(unit.environment_file);
    for (const auto& text : all) {
        const bool control = std::any_of(text.begin(), text.end(), [](char c) {
            return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) == 0x7F;
        });
        if (control || !is_utf8(text))
            return fail(ErrorKind::usage, "cannot write the service's unit",
                        "a path or value holds a line end, another control character, or is not UTF-8",
                        "use another folder");
    }

    // systemd takes the program's path as it is (only % counts), and refuses these in it.
    if (unit.command.front().find_first_of("\"'\\") != std::string::npos)
        return fail(ErrorKind::usage, "cannot write the service's unit",
                    "systemd takes no program with a quote or backslash in its path: " + unit.command.front(),
                    "use another folder");
    std::string command = unit_quoted(unit.command.front(), UnitWord::path);
    for (std::size_t i = 1; i < unit.command.size(); ++i)
        command += " " + unit_quoted(unit.command[i], UnitWord::command);
    std::string text = "# Written by dbx-agents proxy install; taken back by dbx-agents proxy uninstall.\n"
                       "# Changes of yours belong beside it: systemctl --user edit dbx-agents-proxy\n"
                       "[Unit]\n"
                       "Description=dbx-agents: the local proxy in front of the Databricks AI Gateway\n"
                       "StartLimitIntervalSec=120\n"
                       "StartLimitBurst=5\n"
                       "\n"
                       "[Service]\n"
                       "Type=notify\n";
    const auto add = [&](std::string_view key, const std::string& value) {
        text += std::string(key) + "=" + value + "\n";
    };
    add("ExecStart", command);
    add("ExecReload", "/bin/kill -HUP $MAINPID");
    for (const auto& [name, value] : unit.environment)
        add("Environment", unit_quoted(name + "=" + value, UnitWord::assignment));
    if (!unit.environment_file.empty()) {
        std::string file; // not quoted: systemd takes the whole line
        for (const char c : unit.environment_file) file += std::string(c == '%' ? 2 : 1, c);
        add("EnvironmentFile", "-" + file);
    }
    text += "Restart=on-failure\n"
            "RestartSec=2\n"
            // Wrong usage, a broken file, no credential: another try would not help.
            "RestartPreventExitStatus=2 3 4\n"
            "KillMode=mixed\n";
    add("TimeoutStopSec", std::to_string((unit.drain + after_drain).count()));
    text += "UMask=0077\n"
            "LimitCORE=0\n"
            "NoNewPrivileges=yes\n"
            "LockPersonality=yes\n"
            "RestrictRealtime=yes\n"
            "RestrictSUIDSGID=yes\n"
            "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\n"
            "SystemCallArchitectures=native\n";
    if (unit.own_view) {
        // A program or a file in there has to be seen.
        const bool in_tmp = std::any_of(all.begin(), all.end(), [](const std::string& path) {
            return path.starts_with("/tmp/") || path.starts_with("/var/tmp/");
        });
        text += in_tmp ? "ReadWritePaths=-/tmp -/var/tmp\n" : "PrivateTmp=yes\n";
        text += "ProtectSystem=strict\n"
                "RestrictNamespaces=yes\n";
        for (const auto& folder : unit.writable) add("ReadWritePaths", unit_quoted(folder, UnitWord::path));
        for (const auto& folder : unit.writable_if_there)
            add("ReadWritePaths", unit_quoted("-" + folder, UnitWord::path));
    }
    text += "\n"
            "[Install]\n"
            "WantedBy=default.target\n";
    return text;
}

} // namespace dbx::proxy
