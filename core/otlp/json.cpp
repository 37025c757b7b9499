#include "core/otlp/json.hpp"

#include "core/otlp/schema.hpp"

#include <nlohmann/json.hpp>
#include <protozero/pbf_writer.hpp>
#include <protozero/varint.hpp>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

namespace dbx::otlp {

namespace {

struct Integer {
    bool negative = false;
    std::uint64_t magnitude = 0;
};

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// "-12", "1.0", "12e3": JSON's numbers, exactly. Null: it is none, it has a fraction, or it is too large.
std::optional<Integer> parse_integer(std::string_view text) {
    Integer result;
    if (!text.empty() && text.front() == '-') {
        result.negative = true;
        text.remove_prefix(1);
    }
    const auto take_digits = [&text] {
        const auto end = std::find_if_not(text.begin(), text.end(), is_digit);
        const auto digits = text.substr(0, static_cast<std::size_t>(end - text.begin()));
        text.remove_prefix(digits.size());
        return digits;
    };
    std::string digits(take_digits());
    if (digits.empty()) return {};
    std::int64_t scale = 0;
    if (!text.empty() && text.front() == '.') {
        text.remove_prefix(1);
        const auto fraction = take_digits();
        if (fraction.empty()) return {};
        digits += fraction;
        scale -= static_cast<std::int64_t>(fraction.size());
    }
    if (!text.empty() && (text.front() == 'e' || text.front() == 'E')) {
        text.remove_prefix(1);
        const bool shrinks = !text.empty() && text.front() == '-';
        if (!text.empty() && (text.front() == '-' || text.front() == '+')) text.remove_prefix(1);
        const auto exponent = take_digits();
        if (exponent.empty()) return {};
        std::int32_t value = 0;
        // One that is too long for an int is too large for any digits that fit into memory.
        if (std::from_chars(exponent.data(), exponent.data() + exponent.size(), value).ec != std::errc{})
            value = std::numeric_limits<std::int32_t>::max();
        scale += shrinks ? -std::int64_t{value} : std::int64_t{value};
    }
    if (!text.empty()) return {};
    digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
    if (digits.empty()) return Integer{};
    for (; scale < 0 && digits.back() == '0'; ++scale) digits.pop_back();
    constexpr std::int64_t most_digits = std::numeric_limits<std::uint64_t>::digits10 + 1;
    if (scale < 0 || static_cast<std::int64_t>(digits.size()) + scale > most_digits) return {};
    digits.append(static_cast<std::size_t>(scale), '0');
    const auto* const end = digits.data() + digits.size();
    if (std::from_chars(digits.data(), end, result.magnitude).ec != std::errc{}) return {};
    return result;
}

std::optional<double> parse_double(std::string_view text) {
    if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
    if (text == "Infinity") return std::numeric_limits<double>::infinity();
    if (text == "-Infinity") return -std::numeric_limits<double>::infinity();
    const std::size_t sign = text.substr(0, 1) == "-" ? 1 : 0;
    if (text.size() == sign || !is_digit(text[sign])) return {};
    double value = 0;
    const auto* const end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{} || at != end) return {};
    return value;
}

std::optional<std::string> from_hex(std::string_view text) {
    if (text.size() % 2 != 0) return {};
    std::string bytes(text.size() / 2, '\0');
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        std::uint8_t byte = 0;
        const auto* const at = text.data() + 2 * i;
        const auto [end, error] = std::from_chars(at, at + 2, byte, 16);
        if (error != std::errc{} || end != at + 2) return {};
        bytes[i] = static_cast<char>(byte);
    }
    return bytes;
}

// The standard alphabet or the one for URLs, padded or not.
std::optional<std::string> from_base64(std::string_view text) {
    while (text.ends_with('=')) text.remove_suffix(1);
    if (text.size() % 4 == 1) return {};
    std::string bytes;
    bytes.reserve(text.size() / 4 * 3 + 2);
    std::uint32_t bits = 0;
    int held = 0;
    for (const char c : text) {
        int value = 0;
        if (c >= 'A' && c <= 'Z')
            value = c - 'A';
        else if (c >= 'a' && c <= 'z')
            value = c - 'a' + 26;
        else if (is_digit(c))
            value = c - '0' + 52;
        else if (c == '+' || c == '-')
            value = 62;
        else if (c == '/' || c == '_')
            value = 63;
        else
            return {};
        bits = bits << 6 | static_cast<std::uint32_t>(value);
        held += 6;
        if (held < 8) continue;
        held -= 8;
        bytes.push_back(static_cast<char>(bits >> held & 0xff));
    }
    return bytes;
}

