#include "core/usage/log_vfs.hpp"

#include <sqlite3.h>

#include <array>
#include <cstring>
#include <new>

namespace dbx::usage {

namespace {

constexpr const char* name = "dbx-agents";
constexpr int header_bytes = 24; // of a frame (sqlite.org/fileformat2.html, "The Write-Ahead Log")
constexpr int most_page_bytes = 4096;

// The write-ahead log. What SQLite sees of it comes first, the system's own file lies behind it.
struct LogFile {
    sqlite3_file base;
    bool holds;            // a header that is not in the file yet
    sqlite3_int64 held_at; // where it belongs
    std::array<char, header_bytes + most_page_bytes> frame;

    sqlite3_file* inner() { return reinterpret_cast<sqlite3_file*>(this + 1); }
    int put() {
        if (!holds) return SQLITE_OK;
        holds = false;
        return inner()->pMethods->xWrite(inner(), frame.data(), header_bytes, held_at);
    }
};

static_assert(sizeof(LogFile) % alignof(sqlite3_int64) == 0);

LogFile& log_of(sqlite3_file* file) {
    return *reinterpret_cast<LogFile*>(file);
}

int write(sqlite3_file* file, const void* data, int size, sqlite3_int64 at) {
    auto& log = log_of(file);
    auto* const inner = log.inner();
    if (log.holds && at == log.held_at + header_bytes && size <= most_page_bytes) {
        log.holds = false;
        std::memcpy(log.frame.data() + header_bytes, data, static_cast<std::size_t>(size));
        return inner->pMethods->xWrite(inner, log.frame.data(), header_bytes + size, log.held_at);
    }
    if (const int code = log.put(); code != SQLITE_OK) return code;
    if (size != header_bytes) return inner->pMethods->xWrite(inner, data, size, at);
    std::memcpy(log.frame.data(), data, header_bytes);
    log.held_at = at;
    log.holds = true;
    return SQLITE_OK;
}

// Every other call meets the file as SQLite left it.
template <auto Method, class... Arguments>
int through(sqlite3_file* file, Arguments... arguments) {
    auto& log = log_of(file);
    if (const int code = log.put(); code != SQLITE_OK) return code;
    return (log.inner()->pMethods->*Method)(log.inner(), arguments...);
}

int close(sqlite3_file* file) {
    auto& log = log_of(file);
    log.put();
    return log.inner()->pMethods->xClose(log.inner());
}

int sector_size(sqlite3_file* file) {
    auto* const inner = log_of(file).inner();
    return inner->pMethods->xSectorSize(inner);
}

int characteristics(sqlite3_file* file) {
    auto* const inner = log_of(file).inner();
    return inner->pMethods->xDeviceCharacteristics(inner);
}

// Version 1: a log has neither shared memory nor a mapping; those belong to the database's own file.
constexpr sqlite3_io_methods log_methods{1,
                                         close,
                                         through<&sqlite3_io_methods::xRead, void*, int, sqlite3_int64>,
                                         write,
                                         through<&sqlite3_io_methods::xTruncate, sqlite3_int64>,
                                         through<&sqlite3_io_methods::xSync, int>,
                                         through<&sqlite3_io_methods::xFileSize, sqlite3_int64*>,
                                         through<&sqlite3_io_methods::xLock, int>,
                                         through<&sqlite3_io_methods::xUnlock, int>,
                                         through<&sqlite3_io_methods::xCheckReservedLock, int*>,
                                         through<&sqlite3_io_methods::xFileControl, int, void*>,
                                         sector_size,
                                         characteristics,
                                         nullptr,
                                         nullptr,
                                         nullptr,
                                         nullptr,
                                         nullptr,
                                         nullptr};

int open(sqlite3_vfs*, const char* path, sqlite3_file* file, int flags, int* flags_out) {
    sqlite3_vfs* const system = sqlite3_vfs_find(nullptr); // the default; ours is not
    if ((flags & SQLITE_OPEN_WAL) == 0) return system->xOpen(system, path, file, flags, flags_out);
    auto* const log = new (file) LogFile{};
    const int code = system->xOpen(system, path, log->inner(), flags, flags_out);
    // Without methods SQLite does not close it.
    log->base.pMethods = log->inner()->pMethods == nullptr ? nullptr : &log_methods;
    return code;
}

} // namespace

const char* log_vfs() {
    static const bool registered = [] {
        static sqlite3_vfs ours = *sqlite3_vfs_find(nullptr);
        ours.zName = name;
        ours.szOsFile += static_cast<int>(sizeof(LogFile));
        ours.xOpen = open;
        ours.pNext = nullptr;
        return sqlite3_vfs_register(&ours, 0) == SQLITE_OK;
    }();
    return registered ? name : nullptr;
}

} // namespace dbx::usage
