#include "core/edit/toml_judge.hpp"

#include "core/edit/position.hpp"

#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_UNRELEASED_FEATURES 1 // TOML 1.1: inline tables over several lines, which Codex accepts
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <sstream>
#include <utility>

namespace dbx::edit {

struct TomlTree::Impl {
    toml::table table;
};

namespace {

// From "TYPE 'NAME'", "TYPE 'NAME' as OTHER" or "TYPE as dotted key-value pair".
std::string in_conflict(const std::string& text) {
    const auto open = text.find(" '");
    const auto close = text.rfind('\'');
    if (open == std::string::npos || close <= open + 1)
        return "a part of this dotted key is defined otherwise before";
    const auto name = "`" + text.substr(open + 2, close - open - 2) + "`";
    const auto other = text.find(" as ", close);
    if (other == std::string::npos) return name + " is defined a second time";
    const bool array = text.find("array", other) != std::string::npos;
    return name + " can not be " + (array ? "an array of tables" : "a table") +
           ": a line before says otherwise";
}

// toml++'s sentences in the words of the rest of this program.
std::string in_plain_words(std::string_view description) {
    std::string text(description);
    const std::string_view lead = "Error while parsing ";
    if (text.rfind(lead, 0) == 0) {
        const auto colon = text.find(": ");
        if (colon != std::string::npos) text.erase(0, colon + 2);
    }
    const auto replace = [&text](std::string_view from, std::string_view to) {
        const auto found = text.find(from);
        if (found != std::string::npos) text.replace(found, from.size(), to);
    };
    if (text.rfind("cannot redefine existing ", 0) == 0) return in_conflict(text.substr(25));
    replace("' into existing inline table", "' can not be added to an inline table");
    replace("cannot insert ", "");
    replace(" are explicitly prohibited", " are not allowed");
    replace(" are prohibited", " are not allowed");
    if (text.find("encountered end-of-file") != std::string::npos)
        return "the file ends in the middle of a value or key";
    if (text.find("exceeded maximum nested value depth") != std::string::npos)
        return "values are nested too deep";
    replace("saw '\\n'", "found the end of the line");
    replace("saw '\\r'", "found the end of the line");
    replace("saw '\n'", "found the end of the line");
    replace("saw '\r'", "found the end of the line");
    replace("saw end-of-file", "found the end of the file");
    replace("saw EOF", "found the end of the file");
    replace("saw ", "found ");
    replace("expected a comment or whitespace", "expected the end of the line or a comment");
    replace("expected keys, tables, whitespace or comments", "expected a key, a [table] or a comment");
    replace("expected value,", "expected a value,");
    replace("expected bare key starting character or string delimiter", "expected a key");
    replace("value-terminator", "the end of the value");
    replace("could not determine value type", "this is no TOML value (a string needs quotes)");
    return text;
}

// Ordered by where the keys stand: toml++ sorts by name.
std::vector<std::pair<const toml::key*, const toml::node*>> in_text_order(const toml::table& table) {
    std::vector<std::pair<const toml::key*, const toml::node*>> members;
    members.reserve(table.size());
    for (const auto& [key, node] : table) members.emplace_back(&key, &node);
    std::stable_sort(members.begin(), members.end(), [](const auto& a, const auto& b) {
        const auto& left = a.first->source().begin;
        const auto& right = b.first->source().begin;
        return std::pair(left.line, left.column) < std::pair(right.line, right.column);
    });
    return members;
}

template <class T>
std::string printed(const T& date) {
    std::ostringstream out;
    out << date;
    return std::move(out).str();
}

Value to_value(const toml::node& node) {
    switch (node.type()) {
    case toml::node_type::table: {
        auto object = Value::object();
        // Straight to the members' vector: operator[] of an ordered_json searches all of them.
        using Members = Value::object_t::Container;
        Members& members = object.get_ref<Value::object_t&>();
        const auto& table = *node.as_table();
        members.reserve(table.size());
        for (const auto& [key, child] : in_text_order(table))
            members.emplace_back(std::string(key->str()), to_value(*child));
        return object;
    }
    case toml::node_type::array: {
        auto out = Value::array();
        for (const auto& child : *node.as_array()) out.push_back(to_value(child));
        return out;
    }
    case toml::node_type::string:
        return node.as_string()->get();
    case toml::node_type::integer:
        return node.as_integer()->get();
    case toml::node_type::floating_point:
        return node.as_floating_point()->get();
    case toml::node_type::boolean:
        return node.as_boolean()->get();
    case toml::node_type::date:
        return printed(node.as_date()->get());
    case toml::node_type::time:
        return printed(node.as_time()->get());
    case toml::node_type::date_time:
        return printed(node.as_date_time()->get());
    default:
        return nullptr;
    }
}

bool same_float(double a, double b) {
    if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
    return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

bool same(const toml::node& node, const Value& value) {
    switch (node.type()) {
    case toml::node_type::table: {
        const auto& table = *node.as_table();
        if (!value.is_object() || table.size() != value.size()) return false;
        return std::all_of(value.items().begin(), value.items().end(), [&](const auto& member) {
            const auto* child = table.get(member.key());
            return child != nullptr && same(*child, member.value());
        });
    }
    case toml::node_type::array: {
        const auto& array = *node.as_array();
        if (!value.is_array() || array.size() != value.size()) return false;
        for (std::size_t i = 0; i < array.size(); ++i)
            if (!same(array[i], value[i])) return false;
        return true;
    }
    case toml::node_type::string:
        return value.is_string() && node.as_string()->get() == value.get_ref<const std::string&>();
    case toml::node_type::integer: {
        const auto number = node.as_integer()->get();
        if (value.is_number_unsigned())
            return number >= 0 && static_cast<std::uint64_t>(number) == value.get<std::uint64_t>();
        return value.is_number_integer() && number == value.get<std::int64_t>();
    }
    case toml::node_type::floating_point:
        return value.is_number_float() && same_float(node.as_floating_point()->get(), value.get<double>());
    case toml::node_type::boolean:
        return value.is_boolean() && node.as_boolean()->get() == value.get<bool>();
    default:
        return false;
    }
}

bool same(const toml::node& a, const toml::node& b) {
    if (a.type() != b.type()) return false;
    switch (a.type()) {
    case toml::node_type::table: {
        const auto& left = *a.as_table();
        const auto& right = *b.as_table();
        return left.size() == right.size() &&
               std::equal(left.begin(), left.end(), right.begin(), [](const auto& x, const auto& y) {
                   return x.first.str() == y.first.str() && same(x.second, y.second);
               });
    }
    case toml::node_type::array: {
        const auto& left = *a.as_array();
        const auto& right = *b.as_array();
        if (left.size() != right.size()) return false;
        for (std::size_t i = 0; i < left.size(); ++i)
            if (!same(left[i], right[i])) return false;
        return true;
    }
    case toml::node_type::string:
        return a.as_string()->get() == b.as_string()->get();
    case toml::node_type::integer:
        return a.as_integer()->get() == b.as_integer()->get();
    case toml::node_type::floating_point:
        return same_float(a.as_floating_point()->get(), b.as_floating_point()->get());
    case toml::node_type::boolean:
        return a.as_boolean()->get() == b.as_boolean()->get();
    case toml::node_type::date:
        return a.as_date()->get() == b.as_date()->get();
    case toml::node_type::time:
        return a.as_time()->get() == b.as_time()->get();
    case toml::node_type::date_time:
        return a.as_date_time()->get() == b.as_date_time()->get();
    default:
        return false;
    }
}

const toml::node* find(const toml::table& table, const KeyPath& path) {
    const toml::node* node = &table;
    for (const auto& name : path) {
        const auto* inside = node->as_table();
        node = inside == nullptr ? nullptr : inside->get(name);
        if (node == nullptr) return nullptr;
    }
    return node;
}

bool agree(std::string_view text, const TomlScan& scan, const TomlModel& model, TomlNodeId id,
           const toml::node& node) {
    const auto& ours = model[id];
    if (ours.kind == TomlNode::Kind::value) {
        const auto& statement = scan.statements[ours.pair];
        switch (text[statement.value.begin]) {
        case '{':
            return node.is_table();
        case '[':
            return node.is_array();
        case '"':
            return node.is_string();
        case '\'':
            return node.is_string();
        default:
            return !node.is_table() && !node.is_array() && !node.is_string();
        }
    }
    if (ours.kind == TomlNode::Kind::array_of_tables) {
        const auto* array = node.as_array();
        if (array == nullptr || array->size() != ours.children) return false;
        std::size_t i = 0;
        for (auto child = ours.first_child; child != toml_none; child = model[child].next)
            if (!agree(text, scan, model, child, (*array)[i++])) return false;
        return true;
    }
    const auto* table = node.as_table();
    if (table == nullptr || table->size() != ours.children) return false;
    return std::all_of(table->begin(), table->end(), [&](const auto& member) {
        const auto child = model.child(id, member.first.str());
        return child != toml_none && agree(text, scan, model, child, member.second);
    });
}

bool is_spelled(const toml::node& node, const std::string& spelling) {
    const auto tree = TomlTree::parse("x = " + spelling + "\n");
    if (!tree) return false;
    const auto* wanted = tree->impl().table.get("x");
    return wanted != nullptr && same(node, *wanted);
}

// The edited paths as a tree.
struct Watched {
    std::map<std::string, Watched, std::less<>> children;
    const TomlExpectation* expectation = nullptr;
};

class Comparison {
  public:
    explicit Comparison(KeyPath& path)
        : path_(path) {}

    bool compare(const toml::node* before, const toml::node* after, const Watched& watched) {
        using Kind = TomlExpectation::Kind;
        if (watched.expectation != nullptr) {
            switch (watched.expectation->kind) {
            case Kind::value:
                return after != nullptr && same(*after, watched.expectation->value);
            case Kind::raw:
                return after != nullptr && is_spelled(*after, watched.expectation->raw);
            case Kind::absent:
                return after == nullptr;
            case Kind::array:
                return is_array(before, after, *watched.expectation);
            case Kind::content:
                before = nullptr;
                break;
            case Kind::may_go:
                if (after == nullptr && watched.children.empty())
                    return before == nullptr || is_empty(*before);
                break;
            }
        }
        const auto* old_table = before == nullptr ? nullptr : before->as_table();
        const auto* new_table = after == nullptr ? nullptr : after->as_table();
        if (before != nullptr && after != nullptr && (old_table == nullptr || new_table == nullptr))
            return same(*before, *after);
        if (after != nullptr && new_table == nullptr) return false;
        if (before != nullptr && old_table == nullptr) return false;
        return members(old_table, new_table, watched);
    }

  private:
    static bool is_empty(const toml::node& node) {
        if (const auto* table = node.as_table()) return table->empty();
        if (const auto* array = node.as_array()) return array->empty();
        return false;
    }

    static bool is_array(const toml::node* before, const toml::node* after, const TomlExpectation& expected) {
        const auto* old_array = before == nullptr ? nullptr : before->as_array();
        const auto* new_array = after == nullptr ? nullptr : after->as_array();
        if (after != nullptr && new_array == nullptr) return false;
        std::size_t at = 0;
        const std::size_t size = new_array == nullptr ? 0 : new_array->size();
        for (std::size_t i = 0; i < expected.kept.size(); ++i) {
            if (!expected.kept[i]) continue;
            if (old_array == nullptr || i >= old_array->size() || at >= size) return false;
            if (!same((*old_array)[i], (*new_array)[at++])) return false;
        }
        for (const auto& value : expected.added)
            if (at >= size || !same((*new_array)[at++], value)) return false;
        return at == size;
    }

    bool member(const std::string& name, const toml::node* before, const toml::node* after,
                const Watched& watched) {
        path_.push_back(name);
        if (!compare(before, after, watched)) return false;
        path_.pop_back();
        return true;
    }

    bool member(std::string_view name, const toml::node* before, const toml::node* after,
                const std::map<std::string, Watched, std::less<>>& watched) {
        if (!watched.empty()) {
            const auto found = watched.find(name);
            if (found != watched.end()) return member(found->first, before, after, found->second);
        }
        if (before != nullptr && after != nullptr && same(*before, *after)) return true;
        path_.emplace_back(name);
        return false;
    }

    // Both are sorted by name.
    bool members(const toml::table* before, const toml::table* after, const Watched& watched) {
        static const toml::table none;
        const auto& old_table = before == nullptr ? none : *before;
        const auto& new_table = after == nullptr ? none : *after;
        auto left = old_table.begin();
        auto right = new_table.begin();
        while (left != old_table.end() || right != new_table.end()) {
            int order = 0;
            if (left == old_table.end())
                order = 1;
            else if (right == new_table.end())
                order = -1;
            else
                order = left->first.str().compare(right->first.str());
            const auto name = order <= 0 ? left->first.str() : right->first.str();
            if (!member(name, order <= 0 ? &left->second : nullptr, order >= 0 ? &right->second : nullptr,
                        watched.children))
                return false;
            if (order <= 0) ++left;
            if (order >= 0) ++right;
        }
        // Expected, but in neither.
        for (const auto& [name, child] : watched.children) {
            if (old_table.contains(name) || new_table.contains(name)) continue;
            if (!member(name, nullptr, nullptr, child)) return false;
        }
        return true;
    }

    KeyPath& path_;
};

} // namespace

TomlTree::TomlTree(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}
TomlTree::TomlTree(TomlTree&&) noexcept = default;
TomlTree& TomlTree::operator=(TomlTree&&) noexcept = default;
TomlTree::~TomlTree() = default;

Result<TomlTree> TomlTree::parse(std::string_view text) {
    auto parsed = toml::parse(text);
    if (!parsed) {
        const auto& error = parsed.error();
        const auto& begin = error.source().begin;
        return fail(ErrorKind::file, "it is not valid TOML",
                    at_position({begin.line, begin.column}, in_plain_words(error.description())));
    }
    return TomlTree(std::make_unique<Impl>(Impl{std::move(parsed).table()}));
}

Value TomlTree::value() const {
    return to_value(impl_->table);
}

std::optional<Value> TomlTree::value_at(const KeyPath& path) const {
    const auto* node = find(impl_->table, path);
    if (node == nullptr) return std::nullopt;
    return to_value(*node);
}

bool TomlTree::equals(const KeyPath& path, const Value& value) const {
    const auto* node = find(impl_->table, path);
    return node != nullptr && same(*node, value);
}

bool TomlTree::means(const KeyPath& path, const std::string& spelling) const {
    const auto* node = find(impl_->table, path);
    return node != nullptr && is_spelled(*node, spelling);
}

std::string TomlTree::kind_at(const KeyPath& path) const {
    const auto* node = find(impl_->table, path);
    if (node == nullptr) return {};
    switch (node->type()) {
    case toml::node_type::table:
        return "a table";
    case toml::node_type::array:
        return node->is_array_of_tables() ? "an array of tables" : "an array";
    case toml::node_type::string:
        return "a string";
    case toml::node_type::integer:
    case toml::node_type::floating_point:
        return "a number";
    case toml::node_type::boolean:
        return "a boolean";
    default:
        return "a date or time";
    }
}

std::optional<std::vector<bool>> TomlTree::equal_elements(const KeyPath& path, const Value& value) const {
    const auto* node = find(impl_->table, path);
    const auto* array = node == nullptr ? nullptr : node->as_array();
    if (array == nullptr) return std::nullopt;
    std::vector<bool> equal;
    equal.reserve(array->size());
    for (const auto& element : *array) equal.push_back(same(element, value));
    return equal;
}

bool TomlTree::agrees(std::string_view text, const TomlScan& scan, const TomlModel& model) const {
    return agree(text, scan, model, TomlModel::root, impl_->table);
}

std::optional<KeyPath> first_difference(const TomlTree& before, const TomlTree& after,
                                        const std::vector<TomlExpectation>& expectations) {
    Watched root;
    for (const auto& expectation : expectations) {
        auto* at = &root;
        for (const auto& name : expectation.path) at = &at->children[name];
        // A container that may go can hold edited keys, and can itself be edited: what must be counts.
        if (expectation.kind != TomlExpectation::Kind::may_go || at->expectation == nullptr)
            at->expectation = &expectation;
    }
    KeyPath path;
    if (Comparison(path).compare(&before.impl().table, &after.impl().table, root)) return std::nullopt;
    return path;
}

} // namespace dbx::edit
