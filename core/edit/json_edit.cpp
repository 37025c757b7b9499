#include "core/edit/formats.hpp"
#include "core/edit/json_edits.hpp"
#include "core/edit/json_judge.hpp"
#include "core/edit/json_scan.hpp"
#include "core/edit/json_splice.hpp"
#include "core/edit/position.hpp"

#include <algorithm>
#include <charconv>

namespace dbx::edit {

namespace {

std::string_view spelling(std::string_view text, const JsonNode& node) {
    return text.substr(node.begin, node.end - node.begin);
}

std::string_view key_spelling(std::string_view text, const JsonNode& node) {
    return text.substr(node.key_begin, node.key_end - node.key_begin);
}

// From the wishes to splices: one walk along the edited paths.
class Planner {
  public:
    Planner(std::string_view text, const std::vector<JsonNode>& nodes, Comments comments)
        : text_(text)
        , nodes_(nodes)
        , comments_(comments)
        , splicer_(text, nodes) {}

    Result<std::vector<Splice>> run(const JsonEdits& edits) {
        bool gone = false;
        if (auto done = plan(edits, 0, gone); !done) return tl::make_unexpected(done.error());
        return std::move(splices_);
    }

  private:
    // `gone`: the item is to be taken out of its container.
    Result<void> plan(const JsonEdits& edits, std::uint32_t index, bool& gone) {
        if (edits.remove) {
            gone = true;
            return {};
        }
        if (edits.set || edits.set_raw) return replace(edits, index);
        const std::size_t mark = splices_.size();
        const auto kind = nodes_[index].kind;
        bool empty = nodes_[index].children == 0;
        if (!edits.append.empty() && kind != JsonKind::array) return wrong_kind(index, "an array");
        if (edits.creates() && edits.append.empty() && kind != JsonKind::object)
            return wrong_kind(index, "an object");
        if (kind == JsonKind::array && (!edits.append.empty() || !edits.remove_element.empty())) {
            empty = plan_elements(edits, index);
        } else if (kind == JsonKind::object && !edits.children.empty()) {
            if (auto done = plan_members(edits, index, empty); !done) return done;
        }
        const bool container = kind == JsonKind::object || kind == JsonKind::array;
        if (edits.prune && container && empty && index != 0 && nothing_inside(index, mark)) {
            splices_.resize(mark);
            gone = true;
        }
        return {};
    }

    tl::unexpected<Error> wrong_kind(std::uint32_t index, const std::string& wanted) const {
        const auto& node = nodes_[index];
        const std::string name = path_.empty() ? "its top level" : to_string(path_);
        return fail(ErrorKind::file,
                    name + " is " + std::string(json_kind_name(node.kind)) + ", not " + wanted,
                    at_position(position_at(text_, node.item_begin()), name + " has to be " + wanted));
    }

    Result<void> replace(const JsonEdits& edits, std::uint32_t index) {
        const auto& node = nodes_[index];
        if (edits.set_raw) {
            if (auto good = check_raw(*edits.set_raw); !good) return good;
            if (spelling(text_, node) != *edits.set_raw)
                splices_.push_back({node.begin, node.end, *edits.set_raw});
        } else if (!json_equal(json_value(text_, nodes_, index), *edits.set)) {
            splices_.push_back({node.begin, node.end, splicer_.replacement(index, ancestors_, *edits.set)});
        }
        return {};
    }

    Result<void> check_raw(const std::string& raw) const {
        const auto nodes = scan_json(raw, comments_);
        if (nodes && (*nodes)[0].begin == 0 && (*nodes)[0].end == raw.size()) return {};
        return fail(ErrorKind::file, "the new spelling of " + to_string(path_) + " is not JSON",
                    nodes ? "something stands around the value" : nodes.error().why);
    }

