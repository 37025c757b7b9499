#include "core/usage/limiter.hpp"

#include "core/usage/gauge.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <unordered_map>

namespace dbx::usage {

namespace {

using Steady = std::chrono::steady_clock;
using std::chrono::milliseconds;
using Seconds = Gauge::Seconds;

// Before anything was learnt: what a request of so many bytes asks for, and what a model answers.
constexpr double first_tokens_per_byte = 0.25;
constexpr double first_output = 500;
constexpr double weight = 0.2; // of the newest in the running means
constexpr std::size_t models_learnt = 256;
constexpr auto shortest_retry = std::chrono::milliseconds(1'000);
constexpr auto first_duration = std::chrono::seconds(5); // of a request, before any was seen
constexpr auto shortest_pause = std::chrono::microseconds(50);

std::string plain_number(double value) {
    std::string text = std::to_string(value);
    while (text.find('.') != std::string::npos && (text.back() == '0' || text.back() == '.')) {
        const bool point = text.back() == '.';
        text.pop_back();
        if (point) break;
    }
    return text;
}

std::string_view word_of(Period period) {
    return period == Period::day ? "day" : period == Period::week ? "week" : "month";
}

} // namespace

std::string Limiter::Refusal::in_words() const {
    std::string text = limit + ": ";
    switch (kind) {
    case Kind::requests:
        text += plain_number(allowed) + " requests per minute";
        break;
    case Kind::tokens:
        text += plain_number(allowed) + " tokens per minute";
        break;
    case Kind::concurrent:
        text += plain_number(allowed) + " requests at a time";
        break;
    case Kind::budget_tokens:
        text += plain_number(allowed) + " tokens per " + std::string(word_of(period));
        break;
    case Kind::budget_usd:
        text += plain_number(allowed) + " USD per " + std::string(word_of(period));
        break;
    case Kind::line:
        text += "no more than " + plain_number(allowed) + " requests wait";
        break;
    }
    if (!where.empty()) text += " (" + where + ")";
    return text;
}

// ---- state ----

namespace {

struct Mean {
    double value = 0;
    bool any = false;
    void learn(double sample) {
        value = any ? value + weight * (sample - value) : sample;
        any = true;
    }
};
struct Learnt {
    Mean output;
    Mean tokens_per_byte;
};

struct Request {
    Limiter::TicketId ticket = 0;
    std::string agent;
    std::string model;
    std::uint64_t input_bytes = 0;
    Need need;
    // That concern it; of budgets with the begin of the period in which it went.
    struct Concerned {
        std::size_t index;
        system::WallTime period_began;
    };
    std::vector<Concerned> gauges;
    // waiting
    Steady::time_point came{};
    Steady::time_point deadline{};
    std::vector<std::size_t> blocked_on;
    // running
    Steady::time_point went{};
};

} // namespace

struct Limiter::State {
    Options options;
    std::vector<Gauge> gauges;
    std::map<std::string, Learnt, std::less<>> learnt;
    std::unordered_map<TicketId, Request> running;
    // Each agent's line, in order; the agents' turns in `turns`, the next one first.
    std::map<std::string, std::deque<Request>, std::less<>> lines;
    std::deque<std::string> turns;
    std::size_t waiting = 0;
    std::uint64_t line_refused = 0;
    TicketId last_ticket = 0;
    std::optional<Steady::time_point> wakeup;
    Moment latest; // neither clock goes back here

    // -- time --

    Moment forward(Moment now) {
        latest.steady = std::max(latest.steady, now.steady);
        latest.wall = now.wall;
        return {latest.steady, now.wall};
    }

    void refresh(Gauge& gauge, Moment now) const { gauge.refresh(now, options.utc_offset); }

    // -- arithmetic --

    Need need_of(const Ask& ask) {
        double per_byte = first_tokens_per_byte, output = first_output;
        if (const auto known = learnt.find(ask.model); known != learnt.end()) {
            if (known->second.tokens_per_byte.any) per_byte = known->second.tokens_per_byte.value;
            if (known->second.output.any) output = known->second.output.value;
        }
        if (ask.output_cap) output = std::min(output, static_cast<double>(*ask.output_cap));
        Need need;
        need.tokens = std::ceil(static_cast<double>(ask.input_bytes) * per_byte + output);
        need.priced = ask.usd_per_token.has_value();
        need.usd = need.tokens * ask.usd_per_token.value_or(0);
        return need;
    }