// The four hex digits after "\u"; null: there are none.
std::optional<std::uint16_t> code_unit(std::string_view text) {
    std::uint16_t unit = 0;
    if (text.size() < 6 || text.substr(0, 2) != "\\u") return {};
    const auto [end, error] = std::from_chars(text.data() + 2, text.data() + 6, unit, 16);
    if (error != std::errc{} || end != text.data() + 6) return {};
    return unit;
}

// Each escaped half of a surrogate pair as "\ufffd". Null: there is none. Backslashes stand in strings only;
// of what is not JSON, the parser has the last word.
std::optional<std::string> without_half_pairs(std::string_view json) {
    std::optional<std::string> repaired;
    for (auto at = json.find('\\'); at != std::string_view::npos; at = json.find('\\', at)) {
        const auto unit = code_unit(json.substr(at));
        if (!unit) {
            at += 2;
            continue;
        }
        const bool high = *unit >= 0xd800 && *unit <= 0xdbff;
        const bool low = *unit >= 0xdc00 && *unit <= 0xdfff;
        if (high) {
            const auto next = code_unit(json.substr(at + 6));
            if (next && *next >= 0xdc00 && *next <= 0xdfff) {
                at += 12;
                continue;
            }
        }
        if (high || low) {
            if (!repaired) repaired = std::string(json);
            repaired->replace(at, 6, "\\ufffd");
        }
        at += 6;
    }
    return repaired;
}

// Takes the parser's events and appends the message; a false tells the parser to stop.
class Converter {
  public:
    using json = nlohmann::json;

    Converter(Type request, std::size_t size)
        : request_(request) {
        out_.reserve(size / 2);
    }

    std::string take() { return std::move(out_); }
    const std::string& why() const { return why_; }

    bool null() {
        if (skips()) return true;
        if (frames_.empty()) return refuse("an object is expected");
        if (frames_.back().array) return refuse("null cannot be an element");
        return true;
    }
    bool boolean(bool value) {
        const Field* const field = begin_scalar();
        if (!field) return unless_refused();
        if (field->kind != Kind::boolean) return wrong_type(*field);
        if (value || writes_defaults(*field)) writer().add_bool(field->number, value);
        return true;
    }
    bool number_integer(std::int64_t value) {
        const auto bits = static_cast<std::uint64_t>(value);
        return number({value < 0, value < 0 ? ~bits + 1 : bits}, static_cast<double>(value));
    }
    bool number_unsigned(std::uint64_t value) { return number({false, value}, static_cast<double>(value)); }
    bool number_float(double value, const std::string& text) {
        const Field* const field = begin_scalar();
        if (!field) return unless_refused();
        if (field->kind == Kind::float64) return put_double(*field, value);
        if (!is_integer(field->kind)) return wrong_type(*field);
        return put_integer(*field, parse_integer(text));
    }
    bool string(std::string& text) {
        const Field* const field = begin_scalar();
        if (!field) return unless_refused();
        switch (field->kind) {
        case Kind::string:
            if (!text.empty() || writes_defaults(*field)) writer().add_string(field->number, text);
            return true;
        case Kind::trace_id:
        case Kind::span_id: {
            const std::size_t length = field->kind == Kind::trace_id ? 16 : 8;
            if (text.empty()) return true;
            const auto bytes = from_hex(text);
            if (!bytes || bytes->size() != length)
                return refuse("an id of " + std::to_string(2 * length) + " hex digits is expected");
            writer().add_bytes(field->number, *bytes);
            return true;
        }
        case Kind::bytes: {
            const auto bytes = from_base64(text);
            if (!bytes) return refuse("base64 is expected");
            if (!bytes->empty() || writes_defaults(*field)) writer().add_bytes(field->number, *bytes);
            return true;
        }
        case Kind::float64: {
            const auto value = parse_double(text);
            return value ? put_double(*field, *value) : wrong_type(*field);
        }
        default:
            // The specification: only the integer of an enum's value, not its name.
            if (!is_integer(field->kind) || field->kind == Kind::enumeration) return wrong_type(*field);
            return put_integer(*field, parse_integer(text));
        }
    }
    bool binary(json::binary_t& /*bytes*/) { return refuse("it is not JSON"); }
    bool start_object(std::size_t /*size*/) {
        if (skips()) {
            ++skipped_;
            return true;
        }
        if (frames_.empty()) {
            frames_.push_back({nullptr, request_, false, false, nullptr, 0, 0, 0});
            return true;
        }
        const Field* const field = begin_value();
        if (!field) return unless_refused();
        if (field->kind != Kind::message) return wrong_type(*field);
        if (++messages_ >= deepest_message)
            return refuse("messages are nested deeper than " + std::to_string(deepest_message));
        frames_.push_back({field, field->type, false, false, nullptr, 0, open(*field), 0});
        return true;
    }
    bool key(std::string& name) {
        if (skipped_ == 0) pending_ = find_field(frames_.back().type, name);
        return true;
    }
    bool end_object() {
        if (skipped_ > 0) {
            --skipped_;
            return true;
        }
        if (frames_.back().field) {
            close(frames_.back().content);
            --messages_;
        }
        frames_.pop_back();
        return true;
    }
    bool start_array(std::size_t /*size*/) {
        if (skips()) {
            ++skipped_;
            return true;
        }
        if (frames_.empty()) return refuse("an object is expected");
        if (frames_.back().array) return wrong_type(*frames_.back().field);
        const Field& field = *pending_;
        if (field.presence != Presence::repeated) return wrong_type(field);
        if (!begin_member(field)) return false;
        const bool packed = is_integer(field.kind) || field.kind == Kind::float64;
        frames_.push_back({&field, field.type, true, packed, nullptr, 0, packed ? open(field) : 0, 0});
        return true;
    }
    bool end_array() {
        if (skipped_ > 0) {
            --skipped_;
            return true;
        }
        if (frames_.back().packed) close(frames_.back().content);
        frames_.pop_back();
        return true;
    }
    bool parse_error(std::size_t position, const std::string& /*token*/,
                     const nlohmann::detail::exception& error) {
        // The parser's own words quote the text. Its 406: a number that no double can hold.
        const auto where = "byte " + std::to_string(position);
        why_ = error.id == 406 ? "a number is out of range at " + where
                               : "it is not JSON, as " + where + " shows";
        return false;
    }

