#include "core/tables/types.hpp"

#include "core/base/strings.hpp"

#include <algorithm>
#include <array>
#include <map>

namespace dbx::tables {

namespace {

constexpr int deepest = 64;

constexpr std::array<std::pair<std::string_view, std::string_view>, 7> aliases = {{
    {"byte", "tinyint"},
    {"short", "smallint"},
    {"integer", "int"},
    {"long", "bigint"},
    {"real", "float"},
    {"dec", "decimal"},
    {"numeric", "decimal"},
}};

bool is_word_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           static_cast<unsigned char>(c) >= 0x80;
}

class Reader {
  public:
    explicit Reader(std::string_view text)
        : text_(text) {}

    std::optional<ColumnType> whole() {
        auto type = read(0);
        skip_blanks();
        if (at_ != text_.size()) return std::nullopt;
        return type;
    }

  private:
    void skip_blanks() {
        while (at_ < text_.size() && trim(text_.substr(at_, 1)).empty()) ++at_;
    }
    bool take(char c) {
        skip_blanks();
        if (at_ >= text_.size() || text_[at_] != c) return false;
        ++at_;
        return true;
    }
    std::string word() {
        skip_blanks();
        const auto start = at_;
        while (at_ < text_.size() && is_word_byte(text_[at_])) ++at_;
        return std::string(text_.substr(start, at_ - start));
    }
    // Whether the next word is this one; it is taken then.
    bool take_word(std::string_view wanted) {
        const auto start = at_;
        if (iequals(word(), wanted)) return true;
        at_ = start;
        return false;
    }

    // A plain name (Unity Catalog prints names with odd characters without quotes too) or one in backquotes.
    std::optional<std::string> field_name() {
        if (!take('`')) {
            auto name = word();
            while (at_ < text_.size() && (text_[at_] == '-' || text_[at_] == '.' || text_[at_] == '$')) {
                name += text_[at_++];
                while (at_ < text_.size() && is_word_byte(text_[at_])) name += text_[at_++];
            }
            if (name.empty()) return std::nullopt;
            return name;
        }
        std::string name;
        while (at_ < text_.size()) {
            if (text_[at_] != '`') {
                name += text_[at_++];
            } else if (at_ + 1 < text_.size() && text_[at_ + 1] == '`') {
                name += '`';
                at_ += 2;
            } else {
                ++at_;
                if (name.empty()) return std::nullopt;
                return name;
            }
        }
        return std::nullopt;
    }

    bool skip_quoted() {
        skip_blanks();
        if (at_ >= text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) return false;
        const char quote = text_[at_++];
        while (at_ < text_.size()) {
            const char c = text_[at_++];
            if (c == '\\' && at_ < text_.size())
                ++at_;
            else if (c == quote)
                return true;
        }
        return false;
    }

    std::optional<ColumnType> read(int depth) {
        if (depth > deepest) return std::nullopt;
        ColumnType type;
        type.name = to_lower(word());
        if (type.name.empty()) return std::nullopt;
        for (const auto& [alias, canonical] : aliases)
            if (type.name == alias) type.name = canonical;
        if (type.name == "array" || type.name == "map") return container(std::move(type), depth);
        if (type.name == "struct") return structure(std::move(type), depth);
        if (take('(')) { // decimal(10, 2), varchar(20)
            std::vector<std::string> sizes;
            do {
                const auto size = word();
                if (size.empty()) return std::nullopt;
                sizes.push_back(size);
            } while (take(','));
            if (!take(')')) return std::nullopt;
            type.name += "(" + join(sizes, ",") + ")";
        }
        return type;
    }

    std::optional<ColumnType> container(ColumnType type, int depth) {
        const std::size_t wanted = type.name == "array" ? 1 : 2;
        if (!take('<')) return std::nullopt;
        for (std::size_t i = 0; i < wanted; ++i) {
            if (i > 0 && !take(',')) return std::nullopt;
            auto inner = read(depth + 1);
            if (!inner) return std::nullopt;
            type.fields.push_back({"", std::move(*inner), true});
        }
        if (!take('>')) return std::nullopt;
        return type;
    }

