#pragma once

#include "core/http/client.hpp"
#include "core/http/retry.hpp"
#include "core/system/console.hpp"
#include "core/system/environment.hpp"
#include "core/system/files.hpp"
#include "core/system/process.hpp"

#include <string>
#include <vector>

namespace dbx::cli {

// Everything a command may touch; tests hand in their own.
struct Context {
    system::FileSystem& files;
    system::Environment& environment;
    system::Clock& clock;
    system::Console& console;
    system::Process& process;
    http::HttpClient& http;
    http::Pacer& pacer;
};

// Runs one command line (without the program's name) and returns the exit code of the contract. Never exits.
int run(const std::vector<std::string>& arguments, Context& context);

// The program: real surroundings, SIGPIPE ignored.
int main(int argc, char** argv);

} // namespace dbx::cli
