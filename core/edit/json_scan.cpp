#include "core/edit/json_scan.hpp"

#include "core/edit/position.hpp"
#include "core/edit/unicode.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <optional>

namespace dbx::edit {

namespace {

bool is_json_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_word(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || is_digit(c) || c == '_' || c == '$';
}

// One pass without recursion; the first fault ends it.
class Scanner {
  public:
    Scanner(std::string_view text, Comments comments)
        : text_(text)
        , comments_(comments) {}

    Result<std::vector<JsonNode>> run() {
        if (!document()) {
            return fail(ErrorKind::file, "it is not valid JSON",
                        at_position(position_at(text_, fault_at_), fault_));
        }
        return std::move(nodes_);
    }

  private:
    struct Open {
        std::uint32_t node = 0;
        std::uint32_t last = 0; // child; 0: none yet
    };

    bool refuse(std::size_t at, std::string reason) {
        fault_at_ = at;
        fault_ = std::move(reason);
        return false;
    }

    bool at_end() const { return at_ >= text_.size(); }
    char peek() const { return text_[at_]; }

    bool document() {
        if (text_.substr(0, byte_order_mark.size()) == byte_order_mark) at_ = byte_order_mark.size();
        if (!skip()) return false;
        if (at_end()) {
            const bool blank = std::all_of(text_.begin(), text_.end(), [](char c) {
                return is_json_space(c) || static_cast<unsigned char>(c) >= 0x80;
            });
            return refuse(at_, blank ? "the file is empty" : "the file holds no value");
        }
        if (!value(0, 0)) return false;
        while (!open_.empty()) {
            if (!item()) return false;
        }
        if (!skip()) return false;
        if (!at_end()) return refuse(at_, "unexpected text after the end of the document");
        return true;
    }

    // White space and comments.
    bool skip() {
        while (!at_end()) {
            const char c = peek();
            if (is_json_space(c)) {
                ++at_;
            } else if (c == '/' && at_ + 1 < text_.size() &&
                       (text_[at_ + 1] == '/' || text_[at_ + 1] == '*')) {
                if (comments_ == Comments::refused)
                    return refuse(at_, "a comment is not allowed here: this file must be strict JSON");
                if (!comment()) return false;
            } else {
                break;
            }
        }
        return true;
    }

    bool comment() {
        const std::size_t begin = at_;
        std::size_t end = 0;
        if (text_[at_ + 1] == '/') {
            end = std::min(text_.find('\n', at_), text_.size());
        } else {
            const auto close = text_.find("*/", at_ + 2);
            if (close == std::string_view::npos) return refuse(begin, "the comment is never closed");
            end = close + 2;
        }
        for (at_ = begin; at_ < end; ++at_) {
            if (peek() == '\0') return refuse(at_, "a NUL character");
            // Whether a lone CR ends a // comment is seen differently by different programs.
            if (peek() == '\r' && text_[begin + 1] == '/' && at_ + 1 != text_.size() &&
                text_[at_ + 1] != '\n')
                return refuse(at_, "a carriage return inside a comment");
        }
        return true;
    }

    // After a value, or after an opening bracket: the next item of the innermost container, or its end.
    bool item() {
        const std::uint32_t container = open_.back().node;
        const bool object = nodes_[container].kind == JsonKind::object;
        const char close = object ? '}' : ']';
        if (!skip()) return false;
        if (at_end()) return unclosed();
        if (peek() == close) return end_container();
        if (open_.back().last != 0) {
            if (peek() != ',') {
                return refuse(at_, std::string("expected ',' or '") + close + "' after the value" + found());
            }
            const std::size_t comma = at_++;
            if (!skip()) return false;
            if (at_end()) return unclosed();
            if (peek() == close) return refuse(comma, std::string("trailing comma before '") + close + "'");
        }
        if (!object) return value(0, 0);
        if (peek() != '"') {
            if (peek() == ',') return refuse(at_, "a comma without a member before it");
            return refuse(at_, "expected a key in double quotes" + found());
        }
        const std::size_t key = at_;
        if (!string()) return false;
        const std::size_t key_end = at_;
        if (!skip()) return false;
        if (at_end()) return unclosed();
        if (peek() != ':') return refuse(at_, "expected ':' after the key" + found());
        ++at_;
        if (!skip()) return false;
        if (at_end()) return unclosed();
        return value(key, key_end);
    }

