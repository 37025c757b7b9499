#include "core/tables/names.hpp"

#include "core/base/strings.hpp"

#include <algorithm>

namespace dbx::tables {

Result<void> check_principal(std::string_view text) {
    const auto refuse = [&](std::string why) {
        return fail(ErrorKind::usage, "the principal '" + printable(text) + "' cannot be used",
                    std::move(why), "give a user's e-mail address, a group's name or an application id");
    };
    if (text.empty()) return refuse("it is empty");
    if (text.size() > longest_name_bytes)
        return refuse("it is longer than " + std::to_string(longest_name_bytes) + " bytes");
    if (trim(text).size() != text.size()) return refuse("it begins or ends with a blank");
    const bool control = std::any_of(text.begin(), text.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte < 0x20 || byte == 0x7f;
    });
    // U+0080 to U+009F are control characters as well.
    bool c1 = false;
    for (std::size_t i = 0; i + 1 < text.size(); ++i)
        c1 = c1 || (text[i] == '\xC2' && static_cast<unsigned char>(text[i + 1]) < 0xA0);
    if (control || c1) return refuse("it holds a control character");
    if (!is_utf8(text)) return refuse("it is not UTF-8");
    return {};
}

} // namespace dbx::tables
