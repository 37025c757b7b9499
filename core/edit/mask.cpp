#include "core/edit/mask.hpp"

#include "core/base/strings.hpp"
#include "core/edit/mask_text.hpp"
#include "core/edit/unicode.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>

namespace dbx::edit {

namespace {

// A text as its readers see it, each byte with the place of its spelling.
struct Decoded {
    std::string text;
    std::vector<std::uint32_t> begin, end;

    void put(std::string_view bytes, std::size_t from, std::size_t to) {
        text += bytes;
        begin.insert(begin.end(), bytes.size(), static_cast<std::uint32_t>(from));
        end.insert(end.end(), bytes.size(), static_cast<std::uint32_t>(to));
    }
};

struct Escape {
    std::string meaning;
    std::size_t length = 0; // of the spelling; 0: none
};

std::optional<std::uint32_t> hex_code(std::string_view text, std::size_t digits) {
    if (text.size() < digits) return std::nullopt;
    std::uint32_t code = 0;
    for (const char c : text.substr(0, digits)) {
        if (hex_digit(c) < 0) return std::nullopt;
        code = (code << 4) | static_cast<std::uint32_t>(hex_digit(c));
    }
    return code;
}

// The escape of JSON and TOML strings that `text` begins with.
Escape escape_at(std::string_view text) {
    if (text.size() < 2 || text[0] != '\\') return {};
    constexpr std::string_view names = "btnfre\"\\/'";
    constexpr std::string_view meanings = "\b\t\n\f\r\x1B\"\\/'";
    const auto simple = names.find(text[1]);
    if (simple != std::string_view::npos) return {std::string(1, meanings[simple]), 2};
    const std::size_t digits = text[1] == 'u' ? 4 : text[1] == 'U' ? 8 : text[1] == 'x' ? 2 : 0;
    if (digits != 0) {
        auto code = hex_code(text.substr(2), digits);
        std::size_t length = 2 + digits;
        if (!code) return {};
        if (*code >= 0xD800 && *code <= 0xDBFF && text.substr(length, 2) == "\\u") {
            const auto low = hex_code(text.substr(length + 2), 4);
            if (!low || *low < 0xDC00 || *low > 0xDFFF) return {};
            code = 0x10000 + ((*code - 0xD800) << 10) + (*low - 0xDC00);
            length += 6;
        }
        if (*code > 0x10FFFF || (*code >= 0xD800 && *code <= 0xDFFF)) return {};
        Escape escape{{}, length};
        append_utf8(escape.meaning, *code);
        return escape;
    }
    // TOML: a backslash at the end of a line takes the white space after it.
    const auto newline = text.find_first_not_of(" \t\r", 1);
    if (newline == std::string_view::npos || text[newline] != '\n') return {};
    return {{}, std::min(text.find_first_not_of(" \t\r\n", newline), text.size())};
}

// All escapes of the text resolved, wherever they stand.
Decoded unescaped(std::string_view text) {
    Decoded result;
    for (std::size_t at = 0; at < text.size();) {
        const auto escape = escape_at(text.substr(at, 32));
        if (escape.length != 0) {
            result.put(escape.meaning, at, at + escape.length);
            at += escape.length;
        } else {
            result.put(text.substr(at, 1), at, at + 1);
            ++at;
        }
    }
    return result;
}

// `decoded` on its spelling; nullopt when they do not match by the rules known here.
std::optional<Decoded> aligned(Format format, std::string_view spelling, std::string_view decoded) {
    Decoded result;
    std::size_t at = 0;
    const auto expect = [&](std::string_view bytes, std::size_t length) {
        if (decoded.substr(result.text.size(), bytes.size()) != bytes) return false;
        result.put(bytes, at, at + length);
        at += length;
        return true;
    };
    while (at < spelling.size()) {
        const auto rest = spelling.substr(at);
        if (rest[0] == '\\') {
            auto escape = escape_at(rest);
            if (format == Format::dotenv && (rest.size() < 2 || (rest[1] != 'n' && rest[1] != 'r')))
                escape = {};
            if (escape.length != 0 && expect(escape.meaning, escape.length)) continue;
        }
        if (rest[0] == '\r' && expect("\n", rest.substr(0, 2) == "\r\n" ? 2 : 1)) continue;
        if (!expect(rest.substr(0, 1), 1)) return std::nullopt;
    }
    if (result.text.size() != decoded.size()) return std::nullopt;
    return result;
}

void find_given(std::string_view text, std::span<const std::string> secrets, std::vector<MaskRange>& ranges) {
    for (const auto& secret : secrets) {
        if (secret.empty()) continue;
        for (std::size_t at = text.find(secret); at != std::string_view::npos;
             at = text.find(secret, at + secret.size()))
            ranges.push_back({at, at + secret.size(), masked_whole(secret)});
    }
}

// Given secrets in a whole file: as they are, and with escapes.
void find_given_anywhere(std::string_view text, std::span<const std::string> secrets,
                         std::vector<MaskRange>& ranges) {
    find_given(text, secrets, ranges);
    if (secrets.empty() || text.find('\\') == std::string_view::npos) return;
    const auto decoded = unescaped(text);
    std::vector<MaskRange> found;
    find_given(decoded.text, secrets, found);
    for (auto& range : found)
        ranges.push_back({decoded.begin[range.begin], decoded.end[range.end - 1], std::move(range.shown)});
}

// Where the content of a string's spelling begins and ends.
std::pair<std::size_t, std::size_t> content(Format format, std::string_view spelling) {
    const std::size_t size = spelling.size();
    if (size == 0) return {0, 0};
    const char quote = spelling[0];
    if (quote != '"' && quote != '\'' && quote != '`') return {0, size};
    const std::string three(3, quote);
    if (format == Format::toml && size >= 6 && spelling.substr(0, 3) == three &&
        spelling.substr(size - 3) == three) {
        std::size_t begin = 3;
        if (spelling.substr(begin, 2) == "\r\n") {
            begin += 2;
        } else if (spelling[begin] == '\n') {
            begin += 1;
        }
        return {std::min(begin, size - 3), size - 3};
    }
    if (size < 2 || spelling.back() != quote) return {0, size};
    return {1, size - 1};
}

// Leaves of one array: whether `leaf` is what the flag `before` takes.
bool is_flag_value(const Leaf& before, const Leaf& leaf) {
    if (!before.is_string || before.text.empty() || before.text[0] != '-' ||
        before.path.size() != leaf.path.size() || leaf.path.empty() ||
        before.text.find('=') != std::string::npos || !is_secret_name(before.text))
        return false;
    if (!std::equal(leaf.path.begin(), leaf.path.end() - 1, before.path.begin())) return false;
    const auto& index = leaf.path.back();
    const auto& index_before = before.path.back();
    const auto is_number = [](const std::string& text) {
        return !text.empty() && text.size() < 10 && text.find_first_not_of("0123456789") == std::string::npos;
    };
    return is_number(index) && is_number(index_before) && std::stol(index) == std::stol(index_before) + 1;
}

class FileMask {
  public:
    FileMask(Format format, std::string_view text, std::span<const std::string> secrets)
        : format_(format)
        , text_(text)
        , secrets_(secrets) {}

