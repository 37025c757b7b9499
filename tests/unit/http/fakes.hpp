#pragma once

#include "core/http/client.hpp"
#include "core/http/retry.hpp"

#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

namespace dbx::test {

using Answer = tl::expected<http::Response, http::Failure>;

inline http::Response answer(int status, std::string body, http::Headers headers = {}) {
    if (!body.empty() && (body[0] == '{' || body[0] == '['))
        headers.insert(headers.begin(), {"Content-Type", "application/json"});
    return http::Response{status, std::move(headers), std::move(body), {}};
}

inline http::Failure failure(http::NetworkProblem problem, bool sent = false) {
    return http::Failure{problem, sent, "it is a test", "nothing"};
}

// Answers from a list, in order, or from a function; remembers what was asked.
class FakeHttp : public http::HttpClient {
  public:
    std::deque<Answer> script;
    std::function<Answer(const http::Request&)> rule;
    std::vector<http::Request> requests;

    Answer send(const http::Request& request) override {
        const std::lock_guard lock(guard_);
        requests.push_back(request);
        Answer result = answer(599, "no answer is scripted");
        if (!script.empty()) {
            result = std::move(script.front());
            script.pop_front();
        } else if (rule) {
            result = rule(request);
        }
        if (result) result->url = request.url;
        return result;
    }

  private:
    std::mutex guard_;
};

// Time that passes only when somebody waits.
class FakePacer : public http::Pacer {
  public:
    std::chrono::milliseconds passed{0};
    std::vector<std::chrono::milliseconds> waits;
    std::size_t interrupt_at_wait = SIZE_MAX;
    double next_random = 0.5;

    std::chrono::steady_clock::time_point now() const override {
        return std::chrono::steady_clock::time_point(passed);
    }
    system::WallTime wall_now() const override {
        return system::WallTime(std::chrono::seconds(1'790'000'000)) + passed;
    }
    bool wait(std::chrono::milliseconds time) override {
        waits.push_back(time);
        passed += time;
        return waits.size() <= interrupt_at_wait;
    }
    double random() override { return next_random; }
};

} // namespace dbx::test
