#include "core/usage/ledger.hpp"

#include "core/base/strings.hpp"
#include "core/usage/flight.hpp"
#include "core/usage/ledger_file.hpp"
#include "core/usage/row_id.hpp"

#include <atomic>
#include <charconv>
#include <condition_variable>
#include <iterator>
#include <mutex>
#include <thread>
#include <vector>

namespace dbx::usage {

namespace {

using Steady = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::size_t group_rows = 512;
constexpr int checkpoint_pages = 4'000; // 8 MB of log, in a new file
constexpr auto look_every = 5s;
constexpr auto look_at_path_every = 100ms;
constexpr auto rest_before_checkpoint = 5s;
constexpr auto retention_every = 1h;
constexpr int retention_rows = 500;
constexpr auto first_retry = 1s;
constexpr auto longest_retry = 30s;
constexpr auto retry_lock_wait = 200ms;
constexpr auto shutdown_time = 2s;
constexpr int most_set_aside = 3; // in one life: a disk that breaks every new file is not helped by more

system::WallTime wall_now() {
    return std::chrono::system_clock::now();
}

struct Pending {
    Ledger::Ticket ticket;
    Row row;
    Ledger::Done done; // empty once it was called
};

Ledger::Health health_of(FileTrouble::Kind kind) {
    switch (kind) {
    case FileTrouble::Kind::locked:
        return Ledger::Health::locked;
    case FileTrouble::Kind::full:
        return Ledger::Health::full;
    case FileTrouble::Kind::newer:
        return Ledger::Health::newer;
    default:
        return Ledger::Health::unavailable;
    }
}

bool matches(const Filter& filter, std::string_view agent, std::string_view model) {
    return (filter.agent.empty() || glob_match(filter.agent, agent)) &&
           (filter.model.empty() || glob_match(filter.model, model));
}

Totals totals_of(const Row& row) {
    Totals totals;
    totals.requests = 1;
    totals.errors = row.status == 0 || row.status >= 400 || !row.error_class.empty() ? 1 : 0;
    totals.known = row.usage.known() ? 1 : 0;
    totals.unpriced = !row.cost_usd && row.usage.known() ? 1 : 0;
    totals.input = row.usage.input.value_or(0);
    totals.output = row.usage.output.value_or(0);
    totals.cache_read = row.usage.cache_read.value_or(0);
    totals.cache_write = row.usage.cache_write.value_or(0);
    totals.reasoning = row.usage.reasoning.value_or(0);
    totals.cost_usd = row.cost_usd.value_or(0);
    return totals;
}

class RealLedger : public Ledger {
  public:
    RealLedger(Options options, system::FileSystem& files)
        : options_(std::move(options))
        , files_(files)
        , flight_(options_.file, files) {
        status_.since = wall_now();
        open_file(options_.lock_wait);
        if (file_) file_->set_lock_wait(0ms);
        writer_has_it_ = status_.health != Health::good;
        thread_ = std::thread([this] { work(); });
    }

    ~RealLedger() override {
        {
            const std::lock_guard guard(mutex_);
            stop_ = true;
            give_up_ = Steady::now() + shutdown_time;
        }
        wake_.notify_all();
        thread_.join();
    }

    Ticket begin(const Begin& begin) override {
        Ticket ticket;
        ticket.id = new_id(begin.started_at);
        ticket.place = flight_.begin(ticket.id, begin);
        if (ticket.place == Flight::none) ++unmarked_;
        return ticket;
    }

    void name_model(const Ticket& ticket, std::string_view model_asked) override {
        flight_.name_model(ticket.place, model_asked);
    }

    bool commit(std::span<const Record> records) override {
        // Another loop's commit is over in microseconds; what the writer does is not waited for.
        std::unique_lock file(file_guard_, std::defer_lock);
        do {
            if (writer_has_it_.load(std::memory_order_acquire)) return false;
        } while (!file.try_lock());
        if (writer_has_it_.load(std::memory_order_acquire) || !file_) return false;
        // A row must not go into a file that nobody will find.
        if (const auto now = Steady::now(); now >= look_at_) {
            if (file_->moved()) return false;
            look_at_ = now + look_at_path_every;
        }
        group_.clear();
        for (const auto& record : records) group_.push_back({record.ticket.id, &record.row});
        if (!file_->write(group_)) return false; // the writer tries again, and says what is wrong
        committed_ += records.size();
        for (const auto& record : records) flight_.free(record.ticket.place);
        const bool full = file_->log_pages() >= checkpoint_pages && !checkpoint_due_.exchange(true);
        file.unlock();
        if (full) {
            const std::lock_guard guard(mutex_);
            wake_.notify_one();
        }
        return true;
    }

