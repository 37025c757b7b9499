#include "tests/workspace/spark_functions.hpp"

#include "core/base/strings.hpp"
#include "tests/workspace/state.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <ctime>
#include <limits>

namespace dbx::standin {

namespace {

bool is_null(sqlite3_value* value) {
    return sqlite3_value_type(value) == SQLITE_NULL;
}

std::string text(sqlite3_value* value) {
    const auto* bytes = reinterpret_cast<const char*>(sqlite3_value_text(value));
    return bytes ? std::string(bytes, static_cast<std::size_t>(sqlite3_value_bytes(value))) : std::string();
}

void give(sqlite3_context* context, const std::string& value) {
    sqlite3_result_text(context, value.data(), static_cast<int>(value.size()), SQLITE_TRANSIENT);
}

void fail(sqlite3_context* context, const std::string& why) {
    sqlite3_result_error(context, why.c_str(), -1);
}

void bad_cast(sqlite3_context* context, const std::string& value, const char* type) {
    fail(context,
         "[CAST_INVALID_INPUT] The value '" + value + "' of the type \"STRING\" cannot be cast to \"" + type +
             "\" because it is malformed. Use `try_cast` to tolerate malformed input and return NULL "
             "instead. SQLSTATE: 22018");
}

// (text, 1: NULL when it is malformed)
template <class Number>
void cast_integer(sqlite3_context* context, int, sqlite3_value** values) {
    if (is_null(values[0])) return sqlite3_result_null(context);
    const std::string whole = text(values[0]);
    std::string_view digits = trim(whole);
    if (digits.starts_with('+')) digits.remove_prefix(1);
    Number number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error == std::errc() && end == digits.data() + digits.size())
        sqlite3_result_int64(context, number);
    else if (sqlite3_value_int(values[1]))
        sqlite3_result_null(context);
    else
        bad_cast(context, whole, sizeof(Number) == 8 ? "BIGINT" : "INT");
}

void cast_double(sqlite3_context* context, int, sqlite3_value** values) {
    if (is_null(values[0])) return sqlite3_result_null(context);
    const std::string whole = text(values[0]);
    std::string_view digits = trim(whole);
    if (digits.starts_with('+')) digits.remove_prefix(1);
    double number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error == std::errc() && end == digits.data() + digits.size() && std::isfinite(number))
        sqlite3_result_double(context, number);
    else if (sqlite3_value_int(values[1]))
        sqlite3_result_null(context);
    else
        bad_cast(context, whole, "DOUBLE");
}

void to_long(sqlite3_context* context, int, sqlite3_value** values) {
    if (is_null(values[0])) return sqlite3_result_null(context);
    const double number = std::trunc(sqlite3_value_double(values[0]));
    if (!(number >= -9.2233720368547758e18 && number < 9.2233720368547758e18))
        return fail(context,
                    "[CAST_OVERFLOW] The value cannot be cast to \"BIGINT\" due to an overflow. SQLSTATE: "
                    "22003");
    sqlite3_result_int64(context, static_cast<std::int64_t>(number));
}

void divide(sqlite3_context* context, int, sqlite3_value** values) {
    if (is_null(values[0]) || is_null(values[1])) return sqlite3_result_null(context);
    const double by = sqlite3_value_double(values[1]);
    if (by == 0)
        return fail(context,
                    "[DIVIDE_BY_ZERO] Division by zero. Use `try_divide` to tolerate divisor being 0 and "
                    "return NULL instead. SQLSTATE: 22012");
    sqlite3_result_double(context, sqlite3_value_double(values[0]) / by);
}

std::tm utc(std::int64_t microseconds) {
    std::int64_t seconds = microseconds / 1'000'000;
    if (microseconds % 1'000'000 < 0) --seconds;
    const std::time_t time = static_cast<std::time_t>(seconds);
    std::tm parts{};
    ::gmtime_r(&time, &parts);
    return parts;
}

void date(sqlite3_context* context, int, sqlite3_value** values) {
    if (is_null(values[0])) return sqlite3_result_null(context);
    const std::tm parts = utc(sqlite3_value_int64(values[0]));
    char out[32];
    std::strftime(out, sizeof out, "%Y-%m-%d", &parts);
    give(context, out);
}

