#pragma once

#include <tl/expected.hpp>

#include <string>
#include <utility>

namespace dbx {

// What went wrong, as far as a script cares: each kind is one exit code of the contract.
enum class ErrorKind {
    failed,      // 1
    usage,       // 2: wrong flags, a missing workspace, a bad configuration file of our own
    file,        // 3: a file cannot be parsed or written; nothing was changed
    credential,  // 4: no valid credential
    workspace,   // 5: the workspace refused or failed
    timeout,     // 6
    interrupted, // 130
};

// The process exit code of a kind.
int exit_code(ErrorKind kind);

// An error as the user reads it: what failed, why (evidence: line, status, the server's words), what to do.
// `what` is a clause without a full stop ("cannot update ~/.codex/config.toml: it is not valid TOML").
struct Error {
    ErrorKind kind = ErrorKind::failed;
    std::string what;
    std::string why = {};   // may be empty
    std::string fix = {};   // may be empty
    std::string state = {}; // whether anything was changed; empty: the command's own sentence is used
};

template <class T>
using Result = tl::expected<T, Error>;

// Shorthand for `return fail(...)`.
inline tl::unexpected<Error> fail(Error error) {
    return tl::unexpected<Error>(std::move(error));
}
inline tl::unexpected<Error> fail(ErrorKind kind, std::string what, std::string why = {},
                                  std::string fix = {}) {
    return tl::unexpected<Error>(Error{kind, std::move(what), std::move(why), std::move(fix), {}});
}

} // namespace dbx