    void add(const Ticket& ticket, Row row, Done done) override {
        flight_.end(ticket.place, row);
        const std::lock_guard guard(mutex_);
        queue_.push_back({ticket, std::move(row), std::move(done)});
        if (queue_.size() == 1) wake_.notify_one();
    }

    Status status() const override {
        const std::lock_guard guard(mutex_);
        Status result = status_;
        result.waiting = pending_.size() + queue_.size();
        result.committed = committed_;
        result.unmarked = unmarked_;
        return result;
    }

    Result<Totals> since(system::WallTime time, const Filter& filter) const override {
        Totals totals;
        {
            const std::lock_guard guard(mutex_);
            for (const auto* rows : {&pending_, &queue_}) {
                for (const auto& pending : *rows) {
                    if (pending.row.started_at >= time &&
                        matches(filter, pending.row.agent, pending.row.model_asked))
                        totals.add(totals_of(pending.row));
                }
            }
        }
        auto opened = open_for_reading(options_.file, files_);
        if (!opened) return fail(opened.error());
        // Rows with a later id began later, but for clocks that were set back.
        Statement statement(
            opened->get(),
            "SELECT agent, model_asked, count(*), sum(status = 0 OR status >= 400 OR error_class IS NOT "
            "NULL), "
            "sum(cost_usd IS NULL AND (input_tokens IS NOT NULL OR output_tokens IS NOT NULL)), "
            "total(input_tokens), total(output_tokens), total(cache_read_tokens), total(cache_write_tokens), "
            "total(reasoning_tokens), total(cost_usd), sum(input_tokens IS NOT NULL OR output_tokens IS NOT "
            "NULL) "
            "FROM requests WHERE id >= ? AND started_at >= ? GROUP BY 1, 2");
        if (statement) {
            statement.bind(1, first_id_since(opened->get(), time));
            statement.bind(
                2,
                std::int64_t{std::chrono::ceil<std::chrono::milliseconds>(time.time_since_epoch()).count()});
        }
        int code = statement.step();
        for (; code == SQLITE_ROW; code = statement.step()) {
            if (!matches(filter, statement.text(0), statement.text(1))) continue;
            Totals part;
            part.requests = statement.count(2);
            part.errors = statement.count(3);
            part.unpriced = statement.count(4);
            part.input = statement.count(5);
            part.output = statement.count(6);
            part.cache_read = statement.count(7);
            part.cache_write = statement.count(8);
            part.reasoning = statement.count(9);
            part.cost_usd = statement.real(10);
            part.known = statement.count(11);
            totals.add(part);
        }
        if (code != SQLITE_DONE)
            return fail(ErrorKind::file, "cannot read the ledger " + options_.file.string(),
                        sqlite3_errmsg(opened->get()));
        return totals;
    }

    void flush() override {
        std::unique_lock guard(mutex_);
        const auto until = ++flushes_asked_;
        wake_.notify_all();
        flushed_.wait(guard, [&] { return flushes_done_ >= until; });
    }

  private:
    // ---- on the constructor's thread, then on the writer's ----

    // Opens the file; sets a corrupt one aside; makes rows of what dead processes left.
    bool open_file(std::chrono::milliseconds lock_wait) {
        file_.reset();
        auto opened = LedgerFile::open(options_.file, files_, lock_wait);
        if (!opened && opened.error().kind == FileTrouble::Kind::corrupt) {
            if (!put_aside(opened.error().why)) return false;
            opened = LedgerFile::open(options_.file, files_, lock_wait);
        }
        if (!opened) {
            ill(opened.error());
            return false;
        }
        if (opened->identity() != identity_) {
            const auto instance = opened->new_instance(wall_now());
            if (!instance) {
                ill(instance.error());
                return false;
            }
            identity_ = opened->identity();
            instance_ = *instance;
            flight_.enter(identity_);
        }
        file_.emplace(std::move(*opened));
        recover();
        return file_.has_value();
    }

