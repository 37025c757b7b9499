#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::edit {

// Bytes [begin, end) are a secret and read as `shown`.
struct MaskRange {
    std::size_t begin = 0, end = 0;
    std::string shown = {};
};

// The secrets that begin in text[begin, end): token shapes, "Bearer x", passwords in URLs, and values of
// secret names. What is before `begin` is context only. Unordered, may overlap. Linear in the length.
std::vector<MaskRange> find_secrets(std::string_view text, std::size_t begin, std::size_t end);

// What a value that is a secret as a whole reads as: a known shape keeps its prefix, a scheme ("Bearer") its
// name.
std::string masked_whole(std::string_view value);

// true, false and null are never masked.
bool is_never_secret(std::string_view value);

// `text` with the ranges masked; the line ends inside them stay.
std::string with_masks(std::string_view text, std::vector<MaskRange> ranges);

} // namespace dbx::edit
