#include "core/tables/views.hpp"
#include "tests/unit/databricks/api_bench.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace dbx;
using namespace dbx::tables;
using namespace dbx::test;

namespace {

const Place place{"main", "my-schema", "dev"};

ViewState state_of(const nlohmann::json& table) {
    ApiBench bench;
    bench.http.rule = [&](const http::Request&) { return answer(200, table.dump()); };
    return check_view(bench.workspace, place, all_views()[2])->state;
}

} // namespace

TEST_CASE("every view has its statement, and no placeholder is left") {
    for (const auto& view : all_views()) {
        const auto sql = create_view(place, view).sql;
        CAPTURE(sql);
        CHECK(sql.starts_with("CREATE OR REPLACE VIEW `main`.`my-schema`.`dev_otel_v_" +
                              std::string(view.name) + "`"));
        CHECK(sql.find("{{") == std::string::npos);
        CHECK(sql.find(';') == std::string::npos);
        const auto query = view_query(place, view);
        CHECK((query.starts_with("SELECT") || query.starts_with("WITH")));
        const auto below = view.over.empty()
                               ? place.quoted_table(view.reads)
                               : "`main`.`my-schema`.`dev_otel_v_" + std::string(view.over) + "`";
        CHECK(query.find("FROM " + below) != std::string::npos);
    }
}

TEST_CASE("a view comes after the one that it reads") {
    const auto steps = create_steps(place, views_over({Signal::metrics, Signal::logs}));
    REQUIRE(steps.size() == 2);
    CHECK(steps[0].size() == 2);
    CHECK(steps[1].size() == 6);
    CHECK(create_steps(place, {}).empty());
}

TEST_CASE("only views over the signals that are there") {
    for (const auto& view : views_over({Signal::logs})) CHECK(view.reads == Signal::logs);
    CHECK(views_over({Signal::traces}).empty());
    CHECK(views_over({Signal::logs, Signal::metrics}).size() == all_views().size());
}

TEST_CASE("a view is compared by its query, blanks aside") {
    const auto query = view_query(place, all_views()[2]);
    CHECK(state_of({{"table_type", "VIEW"}, {"view_definition", "\n " + query + " ;\n"}}) == ViewState::same);
    CHECK(state_of({{"table_type", "VIEW"}, {"view_definition", query + " LIMIT 1"}}) ==
          ViewState::different);
    CHECK(state_of({{"table_type", "VIEW"}}) == ViewState::different);
    CHECK(state_of({{"table_type", "MANAGED"}, {"view_definition", query}}) == ViewState::different);
}

TEST_CASE("a reader gets nothing on the tables") {
    for (const auto& grant : reader_grants(place, views_over({Signal::metrics}), "ada")) {
        CHECK(grant.sql.find("MODIFY") == std::string::npos);
        CHECK(grant.sql.find("ON TABLE") == std::string::npos);
    }
}

TEST_CASE("the views' names stay within what Unity Catalog allows") {
    CHECK(check_view_names({"c", "s", std::string(233, 'p')}));
    CHECK_FALSE(check_view_names({"c", "s", std::string(234, 'p')}));
}
