#include "core/edit/toml_plan.hpp"

#include "core/base/strings.hpp"
#include "core/edit/position.hpp"

#include <algorithm>
#include <utility>

namespace dbx::edit {

namespace {

using Base = TomlWish::Base;

KeyPath first_components(const KeyPath& path, std::size_t count) {
    return {path.begin(), path.begin() + static_cast<std::ptrdiff_t>(count)};
}

std::span<const std::string> rest_of(const KeyPath& path, std::size_t used) {
    return std::span(path).subspan(used);
}

// What a wish's object would be as a value; nullopt when a raw spelling is in it.
std::optional<Value> content_value(const TomlWish& wish) {
    auto object = Value::object();
    for (const auto& leaf : wish.inside) {
        if (leaf.base != Base::value) return std::nullopt;
        auto* at = &object;
        for (const auto& name : rest_of(leaf.path, wish.path.size())) {
            if (at->is_null()) *at = Value::object();
            at = &(*at)[name];
        }
        *at = leaf.value;
    }
    return object;
}

bool is_prefix(const KeyPath& prefix, const KeyPath& path) {
    return prefix.size() <= path.size() && std::equal(prefix.begin(), prefix.end(), path.begin());
}

// Whether a wish says what stands at `path`, so that even an empty container there is meant.
bool is_wished(const TomlWishes& wishes, const KeyPath& path) {
    return std::any_of(wishes.wishes.begin(), wishes.wishes.end(), [&path](const TomlWish& wish) {
        const bool sets = wish.base != Base::absent && wish.base != Base::none;
        return sets && (is_prefix(wish.path, path) || is_prefix(path, wish.path));
    });
}

// `raw` has to be one value and nothing else.
Result<std::string> checked_raw(const TomlWish& wish) {
    const std::string raw(trim(wish.raw));
    const std::string line = "x = " + raw + "\n";
    const auto refuse = [&wish](std::string why) {
        return fail(ErrorKind::file, "`" + to_string(wish.path) + "` can not be set", std::move(why));
    };
    TomlScan scan;
    TomlScanFailure failure;
    if (!scan_toml(line, scan, failure) || !TomlTree::parse(line))
        return refuse("its new spelling is not a TOML value");
    if (scan.statements.size() != 1 || scan.statements[0].value.begin != 4 ||
        scan.statements[0].value.end != 4 + raw.size())
        return refuse("its new spelling is more than one TOML value");
    return raw;
}

} // namespace

TomlPlan::TomlPlan(const TomlSource& source)
    : source_(source)
    , layout_(source)
    , node_gone_(source.model.size())
    , statement_gone_(source.scan.statements.size()) {}

Result<std::optional<std::string>> TomlPlan::make(const TomlWishes& wishes,
                                                  std::vector<TomlExpectation>& expectations) {
    std::vector<const TomlWish*> open;
    for (const auto& wish : wishes.wishes) {
        if (!is_done(wish)) open.push_back(&wish);
    }
    for (const auto* wish : open) clear(*wish);
    for (const auto* wish : open)
        if (auto done = fulfil(*wish, expectations); !done) return tl::unexpected(done.error());
    for (const auto& path : wishes.prunes)
        if (!is_wished(wishes, path)) prune(path);
    if (!changed_) return std::optional<std::string>();
    for (const auto& path : wishes.prunes) expectations.push_back({TomlExpectation::Kind::may_go, path});
    write_changes();
    return std::optional(compose_toml(source_, std::move(splices_), layout_));
}

TomlPlan::Spot TomlPlan::locate(const KeyPath& path) const {
    Spot spot;
    for (std::size_t i = 0; i < path.size(); ++i) {
        const auto next = source_.model.child(spot.node, path[i]);
        if (next == toml_none || node_gone_[next]) return spot;
        spot.node = next;
        spot.used = i + 1;
        const auto& node = source_.model[next];
        if (node.kind == TomlNode::Kind::table) continue;
        if (spot.used == path.size()) break;
        spot.kind = node.kind == TomlNode::Kind::value && value_text(next)[0] == '{' ? Spot::Kind::inside
                                                                                     : Spot::Kind::misfit;
        return spot;
    }
    spot.kind = Spot::Kind::node;
    return spot;
}

std::string_view TomlPlan::value_text(TomlNodeId node) const {
    return source_.view(source_.scan.statements[source_.model[node].pair].value);
}

tl::unexpected<Error> TomlPlan::misfit(const KeyPath& path, const Spot& spot, std::string_view wanted) const {
    const auto& node = source_.model[spot.node];
    const auto& statement = source_.scan.statements[node.mention];
    const auto inner = first_components(path, spot.used);
    return fail(ErrorKind::file, "`" + to_string(inner) + "` is not " + std::string(wanted),
                at_position(position_at(source_.text, statement.key.begin),
                            "`" + to_string(inner) + "` is " + source_.tree.kind_at(inner) + ", not " +
                                std::string(wanted)));
}

tl::unexpected<Error> TomlPlan::misfit_inside(const KeyPath& path, const Spot& spot,
                                              const TomlInline::Place& place, std::string_view wanted) const {
    const auto inner = place.kind == TomlInline::Place::Kind::misfit
                           ? first_components(path, spot.used + place.depth + 1)
                           : path;
    return fail(ErrorKind::file, "`" + to_string(inner) + "` is not " + std::string(wanted),
                at_position(position_at(source_.text, place.key), "`" + to_string(inner) + "` is " +
                                                                      source_.tree.kind_at(inner) + ", not " +
                                                                      std::string(wanted)));
}

// Whether the text fulfils a wish as it is.
bool TomlPlan::is_done(const TomlWish& wish) const {
    switch (wish.base) {
    case Base::value:
        return source_.tree.equals(wish.path, wish.value);
    case Base::content: {
        if (const auto value = content_value(wish)) return source_.tree.equals(wish.path, *value);
        const auto node = new_node(wish, {});
        return node && source_.tree.means(wish.path, write_toml_inline(*node, layout_.spelling()));
    }
    case Base::raw: {
        const auto spot = locate(wish.path);
        const auto raw = trim(wish.raw);
        if (spot.kind == Spot::Kind::node && source_.model[spot.node].kind == TomlNode::Kind::value)
            return value_text(spot.node) == raw;
        if (spot.kind != Spot::Kind::inside) return false;
        const TomlInline container(source_.text,
                                   source_.scan.statements[source_.model[spot.node].pair].value.begin);
        const auto place = container.locate(rest_of(wish.path, spot.used));
        return place.kind == TomlInline::Place::Kind::value && source_.view(place.value) == raw;
    }
    case Base::absent:
        return source_.tree.kind_at(wish.path).empty();
    case Base::none:
        return false;
    }
    return false;
}

// Takes away what is in the way of a wish. Values stay: they are replaced in their place.
void TomlPlan::clear(const TomlWish& wish) {
    if (wish.base == Base::none) return;
    const auto spot = locate(wish.path);
    if (spot.kind == Spot::Kind::node) {
        if (source_.model[spot.node].kind == TomlNode::Kind::value && wish.base != Base::absent) return;
        if (wish.base == Base::content && keeps_any(spot.node, wish))
            clear_around(spot.node, wish);
        else
            remove_node(spot.node);
    } else if (spot.kind == Spot::Kind::inside && wish.base == Base::absent) {
        inline_of(source_.model[spot.node].pair).remove(rest_of(wish.path, spot.used));
        changed_ = true;
    }
}

// Whether a value in `table` is one that `wish` (of base content) names too.
bool TomlPlan::keeps_any(TomlNodeId table, const TomlWish& wish) const {
    if (source_.model[table].kind != TomlNode::Kind::table) return false;
    return std::any_of(wish.inside.begin(), wish.inside.end(), [&](const TomlWish& leaf) {
        const auto spot = locate(leaf.path);
        return spot.kind == Spot::Kind::node && source_.model[spot.node].kind == TomlNode::Kind::value;
    });
}

// Takes away what `wish` does not name; the rest stays where it is, with its comments.
void TomlPlan::clear_around(TomlNodeId table, const TomlWish& wish) {
    std::vector<TomlNodeId> todo{table};
    while (!todo.empty()) {
        const auto at = todo.back();
        todo.pop_back();
        for (auto id = source_.model[at].first_child; id != toml_none; id = source_.model[id].next) {
            const auto& node = source_.model[id];
            const auto path = source_.model.path(id);
            bool named = false;
            bool leads_on = false;
            for (const auto& leaf : wish.inside) {
                if (leaf.path == path)
                    named = node.kind == TomlNode::Kind::value || is_done(leaf);
                else if (is_prefix(path, leaf.path) && node.kind == TomlNode::Kind::table)
                    leads_on = true;
                else if (is_prefix(path, leaf.path) && node.kind == TomlNode::Kind::value)
                    named = value_text(id)[0] == '{'; // rewritten as one, in its place
            }
            if (leads_on)
                todo.push_back(id);
            else if (!named)
                remove_node(id);
        }
    }
}

Result<void> TomlPlan::fulfil(const TomlWish& wish, std::vector<TomlExpectation>& expectations) {
    using Kind = TomlExpectation::Kind;
    const auto expect_leaf = [&expectations](const TomlWish& leaf) {
        if (leaf.base == Base::raw)
            expectations.push_back({Kind::raw, leaf.path, nullptr, leaf.raw});
        else
            expectations.push_back({Kind::value, leaf.path, leaf.value});
    };
    switch (wish.base) {
    case Base::absent:
        expectations.push_back({Kind::absent, wish.path});
        return {};
    case Base::none: {
        TomlExpectation expectation{Kind::array, wish.path};
        if (auto done = edit_elements(wish, expectation); !done) return done;
        if (!expectation.path.empty()) expectations.push_back(std::move(expectation));
        return {};
    }
    case Base::content:
        expectations.push_back({Kind::content, wish.path});
        for (const auto& leaf : wish.inside) expect_leaf(leaf);
        if (const auto spot = locate(wish.path);
            spot.kind == Spot::Kind::node && source_.model[spot.node].kind == TomlNode::Kind::table) {
            std::map<KeyPath, TomlWish> inline_tables;
            for (const auto& leaf : wish.inside) {
                const auto place = locate(leaf.path);
                if (place.kind == Spot::Kind::inside) {
                    auto& table = inline_tables[first_components(leaf.path, place.used)];
                    table.path = first_components(leaf.path, place.used);
                    table.base = Base::content;
                    table.inside.push_back(leaf);
                } else if (!is_done(leaf)) {
                    if (auto done = set(leaf); !done) return done;
                }
            }
            for (const auto& [path, table] : inline_tables) {
                if (is_done(table)) continue;
                if (auto done = set(table); !done) return done;
            }
            return {};
        }
        return set(wish);
    case Base::value:
    case Base::raw:
        expect_leaf(wish);
        return set(wish);
    }
    return {};
}

Result<std::string> TomlPlan::spelled(const TomlWish& wish, std::string_view old_spelling) const {
    if (wish.base == Base::raw) return checked_raw(wish);
    auto spelling = write_toml_value(wish.value, layout_.spelling_like(old_spelling));
    if (!spelling) spelling.error().what = "`" + to_string(wish.path) + "` can not be set";
    return spelling;
}

Result<TomlNewNode> TomlPlan::new_node(const TomlWish& wish, std::string_view old_spelling) const {
    TomlNewNode node;
    if (wish.base != Base::content) {
        auto spelling = spelled(wish, old_spelling);
        if (!spelling) return tl::unexpected(spelling.error());
        node.table = wish.base == Base::value && wish.value.is_object();
        node.spelling = *std::move(spelling);
        return node;
    }
    node.table = true;
    for (const auto& leaf : wish.inside) {
        auto spelling = spelled(leaf, {});
        if (!spelling) return tl::unexpected(spelling.error());
        const bool empty_table = leaf.base == Base::value && leaf.value.is_object();
        node.add(rest_of(leaf.path, wish.path.size()), *std::move(spelling), empty_table);
    }
    return node;
}

Result<void> TomlPlan::set(const TomlWish& wish) {
    for (const auto& name : wish.path)
        if (!is_utf8(name))
            return fail(ErrorKind::file, "a key can not be written as TOML", "it is not valid UTF-8");
    if (wish.path.size() > toml_max_depth / 2)
        return fail(ErrorKind::file, "a key can not be written as TOML", "it has too many components");
    const auto spot = locate(wish.path);
    const auto rest = rest_of(wish.path, spot.used);
    switch (spot.kind) {
    case Spot::Kind::misfit:
        return misfit(wish.path, spot, "a table");
    case Spot::Kind::inside: {
        auto& container = inline_of(source_.model[spot.node].pair);
        const auto place = container.locate(rest);
        if (place.kind == TomlInline::Place::Kind::misfit)
            return misfit_inside(wish.path, spot, place, "a table");
        const auto node = new_node(wish, source_.view(place.value));
        if (!node) return tl::unexpected(node.error());
        container.set(rest, *node);
        changed_ = true;
        return {};
    }
    case Spot::Kind::node: {
        const auto node = new_node(wish, value_text(spot.node));
        if (!node) return tl::unexpected(node.error());
        new_values_[source_.model[spot.node].pair] = write_toml_inline(*node, layout_.spelling());
        changed_ = true;
        return {};
    }
    case Spot::Kind::missing: {
        const auto node = new_node(wish, {});
        if (!node) return tl::unexpected(node.error());
        add(spot.node, rest, *node);
        return {};
    }
    }
    return {};
}

void TomlPlan::add(TomlNodeId table, std::span<const std::string> path, const TomlNewNode& node) {
    changed_ = true;
    auto [found, is_new] = additions_.try_emplace(table);
    if (is_new) {
        found->second.table = true;
        addition_order_.push_back(table);
    }
    // Below a path that a wish names nothing else is wished for, so this never meets a value.
    auto* at = &found->second;
    for (const auto& name : path) {
        auto child = std::find_if(at->children.begin(), at->children.end(),
                                  [&](const TomlNewNode& other) { return other.name == name; });
        if (child == at->children.end()) {
            at->children.push_back({name, {}, true, {}, {}});
            child = at->children.end() - 1;
        }
        at = &*child;
    }
    at->table = node.table;
    at->spelling = node.spelling;
    at->children = node.children;
}

Result<void> TomlPlan::edit_elements(const TomlWish& wish, TomlExpectation& expectation) {
    const auto nothing = [&expectation]() -> Result<void> {
        expectation.path.clear();
        return {};
    };
    const bool only_takes =
        std::none_of(wish.elements.begin(), wish.elements.end(), [](const auto& e) { return e.add; });
    const auto spot = locate(wish.path);
    std::optional<TomlInline::Place> place;
    if (spot.kind == Spot::Kind::inside)
        place = inline_of(source_.model[spot.node].pair).locate(rest_of(wish.path, spot.used));

    std::size_t size = 0;
    if (const auto equal = source_.tree.equal_elements(wish.path, nullptr))
        size = equal->size();
    else if (!source_.tree.kind_at(wish.path).empty() || spot.kind == Spot::Kind::misfit ||
             (place && place->kind == TomlInline::Place::Kind::misfit)) {
        if (only_takes) return nothing();
        if (spot.kind == Spot::Kind::misfit) return misfit(wish.path, spot, "a table");
        if (!place) return misfit(wish.path, spot, "an array");
        return misfit_inside(wish.path, spot, *place,
                             place->kind == TomlInline::Place::Kind::misfit ? "a table" : "an array");
    }
    std::vector<bool> kept(size, true);
    std::vector<Value> added;
    bool is_new = false;
    for (const auto& element : wish.elements) {
        const auto equal =
            source_.tree.equal_elements(wish.path, element.value).value_or(std::vector<bool>());
        const auto is_it = [&element](const Value& other) {
            return other.is_number_float() == element.value.is_number_float() && other == element.value;
        };
        bool is_there = std::any_of(added.begin(), added.end(), is_it);
        for (std::size_t i = 0; i < size; ++i) {
            if (!equal[i] || !kept[i]) continue;
            is_there = true;
            if (element.add) break;
            kept[i] = false;
            is_new = true;
        }
        if (element.add && !is_there) added.push_back(element.value);
        if (!element.add) added.erase(std::remove_if(added.begin(), added.end(), is_it), added.end());
    }
    if (added.empty() && !is_new) return nothing();
    expectation.kept = kept;
    expectation.added = added;

    if (spot.kind == Spot::Kind::node && source_.model[spot.node].kind == TomlNode::Kind::array_of_tables) {
        std::size_t i = 0;
        for (auto child = source_.model[spot.node].first_child; child != toml_none;
             child = source_.model[child].next)
            if (!kept[i++]) remove_node(child);
        return add_sections(wish, added, spot.node);
    }
    const auto old_spelling = place                           ? source_.view(place->value)
                              : spot.kind == Spot::Kind::node ? value_text(spot.node)
                                                              : std::string_view();
    const auto like_the_others = layout_.spelling_like(old_spelling);
    std::vector<std::string> spellings;
    for (const auto& value : added) {
        auto spelling = write_toml_value(value, like_the_others);
        if (!spelling) return tl::unexpected(spelling.error());
        spellings.push_back(*std::move(spelling));
    }
    if (spot.kind == Spot::Kind::missing || (place && place->kind == TomlInline::Place::Kind::missing)) {
        TomlWish whole;
        whole.path = wish.path;
        whole.base = Base::value;
        whole.value = Value(Value::array_t(added.begin(), added.end()));
        return set(whole);
    }
    changed_ = true;
    if (place)
        inline_of(source_.model[spot.node].pair).edit_array(rest_of(wish.path, spot.used), kept, spellings);
    else
        inline_of(source_.model[spot.node].pair).edit_array({}, kept, spellings);
    return {};
}

// New `[[array]]` sections behind the last one.
Result<void> TomlPlan::add_sections(const TomlWish& wish, const std::vector<Value>& elements,
                                    TomlNodeId array) {
    const auto& node = source_.model[array];
    for (const auto& element : elements) {
        if (!element.is_object())
            return fail(
                ErrorKind::file, "`" + to_string(wish.path) + "` is an array of tables",
                at_position(position_at(source_.text, source_.scan.statements[node.mention].key.begin),
                            "only a table can be added to it"));
        TomlNewNode table;
        table.table = true;
        for (const auto& [name, member] : element.items()) {
            auto spelling = write_toml_value(member, layout_.spelling());
            if (!spelling) return tl::unexpected(spelling.error());
            if (!is_utf8(name))
                return fail(ErrorKind::file, "a key can not be written as TOML", "it is not valid UTF-8");
            table.children.push_back({name, *std::move(spelling), false, {}, {}});
        }
        auto splice = layout_.place_behind_section(node.last_section);
        splice.text = layout_.array_section(wish.path, table, node.first_section, splice.begin);
        splices_.push_back(std::move(splice));
        changed_ = true;
    }
    return {};
}

TomlInline& TomlPlan::inline_of(std::uint32_t pair) {
    auto& slot = inlines_[pair];
    if (!slot) slot = std::make_unique<TomlInline>(source_.text, source_.scan.statements[pair].value.begin);
    return *slot;
}

// The node with all that makes it, wherever in the text.
void TomlPlan::remove_node(TomlNodeId id) {
    changed_ = true;
    std::vector<TomlNodeId> todo{id};
    while (!todo.empty()) {
        const auto at = todo.back();
        todo.pop_back();
        node_gone_[at] = true;
        const auto& node = source_.model[at];
        if (node.header != toml_none) statement_gone_[node.header] = true;
        if (node.pair != toml_none) statement_gone_[node.pair] = true;
        for (auto child = node.first_child; child != toml_none; child = source_.model[child].next)
            todo.push_back(child);
    }
}

// Nothing of it is left in the text.
bool TomlPlan::is_vanished(TomlNodeId id) const {
    if (node_gone_[id]) return true;
    const auto& node = source_.model[id];
    if (node.kind != TomlNode::Kind::table || node.header != toml_none || additions_.contains(id))
        return false;
    for (auto child = node.first_child; child != toml_none; child = source_.model[child].next)
        if (!is_vanished(child)) return false;
    return true;
}

// Neither comments in it nor behind its header.
bool TomlPlan::is_empty_section(std::uint32_t header) const {
    const auto& statements = source_.scan.statements;
    if (statements[header].has_comment) return false;
    const auto end = source_.model.section_end(header);
    for (auto i = header; i + 1 < end; ++i) {
        const auto between = source_.view({statements[i].lines.end, statements[i + 1].lines.begin});
        if (between.find('#') != std::string_view::npos) return false;
    }
    return !layout_.has_comment_behind(end - 1);
}

void TomlPlan::prune(const KeyPath& path) {
    const auto spot = locate(path);
    if (spot.kind == Spot::Kind::inside) {
        const auto pair = source_.model[spot.node].pair;
        if (new_values_.contains(pair)) return;
        inline_of(pair).prune(rest_of(path, spot.used));
        changed_ = true;
        return;
    }
    if (spot.kind != Spot::Kind::node) return;
    const auto& node = source_.model[spot.node];
    if (node.kind == TomlNode::Kind::value) {
        const char first = value_text(spot.node)[0];
        if ((first != '{' && first != '[') || new_values_.contains(node.pair)) return;
        if (inline_of(node.pair).empty()) remove_node(spot.node);
        return;
    }
    if (node.kind != TomlNode::Kind::table || node.header == toml_none || additions_.contains(spot.node))
        return;
    for (auto child = node.first_child; child != toml_none; child = source_.model[child].next)
        if (!is_vanished(child)) return;
    if (is_empty_section(node.header)) remove_node(spot.node);
}

} // namespace dbx::edit
