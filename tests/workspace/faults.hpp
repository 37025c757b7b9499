#pragma once

#include "tests/workspace/http.hpp"
#include "tests/workspace/state.hpp"

#include <optional>
#include <string>
#include <vector>

namespace dbx::standin {

// One rule of POST /_control/faults; README.md lists the presets.
struct Fault {
    std::int64_t id = 0;
    std::string preset;
    std::string path = "*"; // glob over the path without query
    std::string method;     // empty: any
    std::string body;       // part of the body; empty: any
    std::int64_t count = 1; // answers left to spoil; below 0: for ever
    std::int64_t after = 0; // matching requests left to let pass first
    Json options = Json::object();
};

Json to_record(const Fault& fault);

// Rules in their order; the first that matches a request and has not run out applies.
class Faults {
  public:
    // Adds one rule; the text says what is wrong with it, if anything is.
    std::string add(const Json& rule);
    void clear() { rules_.clear(); }
    bool remove(std::int64_t id);
    Json list() const;

    // The rule for this request, counted.
    std::optional<Fault> take(const Request& request);

  private:
    std::vector<Fault> rules_;
    std::int64_t next_id_ = 1;
};

// True for the presets that answer in the workspace's place: the request is not processed.
bool replaces_processing(const Fault& fault);

// Puts the fault into the exchange; `exchange.response` is the true answer when the request was processed.
void apply_fault(const Fault& fault, const Request& request, Exchange& exchange);

} // namespace dbx::standin
