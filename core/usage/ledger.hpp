#pragma once

#include "core/base/error.hpp"
#include "core/system/environment.hpp"
#include "core/system/files.hpp"
#include "core/usage/row.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace dbx::usage {

// Sums over rows. `cost_usd` is that of the priced ones.
struct Totals {
    std::uint64_t requests = 0;
    std::uint64_t errors = 0;   // status 0 or >= 400, or an error class
    std::uint64_t known = 0;    // requests whose tokens are known
    std::uint64_t unpriced = 0; // those of them without a price
    std::uint64_t input = 0;
    std::uint64_t output = 0;
    std::uint64_t cache_read = 0;
    std::uint64_t cache_write = 0;
    std::uint64_t reasoning = 0;
    double cost_usd = 0;

    std::uint64_t counted() const { return input + cache_write + output; }
    void add(const Totals& other);
};

// Which rows: globs; empty means all. `model` is matched against model_asked.
struct Filter {
    std::string agent;
    std::string model;
};

// The ledger of one proxy process: rows go into the SQLite file in groups, on the thread that made them. What
// may take time (the disk's flush, another process's lock, a file that cannot be written) is the business of
// a thread of its own. Several processes may share the file.
//
// Committed means: after a kill -9 of this process at any later moment the row is there. SQLite in WAL mode
// with synchronous=NORMAL gives that: a COMMIT has written its frames to the log with write(2), which the
// kernel keeps whatever becomes of the process. A power cut may lose the last rows, never the file.
//
// A request in flight has a place in a small memory-mapped file beside the ledger (no SQLite, no system
// call); the next Ledger on the same file makes a row with error class "killed" of each that a dead process
// left.
class Ledger {
  public:
    struct Options {
        system::Path file;
        std::optional<std::chrono::hours> keep; // older rows are deleted, some at a time
        std::size_t memory_rows = 50'000;       // kept while the file can not be written
        // How long a row may wait for another process's lock before the ledger goes on in memory.
        std::chrono::milliseconds lock_wait{2'000};
        // Told once per change of state, on the writer's thread: sentences for the log.
        std::function<void(const std::string&)> log = {};
    };

    enum class Health {
        good,
        locked,      // another process holds the lock
        full,        // no space on the disk
        unavailable, // cannot be opened or written for another reason; or it is somebody else's file
        newer,       // written by a newer version of this program; not touched
    };
    struct Status {
        Health health = Health::good;
        std::string why;             // a sentence; empty when good
        std::uint64_t committed = 0; // rows of this process in the file
        std::uint64_t waiting = 0;   // rows in memory
        std::uint64_t lost = 0;      // rows that did not fit into memory either
        std::uint64_t killed = 0;    // rows made at the start for requests that a dead process left
        std::string set_aside;       // where a corrupt file went, if one did
        std::uint64_t unmarked = 0;  // requests in flight without a place: a kill would lose them
        std::chrono::system_clock::time_point since{}; // of this health
    };

    // A request between begin() and add().
    struct Ticket {
        std::int64_t id = 0; // of the row (row_id.hpp); 0: none
        std::uint32_t place = UINT32_MAX;
    };

    struct Record {
        Ticket ticket;
        Row row;
    };

    // On the ledger's own thread. `committed` is false when the row is only in memory (see Status): the
    // answer goes on all the same.
    using Done = std::function<void(bool committed)>;

    // Opens or creates the file (0600, its folder 0700) and starts the thread. Never fails: what is wrong is
    // in status(), is logged, and is tried again. Rows that dead processes left are made before it returns,
    // if the file can be written.
    static std::unique_ptr<Ledger> open(Options options, system::FileSystem& files);

    // Writes what waits (up to 2 seconds), then closes. Each Done has been called when it returns.
    virtual ~Ledger() = default;

    // Marks a request as in flight. Any thread; well under a microsecond.
    virtual Ticket begin(const Begin& begin) = 0;
    // Completes the mark once the model is known (a body that was still coming).
    virtual void name_model(const Ticket& ticket, std::string_view model_asked) = 0;
    // The one row of each request, in one commit, on the caller's thread: tens of microseconds, never the
    // disk's flush or another process's lock. False: that is not possible now (the file is locked, full,
    // being tidied); nothing was written, and each of them goes to add(). Any thread.
    virtual bool commit(std::span<const Record> records) = 0;
    // Hands a row to the ledger's own thread. Any thread, does not block; exactly once per ticket that was
    // not committed.
    virtual void add(const Ticket& ticket, Row row, Done done) = 0;

    virtual Status status() const = 0;

    // Sums of all processes' rows since then, with those still in memory here. Any thread; reads the file.
    virtual Result<Totals> since(system::WallTime time, const Filter& filter) const = 0;

    // Waits until everything added so far is in the file or counted as waiting. For shutdown and tests.
    virtual void flush() = 0;
};

// "400d", "12h", "8w": what ledger.keep holds. Error: kind usage.
Result<std::chrono::hours> parse_keep(std::string_view text);

// $XDG_STATE_HOME/dbx-agents/usage.db
Result<system::Path> default_ledger(const system::Environment& environment);

} // namespace dbx::usage