  private:
    // A message, or an array of a repeated field.
    struct Frame {
        const Field* field; // null: the request
        Type type;
        bool array;
        bool packed;
        const Field* chosen;  // of the oneof
        std::uint32_t seen;   // bits of the fields that were there
        std::size_t content;  // where it begins in out_
        std::uint64_t passed; // elements
    };

    static bool is_integer(Kind kind) {
        switch (kind) {
        case Kind::enumeration:
        case Kind::int64:
        case Kind::uint32:
        case Kind::uint64:
        case Kind::sint32:
        case Kind::fixed32:
        case Kind::fixed64:
        case Kind::sfixed64:
            return true;
        default:
            return false;
        }
    }
    static std::string_view wanted(const Field& field) {
        switch (field.kind) {
        case Kind::message:
            return "an object is expected";
        case Kind::string:
            return "a string is expected";
        case Kind::bytes:
            return "base64 is expected";
        case Kind::trace_id:
        case Kind::span_id:
            return "an id in hex is expected";
        case Kind::boolean:
            return "true or false is expected";
        case Kind::enumeration:
            return "an enum's integer is expected";
        case Kind::float64:
            return "a number is expected";
        default:
            return "an integer is expected";
        }
    }

    // The value belongs to a member that OTLP does not have.
    bool skips() const {
        return skipped_ > 0 || (!frames_.empty() && !frames_.back().array && pending_ == nullptr);
    }
    bool unless_refused() const { return why_.empty(); }
    bool writes_defaults(const Field& field) const { return field.presence != Presence::implicit; }

    bool refuse(std::string_view reason) {
        std::string path;
        for (const Frame& frame : frames_) {
            if (!frame.field) continue;
            if (frame.array) {
                path += std::string(path.empty() ? "" : ".") + std::string(frame.field->name) + '[' +
                        std::to_string(std::max<std::uint64_t>(frame.passed, 1) - 1) + ']';
            } else if (frame.field->presence != Presence::repeated) {
                path += '.' + std::string(frame.field->name);
            }
        }
        if (!frames_.empty() && !frames_.back().array && pending_ != nullptr)
            path += std::string(path.empty() ? "" : ".") + std::string(pending_->name);
        why_ = path.empty() ? std::string(reason) : path + ": " + std::string(reason);
        return false;
    }
    bool wrong_type(const Field& field) {
        const bool element = frames_.back().array;
        return refuse(field.presence == Presence::repeated && !element ? "an array is expected"
                                                                       : wanted(field));
    }

    // A member that is not null begins.
    bool begin_member(const Field& field) {
        Frame& frame = frames_.back();
        const auto bit = std::uint32_t{1} << field.number;
        if ((frame.seen & bit) != 0) return refuse("it is there twice");
        frame.seen |= bit;
        if (field.presence == Presence::oneof) {
            if (frame.chosen) return refuse("'" + std::string(frame.chosen->name) + "' is there too");
            frame.chosen = &field;
        }
        return true;
    }
    // The field whose value, or whose next element, begins. Null: it is skipped, or refused.
    const Field* begin_value() {
        Frame& frame = frames_.back();
        if (frame.array) {
            ++frame.passed;
            return frame.field;
        }
        if (pending_->presence == Presence::repeated) {
            wrong_type(*pending_);
            return nullptr;
        }
        return begin_member(*pending_) ? pending_ : nullptr;
    }
    const Field* begin_scalar() {
        if (skips()) return nullptr;
        if (frames_.empty()) {
            refuse("an object is expected");
            return nullptr;
        }
        return begin_value();
    }

