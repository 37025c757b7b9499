#include "tests/workspace/sql_parser.hpp"

#include "core/base/strings.hpp"
#include "tests/workspace/sql_cursor.hpp"

#include <algorithm>
#include <charconv>

namespace dbx::standin {

namespace {

constexpr int deepest_type = 50;

class Parser : SqlCursor {
  public:
    Parser(std::string_view sql, const SqlParameters& parameters)
        : SqlCursor(sql)
        , parameters_(parameters) {}

    SqlStatement statement() {
        SqlStatement out = [&]() -> SqlStatement {
            if (take("CREATE")) return create();
            if (take("GRANT")) return grant(false);
            if (take("REVOKE")) return grant(true);
            if (take("DESCRIBE") || take("DESC")) return describe();
            if (take("SHOW")) return show();
            if (take("DROP")) return drop();
            if (sees("WITH") || (sees("SELECT") && reads_a_table())) return table_query();
            if (take("SELECT")) return select();
            throw unexpected();
        }();
        take_symbol(";");
        if (peek().kind != TokenKind::end) throw unexpected(": extra input '" + source(peek()) + "'");
        return out;
    }

    SqlType lone_type() {
        SqlType out = type(0);
        if (peek().kind != TokenKind::end) throw unexpected();
        return out;
    }

  private:
    std::string string_literal() {
        if (sees_symbol(":")) {
            const auto value = parameter();
            return value.value_or("");
        }
        if (peek().kind != TokenKind::string) throw unexpected();
        return advance().text;
    }

    // :name
    std::optional<std::string> parameter() {
        expect_symbol(":");
        if (peek().kind != TokenKind::word) throw unexpected();
        const std::string name = advance().text;
        const auto found = parameters_.find(name);
        if (found == parameters_.end())
            throw SqlError(
                "[UNBOUND_SQL_PARAMETER] Found the unbound parameter: " + name +
                    ". Please, fix `args` and provide a mapping of the parameter to either a SQL literal "
                    "or collection constructor functions such as `map()`, `array()`, `struct()`. "
                    "SQLSTATE: 42P02",
                "42P02");
        return found->second;
    }

    std::string identifier() {
        if (peek().kind == TokenKind::quoted) return advance().text;
        if (peek().kind != TokenKind::word && peek().kind != TokenKind::number) throw unexpected();
        const SqlToken& word = advance();
        // `my-catalog` without quotes: the most frequent mistake of all has an error of its own.
        if (sees_symbol("-") && peek().begin == word.end) {
            std::string whole = word.text;
            while (sees_symbol("-") || peek().kind == TokenKind::word || peek().kind == TokenKind::number) {
                if (peek().begin != tokens_[at_ - 1].end) break;
                whole += advance().text;
            }
            throw SqlError(
                "[INVALID_IDENTIFIER] The unquoted identifier " + whole +
                    " is invalid and must be back quoted as: `" + whole +
                    "`.\nUnquoted identifiers can only contain ASCII letters ('a' - 'z', 'A' - 'Z'), digits "
                    "('0' - '9'), and underbar ('_').\nUnquoted identifiers must also not start with a "
                    "digit. SQLSTATE: 42602",
                "42602");
        }
        return word.text;
    }

    SqlName name() {
        if (sees("IDENTIFIER") && sees_symbol("(", 1)) {
            at_ += 2;
            const std::string text = string_literal();
            expect_symbol(")");
            static const SqlParameters none;
            Parser inner(text, none);
            SqlName out = inner.name();
            if (inner.peek().kind != TokenKind::end) throw inner.unexpected();
            return out;
        }
        SqlName out{identifier()};
        while (take_symbol(".")) out.push_back(identifier());
        return out;
    }

    std::vector<std::string> identifier_list() {
        std::vector<std::string> out;
        expect_symbol("(");
        do out.push_back(identifier());
        while (take_symbol(","));
        expect_symbol(")");
        return out;
    }

    IfExists if_not_exists() {
        if (!take("IF")) return IfExists::fail;
        expect("NOT");
        expect("EXISTS");
        return IfExists::skip;
    }

