#pragma once

#include "core/system/shared_file.hpp"
#include "core/usage/row.hpp"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace dbx::usage {

// The requests in flight of one process, in a SharedFile beside the ledger: a place is filled when a request
// begins, completed with its numbers when it ends, and freed when its row is committed. What a dead process
// left is read by the next one.
class Flight {
  public:
    static constexpr std::uint32_t none = UINT32_MAX;

    // A place that was not freed.
    struct Left {
        std::int64_t id = 0;
        bool ended = false; // the row is whole; it was only not committed
        Row row;
    };
    // What a dead process's file holds. `database` is that of enter().
    struct Remains {
        std::uint64_t database = 0;
        bool foreign = false; // written by another version of this program: not understood, to be left there
        std::vector<Left> rows;
    };

    // Without a file (no room, no rights) there are no places; begin() gives none.
    Flight(const system::Path& ledger, system::FileSystem& files);
    ~Flight(); // removes the file when every place is free

    bool usable() const { return file_.has_value(); }
    // Which database this process writes.
    void enter(std::uint64_t database);

    // Any thread.
    std::uint32_t begin(std::int64_t id, const Begin& begin);
    void name_model(std::uint32_t place, std::string_view model);
    void end(std::uint32_t place, const Row& row);
    void free(std::uint32_t place);

    // The files of dead processes on the same ledger. Each stays locked until forget() or the end of its
    // life.
    struct Found {
        system::Path path;
        system::SharedFile file;
    };
    static std::vector<Found> find(const system::Path& ledger, system::FileSystem& files);
    static Remains read(const Found& found);

  private:
    struct Header;
    struct Place;
    Header* header() const;
    Place* place(std::uint32_t index) const;
    static Row row_of(const Place& place);

    system::FileSystem& files_;
    system::Path path_;
    std::optional<system::SharedFile> file_;
    std::mutex mutex_;
    std::vector<std::uint32_t> free_; // the last freed is used next: few pages are touched
    std::size_t places_ = 0;
};

} // namespace dbx::usage