    protozero::pbf_writer writer() { return protozero::pbf_writer{out_}; }

    // Begins a length-delimited field; returns where its content begins. Its length has one byte so far.
    std::size_t open(const Field& field) {
        const auto tag = std::uint32_t{field.number} << 3 |
                         static_cast<std::uint32_t>(protozero::pbf_wire_type::length_delimited);
        protozero::add_varint_to_buffer(&out_, tag);
        out_.push_back('\0');
        return out_.size();
    }
    void close(std::size_t content) {
        std::string length;
        protozero::add_varint_to_buffer(&length, out_.size() - content);
        out_[content - 1] = length.front();
        out_.insert(content, length, 1);
    }

    bool number(Integer value, double as_double) {
        const Field* const field = begin_scalar();
        if (!field) return unless_refused();
        if (field->kind == Kind::float64) return put_double(*field, as_double);
        if (!is_integer(field->kind)) return wrong_type(*field);
        return put_integer(*field, value);
    }
    bool put_double(const Field& field, double value) {
        if (field.presence == Presence::repeated) {
            put_fixed(std::bit_cast<std::uint64_t>(value));
        } else if (std::bit_cast<std::uint64_t>(value) != 0 || writes_defaults(field)) {
            writer().add_double(field.number, value);
        }
        return true;
    }
    bool put_integer(const Field& field, std::optional<Integer> value) {
        if (!value) return wrong_type(field);
        const auto [negative, magnitude] = *value;
        const auto bits = negative ? ~magnitude + 1 : magnitude;
        std::uint64_t most = 0;
        std::uint64_t least = 0; // its magnitude
        switch (field.kind) {
        case Kind::int64:
        case Kind::sfixed64:
            most = std::numeric_limits<std::int64_t>::max();
            least = most + 1;
            break;
        case Kind::sint32:
        case Kind::enumeration:
            most = std::numeric_limits<std::int32_t>::max();
            least = most + 1;
            break;
        case Kind::uint32:
        case Kind::fixed32:
            most = std::numeric_limits<std::uint32_t>::max();
            break;
        default:
            most = std::numeric_limits<std::uint64_t>::max();
            break;
        }
        if (magnitude > (negative ? least : most)) return refuse("the number is out of range");
        if (field.presence == Presence::repeated) {
            if (field.kind == Kind::fixed64)
                put_fixed(bits);
            else
                protozero::add_varint_to_buffer(&out_, bits);
            return true;
        }
        if (magnitude == 0 && !writes_defaults(field)) return true;
        switch (field.kind) {
        case Kind::enumeration:
            writer().add_enum(field.number, static_cast<std::int32_t>(bits));
            break;
        case Kind::int64:
            writer().add_int64(field.number, static_cast<std::int64_t>(bits));
            break;
        case Kind::sfixed64:
            writer().add_sfixed64(field.number, static_cast<std::int64_t>(bits));
            break;
        case Kind::sint32:
            writer().add_sint32(field.number, static_cast<std::int32_t>(bits));
            break;
        case Kind::uint32:
            writer().add_uint32(field.number, static_cast<std::uint32_t>(bits));
            break;
        case Kind::fixed32:
            writer().add_fixed32(field.number, static_cast<std::uint32_t>(bits));
            break;
        case Kind::fixed64:
            writer().add_fixed64(field.number, bits);
            break;
        default:
            writer().add_uint64(field.number, bits);
            break;
        }
        return true;
    }
    void put_fixed(std::uint64_t bits) {
        for (int i = 0; i < 8; ++i) out_.push_back(static_cast<char>(bits >> (8 * i) & 0xff));
    }

    Type request_;
    std::string out_;
    std::vector<Frame> frames_;
    const Field* pending_ = nullptr; // of the last key; null: it is unknown
    std::uint64_t skipped_ = 0;      // containers inside an unknown member
    int messages_ = 0;               // inside the request
    std::string why_;
};

} // namespace

Result<std::string> protobuf_from_json(Signal signal, std::string_view json) {
    const auto refuse = [signal](std::string why) {
        return fail(ErrorKind::failed,
                    "the " + std::string(name_of(signal)) + " batch in OTLP/JSON cannot be read",
                    std::move(why));
    };
    if (json.size() > longest_json_bytes)
        return refuse("it is longer than " + std::to_string(longest_json_bytes >> 20) + " MiB");
    const auto repaired = without_half_pairs(json);
    if (repaired) json = *repaired;
    Converter converter(request_of(signal), json.size());
    if (!nlohmann::json::sax_parse(json.begin(), json.end(), &converter)) return refuse(converter.why());
    return converter.take();
}

} // namespace dbx::otlp