    std::string found() const {
        const char c = peek();
        if (c > ' ' && c < 0x7F) return std::string(", found '") + c + "'";
        return "";
    }

    bool unclosed() {
        const auto& node = nodes_[open_.back().node];
        return refuse(at_, "the file ends inside the " +
                               std::string(node.kind == JsonKind::object ? "object" : "array") +
                               " that begins in line " + std::to_string(position_at(text_, node.begin).line));
    }

    bool value(std::size_t key, std::size_t key_end) {
        const auto index = static_cast<std::uint32_t>(nodes_.size());
        JsonNode node;
        node.begin = static_cast<std::uint32_t>(at_);
        node.key_begin = static_cast<std::uint32_t>(key);
        node.key_end = static_cast<std::uint32_t>(key_end);
        const char c = peek();
        bool good = true;
        if (c == '{' || c == '[') {
            if (open_.size() == max_json_depth) {
                return refuse(at_, "nested deeper than " + std::to_string(max_json_depth) + " levels");
            }
            node.kind = c == '{' ? JsonKind::object : JsonKind::array;
            ++at_;
        } else if (c == '"') {
            node.kind = JsonKind::string;
            good = string();
        } else if (c == '-' || is_digit(c)) {
            node.kind = JsonKind::number;
            good = number();
        } else if (is_word(c)) {
            good = word(node.kind);
        } else if (c == '\'') {
            good = refuse(at_, "strings need double quotes");
        } else if (c == '+' || c == '.') {
            good = refuse(at_, std::string("a number cannot begin with '") + c + "'");
        } else {
            good = refuse(at_, "expected a value" + found());
        }
        if (!good) return false;
        node.end = static_cast<std::uint32_t>(at_);
        nodes_.push_back(node);
        if (!open_.empty()) {
            auto& parent = open_.back();
            ++nodes_[parent.node].children;
            if (parent.last != 0) nodes_[parent.last].next = index;
            parent.last = index;
        }
        if (node.is_container()) open_.push_back({index, 0});
        return true;
    }

    bool end_container() {
        ++at_;
        const std::uint32_t index = open_.back().node;
        open_.pop_back();
        nodes_[index].end = static_cast<std::uint32_t>(at_);
        return nodes_[index].kind != JsonKind::object || unique_keys(index);
    }

    struct Key {
        std::string_view name;
        std::uint32_t at = 0;
    };

    // Refuses a second member of the same name: readers disagree which one counts. By sorting, so that no
    // choice of names makes it slow.
    bool unique_keys(std::uint32_t object) {
        if (nodes_[object].children < 2) return true;
        std::vector<Key> keys;
        std::vector<std::string> decoded; // only the names with escapes
        keys.reserve(nodes_[object].children);
        for (std::uint32_t i = object + 1; i != 0; i = nodes_[i].next) {
            const auto spelling = text_.substr(nodes_[i].key_begin, nodes_[i].key_end - nodes_[i].key_begin);
            if (spelling.find('\\') != std::string_view::npos)
                decoded.push_back(decode_json_string(spelling));
        }
        auto next_decoded = decoded.begin();
        for (std::uint32_t i = object + 1; i != 0; i = nodes_[i].next) {
            const auto spelling = text_.substr(nodes_[i].key_begin, nodes_[i].key_end - nodes_[i].key_begin);
            const auto name = spelling.find('\\') == std::string_view::npos
                                  ? spelling.substr(1, spelling.size() - 2)
                                  : std::string_view(*next_decoded++);
            keys.push_back({name, nodes_[i].key_begin});
        }
        std::sort(keys.begin(), keys.end(), [](const Key& a, const Key& b) {
            const int order = a.name.compare(b.name);
            return order != 0 ? order < 0 : a.at < b.at;
        });
        const Key* second = nullptr;
        for (std::size_t i = 1; i < keys.size(); ++i) {
            if (keys[i].name == keys[i - 1].name && (second == nullptr || keys[i].at < second->at))
                second = &keys[i];
        }
        if (second == nullptr) return true;
        const auto first =
            std::find_if(keys.begin(), keys.end(), [&](const Key& key) { return key.name == second->name; });
        auto shown = second->name.substr(0, 80);
        while (shown.size() < second->name.size() && !shown.empty() && (shown.back() & 0x80) != 0)
            shown.remove_suffix(1); // not in the middle of a character
        return refuse(second->at, "the key " + to_string(KeyPath{std::string(shown)}) +
                                      " is there twice (first in line " +
                                      std::to_string(position_at(text_, first->at).line) + ")");
    }

