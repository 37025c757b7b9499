#include "core/edit/toml_layout.hpp"

#include <algorithm>

namespace dbx::edit {

namespace {

bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

enum class Line { blank, comment, other };

// What stands on the line at the start of `rest`.
Line line_kind(std::string_view rest) {
    std::size_t at = 0;
    while (at < rest.size() && is_blank(rest[at])) ++at;
    if (at == rest.size() || rest[at] == '\n') return Line::blank;
    if (rest[at] == '\r' && at + 1 < rest.size() && rest[at + 1] == '\n') return Line::blank;
    return rest[at] == '#' ? Line::comment : Line::other;
}

std::size_t line_length(std::string_view rest) {
    const auto end = rest.find('\n');
    return end == std::string_view::npos ? rest.size() : end + 1;
}

std::string_view last_line(std::string_view text) {
    if (text.empty()) return text;
    const auto before = text.substr(0, text.size() - 1).rfind('\n');
    return before == std::string_view::npos ? text : text.substr(before + 1);
}

bool ends_with_blank_line(std::string_view text) {
    return !text.empty() && text.back() == '\n' && line_kind(last_line(text)) == Line::blank;
}

} // namespace

TomlLayout::TomlLayout(const TomlSource& source)
    : source_(source) {
    const auto& text = source.text;
    const auto& statements = source.scan.statements;
    const auto first_end = text.find('\n');
    main_line_break_ =
        first_end != std::string::npos && first_end > 0 && text[first_end - 1] == '\r' ? "\r\n" : "\n";

    std::size_t pairs = 0;
    std::size_t tight_before = 0;
    std::size_t tight_behind = 0;
    std::size_t basic = 0;
    std::size_t literal = 0;
    std::size_t separated = 0;
    std::size_t joined = 0;
    bool indent_known = false;
    for (std::uint32_t i = 0; i < statements.size(); ++i) {
        const auto& statement = statements[i];
        if (statement.kind == TomlStatement::Kind::pair) {
            ++pairs;
            if (!is_blank(text[statement.equals - 1])) ++tight_before;
            if (!is_blank(text[statement.equals + 1])) ++tight_behind;
            if (text[statement.value.begin] == '"') ++basic;
            if (text[statement.value.begin] == '\'') ++literal;
            const auto header = source.model.section_of(i);
            if (!indent_known && header != toml_none) {
                indent_known = true;
                const auto outer = indent_of(header);
                const auto inner = indent_of(i);
                if (inner.size() > outer.size() && inner.substr(0, outer.size()) == outer)
                    extra_indent_ = inner.substr(outer.size());
            }
        } else if (i > 0) {
            const auto begin = statements[i - 1].lines.end;
            auto gap = std::string_view(text).substr(begin, statement.lines.begin - begin);
            bool blank = false;
            while (!gap.empty() && !blank) {
                blank = line_kind(gap) == Line::blank;
                gap.remove_prefix(line_length(gap));
            }
            ++(blank ? separated : joined);
        }
    }
    if (tight_before * 2 > pairs) spelling_.before_equals.clear();
    if (tight_behind * 2 > pairs) spelling_.behind_equals.clear();
    if (literal > basic) spelling_.quote = TomlQuote::literal;
    separates_tables_ = separated >= joined;
}

std::string_view TomlLayout::indent_of(std::uint32_t statement) const {
    const auto begin = source_.scan.statements[statement].lines.begin;
    auto end = begin;
    while (is_blank(source_.text[end])) ++end;
    return source_.view({begin, end});
}

TomlSpelling TomlLayout::spelling_like(std::string_view old_spelling) const {
    auto spelling = spelling_;
    const auto quote = old_spelling.find_first_of("\"'");
    const bool is_alike = quote == 0 || old_spelling.substr(0, 1) == "[";
    if (is_alike && quote != std::string_view::npos)
        spelling.quote = old_spelling[quote] == '"' ? TomlQuote::basic : TomlQuote::literal;
    return spelling;
}

// The line end of the line before `at`.
std::string TomlLayout::line_break(TomlOffset at) const {
    const auto& text = source_.text;
    if (at < 1 || text[at - 1] != '\n') {
        const auto before = at == 0 ? std::string::npos : text.rfind('\n', at - 1);
        if (before == std::string::npos) return main_line_break_;
        at = static_cast<TomlOffset>(before + 1);
    }
    return at >= 2 && text[at - 2] == '\r' ? "\r\n" : "\n";
}

// `key = value` with the spaces of `neighbour`; where a group of pairs has its `=` in one column, there.
std::string TomlLayout::spaced(std::uint32_t neighbour, const std::string& indent, const std::string& key,
                               const std::string& value) const {
    const auto& text = source_.text;
    const auto& statements = source_.scan.statements;
    const auto& last = statements[neighbour];
    const auto column = last.equals - last.lines.begin;
    std::string before = is_blank(text[last.equals - 1]) ? " " : "";
    const std::string behind = is_blank(text[last.equals + 1]) ? " " : "";
    bool aligned = false;
    std::size_t group = 0;
    for (std::uint32_t i = neighbour + 1; i-- > 0 && group < 16; ++group) {
        const auto& other = statements[i];
        if (other.kind != TomlStatement::Kind::pair || other.lines.end > last.lines.end) break;
        if (i != neighbour && other.lines.end != statements[i + 1].lines.begin) break;
        if (other.equals - other.lines.begin != column) {
            aligned = false;
            group = 0;
            break;
        }
        if (other.equals - other.key.end > 1) aligned = true;
    }
    if (aligned && group > 1 && indent.size() + key.size() < column)
        before = std::string(column - indent.size() - key.size(), ' ');
    return indent + key + before + "=" + behind + value;
}

TomlSplice TomlLayout::place_for_pairs(std::uint32_t header) const {
    const auto& statements = source_.scan.statements;
    const auto end = source_.model.section_end(header);
    TomlSplice splice;
    splice.kind = TomlSplice::Kind::insert_lines;
    if (header != toml_none) {
        splice.begin = statements[end - 1].lines.end;
    } else if (end > 0) {
        splice.begin = statements[end - 1].lines.end;
    } else if (statements.empty()) { // set off from what a leading comment says
        splice.kind = TomlSplice::Kind::insert_top;
        splice.begin = content_end();
        splice.blank_before = true;
    } else { // before the comment that belongs to the first header
        splice.kind = TomlSplice::Kind::insert_top;
        splice.begin = comments_above(0);
        splice.blank_behind = separates_tables_;
    }
    splice.end = splice.begin;
    return splice;
}

std::string TomlLayout::pair_line(std::uint32_t header, const std::string& key,
                                  const std::string& value) const {
    const auto end = source_.model.section_end(header);
    const bool has_pairs = header == toml_none ? end > 0 : end - 1 > header;
    if (has_pairs) return pair_line_like(end - 1, key, value);
    const auto indent = header == toml_none ? std::string() : std::string(indent_of(header)) + extra_indent_;
    return indent + key + spelling_.before_equals + "=" + spelling_.behind_equals + value +
           line_break(place_for_pairs(header).begin);
}

TomlSplice TomlLayout::place_behind(std::uint32_t pair) const {
    TomlSplice splice;
    splice.kind = TomlSplice::Kind::insert_lines;
    splice.begin = splice.end = source_.scan.statements[pair].lines.end;
    return splice;
}

std::string TomlLayout::pair_line_like(std::uint32_t pair, const std::string& key,
                                       const std::string& value) const {
    return spaced(pair, std::string(indent_of(pair)), key, value) +
           line_break(source_.scan.statements[pair].lines.end);
}

TomlOffset TomlLayout::gap_end(std::uint32_t next) const {
    const auto& statements = source_.scan.statements;
    return next < statements.size() ? statements[next].lines.begin
                                    : static_cast<TomlOffset>(source_.text.size());
}

// The begin of the comment lines that stand right above a header.
TomlOffset TomlLayout::comments_above(std::uint32_t header) const {
    const auto& statements = source_.scan.statements;
    const auto floor = header == 0 ? source_.scan.content_begin : statements[header - 1].lines.end;
    auto begin = statements[header].lines.begin;
    while (begin > floor) {
        const auto above = last_line(source_.view({floor, begin}));
        if (line_kind(above) != Line::comment) break;
        begin -= static_cast<TomlOffset>(above.size());
    }
    return begin;
}

// Blank lines at the end of the text stay there.
TomlOffset TomlLayout::content_end() const {
    const auto begin = source_.scan.content_begin;
    auto content = source_.view({begin, static_cast<TomlOffset>(source_.text.size())});
    while (ends_with_blank_line(content)) content.remove_suffix(last_line(content).size());
    return begin + static_cast<TomlOffset>(content.size());
}

TomlSplice TomlLayout::place_behind_section(std::uint32_t header) const {
    TomlSplice splice;
    splice.kind = TomlSplice::Kind::insert_tables;
    splice.blank_before = separates_tables_;
    splice.begin = content_end();
    if (header != toml_none) {
        const auto next = source_.model.section_end(header);
        const auto begin = source_.scan.statements[next - 1].lines.end;
        const auto end = gap_end(next);
        auto at = begin;
        while (at < end && line_kind(source_.view({at, end})) == Line::comment)
            at += static_cast<TomlOffset>(line_length(source_.view({at, end})));
        if (at < end) {
            splice.begin = at; // a blank line follows
        } else if (next < source_.scan.statements.size()) {
            splice.begin = begin; // the next header and its comments follow without a blank line
            splice.blank_before = false;
        }
    }
    splice.end = splice.begin;
    return splice;
}

TomlSplice TomlLayout::place_before_section(std::uint32_t header) const {
    TomlSplice splice;
    splice.kind = TomlSplice::Kind::insert_tables;
    splice.begin = splice.end = comments_above(header);
    const auto above = source_.view({source_.scan.content_begin, splice.begin});
    splice.blank_behind = separates_tables_ && (above.empty() || ends_with_blank_line(above));
    return splice;
}

void TomlLayout::write_section(const std::string& open, const std::string& close, const KeyPath& path,
                               const TomlNewNode& table, const std::string& indent,
                               const std::string& line_end, std::string& out) const {
    const auto is_table = [](const TomlNewNode& child) { return child.table; };
    const bool only_tables =
        !table.children.empty() && std::all_of(table.children.begin(), table.children.end(), is_table);
    if (!only_tables || open.size() > 1) {
        if (!out.empty() && separates_tables_) out += line_end;
        out += indent + open;
        for (std::size_t i = 0; i < path.size(); ++i)
            out += (i == 0 ? "" : ".") + write_toml_key(path[i], spelling_.quote);
        out += close + line_end;
        for (const auto& child : table.children) {
            if (child.table) continue;
            out += indent + extra_indent_ + write_toml_key(child.name, spelling_.quote) +
                   spelling_.before_equals + "=" + spelling_.behind_equals + child.spelling + line_end;
        }
    }
    for (const auto& child : table.children) {
        if (!child.table) continue;
        auto inner = path;
        inner.push_back(child.name);
        write_section("[", "]", inner, child, indent, line_end, out);
    }
}

std::string TomlLayout::sections(const KeyPath& path, const TomlNewNode& table, std::uint32_t sibling,
                                 TomlOffset at) const {
    std::string out;
    const std::string indent(sibling == toml_none ? std::string_view() : indent_of(sibling));
    write_section("[", "]", path, table, indent, line_break(at), out);
    return out;
}

std::string TomlLayout::array_section(const KeyPath& path, const TomlNewNode& element, std::uint32_t sibling,
                                      TomlOffset at) const {
    std::string out;
    write_section("[[", "]]", path, element, std::string(indent_of(sibling)), line_break(at), out);
    return out;
}

bool TomlLayout::has_comment_behind(std::uint32_t last) const {
    const auto& statements = source_.scan.statements;
    const auto end = last + 1 < statements.size() ? comments_above(last + 1) : gap_end(last + 1);
    const auto begin = statements[last].lines.end;
    return begin < end && line_kind(source_.view({begin, end})) == Line::comment;
}

std::string compose_toml(const TomlSource& source, std::vector<TomlSplice> splices,
                         const TomlLayout& layout) {
    using Kind = TomlSplice::Kind;
    const auto rank = [](const TomlSplice& splice) {
        switch (splice.kind) {
        case Kind::insert_lines:
        case Kind::insert_top:
            return 0;
        case Kind::insert_tables:
            return 1;
        default:
            return 2;
        }
    };
    std::stable_sort(splices.begin(), splices.end(), [&](const TomlSplice& a, const TomlSplice& b) {
        if (a.begin != b.begin) return a.begin < b.begin;
        // Text that goes in where something else goes out stands before it; see TomlInline.
        if (rank(a) == 2 && rank(b) == 2) return (a.begin == a.end) > (b.begin == b.end);
        return rank(a) < rank(b);
    });

    const std::string_view text = source.text;
    const auto content_begin = source.scan.content_begin;
    std::string out(text.substr(0, content_begin));
    out.reserve(text.size() + 4096);
    std::size_t at = content_begin;
    const auto written = [&] { return std::string_view(out).substr(content_begin); };
    const auto end_line = [&](TomlOffset where) {
        if (!written().empty() && out.back() != '\n') out += layout.line_break(where);
    };
    for (std::size_t i = 0; i < splices.size(); ++i) {
        const auto& splice = splices[i];
        if (splice.begin > at) {
            out += text.substr(at, splice.begin - at);
            at = splice.begin;
        }
        switch (splice.kind) {
        case Kind::replace:
            out += splice.text;
            break;
        case Kind::insert_lines:
            end_line(splice.begin);
            out += splice.text;
            break;
        case Kind::insert_top:
        case Kind::insert_tables:
            end_line(splice.begin);
            if (splice.blank_before && !written().empty() && !ends_with_blank_line(written()))
                out += layout.line_break(splice.begin);
            out += splice.text;
            if (splice.blank_behind && line_kind(text.substr(at)) != Line::blank)
                out += layout.line_break(splice.begin);
            break;
        case Kind::remove_lines:
        case Kind::remove_block:
            break;
        }
        at = std::max<std::size_t>(at, splice.end);
        if (splice.kind != Kind::remove_block) continue;
        if (i + 1 < splices.size() && splices[i + 1].begin <= at && rank(splices[i + 1]) < 2) continue;
        // One blank line set the block off: with it gone there would be two, or one at an end of the file.
        if (line_kind(text.substr(at)) != Line::blank) continue;
        const auto behind = at + line_length(text.substr(at));
        if (splice.blank_behind) {
            const bool next_goes = i + 1 < splices.size() && splices[i + 1].begin == behind &&
                                   splices[i + 1].kind == Kind::remove_block;
            if (!next_goes && at < text.size() && (written().empty() || ends_with_blank_line(written())))
                at = behind;
        } else if (ends_with_blank_line(written()) && last_line(written()).size() < written().size()) {
            out.erase(out.size() - last_line(written()).size());
        } else if (written().empty() && text.find_first_not_of(" \t\r\n", at) != std::string_view::npos) {
            at = behind;
        }
    }
    out += text.substr(at);
    // A file without a final line end stays one.
    if (text.size() > content_begin && text.back() != '\n' && out.size() > content_begin &&
        out.back() == '\n') {
        out.pop_back();
        if (out.size() > content_begin && out.back() == '\r') out.pop_back();
    }
    return out;
}

} // namespace dbx::edit
