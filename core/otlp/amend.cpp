#include "core/otlp/amend.hpp"

#include "core/otlp/schema.hpp"

#include <protozero/exception.hpp>
#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>
#include <protozero/varint.hpp>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <optional>
#include <utility>

namespace dbx::otlp {

namespace {

using protozero::pbf_wire_type;
using protozero::tag_and_type;

// Numbers of fields that are read or written here; see the tables of schema.cpp.
constexpr protozero::pbf_tag_type of_resource = 1; // Resource{Metrics,Logs,Spans}.resource
constexpr protozero::pbf_tag_type resource_attributes = 1;
constexpr protozero::pbf_tag_type pair_key = 1;
constexpr protozero::pbf_tag_type pair_value = 2;
constexpr protozero::pbf_tag_type any_string = 1;
constexpr protozero::pbf_tag_type record_event_name = 12;

struct Malformed : std::exception {
    explicit Malformed(std::string reason)
        : why(std::move(reason)) {}
    std::string why;
};

std::string_view text_of(protozero::data_view view) {
    return {view.data(), view.size()};
}

protozero::pbf_reader reader_of(std::string_view message) {
    return protozero::pbf_reader{message.data(), message.size()};
}

const char* position_of(const protozero::pbf_reader& reader) {
    return reader.data().data();
}

pbf_wire_type wire_type_of(Kind kind) {
    switch (kind) {
    case Kind::boolean:
    case Kind::enumeration:
    case Kind::int64:
    case Kind::uint32:
    case Kind::uint64:
    case Kind::sint32:
        return pbf_wire_type::varint;
    case Kind::fixed64:
    case Kind::sfixed64:
    case Kind::float64:
        return pbf_wire_type::fixed64;
    case Kind::fixed32:
        return pbf_wire_type::fixed32;
    default:
        return pbf_wire_type::length_delimited;
    }
}

struct Attribute {
    std::string_view key;
    std::optional<std::string_view> text; // its value, where that is a string
};

[[noreturn]] void refuse_type() {
    throw Malformed("a field has another type than OTLP gives it");
}

constexpr std::size_t most_edits = 1'000'000;
constexpr std::ptrdiff_t most_growth = std::ptrdiff_t{32} << 20U;

void check_depth(int depth) {
    if (depth >= deepest_message)
        throw Malformed("its messages are nested deeper than " + std::to_string(deepest_message));
}

// Pairs and their values are most of a batch's messages: they are checked and read in one go, where the
// tables would have them read twice.
std::optional<std::string_view> read_any_value(std::string_view bytes, int depth);

Attribute read_pair(std::string_view bytes, int depth) {
    check_depth(depth);
    Attribute attribute;
    for (auto reader = reader_of(bytes); reader.next();) {
        switch (reader.tag_and_type()) {
        case tag_and_type(pair_key, pbf_wire_type::length_delimited):
            attribute.key = text_of(reader.get_view());
            break;
        case tag_and_type(pair_value, pbf_wire_type::length_delimited):
            attribute.text = read_any_value(text_of(reader.get_view()), depth + 1);
            break;
        default:
            if (reader.tag() <= pair_value) refuse_type();
            reader.skip();
        }
    }
    return attribute;
}

// Its text, where it is one: the last member counts.
std::optional<std::string_view> read_any_value(std::string_view bytes, int depth) {
    check_depth(depth);
    std::optional<std::string_view> text;
    for (auto reader = reader_of(bytes); reader.next();) {
        const Field* const field = find_field(Type::any_value, reader.tag());
        if (!field) {
            reader.skip();
            continue;
        }
        if (reader.wire_type() != wire_type_of(field->kind)) refuse_type();
        text.reset();
        if (field->number == any_string) {
            text = text_of(reader.get_view());
        } else if (field->kind == Kind::message) {
            // An ArrayValue or a KeyValueList: `values` is field 1 of either.
            check_depth(depth + 1);
            for (auto list = reader_of(text_of(reader.get_view())); list.next();) {
                if (list.tag() != 1) {
                    list.skip();
                    continue;
                }
                if (list.wire_type() != pbf_wire_type::length_delimited) refuse_type();
                const auto value = text_of(list.get_view());
                if (field->type == Type::array_value)
                    read_any_value(value, depth + 2);
                else
                    read_pair(value, depth + 2);
            }
        } else {
            reader.skip();
        }
    }
    return text;
}

void append_attribute(std::string& resource, std::string_view key, std::string_view value) {
    protozero::pbf_writer attributes(resource);
    protozero::pbf_writer attribute(attributes, resource_attributes);
    attribute.add_string(pair_key, key.data(), key.size());
    protozero::pbf_writer any(attribute, pair_value);
    any.add_string(any_string, value.data(), value.size());
}

// Goes once through a message by the schema: checks it, counts, and collects what is to be changed.
class Walk {
  public:
    Walk(std::string_view whole, const Amendments* amendments)
        : whole_(whole)
        , amendments_(amendments) {}