    std::optional<ColumnType> structure(ColumnType type, int depth) {
        if (!take('<')) return std::nullopt;
        if (take('>')) return type;
        do {
            TypeField field;
            auto name = field_name();
            if (!name) return std::nullopt;
            field.name = std::move(*name);
            (void)take(':');
            auto inner = read(depth + 1);
            if (!inner) return std::nullopt;
            field.type = std::move(*inner);
            if (take_word("not")) {
                if (!take_word("null")) return std::nullopt;
                field.nullable = false;
            }
            if (take_word("comment") && !skip_quoted()) return std::nullopt;
            type.fields.push_back(std::move(field));
        } while (take(','));
        if (!take('>')) return std::nullopt;
        return type;
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

class Comparison {
  public:
    std::vector<TypeDifference> differences;

    void compare(const ColumnType& expected, const ColumnType& found, const std::string& path) {
        const bool nested = expected.name == "struct" || expected.name == "array" || expected.name == "map";
        if (expected.name != found.name ||
            (nested && expected.name != "struct" && expected.fields.size() != found.fields.size())) {
            add(TypeDifference::Kind::type, path, to_text(expected), to_text(found));
            return;
        }
        if (expected.name == "array") {
            compare(expected.fields[0].type, found.fields[0].type, path + "[]");
        } else if (expected.name == "map") {
            compare(expected.fields[0].type, found.fields[0].type, path + "{key}");
            compare(expected.fields[1].type, found.fields[1].type, path + "{value}");
        } else if (expected.name == "struct") {
            compare_fields(expected.fields, found.fields, path);
        }
    }

  private:
    void add(TypeDifference::Kind kind, std::string path, std::string expected, std::string found) {
        differences.push_back({kind, std::move(path), std::move(expected), std::move(found)});
    }

    void compare_fields(const std::vector<TypeField>& expected, const std::vector<TypeField>& found,
                        const std::string& path) {
        std::map<std::string, std::size_t> places;
        for (std::size_t i = 0; i < expected.size(); ++i) places.emplace(to_lower(expected[i].name), i);
        std::vector<std::size_t> wanted, stand; // of the fields that both have
        std::vector<bool> seen(expected.size());
        for (std::size_t i = 0; i < found.size(); ++i) {
            const auto place = places.find(to_lower(found[i].name));
            if (place == places.end() || seen[place->second]) {
                add(TypeDifference::Kind::extra, path + "." + found[i].name, "", to_text(found[i].type));
                continue;
            }
            seen[place->second] = true;
            wanted.push_back(place->second);
            stand.push_back(i);
            const auto& field = expected[place->second];
            compare(field.type, found[i].type, path + "." + field.name);
            if (field.nullable && !found[i].nullable)
                add(TypeDifference::Kind::not_null, path + "." + field.name, "", "NOT NULL");
        }
        for (std::size_t i = 0; i < expected.size(); ++i)
            if (!seen[i])
                add(TypeDifference::Kind::missing, path + "." + expected[i].name, to_text(expected[i].type),
                    "");
        for (const auto index : out_of_order(wanted))
            add(TypeDifference::Kind::order, path + "." + expected[wanted[index]].name,
                std::to_string(wanted[index] + 1), std::to_string(stand[index] + 1));
    }
};

} // namespace

std::optional<ColumnType> parse_type(std::string_view text) {
    return Reader(text).whole();
}

std::string to_text(const ColumnType& type) {
    if (type.name != "struct" && type.name != "array" && type.name != "map") return type.name;
    std::string result = type.name + "<";
    bool first = true;
    for (const auto& field : type.fields) {
        if (!first) result += ",";
        first = false;
        if (type.name == "struct") {
            const bool plain = std::all_of(field.name.begin(), field.name.end(), is_word_byte);
            result += (plain ? field.name : "`" + replace_all(field.name, "`", "``") + "`") + ":";
        }
        result += to_text(field.type);
    }
    return result + ">";
}

std::vector<TypeDifference> compare_types(const ColumnType& expected, const ColumnType& found) {
    Comparison comparison;
    comparison.compare(expected, found, "");
    return std::move(comparison.differences);
}

std::vector<std::size_t> out_of_order(const std::vector<std::size_t>& wanted_positions) {
    // Those of a longest rising run stay; dozens of columns at most, so the plain square algorithm will do.
    const auto count = wanted_positions.size();
    std::vector<std::size_t> length(count, 1), before(count, count);
    std::size_t last = count;
    for (std::size_t i = 0; i < count; ++i) {
        for (std::size_t k = 0; k < i; ++k) {
            if (wanted_positions[k] < wanted_positions[i] && length[k] + 1 > length[i]) {
                length[i] = length[k] + 1;
                before[i] = k;
            }
        }
        if (last == count || length[i] > length[last]) last = i;
    }
    std::vector<bool> stays(count);
    for (auto i = last; i < count; i = before[i]) stays[i] = true;
    std::vector<std::size_t> result;
    for (std::size_t i = 0; i < count; ++i)
        if (!stays[i]) result.push_back(i);
    return result;
}

} // namespace dbx::tables
