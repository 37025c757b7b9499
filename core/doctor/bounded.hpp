#pragma once

#include "core/http/client.hpp"
#include "core/http/retry.hpp"
#include "core/system/process.hpp"

#include <atomic>
#include <chrono>

namespace dbx::doctor {

// The network part of a diagnosis must end by itself: these stand before the real client, pacer and process
// and cut what is asked of them down to what is left of the time. Any number of threads.
class Deadline {
  public:
    Deadline(http::Pacer& pacer, std::chrono::milliseconds total)
        : pacer_(pacer)
        , end_(pacer.now() + total) {}
    std::chrono::milliseconds left() const;

  private:
    http::Pacer& pacer_;
    std::chrono::steady_clock::time_point end_;
};

class BoundedClient : public http::HttpClient {
  public:
    BoundedClient(http::HttpClient& client, const Deadline& deadline, std::chrono::milliseconds each)
        : client_(client)
        , deadline_(deadline)
        , each_(each) {}
    tl::expected<http::Response, http::Failure> send(const http::Request& request) override;

  private:
    http::HttpClient& client_;
    const Deadline& deadline_;
    std::chrono::milliseconds each_;
};

class BoundedProcess : public system::Process {
  public:
    BoundedProcess(system::Process& process, const Deadline& deadline, std::chrono::milliseconds each)
        : process_(process)
        , deadline_(deadline)
        , each_(each) {}
    Result<system::ProcessResult> run(const system::ProcessRequest& request) override;

  private:
    system::Process& process_;
    const Deadline& deadline_;
    std::chrono::milliseconds each_;
};

// After one short wait an hour has passed for those who count: retry policies of minutes end after their
// first repetition.
class ImpatientPacer : public http::Pacer {
  public:
    ImpatientPacer(http::Pacer& pacer, const Deadline& deadline)
        : pacer_(pacer)
        , deadline_(deadline) {}
    std::chrono::steady_clock::time_point now() const override;
    system::WallTime wall_now() const override { return pacer_.wall_now(); }
    bool wait(std::chrono::milliseconds time) override;
    double random() override { return pacer_.random(); }

  private:
    http::Pacer& pacer_;
    const Deadline& deadline_;
    std::atomic<int> hours_{0};
};

} // namespace dbx::doctor
