#include "core/edit/toml_model.hpp"

#include <algorithm>
#include <functional>

namespace dbx::edit {

// Where the node stands, or would.
std::size_t TomlModel::slot_of(TomlNodeId parent, std::string_view name) const {
    const auto mask = slots_.size() - 1;
    auto hash = std::hash<std::string_view>()(name) + std::size_t{parent} * 0x9E3779B97F4A7C15ULL;
    for (hash ^= hash >> 29;; ++hash) {
        const auto id = slots_[hash & mask];
        if (id == toml_none || (nodes_[id].parent == parent && nodes_[id].name == name)) return hash & mask;
    }
}

TomlNodeId TomlModel::child(TomlNodeId parent, std::string_view name) const {
    return slots_[slot_of(parent, name)];
}

std::uint32_t TomlModel::section_end(std::uint32_t header) const {
    return header == toml_none ? top_end_ : section_end_[header];
}

KeyPath TomlModel::path(TomlNodeId id) const {
    KeyPath out;
    for (; id != root; id = nodes_[id].parent) {
        const auto& node = nodes_[id];
        out.push_back(node.kind == TomlNode::Kind::element ? std::to_string(node.index)
                                                           : std::string(node.name));
    }
    std::reverse(out.begin(), out.end());
    return out;
}

std::string_view TomlModel::name_of(std::string_view text, TomlRange part) {
    const auto spelling = text.substr(part.begin, part.end - part.begin);
    if (spelling[0] == '\'') return spelling.substr(1, spelling.size() - 2);
    if (spelling[0] != '"') return spelling;
    if (spelling.find('\\') == std::string_view::npos) return spelling.substr(1, spelling.size() - 2);
    return decoded_.emplace_back(decode_toml_string(spelling));
}

TomlNodeId TomlModel::add(TomlNodeId parent, std::string_view name, TomlNode::Kind kind,
                          std::uint32_t statement, std::uint32_t part) {
    const auto id = static_cast<TomlNodeId>(nodes_.size());
    TomlNode node;
    node.kind = kind;
    node.name = name;
    node.parent = parent;
    node.index = nodes_[parent].children;
    node.depth = nodes_[parent].depth + (kind == TomlNode::Kind::element ? 0 : 1);
    node.mention = statement;
    node.mention_part = part;
    nodes_.push_back(node);
    auto& above = nodes_[parent];
    ++above.children;
    if (above.first_child == toml_none)
        above.first_child = id;
    else
        nodes_[above.last_child].next = id;
    above.last_child = id;
    if (kind != TomlNode::Kind::element) slots_[slot_of(parent, name)] = id;
    return id;
}

bool TomlModel::build(std::string_view text, const TomlScan& scan) {
    nodes_.assign(1, TomlNode{});
    const auto count = static_cast<std::uint32_t>(scan.statements.size());
    nodes_.reserve(count + 1);
    std::size_t capacity = 16;
    while (capacity < 2 * scan.parts.size()) capacity *= 2; // every node is named by a component
    slots_.assign(capacity, toml_none);
    node_of_.assign(count, toml_none);
    section_of_.assign(count, toml_none);
    section_end_.assign(count, 0);
    TomlNodeId section = root;
    std::uint32_t header = toml_none;
    for (std::uint32_t i = 0; i < count; ++i) {
        if (scan.statements[i].kind == TomlStatement::Kind::pair) {
            section_of_[i] = header;
            if (!add_pair(text, scan, i, section)) return false;
            continue;
        }
        (header == toml_none ? top_end_ : section_end_[header]) = i;
        header = i;
        if (!add_header(text, scan, i, section)) return false;
    }
    (header == toml_none ? top_end_ : section_end_[header]) = count;
    return true;
}

bool TomlModel::add_header(std::string_view text, const TomlScan& scan, std::uint32_t statement,
                           TomlNodeId& section) {
    const auto parts = scan.key_parts(scan.statements[statement]);
    const bool array = scan.statements[statement].kind == TomlStatement::Kind::array_of_tables;
    const auto passes = [&](TomlNodeId id) {
        auto& node = nodes_[id];
        if (node.first_section == toml_none) node.first_section = statement;
        node.last_section = statement;
    };
    TomlNodeId at = root;
    for (std::uint32_t i = 0; i < parts.size(); ++i) {
        const bool last = i + 1 == parts.size();
        const auto name = name_of(text, parts[i]);
        auto next = child(at, name);
        if (next == toml_none) {
            const auto kind = last && array ? TomlNode::Kind::array_of_tables : TomlNode::Kind::table;
            next = add(at, name, kind, statement, i);
        }
        passes(next);
        const auto kind = nodes_[next].kind;
        if (last && array) {
            if (kind != TomlNode::Kind::array_of_tables) return false;
            next = add(next, {}, TomlNode::Kind::element, statement, i);
            passes(next);
        } else if (kind == TomlNode::Kind::array_of_tables) {
            if (last) return false;
            next = nodes_[next].last_child;
            passes(next);
        } else if (kind != TomlNode::Kind::table) {
            return false;
        }
        at = next;
    }
    if (nodes_[at].header != toml_none) return false;
    nodes_[at].header = statement;
    node_of_[statement] = at;
    section = at;
    return true;
}

bool TomlModel::add_pair(std::string_view text, const TomlScan& scan, std::uint32_t statement,
                         TomlNodeId section) {
    const auto parts = scan.key_parts(scan.statements[statement]);
    TomlNodeId at = section;
    for (std::uint32_t i = 0; i + 1 < parts.size(); ++i) {
        const auto name = name_of(text, parts[i]);
        auto next = child(at, name);
        if (next == toml_none) next = add(at, name, TomlNode::Kind::table, statement, i);
        if (nodes_[next].kind != TomlNode::Kind::table) return false;
        nodes_[next].last_dotted = statement;
        at = next;
    }
    const auto name = name_of(text, parts.back());
    if (child(at, name) != toml_none) return false;
    const auto id =
        add(at, name, TomlNode::Kind::value, statement, static_cast<std::uint32_t>(parts.size()) - 1);
    nodes_[id].pair = statement;
    node_of_[statement] = id;
    return true;
}

} // namespace dbx::edit
