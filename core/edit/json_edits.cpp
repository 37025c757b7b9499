#include "core/edit/json_edits.hpp"

#include "core/base/strings.hpp"
#include "core/edit/json_scan.hpp"

#include <algorithm>
#include <cmath>

namespace dbx::edit {

namespace {

// Empty when `value` can be written, else the reason.
std::string unwritable(const Value& value, std::size_t depth) {
    if (depth > max_json_depth) return "the new value is nested too deeply";
    switch (value.type()) {
    case Value::value_t::object:
        for (const auto& [key, member] : value.items()) {
            if (!is_utf8(key)) return "a new key is not UTF-8";
            if (auto reason = unwritable(member, depth + 1); !reason.empty()) return reason;
        }
        return "";
    case Value::value_t::array:
        for (const auto& element : value) {
            if (auto reason = unwritable(element, depth + 1); !reason.empty()) return reason;
        }
        return "";
    case Value::value_t::string:
        return is_utf8(value.get_ref<const std::string&>()) ? "" : "the new value is not UTF-8";
    case Value::value_t::number_float:
        return std::isfinite(value.get<double>()) ? "" : "the new value is not a finite number";
    case Value::value_t::binary:
    case Value::value_t::discarded:
        return "the new value is not JSON";
    default:
        return "";
    }
}

bool contains(const std::vector<Value>& values, const Value& value) {
    return std::any_of(values.begin(), values.end(),
                       [&](const Value& other) { return json_equal(other, value); });
}

// Empty when the edits at and below `node` agree, else what is wrong.
std::string contradiction(const JsonEdits& node) {
    const bool sets = node.set || node.set_raw;
    const bool elements = !node.append.empty() || !node.remove_element.empty();
    if (node.set && node.set_raw) return "two new values for one key";
    if (sets && node.remove) return "a new value for a key that is to be removed";
    if ((sets || node.remove) && !node.append.empty())
        return "a new element for an array that is replaced or removed";
    if (sets && elements) return "changes inside a value that is replaced";
    for (const auto& value : node.append) {
        if (contains(node.remove_element, value)) return "the same element is to be appended and removed";
    }
    const bool creates_below = std::any_of(node.children.begin(), node.children.end(),
                                           [](const auto& child) { return child->creates(); });
    if (sets && !node.children.empty()) return "changes inside a value that is replaced";
    if ((node.remove || !node.append.empty()) && creates_below)
        return "new keys inside a value that is removed";
    for (const auto& child : node.children) {
        if (auto reason = contradiction(*child); !reason.empty()) return reason;
    }
    return "";
}

} // namespace

bool JsonEdits::creates() const {
    return set || set_raw || !append.empty() ||
           std::any_of(children.begin(), children.end(), [](const auto& child) { return child->creates(); });
}

bool json_equal(const Value& a, const Value& b) {
    if (a.is_structured() || b.is_structured()) {
        if (a.type() != b.type()) return false;
        return nlohmann::json(a) == nlohmann::json(b);
    }
    return a == b;
}

Result<std::unique_ptr<JsonEdits>> gather_json_edits(std::span<const Edit> edits) {
    const auto wrong = [](const Edit& edit, const std::string& reason) {
        return fail(ErrorKind::file, "the edit of " + to_string(edit.path) + " is not possible", reason);
    };
    auto root = std::make_unique<JsonEdits>();
    for (const auto& edit : edits) {
        if (edit.path.empty()) return wrong(edit, "it names no key");
        if (edit.path.size() >= max_json_depth) return wrong(edit, "its path is too deep");
        auto* node = root.get();
        for (const auto& key : edit.path) {
            if (!is_utf8(key)) return wrong(edit, "its key is not UTF-8");
            auto& child = node->by_key[key];
            if (child == nullptr) {
                child = node->children.emplace_back(std::make_unique<JsonEdits>()).get();
                child->key = key;
            }
            node = child;
        }
        if (auto reason = unwritable(edit.value, edit.path.size()); !reason.empty())
            return wrong(edit, reason);
        switch (edit.kind) {
        case Edit::Kind::set:
            if (node->set && !json_equal(*node->set, edit.value))
                return wrong(edit, "two new values for one key");
            node->set = edit.value;
            break;
        case Edit::Kind::set_raw:
            if (node->set_raw && *node->set_raw != edit.raw) return wrong(edit, "two new values for one key");
            node->set_raw = edit.raw;
            break;
        case Edit::Kind::remove:
            node->remove = true;
            break;
        case Edit::Kind::append:
            if (!contains(node->append, edit.value)) node->append.push_back(edit.value);
            break;
        case Edit::Kind::remove_element:
            node->remove_element.push_back(edit.value);
            break;
        case Edit::Kind::prune:
            node->prune = true;
            break;
        }
    }
    if (auto reason = contradiction(*root); !reason.empty())
        return fail(ErrorKind::file, "the edits contradict each other", reason);
    return root;
}

} // namespace dbx::edit
