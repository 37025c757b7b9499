#pragma once

#include "tests/workspace/faults.hpp"
#include "tests/workspace/record.hpp"
#include "tests/workspace/server.hpp"
#include "tests/workspace/state.hpp"

#include <atomic>
#include <mutex>
#include <string>

namespace dbx::standin {

struct Context;

// The stand-in workspace: routes requests, breaks answers as told, records everything. One request at a
// time is worked on; only sending and waiting happen side by side.
class Workspace : public Handler {
  public:
    explicit Workspace(const std::string& directory);

    Exchange handle(const Request& request) override;
    void finished(std::uint64_t number, Outcome outcome) override { log_.finish(number, outcome); }
    std::uint64_t release_epoch() const override { return releases_; }

  private:
    friend class Control;
    Response route(Context& context);

    std::mutex mutex_;
    Store store_;
    RequestLog log_;
    Faults faults_;
    std::atomic<std::uint64_t> releases_{0};
};

} // namespace dbx::standin
