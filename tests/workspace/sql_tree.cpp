#include "tests/workspace/sql_tree.hpp"

#include "core/base/strings.hpp"
#include "tests/workspace/sql_cursor.hpp"

#include <algorithm>
#include <charconv>

namespace dbx::standin::tree {

namespace {

constexpr int deepest_expression = 200;

class QueryParser : SqlCursor {
  public:
    QueryParser(std::string_view sql, const SqlParameters& parameters)
        : SqlCursor(sql)
        , parameters_(parameters) {}

    std::shared_ptr<Query> whole() {
        auto out = query();
        take_symbol(";");
        if (peek().kind != TokenKind::end) throw unexpected();
        return out;
    }

  private:
    bool is_identifier() const {
        return peek().kind == TokenKind::quoted ||
               (peek().kind == TokenKind::word &&
                !one_of(peek().text,
                        {"SELECT", "FROM",  "WHERE",    "GROUP",       "HAVING",  "ORDER",   "LIMIT",
                         "UNION",  "ON",    "JOIN",     "LEFT",        "RIGHT",   "FULL",    "INNER",
                         "CROSS",  "AND",   "OR",       "NOT",         "WHEN",    "THEN",    "ELSE",
                         "END",    "AS",    "IS",       "IN",          "LIKE",    "BETWEEN", "CASE",
                         "WITH",   "OVER",  "DISTINCT", "QUALIFY",     "LATERAL", "EXCEPT",  "INTERSECT",
                         "MINUS",  "USING", "WINDOW",   "TABLESAMPLE", "PIVOT",   "NATURAL", "SEMI",
                         "ANTI"}));
    }
    std::string identifier() {
        if (!is_identifier()) throw unexpected();
        return tokens_[at_++].text;
    }

    std::shared_ptr<Query> query() {
        deeper();
        auto out = std::make_shared<Query>();
        if (take("WITH")) {
            do {
                std::string name = identifier();
                expect("AS");
                expect_symbol("(");
                out->with.emplace_back(std::move(name), query());
                expect_symbol(")");
            } while (take_symbol(","));
        }
        do out->parts.push_back(select());
        while (union_all());
        if (take("ORDER")) {
            expect("BY");
            do {
                OrderItem item;
                item.node = expression();
                item.descending = take("DESC");
                if (!item.descending) take("ASC");
                if (take("NULLS")) item.nulls = take("FIRST") ? "FIRST" : (expect("LAST"), "LAST");
                out->order.push_back(std::move(item));
            } while (take_symbol(","));
        }
        if (take("LIMIT")) {
            if (peek().kind != TokenKind::number) throw unexpected();
            out->limit = tokens_[at_++].text;
        }
        --depth_;
        return out;
    }

    bool union_all() {
        if (!take("UNION")) return false;
        expect("ALL");
        return true;
    }

    SelectBody select() {
        SelectBody out;
        expect("SELECT");
        out.distinct = take("DISTINCT");
        do {
            Item item;
            item.node = expression();
            if (take("AS") || is_identifier()) item.name = identifier();
            out.items.push_back(std::move(item));
        } while (take_symbol(","));
        if (take("FROM")) {
            out.from.push_back(source(""));
            for (;;) {
                if (take("CROSS")) {
                    expect("JOIN");
                    out.from.push_back(source("CROSS JOIN"));
                    continue;
                }
                std::string join;
                if (take("LEFT")) {
                    take("OUTER");
                    join = "LEFT JOIN";
                    expect("JOIN");
                } else if (take("INNER")) {
                    join = "JOIN";
                    expect("JOIN");
                } else if (take("JOIN")) {
                    join = "JOIN";
                } else {
                    break;
                }
                Source joined = source(join);
                expect("ON");
                joined.on = expression();
                out.from.push_back(std::move(joined));
            }
        }
        if (take("WHERE")) out.where = expression();
        if (take("GROUP")) {
            expect("BY");
            if (take("ALL"))
                out.group_all = true;
            else
                do out.group.push_back(expression());
                while (take_symbol(","));
        }
        if (take("HAVING")) out.having = expression();
        return out;
    }

    Source source(std::string join) {
        Source out;
        out.join = std::move(join);
        out.at = peek().begin;
        if (take_symbol("(")) {
            out.query = query();
            expect_symbol(")");
        } else {
            out.name.push_back(identifier());
            while (take_symbol(".")) out.name.push_back(identifier());
        }
        if (take("AS") || is_identifier()) out.alias = identifier();
        return out;
    }

