#pragma once

#include "core/tables/run.hpp"
#include "core/tables/schema.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::tables {

// A view over the tables, its SELECT in templates/sql/otel_v_NAME.sql.
struct View {
    std::string_view name; // "tokens": the view is PREFIX_otel_v_tokens
    Signal reads;          // the table below it
    std::string_view over; // the view below it; empty: the table itself
};

// Those that others stand on come first.
std::span<const View> all_views();
// The ones that these tables carry.
std::vector<View> views_over(const std::vector<Signal>& signals);

// catalog.schema.prefix_otel_v_name
std::string view_name(const Place& place, const View& view);
// Checks that the views' names stay within 255 bytes. Errors: kind usage.
Result<void> check_view_names(const Place& place);

// CREATE OR REPLACE VIEW: does no harm when it runs twice.
Statement create_view(const Place& place, const View& view);
// Its query, as Unity Catalog keeps it in view_definition.
std::string view_query(const Place& place, const View& view);
// What a reader of the views needs, and nothing on the tables: a view reads with its owner's rights.
std::vector<Statement> reader_grants(const Place& place, const std::vector<View>& views,
                                     std::string_view principal);

enum class ViewState { same, different, missing };
std::string_view name_of(ViewState state);

struct ViewReport {
    View view;
    std::string name;
    ViewState state = ViewState::missing;
    std::string why; // of `different`: a clause
};

// Compares the text of the query; blanks do not count.
databricks::ApiResult<ViewReport> check_view(databricks::Workspace& workspace, const Place& place,
                                             const View& view);

// As exit_code_of() of tables.
int exit_code_of(const std::vector<ViewReport>& reports);

// The statements in an order in which each finds what it reads: those of a step may run side by side.
std::vector<std::vector<Statement>> create_steps(const Place& place, const std::vector<View>& views);

} // namespace dbx::tables
