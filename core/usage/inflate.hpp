#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

namespace dbx::usage {

// Decodes a copy of a compressed body piece by piece: gzip, zlib, or bare deflate (which some servers send
// under "deflate"). Stops, for good, at the first error and beyond 64 MB of decoded bytes.
class Inflater {
  public:
    Inflater();
    ~Inflater();
    Inflater(const Inflater&) = delete;
    Inflater& operator=(const Inflater&) = delete;

    // Hands the decoded bytes to `see(std::string_view)`, in pieces of up to 16 KB.
    template <class See>
    void feed(std::string_view bytes, See&& see) {
        begin(bytes);
        for (std::string_view piece = next(); !piece.empty(); piece = next()) see(piece);
    }

  private:
    void begin(std::string_view bytes);
    std::string_view next();
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace dbx::usage