    // --- types ------------------------------------------------------------------------------------------

    SqlType type(int depth) {
        if (depth > deepest_type) throw unexpected(": the type is nested too deeply");
        if (peek().kind != TokenKind::word) throw unexpected();
        SqlType out;
        const SqlToken word = peek();
        out.name = canonical_type(word.text);
        if (out.name.empty())
            throw SqlError("[UNSUPPORTED_DATATYPE] Unsupported data type \"" + word.text +
                               "\". SQLSTATE: 0A000",
                           "0A000");
        ++at_;
        if (out.name == "array") {
            expect_symbol("<");
            out.children.push_back({"", type(depth + 1), true, ""});
            expect_symbol(">");
        } else if (out.name == "map") {
            expect_symbol("<");
            out.children.push_back({"", type(depth + 1), true, ""});
            expect_symbol(",");
            out.children.push_back({"", type(depth + 1), true, ""});
            expect_symbol(">");
        } else if (out.name == "struct") {
            expect_symbol("<");
            if (!sees_symbol(">")) {
                do out.children.push_back(struct_field(depth));
                while (take_symbol(","));
            }
            expect_symbol(">");
        } else if (out.name == "decimal") {
            out.precision = 10;
            if (take_symbol("(")) {
                out.precision = small_number();
                if (take_symbol(",")) out.scale = small_number();
                expect_symbol(")");
            }
            if (out.precision < 1 || out.precision > 38 || out.scale > out.precision)
                throw SqlError("[DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION] Decimal precision " +
                                   std::to_string(out.precision) +
                                   " exceeds max precision 38. SQLSTATE: 22003",
                               "22003");
        } else if (out.name == "char" || out.name == "varchar") {
            if (!sees_symbol("("))
                throw SqlError("[DATATYPE_MISSING_SIZE] DataType \"" + word.text +
                                   "\" requires a length parameter, for example \"" + word.text +
                                   "\"(10). Please specify the length. SQLSTATE: 42K01",
                               "42K01");
            expect_symbol("(");
            out.precision = small_number();
            expect_symbol(")");
        }
        return out;
    }

    // `a: INT`, and without the colon as well.
    SqlField struct_field(int depth) {
        SqlField out;
        out.name = identifier();
        take_symbol(":");
        out.type = type(depth + 1);
        column_options(out);
        return out;
    }

    void column_options(SqlField& field) {
        for (;;) {
            if (sees("NOT")) {
                ++at_;
                expect("NULL");
                field.nullable = false;
            } else if (take("COMMENT")) {
                field.comment = string_literal();
            } else {
                return;
            }
        }
    }

    int small_number() {
        if (peek().kind != TokenKind::number) throw unexpected();
        int value = 0;
        const std::string& text = peek().text;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc() || end != text.data() + text.size()) throw unexpected();
        ++at_;
        return value;
    }

    // --- CREATE -----------------------------------------------------------------------------------------

    SqlStatement create() {
        const bool or_replace = sees("OR");
        if (or_replace) {
            ++at_;
            expect("REPLACE");
        }
        if (take("VIEW")) return create_view(or_replace);
        if (or_replace) throw unexpected();
        if (take("SCHEMA") || take("DATABASE")) {
            CreateSchema out;
            out.if_exists = if_not_exists();
            out.name = name();
            if (take("COMMENT")) out.comment = string_literal();
            return out;
        }
        expect("TABLE");
        return create_table();
    }

    CreateTable create_table() {
        CreateTable out;
        out.if_exists = if_not_exists();
        out.name = name();
        if (take_symbol("(")) {
            do {
                SqlField column;
                column.name = identifier();
                column.type = type(0);
                column_options(column);
                out.columns.push_back(std::move(column));
            } while (take_symbol(","));
            expect_symbol(")");
        }
        bool commented = false;
        for (;;) {
            if (sees("USING") && out.provider.empty()) {
                ++at_;
                out.provider = to_lower(identifier());
            } else if (sees("COMMENT") && !commented) {
                ++at_;
                out.comment = string_literal();
                commented = true;
            } else if (sees("TBLPROPERTIES") && out.properties.empty()) {
                ++at_;
                out.properties = properties();
            } else if (sees("CLUSTER") && out.cluster_by.empty()) {
                ++at_;
                expect("BY");
                out.cluster_by = identifier_list();
            } else {
                return out;
            }
        }
    }

