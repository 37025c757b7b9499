#include "core/edit/toml_inline.hpp"

#include "core/edit/value.hpp"

#include <algorithm>
#include <utility>

namespace dbx::edit {

namespace {

using Path = std::span<const std::string>;

bool is_prefix(Path prefix, Path path) {
    return prefix.size() <= path.size() && std::equal(prefix.begin(), prefix.end(), path.begin());
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
    std::string out;
    for (const auto& part : parts) {
        if (!out.empty()) out += separator;
        out += part;
    }
    return out;
}

} // namespace

bool TomlNewNode::add(Path path, std::string value_spelling, bool empty_table) {
    auto* at = this;
    for (std::size_t i = 0; i < path.size(); ++i) {
        const bool last = i + 1 == path.size();
        const auto found = std::find_if(at->children.begin(), at->children.end(),
                                        [&](const TomlNewNode& child) { return child.name == path[i]; });
        if (found == at->children.end()) {
            at->children.push_back({path[i], {}, !last || empty_table, {}, {}});
            at = &at->children.back();
        } else {
            at = &*found;
            if (!last && !at->table) return false;
            if (last && (at->table != empty_table)) return false;
        }
    }
    at->spelling = std::move(value_spelling);
    return true;
}

std::string write_toml_inline(const TomlNewNode& table, const TomlSpelling& spelling) {
    if (!table.table) return table.spelling;
    if (table.children.empty()) return "{}";
    std::string out;
    for (const auto& child : table.children) {
        out += out.empty() ? "{ " : ", ";
        out += write_toml_key(child.name, spelling.quote) + spelling.before_equals + "=" +
               spelling.behind_equals + write_toml_inline(child, spelling);
    }
    return out + " }";
}

TomlInline::TomlInline(std::string_view text, TomlOffset begin)
    : text_(text)
    , container_(scan_toml_container(text, begin))
    , states_(container_.entries.size()) {
    added_.table = true;
}

// The live entry that `path` leads to or through.
std::optional<TomlInline::Step> TomlInline::step(Path path) const {
    for (std::size_t i = 0; i < container_.entries.size(); ++i) {
        const auto& key = container_.entries[i].key;
        if (!states_[i].gone && !key.empty() && is_prefix(key, path)) return Step{i, key.size()};
    }
    return std::nullopt;
}

// How many components `path` has in common with the dotted key most like it.
std::size_t TomlInline::shared_components(Path path) const {
    std::size_t most = 0;
    for (std::size_t i = 0; i < container_.entries.size(); ++i) {
        if (states_[i].gone) continue;
        const auto& key = container_.entries[i].key;
        const auto [end, _] = std::mismatch(key.begin(), key.end(), path.begin(), path.end());
        most = std::max(most, static_cast<std::size_t>(end - key.begin()));
    }
    return most;
}

TomlInline& TomlInline::inner(std::size_t entry) {
    auto& state = states_[entry];
    if (!state.inner)
        state.inner = std::make_unique<TomlInline>(text_, container_.entries[entry].value.begin);
    return *state.inner;
}

TomlInline::Place TomlInline::locate(Path path) const {
    Place place;
    const auto found = step(path);
    if (!found) {
        for (std::size_t i = 0; i < states_.size(); ++i) {
            const auto& entry = container_.entries[i];
            if (states_[i].gone || !is_prefix(path, entry.key)) continue;
            place.kind = Place::Kind::dotted;
            place.key = entry.begin;
            return place;
        }
        return place;
    }
    const auto& entry = container_.entries[found->entry];
    place.key = entry.begin;
    place.value = entry.value;
    if (found->used == path.size()) {
        place.kind = Place::Kind::value;
        return place;
    }
    if (!is_container(entry, '{')) {
        place.kind = Place::Kind::misfit;
        place.depth = found->used - 1;
        return place;
    }
    const auto& state = states_[found->entry];
    const auto rest = path.subspan(found->used);
    place = state.inner ? state.inner->locate(rest) : TomlInline(text_, entry.value.begin).locate(rest);
    place.depth += found->used;
    return place;
}

void TomlInline::set(Path path, const TomlNewNode& value) {
    if (const auto found = step(path)) {
        if (found->used < path.size()) {
            inner(found->entry).set(path.subspan(found->used), value);
            return;
        }
        states_[found->entry].replacement = value;
        states_[found->entry].inner.reset();
        return;
    }
    for (std::size_t i = 0; i < container_.entries.size(); ++i)
        if (is_prefix(path, container_.entries[i].key)) states_[i].gone = true;
    // A table that exists in dotted keys can only grow by another dotted key.
    if (shared_components(path) > 0) {
        TomlNewNode node = value;
        for (const auto& name : path) {
            if (!node.spelled_key.empty()) node.spelled_key += '.';
            node.spelled_key += write_toml_key(name, TomlQuote::basic);
        }
        added_.children.push_back(std::move(node));
        return;
    }
    auto* at = &added_;
    for (std::size_t i = 0; i < path.size(); ++i) {
        const auto found =
            std::find_if(at->children.begin(), at->children.end(), [&](const TomlNewNode& child) {
                return child.spelled_key.empty() && child.name == path[i];
            });
        if (found != at->children.end()) {
            at = &*found;
        } else {
            at->children.push_back({path[i], {}, true, {}, {}});
            at = &at->children.back();
        }
    }
    at->table = value.table;
    at->spelling = value.spelling;
    at->children = value.children;
}

void TomlInline::remove(Path path) {
    if (const auto found = step(path)) {
        if (found->used == path.size())
            states_[found->entry].gone = true;
        else if (is_container(container_.entries[found->entry], '{'))
            inner(found->entry).remove(path.subspan(found->used));
        return;
    }
    for (std::size_t i = 0; i < container_.entries.size(); ++i)
        if (is_prefix(path, container_.entries[i].key)) states_[i].gone = true;
}

void TomlInline::edit_array(Path path, const std::vector<bool>& kept, const std::vector<std::string>& added) {
    if (!path.empty()) {
        if (const auto found = step(path))
            inner(found->entry).edit_array(path.subspan(found->used), kept, added);
        return;
    }
    for (std::size_t i = 0; i < states_.size() && i < kept.size(); ++i) states_[i].gone = !kept[i];
    elements_ = added;
}

void TomlInline::prune(Path path) {
    const auto found = step(path);
    if (!found) return;
    const auto& entry = container_.entries[found->entry];
    if (states_[found->entry].replacement) return;
    if (found->used < path.size()) {
        if (is_container(entry, '{')) inner(found->entry).prune(path.subspan(found->used));
    } else if (is_container(entry, '{') || is_container(entry, '[')) {
        if (inner(found->entry).empty()) states_[found->entry].gone = true;
    }
}

bool TomlInline::empty() const {
    return !container_.has_comment && added_.children.empty() && elements_.empty() &&
           std::all_of(states_.begin(), states_.end(), [](const State& state) { return state.gone; });
}

TomlSpelling TomlInline::spelling(const TomlSpelling& file_spelling) const {
    auto spelling = file_spelling;
    if (container_.array || container_.entries.empty()) return spelling;
    const auto& entry = container_.entries.back();
    const auto is_blank_at = [this](TomlOffset at) { return text_[at] == ' ' || text_[at] == '\t'; };
    spelling.before_equals = is_blank_at(entry.equals - 1) ? " " : "";
    spelling.behind_equals = is_blank_at(entry.equals + 1) ? " " : "";
    return spelling;
}

std::vector<std::string> TomlInline::spelled_additions(const TomlSpelling& spelling) const {
    if (container_.array) return elements_;
    std::vector<std::string> out;
    for (const auto& child : added_.children) {
        const auto key =
            child.spelled_key.empty() ? write_toml_key(child.name, spelling.quote) : child.spelled_key;
        out.push_back(key + spelling.before_equals + "=" + spelling.behind_equals +
                      write_toml_inline(child, spelling));
    }
    return out;
}

TomlOffset TomlInline::line_begin(TomlOffset at) const {
    const auto found = at == 0 ? std::string_view::npos : text_.rfind('\n', at - 1);
    return found == std::string_view::npos ? 0 : static_cast<TomlOffset>(found + 1);
}

TomlOffset TomlInline::skip_blanks(TomlOffset at) const {
    while (at < text_.size() && (text_[at] == ' ' || text_[at] == '\t')) ++at;
    return at;
}

TomlOffset TomlInline::line_end_behind(TomlOffset at) const {
    at = skip_blanks(at);
    if (at >= text_.size()) return toml_none;
    if (text_[at] == '#') {
        const auto end = text_.find('\n', at);
        if (end == std::string_view::npos) return toml_none;
        return static_cast<TomlOffset>(text_[end - 1] == '\r' ? end - 1 : end);
    }
    if (text_[at] == '\n' || text_.substr(at, 2) == "\r\n") return at;
    return toml_none;
}

// The line break before `at` and the indentation of its line.
std::string TomlInline::line_break_and_indent(TomlOffset at) const {
    const auto begin = line_begin(at);
    const auto indent = text_.substr(begin, skip_blanks(begin) - begin);
    const bool crlf = begin >= 2 && text_[begin - 2] == '\r';
    return (crlf ? "\r\n" : "\n") + std::string(indent);
}

bool TomlInline::stands_on_own_lines(const TomlEntry& entry) const {
    auto begin = entry.begin; // not line_begin: a line may hold a million entries
    while (text_[begin - 1] == ' ' || text_[begin - 1] == '\t') --begin;
    if (text_[begin - 1] != '\n') return false;
    if (entry.comma == toml_none) return line_end_behind(entry.value.end) != toml_none;
    return skip_blanks(entry.value.end) == entry.comma && line_end_behind(entry.comma + 1) != toml_none;
}

void TomlInline::write(std::vector<TomlSplice>& splices, const TomlSpelling& file_spelling) const {
    const auto own_spelling = spelling(file_spelling);
    for (std::size_t i = 0; i < states_.size(); ++i) {
        if (states_[i].gone) continue;
        const auto& value = container_.entries[i].value;
        if (states_[i].replacement)
            splices.push_back({TomlSplice::Kind::replace, value.begin, value.end,
                               write_toml_inline(*states_[i].replacement, own_spelling)});
        else if (states_[i].inner)
            states_[i].inner->write(splices, file_spelling);
    }
    const auto added = spelled_additions(own_spelling);
    const bool all_gone = std::all_of(states_.begin(), states_.end(), [](const State& s) { return s.gone; });
    if (all_gone && added.empty() && !container_.has_comment) {
        if (!states_.empty())
            splices.push_back(
                {TomlSplice::Kind::replace, container_.range.begin + 1, container_.range.end - 1, ""});
        return;
    }
    std::size_t removable = states_.size();
    if (!added.empty()) {
        if (states_.empty()) {
            write_into_empty(splices, added);
        } else if (states_.back().gone) { // the new ones take its place
            --removable;
            const auto& last = container_.entries.back();
            const auto separator = stands_on_own_lines(last) ? "," + line_break_and_indent(last.begin) : ", ";
            splices.push_back(
                {TomlSplice::Kind::replace, last.begin, last.value.end, join(added, separator)});
        } else {
            write_behind_last(splices, added);
        }
    }
    write_removals(splices, removable);
}

void TomlInline::write_into_empty(std::vector<TomlSplice>& splices,
                                  const std::vector<std::string>& added) const {
    const auto inside = container_.range.begin + 1;
    const auto closing = container_.range.end - 1;
    if (container_.has_comment) { // a comment ends a line, so the closing bracket stands on a later one
        auto line = line_break_and_indent(closing);
        const bool crlf = line[0] == '\r';
        line.erase(0, crlf ? 2 : 1);
        std::string text;
        for (std::size_t i = 0; i < added.size(); ++i)
            text += line + "  " + added[i] + (i + 1 < added.size() ? "," : "") + (crlf ? "\r\n" : "\n");
        splices.push_back({TomlSplice::Kind::replace, line_begin(closing), line_begin(closing), text});
        return;
    }
    const bool padded = !container_.array || (closing > inside && text_[inside] == ' ');
    const std::string pad = padded ? " " : "";
    splices.push_back({TomlSplice::Kind::replace, inside, closing, pad + join(added, ", ") + pad});
}

void TomlInline::write_behind_last(std::vector<TomlSplice>& splices,
                                   const std::vector<std::string>& added) const {
    const auto& last = container_.entries.back();
    const bool trailing_comma = last.comma != toml_none;
    const auto behind = trailing_comma ? last.comma + 1 : last.value.end;
    const auto line_end = line_end_behind(behind);
    if (line_end != toml_none && line_end < container_.range.end) {
        const auto line = line_break_and_indent(last.begin);
        // An entry on the line of the opening bracket has no indentation of its own to copy.
        const auto extra = line_begin(last.begin) <= container_.range.begin ? "  " : "";
        std::string text;
        for (std::size_t i = 0; i < added.size(); ++i)
            text += line + extra + added[i] + (trailing_comma || i + 1 < added.size() ? "," : "");
        if (!trailing_comma) splices.push_back({TomlSplice::Kind::replace, behind, behind, ","});
        splices.push_back({TomlSplice::Kind::replace, line_end, line_end, text});
        return;
    }
    const auto& first = container_.entries.front();
    const bool compact = first.comma != toml_none && first.comma + 1 < text_.size() &&
                         text_[first.comma + 1] != ' ' && text_[first.comma + 1] != '\n' &&
                         text_[first.comma + 1] != '\r' && container_.entries.size() > 1;
    const std::string separator = compact ? "," : ", ";
    const std::string text = trailing_comma ? separator.substr(1) + join(added, separator) + ","
                                            : separator + join(added, separator);
    splices.push_back({TomlSplice::Kind::replace, behind, behind, text});
}

// Of the first `count` entries those that are gone.
void TomlInline::write_removals(std::vector<TomlSplice>& splices, std::size_t count) const {
    const auto cut = [&splices](TomlOffset begin, TomlOffset end) {
        splices.push_back({TomlSplice::Kind::replace, begin, end, ""});
    };
    for (std::size_t i = 0; i < count; ++i) {
        if (!states_[i].gone) continue;
        const auto& entry = container_.entries[i];
        if (stands_on_own_lines(entry)) {
            auto end = line_end_behind(entry.comma == toml_none ? entry.value.end : entry.comma + 1);
            end += text_[end] == '\r' ? 2 : 1;
            cut(line_begin(entry.begin), end);
        } else if (entry.comma == toml_none) {
            cut(entry.begin, entry.value.end);
        } else if (i > 0 && i + 1 == states_.size() &&
                   skip_blanks(container_.entries[i - 1].comma + 1) == entry.begin) {
            cut(container_.entries[i - 1].comma + 1, entry.comma + 1); // what follows the last comma stays
        } else if (skip_blanks(entry.value.end) == entry.comma) {
            auto begin = entry.begin;
            const auto end = skip_blanks(entry.comma + 1);
            if (end < text_.size() && (text_[end] == '\n' || text_[end] == '\r'))
                while (text_[begin - 1] == ' ' || text_[begin - 1] == '\t') --begin;
            cut(begin, end);
        } else { // the comma stands on a later line
            cut(entry.begin, entry.value.end);
            cut(entry.comma, skip_blanks(entry.comma + 1));
        }
    }
    if (count == 0 || count < states_.size() || !states_.back().gone) return;
    const auto& last = container_.entries.back();
    if (last.comma != toml_none) return;
    // The entry that is the last one now does not keep the comma that led to the next.
    auto live = count;
    while (live > 0 && states_[live - 1].gone) --live;
    if (live == 0) return;
    const auto& remaining = container_.entries[live - 1];
    const auto between = text_.substr(remaining.value.end, last.begin - remaining.value.end);
    const bool no_comment = between.find('#') == std::string_view::npos;
    if (no_comment && !stands_on_own_lines(last))
        cut(remaining.value.end, last.value.end);
    else
        cut(remaining.comma, remaining.comma + 1);
}

} // namespace dbx::edit