    Result<void> plan_members(const JsonEdits& edits, std::uint32_t index, bool& empty) {
        std::vector<std::uint32_t> removed;
        std::vector<const JsonEdits*> present;
        ancestors_.push_back(index);
        for (std::uint32_t i = nodes_[index].children == 0 ? 0 : index + 1; i != 0; i = nodes_[i].next) {
            const auto* const child = edits.child(decode_json_string(key_spelling(text_, nodes_[i])));
            if (child == nullptr) continue;
            present.push_back(child);
            bool gone = false;
            path_.push_back(child->key);
            if (auto done = plan(*child, i, gone); !done) return done;
            path_.pop_back();
            if (gone) removed.push_back(i);
        }
        ancestors_.pop_back();

        std::sort(present.begin(), present.end());
        std::vector<ItemPrinter> added;
        for (const auto& child : edits.children) {
            if (!child->creates() || std::binary_search(present.begin(), present.end(), child.get()))
                continue;
            auto member = new_member(*child);
            if (!member) return tl::make_unexpected(member.error());
            added.push_back([member = std::move(*member)](const JsonStyle& style, JsonLayout layout,
                                                          const std::string& indent) {
                return print_member(member, style, layout, indent);
            });
        }
        empty = removed.size() == nodes_[index].children && added.empty();
        change(index, removed, added);
        return {};
    }

    Result<NewMember> new_member(const JsonEdits& edits) {
        NewMember member;
        member.key = edits.key;
        path_.push_back(edits.key);
        if (edits.set) {
            member.value = edits.set;
        } else if (edits.set_raw) {
            if (auto good = check_raw(*edits.set_raw); !good) return tl::make_unexpected(good.error());
            member.raw = edits.set_raw;
        } else if (!edits.append.empty()) {
            member.value = Value(edits.append);
        } else {
            for (const auto& child : edits.children) {
                if (!child->creates()) continue;
                auto inner = new_member(*child);
                if (!inner) return inner;
                member.members.push_back(std::move(*inner));
            }
        }
        path_.pop_back();
        return member;
    }

    // True when no element is left.
    bool plan_elements(const JsonEdits& edits, std::uint32_t index) {
        const auto among = [](const std::vector<Value>& values, const Value& value) {
            return std::any_of(values.begin(), values.end(),
                               [&](const Value& other) { return json_equal(other, value); });
        };
        std::vector<std::uint32_t> removed;
        std::vector<Value> missing = edits.append;
        for (std::uint32_t i = nodes_[index].children == 0 ? 0 : index + 1; i != 0; i = nodes_[i].next) {
            const Value value = json_value(text_, nodes_, i);
            if (among(edits.remove_element, value)) removed.push_back(i);
            std::erase_if(missing, [&](const Value& other) { return json_equal(other, value); });
        }
        std::vector<ItemPrinter> added;
        for (const auto& value : missing) {
            added.push_back([value](const JsonStyle& style, JsonLayout layout, const std::string& indent) {
                return print_json(value, style, layout, indent);
            });
        }
        change(index, removed, added);
        return removed.size() == nodes_[index].children && added.empty();
    }

    void change(std::uint32_t index, const std::vector<std::uint32_t>& removed,
                const std::vector<ItemPrinter>& added) {
        if (removed.empty() && added.empty()) return;
        for (auto& splice : splicer_.change_items(index, ancestors_, removed, added))
            splices_.push_back(std::move(splice));
    }

    // Whether neither item nor comment is left between the brackets after the splices since `mark`.
    bool nothing_inside(std::uint32_t index, std::size_t mark) const {
        const auto& node = nodes_[index];
        const auto inside =
            with_splices(text_, {splices_.begin() + static_cast<std::ptrdiff_t>(mark), splices_.end()},
                         node.begin + 1, node.end - 1);
        return inside.find_first_not_of(" \t\r\n") == std::string::npos;
    }

    std::string_view text_;
    const std::vector<JsonNode>& nodes_;
    Comments comments_;
    JsonSplicer splicer_;
    std::vector<Splice> splices_;
    std::vector<std::uint32_t> ancestors_;
    KeyPath path_;
};

class JsonDocument final : public Document {
  public:
    JsonDocument(std::string text, std::vector<JsonNode> nodes, Comments comments)
        : text_(std::move(text))
        , nodes_(std::move(nodes))
        , comments_(comments) {}

    const std::string& text() const override { return text_; }