    std::map<std::string, std::string> properties() {
        std::map<std::string, std::string> out;
        expect_symbol("(");
        do {
            std::string key;
            if (peek().kind == TokenKind::string)
                key = advance().text;
            else
                key = join(name(), ".");
            take_symbol("=");
            std::string value;
            if (peek().kind == TokenKind::number || sees("TRUE") || sees("FALSE"))
                value = to_lower(advance().text);
            else
                value = string_literal();
            if (!out.emplace(key, value).second)
                throw SqlError("[DUPLICATE_KEY] Found duplicate keys `" + key + "`. SQLSTATE: 23505",
                               "23505");
        } while (take_symbol(","));
        expect_symbol(")");
        return out;
    }

    CreateView create_view(bool or_replace) {
        CreateView out;
        out.or_replace = or_replace;
        out.if_exists = if_not_exists();
        out.name = name();
        if (sees_symbol("(")) {
            ++at_;
            do {
                out.columns.push_back(identifier());
                if (take("COMMENT")) string_literal();
            } while (take_symbol(","));
            expect_symbol(")");
        }
        if (take("COMMENT")) out.comment = string_literal();
        expect("AS");
        if (!sees("SELECT") && !sees("WITH") && !sees_symbol("(")) throw unexpected();
        const std::size_t begin = peek().begin;
        std::size_t end = begin;
        int depth = 0;
        // The query is kept as text; what can be checked without understanding it: brackets and the tables.
        while (peek().kind != TokenKind::end && !(depth == 0 && sees_symbol(";"))) {
            if (sees_symbol(";")) throw unexpected();
            if (sees_symbol("(")) ++depth;
            if (sees_symbol(")") && --depth < 0) throw unexpected();
            const bool source_follows = sees("FROM") || sees("JOIN");
            end = advance().end;
            if (source_follows) note_source(out);
        }
        if (depth != 0) throw unexpected();
        out.definition = std::string(sql_.substr(begin, end - begin));
        return out;
    }

    void note_source(CreateView& view) {
        const std::size_t here = at_;
        const auto is_name = [&] {
            return peek().kind == TokenKind::word || peek().kind == TokenKind::quoted;
        };
        SqlName found;
        while (is_name()) {
            found.push_back(advance().text);
            if (!take_symbol(".")) break;
        }
        at_ = here;
        if (found.size() == 3) view.three_parted.push_back(found);
    }

    // --- GRANT, REVOKE, SHOW, DESCRIBE, DROP
    // ----------------------------------------------------------------

    // ON [CATALOG | SCHEMA | DATABASE | TABLE | VIEW] name
    std::string securable() {
        expect("ON");
        const auto followed = [&] {
            return peek(1).kind == TokenKind::word || peek(1).kind == TokenKind::quoted;
        };
        if (sees("CATALOG") && followed()) return ++at_, "catalog";
        if ((sees("SCHEMA") || sees("DATABASE")) && followed()) return ++at_, "schema";
        if ((sees("TABLE") || sees("VIEW")) && followed()) ++at_;
        return "table";
    }

    std::string principal() {
        // An e-mail address needs back-quotes: a bare one stops at its @.
        if (peek().kind == TokenKind::string) throw unexpected();
        return identifier();
    }

    GrantOrRevoke grant(bool revoke) {
        GrantOrRevoke out;
        out.revoke = revoke;
        do {
            std::string words;
            while (peek().kind == TokenKind::word && !sees("ON")) {
                if (!words.empty()) words += " ";
                std::string word = advance().text;
                std::transform(word.begin(), word.end(), word.begin(), [](char c) {
                    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
                });
                words += word;
            }
            if (words.empty()) throw unexpected();
            out.privileges.push_back(words);
        } while (take_symbol(","));
        out.securable = securable();
        out.name = name();
        expect(revoke ? "FROM" : "TO");
        out.principal = principal();
        return out;
    }

