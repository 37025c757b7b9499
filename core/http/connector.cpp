#include "core/http/connector.hpp"

#include "core/http/curl_library.hpp"
#include "core/http/url.hpp"
#include "core/system/self.hpp"

#include <array>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace dbx::http {

namespace {

struct Job {
    std::string host;
    int port = 0;
    bool tls = false;
    std::chrono::milliseconds timeout{};
    Connector::Done done;
    std::array<char, CURL_ERROR_SIZE> detail{};
};

// The longest wait for libcurl's sockets; a new job wakes the thread earlier.
constexpr int poll_ms = 1000;

} // namespace

class Connector::Worker {
  public:
    explicit Worker(ClientOptions options)
        : options_(std::move(options))
        , thread_([this] { run(); }) {}

    ~Worker() {
        {
            const std::lock_guard lock(guard_);
            stopping_ = true;
            wake();
        }
        thread_.join();
    }

    void add(std::unique_ptr<Job> job) {
        const std::lock_guard lock(guard_);
        new_.push_back(std::move(job));
        wake();
    }

  private:
    void wake() {
        if (multi_ != nullptr) curl_library().multi_wakeup(multi_);
    }

    void run() {
        // Loading libcurl takes milliseconds; that happens here, not in the way of the first request.
        const auto& curl = curl_library();
        CURLM* multi = curl.problem.empty() ? curl.multi_init() : nullptr;
        {
            const std::lock_guard lock(guard_);
            multi_ = multi;
        }
        while (true) {
            std::vector<std::unique_ptr<Job>> jobs;
            {
                const std::lock_guard lock(guard_);
                if (stopping_) break;
                jobs.swap(new_);
            }
            for (auto& job : jobs) start(std::move(job));
            if (multi == nullptr) {
                // Without libcurl every connection fails; look again for jobs until we are stopped.
                std::this_thread::sleep_for(std::chrono::milliseconds(20));
                continue;
            }
            int running = 0;
            curl.multi_perform(multi, &running);
            int left = 0;
            while (CURLMsg* message = curl.multi_info_read(multi, &left)) {
                if (message->msg == CURLMSG_DONE) finish(message->easy_handle, message->data.result);
            }
            curl.multi_poll(multi, nullptr, 0, poll_ms, nullptr);
        }
        for (auto& [handle, job] : running_) {
            curl.multi_remove_handle(multi, handle);
            curl.easy_cleanup(handle);
        }
        const std::lock_guard lock(guard_);
        if (multi_ != nullptr) curl.multi_cleanup(std::exchange(multi_, nullptr));
    }

    void start(std::unique_ptr<Job> job) {
        const auto& curl = curl_library();
        CURL* handle = multi_ != nullptr ? curl.easy_init() : nullptr;
        if (handle == nullptr) {
            job->done(tl::unexpected(Failure{NetworkProblem::other, false,
                                             "the HTTP library cannot be used" +
                                                 (curl.problem.empty() ? std::string() : ": " + curl.problem),
                                             "install libcurl 4 (Debian, Ubuntu: libcurl4)"}));
            return;
        }
        const auto set = [&](CURLoption option, auto value) { curl.easy_setopt(handle, option, value); };
        // An http URL with the port of https: the TLS is the receiver's. CONNECT through a proxy all the
        // same.
        const std::string url = "http://" + job->host + ":" + std::to_string(job->port);
        const bool direct = is_loopback_host(job->host) || !job->tls;
        set(CURLOPT_URL, url.c_str());
        set(CURLOPT_CONNECT_ONLY, 1L);
        set(CURLOPT_NOSIGNAL, 1L);
        set(CURLOPT_HTTPPROXYTUNNEL, 1L);
        set(CURLOPT_PROXY, direct ? "" : options_.https_proxy.c_str());
        set(CURLOPT_NOPROXY, options_.no_proxy.c_str());
        set(CURLOPT_USERAGENT, options_.user_agent.c_str());
        set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
        set(CURLOPT_TCP_NODELAY, 1L);
        set(CURLOPT_TCP_KEEPALIVE, 1L);
        set(CURLOPT_FRESH_CONNECT, 1L);
        set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(job->timeout.count()));
        set(CURLOPT_TIMEOUT_MS, static_cast<long>(job->timeout.count()));
        set(CURLOPT_ERRORBUFFER, job->detail.data());
        curl.multi_add_handle(multi_, handle);
        running_[handle] = std::move(job);
    }

    void finish(CURL* handle, CURLcode code) {
        const auto& curl = curl_library();
        const auto found = running_.find(handle);
        const std::unique_ptr<Job> job = std::move(found->second);
        running_.erase(found);
        curl_socket_t socket = CURL_SOCKET_BAD;
        if (code == CURLE_OK) curl.easy_getinfo(handle, CURLINFO_ACTIVESOCKET, &socket);
        // A second descriptor of the same connection: it stays open when libcurl closes its own.
        const int ours = code == CURLE_OK ? system::duplicate_descriptor(static_cast<int>(socket)) : -1;
        Failure failure;
        if (code != CURLE_OK)
            failure =
                explain_curl(code, job->detail.data(), {false, false, job->timeout, job->timeout}, job->host);
        else if (ours < 0)
            failure = {NetworkProblem::other, false, "no file descriptor is left",
                       "raise the limit: ulimit -n"};
        curl.multi_remove_handle(multi_, handle);
        curl.easy_cleanup(handle);
        if (ours >= 0)
            job->done(ours);
        else
            job->done(tl::unexpected(std::move(failure)));
    }

    const ClientOptions options_;
    std::mutex guard_; // of new_, stopping_, and of multi_ for other threads
    std::vector<std::unique_ptr<Job>> new_;
    bool stopping_ = false;
    CURLM* multi_ = nullptr;
    std::map<CURL*, std::unique_ptr<Job>> running_;
    std::thread thread_; // last: it uses the others
};

Connector::Connector(ClientOptions options)
    : worker_(std::make_unique<Worker>(std::move(options))) {}

Connector::~Connector() = default;

void Connector::connect(const std::string& host, int port, bool tls, std::chrono::milliseconds timeout,
                        Done done) {
    auto job = std::make_unique<Job>();
    job->host = host;
    job->port = port;
    job->tls = tls;
    job->timeout = timeout;
    job->done = std::move(done);
    worker_->add(std::move(job));
}

} // namespace dbx::http
