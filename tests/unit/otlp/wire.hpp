#pragma once

#include <doctest/doctest.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

// A reader of protobuf's wire format that knows nothing of the code under test: a message is a list of
// numbered values, and a test says by numbers where it looks.
namespace wire {

struct Value {
    std::uint32_t number = 0;
    int type = 0; // 0 varint, 1 eight bytes, 2 bytes, 5 four bytes
    std::uint64_t bits = 0;
    std::string bytes;

    double as_double() const { return std::bit_cast<double>(bits); }
    std::int64_t as_signed() const { return static_cast<std::int64_t>(bits); }
    std::int64_t as_zigzag() const {
        return static_cast<std::int64_t>(bits >> 1) ^ -static_cast<std::int64_t>(bits & 1);
    }
};

inline std::uint64_t take_varint(std::string_view& bytes) {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
        if (bytes.empty()) throw std::runtime_error("a varint is cut");
        const auto byte = static_cast<unsigned char>(bytes.front());
        bytes.remove_prefix(1);
        value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
        if (byte < 0x80) return value;
    }
    throw std::runtime_error("a varint is too long");
}

inline std::uint64_t take_little_endian(std::string_view& bytes, std::size_t size) {
    if (bytes.size() < size) throw std::runtime_error("a number is cut");
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i)
        value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
    bytes.remove_prefix(size);
    return value;
}

inline std::vector<Value> decode(std::string_view bytes) {
    std::vector<Value> values;
    while (!bytes.empty()) {
        const auto tag = take_varint(bytes);
        Value value;
        value.number = static_cast<std::uint32_t>(tag >> 3);
        value.type = static_cast<int>(tag & 7);
        switch (value.type) {
        case 0:
            value.bits = take_varint(bytes);
            break;
        case 1:
            value.bits = take_little_endian(bytes, 8);
            break;
        case 5:
            value.bits = take_little_endian(bytes, 4);
            break;
        case 2: {
            const auto size = take_varint(bytes);
            if (size > bytes.size()) throw std::runtime_error("bytes are cut");
            value.bytes = std::string(bytes.substr(0, size));
            bytes.remove_prefix(size);
            break;
        }
        default:
            throw std::runtime_error("an unknown wire type");
        }
        values.push_back(std::move(value));
    }
    return values;
}

// All values at a path of field numbers.
inline std::vector<Value> all(std::string_view message, std::vector<std::uint32_t> path) {
    std::vector<Value> found;
    const auto number = path.front();
    path.erase(path.begin());
    for (auto& value : decode(message)) {
        if (value.number != number) continue;
        if (path.empty()) {
            found.push_back(std::move(value));
        } else {
            for (auto& inner : all(value.bytes, path)) found.push_back(std::move(inner));
        }
    }
    return found;
}

// The only value there.
inline Value one(std::string_view message, std::vector<std::uint32_t> path) {
    auto found = all(message, std::move(path));
    REQUIRE(found.size() == 1);
    return std::move(found.front());
}

inline std::vector<std::uint64_t> eights(std::string_view packed) {
    std::vector<std::uint64_t> numbers;
    while (!packed.empty()) numbers.push_back(take_little_endian(packed, 8));
    return numbers;
}
inline std::vector<double> doubles(std::string_view packed) {
    std::vector<double> numbers;
    while (!packed.empty()) numbers.push_back(std::bit_cast<double>(take_little_endian(packed, 8)));
    return numbers;
}
inline std::vector<std::uint64_t> varints(std::string_view packed) {
    std::vector<std::uint64_t> numbers;
    while (!packed.empty()) numbers.push_back(take_varint(packed));
    return numbers;
}

// Written by hand as well.
inline std::string varint(std::uint64_t value) {
    std::string bytes;
    for (; value > 0x7f; value >>= 7) bytes.push_back(static_cast<char>((value & 0x7f) | 0x80));
    bytes.push_back(static_cast<char>(value));
    return bytes;
}
inline std::string field(std::uint32_t number, std::string_view content) {
    return varint(number << 3 | 2) + varint(content.size()) + std::string(content);
}
inline std::string number(std::uint32_t number, std::uint64_t value) {
    return varint(number << 3) + varint(value);
}
inline std::string fixed64(std::uint32_t number, std::uint64_t value) {
    std::string bytes = varint(number << 3 | 1);
    for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(value >> (8 * i)));
    return bytes;
}
// A KeyValue with a text.
inline std::string pair(std::string_view key, std::string_view text) {
    return field(1, key) + field(2, field(1, text));
}

} // namespace wire
