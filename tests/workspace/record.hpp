#pragma once

#include "tests/workspace/http.hpp"
#include "tests/workspace/state.hpp"

#include <fstream>
#include <mutex>
#include <string>
#include <vector>

namespace dbx::standin {

// The record of requests, in memory and as JSON lines in DIR/requests.jsonl. Safe from several threads.
class RequestLog {
  public:
    // Reads what an earlier run left.
    explicit RequestLog(const std::string& directory);

    // Takes a number for a request that has just arrived.
    std::uint64_t next_number();
    // Adds an entry. It is in the file and in list() before the first byte of the answer leaves.
    void add(Json entry);
    // Sets `outcome`; only in memory, the file has the entry already.
    void finish(std::uint64_t number, Outcome outcome);

    Json list() const;
    void clear();

  private:
    mutable std::mutex mutex_;
    std::string path_;
    std::ofstream file_;
    std::vector<Json> entries_;
    std::uint64_t last_ = 0;
};

// What is recorded of a request; the rest of the entry is up to the caller.
enum class Bodies { kept, left_out };
Json describe(const Request& request, Bodies bodies);

} // namespace dbx::standin