    void message(Type type, std::string_view bytes, int depth);

    const Counts& counts() const { return counts_; }
    std::string amended() const;

  private:
    struct Edit {
        std::size_t at;
        std::size_t removed;
        std::string inserted;
    };

    std::size_t offset_of(const char* position) const {
        return static_cast<std::size_t>(position - whole_.data());
    }
    void edit(const char* from, const char* to, std::string inserted) {
        // A request of nothing but empty resources would become a hundred times as long.
        if (edits_.size() >= most_edits || growth_ > most_growth)
            throw Malformed("it has too many resources or attributes for what is changed in each");
        edits_.push_back({offset_of(from), static_cast<std::size_t>(to - from), std::move(inserted)});
        growth_ += static_cast<std::ptrdiff_t>(edits_.back().inserted.size()) - (to - from);
    }

    void note(Type type);
    // A field that is a message. `header` is where its tag stands.
    void nested(const Field& field, const char* header, std::string_view content, int depth,
                std::string_view appended);
    void packed(const Field& field, std::string_view content) const;
    bool is_dropped(Type parent, const Attribute& attribute) const;
    // What the resources of a Resource{Metrics,Logs,Spans} lack, encoded; and the last of them.
    std::string missing_attributes(std::string_view bytes, int depth, const char*& last_resource) const;

