#include "core/agents/otel_variables.hpp"
#include "core/agents/read_agent.hpp"
#include "core/agents/render.hpp"

#include <doctest/doctest.h>

using namespace dbx;
using namespace dbx::agents;

namespace {

std::map<std::string, std::string> folder(const std::string& more) {
    return {{"agent.toml",
             "format = 1\ndisplay_name = \"Six\"\nauth = [\"pat\"]\n[home]\npath = \"~/.six\"\n[models]\n"
             "main = \"m\"\n[[file]]\nname = \"config\"\npath = \"c.toml\"\nformat = \"toml\"\n"
             "[[part]]\nfile = \"config\"\ndocument = \"c.toml\"\nreplace = [\"otel.exporter\"]\n" +
                 more},
            {"c.toml",
             "[otel]\nquiet = true\n[otel.exporter.http]\nendpoint = \"{{otel.endpoint}}/v1/logs\"\n"
             "[otel.exporter.http.headers]\nauthorization = \"Bearer {{token}}\"\n"}};
}

Variables variables() {
    Variables result;
    result.values = {
        {"otel.endpoint", "https://w/api/2.0/otel"}, {"otel.tables", "a.b.c"}, {"token", "secret"}};
    result.secrets = {"token"};
    return result;
}

} // namespace

TEST_CASE("a table that is replaced as a whole is one leaf, filled in and known as a secret") {
    const auto agent = read_agent("six", "~/t/six", folder(""));
    REQUIRE(agent);
    const auto leaves = render(*agent, agent->parts.front().document, edit::Format::toml, variables(),
                               agent->parts.front().replace);
    REQUIRE(leaves);
    REQUIRE(leaves->size() == 2);
    CHECK((*leaves)[0].path == edit::KeyPath{"otel", "quiet"});
    CHECK_FALSE((*leaves)[0].secret);
    CHECK((*leaves)[1].path == edit::KeyPath{"otel", "exporter"});
    CHECK((*leaves)[1].secret);
    CHECK(nlohmann::json((*leaves)[1].value) ==
          nlohmann::json::parse(R"({"http": {"endpoint": "https://w/api/2.0/otel/v1/logs",
                                             "headers": {"authorization": "Bearer secret"}}})"));
}

TEST_CASE("a note is filled in, and takes no secret") {
    const auto agent = read_agent("six", "~/t/six",
                                  folder("[[note]]\ntext = \"use --otel {{otel.tables}}\"\n"
                                         "[[note]]\nbelow = \"1.2.0\"\ntext = \"{{token}}\"\n"));
    REQUIRE(agent);
    REQUIRE(agent->notes.size() == 2);
    CHECK(render_note(*agent, agent->notes[0], variables()).value() == "use --otel a.b.c");
    CHECK(agent->notes[1].below == "1.2.0");
    CHECK_FALSE(render_note(*agent, agent->notes[1], variables()));
    CHECK_FALSE(render_note(*agent, agent->notes[0], Variables()));

    const auto wrong = read_agent("six", "~/t/six", folder("[[note]]\ntext = \"{{otel.table}}\"\n"));
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().why.find("{{otel.table}}") != std::string::npos);
}

TEST_CASE("the documents' variables are filled from what is known, and never with a token") {
    const auto empty = otel_variables("", std::nullopt);
    REQUIRE(empty.size() == 10);
    CHECK(empty.front().first == "OTEL_METRICS_EXPORTER");
    CHECK(empty[2].second == "https://<workspace-url>/api/2.0/otel/v1/metrics");
    const auto filled = otel_variables("https://w.example", otlp::Place{"main", "telemetry", "dev"});
    CHECK(filled[2].second == "https://w.example/api/2.0/otel/v1/metrics");
    CHECK(filled[3].second ==
          "content-type=application/x-protobuf,Authorization=Bearer <databricks_pat_token>,"
          "X-Databricks-UC-Table-Name=main.telemetry.dev_otel_metrics");
}
