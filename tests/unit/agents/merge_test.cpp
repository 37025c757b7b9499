#include "core/agents/plan.hpp"

#include <doctest/doctest.h>

using namespace dbx;
using namespace dbx::agents;

TEST_CASE("a header line joins the others, and replaces one of its own name") {
    CHECK(merge_lines("", {"x-a: 1"}) == "x-a: 1");
    CHECK(merge_lines("x-b: 2", {"x-a: 1"}) == "x-b: 2\nx-a: 1");
    CHECK(merge_lines("X-A:9\nx-b: 2", {"x-a: 1"}) == "x-a: 1\nx-b: 2");
    CHECK(merge_lines("x-b: 2\n", {"x-a: 1"}) == "x-b: 2\nx-a: 1\n");
    CHECK(merge_lines(" x-a: 1 ", {"x-a: 1"}) == " x-a: 1 ");
}

TEST_CASE("an entry joins a list once, in either separator, and never a star") {
    CHECK(merge_entries("", {"127.0.0.1", "localhost"}) == "127.0.0.1,localhost");
    CHECK(merge_entries("corp.example", {"localhost"}) == "corp.example,localhost");
    CHECK(merge_entries("localhost corp.example", {"localhost"}) == "localhost corp.example");
    CHECK(merge_entries("*", {"localhost"}) == "*");
}

TEST_CASE("a main model stands for its own family, unless that has a model of its own") {
    Agent agent;
    agent.models = {{"main", "m"}, {"opus", "o"}, {"sonnet", "s"}};
    const auto models = models_for(agent, {{"main", "databricks-claude-sonnet-9"}});
    CHECK(models.at("main") == "databricks-claude-sonnet-9");
    CHECK(models.at("sonnet") == "databricks-claude-sonnet-9");
    CHECK(models.at("opus") == "o");
    CHECK(models_for(agent, {{"main", "x-sonnet"}, {"sonnet", "own"}}).at("sonnet") == "own");
    CHECK(models_for(agent, {{"unknown", "x"}}).size() == 3);
}

TEST_CASE("pieces put together are the text") {
    const std::string text = "\xEF\xBB\xBF{\"a\":[1,2],\r\n\"b\":{}}\nlast";
    std::string joined;
    for (const auto piece : pieces_of(text)) joined += piece;
    CHECK(joined == text.substr(3));
    CHECK(pieces_of("").empty());
}
