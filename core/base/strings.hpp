#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace dbx {

// ASCII white space only (blank, tab, CR, LF, VT, FF), whatever the locale.
std::string_view trim(std::string_view text);

// ASCII case folding; other bytes stay.
std::string to_lower(std::string_view text);
bool iequals(std::string_view a, std::string_view b);
bool icontains(std::string_view text, std::string_view part);

// Splits at every `separator`; "a,,b" has three parts, "" has one empty part.
std::vector<std::string> split(std::string_view text, char separator);
std::string join(const std::vector<std::string>& parts, std::string_view separator);

std::string replace_all(std::string text, std::string_view from, std::string_view to);

// True when `text` is well-formed UTF-8 (no overlong forms, no surrogates).
bool is_utf8(std::string_view text);

// Glob with `*` (any run) and `?` (one byte), over the whole text.
bool glob_match(std::string_view pattern, std::string_view text);

// The candidate nearest to `word` (Damerau-Levenshtein distance of at most a third of its length, at
// least 1), for "did you mean"; empty when none is near.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

// Wrapped in single quotes for /bin/sh when it needs them.
std::string shell_quote(std::string_view word);

// For error messages: at most 60 bytes of it, everything outside printable ASCII as \xNN.
std::string printable(std::string_view text);

} // namespace dbx
