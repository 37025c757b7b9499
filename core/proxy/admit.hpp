#pragma once

#include "core/base/secret.hpp"
#include "core/proxy/answers.hpp"
#include "core/proxy/message.hpp"
#include "core/proxy/routes.hpp"

#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace dbx::proxy {

// Who may come in.
struct Gate {
    std::map<std::string, Secret> keys; // agent -> its local key
    std::vector<std::string> hosts;     // values of Host that are ours, lower case: "127.0.0.1:8790"
};

// A request that may go on.
struct Admission {
    Route route;
    std::string agent;          // whose key it held; empty for what needs none
    bool answered_here = false; // HEAD without a key: clients look whether somebody is there
};

// The first step of the pipeline: Host (against DNS rebinding), no browser, an origin-form path that is ours,
// the local key, no upgrade. The framing was checked when the head was read. Says nothing about what was
// wrong with a key.
std::variant<Admission, Refusal> admit(const Head& head, const Gate& gate);

// Whether a request field carries a credential of the client.
bool is_credential(const Field& field);

// Compares in a time that does not depend on where two texts differ.
bool same_secret(std::string_view a, std::string_view b);

} // namespace dbx::proxy
