#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::edit {

// Bytes [begin, end) become `text`.
struct Splice {
    std::size_t begin = 0, end = 0;
    std::string text = {};
};

// The text between `begin` and `end` with those splices made. Where removals overlap, bytes go once.
inline std::string with_splices(std::string_view text, std::vector<Splice> splices, std::size_t begin,
                                std::size_t end) {
    // Stable: what is inserted at one place stays in order, and before a removal that begins there.
    std::stable_sort(splices.begin(), splices.end(), [](const Splice& a, const Splice& b) {
        return a.begin != b.begin ? a.begin < b.begin : (a.end == a.begin) > (b.end == b.begin);
    });
    std::string result;
    std::size_t at = begin;
    for (const auto& splice : splices) {
        if (splice.begin > at) result += text.substr(at, splice.begin - at);
        result += splice.text;
        at = std::max(at, splice.end);
    }
    if (end > at) result += text.substr(at, end - at);
    return result;
}

} // namespace dbx::edit
