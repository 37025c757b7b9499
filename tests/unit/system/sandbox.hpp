#pragma once

#include "core/system/environment.hpp"
#include "core/system/files.hpp"

#include <doctest/doctest.h>
#include <signal.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace dbx::system::tests {

// A folder of its own for each test, removed at its end. Other users may enter it.
class Sandbox {
  public:
    Sandbox();
    ~Sandbox();
    Sandbox(const Sandbox&) = delete;
    Sandbox& operator=(const Sandbox&) = delete;

    Path operator/(const Path& name) const { return path_ / name; }
    const Path& path() const { return path_; }

    // Plain POSIX, so that a test does not rest on what it tests.
    Path put(const Path& name, std::string_view bytes, mode_t mode = 0644) const;
    std::string get(const Path& name) const;
    mode_t mode(const Path& name) const;
    void give_to(uid_t user, gid_t group) const; // everything in it, when we are root

  private:
    Path path_;
};

// The tests run as root in containers and as a user on desks. What an ordinary user sees is tried in a child
// process that is one: `work` runs there, its text comes back. Nothing in it may use doctest.
inline constexpr unsigned ordinary_user = 65534;
std::string as_ordinary_user(const std::function<std::string()>& work);
bool is_root();

// A handler for as long as it lives. doctest has handlers of its own while a test runs; the program starts
// without any.
class SignalHandler {
  public:
    SignalHandler(int signal, void (*handler)(int))
        : signal_(signal)
        , before_(::signal(signal, handler)) {}
    ~SignalHandler() { ::signal(signal_, before_); }
    SignalHandler(const SignalHandler&) = delete;
    SignalHandler& operator=(const SignalHandler&) = delete;

    static void (*of(int signal))(int) {
        struct sigaction action = {};
        ::sigaction(signal, nullptr, &action);
        return action.sa_handler;
    }

  private:
    int signal_;
    void (*before_)(int);
};

// In a child process with a mount table of its own; nullopt when the system does not let us have one.
std::optional<std::string> with_own_mounts(const std::function<std::string()>& work);

// "ok", or "what | why | fix".
std::string in_words(const Result<void>& result);

// In `work`'s result for: everything in it behaved.
inline const std::string ok = "ok";

class FakeEnvironment : public Environment {
  public:
    std::map<std::string, std::string> variables;
    Path directory = "/";

    std::optional<std::string> get(std::string_view name) const override {
        const auto at = variables.find(std::string(name));
        if (at == variables.end()) return std::nullopt;
        return at->second;
    }
    std::map<std::string, std::string> all() const override { return variables; }
    Path working_directory() const override { return directory; }
    Path program() const override { return "/usr/bin/dbx-agents"; }
    uid_t user_id() const override { return 1000; }
};

} // namespace dbx::system::tests
