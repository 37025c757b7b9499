#include "tests/workspace/workspace.hpp"

#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdio>

int main(int argc, char** argv) {
    CLI::App app{"A stand-in Databricks workspace for tests: stateful, strict, loopback only."};
    unsigned short port = 0;
    std::string state;
    app.add_option("--port", port, "Port on 127.0.0.1; 0: any free one")->capture_default_str();
    app.add_option("--state", state, "Directory that holds everything the workspace remembers")->required();
    CLI11_PARSE(app, argc, argv);

    std::signal(SIGPIPE, SIG_IGN);
    try {
        dbx::standin::Workspace workspace(state);
        dbx::standin::Server server(workspace, port);
        server.run([&] {
            std::printf("listening on http://127.0.0.1:%u\n", static_cast<unsigned>(server.port()));
            std::fflush(stdout);
        });
    } catch (const std::exception& e) {
        std::fprintf(stderr, "error: %s\n", e.what());
        return 1;
    }
    return 0;
}
