#include "core/tables/schema.hpp"

#include "core/base/strings.hpp"
#include "templates/builtin.hpp"

#include <array>
#include <stdexcept>

namespace dbx::tables {

namespace {

constexpr std::string_view placeholder = "{{table}}";

std::string_view template_of(Signal signal) {
    constexpr std::array<std::string_view, 3> files = {"otel_metrics.sql", "otel_logs.sql", "otel_spans.sql"};
    const auto wanted = files[static_cast<std::size_t>(signal)];
    for (const auto& file : templates::builtin_files())
        if (file.folder == "sql" && file.name == wanted) return trim(file.text);
    throw std::logic_error("templates/sql/ is not complete"); // compiled in: only a broken build gets here
}

// Parts between commas that stand in no bracket.
std::vector<std::string> items(std::string_view text) {
    std::vector<std::string> result(1);
    int depth = 0;
    for (const char c : text) {
        if (c == '<' || c == '(') ++depth;
        if (c == '>' || c == ')') --depth;
        if (c == ',' && depth == 0)
            result.emplace_back();
        else
            result.back() += c;
    }
    return result;
}

std::string_view unquoted(std::string_view text) {
    text = trim(text);
    return text.size() >= 2 && text.front() == '\'' ? text.substr(1, text.size() - 2) : text;
}

// Our own files, of one form: "CREATE … {{table}} (columns) USING DELTA TBLPROPERTIES (pairs)".
TableSchema read_schema(Signal signal) {
    const auto text = template_of(signal);
    const auto open = text.find('(');
    const auto close = text.find(") USING DELTA");
    const auto pairs = text.rfind('(');
    if (open == std::string_view::npos || close == std::string_view::npos || pairs < close)
        throw std::logic_error("templates/sql/ is not of the form that is expected");
    TableSchema schema;
    schema.signal = signal;
    for (const auto& item : items(text.substr(open + 1, close - open - 1))) {
        const auto column = trim(item);
        const auto blank = column.find(' ');
        auto type = parse_type(column.substr(std::min(blank, column.size())));
        if (!type) throw std::logic_error("templates/sql/ holds a type that is not one");
        schema.columns.push_back({std::string(column.substr(0, blank)), std::move(*type)});
    }
    for (const auto& item : items(text.substr(pairs + 1, text.rfind(')') - pairs - 1))) {
        const auto equals = item.find('=');
        if (equals == std::string::npos)
            throw std::logic_error("templates/sql/ holds a property without a value");
        schema.properties[std::string(unquoted(std::string_view(item).substr(0, equals)))] =
            unquoted(std::string_view(item).substr(equals + 1));
    }
    return schema;
}

} // namespace

const TableSchema& documented_schema(Signal signal) {
    static const std::array<TableSchema, 3> schemas = {
        read_schema(Signal::metrics), read_schema(Signal::logs), read_schema(Signal::traces)};
    return schemas[static_cast<std::size_t>(signal)];
}

Statement create_schema(const Place& place) {
    return {"create the schema " + place.schema_name(), place.schema_name(),
            "CREATE SCHEMA IF NOT EXISTS " + place.quoted_schema()};
}

Statement create_table(const Place& place, Signal signal) {
    return {"create the table " + place.table_name(signal), place.table_name(signal),
            replace_all(std::string(template_of(signal)), placeholder, place.quoted_table(signal))};
}

std::vector<Statement> grants(const Place& place, const std::vector<Signal>& signals,
                              std::string_view principal) {
    const std::string to = " TO " + quote_identifier(principal);
    std::vector<Statement> result = {{"grant USE CATALOG on the catalog " + place.catalog, place.catalog,
                                      "GRANT USE CATALOG ON CATALOG " + place.quoted_catalog() + to},
                                     {"grant USE SCHEMA on the schema " + place.schema_name(),
                                      place.schema_name(),
                                      "GRANT USE SCHEMA ON SCHEMA " + place.quoted_schema() + to}};
    for (const Signal signal : signals)
        result.push_back({"grant MODIFY and SELECT on the table " + place.table_name(signal),
                          place.table_name(signal),
                          "GRANT MODIFY, SELECT ON TABLE " + place.quoted_table(signal) + to});
    return result;
}

Statement describe_table(const Place& place, Signal signal) {
    return {"describe the table " + place.table_name(signal), place.table_name(signal),
            "DESCRIBE TABLE EXTENDED " + place.quoted_table(signal)};
}

std::string script(const std::vector<Statement>& statements) {
    std::string result;
    bool block = false; // the one before has several lines
    for (const auto& statement : statements) {
        const bool lines = statement.sql.find('\n') != std::string::npos;
        if (!result.empty() && (lines || block)) result += "\n";
        result += statement.sql + ";\n";
        block = lines;
    }
    return result;
}

} // namespace dbx::tables
