#include "core/tables/views.hpp"

#include "core/base/strings.hpp"
#include "core/databricks/catalog.hpp"
#include "templates/builtin.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

namespace dbx::tables {

namespace {

constexpr std::array views = {
    View{"points", Signal::metrics, ""},
    View{"events", Signal::logs, ""},
    View{"tokens", Signal::metrics, "points"},
    View{"cost", Signal::metrics, "points"},
    View{"proxy_tokens", Signal::metrics, "points"},
    View{"sessions", Signal::logs, "events"},
    View{"errors", Signal::logs, "events"},
    View{"tool_decisions", Signal::logs, "events"},
};

std::string_view template_of(const View& view) {
    const std::string wanted = "otel_v_" + std::string(view.name) + ".sql";
    for (const auto& file : templates::builtin_files())
        if (file.folder == "sql" && file.name == wanted) return trim(file.text);
    throw std::logic_error("templates/sql/ is not complete"); // compiled in: only a broken build gets here
}

std::string quoted_view(const Place& place, std::string_view name) {
    return place.quoted_schema() + "." + quote_identifier(place.prefix + "_otel_v_" + std::string(name));
}

std::string filled(const Place& place, const View& view) {
    auto text = std::string(template_of(view));
    text = replace_all(std::move(text), "{{view}}", quoted_view(place, view.name));
    text = replace_all(std::move(text), "{{metrics}}", place.quoted_table(Signal::metrics));
    text = replace_all(std::move(text), "{{logs}}", place.quoted_table(Signal::logs));
    text = replace_all(std::move(text), "{{points}}", quoted_view(place, "points"));
    return replace_all(std::move(text), "{{events}}", quoted_view(place, "events"));
}

// Blanks as one each, none at the ends, no ';'.
std::string squeezed(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const bool blank = c == ' ' || c == '\n' || c == '\r' || c == '\t';
        if (!blank)
            out += c;
        else if (!out.empty() && out.back() != ' ')
            out += ' ';
    }
    while (!out.empty() && (out.back() == ' ' || out.back() == ';')) out.pop_back();
    return out;
}

} // namespace

std::span<const View> all_views() {
    return views;
}

std::vector<View> views_over(const std::vector<Signal>& signals) {
    std::vector<View> result;
    for (const auto& view : views)
        if (std::find(signals.begin(), signals.end(), view.reads) != signals.end()) result.push_back(view);
    return result;
}

std::string view_name(const Place& place, const View& view) {
    return place.schema_name() + "." + place.prefix + "_otel_v_" + std::string(view.name);
}

Result<void> check_view_names(const Place& place) {
    for (const auto& view : views) {
        const auto size = place.prefix.size() + std::string_view("_otel_v_").size() + view.name.size();
        if (size > longest_name_bytes)
            return fail(ErrorKind::usage, "the prefix is too long for the views",
                        "the name of the view " + std::string(view.name) + " would have " +
                            std::to_string(size) + " bytes, and 255 are allowed",
                        "use a shorter --prefix, or do without --views");
    }
    return {};
}

Statement create_view(const Place& place, const View& view) {
    return {"create the view " + view_name(place, view), view_name(place, view), filled(place, view)};
}

std::string view_query(const Place& place, const View& view) {
    const auto text = filled(place, view);
    constexpr std::string_view before = "\nAS\n";
    const auto at = text.find(before);
    if (at == std::string::npos) throw std::logic_error("templates/sql/ holds a view of another form");
    return text.substr(at + before.size());
}

std::vector<Statement> reader_grants(const Place& place, const std::vector<View>& wanted,
                                     std::string_view principal) {
    const std::string to = " TO " + quote_identifier(principal);
    auto result = grants(place, {}, principal);
    for (const auto& view : wanted)
        result.push_back({"grant SELECT on the view " + view_name(place, view), view_name(place, view),
                          "GRANT SELECT ON VIEW " + quoted_view(place, view.name) + to});
    return result;
}

std::string_view name_of(ViewState state) {
    switch (state) {
    case ViewState::same:
        return "same";
    case ViewState::different:
        return "different";
    case ViewState::missing:
        return "missing";
    }
    return "missing";
}

databricks::ApiResult<ViewReport> check_view(databricks::Workspace& workspace, const Place& place,
                                             const View& view) {
    ViewReport report{view, view_name(place, view), ViewState::missing, ""};
    const auto found = databricks::get_table(workspace, report.name);
    if (!found) {
        if (found.error().problem == databricks::ApiProblem::not_found) return report;
        return tl::unexpected(found.error());
    }
    report.state = ViewState::different;
    if (found->table_type != "VIEW")
        report.why = "it is no view, but of the type " + found->table_type;
    else if (squeezed(found->view_definition) != squeezed(view_query(place, view)))
        report.why = "its query is another one: of another version, or changed by somebody";
    else
        report.state = ViewState::same;
    return report;
}

int exit_code_of(const std::vector<ViewReport>& reports) {
    const auto any = [&](ViewState state) {
        return std::any_of(reports.begin(), reports.end(), [&](const auto& r) { return r.state == state; });
    };
    if (any(ViewState::different)) return 11;
    return any(ViewState::missing) ? 12 : 0;
}

std::vector<std::vector<Statement>> create_steps(const Place& place, const std::vector<View>& wanted) {
    std::vector<std::vector<Statement>> steps(2);
    for (const auto& view : wanted) steps[view.over.empty() ? 0 : 1].push_back(create_view(place, view));
    std::erase_if(steps, [](const auto& step) { return step.empty(); });
    return steps;
}

} // namespace dbx::tables
