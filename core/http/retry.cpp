#include "core/http/retry.hpp"

#include "core/base/strings.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <random>
#include <thread>

namespace dbx::http {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

std::optional<int> read_number(std::string_view text) {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc() || end != text.data() + text.size() || value < 0)
        return std::nullopt;
    return value;
}

} // namespace

std::chrono::steady_clock::time_point RealPacer::now() const {
    return std::chrono::steady_clock::now();
}

system::WallTime RealPacer::wall_now() const {
    return std::chrono::system_clock::now();
}

bool RealPacer::wait(milliseconds time) {
    const auto end = now() + time;
    while (!system::InterruptGuard::interrupted()) {
        const auto left = end - now();
        if (left <= left.zero()) return true;
        std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(left, milliseconds(100)));
    }
    return false;
}

double RealPacer::random() {
    thread_local std::mt19937_64 generator{std::random_device{}()};
    return std::uniform_real_distribution<double>(0, 1)(generator);
}

std::optional<system::WallTime> parse_http_date(std::string_view text) {
    constexpr std::array<std::string_view, 12> months = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const auto parts = split(trim(text), ' ');
    if (parts.size() != 6 || parts[5] != "GMT" || parts[4].size() != 8) return std::nullopt;
    const auto month = std::find(months.begin(), months.end(), parts[2]);
    const auto clock = split(parts[4], ':');
    const auto day = read_number(parts[1]), year = read_number(parts[3]);
    if (month == months.end() || clock.size() != 3 || !day || !year || *year > 9999) return std::nullopt;
    const auto hour = read_number(clock[0]), minute = read_number(clock[1]), second = read_number(clock[2]);
    if (!hour || !minute || !second || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
    const std::chrono::year_month_day date(
        std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(month - months.begin()) + 1),
        std::chrono::day(static_cast<unsigned>(*day)));
    if (!date.ok()) return std::nullopt;
    return std::chrono::sys_days(date) + std::chrono::hours(*hour) + std::chrono::minutes(*minute) +
           seconds(*second);
}

std::optional<milliseconds> retry_after(const Response& response, system::WallTime now) {
    const auto* text = response.header("Retry-After");
    if (text == nullptr) return std::nullopt;
    if (const auto number = read_number(trim(*text))) return seconds(*number);
    if (const auto date = parse_http_date(*text))
        return std::max(milliseconds(0), std::chrono::ceil<milliseconds>(*date - now));
    return std::nullopt;
}

bool worth_repeating(const Response& response, Repeatable repeatable) {
    if (response.status == 429 || response.status == 503) return true;
    return repeatable == Repeatable::yes && (response.status == 502 || response.status == 504);
}

bool worth_repeating(const Failure& failure, Repeatable repeatable) {
    switch (failure.problem) {
    case NetworkProblem::connect:
    case NetworkProblem::timeout:
    case NetworkProblem::dropped:
        return repeatable == Repeatable::yes || !failure.sent;
    default:
        // A wrong name, certificate or proxy does not heal within minutes: saying so at once is kinder.
        return false;
    }
}

std::optional<milliseconds> next_wait(const RetryPolicy& policy, int done, milliseconds elapsed,
                                      std::optional<milliseconds> asked, double random) {
    if (done >= policy.attempts) return std::nullopt;
    auto wait = policy.first_wait;
    for (int i = 1; i < done && wait < policy.longest_wait; ++i) wait *= 2;
    wait = std::min(wait, policy.longest_wait);
    wait =
        milliseconds(static_cast<milliseconds::rep>(static_cast<double>(wait.count()) * (0.5 + random / 2)));
    // Many clients are told the same moment: never before it, and not all at it.
    if (asked) wait = std::max(wait, *asked + milliseconds(static_cast<milliseconds::rep>(random * 250)));
    if (elapsed + wait > policy.total) return std::nullopt;
    return wait;
}

tl::expected<Response, Failure> send_with_retries(HttpClient& client, const Request& request,
                                                  Repeatable repeatable, const RetryPolicy& policy,
                                                  Pacer& pacer) {
    const auto start = pacer.now();
    for (int done = 1;; ++done) {
        auto answer = client.send(request);
        const bool repeat =
            answer ? worth_repeating(*answer, repeatable) : worth_repeating(answer.error(), repeatable);
        if (!repeat) return answer;
        const auto elapsed = std::chrono::duration_cast<milliseconds>(pacer.now() - start);
        const auto asked = answer ? retry_after(*answer, pacer.wall_now()) : std::nullopt;
        const auto wait = next_wait(policy, done, elapsed, asked, pacer.random());
        if (!wait) return answer;
        if (!pacer.wait(*wait))
            return tl::unexpected(Failure{NetworkProblem::interrupted, false, "interrupted", ""});
    }
}

} // namespace dbx::http
