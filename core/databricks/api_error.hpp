#pragma once

#include "core/base/error.hpp"
#include "core/http/client.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace dbx::databricks {

// What a workspace or gateway means by its answer, whatever its form.
enum class ApiProblem {
    invalid_token,     // wrong, revoked or expired: 400 "Invalid Token", 401, 403 "Invalid access token"
    not_authenticated, // no credential arrived, or one of an unsupported type
    missing_scope,     // the token is restricted
    ip_blocked,        // an IP access list
    no_permission,
    not_found,
    route_missing, // this API or gateway route does not exist there
    conflict,      // it exists already, or changes meanwhile
    bad_request,
    rate_limited,
    unavailable, // 503, 504 and their kin: later
    server_error,
    login_page,   // HTML where JSON belongs: the wrong host, or a proxy's page
    private_link, // the workspace accepts private connections only
    redirected,
    not_databricks, // an answer that no Databricks API gives
    statement_failed,
    network,
    timeout,
    interrupted,
};

// An unwanted answer, for programs (problem, code) and for people (error: one sentence why, one fix).
struct ApiError {
    ApiProblem problem = ApiProblem::bad_request;
    int status = 0;           // of HTTP; 0 without an answer
    std::string code = {};    // RESOURCE_DOES_NOT_EXIST, also when the server sent a number or another form
    std::string message = {}; // the server's own words
    std::string request_id = {};
    std::string sql_state = {};    // of a failed statement: "42P01"
    std::string error_class = {};  // and its class: "TABLE_OR_VIEW_NOT_FOUND"
    std::string statement_id = {}; // of any trouble with a statement that had begun
    Error error = {};
};

template <class T>
using ApiResult = tl::expected<T, ApiError>;

// The one to return from functions of the program's own Result.
inline tl::unexpected<Error> fail(const ApiError& error) {
    return tl::unexpected<Error>(error.error);
}

// Whether the response is what an API answers on success: 2xx and not a web page.
bool is_good(const http::Response& response);

// Makes an error out of any other response. `what` is the clause for people: "cannot list the warehouses".
ApiError classify(const http::Response& response, std::string_view what);
ApiError classify(const http::Failure& failure, std::string_view url, std::string_view what);

// A good response whose body cannot be understood.
ApiError not_understood(const http::Response& response, std::string_view what, std::string_view why);

// Trouble that passes by itself, though its status does not say so (the list is that of Databricks' own
// SDKs).
bool is_transient(const ApiError& error);

} // namespace dbx::databricks