    void take(Request& request, Moment now) {
        request.went = now.steady;
        for (auto& [index, period_began] : request.gauges) {
            period_began = gauges[index].bounds.begin;
            gauges[index].take(request.need, now);
        }
    }

    Refusal refusal_for(std::size_t index, const Need& need, Moment now) {
        const auto& gauge = gauges[index];
        Refusal refusal;
        refusal.limit = gauge.name;
        refusal.where = gauge.where;
        refusal.kind = gauge.kind;
        refusal.allowed = gauge.allowed;
        refusal.period = gauge.period;
        Seconds wait = first_duration;
        if (gauge.kind == Kind::concurrent) {
            // Those who wait already come first; each running place becomes free once per mean duration.
            wait = gauge.mean_duration * (static_cast<double>(gauge.blocked) + 1) / gauge.allowed;
        } else {
            double needed = gauge.entrance(need);
            if (gauge.is_per_minute()) needed += needed_by_line(index);
            wait = gauge.until_room(needed, now).value_or(wait);
            if (gauge.is_budget()) refusal.resets_at = gauge.bounds.end;
        }
        refusal.retry_after = std::max(shortest_retry, std::chrono::ceil<std::chrono::milliseconds>(wait));
        return refusal;
    }

    double needed_by_line(std::size_t index) const {
        double sum = 0;
        for (const auto& [agent, line] : lines) {
            for (const auto& request : line) {
                if (std::find(request.blocked_on.begin(), request.blocked_on.end(), index) !=
                    request.blocked_on.end())
                    sum += gauges[index].entrance(request.need);
            }
        }
        return sum;
    }

    // -- the line --

    void set_blocked(Request& request, std::vector<std::size_t> by) {
        for (const auto index : request.blocked_on) --gauges[index].blocked;
        request.blocked_on = std::move(by);
        for (const auto index : request.blocked_on) ++gauges[index].blocked;
    }

    // The one that it waits for longest.
    std::size_t worst(const Request& request, Moment now) const {
        std::size_t result = request.blocked_on.front();
        double longest = -1;
        for (const auto index : request.blocked_on) {
            const auto& gauge = gauges[index];
            const auto wait =
                gauge.until_room(gauge.entrance(request.need), now).value_or(gauge.mean_duration).count();
            if (wait > longest) {
                longest = wait;
                result = index;
            }
        }
        return result;
    }

    // The first moment at which run() may change something by itself. Who is only behind others is not asked:
    // it goes with them.
    void plan_wakeup(Moment now) {
        wakeup.reset();
        if (waiting == 0) return;
        for (auto& gauge : gauges) refresh(gauge, now);
        for (const auto& [agent, line] : lines) {
            for (const auto& request : line) {
                auto when = request.deadline;
                Seconds room(0);
                bool known = false;
                for (const auto index : request.blocked_on) {
                    const auto& gauge = gauges[index];
                    if (gauge.has_room(request.need)) continue;
                    const auto wait = gauge.until_room(gauge.entrance(request.need), now);
                    known = wait.has_value();
                    if (!known) break;
                    room = std::max(room, *wait);
                }
                const auto pause = std::chrono::ceil<std::chrono::microseconds>(room) + shortest_pause;
                if (known && pause < when - now.steady) when = now.steady + pause;
                if (!wakeup || when < *wakeup) wakeup = when;
            }
        }
    }

    // -- rules --

    std::vector<Gauge> gauges_of_rules(Moment now) const {
        std::vector<Gauge> result;
        const auto add = [&](const auto& rule, Kind kind, double allowed) -> Gauge& {
            Gauge gauge;
            gauge.name = rule.name;
            gauge.where = rule.where;
            gauge.agent = rule.agent;
            gauge.model = rule.model;
            gauge.kind = kind;
            gauge.allowed = allowed;
            gauge.level = allowed;
            gauge.filled = now.steady;
            return result.emplace_back(std::move(gauge));
        };
        for (const auto& rule : options.limits) {
            if (rule.requests_per_minute) add(rule, Kind::requests, *rule.requests_per_minute);
            if (rule.tokens_per_minute) add(rule, Kind::tokens, *rule.tokens_per_minute);
            if (rule.concurrent) add(rule, Kind::concurrent, *rule.concurrent);
        }
        for (std::size_t i = 0; i < options.budgets.size(); ++i) {
            const auto& rule = options.budgets[i];
            const auto add_budget = [&](Kind kind, double allowed) {
                auto& gauge = add(rule, kind, allowed);
                gauge.period = rule.period;
                gauge.budget = i;
                gauge.bounds = bounds_of(rule.period, now.wall, options.utc_offset(now.wall));
            };
            if (rule.tokens) add_budget(Kind::budget_tokens, *rule.tokens);
            if (rule.usd) add_budget(Kind::budget_usd, *rule.usd);
        }
        return result;
    }

