#include "cli/output.hpp"

#include "core/base/error_name.hpp"
#include "core/base/strings.hpp"
#include "core/edit/mask.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace dbx::cli {

namespace {

std::string_view code(Style style) {
    switch (style) {
    case Style::plain:
        return "";
    case Style::bold:
        return "\x1b[1m";
    case Style::dim:
        return "\x1b[2m";
    case Style::red:
        return "\x1b[31m";
    case Style::green:
        return "\x1b[32m";
    case Style::yellow:
        return "\x1b[33m";
    case Style::cyan:
        return "\x1b[36m";
    }
    return "";
}

// Columns that a text takes, near enough: code points, without our own colour codes.
std::size_t display_width(std::string_view text) {
    std::size_t width = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\x1b') {
            while (i < text.size() && text[i] != 'm') ++i;
            continue;
        }
        if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) ++width;
    }
    return width;
}

constexpr int longest_line = 100;

} // namespace

std::string printable(std::string_view text) {
    std::string result;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7F) {
            result += fmt::format("\\x{:02x}", byte);
        } else {
            result += c;
        }
    }
    return result;
}

std::string wrap(std::string_view text, int width, int indent) {
    const auto limit = static_cast<std::size_t>(std::clamp(width, 20, longest_line));
    const std::string margin(static_cast<std::size_t>(indent), ' ');
    std::string result;
    bool first_line = true;
    for (const auto& paragraph : split(text, '\n')) {
        if (!first_line) result += "\n" + margin;
        std::size_t used = margin.size();
        bool first_word = true;
        for (const auto& word : split(paragraph, ' ')) {
            const std::size_t length = display_width(word);
            if (!first_word && used + 1 + length > limit && margin.size() + length <= limit) {
                result += "\n" + margin;
                used = margin.size();
            } else if (!first_word) {
                result += ' ';
                ++used;
            }
            result += word;
            used += length;
            first_word = false;
        }
        first_line = false;
    }
    return result;
}

std::string columns(const std::vector<std::vector<std::string>>& rows, int indent) {
    std::vector<std::size_t> widths;
    for (const auto& row : rows) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], display_width(row[i]));
    }
    std::string result;
    for (const auto& row : rows) {
        std::string line(static_cast<std::size_t>(indent), ' ');
        for (std::size_t i = 0; i < row.size(); ++i) {
            line += row[i];
            if (i + 1 < row.size()) line += std::string(widths[i] - display_width(row[i]) + 2, ' ');
        }
        while (!line.empty() && line.back() == ' ') line.pop_back();
        result += line + "\n";
    }
    return result;
}

std::string Output::paint(std::string_view text, Style style, bool terminal) const {
    if (!options_.color || !terminal || style == Style::plain || text.empty()) return std::string(text);
    return fmt::format("{}{}\x1b[0m", code(style), text);
}

std::string Output::styled(std::string_view text, Style style) const {
    return paint(text, style, console_.out_is_terminal());
}
std::string Output::styled_err(std::string_view text, Style style) const {
    return paint(text, style, console_.err_is_terminal());
}

void Output::result(std::string_view text) {
    if (!options_.json) console_.out(text);
}

void Output::summary(std::string_view text) {
    if (!options_.json && !quiet()) console_.out(text);
}

void Output::document(const nlohmann::ordered_json& document) {
    console_.out(document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

// Masked, harmless to a terminal, and with ~ for the home folder.
std::string Output::shown(std::string_view text) const {
    const std::string safe = printable(edit::mask_text(text));
    return home_.empty() ? safe : replace_all(safe, home_ + "/", "~/");
}

void Output::prose(std::string_view label, Style style, std::string_view text) {
    const std::string head = fmt::format("{}: ", label);
    const std::string body = wrap(head + shown(text), console_.width(), 2);
    err(styled_err(head, style) + body.substr(head.size()) + "\n");
}

void Output::warning(std::string_view text) {
    if (!quiet()) prose("warning", Style::yellow, text);
}

void Output::note(std::string_view text) {
    if (!quiet()) prose("note", Style::cyan, text);
}

void Output::err(std::string_view text) {
    const std::lock_guard lock(guard_);
    replace_progress("");
    console_.err(text);
}

// Blanks over the rest of the old line, because not every terminal knows the code that clears one.
void Output::replace_progress(const std::string& text) {
    const std::size_t before = progress_width_;
    progress_width_ = display_width(text);
    if (before == 0 && text.empty()) return;
    console_.err("\r" + text + std::string(before > progress_width_ ? before - progress_width_ : 0, ' ') +
                 (text.empty() ? "\r" : ""));
}

void Output::progress(std::string_view line) {
    if (!shows_progress()) return;
    // Cut to the terminal's width, or it would be a second line that \r does not reach.
    std::string text = printable(line);
    const auto room = static_cast<std::size_t>(std::max(console_.width() - 1, 1));
    while (display_width(text) > room) {
        while ((static_cast<unsigned char>(text.back()) & 0xC0) == 0x80) text.pop_back();
        text.pop_back();
    }
    const std::lock_guard lock(guard_);
    replace_progress(text);
}

void Output::error(const Error& error, std::string_view state) {
    const std::string after = error.state.empty() ? std::string(state) : error.state;
    if (options_.json) {
        nlohmann::ordered_json item;
        item["kind"] = name_of(error.kind);
        item["exit_code"] = exit_code(error.kind);
        item["what"] = edit::mask_text(error.what);
        item["why"] = edit::mask_text(error.why);
        item["fix"] = edit::mask_text(error.fix);
        item["state"] = after;
        nlohmann::ordered_json root;
        root["error"] = std::move(item);
        document(root);
    }
    prose("error", Style::red, error.what);
    const auto line = [&](std::string_view label, const std::string& text) {
        if (text.empty()) return;
        const std::string head = fmt::format("  {}: ", label);
        const std::string body = wrap(head + shown(text), console_.width(), 7);
        err(styled_err(head, Style::dim) + body.substr(head.size()) + "\n");
    };
    line("why", error.why);
    line("fix", error.fix);
    if (!after.empty()) err(wrap(shown(after), console_.width(), 0) + "\n");
}

std::string Output::colored_diff(std::string_view diff) const {
    std::string result;
    for (const auto& line : split(diff, '\n')) {
        Style style = Style::plain;
        if (line.rfind("+++", 0) == 0 || line.rfind("---", 0) == 0) {
            style = Style::bold;
        } else if (line.rfind("@@", 0) == 0) {
            style = Style::cyan;
        } else if (line.rfind('+', 0) == 0) {
            style = Style::green;
        } else if (line.rfind('-', 0) == 0) {
            style = Style::red;
        }
        if (!result.empty()) result += '\n';
        result += styled(line, style);
    }
    return result;
}

} // namespace dbx::cli