// Numbers by value, texts by bytes: types agree, the translator saw to it.
bool less(sqlite3_value* a, sqlite3_value* b) {
    if (sqlite3_value_type(a) == SQLITE_TEXT) return text(a) < text(b);
    if (sqlite3_value_type(a) == SQLITE_INTEGER && sqlite3_value_type(b) == SQLITE_INTEGER)
        return sqlite3_value_int64(a) < sqlite3_value_int64(b);
    return sqlite3_value_double(a) < sqlite3_value_double(b);
}

// Unlike SQLite's own, they pass over NULLs.
void extreme(sqlite3_context* context, int count, sqlite3_value** values) {
    const bool greatest = sqlite3_user_data(context) != nullptr;
    sqlite3_value* best = nullptr;
    for (int i = 0; i < count; ++i) {
        if (is_null(values[i])) continue;
        if (!best || (greatest ? less(best, values[i]) : less(values[i], best))) best = values[i];
    }
    if (best)
        sqlite3_result_value(context, best);
    else
        sqlite3_result_null(context);
}

void map_entries(sqlite3_context* context, int, sqlite3_value** values) {
    if (is_null(values[0])) return sqlite3_result_null(context);
    Json out = Json::array();
    const Json map = Json::parse(text(values[0]), nullptr, false);
    for (const auto& [key, value] : map.items()) out.push_back({{"key", key}, {"value", value}});
    give(context, out.dump());
}

void array_sort(sqlite3_context* context, int, sqlite3_value** values) {
    if (is_null(values[0])) return sqlite3_result_null(context);
    Json out = Json::parse(text(values[0]), nullptr, false);
    std::sort(out.begin(), out.end());
    give(context, out.dump());
}

// max_by(value, by): the value where `by` is greatest; rows whose `by` is NULL do not count.
struct Best {
    sqlite3_value* value;
    sqlite3_value* by;
};

void best_step(sqlite3_context* context, int, sqlite3_value** values) {
    auto* best = static_cast<Best*>(sqlite3_aggregate_context(context, sizeof(Best)));
    if (!best || is_null(values[1])) return;
    const bool greatest = sqlite3_user_data(context) != nullptr;
    if (best->by && !(greatest ? less(best->by, values[1]) : less(values[1], best->by))) return;
    sqlite3_value_free(best->value);
    sqlite3_value_free(best->by);
    best->value = sqlite3_value_dup(values[0]);
    best->by = sqlite3_value_dup(values[1]);
}

void best_end(sqlite3_context* context) {
    auto* best = static_cast<Best*>(sqlite3_aggregate_context(context, 0));
    if (!best || !best->by) return sqlite3_result_null(context);
    sqlite3_result_value(context, best->value);
    sqlite3_value_free(best->value);
    sqlite3_value_free(best->by);
}

} // namespace

void add_spark_functions(sqlite3* db) {
    static int yes = 1;
    const auto add = [&](const char* name, int count, void* data,
                         void (*function)(sqlite3_context*, int, sqlite3_value**)) {
        sqlite3_create_function(db, name, count, SQLITE_UTF8 | SQLITE_DETERMINISTIC, data, function, nullptr,
                                nullptr);
    };
    add("spark_cast_bigint", 2, nullptr, cast_integer<std::int64_t>);
    add("spark_cast_int", 2, nullptr, cast_integer<std::int32_t>);
    add("spark_cast_double", 2, nullptr, cast_double);
    add("spark_long", 1, nullptr, to_long);
    add("spark_divide", 2, nullptr, divide);
    add("spark_date", 1, nullptr, date);
    add("spark_greatest", -1, &yes, extreme);
    add("spark_least", -1, nullptr, extreme);
    add("spark_map_entries", 1, nullptr, map_entries);
    add("spark_array_sort", 1, nullptr, array_sort);
    sqlite3_create_function(db, "spark_max_by", 2, SQLITE_UTF8, &yes, nullptr, best_step, best_end);
    sqlite3_create_function(db, "spark_min_by", 2, SQLITE_UTF8, nullptr, nullptr, best_step, best_end);
}

std::string timestamp_text(std::int64_t microseconds) {
    const std::tm parts = utc(microseconds);
    char out[40];
    std::strftime(out, sizeof out, "%Y-%m-%dT%H:%M:%S", &parts);
    std::int64_t rest = microseconds % 1'000'000;
    if (rest < 0) rest += 1'000'000;
    char tail[16];
    std::snprintf(tail, sizeof tail, ".%03dZ", static_cast<int>(rest / 1000));
    return std::string(out) + tail;
}

} // namespace dbx::standin
