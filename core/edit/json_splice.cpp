#include "core/edit/json_splice.hpp"

#include "core/edit/position.hpp"

#include <algorithm>

namespace dbx::edit {

namespace {

bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

} // namespace

struct JsonSplicer::Work {
    std::uint32_t container = 0;
    const std::vector<std::uint32_t>* ancestors = nullptr;
    const std::vector<ItemPrinter>* added = nullptr;
    std::vector<Item> items;
    std::size_t open = 0, close = 0;    // offsets of the brackets
    std::optional<std::size_t> first{}; // surviving item
    std::optional<std::size_t> last{};  // surviving item
    bool last_ends_line = false;        // the last item, staying or not
    bool comma_first = false;           // ", item" lines
    bool kept_comma = false;            // the comma after the last survivor stays for the new items
    std::vector<Splice> splices;

    void drop(std::size_t begin, std::size_t end) {
        if (begin < end) splices.push_back({begin, end, {}});
    }
};

// The blanks before `at` when nothing else is before it on its line.
std::optional<std::string_view> JsonSplicer::line_indent(std::size_t at) const {
    std::size_t begin = at;
    while (begin > 0 && is_blank(text_[begin - 1])) --begin;
    const bool starts = begin == 0 || text_[begin - 1] == '\n' ||
                        (begin == byte_order_mark.size() && text_.substr(0, begin) == byte_order_mark);
    if (!starts) return std::nullopt;
    return text_.substr(begin, at - begin);
}

// The indentation of the line on which the item `index` begins, as far as items tell it.
std::string JsonSplicer::enclosing_indent(std::uint32_t index,
                                          const std::vector<std::uint32_t>& ancestors) const {
    if (const auto own = line_indent(nodes_[index].item_begin())) return std::string(*own);
    for (auto outer = ancestors.rbegin(); outer != ancestors.rend(); ++outer) {
        if (const auto indent = line_indent(nodes_[*outer].item_begin())) return std::string(*indent);
    }
    return "";
}

// One step of the file's indentation: what the first indented item has more than the line of its container.
const std::string& JsonSplicer::unit() {
    if (unit_) return *unit_;
    unit_ = "  ";
    struct Outer {
        std::size_t end = 0;
        std::string_view indent;
    };
    std::vector<Outer> outer;
    for (const auto& node : nodes_) {
        while (!outer.empty() && outer.back().end <= node.begin) outer.pop_back();
        const std::string_view around = outer.empty() ? std::string_view{} : outer.back().indent;
        const auto own = line_indent(node.item_begin());
        if (own && !outer.empty() && own->size() > around.size() && own->substr(0, around.size()) == around) {
            unit_ = own->substr(around.size());
            break;
        }
        if (node.is_container()) outer.push_back({node.end, own.value_or(around)});
    }
    return *unit_;
}

// The line end in use around `at`.
std::string JsonSplicer::eol_at(std::size_t at) const {
    auto newline = at == 0 ? std::string_view::npos : text_.rfind('\n', at - 1);
    if (newline == std::string_view::npos) newline = text_.find('\n', at);
    if (newline == std::string_view::npos || newline == 0 || text_[newline - 1] != '\r') return "\n";
    return "\r\n";
}

// What stands between key and value, when it is a habit rather than an alignment.
std::optional<std::string> JsonSplicer::colon_of(std::uint32_t member) const {
    const auto& node = nodes_[member];
    if (!node.is_member()) return std::nullopt;
    const auto between = text_.substr(node.key_end, node.begin - node.key_end);
    for (const std::string_view habit : {": ", ":", " : ", " :", ":\t"}) {
        if (between == habit) return std::string(habit);
    }
    return std::nullopt;
}

// The blanks inside the braces of a one-line object that has members.
std::optional<std::string> JsonSplicer::pad_of(std::uint32_t object) const {
    const auto& node = nodes_[object];
    if (node.kind != JsonKind::object || node.children == 0) return std::nullopt;
    const std::size_t first = nodes_[object + 1].item_begin();
    if (first - node.begin > 3 || !blank(node.begin + 1, first)) return std::nullopt;
    return std::string(text_.substr(node.begin + 1, first - node.begin - 1));
}

JsonStyle JsonSplicer::style_at(std::uint32_t container, const std::vector<std::uint32_t>& ancestors,
                                std::uint32_t sibling) {
    JsonStyle style;
    style.unit = unit();
    style.eol = eol_at(nodes_[container].end);
    std::optional<std::string> colon;
    if (sibling != 0) colon = colon_of(sibling);
    if (!colon) colon = colon_of(container);
    for (auto outer = ancestors.rbegin(); !colon && outer != ancestors.rend(); ++outer)
        colon = colon_of(*outer);
    for (std::uint32_t i = 1; !colon && i < nodes_.size() && i < 100; ++i) colon = colon_of(i);
    if (colon) style.colon = *colon;
    style.gap = style.colon.back() == ':' ? "" : " ";
    auto pad = sibling != 0 ? pad_of(sibling) : std::nullopt;
    if (!pad) pad = pad_of(container);
    for (auto outer = ancestors.rbegin(); !pad && outer != ancestors.rend(); ++outer) pad = pad_of(*outer);
    if (pad) style.pad = *pad;
    return style;
}

bool JsonSplicer::blank(std::size_t begin, std::size_t end) const {
    return std::all_of(text_.begin() + static_cast<std::ptrdiff_t>(begin),
                       text_.begin() + static_cast<std::ptrdiff_t>(end), is_blank);
}

bool JsonSplicer::white(std::size_t begin, std::size_t end) const {
    return std::all_of(text_.begin() + static_cast<std::ptrdiff_t>(begin),
                       text_.begin() + static_cast<std::ptrdiff_t>(end),
                       [](char c) { return is_blank(c) || c == '\n' || c == '\r'; });
}

bool JsonSplicer::has_newline(std::size_t begin, std::size_t end) const {
    return text_.substr(begin, end - begin).find('\n') != std::string_view::npos;
}

// Past the comments after `at` that end on its line, and no further: blanks after the last of them are left.
std::size_t JsonSplicer::same_line_trivia(std::size_t at) const {
    std::size_t past = at;
    while (true) {
        while (at < text_.size() && is_blank(text_[at])) ++at;
        if (text_.substr(at, 2) == "//") {
            auto end = std::min(text_.find('\n', at), text_.size());
            if (end > at && text_[end - 1] == '\r') --end;
            return end;
        }
        if (text_.substr(at, 2) != "/*") return past;
        const std::size_t end = text_.find("*/", at + 2) + 2;
        if (has_newline(at, end)) return past;
        at = past = end;
    }
}

// The begin of the next line when only blanks and comments are left on the line after `at`, otherwise 0.
std::size_t JsonSplicer::line_end_after(std::size_t at) const {
    at = same_line_trivia(at);
    while (at < text_.size() && (is_blank(text_[at]) || text_[at] == '\r')) ++at;
    return at < text_.size() && text_[at] == '\n' ? at + 1 : 0;
}

// Takes out one item and one comma: the one after it, or, where no item is left after it, the one before.
void JsonSplicer::remove_item(Work& work, std::size_t index) {
    const Item& item = work.items[index];
    const bool trailing = work.last && index > *work.last;
    const bool leading = !work.first || index < *work.first;
    // In ", item" lines the comma belongs to the item after it.
    const bool comma_before = trailing || (work.comma_first && !leading);
    const std::size_t before = index == 0 ? 0 : work.items[index - 1].comma;
    const auto indent = line_indent(item.begin);

    if (!comma_before) {
        const std::size_t after = item.comma == 0 ? item.end : item.comma + 1;
        const bool close_comma = item.comma == 0 || !has_newline(item.end, item.comma);
        const std::size_t next_line = close_comma ? line_end_after(after) : 0;
        if (indent && next_line != 0) {
            work.drop(item.begin - indent->size(), next_line);
            return;
        }
        const std::size_t next = index + 1 < work.items.size() ? work.items[index + 1].begin : work.close;
        if (item.comma != 0 && white(item.end, item.comma) && white(after, next)) {
            if (has_newline(after, next) && index != 0 && !indent) {
                std::size_t begin = item.begin;
                while (is_blank(text_[begin - 1])) --begin;
                work.drop(begin, after);
            } else {
                work.drop(item.begin, next);
            }
            return;
        }
        work.drop(item.begin, item.end);
        if (item.comma != 0) {
            if (white(item.end, item.comma)) work.drop(item.end, item.comma);
            std::size_t past = after;
            while (is_blank(text_[past])) ++past;
            work.drop(item.comma, past);
        }
        return;
    }

    // Whole lines go when the last of the items after it, which all go as well, ends its line.
    std::size_t next_line = line_end_after(item.end);
    if (trailing && !work.last_ends_line) {
        next_line = 0;
    } else if (trailing && item.comma != 0 && !has_newline(item.end, item.comma)) {
        next_line = line_end_after(item.comma + 1);
    }
    const auto comma_indent = line_indent(before);
    if (comma_indent && blank(before + 1, item.begin) && next_line != 0) {
        work.drop(before - comma_indent->size(), next_line);
        return;
    }
    const bool for_new_items = trailing && index == *work.last + 1 && !work.added->empty();
    if (indent && next_line != 0) {
        if (for_new_items) {
            work.kept_comma = true;
        } else {
            work.drop(before, before + 1);
        }
        work.drop(item.begin - indent->size(), next_line);
        return;
    }
    if (white(before + 1, item.begin)) {
        const std::size_t previous = work.items[index - 1].end;
        work.drop(comma_indent && white(previous, before) ? previous : before, item.end);
        return;
    }
    std::size_t begin = item.begin;
    while (is_blank(text_[begin - 1])) --begin;
    work.drop(before, before + 1);
    work.drop(begin, item.end);
}

std::vector<Splice> JsonSplicer::change_items(std::uint32_t container,
                                              const std::vector<std::uint32_t>& ancestors,
                                              const std::vector<std::uint32_t>& removed,
                                              const std::vector<ItemPrinter>& added) {
    Work work;
    work.container = container;
    work.ancestors = &ancestors;
    work.added = &added;
    work.open = nodes_[container].begin;
    work.close = nodes_[container].end - 1;
    auto next_removed = removed.begin();
    for (std::uint32_t i = nodes_[container].children == 0 ? 0 : container + 1; i != 0; i = nodes_[i].next) {
        Item item{i, nodes_[i].item_begin(), nodes_[i].end, 0, false};
        if (nodes_[i].next != 0) item.comma = skip_json_trivia(text_, item.end);
        if (next_removed != removed.end() && *next_removed == i) {
            item.removed = true;
            ++next_removed;
        } else {
            if (!work.first) work.first = work.items.size();
            work.last = work.items.size();
        }
        work.items.push_back(item);
    }
    const auto& items = work.items;
    work.last_ends_line = !items.empty() && line_end_after(items.back().end) != 0;
    work.comma_first =
        items.size() > 1 && line_indent(items[0].comma) && line_end_after(items[0].comma + 1) == 0;

    if (!work.last) {
        bool comments = false;
        std::size_t at = work.open + 1;
        for (const auto& item : items) {
            comments = comments || text_.substr(at, item.begin - at).find('/') != std::string_view::npos;
            at = item.end;
        }
        comments = comments || text_.substr(at, work.close - at).find('/') != std::string_view::npos;
        if (!comments) {
            fill(work);
            return std::move(work.splices);
        }
    }
    for (std::size_t i = 0; i < items.size(); ++i) {
        if (items[i].removed) remove_item(work, i);
    }
    if (!added.empty()) {
        if (work.last) {
            add_after_last(work);
        } else {
            add_before_close(work);
        }
    }
    // Neighbours that go may claim the same blanks.
    std::vector<Splice> drops;
    std::vector<Splice> result;
    for (auto& splice : work.splices)
        (splice.begin < splice.end ? drops : result).push_back(std::move(splice));
    std::stable_sort(drops.begin(), drops.end(),
                     [](const Splice& a, const Splice& b) { return a.begin < b.begin; });
    std::size_t end = 0;
    for (auto& drop : drops) {
        drop.begin = std::max(drop.begin, end);
        if (drop.begin < drop.end) {
            end = drop.end;
            result.push_back(std::move(drop));
        }
    }
    return result;
}

// Everything between the brackets is new, or nothing is left there.
void JsonSplicer::fill(Work& work) {
    std::string inside;
    if (!work.added->empty()) {
        const auto& node = nodes_[work.container];
        auto style =
            style_at(work.container, *work.ancestors, work.items.empty() ? 0 : work.items.back().node);
        const std::string outer = enclosing_indent(work.container, *work.ancestors);
        std::string inner = outer + style.unit;
        bool lines = has_newline(work.open, work.close);
        if (!work.items.empty()) {
            const auto own = line_indent(work.items.front().begin);
            lines = own.has_value();
            if (own) inner = *own;
            if (const auto pad = pad_of(work.container)) style.pad = *pad;
        } else if (!lines) {
            // A person opens {} up where lines are the habit, and writes short lists on one line.
            const bool own_line = line_indent(node.item_begin()).has_value();
            lines = own_line && node.kind == JsonKind::object;
            if (own_line && node.kind == JsonKind::array) {
                for (const auto& print : *work.added)
                    lines = lines || print(style, JsonLayout::one_line, "")[0] == '{';
            }
            if (work.close > work.open + 1 && node.kind == JsonKind::object) style.pad = " ";
        }
        if (work.items.empty() && lines) {
            if (const auto close = line_indent(work.close)) inner = std::string(*close) + style.unit;
        }
        const auto layout = lines ? JsonLayout::lines : JsonLayout::one_line;
        const std::string pad = node.kind == JsonKind::object ? style.pad : "";
        bool first = true;
        for (const auto& print : *work.added) {
            if (!first) inside += ',';
            inside += lines ? style.eol + inner : first ? pad : style.gap;
            inside += print(style, layout, inner);
            first = false;
        }
        if (lines) {
            const auto close = line_indent(work.close);
            inside += style.eol + (close ? std::string(*close) : outer);
        } else {
            inside += pad;
        }
    }
    work.splices.push_back({work.open + 1, work.close, inside});
}

// No item is left, but comments are.
void JsonSplicer::add_before_close(Work& work) {
    auto style = style_at(work.container, *work.ancestors, work.items.empty() ? 0 : work.items.back().node);
    const auto close_indent = line_indent(work.close);
    std::string joined;
    if (close_indent) {
        std::string inner = std::string(*close_indent) + style.unit;
        if (!work.items.empty()) {
            if (const auto own = line_indent(work.items.front().begin)) inner = *own;
        }
        for (const auto& print : *work.added) {
            if (!joined.empty()) joined += "," + style.eol;
            joined += inner + print(style, JsonLayout::lines, inner);
        }
        const std::size_t at = work.close - close_indent->size();
        work.splices.push_back({at, at, joined + style.eol});
        return;
    }
    for (const auto& print : *work.added) {
        if (!joined.empty()) joined += "," + style.gap;
        joined += print(style, JsonLayout::one_line, "");
    }
    const bool spaced = is_blank(text_[work.close - 1]);
    work.splices.push_back({work.close, work.close, (spaced ? "" : " ") + joined + (spaced ? " " : "")});
}

// New items after the last one that stays, on lines of their own where the items have them.
void JsonSplicer::add_after_last(Work& work) {
    const auto& items = work.items;
    const Item& last = items[*work.last];
    const auto& last_node = nodes_[last.node];
    auto style = style_at(work.container, *work.ancestors, last.node);
    style.eol = eol_at(last.begin);

    // What a new line begins with: the indentation, and the comma where commas come first.
    std::optional<std::string> line_begin;
    std::string indent;
    for (std::size_t i = *work.last + 1; i-- > 0 && !line_begin;) {
        if (items[i].removed) continue;
        if (work.comma_first && i > 0) {
            const std::size_t comma = items[i - 1].comma;
            const auto own = line_indent(comma);
            if (!own || !blank(comma + 1, items[i].begin)) continue;
            line_begin = std::string(*own) + std::string(text_.substr(comma, items[i].begin - comma));
            indent = std::string(*own) + std::string(items[i].begin - comma, ' ');
        } else if (const auto own = line_indent(items[i].begin)) {
            line_begin = indent = std::string(*own);
        }
    }
    const bool comma_leads = line_begin && line_begin->find(',') != std::string::npos;

    const auto last_text = text_.substr(last_node.begin, last_node.end - last_node.begin);
    const bool multi_line_sibling =
        last_node.is_container() && last_text.find('\n') != std::string_view::npos;
    auto layout = JsonLayout::lines;
    if (line_begin) {
        // List elements look alike; members do not, so a new object among them gets its lines.
        if (!last_node.is_member() && last_node.is_container() && last_node.children != 0 &&
            !multi_line_sibling)
            layout = JsonLayout::one_line;
    } else {
        if (!multi_line_sibling) layout = JsonLayout::one_line;
        indent = enclosing_indent(work.container, *work.ancestors);
        if (*work.last > 0) {
            const std::size_t after = items[*work.last - 1].comma + 1;
            if (last.begin - after <= 1 && blank(after, last.begin))
                style.gap = text_.substr(after, last.begin - after);
        }
    }

    // The comma goes right behind the value; the new item behind the comments that belong to that value.
    std::size_t at = work.kept_comma ? last.comma + 1 : last.end;
    const std::size_t comments = same_line_trivia(
        last.comma != 0 && !has_newline(last.end, last.comma) ? std::max(at, last.comma + 1) : at);
    const bool line_comment = comments < text_.size() && (text_[comments] == '\n' || text_[comments] == '\r');
    if (line_begin || !line_comment) {
        const std::size_t past_comma =
            last.comma != 0 && !has_newline(last.end, last.comma) ? last.comma + 1 : at;
        if (comments != std::max(at, past_comma)) at = comments;
    }
    // Behind the line end of that line, if there it ends: so it keeps its own, and its blanks.
    bool whole_lines = false;
    if (line_begin) {
        std::size_t end = at;
        while (is_blank(text_[end])) ++end;
        const auto rest = text_.substr(end, 2);
        style.eol = rest == "\r\n" ? "\r\n" : rest[0] == '\n' ? "\n" : style.eol;
        whole_lines = rest[0] == '\n' || rest == "\r\n";
        if (whole_lines) at = end + style.eol.size();
    }
    std::string joined;
    bool first = true;
    for (const auto& print : *work.added) {
        if (!comma_leads && !first) joined += ',';
        if (line_begin) {
            if (!whole_lines || !first) joined += style.eol;
            joined += *line_begin;
        } else {
            joined += style.gap;
        }
        joined += print(style, layout, indent);
        first = false;
    }
    if (whole_lines) joined += style.eol;
    if (comma_leads && work.kept_comma) {
        work.drop(last.comma, last.comma + 1); // the new lines bring their own
    } else if (!comma_leads && !work.kept_comma) {
        work.splices.push_back({last.end, last.end, ","});
    }
    work.splices.push_back({at, at, joined});
}

std::string JsonSplicer::replacement(std::uint32_t index, const std::vector<std::uint32_t>& ancestors,
                                     const Value& value) {
    const auto& node = nodes_[index];
    if (!value.is_structured()) return print_json(value, {}, JsonLayout::one_line, "");
    const std::uint32_t parent = ancestors.empty() ? 0 : ancestors.back();
    auto style = style_at(parent, ancestors, index);
    style.eol = eol_at(node.begin);
    const bool was_lines = has_newline(node.begin, node.end);
    const bool was_array = node.kind == JsonKind::array && node.children != 0;
    const bool lines = line_indent(node.item_begin()).has_value() || was_lines;
    std::optional<JsonLayout> array_layout;
    if (was_array && value.is_array() && !value.empty()) {
        if (was_lines) {
            array_layout = JsonLayout::lines;
        } else if (std::none_of(value.begin(), value.end(),
                                [](const Value& v) { return v.is_structured(); })) {
            array_layout = JsonLayout::one_line;
        }
    }
    return print_json(value, style, lines ? JsonLayout::lines : JsonLayout::one_line,
                      enclosing_indent(index, ancestors), array_layout);
}

} // namespace dbx::edit