    // The first of several processes renames it, the others find the new one.
    bool put_aside(const std::string& why) {
        const auto lock = system::Lock::acquire(options_.file.string() + ".lock", 5'000);
        if (!lock) {
            ill({FileTrouble::Kind::unavailable, "it is damaged (" + why + "), and " + lock.error().why});
            return false;
        }
        if (const auto again = LedgerFile::open(options_.file, files_, options_.lock_wait);
            !again ? again.error().kind != FileTrouble::Kind::corrupt : again->identity() != identity_)
            return true;
        if (set_aside_ == most_set_aside) {
            ill({FileTrouble::Kind::unavailable, "it is damaged again and again (" + why + ")"});
            return false;
        }
        ++set_aside_;
        const auto target = set_aside(options_.file, wall_now());
        if (!target) {
            ill({FileTrouble::Kind::unavailable, target.error().what + ": " + target.error().why});
            return false;
        }
        {
            const std::lock_guard guard(mutex_);
            status_.set_aside = target->string();
        }
        say("the ledger " + options_.file.string() + " is damaged (" + why + "); it was set aside as " +
            target->string() + ", and a new one begun");
        return true;
    }

    void recover() {
        for (const auto& found : Flight::find(options_.file, files_)) {
            const auto remains = Flight::read(found);
            if (remains.foreign) continue;
            // Rows of this very file keep the id that they may have been committed with; those of one that is
            // gone get a new one.
            const bool known = remains.database == identity_;
            std::vector<LedgerFile::Numbered> rows;
            std::uint64_t killed = 0;
            for (const auto& left : remains.rows) {
                rows.push_back({known ? left.id : new_id(left.row.started_at), &left.row});
                if (!left.ended) ++killed;
            }
            if (!rows.empty()) {
                if (const auto written = file_->write(rows); !written) {
                    fallen(written.error());
                    return;
                }
            }
            (void)files_.remove(found.path);
            if (killed > 0)
                say(std::to_string(killed) + " requests were in flight when the proxy was killed; the ledger "
                                             "has them as killed");
            const std::lock_guard guard(mutex_);
            status_.killed += killed;
        }
    }

    std::int64_t new_id(system::WallTime began) {
        auto last = last_id_.load(std::memory_order_relaxed);
        for (;;) {
            const auto id = next_row_id(last, began, instance_);
            if (last_id_.compare_exchange_weak(last, id, std::memory_order_relaxed)) return id;
        }
    }

    void say(const std::string& sentence) const {
        if (options_.log) options_.log(sentence);
    }

    void ill(const FileTrouble& why) {
        const auto health = health_of(why.kind);
        {
            const std::lock_guard guard(mutex_);
            if (status_.health == health) {
                status_.why = why.why;
                return;
            }
            status_.health = health;
            status_.why = why.why;
            status_.since = wall_now();
        }
        say("the ledger " + options_.file.string() + " cannot be written: " + why.why +
            "; requests go on, their rows wait in memory");
    }

    void well() {
        {
            const std::lock_guard guard(mutex_);
            retry_ = first_retry;
            if (status_.health == Health::good) return;
            status_.health = Health::good;
            status_.why.clear();
            status_.since = wall_now();
        }
        say("the ledger " + options_.file.string() + " is written again");
    }

    // A write failed.
    void fallen(const FileTrouble& why) {
        using Kind = FileTrouble::Kind;
        if (why.kind == Kind::corrupt) {
            const bool gone = file_->moved();
            file_->abandon();
            file_.reset();
            if (gone || put_aside(why.why)) {
                next_try_ = Steady::now();
                return;
            }
        } else if (why.kind != Kind::locked && why.kind != Kind::full) {
            file_.reset();
        }
        ill(why);
        next_try_ = Steady::now() + retry_;
        retry_ = std::min<Steady::duration>(retry_ * 2, longest_retry);
    }

    // ---- the writer's thread ----

    void work() {
        std::unique_lock guard(mutex_);
        for (;;) {
            wait_for_work(guard);
            writer_has_it_ = true;
            const auto flushes = flushes_asked_;
            if (pending_.empty()) {
                pending_.swap(queue_);
            } else {
                std::move(queue_.begin(), queue_.end(), std::back_inserter(pending_));
                queue_.clear();
            }
            const bool stopping = stop_;
            guard.unlock();
            bool written = true;
            {
                const std::lock_guard file(file_guard_);
                if (!pending_.empty()) written = write_pending(stopping);
                if (pending_.empty()) maintain();
                if (file_) file_->set_lock_wait(0ms); // as commit() wants it
            }
            guard.lock();
            if (queue_.empty() || !written) {
                flushes_done_ = flushes;
                flushed_.notify_all();
            }
            if (queue_.empty() && pending_.empty() && status_.health == Health::good) writer_has_it_ = false;
            // Only a lock goes away in time.
            const bool hopeless = status_.health != Health::locked || Steady::now() >= give_up_;
            if (stopping && queue_.empty() && (pending_.empty() || (!written && hopeless))) break;
            if (stopping && !pending_.empty()) {
                guard.unlock();
                std::this_thread::sleep_for(20ms);
                guard.lock();
            }
        }
        guard.unlock();
        if (file_ && pending_.empty()) file_->checkpoint();
    }

    void wait_for_work(std::unique_lock<std::mutex>& guard) {
        const auto wanted = [&] {
            return stop_ || flushes_asked_ != flushes_done_ || !queue_.empty() || checkpoint_due_ ||
                   retention_due_;
        };
        wake_.wait_until(guard, pending_.empty() ? Steady::now() + look_every : next_try_, wanted);
    }

    // False: some stay in memory.
    bool write_pending(bool stopping) {
        const auto now = Steady::now();
        const bool good = [&] {
            const std::lock_guard guard(mutex_);
            return status_.health == Health::good;
        }();
        if (!good && now < next_try_ && !stopping) {
            tell_all(false);
            bound_memory();
            return false;
        }
        // One stat(2) for each group: a row must not go into a file that nobody will find.
        if (file_ && file_->moved()) {
            say("the ledger " + options_.file.string() + " was removed or replaced; a new one is begun");
            file_->abandon();
            file_.reset();
        }
        // Twice: a file that had to be set aside is followed by a new one at once.
        for (int round = 0; round < 3 && !pending_.empty(); ++round) {
            if (!file_ && !open_file(good ? options_.lock_wait : retry_lock_wait)) {
                next_try_ = Steady::now() + retry_;
                retry_ = std::min<Steady::duration>(retry_ * 2, longest_retry);
                break;
            }
            file_->set_lock_wait(good ? options_.lock_wait : retry_lock_wait);
            if (const auto trouble = write_groups()) {
                fallen(*trouble);
                if (file_ || next_try_ > Steady::now()) break;
            }
        }
        if (pending_.empty()) {
            well();
            return true;
        }
        tell_all(false);
        bound_memory();
        return false;
    }

    std::optional<FileTrouble> write_groups() {
        std::vector<LedgerFile::Numbered> group;
        while (!pending_.empty()) {
            const auto size = std::min(pending_.size(), group_rows);
            group.clear();
            for (std::size_t i = 0; i < size; ++i) group.push_back({pending_[i].ticket.id, &pending_[i].row});
            if (const auto written = file_->write(group); !written) return written.error();
            committed_ += size;
            for (std::size_t i = 0; i < size; ++i) {
                flight_.free(pending_[i].ticket.place);
                if (pending_[i].done) pending_[i].done(true);
            }
            const std::lock_guard guard(mutex_);
            pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(size));
        }
        return std::nullopt;
    }