    // --- expressions, weakest first
    void deeper() {
        if (++depth_ > deepest_expression) throw unexpected();
    }

    NodePtr node(Node::Kind kind, std::string text = {}, std::vector<NodePtr> children = {}) {
        auto out = std::make_shared<Node>();
        out->kind = kind;
        out->text = std::move(text);
        out->children = std::move(children);
        out->at = peek().begin;
        return out;
    }

    NodePtr expression() {
        deeper();
        NodePtr left = conjunction();
        while (take("OR")) left = node(Node::Kind::binary, "OR", {left, conjunction()});
        --depth_;
        return left;
    }
    NodePtr conjunction() {
        NodePtr left = negation();
        while (take("AND")) left = node(Node::Kind::binary, "AND", {left, negation()});
        return left;
    }
    NodePtr negation() {
        if (!take("NOT")) return comparison();
        deeper();
        NodePtr out = node(Node::Kind::unary, "NOT", {negation()});
        --depth_;
        return out;
    }
    NodePtr comparison() {
        NodePtr left = sum();
        for (;;) {
            if (take("IS")) {
                const bool negated = take("NOT");
                expect("NULL");
                left = node(Node::Kind::is_null, "", {left});
                left->flag = negated;
                continue;
            }
            const bool negated = sees("NOT") && (sees("IN", 1) || sees("LIKE", 1) || sees("BETWEEN", 1));
            if (negated) ++at_;
            if (take("IN")) {
                expect_symbol("(");
                std::vector<NodePtr> all{left};
                do all.push_back(expression());
                while (take_symbol(","));
                expect_symbol(")");
                left = node(Node::Kind::in, "", std::move(all));
                left->flag = negated;
                continue;
            }
            if (take("LIKE")) {
                left = node(Node::Kind::binary, "LIKE", {left, sum()});
                left->flag = negated;
                continue;
            }
            if (take("BETWEEN")) {
                NodePtr low = sum();
                expect("AND");
                left = node(Node::Kind::between, "", {left, low, sum()});
                left->flag = negated;
                continue;
            }
            bool found = false;
            for (const std::string_view symbol : {"<=>", "<=", ">=", "<>", "!=", "=", "<", ">"}) {
                if (symbol == "=" && sees_symbol("==")) take_symbol("=");
                if (!take_symbol(symbol)) continue;
                left = node(Node::Kind::binary, std::string(symbol == "!=" ? "<>" : symbol), {left, sum()});
                found = true;
                break;
            }
            if (!found) return left;
        }
    }
    NodePtr sum() {
        NodePtr left = product();
        for (;;) {
            if (take_symbol("||"))
                left = node(Node::Kind::binary, "||", {left, product()});
            else if (take_symbol("+"))
                left = node(Node::Kind::binary, "+", {left, product()});
            else if (take_symbol("-"))
                left = node(Node::Kind::binary, "-", {left, product()});
            else
                return left;
        }
    }
    NodePtr product() {
        NodePtr left = prefix();
        for (;;) {
            if (take_symbol("*"))
                left = node(Node::Kind::binary, "*", {left, prefix()});
            else if (take_symbol("/"))
                left = node(Node::Kind::binary, "/", {left, prefix()});
            else
                return left;
        }
    }
    NodePtr prefix() {
        if (!take_symbol("-")) return postfix();
        deeper();
        NodePtr out = node(Node::Kind::unary, "-", {prefix()});
        --depth_;
        return out;
    }
    NodePtr postfix() {
        NodePtr left = primary();
        for (;;) {
            if (take_symbol("[")) {
                left = node(Node::Kind::element, "", {left, expression()});
                expect_symbol("]");
            } else if (sees_symbol(".") && left->kind != Node::Kind::literal) {
                ++at_;
                if (left->kind == Node::Kind::name) {
                    if (take_symbol("*")) {
                        left->kind = Node::Kind::star;
                        return left;
                    }
                    left->name.push_back(identifier());
                } else {
                    left = node(Node::Kind::field, identifier(), {left});
                }
            } else {
                return left;
            }
        }
    }

    NodePtr literal(SqlType type, std::string text) {
        NodePtr out = node(Node::Kind::literal, std::move(text));
        out->type = std::move(type);
        return out;
    }

