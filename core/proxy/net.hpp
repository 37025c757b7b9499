#pragma once

// What the files with sockets in them share; no other file includes it.

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace dbx::proxy {

namespace asio = boost::asio;
using boost::system::error_code;
// With the loop's own executor type: the general one costs an allocation here and there.
using Socket = asio::basic_stream_socket<asio::ip::tcp, asio::io_context::executor_type>;

// A piece of memory for bytes on their way.
struct Block {
    static constexpr std::size_t capacity = 64U << 10U;
    std::size_t end = 0; // bytes in use
    char data[capacity];

    std::string_view view(std::size_t from = 0) const { return {data + from, end - from}; }
    std::size_t room() const { return capacity - end; }
    void append(std::string_view bytes) {
        std::memcpy(data + end, bytes.data(), bytes.size());
        end += bytes.size();
    }
};

// Blocks of one loop; some free ones are kept.
class BlockPool {
  public:
    std::unique_ptr<Block> take() {
        ++in_use_;
        if (free_.empty()) return std::unique_ptr<Block>(new Block); // not zeroed
        auto block = std::move(free_.back());
        free_.pop_back();
        block->end = 0;
        return block;
    }
    void give(std::unique_ptr<Block> block) {
        if (!block) return;
        --in_use_;
        if (free_.size() < most_free) free_.push_back(std::move(block));
    }

    std::size_t in_use() const { return in_use_; }
    // Gives memory back: half of the free blocks each time, down to a few.
    void trim() {
        if (free_.size() > few_free && free_.size() > in_use_)
            free_.resize(std::max(few_free, free_.size() / 2));
    }

  private:
    std::size_t in_use_ = 0;
    static constexpr std::size_t most_free = 256; // while there is much to do: 16 MB
    static constexpr std::size_t few_free = 8;    // kept when there is nothing to do
    std::vector<std::unique_ptr<Block>> free_;
};

} // namespace dbx::proxy
