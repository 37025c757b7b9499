#include "core/system/hash.hpp"

#include <sha2.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>

namespace dbx::system {

std::string sha256(std::string_view bytes) {
    std::array<char, SHA256_DIGEST_STRING_LENGTH> hex{};
    SHA256Data(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(), hex.data());
    return hex.data();
}

std::string random_hex(std::size_t bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string result;
    result.reserve(bytes * 2);
    while (result.size() < bytes * 2) {
        std::array<unsigned char, 64> chunk{};
        const std::size_t size = std::min(chunk.size(), bytes - result.size() / 2);
        if (getentropy(chunk.data(), size) != 0) std::abort(); // a guessable key would be worse
        for (std::size_t i = 0; i < size; ++i) {
            result += digits[chunk[i] >> 4U];
            result += digits[chunk[i] & 15U];
        }
    }
    return result;
}

} // namespace dbx::system