    NodePtr primary() {
        if (take_symbol("(")) {
            if (sees("SELECT") || sees("WITH")) throw unexpected(); // no subqueries in expressions
            NodePtr inner = expression();
            expect_symbol(")");
            return inner;
        }
        if (take_symbol("*")) return node(Node::Kind::star);
        if (sees_symbol(":")) {
            ++at_;
            if (peek().kind != TokenKind::word) throw unexpected();
            const auto found = parameters_.find(peek().text);
            if (found == parameters_.end())
                throw SqlError("[UNBOUND_SQL_PARAMETER] Found the unbound parameter: " + peek().text +
                                   ". SQLSTATE: 42P02",
                               "42P02");
            ++at_;
            return found->second ? literal(simple("string"), *found->second) : node(Node::Kind::null);
        }
        if (peek().kind == TokenKind::string) return literal(simple("string"), tokens_[at_++].text);
        if (peek().kind == TokenKind::number) {
            const std::string text = tokens_[at_++].text;
            if (text.find('.') != std::string::npos) return literal(simple("double"), text);
            std::int64_t value = 0;
            if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc())
                throw unexpected();
            return literal(simple(text.size() > 9 ? "bigint" : "int"), text);
        }
        if (take("NULL")) return node(Node::Kind::null);
        if (sees("TRUE") || sees("FALSE"))
            return literal(simple("boolean"), take("TRUE") ? "1" : (++at_, "0"));
        if (sees("CASE")) return cases();
        if ((sees("CAST") || sees("TRY_CAST")) && peek(1).text == "(") return cast();
        if (!is_identifier() && !sees("LEFT")) throw unexpected();
        const bool word = peek().kind == TokenKind::word;
        if (word && peek(1).kind == TokenKind::symbol && peek(1).text == "(") return call();
        NodePtr out = node(Node::Kind::name);
        out->name.push_back(identifier());
        return out;
    }

    NodePtr cases() {
        NodePtr out = node(Node::Kind::cases);
        expect("CASE");
        NodePtr subject;
        if (!sees("WHEN")) subject = expression();
        if (!sees("WHEN")) throw unexpected();
        while (take("WHEN")) {
            NodePtr condition = expression();
            if (subject) condition = node(Node::Kind::binary, "=", {subject, condition});
            expect("THEN");
            out->children.push_back(condition);
            out->children.push_back(expression());
        }
        if (take("ELSE")) out->children.push_back(expression());
        expect("END");
        return out;
    }

    NodePtr cast() {
        NodePtr out = node(Node::Kind::cast);
        out->flag = sees("TRY_CAST");
        at_ += 2;
        out->children.push_back(expression());
        expect("AS");
        if (peek().kind != TokenKind::word) throw unexpected();
        out->type = simple(canonical_type(peek().text));
        if (!one_of(out->type.name, {"string", "int", "bigint", "double", "boolean", "date"}))
            throw unexpected();
        ++at_;
        expect_symbol(")");
        return out;
    }

    NodePtr call() {
        NodePtr out = node(Node::Kind::call, to_lower(tokens_[at_++].text));
        expect_symbol("(");
        out->flag = take("DISTINCT");
        if (!take_symbol(")")) {
            do out->children.push_back(expression());
            while (take_symbol(","));
            expect_symbol(")");
        }
        if (sees("FILTER")) {
            ++at_;
            expect_symbol("(");
            expect("WHERE");
            out->filter = expression();
            expect_symbol(")");
        }
        if (take("OVER")) {
            Window window;
            expect_symbol("(");
            if (take("PARTITION")) {
                expect("BY");
                do window.partition.push_back(expression());
                while (take_symbol(","));
            }
            if (take("ORDER")) {
                expect("BY");
                do {
                    NodePtr by = expression();
                    const bool descending = take("DESC");
                    if (!descending) take("ASC");
                    window.order.emplace_back(std::move(by), descending);
                } while (take_symbol(","));
            }
            expect_symbol(")"); // no frames
            out->window = std::move(window);
        }
        return out;
    }

    const SqlParameters& parameters_;
    int depth_ = 0;
};

} // namespace

std::shared_ptr<Query> parse_query(std::string_view sql, const SqlParameters& parameters) {
    return QueryParser(sql, parameters).whole();
}

SqlType simple(std::string name) {
    SqlType out;
    out.name = std::move(name);
    return out;
}

bool one_of(std::string_view word, std::initializer_list<std::string_view> words) {
    return std::any_of(words.begin(), words.end(), [&](std::string_view w) { return iequals(w, word); });
}

} // namespace dbx::standin::tree
