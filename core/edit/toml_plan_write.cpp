#include "core/edit/toml_plan.hpp"

#include <algorithm>
#include <utility>

// What a plan has decided, as splices.
namespace dbx::edit {

void TomlPlan::write_changes() {
    const auto& statements = source_.scan.statements;
    const auto& model = source_.model;
    const auto first_header = model.section_end(toml_none);
    const bool something_stays =
        !std::all_of(statement_gone_.begin(), statement_gone_.end(), [](bool b) { return b; });
    bool top_is_empty = true;
    for (std::uint32_t i = 0; i < first_header; ++i) top_is_empty = top_is_empty && statement_gone_[i];
    if (additions_.contains(TomlModel::root))
        for (const auto& child : additions_[TomlModel::root].children)
            top_is_empty = top_is_empty && child.table;

    for (std::uint32_t i = 0; i < statements.size(); ++i) {
        if (!statement_gone_[i]) continue;
        if (statements[i].kind != TomlStatement::Kind::pair) {
            const auto last = model.section_end(i) - 1;
            splices_.push_back(
                {TomlSplice::Kind::remove_block, statements[i].lines.begin, statements[last].lines.end});
            i = last;
            continue;
        }
        const bool closes_top = top_is_empty && i + 1 == first_header;
        TomlSplice splice{TomlSplice::Kind::remove_lines, statements[i].lines.begin, statements[i].lines.end};
        if (closes_top) splice.kind = TomlSplice::Kind::remove_block;
        splice.blank_behind = closes_top && something_stays;
        splices_.push_back(std::move(splice));
    }
    for (const auto& [pair, value] : new_values_) {
        const auto& range = statements[pair].value;
        if (!statement_gone_[pair])
            splices_.push_back({TomlSplice::Kind::replace, range.begin, range.end, value});
    }
    for (const auto& [pair, container] : inlines_)
        if (!statement_gone_[pair] && !new_values_.contains(pair))
            container->write(splices_, layout_.spelling());
    for (const auto table : addition_order_) write_additions(table, additions_[table]);
}

void TomlPlan::write_additions(TomlNodeId table, const TomlNewNode& added) {
    const auto& node = source_.model[table];
    const bool is_root = table == TomlModel::root;
    if (!is_root && node.header == toml_none && node.last_dotted != toml_none) {
        write_dotted(table, added);
        return;
    }
    TomlNewNode pairs;
    pairs.table = true;
    TomlNewNode tables = pairs;
    for (const auto& child : added.children) (child.table ? tables : pairs).children.push_back(child);
    const auto path = source_.model.path(table);

    if (!pairs.children.empty()) {
        if (is_root || node.header != toml_none) {
            auto splice = layout_.place_for_pairs(node.header);
            for (const auto& child : pairs.children)
                splice.text += layout_.pair_line(
                    node.header, write_toml_key(child.name, layout_.spelling().quote), child.spelling);
            splices_.push_back(std::move(splice));
        } else { // only tables below it have headers so far
            auto splice = layout_.place_before_section(node.first_section);
            splice.text = layout_.sections(path, pairs, node.first_section, splice.begin);
            splices_.push_back(std::move(splice));
        }
    }
    for (const auto& child : tables.children) {
        auto inner = path;
        inner.push_back(child.name);
        auto splice = layout_.place_behind_section(is_root ? toml_none : node.last_section);
        splice.text = layout_.sections(inner, child, is_root ? toml_none : node.last_section, splice.begin);
        splices_.push_back(std::move(splice));
    }
}

// A table that dotted keys make: one more of them behind the last.
void TomlPlan::write_dotted(TomlNodeId table, const TomlNewNode& added) {
    const auto& node = source_.model[table];
    const auto& pair = source_.scan.statements[node.last_dotted];
    const auto section = source_.model.section_of(node.last_dotted);
    const auto section_depth =
        section == toml_none ? 0U : source_.model[source_.model.node_of(section)].depth;
    const auto& last_part = source_.scan.key_parts(pair)[node.depth - section_depth - 1];
    const std::string prefix(source_.view({pair.key.begin, last_part.end}));

    auto splice = layout_.place_behind(node.last_dotted);
    const auto write = [&](const auto& self, const std::string& key, const TomlNewNode& from) -> void {
        for (const auto& child : from.children) {
            const auto inner = key + "." + write_toml_key(child.name, layout_.spelling().quote);
            if (child.table && !child.children.empty())
                self(self, inner, child);
            else
                splice.text +=
                    layout_.pair_line_like(node.last_dotted, inner, child.table ? "{}" : child.spelling);
        }
    };
    write(write, prefix, added);
    splices_.push_back(std::move(splice));
}

} // namespace dbx::edit
