#include "tests/workspace/otlp_wire.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

namespace dbx::standin::proto {

namespace {

constexpr int deepest_value = 32;

struct Wire {
    std::uint32_t number = 0;
    unsigned type = 0;        // 0 varint, 1 eight bytes, 2 length, 5 four bytes
    std::uint64_t value = 0;  // of 0, 1 and 5
    std::string_view bytes{}; // of 2
};

class Reader {
  public:
    explicit Reader(std::string_view bytes)
        : bytes_(bytes) {}
    bool done() const { return bytes_.empty(); }

    std::uint64_t varint() {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            if (bytes_.empty()) throw OtlpError("Protocol message ended unexpectedly in a varint");
            const auto byte = static_cast<unsigned char>(bytes_.front());
            bytes_.remove_prefix(1);
            value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
            if (byte < 0x80) return value;
        }
        throw OtlpError("Protocol message has a varint of more than ten bytes");
    }

    std::uint64_t little_endian(std::size_t size) {
        if (bytes_.size() < size) throw OtlpError("Protocol message ended unexpectedly in a fixed number");
        std::uint64_t value = 0;
        for (std::size_t i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes_[i]);
        bytes_.remove_prefix(size);
        return value;
    }

    Wire next() {
        const std::uint64_t tag = varint();
        Wire out;
        if (tag >> 3 == 0 || tag >> 3 > 0x1fffffff) throw OtlpError("Protocol message has an invalid tag");
        out.number = static_cast<std::uint32_t>(tag >> 3);
        out.type = static_cast<unsigned>(tag & 7);
        if (out.type == 0)
            out.value = varint();
        else if (out.type == 1)
            out.value = little_endian(8);
        else if (out.type == 5)
            out.value = little_endian(4);
        else if (out.type == 2) {
            const std::uint64_t length = varint();
            if (length > bytes_.size()) throw OtlpError("Protocol message ended unexpectedly in a field");
            out.bytes = bytes_.substr(0, static_cast<std::size_t>(length));
            bytes_.remove_prefix(static_cast<std::size_t>(length));
        } else
            throw OtlpError("Protocol message has an invalid wire type");
        return out;
    }

  private:
    std::string_view bytes_;
};

std::string place(const Message& message, const Field& field) {
    return std::string(message.name) + "." + field.name;
}

bool is_utf8(std::string_view text) {
    // nlohmann/json's strict writer is a judge of UTF-8.
    try {
        (void)Json(text).dump();
        return true;
    } catch (const Json::exception&) {
        return false;
    }
}

std::string checked_text(std::string_view bytes, const std::string& where) {
    if (!is_utf8(bytes)) throw OtlpError(where + " is not UTF-8");
    return std::string(bytes);
}

std::string hex_id(std::string_view bytes, const std::string& where, std::size_t size) {
    if (!bytes.empty() && bytes.size() != size)
        throw OtlpError(where + " has " + std::to_string(bytes.size()) + " bytes, must have " +
                        std::to_string(size));
    static constexpr char digits[] = "0123456789abcdef";
    std::string out;
    for (const char c : bytes) {
        out.push_back(digits[static_cast<unsigned char>(c) >> 4]);
        out.push_back(digits[static_cast<unsigned char>(c) & 15]);
    }
    return out;
}

std::string base64(std::string_view bytes) {
    static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        std::uint32_t bits = 0;
        const std::size_t have = std::min<std::size_t>(3, bytes.size() - i);
        for (std::size_t k = 0; k < 3; ++k)
            bits = bits << 8 | (k < have ? static_cast<unsigned char>(bytes[i + k]) : 0u);
        for (std::size_t k = 0; k < 4; ++k)
            out.push_back(k <= have ? digits[bits >> (18 - 6 * k) & 63] : '=');
    }
    return out;
}

Json decode_any(std::string_view bytes, int depth);

// The key and the value of one KeyValue.
std::pair<std::string, Json> decode_pair(std::string_view bytes, int depth) {
    std::pair<std::string, Json> out;
    for (Reader reader(bytes); !reader.done();) {
        const Wire wire = reader.next();
        if (wire.number != 1 && wire.number != 2) continue;
        if (wire.type != 2) throw OtlpError("KeyValue has a field of the wrong wire type");
        if (wire.number == 1)
            out.first = checked_text(wire.bytes, "KeyValue.key");
        else
            out.second = decode_any(wire.bytes, depth + 1);
    }
    return out;
}