    bool string() {
        const std::size_t begin = at_++;
        while (true) {
            while (!at_end() && peek() != '"' && peek() != '\\' && static_cast<unsigned char>(peek()) >= 0x20)
                ++at_;
            if (at_end() || peek() == '\n' || peek() == '\r')
                return refuse(begin, "the string is never closed");
            if (peek() == '"') {
                ++at_;
                return true;
            }
            if (peek() != '\\') {
                return refuse(at_, peek() == '\t' ? "a tab inside a string must be written as \\t"
                                                  : "a control character inside a string");
            }
            if (!escape()) return false;
        }
    }

    bool escape() {
        const std::size_t begin = at_++;
        if (at_end()) return refuse(begin, "the string is never closed");
        if (std::string_view("\"\\/bfnrt").find(peek()) != std::string_view::npos) {
            ++at_;
            return true;
        }
        if (peek() != 'u') return refuse(begin, "unknown escape in a string");
        const auto high = code_unit(begin);
        if (!high) return refuse(begin, "\\u needs four hexadecimal digits");
        at_ = begin + 6;
        if (*high < 0xD800 || *high > 0xDFFF) return true;
        // JavaScript keeps half a pair; UTF-8 cannot.
        const auto low = code_unit(at_);
        if (*high > 0xDBFF || !low || *low < 0xDC00 || *low > 0xDFFF)
            return refuse(begin, "half of a surrogate pair");
        at_ += 6;
        return true;
    }

    // Of "\uXXXX" at `at`.
    std::optional<std::uint32_t> code_unit(std::size_t at) const {
        if (at + 6 > text_.size() || text_[at] != '\\' || text_[at + 1] != 'u') return std::nullopt;
        std::uint32_t code = 0;
        for (std::size_t i = at + 2; i < at + 6; ++i) {
            const int digit = hex_digit(text_[i]);
            if (digit < 0) return std::nullopt;
            code = (code << 4) | static_cast<std::uint32_t>(digit);
        }
        return code;
    }

    bool digits() {
        const std::size_t begin = at_;
        while (!at_end() && is_digit(peek())) ++at_;
        return at_ != begin;
    }

    bool number() {
        const std::size_t begin = at_;
        if (peek() == '-') ++at_;
        if (!at_end() && peek() == '0') {
            ++at_;
            if (!at_end() && is_digit(peek())) return refuse(begin, "a number cannot begin with 0");
        } else if (!digits()) {
            return refuse(begin, "'-' needs a number");
        }
        if (!at_end() && peek() == '.') {
            ++at_;
            if (!digits()) return refuse(begin, "a number needs digits after '.'");
        }
        bool exponent = false;
        if (!at_end() && (peek() == 'e' || peek() == 'E')) {
            exponent = true;
            ++at_;
            if (!at_end() && (peek() == '+' || peek() == '-')) ++at_;
            if (!digits()) return refuse(begin, "a number needs digits after 'e'");
        }
        if (exponent || at_ - begin > 300) {
            double value = 0;
            const auto spelling = text_.substr(begin, at_ - begin);
            const auto parsed = std::from_chars(spelling.data(), spelling.data() + spelling.size(), value);
            if (parsed.ec != std::errc{} && std::isinf(std::strtod(std::string(spelling).c_str(), nullptr)))
                return refuse(begin, "the number is too large");
        }
        return true;
    }

    bool word(JsonKind& kind) {
        const std::size_t begin = at_;
        while (!at_end() && is_word(peek())) ++at_;
        const auto name = text_.substr(begin, at_ - begin);
        if (name == "true" || name == "false") {
            kind = JsonKind::boolean;
        } else if (name == "null") {
            kind = JsonKind::null;
        } else {
            // Never a secret that somebody forgot to quote.
            const bool plain = name.size() <= 10 && std::none_of(name.begin(), name.end(), is_digit);
            return refuse(begin, "unknown word" + (plain ? " '" + std::string(name) + "'" : "") +
                                     " (a string needs double quotes)");
        }
        return true;
    }

