#include "core/edit/document.hpp"

#include "core/base/strings.hpp"
#include "core/edit/formats.hpp"
#include "core/edit/position.hpp"

#include <algorithm>

namespace dbx::edit {

namespace {

std::string_view format_name(Format format) {
    switch (format) {
    case Format::toml:
        return "TOML";
    case Format::json:
        return "JSON";
    case Format::jsonc:
        return "JSON";
    case Format::dotenv:
        return "a .env file";
    }
    return "text";
}

// The offset of the first byte that is not UTF-8; the text is known to have one.
std::size_t first_bad_byte(std::string_view text) {
    std::size_t line = 0;
    while (true) {
        const auto end = std::min(text.find('\n', line), text.size());
        if (!is_utf8(text.substr(line, end - line))) {
            for (std::size_t at = line; at < end;) {
                const auto lead = static_cast<unsigned char>(text[at]);
                const std::size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
                if (at + length > end || !is_utf8(text.substr(at, length))) return at;
                at += length;
            }
        }
        if (end == text.size()) return end;
        line = end + 1;
    }
}

} // namespace

Position position_at(std::string_view text, std::size_t offset) {
    offset = std::min(offset, text.size());
    const auto before = text.substr(0, offset);
    Position position;
    position.line = 1 + static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n'));
    const auto newline = before.rfind('\n');
    auto line = before.substr(newline == std::string_view::npos ? 0 : newline + 1);
    if (position.line == 1 && line.substr(0, byte_order_mark.size()) == byte_order_mark)
        line.remove_prefix(byte_order_mark.size());
    for (const char c : line) {
        if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) ++position.column;
    }
    return position;
}

std::string at_position(Position position, std::string_view reason) {
    return "line " + std::to_string(position.line) + ", column " + std::to_string(position.column) + ": " +
           std::string(reason);
}

Result<std::unique_ptr<Document>> Document::parse(Format format, std::string text) {
    if (text.size() > max_file_bytes) {
        return fail(ErrorKind::file,
                    "it is too large (the limit is " + std::to_string(max_file_bytes >> 20) + " MiB)",
                    "it has " + std::to_string(text.size()) + " bytes");
    }
    if (!is_utf8(text)) {
        return fail(ErrorKind::file, "it is not valid " + std::string(format_name(format)),
                    at_position(position_at(text, first_bad_byte(text)), "not valid UTF-8"),
                    "save the file as UTF-8");
    }
    switch (format) {
    case Format::toml:
        return parse_toml(std::move(text));
    case Format::json:
        return parse_json(std::move(text), Comments::refused);
    case Format::jsonc:
        if (text.compare(0, 3, "\xEF\xBB\xBF") == 0) {
            return fail(ErrorKind::file, "it is not valid " + std::string(format_name(format)),
                        at_position({1, 1}, "a byte-order mark is not allowed here"),
                        "save the file as UTF-8 without a byte-order mark");
        }
        return parse_json(std::move(text), Comments::allowed);
    case Format::dotenv:
        return parse_dotenv(std::move(text));
    }
    return fail(ErrorKind::file, "its format is unknown");
}

} // namespace dbx::edit