// An AnyValue as JSON; bytes as base64.
Json decode_any(std::string_view bytes, int depth) {
    if (depth > deepest_value) throw OtlpError("AnyValue is nested too deeply");
    Json out;
    for (Reader reader(bytes); !reader.done();) {
        const Wire wire = reader.next();
        static constexpr unsigned types[] = {9, 2, 0, 0, 1, 2, 2, 2};
        if (wire.number > 7) continue;
        if (wire.type != types[wire.number]) throw OtlpError("AnyValue has a field of the wrong wire type");
        if (wire.number == 1) out = checked_text(wire.bytes, "AnyValue.string_value");
        if (wire.number == 2) out = wire.value != 0;
        if (wire.number == 3) out = static_cast<std::int64_t>(wire.value);
        if (wire.number == 4) out = std::bit_cast<double>(wire.value);
        if (wire.number == 5) {
            out = Json::array();
            for (Reader list(wire.bytes); !list.done();) {
                const Wire item = list.next();
                if (item.number == 1 && item.type == 2) out.push_back(decode_any(item.bytes, depth + 1));
            }
        }
        if (wire.number == 6) {
            out = Json::object();
            for (Reader list(wire.bytes); !list.done();) {
                const Wire item = list.next();
                if (item.number != 1 || item.type != 2) continue;
                auto [key, value] = decode_pair(item.bytes, depth);
                out[key] = value;
            }
        }
        if (wire.number == 7) out = base64(wire.bytes);
    }
    return out;
}

// The tables hold texts: a text as it is, everything else as JSON writes it; an empty value is NULL.
Json as_text(const Json& value) {
    if (value.is_null() || value.is_string()) return value;
    if (value.is_number_float() && !std::isfinite(value.get<double>()))
        return std::isnan(value.get<double>()) ? "NaN" : value.get<double>() > 0 ? "Infinity" : "-Infinity";
    return value.dump();
}

std::int64_t as_long(std::uint64_t value, const std::string& where) {
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        throw OtlpError(where + " does not fit into a LONG");
    return static_cast<std::int64_t>(value);
}

unsigned wire_type(Kind kind) {
    switch (kind) {
    case Kind::number:
    case Kind::zigzag:
    case Kind::flag:
    case Kind::word:
        return 0;
    case Kind::fixed64:
    case Kind::sfixed64:
    case Kind::real:
        return 1;
    case Kind::fixed32:
        return 5;
    default:
        return 2;
    }
}

Json scalar(const Message& message, const Field& field, std::uint64_t value) {
    switch (field.kind) {
    case Kind::zigzag:
        return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
    case Kind::flag:
        return value != 0;
    case Kind::sfixed64:
        return static_cast<std::int64_t>(value);
    case Kind::real:
        return std::bit_cast<double>(value);
    case Kind::word: {
        std::uint64_t known = 0;
        while (field.words[known]) ++known;
        return value < known ? Json(field.words[value]) : Json(std::to_string(value));
    }
    default:
        return as_long(value, place(message, field));
    }
}

} // namespace

Json decode(const Message& message, std::string_view bytes) {
    Json out = Json::object();
    for (const Field& field : message.fields) {
        if (field.repeated) out[field.name] = Json::array();
        if (field.kind == Kind::map) out[field.name] = Json::object();
    }
    for (Reader reader(bytes); !reader.done();) {
        const Wire wire = reader.next();
        const Field* field = nullptr;
        for (const Field& candidate : message.fields)
            if (candidate.number == wire.number) field = &candidate;
        if (!field) continue; // an unknown field of a newer definition
        const std::string where = place(message, *field);
        const unsigned wanted = wire_type(field->kind);
        if (field->repeated && wanted != 2 && wire.type == 2) { // packed
            for (Reader list(wire.bytes); !list.done();)
                out[field->name].push_back(
                    scalar(message, *field, wanted == 0 ? list.varint() : list.little_endian(8)));
            continue;
        }
        if (wire.type != wanted) throw OtlpError(where + " has the wrong wire type");
        Json value;
        if (field->kind == Kind::map) {
            auto [key, text] = decode_pair(wire.bytes, 0);
            out[field->name][key] = as_text(text);
            continue;
        }
        if (field->kind == Kind::message)
            value = decode(*field->type, wire.bytes);
        else if (field->kind == Kind::text)
            value = checked_text(wire.bytes, where);
        else if (field->kind == Kind::hex)
            value = hex_id(wire.bytes, where, std::string_view(field->name).starts_with("trace") ? 16 : 8);
        else if (field->kind == Kind::any)
            value = as_text(decode_any(wire.bytes, 0));
        else
            value = scalar(message, *field, wire.value);
        if (field->repeated)
            out[field->name].push_back(std::move(value));
        else
            out[field->name] = std::move(value);
    }
    return out;
}

} // namespace dbx::standin::proto
