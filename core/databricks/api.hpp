#pragma once

#include "core/databricks/api_error.hpp"
#include "core/databricks/tokens.hpp"
#include "core/http/retry.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::databricks {

struct ApiCall {
    std::string what; // for errors: "cannot list the warehouses"
    std::string method = "GET";
    std::string path;      // "/api/2.0/...", with its query
    std::string body = {}; // JSON text
    http::Headers headers = {};
    http::Repeatable repeatable = http::Repeatable::yes;
    std::chrono::milliseconds timeout{60'000}; // of one attempt
    std::chrono::milliseconds total{300'000};  // of all attempts and the waits between them
    // The same, while nothing answers at all: an address where nobody listens is told soon.
    std::chrono::milliseconds network_total{30'000};
    bool even_if_interrupted = false;
    bool own_deadline = false; // the caller minds the time itself: the workspace's deadline does not count
};

// The APIs below one address: "https://HOST" of a workspace, or a gateway root. Adds the token, repeats what
// may be repeated (429, 503 and broken connections, within the call's total), and asks once for a new token
// when the old one is refused. The services outlive it. Any number of threads.
class Workspace {
  public:
    Workspace(std::string root, TokenSource& tokens, http::HttpClient& client, http::Pacer& pacer)
        : root_(std::move(root))
        , tokens_(tokens)
        , client_(client)
        , pacer_(pacer) {}

    // No call goes on after this moment: it ends with a timeout. Set while no other thread calls.
    void set_deadline(std::optional<std::chrono::steady_clock::time_point> deadline) { deadline_ = deadline; }

    // A response for which is_good() holds; everything else is an error.
    ApiResult<http::Response> call(const ApiCall& call);

    const std::string& root() const { return root_; }
    http::Pacer& pacer() { return pacer_; }

  private:
    std::string root_;
    TokenSource& tokens_;
    http::HttpClient& client_;
    http::Pacer& pacer_;
    std::optional<std::chrono::steady_clock::time_point> deadline_;
};

// For whom a credential speaks (SCIM Me).
struct Me {
    std::string user_name; // an e-mail address, or a service principal's application id
    std::string display_name;
    std::string id;
    std::vector<std::string> groups;
    bool active = true;
    std::string workspace_id; // of the answer's X-Databricks-Org-Id; may be empty
};

// A token restricted to some scopes may be refused here (missing_scope, no_permission) and work for models.
// Takes no longer than about `limit`.
ApiResult<Me> who_am_i(Workspace& workspace, std::chrono::milliseconds limit = std::chrono::minutes{1});

} // namespace dbx::databricks