    std::string run() {
        const auto document = Document::parse(format_, std::string(text_));
        const auto leaves = document ? (*document)->leaves() : std::vector<Leaf>{};
        std::size_t at = 0;
        const Leaf* before = nullptr;
        for (const auto& leaf : leaves) {
            if (leaf.offset < at || leaf.offset + leaf.length > text_.size()) continue;
            between(at, leaf.offset);
            const bool named = std::any_of(leaf.path.begin(), leaf.path.end(), is_secret_name);
            value(leaf, named || (before != nullptr && is_flag_value(*before, leaf)));
            at = leaf.offset + leaf.length;
            before = &leaf;
        }
        between(at, text_.size());
        find_given_anywhere(text_, secrets_, ranges_);
        return with_masks(text_, std::move(ranges_));
    }

  private:
    // Keys, punctuation, comments, and what the format ignores.
    void between(std::size_t begin, std::size_t end) {
        for (auto& range : find_secrets(text_, begin, end)) ranges_.push_back(std::move(range));
    }

    void value(const Leaf& leaf, bool secret) {
        if (is_never_secret(leaf.text)) return;
        const auto spelling = text_.substr(leaf.offset, leaf.length);
        if (!leaf.is_string) {
            if (secret) ranges_.push_back({leaf.offset, leaf.offset + leaf.length, std::string(masked)});
            return;
        }
        if (leaf.text.empty()) return;
        const auto [begin, end] = content(format_, spelling);
        const auto whole = [&, b = begin, e = end](std::string reads) {
            ranges_.push_back({leaf.offset + b, leaf.offset + e, std::move(reads)});
        };
        if (secret) {
            whole(masked_whole(leaf.text));
            return;
        }
        auto found = find_secrets(leaf.text, 0, leaf.text.size());
        find_given(leaf.text, secrets_, found);
        if (found.empty()) return;
        const auto decoded = aligned(format_, spelling.substr(begin, end - begin), leaf.text);
        if (!decoded) {
            whole(std::string(masked));
            return;
        }
        for (auto& range : found) {
            ranges_.push_back({leaf.offset + begin + decoded->begin[range.begin],
                               leaf.offset + begin + decoded->end[range.end - 1], std::move(range.shown)});
        }
    }

    Format format_;
    std::string_view text_;
    std::span<const std::string> secrets_;
    std::vector<MaskRange> ranges_;
};

} // namespace

bool is_secret_name(std::string_view name) {
    for (const std::string_view word : {"token", "key", "secret", "password", "authorization"}) {
        if (icontains(name, word)) return true;
    }
    return false;
}

std::string mask_text(std::string_view text) {
    return with_masks(text, find_secrets(text, 0, text.size()));
}

std::string mask_value(std::string_view key, std::string_view value) {
    if (value.empty() || is_never_secret(value)) return std::string(value);
    return is_secret_name(key) ? masked_whole(value) : mask_text(value);
}

std::string mask_file(Format format, std::string_view text, std::span<const std::string> secrets) {
    return FileMask(format, text, secrets).run();
}

} // namespace dbx::edit
