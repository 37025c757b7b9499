#include "core/edit/json_judge.hpp"

#include <algorithm>

namespace dbx::edit {

namespace {

// Sorted members: the ordered kind of this library searches every member for every insertion.
using Json = nlohmann::json;

Json parse(std::string_view text, Comments comments) {
    return Json::parse(text.begin(), text.end(), nullptr, false, comments == Comments::allowed);
}

// The container that holds the last component of `path`; null when it is not there.
Json* holder(Json& root, const KeyPath& path, bool make) {
    Json* at = &root;
    for (std::size_t i = 0; i + 1 < path.size(); ++i) {
        if (!at->is_object()) return nullptr;
        const auto found = at->find(path[i]);
        if (found != at->end()) {
            at = &*found;
        } else if (make) {
            at = &(*at)[path[i]];
            *at = Json::object();
        } else {
            return nullptr;
        }
    }
    return at->is_object() ? at : nullptr;
}

void take_elements(Json& root, const Edit& edit) {
    Json* const object = holder(root, edit.path, false);
    if (object == nullptr) return;
    const auto found = object->find(edit.path.back());
    if (found == object->end() || !found->is_array()) return;
    auto& elements = found->get_ref<Json::array_t&>();
    std::erase(elements, Json(edit.value));
}

void add_element(Json& root, const Edit& edit) {
    Json* const object = holder(root, edit.path, true);
    if (object == nullptr) return;
    Json& array = (*object)[edit.path.back()];
    if (array.is_null()) array = Json::array();
    const Json value(edit.value);
    if (array.is_array() && std::find(array.begin(), array.end(), value) == array.end())
        array.push_back(value);
}

void take_empty(Json& root, const KeyPath& path) {
    Json* const object = holder(root, path, false);
    if (object == nullptr) return;
    const auto found = object->find(path.back());
    if (found != object->end() && found->is_structured() && found->empty()) object->erase(found);
}

std::vector<const Edit*> prunes(std::span<const Edit> edits) {
    std::vector<const Edit*> result;
    for (const auto& edit : edits) {
        if (edit.kind == Edit::Kind::prune) result.push_back(&edit);
    }
    std::stable_sort(result.begin(), result.end(),
                     [](const Edit* a, const Edit* b) { return a->path.size() > b->path.size(); });
    return result;
}

// The same edits on the tree, the plain way.
void make_edits(Json& root, Comments comments, std::span<const Edit> edits) {
    for (const auto& edit : edits) {
        if (edit.kind == Edit::Kind::remove) {
            if (Json* const object = holder(root, edit.path, false)) object->erase(edit.path.back());
        } else if (edit.kind == Edit::Kind::remove_element) {
            take_elements(root, edit);
        }
    }
    for (const auto& edit : edits) {
        if (edit.kind == Edit::Kind::set || edit.kind == Edit::Kind::set_raw) {
            if (Json* const object = holder(root, edit.path, true)) {
                (*object)[edit.path.back()] =
                    edit.kind == Edit::Kind::set ? Json(edit.value) : parse(edit.raw, comments);
            }
        } else if (edit.kind == Edit::Kind::append) {
            add_element(root, edit);
        }
    }
}

// Walks the scanned trees of both texts side by side.
class Spellings {
  public:
    Spellings(std::string_view before, const std::vector<JsonNode>& before_nodes, std::string_view after,
              const std::vector<JsonNode>& after_nodes)
        : before_(before)
        , after_(after)
        , before_nodes_(before_nodes)
        , after_nodes_(after_nodes) {}

    bool same(const JsonEdits* edits, std::uint32_t b, std::uint32_t a) const {
        const auto& old_node = before_nodes_[b];
        const auto& new_node = after_nodes_[a];
        if (edits == nullptr)
            return before_.substr(old_node.begin, old_node.end - old_node.begin) ==
                   after_.substr(new_node.begin, new_node.end - new_node.begin);
        if (edits->set || edits->set_raw) return true; // the values were compared
        if (old_node.kind != new_node.kind) return false;
        if (old_node.kind == JsonKind::object) return same_members(*edits, b, a);
        if (old_node.kind == JsonKind::array) return same_elements(*edits, b, a);
        return same(nullptr, b, a);
    }

  private:
    static std::uint32_t first(const std::vector<JsonNode>& nodes, std::uint32_t index) {
        return nodes[index].children == 0 ? 0 : index + 1;
    }

    std::string_view key(std::string_view text, const JsonNode& node) const {
        return text.substr(node.key_begin, node.key_end - node.key_begin);
    }

    bool same_members(const JsonEdits& edits, std::uint32_t b, std::uint32_t a) const {
        std::uint32_t new_member = first(after_nodes_, a);
        for (std::uint32_t old = first(before_nodes_, b); old != 0; old = before_nodes_[old].next) {
            const auto old_key = key(before_, before_nodes_[old]);
            const auto* const child = edits.child(decode_json_string(old_key));
            if (new_member != 0 && key(after_, after_nodes_[new_member]) == old_key) {
                if (!same(child, old, new_member)) return false;
                new_member = after_nodes_[new_member].next;
            } else if (child == nullptr || !(child->remove || child->prune)) {
                return false;
            }
        }
        for (; new_member != 0; new_member = after_nodes_[new_member].next) {
            const auto* const child = edits.child(decode_json_string(key(after_, after_nodes_[new_member])));
            if (child == nullptr || !child->creates()) return false;
        }
        return true;
    }

    bool same_elements(const JsonEdits& edits, std::uint32_t b, std::uint32_t a) const {
        std::uint32_t element = first(after_nodes_, a);
        for (std::uint32_t old = first(before_nodes_, b); old != 0; old = before_nodes_[old].next) {
            if (element != 0 && same(nullptr, old, element)) {
                element = after_nodes_[element].next;
            } else if (edits.remove_element.empty()) {
                return false;
            }
        }
        return element == 0 || !edits.append.empty();
    }

    std::string_view before_, after_;
    const std::vector<JsonNode>& before_nodes_;
    const std::vector<JsonNode>& after_nodes_;
};

} // namespace

std::string judge_json(std::string_view before, const std::vector<JsonNode>& before_nodes,
                       std::string_view after, Comments comments, std::span<const Edit> edits,
                       const JsonEdits& tree) {
    const auto after_nodes = scan_json(after, comments);
    if (!after_nodes) return after_nodes.error().why;
    if (!Spellings(before, before_nodes, after, *after_nodes).same(&tree, 0, 0))
        return "another value would change";
    Json expected = parse(before, comments);
    if (expected.is_discarded()) return "the JSON library refuses the file";
    Json actual = parse(after, comments);
    if (actual.is_discarded()) return "the JSON library refuses the result";
    make_edits(expected, comments, edits);
    for (const auto* edit : prunes(edits)) {
        // An empty container that holds comments stays: it may be there or not.
        take_empty(expected, edit->path);
        take_empty(actual, edit->path);
    }
    return expected == actual ? "" : "the result does not hold the new values";
}

} // namespace dbx::edit