    std::string_view whole_;
    const Amendments* amendments_; // null: nothing is changed
    Counts counts_;
    std::vector<Edit> edits_; // by position
    std::ptrdiff_t growth_ = 0;
};

void Walk::note(Type type) {
    switch (type) {
    case Type::resource_metrics:
    case Type::resource_logs:
    case Type::resource_spans:
        ++counts_.resources;
        break;
    case Type::metric:
        ++counts_.metrics;
        break;
    case Type::number_point:
    case Type::histogram_point:
    case Type::exponential_histogram_point:
    case Type::summary_point:
        ++counts_.points;
        break;
    case Type::log_record:
        ++counts_.records;
        break;
    case Type::span:
        ++counts_.spans;
        break;
    default:
        break;
    }
}

bool Walk::is_dropped(Type parent, const Attribute& attribute) const {
    const auto& dropped = amendments_->drop_attributes;
    if (std::find(dropped.begin(), dropped.end(), attribute.key) == dropped.end()) return false;
    // What was put in its place stays, or amending twice would differ from amending once.
    if (parent != Type::resource || !attribute.text) return true;
    const auto ours = amendments_->resource_attributes.find(std::string(attribute.key));
    return ours == amendments_->resource_attributes.end() || ours->second != *attribute.text;
}

std::string Walk::missing_attributes(std::string_view bytes, int depth, const char*& last_resource) const {
    std::vector<std::string_view> keys;
    for (auto reader = reader_of(bytes); reader.next();) {
        if (reader.tag_and_type() != tag_and_type(of_resource, pbf_wire_type::length_delimited)) {
            reader.skip();
            continue;
        }
        const auto resource = text_of(reader.get_view());
        last_resource = resource.data();
        for (auto inner = reader_of(resource); inner.next();) {
            if (inner.tag_and_type() != tag_and_type(resource_attributes, pbf_wire_type::length_delimited)) {
                inner.skip();
                continue;
            }
            const auto attribute = read_pair(text_of(inner.get_view()), depth + 2);
            if (!is_dropped(Type::resource, attribute)) keys.push_back(attribute.key);
        }
    }
    std::string missing;
    for (const auto& [key, value] : amendments_->resource_attributes)
        if (std::find(keys.begin(), keys.end(), key) == keys.end()) append_attribute(missing, key, value);
    return missing;
}

void Walk::packed(const Field& field, std::string_view content) const {
    if (wire_type_of(field.kind) == pbf_wire_type::fixed64) {
        if (content.size() % 8 != 0) throw Malformed("a list of numbers is cut");
        return;
    }
    const char* at = content.data();
    const char* const end = at + content.size();
    while (at != end) protozero::decode_varint(&at, end);
}

void Walk::nested(const Field& field, const char* header, std::string_view content, int depth,
                  std::string_view appended) {
    const auto slot = edits_.size();
    const auto before = growth_;
    message(field.type, content, depth + 1);
    const char* const end = content.data() + content.size();
    if (!appended.empty()) edit(end, end, std::string(appended));
    if (edits_.size() == slot) return;
    // The length in front of it changes as well.
    const auto length = static_cast<std::ptrdiff_t>(content.size()) + growth_ - before;
    std::string fresh;
    protozero::add_varint_to_buffer(&fresh, tag_and_type(field.number, pbf_wire_type::length_delimited));
    protozero::add_varint_to_buffer(&fresh, static_cast<std::uint64_t>(length));
    edit(header, content.data(), std::move(fresh));
    std::rotate(edits_.begin() + static_cast<std::ptrdiff_t>(slot), edits_.end() - 1, edits_.end());
}

void Walk::message(Type type, std::string_view bytes, int depth) {
    check_depth(depth);
    note(type);
    const bool has_resource =
        type == Type::resource_metrics || type == Type::resource_logs || type == Type::resource_spans;
    const bool is_record = amendments_ && type == Type::log_record;
    const bool drops = amendments_ && !amendments_->drop_attributes.empty();
    std::string missing;
    const char* last_resource = nullptr;
    if (amendments_ && has_resource && !amendments_->resource_attributes.empty()) {
        missing = missing_attributes(bytes, depth, last_resource);
        if (!missing.empty() && !last_resource) {
            std::string resource;
            protozero::pbf_writer(resource).add_message(of_resource, missing);
            edit(bytes.data(), bytes.data(), std::move(resource));
        }
    }
    std::string_view event_name;      // the field
    std::string_view event_attribute; // the attribute
    auto reader = reader_of(bytes);
    for (;;) {
        const char* const header = position_of(reader);
        if (!reader.next()) break;
        const Field* const field = find_field(type, reader.tag());
        if (!field) {
            reader.skip();
            continue;
        }
        const auto expected = wire_type_of(field->kind);
        if (reader.wire_type() != expected) {
            // A list of numbers may come packed or not.
            if (field->presence != Presence::repeated ||
                reader.wire_type() != pbf_wire_type::length_delimited)
                refuse_type();
            packed(*field, text_of(reader.get_view()));
            continue;
        }
        if (expected != pbf_wire_type::length_delimited) {
            reader.skip();
            continue;
        }
        const auto content = text_of(reader.get_view());
        if (field->kind != Kind::message) {
            if (is_record && field->number == record_event_name) event_name = content;
            continue;
        }
        if (field->type == Type::any_value) {
            read_any_value(content, depth + 1);
            continue;
        }
        if (field->type == Type::key_value) {
            const auto attribute = read_pair(content, depth + 1);
            if (is_record && attribute.key == "event.name" && attribute.text)
                event_attribute = *attribute.text;
            // A metric's `metadata` is about the metric.
            if (drops && type != Type::metric && is_dropped(type, attribute))
                edit(header, position_of(reader), {});
            continue;
        }
        const bool is_last_resource = !missing.empty() && content.data() == last_resource;
        nested(*field, header, content, depth,
               is_last_resource ? std::string_view(missing) : std::string_view());
    }
    if (is_record && event_name.empty() && !event_attribute.empty()) {
        std::string filled;
        protozero::pbf_writer(filled).add_string(record_event_name, event_attribute.data(),
                                                 event_attribute.size());
        const char* const end = bytes.data() + bytes.size();
        edit(end, end, std::move(filled));
    }
}

std::string Walk::amended() const {
    std::string result;
    result.reserve(static_cast<std::size_t>(static_cast<std::ptrdiff_t>(whole_.size()) + growth_));
    std::size_t copied = 0;
    for (const Edit& edit : edits_) {
        result.append(whole_, copied, edit.at - copied);
        result += edit.inserted;
        copied = edit.at + edit.removed;
    }
    result.append(whole_, copied);
    return result;
}

tl::unexpected<Error> unreadable(Signal signal, std::string why) {
    return fail(ErrorKind::failed,
                "the " + std::string(name_of(signal)) + " batch in protobuf cannot be read", std::move(why));
}

// `amendments` null: only looked at.
Result<Walk> walk(Signal signal, std::string_view protobuf, const Amendments* amendments) {
    Walk walk(protobuf, amendments);
    try {
        walk.message(request_of(signal), protobuf, 0);
    } catch (const Malformed& error) {
        return unreadable(signal, error.why);
    } catch (const protozero::exception&) {
        return unreadable(signal, "it is cut, or it is no protobuf");
    }
    return walk;
}

} // namespace

Result<std::string> amend(Signal signal, std::string_view protobuf, const Amendments& amendments) {
    const auto done = walk(signal, protobuf, &amendments);
    if (!done) return tl::unexpected(done.error());
    return done->amended();
}

Result<Counts> count(Signal signal, std::string_view protobuf) {
    const auto done = walk(signal, protobuf, nullptr);
    if (!done) return tl::unexpected(done.error());
    return done->counts();
}

} // namespace dbx::otlp
