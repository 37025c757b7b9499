#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::edit {

// Lines [before_begin, before_end) of the old text became lines [after_begin, after_end) of the new one.
// 0-based, half open.
struct Hunk {
    std::size_t before_begin = 0, before_end = 0;
    std::size_t after_begin = 0, after_end = 0;
    bool operator==(const Hunk&) const = default;
};

// Lines with their line ends; a last line without one is a line of its own. "" has no lines.
std::vector<std::string_view> split_lines(std::string_view text);

// The shortest edit script between two sequences (Myers), as hunks in order. Elements are compared as they
// are; hand in hashes to compare lines whose text is not at hand. Bounded: for very different inputs the
// middle part becomes one hunk rather than costing quadratic time.
std::vector<Hunk> diff(const std::vector<std::string>& before, const std::vector<std::string>& after);
std::vector<Hunk> diff(const std::vector<std::string_view>& before,
                       const std::vector<std::string_view>& after);

// A unified diff (three lines of context, `--- a`, `+++ b`, "\ No newline at end of file", CR shown as it
// is), empty when equal. What is printed are the lines of `shown_before` / `shown_after`, which must have the
// same number of lines as the real ones: so secrets can be masked without hiding that they changed. `patch
// -p0` accepts the result when nothing was masked. An empty name means /dev/null.
std::string unified_diff(std::string_view before, std::string_view after, std::string_view shown_before,
                         std::string_view shown_after, std::string_view name_before,
                         std::string_view name_after);

} // namespace dbx::edit
