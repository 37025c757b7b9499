#include "core/otlp/names.hpp"

#include "core/base/strings.hpp"

#include <algorithm>

namespace dbx::otlp {

namespace {

bool is_identifier_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

std::string_view suffix_of(Signal signal) {
    switch (signal) {
    case Signal::metrics:
        return "_otel_metrics";
    case Signal::logs:
        return "_otel_logs";
    case Signal::traces:
        return "_otel_spans";
    }
    return {};
}

} // namespace

std::string_view name_of(Signal signal) {
    switch (signal) {
    case Signal::metrics:
        return "metrics";
    case Signal::logs:
        return "logs";
    case Signal::traces:
        return "traces";
    }
    return {};
}

Result<std::vector<Signal>> parse_signals(std::string_view text) {
    if (trim(text).empty()) return std::vector<Signal>(all_signals.begin(), all_signals.end());
    std::vector<bool> wanted(all_signals.size());
    for (const auto& part : split(text, ',')) {
        const auto word = trim(part);
        const auto found = std::find_if(all_signals.begin(), all_signals.end(),
                                        [&](Signal signal) { return iequals(word, name_of(signal)); });
        if (found == all_signals.end())
            return fail(ErrorKind::usage, "--signals: there is no signal '" + printable(word) + "'",
                        "known signals: metrics, logs, traces",
                        iequals(word, "spans") ? "the spans are the signal 'traces'"
                                               : "name some of them, with commas between");
        const auto index = static_cast<std::size_t>(found - all_signals.begin());
        if (wanted[index])
            return fail(ErrorKind::usage, "--signals names '" + std::string(name_of(*found)) + "' twice", {},
                        "name each once");
        wanted[index] = true;
    }
    std::vector<Signal> result;
    for (std::size_t i = 0; i < wanted.size(); ++i)
        if (wanted[i]) result.push_back(all_signals[i]);
    return result;
}

std::string Place::schema_name() const {
    return catalog + "." + schema;
}

std::string Place::table_name(Signal signal) const {
    return schema_name() + "." + prefix + std::string(suffix_of(signal));
}

std::string Place::quoted_catalog() const {
    return quote_identifier(catalog);
}

std::string Place::quoted_schema() const {
    return quoted_catalog() + "." + quote_identifier(schema);
}

std::string Place::quoted_table(Signal signal) const {
    return quoted_schema() + "." + quote_identifier(prefix + std::string(suffix_of(signal)));
}

Result<void> check_identifier(std::string_view what, std::string_view text) {
    const auto refuse = [&](std::string why) {
        return fail(ErrorKind::usage, std::string(what) + " cannot be used", std::move(why),
                    "use letters, digits, '_' and '-' only");
    };
    if (text.empty()) return refuse("it is empty");
    if (text.size() > longest_name_bytes)
        return refuse("it is longer than " + std::to_string(longest_name_bytes) + " bytes");
    const auto bad = std::find_if_not(text.begin(), text.end(), is_identifier_byte);
    if (bad != text.end()) {
        const auto byte = static_cast<unsigned char>(*bad);
        const std::string which = *bad == ' '                   ? "a blank"
                                  : byte < 0x20 || byte == 0x7f ? "a control character"
                                  : byte >= 0x80                ? "a letter outside ASCII"
                                                                : "'" + std::string(1, *bad) + "'";
        return refuse("'" + printable(text) + "' holds " + which);
    }
    return {};
}

Result<void> check_place(const Place& place) {
    if (auto ok = check_identifier("--catalog", place.catalog); !ok) return ok;
    if (auto ok = check_identifier("--schema", place.schema); !ok) return ok;
    if (auto ok = check_identifier("--prefix", place.prefix); !ok) return ok;
    for (const Signal signal : all_signals) {
        if (place.prefix.size() + suffix_of(signal).size() > longest_name_bytes)
            return fail(ErrorKind::usage, "--prefix cannot be used",
                        "with it, the tables' names are longer than " + std::to_string(longest_name_bytes) +
                            " bytes",
                        "use a shorter one");
    }
    return {};
}

Result<Place> parse_place(std::string_view text, std::string_view origin) {
    const auto parts = split(text, '.');
    if (parts.size() != 3)
        return fail(ErrorKind::usage, "the tables' place from " + std::string(origin) + " cannot be used",
                    "'" + printable(text) + "' is not of the form catalog.schema.prefix",
                    "write all three, with dots between");
    Place place{parts[0], parts[1], parts[2]};
    if (auto ok = check_place(place); !ok) {
        Error error = ok.error();
        error.what = "the tables' place from " + std::string(origin) + " cannot be used";
        return fail(error);
    }
    return place;
}

std::string quote_identifier(std::string_view text) {
    return "`" + replace_all(std::string(text), "`", "``") + "`";
}

} // namespace dbx::otlp