    std::string_view text_;
    Comments comments_;
    std::size_t at_ = 0;
    std::size_t fault_at_ = 0;
    std::string fault_;
    std::vector<JsonNode> nodes_;
    std::vector<Open> open_;
};

std::uint32_t hex4(std::string_view digits) {
    std::uint32_t code = 0;
    for (const char c : digits.substr(0, 4)) code = (code << 4) | static_cast<std::uint32_t>(hex_digit(c));
    return code;
}

Value number_value(std::string_view spelling) {
    const char* const begin = spelling.data();
    const char* const end = begin + spelling.size();
    if (spelling.find_first_of(".eE") == std::string_view::npos) {
        if (spelling.front() == '-') {
            std::int64_t value = 0;
            if (std::from_chars(begin, end, value).ec == std::errc{}) return value;
        } else {
            std::uint64_t value = 0;
            if (std::from_chars(begin, end, value).ec == std::errc{}) return value;
        }
    }
    double value = 0; // stays 0 for what is too small
    std::from_chars(begin, end, value);
    return value;
}

} // namespace

Result<std::vector<JsonNode>> scan_json(std::string_view text, Comments comments) {
    return Scanner(text, comments).run();
}

std::string decode_json_string(std::string_view spelling) {
    const auto body = spelling.substr(1, spelling.size() - 2);
    std::string result;
    result.reserve(body.size());
    for (std::size_t at = 0; at < body.size();) {
        const auto escape = std::min(body.find('\\', at), body.size());
        result += body.substr(at, escape - at);
        at = escape;
        if (at == body.size()) break;
        const char c = body[at + 1];
        at += 2;
        switch (c) {
        case 'b':
            result += '\b';
            break;
        case 'f':
            result += '\f';
            break;
        case 'n':
            result += '\n';
            break;
        case 'r':
            result += '\r';
            break;
        case 't':
            result += '\t';
            break;
        case 'u': {
            std::uint32_t code = hex4(body.substr(at));
            at += 4;
            if (code >= 0xD800 && code <= 0xDBFF) {
                code = 0x10000 + ((code - 0xD800) << 10) + (hex4(body.substr(at + 2)) - 0xDC00);
                at += 6;
            }
            append_utf8(result, code);
            break;
        }
        default:
            result += c; // " \ /
        }
    }
    return result;
}

Value json_value(std::string_view text, const std::vector<JsonNode>& nodes, std::uint32_t index) {
    const JsonNode& node = nodes[index];
    const auto spelling = text.substr(node.begin, node.end - node.begin);
    switch (node.kind) {
    case JsonKind::object: {
        Value result = Value::object();
        // The base class's emplace_back: ordered_map's own insertion searches all members each time.
        auto& members = result.get_ref<Value::object_t&>();
        members.reserve(node.children);
        for (std::uint32_t i = node.children == 0 ? 0 : index + 1; i != 0; i = nodes[i].next) {
            members.emplace_back(
                decode_json_string(text.substr(nodes[i].key_begin, nodes[i].key_end - nodes[i].key_begin)),
                json_value(text, nodes, i));
        }
        return result;
    }
    case JsonKind::array: {
        Value result = Value::array();
        auto& elements = result.get_ref<Value::array_t&>();
        elements.reserve(node.children);
        for (std::uint32_t i = node.children == 0 ? 0 : index + 1; i != 0; i = nodes[i].next)
            elements.push_back(json_value(text, nodes, i));
        return result;
    }
    case JsonKind::string:
        return decode_json_string(spelling);
    case JsonKind::number:
        return number_value(spelling);
    case JsonKind::boolean:
        return spelling == "true";
    case JsonKind::null:
        break;
    }
    return nullptr;
}

std::string_view json_kind_name(JsonKind kind) {
    switch (kind) {
    case JsonKind::object:
        return "an object";
    case JsonKind::array:
        return "an array";
    case JsonKind::string:
        return "a string";
    case JsonKind::number:
        return "a number";
    case JsonKind::boolean:
        return "a boolean";
    case JsonKind::null:
        break;
    }
    return "null";
}

std::size_t skip_json_trivia(std::string_view text, std::size_t at) {
    while (at < text.size()) {
        if (is_json_space(text[at])) {
            ++at;
        } else if (text[at] == '/' && at + 1 < text.size() && text[at + 1] == '/') {
            at = std::min(text.find('\n', at), text.size());
        } else if (text[at] == '/' && at + 1 < text.size() && text[at + 1] == '*') {
            const auto close = text.find("*/", at + 2);
            at = close == std::string_view::npos ? text.size() : close + 2;
        } else {
            break;
        }
    }
    return at;
}

} // namespace dbx::edit