    std::optional<Found> get(const KeyPath& path) const override {
        const auto index = find(path);
        if (!index) return std::nullopt;
        const auto& node = nodes_[*index];
        return Found{json_value(text_, nodes_, *index), std::string(spelling(text_, node)), node.begin,
                     position_at(text_, node.item_begin())};
    }

    std::optional<Position> position(const KeyPath& path) const override {
        const auto index = find(path);
        if (!index) return std::nullopt;
        return position_at(text_, nodes_[*index].item_begin());
    }

    Value value() const override { return json_value(text_, nodes_, 0); }

    std::vector<Leaf> leaves() const override {
        std::vector<Leaf> result;
        KeyPath path;
        gather_leaves(0, path, result);
        return result;
    }

    Result<std::string> apply(std::span<const Edit> edits) const override {
        auto tree = gather_json_edits(edits);
        if (!tree) return tl::make_unexpected(tree.error());
        auto splices = Planner(text_, nodes_, comments_).run(**tree);
        if (!splices) return tl::make_unexpected(splices.error());
        if (splices->empty()) return text_;
        auto result = with_splices(text_, std::move(*splices), 0, text_.size());
        if (result.size() > max_file_bytes) {
            return fail(ErrorKind::file, "it would become too large (the limit is " +
                                             std::to_string(max_file_bytes >> 20) + " MiB)");
        }
        if (auto reason = judge_json(text_, nodes_, result, comments_, edits, **tree); !reason.empty()) {
            return fail(ErrorKind::file, "its edited text failed the check before writing", reason,
                        "this is a defect of dbx-agents: please report it with the file's layout");
        }
        return result;
    }

  private:
    // Elements are found by their index.
    std::optional<std::uint32_t> find(const KeyPath& path) const {
        std::uint32_t index = 0;
        for (const auto& component : path) {
            const auto& node = nodes_[index];
            if (!node.is_container() || node.children == 0) return std::nullopt;
            std::uint32_t child = index + 1;
            if (node.kind == JsonKind::object) {
                while (child != 0 && !has_key(nodes_[child], component)) child = nodes_[child].next;
                if (child == 0) return std::nullopt;
            } else {
                std::uint32_t wanted = 0;
                const auto* const end = component.data() + component.size();
                const auto parsed = std::from_chars(component.data(), end, wanted);
                if (parsed.ec != std::errc{} || parsed.ptr != end || wanted >= node.children ||
                    component != std::to_string(wanted))
                    return std::nullopt;
                for (; wanted > 0; --wanted) child = nodes_[child].next;
            }
            index = child;
        }
        return index;
    }

    bool has_key(const JsonNode& node, std::string_view key) const {
        const auto raw = key_spelling(text_, node);
        if (raw.find('\\') != std::string_view::npos) return decode_json_string(raw) == key;
        return raw.substr(1, raw.size() - 2) == key;
    }

    void gather_leaves(std::uint32_t index, KeyPath& path, std::vector<Leaf>& result) const {
        const auto& node = nodes_[index];
        if (!node.is_container()) {
            const auto raw = spelling(text_, node);
            const bool is_string = node.kind == JsonKind::string;
            result.push_back({path, node.begin, raw.size(), is_string,
                              is_string ? decode_json_string(raw) : std::string(raw)});
            return;
        }
        std::size_t position = 0;
        for (std::uint32_t i = node.children == 0 ? 0 : index + 1; i != 0; i = nodes_[i].next) {
            path.push_back(nodes_[i].is_member() ? decode_json_string(key_spelling(text_, nodes_[i]))
                                                 : std::to_string(position++));
            gather_leaves(i, path, result);
            path.pop_back();
        }
    }

    std::string text_;
    std::vector<JsonNode> nodes_;
    Comments comments_;
};

} // namespace

Result<std::unique_ptr<Document>> parse_json(std::string text, Comments comments) {
    auto nodes = scan_json(text, comments);
    if (!nodes) return tl::make_unexpected(nodes.error());
    return std::make_unique<JsonDocument>(std::move(text), std::move(*nodes), comments);
}

} // namespace dbx::edit
