#pragma once

#include "tests/workspace/http.hpp"
#include "tests/workspace/state.hpp"

#include <string>
#include <string_view>

namespace dbx::standin {

// Who asks, as found by authenticate() in tokens.hpp.
struct Caller {
    std::string name;
    std::vector<std::string> scopes;
};

// What a handler works with. Handlers run one at a time, under the workspace's lock, and never wait.
struct Context {
    const Request& request;
    Store& store;
    Caller caller = {};
    // Filled in by model routes, for the record of requests.
    Json model = nullptr;
    Json usage = nullptr;

    World& world() { return store.world; }
};

// Answers in the shapes of Databricks.
Response json_response(int status, const Json& body);
// {"error_code":…,"message":…}
Response api_error(int status, std::string_view code, std::string_view message);
Response not_found_route(const Request& request);
Response wrong_method();

// The body as a JSON object, or the answer that refuses it.
struct BodyOrError {
    Json body;
    std::optional<Response> error;
};
BodyOrError json_body(const Request& request);

// `page_size` and `page_token` of a list; a page token is opaque and only good for the list that gave it.
struct Page {
    std::size_t begin = 0;
    std::size_t end = 0;
    std::string next; // empty: the last page
    std::optional<Response> error;
};
Page page_of(const Request& request, std::string_view list, std::size_t total, std::size_t default_size,
             std::size_t largest, std::string_view size_name = "page_size");

} // namespace dbx::standin