    // For each of `fresh` the gauge that it continues, or SIZE_MAX. One of the same name goes before another.
    std::vector<std::size_t> predecessors(const std::vector<Gauge>& fresh) const {
        std::vector<std::size_t> result(fresh.size(), SIZE_MAX);
        std::vector<bool> taken(gauges.size(), false);
        for (const bool by_name : {true, false}) {
            for (std::size_t i = 0; i < fresh.size(); ++i) {
                for (std::size_t old = 0; old < gauges.size() && result[i] == SIZE_MAX; ++old) {
                    if (taken[old] || !fresh[i].continues(gauges[old])) continue;
                    if (by_name && fresh[i].name != gauges[old].name) continue;
                    result[i] = old;
                    taken[old] = true;
                }
            }
        }
        return result;
    }
};

Limiter::Limiter(Options options, Moment now)
    : state_(std::make_unique<State>()) {
    state_->latest = now;
    change_rules(std::move(options), now);
}

std::vector<std::size_t> Limiter::change_rules(Options options, Moment moment) {
    auto& state = *state_;
    const auto now = state.forward(moment);
    for (auto& gauge : state.gauges) state.refresh(gauge, now);
    state.options = std::move(options);
    auto fresh = state.gauges_of_rules(now);
    const auto before = state.predecessors(fresh);
    std::vector<std::size_t> new_budgets;
    for (std::size_t i = 0; i < fresh.size(); ++i) {
        if (before[i] != SIZE_MAX)
            fresh[i].take_over(state.gauges[before[i]]);
        else if (fresh[i].is_budget())
            new_budgets.push_back(fresh[i].budget);
    }
    state.gauges = std::move(fresh);

    for (auto& [ticket, request] : state.running) {
        const auto was = std::move(request.gauges);
        request.gauges.clear();
        for (std::size_t i = 0; i < state.gauges.size(); ++i) {
            auto& gauge = state.gauges[i];
            if (!gauge.concerns(request.agent, request.model)) continue;
            const auto known =
                std::find_if(was.begin(), was.end(), [&](const auto& one) { return one.index == before[i]; });
            if (known == was.end()) gauge.take(request.need, now);
            request.gauges.push_back({i, known == was.end() ? gauge.bounds.begin : known->period_began});
        }
    }
    for (auto& [agent, line] : state.lines) {
        for (auto& request : line) {
            request.gauges.clear();
            request.blocked_on.clear(); // of gauges that are gone; run() finds what it waits for now
            request.deadline = request.came + state.options.hold;
            for (std::size_t i = 0; i < state.gauges.size(); ++i)
                if (state.gauges[i].concerns(request.agent, request.model)) request.gauges.push_back({i, {}});
        }
    }
    if (state.waiting > 0) state.wakeup = now.steady;
    return new_budgets;
}

Limiter::~Limiter() = default;

bool Limiter::empty() const {
    return state_->gauges.empty();
}

Limiter::Verdict Limiter::admit(const Ask& ask, Moment moment) {
    auto& state = *state_;
    if (state.gauges.empty()) return {};
    const auto now = state.forward(moment);
    Request request;
    request.gauges.reserve(state.gauges.size());
    for (std::size_t i = 0; i < state.gauges.size(); ++i) {
        if (!state.gauges[i].concerns(ask.agent, ask.model)) continue;
        state.refresh(state.gauges[i], now);
        request.gauges.push_back({i, {}});
    }
    if (request.gauges.empty()) return {};
    request.ticket = ++state.last_ticket;
    request.agent = ask.agent;
    request.model = ask.model;
    request.input_bytes = ask.input_bytes;
    request.need = state.need_of(ask);

    std::vector<std::size_t> blocked;
    for (const auto& one : request.gauges) {
        const auto& gauge = state.gauges[one.index];
        if (!gauge.has_room(request.need) || (gauge.blocked > 0 && gauge.counts(request.need)))
            blocked.push_back(one.index);
    }
    if (blocked.empty()) {
        state.take(request, now);
        const auto ticket = request.ticket;
        state.running.emplace(ticket, std::move(request));
        return {Decision::go, ticket, std::nullopt};
    }
    request.blocked_on = blocked; // not counted yet
    const auto refuse = [&](std::size_t index) {
        ++state.gauges[index].refused;
        return Verdict{Decision::refuse, 0, state.refusal_for(index, request.need, now)};
    };
    // A budget that is used up is not waited for, unless its period ends within the hold.
    for (const auto index : blocked) {
        const auto& gauge = state.gauges[index];
        if (gauge.is_spent() && gauge.bounds.end - now.wall > state.options.hold) return refuse(index);
    }
    const auto worst = state.worst(request, now);
    if (state.options.hold <= milliseconds(0)) return refuse(worst);
    if (state.waiting >= state.options.line) {
        ++state.line_refused;
        auto refusal = state.refusal_for(worst, request.need, now);
        refusal.kind = Kind::line;
        refusal.allowed = static_cast<double>(state.options.line);
        ++state.gauges[worst].refused;
        return {Decision::refuse, 0, std::move(refusal)};
    }
    request.came = now.steady;
    request.deadline = now.steady + state.options.hold;
    request.blocked_on.clear();
    state.set_blocked(request, blocked);
    ++state.gauges[worst].held;
    auto& line = state.lines[request.agent];
    if (line.empty()) state.turns.push_back(request.agent);
    Verdict verdict{Decision::wait, request.ticket, state.refusal_for(worst, request.need, now)};
    line.push_back(std::move(request));
    ++state.waiting;
    state.plan_wakeup(now);
    return verdict;
}

std::vector<Limiter::Released> Limiter::run(Moment moment) {
    auto& state = *state_;
    std::vector<Released> result;
    if (state.waiting == 0) return result;
    const auto now = state.forward(moment);
    for (auto& gauge : state.gauges) state.refresh(gauge, now);

    // A gauge that somebody could not get past is closed to all behind him, so that small requests do not
    // starve a large one. Who waits for another gauge only does not close this one.
    std::vector<bool> closed(state.gauges.size(), false);
    std::map<std::string, std::size_t, std::less<>> next; // of each agent's line
    std::vector<std::string> went;                        // agents, in the order they had a turn
    const auto order = state.turns;
    for (bool any = true; any;) {
        any = false;
        for (const auto& agent : order) {
            auto& line = state.lines[agent];
            auto& at = next[agent];
            if (at >= line.size()) continue;
            any = true;
            auto& request = line[at];
            std::vector<std::size_t> blocked;
            for (const auto& one : request.gauges) {
                const auto& gauge = state.gauges[one.index];
                if (!gauge.counts(request.need)) continue;
                if (closed[one.index] || !gauge.has_room(request.need)) blocked.push_back(one.index);
            }
            const auto waited = std::chrono::ceil<milliseconds>(now.steady - request.came);
            const auto release = [&](Released released) {
                state.set_blocked(request, {});
                result.push_back(std::move(released));
                if (result.back().decision == Decision::go) {
                    state.take(request, now);
                    state.running.emplace(request.ticket, std::move(request));
                    went.push_back(agent);
                }
                line.erase(line.begin() + static_cast<std::ptrdiff_t>(at));
                --state.waiting;
            };
            if (blocked.empty()) {
                // Nothing, when the rules have changed meanwhile.
                const auto was =
                    request.blocked_on.empty() ? std::string() : state.gauges[state.worst(request, now)].name;
                release({request.ticket, Decision::go, waited, was, std::nullopt});
                continue;
            }
            state.set_blocked(request, std::move(blocked));
            if (now.steady >= request.deadline) {
                const auto worst = state.worst(request, now);
                // Its own place in the line is not before it.
                const auto by = request.blocked_on;
                state.set_blocked(request, {});
                auto refusal = state.refusal_for(worst, request.need, now);
                state.set_blocked(request, by);
                ++state.gauges[worst].refused;
                release({request.ticket, Decision::refuse, waited, refusal.limit, refusal});
                continue;
            }
            for (const auto index : request.blocked_on) {
                if (!state.gauges[index].has_room(request.need)) closed[index] = true;
            }
            ++at;
        }
    }
    // Who had a turn is last now.
    for (const auto& agent : went) {
        const auto found = std::find(state.turns.begin(), state.turns.end(), agent);
        if (found == state.turns.end()) continue;
        state.turns.erase(found);
        state.turns.push_back(agent);
    }
    std::erase_if(state.turns, [&](const std::string& agent) {
        const auto line = state.lines.find(agent);
        if (line != state.lines.end() && !line->second.empty()) return false;
        if (line != state.lines.end()) state.lines.erase(line);
        return true;
    });
    state.plan_wakeup(now);
    return result;
}

std::optional<Steady::time_point> Limiter::next_wakeup() const {
    return state_->wakeup;
}

bool Limiter::cancel(TicketId ticket, Moment moment) {
    auto& state = *state_;
    for (auto& [agent, line] : state.lines) {
        const auto found = std::find_if(line.begin(), line.end(),
                                        [&](const Request& request) { return request.ticket == ticket; });
        if (found == line.end()) continue;
        state.set_blocked(*found, {});
        line.erase(found);
        --state.waiting;
        if (line.empty()) {
            std::erase(state.turns, agent);
            state.lines.erase(agent);
        }
        // What it closed is open to those behind it.
        state.wakeup.reset();
        if (state.waiting > 0) state.wakeup = state.forward(moment).steady;
        return true;
    }
    return false;
}

void Limiter::settle(TicketId ticket, const Spent& spent, Moment moment) {
    auto& state = *state_;
    const auto found = state.running.find(ticket);
    if (found == state.running.end()) return;
    const auto now = state.forward(moment);
    const auto request = std::move(found->second);
    state.running.erase(found);

    for (const auto& [index, period_began] : request.gauges) {
        auto& gauge = state.gauges[index];
        state.refresh(gauge, now);
        gauge.settle(request.need, spent, request.went, period_began, now);
    }
    if (state.learnt.size() < models_learnt || state.learnt.contains(request.model)) {
        if (spent.output || spent.input) {
            auto& model = state.learnt[request.model];
            if (spent.output) model.output.learn(static_cast<double>(*spent.output));
            if (spent.input && request.input_bytes > 0)
                model.tokens_per_byte.learn(static_cast<double>(*spent.input) /
                                            static_cast<double>(request.input_bytes));
        }
    }
    if (state.waiting > 0) state.wakeup = now.steady;
}

const BudgetRule& Limiter::budget(std::size_t index) const {
    return state_->options.budgets.at(index);
}

system::WallTime Limiter::budget_begin(std::size_t budget, Moment now) const {
    const auto& rule = state_->options.budgets.at(budget);
    return bounds_of(rule.period, now.wall, state_->options.utc_offset(now.wall)).begin;
}

void Limiter::restore(std::size_t budget, const Totals& used) {
    for (auto& gauge : state_->gauges) {
        if (gauge.budget != budget) continue;
        gauge.used = gauge.kind == Kind::budget_usd ? used.cost_usd : static_cast<double>(used.counted());
        gauge.unpriced = used.unpriced;
    }
}

std::vector<Limiter::Level> Limiter::levels(Moment now) const {
    std::vector<Level> result;
    for (const auto& original : state_->gauges) {
        auto gauge = original;
        state_->refresh(gauge, {std::max(now.steady, state_->latest.steady), now.wall});
        Level level;
        level.limit = gauge.name;
        level.where = gauge.where;
        level.agent = gauge.agent;
        level.model = gauge.model;
        level.kind = gauge.kind;
        level.period = gauge.period;
        level.allowed = gauge.allowed;
        // A debt that is older than a minute is still one.
        level.used = gauge.is_per_minute() ? std::max(gauge.recent.sum(), gauge.allowed - gauge.level)
                     : gauge.is_budget()   ? gauge.used + gauge.reserved
                                           : gauge.in_flight;
        level.waiting = gauge.blocked;
        level.refused = gauge.refused;
        level.held = gauge.held;
        level.unpriced = gauge.unpriced;
        const Need least{1, 0, true};
        if (!gauge.has_room(least)) {
            if (const auto wait = gauge.until_room(gauge.entrance(least), now))
                level.frees_in = std::chrono::ceil<milliseconds>(*wait);
        }
        if (gauge.is_budget()) level.resets_at = gauge.bounds.end;
        result.push_back(std::move(level));
    }
    return result;
}

} // namespace dbx::usage
