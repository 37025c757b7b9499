#include "core/proxy/token_keeper.hpp"

#include <chrono>

namespace dbx::proxy {

namespace {

// How often the thread looks whether the token grows old; it is refreshed five minutes before its end.
constexpr std::chrono::seconds look_every{5};

} // namespace

TokenKeeper::TokenKeeper(Get get, const system::Clock& clock)
    : get_(std::move(get))
    , clock_(clock)
    , thread_([this] { run(); }) {}

TokenKeeper::~TokenKeeper() {
    {
        const std::lock_guard lock(guard_);
        stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
}

void TokenKeeper::ask(Bearer refused, Done done) {
    {
        const std::lock_guard lock(guard_);
        waiting_.push_back({std::move(refused), std::move(done)});
    }
    wake_.notify_all();
}

std::string TokenKeeper::last_problem() const {
    const std::lock_guard lock(guard_);
    return problem_;
}

void TokenKeeper::set_current(Bearer bearer) {
    const std::lock_guard lock(current_guard_);
    current_.swap(bearer);
}

void TokenKeeper::fetch(databricks::Freshness freshness) {
    auto token = get_(freshness);
    if (token) {
        fetched_.fetch_add(1);
        const Bearer old = current();
        std::string value = "Bearer " + token->value.reveal();
        if (!old || old->reveal() != value)
            set_current(std::make_shared<const Secret>(Secret(std::move(value))));
        token_ = std::move(*token);
    }
    const std::lock_guard lock(guard_);
    if (token) {
        problem_.clear();
    } else {
        error_ = token.error();
        problem_ = error_.what + (error_.why.empty() ? "" : ": " + error_.why);
    }
}

void TokenKeeper::run() {
    fetch(databricks::Freshness::cached);
    while (true) {
        std::vector<Waiting> waiting;
        {
            std::unique_lock lock(guard_);
            wake_.wait_for(lock, look_every, [&] { return stopping_ || !waiting_.empty(); });
            if (stopping_) return;
            waiting.swap(waiting_);
        }
        const auto now = clock_.now();
        if (token_ && token_->expires_at && *token_->expires_at <= now) {
            set_current(nullptr);
            token_.reset();
        }
        // A token of the requests' own: somebody may have fetched one while they were in the line.
        const Bearer have = current();
        bool forced = false;
        for (const auto& one : waiting) forced = forced || (one.refused && one.refused == have);
        if (forced)
            fetch(databricks::Freshness::forced);
        else if ((!waiting.empty() && !have) || (token_ && !databricks::is_fresh(*token_, now)))
            fetch(databricks::Freshness::cached);
        const Bearer got = current();
        Error error;
        {
            const std::lock_guard lock(guard_);
            error = error_;
        }
        for (auto& one : waiting) {
            if (got)
                one.done(got);
            else
                one.done(fail(error));
        }
    }
}

} // namespace dbx::proxy