    DescribeTable describe() {
        DescribeTable out;
        if (sees("TABLE") && peek(1).kind != TokenKind::end) ++at_;
        out.extended = take("EXTENDED") || take("FORMATTED");
        out.name = name();
        return out;
    }

    SqlStatement show() {
        if (take("TBLPROPERTIES")) {
            ShowProperties out;
            out.name = name();
            if (take_symbol("(")) {
                out.key = peek().kind == TokenKind::string ? advance().text : join(name(), ".");
                expect_symbol(")");
            }
            return out;
        }
        if (!take("GRANTS") && !take("GRANT")) throw unexpected();
        ShowGrants out;
        if (!sees("ON")) out.principal = principal();
        out.securable = securable();
        out.name = name();
        return out;
    }

    Drop drop() {
        Drop out;
        if (take("TABLE"))
            out.what = "table";
        else if (take("VIEW"))
            out.what = "view";
        else if (take("SCHEMA") || take("DATABASE"))
            out.what = "schema";
        else
            throw unexpected();
        if (take("IF")) {
            expect("EXISTS");
            out.if_exists = IfExists::skip;
        }
        out.name = name();
        return out;
    }

    // --- SELECT -----------------------------------------------------------------------------------------

    bool reads_a_table() const {
        return std::any_of(tokens_.begin(), tokens_.end(), [](const SqlToken& token) {
            return token.kind == TokenKind::word && iequals(token.text, "FROM");
        });
    }

    TableQuery table_query() {
        at_ = tokens_.size() - 1;
        return {std::string(sql_), parameters_};
    }

    Select select() {
        Select out;
        do out.items.push_back(item());
        while (take_symbol(","));
        if (take("LIMIT")) out.limit = small_number();
        return out;
    }

    Select::Item item() {
        using Kind = Select::Item::Kind;
        Select::Item out;
        if (sees("COUNT") && sees_symbol("(", 1) && sees_symbol("*", 2)) {
            at_ += 3;
            expect_symbol(")");
            out = {Kind::count, "", "count(1)", "BIGINT"};
        } else if ((sees("CURRENT_USER") || sees("SESSION_USER") || sees("USER")) && sees_symbol("(", 1)) {
            out = {Kind::current_user, "", to_lower(peek().text) + "()", "STRING"};
            at_ += 2;
            expect_symbol(")");
        } else if (sees_symbol(":")) {
            const auto value = parameter();
            out = {value ? Kind::literal : Kind::null, value.value_or(""), tokens_[at_ - 1].text, "STRING"};
        } else if (take("NULL")) {
            out = {Kind::null, "", "NULL", "VOID"};
        } else if (sees("TRUE") || sees("FALSE")) {
            const std::string text = to_lower(advance().text);
            out = {Kind::literal, text, text, "BOOLEAN"};
        } else if (peek().kind == TokenKind::string) {
            const std::string text = advance().text;
            out = {Kind::literal, text, text, "STRING"};
        } else {
            const std::string sign = take_symbol("-") ? "-" : "";
            if (peek().kind != TokenKind::number) throw unexpected();
            const std::string text = sign + advance().text;
            out = {Kind::literal, text, text, text.find('.') == std::string::npos ? "INT" : "DECIMAL(10,2)"};
        }
        if (take("AS"))
            out.name = identifier();
        else if ((peek().kind == TokenKind::word && !sees("FROM") && !sees("LIMIT")) ||
                 peek().kind == TokenKind::quoted)
            out.name = identifier();
        return out;
    }

    const SqlParameters& parameters_;
};

} // namespace

SqlStatement parse_sql(std::string_view sql, const SqlParameters& parameters) {
    return Parser(sql, parameters).statement();
}

SqlType parse_type(std::string_view text) {
    static const SqlParameters none;
    return Parser(text, none).lone_type();
}

} // namespace dbx::standin
