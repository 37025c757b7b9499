#pragma once

#include "core/otlp/names.hpp"
#include "core/system/environment.hpp"
#include "core/system/folder.hpp"

#include <array>
#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace dbx::proxy {

// The name of a batch in the spool: SIGNAL-NANOSECONDS-PROCESS-BYTES.otlp. Its bytes are the protobuf that
// goes to the workspace; a file that is not as long as its name says is torn.
struct BatchName {
    otlp::Signal signal = otlp::Signal::metrics;
    std::uint64_t time_ns = 0; // since 1970, of its acceptance; the order in which batches go
    std::uint64_t process = 0;
    std::uint64_t size = 0;

    std::string text() const;
    static std::optional<BatchName> parse(std::string_view text);
    auto operator<=>(const BatchName& other) const {
        return std::tie(time_ns, process, size) <=> std::tie(other.time_ns, other.process, other.size);
    }
    bool operator==(const BatchName& other) const { return (*this <=> other) == 0; }
};

// Batches of telemetry on their way to one workspace: a folder of files, shared by all proxies of that
// workspace; one of them sends, what one proxy took in its order. A batch is in it from before its
// acknowledgement until after the workspace's. What the workspace does not take is set aside in its folder
// `rejected`, the reason beside it. Any thread.
class Spool {
  public:
    struct Bounds {
        std::uint64_t size = 64ULL << 20U; // of what waits; the same again of what was rejected
        std::chrono::seconds age = std::chrono::hours(24);
    };
    // Something left the spool undelivered.
    struct Dropped {
        otlp::Signal signal;
        std::uint64_t batches = 0;
        std::string why; // a clause
    };

    Spool(system::Path folder, const system::Clock& clock);

    const system::Path& path() const { return path_; }
    void set_bounds(Bounds bounds);

    // Takes a batch in; when this returns it survives a kill -9. Older ones make room: they are told by
    // take_dropped(). Errors: larger than all the room, or the folder cannot be written.
    Result<void> put(otlp::Signal signal, std::string_view protobuf);

    // --- for the one that sends
    // Whether this process sends; tries to become the one. The first time: what a dead process left half done
    // is cleaned up.
    bool is_sender();
    // Looks at the folder anew: other proxies put into it.
    void look_again();
    // Drops what is too old.
    void expire();
    // The oldest batch of a signal. Room-making leaves it alone until it is removed, set aside or released.
    std::optional<BatchName> first(otlp::Signal signal);
    void release(otlp::Signal signal);
    // Its bytes. Nothing: it is gone, or was torn and is set aside now.
    std::optional<std::string> read(const BatchName& name);
    void remove(const BatchName& name);
    struct Rejection {
        int status = 0; // the workspace's answer
        std::string why;
        std::string fix;
        std::string table;
    };
    void set_aside(const BatchName& name, const Rejection& why);
    // Puts rejected batches back into the line; how many.
    std::size_t try_rejected_again();

    // --- for everybody
    std::vector<Dropped> take_dropped();
    struct Waiting {
        std::uint64_t batches = 0;
        std::uint64_t bytes = 0;
        std::optional<system::WallTime> oldest;
    };
    Waiting waiting(otlp::Signal signal) const;
    Bounds bounds() const;

    struct Rejected {
        std::uint64_t batches = 0;
        std::uint64_t bytes = 0;
        std::map<otlp::Signal, std::uint64_t> by_signal;
        Rejection last; // of the youngest one
    };
    // What lies in `rejected`, as of the last look.
    Rejected rejected() const;

    // --- without a running proxy
    // The lock of the one that sends, in the spool's folder.
    static constexpr const char* lock_name = "sender.lock";
    struct Look {
        std::string workspace; // the folder's name
        system::Path path;
        std::array<Waiting, otlp::all_signals.size()> waiting;
        Rejected rejected;
    };
    // Every workspace's spool below this folder, changing nothing.
    static std::vector<Look> look_at_all(const system::Path& root);

  private:
    using Names = std::set<BatchName>;
    using FolderRef = std::shared_ptr<const system::Folder>;

    // These with guard_ held.
    Result<FolderRef> folder();
    Result<FolderRef> rejects();
    void insert(const BatchName& name);
    void forget(const BatchName& name);
    bool make_room(std::uint64_t bytes);
    void drop(const BatchName& name, const std::string& why);
    void put_aside(const std::string& name, const Rejection& why);
    void look_at_rejects();

    Names& names(otlp::Signal signal) { return waiting_[static_cast<std::size_t>(signal)]; }
    const Names& names(otlp::Signal signal) const { return waiting_[static_cast<std::size_t>(signal)]; }

    const system::Path path_;
    const system::Clock& clock_;
    std::mutex look_guard_;    // one look at a time; taken before guard_
    mutable std::mutex guard_; // of what follows
    Bounds bounds_;
    FolderRef folder_;
    FolderRef rejects_;
    std::optional<system::Lock> lock_;
    std::array<Names, otlp::all_signals.size()> waiting_;
    std::array<std::optional<BatchName>, otlp::all_signals.size()> held_;
    Names finished_; // delivered or dropped, but their files cannot be removed: they are not sent again
    std::uint64_t bytes_ = 0;
    std::uint64_t last_time_ns_ = 0;
    // What changed while the folder was being listed.
    std::optional<std::vector<BatchName>> put_meanwhile_;
    std::vector<BatchName> removed_meanwhile_;
    std::vector<Dropped> dropped_;
    Rejected rejected_;
};

// "https://adb-1.azuredatabricks.net" -> "adb-1.azuredatabricks.net": the name of a workspace's folder.
std::string spool_name(std::string_view workspace_url);

// $XDG_STATE_HOME/dbx-agents/spool
Result<system::Path> spool_root(const system::Environment& environment);

} // namespace dbx::proxy