    void tell_all(bool committed) {
        for (auto& pending : pending_) {
            if (!pending.done) continue;
            pending.done(committed);
            pending.done = nullptr;
        }
    }

    // The newest go: those kept first have waited longest. Their places stay: a row may come of them yet.
    void bound_memory() {
        const std::lock_guard guard(mutex_);
        while (pending_.size() > options_.memory_rows) {
            pending_.pop_back();
            ++status_.lost;
        }
    }

    // Meanwhile rows wait in the queue, and nobody's stream waits for the disk.
    void maintain() {
        if (!file_) return;
        const auto now = Steady::now();
        if (options_.keep && (retention_due_ || now >= next_retention_)) {
            next_retention_ = now + retention_every;
            file_->set_lock_wait(retry_lock_wait);
            const auto gone = file_->forget_before(wall_now() - *options_.keep, retention_rows);
            retention_due_ = gone && *gone == retention_rows;
            if (gone && *gone > 0) rest_since_ = now;
        }
        if (const auto seen = committed_.load(); seen != last_seen_) {
            last_seen_ = seen;
            rest_since_ = now;
        }
        if (checkpoint_due_ || (rest_since_ && now - *rest_since_ >= rest_before_checkpoint)) {
            file_->checkpoint();
            rest_since_.reset();
            checkpoint_due_ = false;
        }
    }

