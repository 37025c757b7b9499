#include "core/edit/toml_plan.hpp"

#include <algorithm>
#include <utility>

namespace dbx::edit {

namespace {

using Base = TomlWish::Base;

tl::unexpected<Error> contradiction(const KeyPath& path) {
    return fail(ErrorKind::file, "the edits contradict each other",
                "`" + to_string(path) + "` can not be a value and hold others at once");
}

void set_base(TomlWish& wish, Base base) {
    wish.base = base;
    wish.value = nullptr;
    wish.raw.clear();
    wish.inside.clear();
}

// An object is the table that holds its leaves and nothing else.
void set_value(TomlWish& wish, const Value& value) {
    if (!value.is_object() || value.empty()) {
        set_base(wish, Base::value);
        wish.value = value;
        return;
    }
    set_base(wish, Base::content);
    std::vector<std::pair<KeyPath, const Value*>> todo{{wish.path, &value}};
    while (!todo.empty()) {
        const auto [path, object] = todo.back();
        todo.pop_back();
        std::vector<std::pair<KeyPath, const Value*>> deeper;
        for (const auto& [name, member] : object->items()) {
            auto inner = path;
            inner.push_back(name);
            if (member.is_object() && !member.empty()) {
                deeper.emplace_back(std::move(inner), &member);
                continue;
            }
            TomlWish leaf;
            leaf.path = std::move(inner);
            leaf.base = Base::value;
            leaf.value = member;
            wish.inside.push_back(std::move(leaf));
        }
        todo.insert(todo.end(), std::make_move_iterator(deeper.rbegin()),
                    std::make_move_iterator(deeper.rend()));
    }
}

void merge(TomlWish& wish, const Edit& edit) {
    switch (edit.kind) {
    case Edit::Kind::set:
        set_value(wish, edit.value);
        break;
    case Edit::Kind::set_raw:
        set_base(wish, Base::raw);
        wish.raw = edit.raw;
        break;
    case Edit::Kind::remove: // whatever the order: what goes makes room for what comes
        if (wish.base == Base::none) set_base(wish, Base::absent);
        break;
    case Edit::Kind::append:
        wish.elements.push_back({true, edit.value});
        break;
    case Edit::Kind::remove_element:
        wish.elements.push_back({false, edit.value});
        break;
    case Edit::Kind::prune:
        break;
    }
}

bool only_takes(const TomlWish& wish) {
    return (wish.base == Base::absent || wish.base == Base::none) &&
           std::none_of(wish.elements.begin(), wish.elements.end(),
                        [](const auto& element) { return element.add; });
}

// 1 and 1.0 differ.
bool is_same(const Value& a, const Value& b) {
    return a.is_number_float() == b.is_number_float() && a == b;
}

// Elements wished for an array that is made anew anyway become its value.
bool settle_elements(TomlWish& wish) {
    if (wish.elements.empty()) return true;
    if (wish.base == Base::none) return true;
    if (wish.base == Base::absent && only_takes(wish)) {
        wish.elements.clear();
        return true;
    }
    auto array = wish.base == Base::value ? wish.value : Value::array();
    if (wish.base == Base::raw || wish.base == Base::content || !array.is_array()) return false;
    for (const auto& element : wish.elements) {
        const auto is_it = [&](const Value& other) { return is_same(element.value, other); };
        const auto found = std::find_if(array.begin(), array.end(), is_it);
        if (element.add && found == array.end()) array.push_back(element.value);
        if (!element.add) array.erase(std::remove_if(array.begin(), array.end(), is_it), array.end());
    }
    wish.elements.clear();
    set_base(wish, Base::value);
    wish.value = std::move(array);
    return true;
}

bool begins_with(const KeyPath& path, const KeyPath& prefix) {
    return prefix.size() < path.size() && std::equal(prefix.begin(), prefix.end(), path.begin());
}

// `inner` stands below `outer`.
Result<void> absorb(TomlWish& outer, TomlWish inner) {
    if (only_takes(inner)) return {};
    if (outer.base != Base::absent && outer.base != Base::content) return contradiction(outer.path);
    outer.base = Base::content;
    if (inner.base == Base::none) {
        inner.base = Base::absent; // nothing of the old array is left
        if (!settle_elements(inner)) return contradiction(inner.path);
    }
    auto leaves = inner.base == Base::content ? std::move(inner.inside) : std::vector<TomlWish>{inner};
    for (auto& leaf : leaves) {
        bool replaced = false;
        for (auto& other : outer.inside) {
            if (begins_with(leaf.path, other.path) || begins_with(other.path, leaf.path)) {
                // A table that is to be there anyway needs no wish of its own.
                if (other.base == Base::value && other.value.is_object() &&
                    begins_with(leaf.path, other.path)) {
                    other = leaf;
                    replaced = true;
                    break;
                }
                return contradiction(other.path);
            }
            if (other.path == leaf.path) {
                other = leaf;
                replaced = true;
                break;
            }
        }
        if (!replaced) outer.inside.push_back(std::move(leaf));
    }
    return {};
}

} // namespace

Result<TomlWishes> toml_wishes(std::span<const Edit> edits) {
    TomlWishes out;
    std::map<KeyPath, TomlWish> by_path;
    for (std::size_t i = 0; i < edits.size(); ++i) {
        const auto& edit = edits[i];
        if (edit.kind == Edit::Kind::prune) {
            if (!edit.path.empty()) out.prunes.push_back(edit.path);
            continue;
        }
        if (edit.path.empty())
            return fail(ErrorKind::file, "the whole document can not be edited as one value");
        auto& wish = by_path[edit.path];
        if (wish.path.empty()) {
            wish.path = edit.path;
            wish.order = i;
        }
        merge(wish, edit);
    }
    // A path comes right before those that begin with it.
    TomlWish* outer = nullptr;
    std::vector<TomlWish*> kept;
    for (auto& [path, wish] : by_path) {
        if (!settle_elements(wish)) return contradiction(path);
        if (outer != nullptr && begins_with(path, outer->path)) {
            if (auto done = absorb(*outer, std::move(wish)); !done) return tl::unexpected(done.error());
            continue;
        }
        outer = &wish;
        kept.push_back(&wish);
    }
    std::sort(kept.begin(), kept.end(), [](const auto* a, const auto* b) { return a->order < b->order; });
    for (auto* wish : kept) out.wishes.push_back(std::move(*wish));
    std::stable_sort(out.prunes.begin(), out.prunes.end(),
                     [](const KeyPath& a, const KeyPath& b) { return a.size() > b.size(); });
    return out;
}

} // namespace dbx::edit