    const Options options_;
    system::FileSystem& files_;
    Flight flight_;
    std::atomic<std::int64_t> last_id_{0};
    std::atomic<std::uint64_t> unmarked_{0};
    std::atomic<std::uint64_t> committed_{0};

    // The file is for whoever holds the guard: commit(), for microseconds, or the writer, for as long as the
    // disk or another process's lock takes. Then commit() does not wait but says no.
    std::mutex file_guard_;
    std::atomic<bool> writer_has_it_{false};
    std::atomic<bool> checkpoint_due_{false};
    std::optional<LedgerFile> file_;
    std::vector<LedgerFile::Numbered> group_;
    Steady::time_point look_at_{}; // the path, again
    std::uint64_t identity_ = 0;
    std::atomic<std::uint32_t> instance_{0}; // of this process in the file

    mutable std::mutex mutex_;
    std::condition_variable wake_;
    std::condition_variable flushed_;
    std::vector<Pending> queue_;   // by mutex_
    std::vector<Pending> pending_; // changed by the writer, with mutex_ where rows go
    std::uint64_t flushes_asked_ = 0;
    std::uint64_t flushes_done_ = 0;
    bool stop_ = false;
    Steady::time_point give_up_{};
    Status status_;

    // the writer's own
    int set_aside_ = 0;
    bool retention_due_ = false;
    std::uint64_t last_seen_ = 0;                  // of committed_
    std::optional<Steady::time_point> rest_since_; // the last sign of rows that no checkpoint has moved yet
    Steady::time_point next_try_{};
    Steady::time_point next_retention_{};
    Steady::duration retry_ = first_retry;
    std::thread thread_;
};

} // namespace

void Totals::add(const Totals& other) {
    requests += other.requests;
    errors += other.errors;
    known += other.known;
    unpriced += other.unpriced;
    input += other.input;
    output += other.output;
    cache_read += other.cache_read;
    cache_write += other.cache_write;
    reasoning += other.reasoning;
    cost_usd += other.cost_usd;
}

std::unique_ptr<Ledger> Ledger::open(Options options, system::FileSystem& files) {
    std::error_code error;
    if (auto absolute = std::filesystem::absolute(options.file, error); !error)
        options.file = std::move(absolute);
    return std::make_unique<RealLedger>(std::move(options), files);
}

Result<std::chrono::hours> parse_keep(std::string_view text) {
    const auto word = trim(text);
    long number = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    const std::string_view unit(end, static_cast<std::size_t>(word.data() + word.size() - end));
    const long hours = unit == "h" ? 1 : unit == "d" ? 24 : unit == "w" ? 24 * 7 : unit == "y" ? 24 * 365 : 0;
    if (error != std::errc() || hours == 0 || number < 1 || number > 1'000'000)
        return fail(ErrorKind::usage, "'" + std::string(text) + "' is no time to keep the ledger's rows", "",
                    "write a number and h, d, w or y, such as 400d");
    return std::chrono::hours(number * hours);
}

Result<system::Path> default_ledger(const system::Environment& environment) {
    const auto directory = system::state_directory(environment);
    if (!directory) return fail(directory.error());
    return *directory / "usage.db";
}

} // namespace dbx::usage
