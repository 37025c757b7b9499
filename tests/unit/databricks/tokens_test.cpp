#include "core/databricks/api.hpp"
#include "core/databricks/token_cache.hpp"
#include "core/databricks/tokens.hpp"
#include "tests/unit/databricks/fakes.hpp"
#include "tests/unit/http/fakes.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <thread>

using namespace dbx;
using namespace dbx::databricks;
using namespace dbx::test;
using namespace std::chrono_literals;

namespace {

// Answers for command line tools.
class FakeProcess : public system::Process {
  public:
    std::vector<system::ProcessRequest> requests;
    std::function<Result<system::ProcessResult>(const system::ProcessRequest&)> rule;
    Result<system::ProcessResult> run(const system::ProcessRequest& request) override {
        requests.push_back(request);
        return rule(request);
    }
};

// A real folder, since the lock between processes is a real one.
class Folder {
  public:
    Folder() {
        char name[] = "/tmp/dbx-tokens-XXXXXX";
        REQUIRE(::mkdtemp(name) != nullptr);
        path = name;
    }
    ~Folder() { std::filesystem::remove_all(path); }
    system::Path path;
};

struct Bench {
    Folder folder;
    FakeHttp http;
    FakePacer pacer;
    FakeProcess process;
    system::RealFileSystem files;
    MapEnvironment environment;
    ManualClock clock;

    class User : public MapEnvironment {
      public:
        uid_t user_id() const override { return ::getuid(); }
    };
    User user;

    TokenServices services() { return {http, pacer, process, files, user, clock, folder.path / "state"}; }
    system::Path token_file(const Credential& credential) const {
        return folder.path / "state" / "tokens" / (cache_key(credential) + ".json");
    }
    std::string content(const system::Path& path) {
        std::ifstream stream(path);
        return std::string(std::istreambuf_iterator<char>(stream), {});
    }
    // A "databricks" on PATH, so that it is found.
    void install(const std::string& name, const std::string& script = "#!/bin/sh\n") {
        const auto path = folder.path / name;
        std::ofstream(path) << script;
        std::filesystem::permissions(path, std::filesystem::perms::owner_all);
        user.variables["PATH"] = folder.path.string() + ":/usr/bin:/bin";
    }
};

Credential m2m() {
    Credential credential;
    credential.kind = CredentialKind::oauth_m2m;
    credential.host = "https://a.com";
    credential.origin = "profile ci in ~/.databrickscfg, line 1";
    credential.client_id = "id";
    credential.client_secret = Secret("s3cr3t");
    return credential;
}

Credential cli(std::string profile = "dev") {
    Credential credential;
    credential.kind = CredentialKind::databricks_cli;
    credential.host = "https://a.com";
    credential.profile = std::move(profile);
    credential.config_file = "/home/me/.databrickscfg";
    return credential;
}

Answer token_answer(const std::string& token, int life = 3600) {
    return answer(200, R"({"access_token":")" + token + R"(","token_type":"Bearer","expires_in":)" +
                           std::to_string(life) + "}");
}

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("client credentials are exchanged at the workspace's token endpoint, and the token is kept") {
    Bench bench;
    bench.http.script = {token_answer("t1"), token_answer("t2")};
    TokenSource source(m2m(), bench.services());
    const auto token = source.get();
    REQUIRE(token);
    CHECK(token->value.reveal() == "t1");
    CHECK(*token->expires_at == bench.clock.time + 3600s);
    const auto& request = bench.http.requests.at(0);
    CHECK(request.method == "POST");
    CHECK(request.url == "https://a.com/oidc/v1/token");
    CHECK(request.authorization.reveal() == "Basic aWQ6czNjcjN0");
    CHECK(request.body == "grant_type=client_credentials&scope=all-apis");
    CHECK_FALSE(has(request.body, "s3cr3t"));

    // Memory, then the file of another process, then, near the end of its life, a new one.
    CHECK(source.get()->value.reveal() == "t1");
    CHECK(TokenSource(m2m(), bench.services()).get()->value.reveal() == "t1");
    CHECK(bench.http.requests.size() == 1);
    bench.clock.time += 3600s - 5min;
    CHECK(source.get()->value.reveal() == "t2");
    CHECK(bench.http.requests.size() == 2);
}

TEST_CASE("the cache file is private, holds no client secret, and its folder is closed") {
    Bench bench;
    bench.http.script = {token_answer("t1")};
    REQUIRE(TokenSource(m2m(), bench.services()).get());
    const auto path = bench.token_file(m2m());
    struct stat status = {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
    REQUIRE(::stat(path.parent_path().c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0700);
    CHECK(has(bench.content(path), "t1"));
    CHECK_FALSE(has(bench.content(path), "s3cr3t"));
}

TEST_CASE("a corrupt, openly readable or foreign cache file is ignored and written anew") {
    Bench bench;
    const auto path = bench.token_file(m2m());
    std::filesystem::create_directories(path.parent_path());
    const std::string good =
        R"({"format":1,"token":"old","issued_at":1790000000000,"expires_at":1790003600000})";
    for (const std::string& text :
         {std::string("{"), std::string(), std::string("[]"), std::string("{\"format\":2,\"token\":\"x\"}"),
          std::string(R"({"format":1,"token":7,"issued_at":0})"), std::string(R"({"format":1,"token":"x"})"),
          std::string(R"({"format":"1","token":"a\nb","issued_at":1,"expires_at":9e99})"),
          std::string(R"({"format":1,"token":"a\nb","issued_at":1790000000000,"expires_at":1790003600000})"),
          std::string(R"({"format":1,"failure":{"at":1}})"), std::string(R"({"format":1,"failure":7})"),
          std::string("\0\xff", 2)}) {
        CAPTURE(text);
        std::ofstream(path) << text;
        std::filesystem::permissions(path, std::filesystem::perms(0600));
        bench.http.script = {token_answer("new")};
        CHECK(TokenSource(m2m(), bench.services()).get()->value.reveal() == "new");
        CHECK(has(bench.content(path), "new"));
    }
    std::ofstream(path) << good;
    CHECK(TokenSource(m2m(), bench.services()).get()->value.reveal() == "old");
    std::filesystem::permissions(path, std::filesystem::perms(0644));
    bench.http.script = {token_answer("new")};
    CHECK(TokenSource(m2m(), bench.services()).get()->value.reveal() == "new");
    struct stat status = {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
}

TEST_CASE("a forced refresh asks again, and threads that force together ask once") {
    Bench bench;
    bench.http.script = {token_answer("t1"), token_answer("t2")};
    TokenSource source(m2m(), bench.services());
    CHECK(source.get()->value.reveal() == "t1");
    CHECK(source.get(Freshness::forced)->value.reveal() == "t2");
    CHECK(source.get()->value.reveal() == "t2");
    CHECK(bench.http.requests.size() == 2);
}

TEST_CASE("the old token is served while a refresh fails, until it really ends") {
    Bench bench;
    bench.http.script = {token_answer("t1")};
    TokenSource source(m2m(), bench.services());
    REQUIRE(source.get());
    bench.http.rule = [](const http::Request&) {
        return tl::unexpected(failure(http::NetworkProblem::name));
    };
    bench.clock.time += 3600s - 2min;
    CHECK(source.get()->value.reveal() == "t1");
    CHECK_FALSE(source.get(Freshness::forced));
    bench.clock.time += 2min;
    const auto end = source.get();
    REQUIRE_FALSE(end);
    CHECK(end.error().kind == ErrorKind::workspace);
}

TEST_CASE("a clock that was set back, and a token that is over on arrival, do no harm") {
    Bench bench;
    bench.http.script = {token_answer("t1"), token_answer("t2")};
    TokenSource source(m2m(), bench.services());
    REQUIRE(source.get());
    bench.clock.time -= 24h;
    CHECK(source.get()->value.reveal() == "t2");
    bench.install("databricks");
    bench.process.rule = [](const auto&) {
        return system::ProcessResult{0, R"({"access_token":"c1","expiry":"2001-01-01T00:00:00Z"})", "",
                                     false};
    };
    TokenSource tool(cli(), bench.services());
    const auto token = tool.get();
    REQUIRE(token);
    CHECK(*token->expires_at == bench.clock.time + 60s);
}

TEST_CASE("what the token endpoint refuses is a credential error, without the secret") {
    Bench bench;
    const auto error_of = [&](Answer reply) {
        bench.http.rule = [reply](const http::Request&) { return reply; };
        const auto token = TokenSource(m2m(), bench.services()).get();
        REQUIRE_FALSE(token);
        CHECK_FALSE(has(token.error().what + token.error().why + token.error().fix, "s3cr3t"));
        return token.error();
    };
    const auto refused = error_of(
        answer(401, R"({"error":"invalid_client","error_description":"Client authentication failed"})"));
    CHECK(refused.kind == ErrorKind::credential);
    CHECK(refused.why == "HTTP 401, invalid_client: Client authentication failed");
    CHECK(has(refused.fix, "profile ci"));
    CHECK(error_of(answer(200, "<html>login</html>")).kind == ErrorKind::workspace);
    CHECK(error_of(answer(302, "", {{"Location", "/login.html"}})).kind == ErrorKind::workspace);
    CHECK(error_of(answer(200, R"({"access_token":"a b","expires_in":5})")).kind == ErrorKind::credential);
    CHECK(error_of(answer(500, R"({"message":"oops"})")).kind == ErrorKind::workspace);
    CHECK(error_of(answer(429, R"({"message":"slow"})")).kind == ErrorKind::workspace);
    CHECK(error_of(tl::unexpected(failure(http::NetworkProblem::timeout))).kind == ErrorKind::timeout);
    CHECK(error_of(answer(503, "")).kind == ErrorKind::workspace);
}

TEST_CASE("the Databricks CLI is asked without the variables that would mislead it") {
    Bench bench;
    bench.install("databricks");
    bench.user.variables["DATABRICKS_TOKEN"] = "dapix";
    bench.user.variables["DATABRICKS_CONFIG_PROFILE"] = "other";
    bench.user.variables["LANG"] = "C";
    bench.process.rule = [](const auto&) {
        return system::ProcessResult{
            0, R"({"access_token":"c1","token_type":"Bearer","expiry":"2026-09-21T15:46:40.5Z"})", "", false};
    };
    const auto token = TokenSource(cli(), bench.services()).get();
    REQUIRE(token);
    CHECK(token->value.reveal() == "c1");
    CHECK(system::format_utc(*token->expires_at) == "2026-09-21T15:46:40Z");
    const auto& request = bench.process.requests.at(0);
    CHECK(request.arguments == std::vector<std::string>{"auth", "token", "--profile", "dev", "-o", "json"});
    CHECK_FALSE(request.environment.contains("DATABRICKS_TOKEN"));
    CHECK_FALSE(request.environment.contains("DATABRICKS_CONFIG_PROFILE"));
    CHECK(request.environment.at("LANG") == "C");
    CHECK(request.environment.at("DATABRICKS_CONFIG_FILE") == "/home/me/.databrickscfg");
    REQUIRE(TokenSource(cli(""), bench.services()).get());
    CHECK(bench.process.requests.at(1).arguments ==
          std::vector<std::string>{"auth", "token", "--host", "https://a.com", "-o", "json"});
}

TEST_CASE("an older Databricks CLI is asked again without --force-refresh") {
    Bench bench;
    bench.install("databricks");
    bench.process.rule = [](const system::ProcessRequest& request) -> Result<system::ProcessResult> {
        if (request.arguments.back() == "--force-refresh")
            return system::ProcessResult{1, "", "Error: unknown flag: --force-refresh", false};
        return system::ProcessResult{0, R"({"access_token":"c1"})", "", false};
    };
    REQUIRE(TokenSource(cli(), bench.services()).get(Freshness::forced));
    CHECK(bench.process.requests.size() == 2);
}

TEST_CASE("a tool that is missing, fails, hangs or prints garbage is a credential error of its own") {
    Bench bench;
    const auto error_of =
        [&](const Credential& credential,
            std::function<Result<system::ProcessResult>(const system::ProcessRequest&)> rule) {
            bench.process.rule = std::move(rule);
            const auto token = TokenSource(credential, bench.services()).get();
            REQUIRE_FALSE(token);
            CHECK(token.error().kind == ErrorKind::credential);
            CHECK_FALSE(token.error().fix.empty());
            return token.error();
        };
    const auto prints = [](int code, std::string out, std::string err) {
        return [=](const system::ProcessRequest&) -> Result<system::ProcessResult> {
            return system::ProcessResult{code, out, err, false};
        };
    };
    bench.user.variables["PATH"] = "/nowhere";
    CHECK(error_of(cli(), prints(0, "", "")).what == "databricks is not installed");
    bench.install("databricks");
    const auto login =
        error_of(cli(), prints(1, "", "Error: cache: token not found for eyJabc.def.ghi\n\nrun login\n"));
    CHECK(login.why == "exit code 1: Error: cache: token not found for (masked) run login");
    CHECK(login.fix == "run: databricks auth login --profile dev");
    CHECK(has(error_of(cli(), prints(2, "", "Error: No such command 'auth'.")).fix, "too old"));
    const auto garbage = error_of(cli(), prints(0, "Opening browser... secret-token", ""));
    CHECK(has(garbage.why, "something else than a JSON object"));
    CHECK_FALSE(has(garbage.why, "secret-token"));
    CHECK(has(error_of(cli(), prints(0, "", "")).why, "printed nothing"));
    CHECK(has(error_of(cli(), prints(0, "{}", "")).why, "empty"));
    CHECK(has(error_of(cli(), prints(0, R"({"access_token":"a\r\nb"})", "")).why, "line end"));
    const auto hangs = error_of(cli(), [](const system::ProcessRequest&) -> Result<system::ProcessResult> {
        return fail(ErrorKind::timeout, "databricks did not answer", "it was ended after 30 seconds",
                    "run it by hand");
    });
    CHECK(hangs.what == "databricks did not answer");
}

TEST_CASE("an Azure service principal asks Microsoft, of the cloud it belongs to") {
    Bench bench;
    Credential credential = m2m();
    credential.kind = CredentialKind::azure_client_secret;
    credential.tenant_id = "tenant-1";
    bench.http.script = {token_answer("az1")};
    CHECK(TokenSource(credential, bench.services()).get()->value.reveal() == "az1");
    CHECK(bench.http.requests.at(0).url == "https://login.microsoftonline.com/tenant-1/oauth2/v2.0/token");
    CHECK(has(bench.http.requests.at(0).body, "scope=2ff814a6-3304-4ab8-85cb-cd0e6f879c1d%2F.default"));
    CHECK(has(bench.http.requests.at(0).body, "client_secret=s3cr3t"));

    credential.azure_environment = "USGovernment";
    bench.http.script = {token_answer("az2")};
    REQUIRE(TokenSource(credential, bench.services()).get());
    CHECK(bench.http.requests.at(1).url.starts_with("https://login.microsoftonline.us/"));

    credential.azure_authority = "http://127.0.0.1:9/";
    credential.tenant_id.clear();
    bench.http.script = {
        answer(302, "",
               {{"Location", "https://login.microsoftonline.com/found-tenant/oauth2/authorize?x=1"}}),
        token_answer("az3")};
    REQUIRE(TokenSource(credential, bench.services()).get());
    CHECK(bench.http.requests.at(2).url == "https://a.com/aad/auth");
    CHECK(bench.http.requests.at(2).authorization.empty());
    CHECK(bench.http.requests.at(3).url == "http://127.0.0.1:9/found-tenant/oauth2/v2.0/token");

    credential.azure_authority = "http://evil.com";
    credential.client_id = "another";
    CHECK(TokenSource(credential, bench.services()).get().error().what == "cannot use AZURE_AUTHORITY_HOST");
    CHECK(bench.http.requests.size() == 4);
}

TEST_CASE("an Azure service principal with a workspace resource id brings its management token along") {
    Bench bench;
    Credential credential = m2m();
    credential.kind = CredentialKind::azure_client_secret;
    credential.tenant_id = "tenant-1";
    credential.azure_resource_id =
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Databricks/workspaces/w";
    bench.http.script = {token_answer("az1"), token_answer("mgmt1"), answer(200, "{}")};
    TokenSource source(credential, bench.services());
    Workspace workspace("https://a.com", source, bench.http, bench.pacer);
    ApiCall call;
    call.what = "cannot x";
    call.path = "/api/2.0/x";
    REQUIRE(workspace.call(call));
    CHECK(bench.http.requests.at(1).url == "https://login.microsoftonline.com/tenant-1/oauth2/token");
    CHECK(has(bench.http.requests.at(1).body, "resource=https%3A%2F%2Fmanagement.core.windows.net%2F"));
    const auto sent = [&](std::size_t request, std::string_view name) {
        for (const auto& header : bench.http.requests.at(request).headers)
            if (header.first == name) return header.second;
        return std::string();
    };
    CHECK(bench.http.requests.at(2).authorization.reveal() == "Bearer az1");
    CHECK(sent(2, "X-Databricks-Azure-SP-Management-Token") == "mgmt1");
    CHECK(sent(2, "X-Databricks-Azure-Workspace-Resource-Id") == credential.azure_resource_id);

    // Another process takes both from the file.
    bench.http.script = {answer(200, "{}")};
    TokenSource other(credential, bench.services());
    Workspace again("https://a.com", other, bench.http, bench.pacer);
    REQUIRE(again.call(call));
    CHECK(sent(3, "X-Databricks-Azure-SP-Management-Token") == "mgmt1");
    CHECK(bench.http.requests.size() == 4);

    // Without the resource id neither is asked for nor sent; a refused second token is an error.
    credential.azure_resource_id.clear();
    bench.http.script = {token_answer("az2"), answer(200, "{}")};
    TokenSource plain(credential, bench.services());
    Workspace bare("https://a.com", plain, bench.http, bench.pacer);
    REQUIRE(bare.call(call));
    CHECK(sent(5, "X-Databricks-Azure-SP-Management-Token").empty());
    CHECK(bench.http.requests.size() == 6);
    credential.azure_resource_id = "/subscriptions/other";
    bench.http.script = {token_answer("az3"), answer(401, R"({"error":"invalid_client"})")};
    const auto refused = TokenSource(credential, bench.services()).get();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind == ErrorKind::credential);
    CHECK(has(refused.error().what, "management token"));
}

TEST_CASE("what to do about a Databricks CLI that fails depends on its words") {
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"Error: cannot reach https://x: connection refused", "check the network"},
        {"Error: cache update: could not take the lock", "try again"},
        {"Error: auth token only supports U2M authentication", "client_id and client_secret"},
        {"Error: unknown command \"auth\"", "too old"},
        {"Error: databricks OAuth is not configured for this host", "databricks auth login"},
        {"", "run it by hand"},
    };
    int n = 0;
    for (const auto& one : cases) {
        CAPTURE(one.first);
        Bench bench;
        bench.install("databricks");
        bench.process.rule = [&](const auto&) { return system::ProcessResult{1, "", one.first, false}; };
        const auto token = TokenSource(cli("p" + std::to_string(n++)), bench.services()).get();
        REQUIRE_FALSE(token);
        CHECK(token.error().kind == ErrorKind::credential);
        CHECK(has(token.error().fix, one.second));
    }
}

TEST_CASE("the Azure CLI's answer, with either kind of expiry") {
    Bench bench;
    bench.install("az");
    Credential credential;
    credential.kind = CredentialKind::azure_cli;
    credential.host = "https://adb-1.2.azuredatabricks.net";
    credential.tenant_id = "t";
    bench.process.rule = [](const auto&) {
        return system::ProcessResult{
            0, R"({"accessToken":"a1","expiresOn":"2026-01-01 10:00:00.000000","expires_on":1790003000})", "",
            false};
    };
    const auto token = TokenSource(credential, bench.services()).get();
    REQUIRE(token);
    CHECK(*token->expires_at == system::WallTime(1790003000s));
    CHECK(bench.process.requests.at(0).arguments ==
          std::vector<std::string>{"account", "get-access-token", "--resource",
                                   "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d", "-o", "json", "--tenant", "t"});
}

TEST_CASE("a static token needs nobody") {
    Bench bench;
    Credential credential;
    credential.token = Secret("dapi1");
    TokenSource source(credential, bench.services());
    CHECK(source.get()->value.reveal() == "dapi1");
    CHECK(source.get(Freshness::forced)->value.reveal() == "dapi1");
    CHECK(source.in_memory()->value.reveal() == "dapi1");
    CHECK_FALSE(std::filesystem::exists(bench.folder.path / "state"));
}

TEST_CASE("ten processes that ask at once cause one refresh, and one failure") {
    Bench bench;
    for (const bool works : {true, false}) {
        CAPTURE(works);
        const auto count = bench.folder.path / (works ? "count-good" : "count-bad");
        bench.install("databricks",
                      "#!/bin/sh\necho x >> '" + count.string() + "'\nsleep 0.3\n" +
                          (works ? R"(echo '{"access_token":"c1","expiry":"2199-01-01T00:00:00Z"}')"
                                 : "echo 'no login' >&2; exit 1") +
                          "\n");
        const auto credential = cli(works ? "good" : "bad");
        std::vector<pid_t> children;
        for (int i = 0; i < 10; ++i) {
            const pid_t child = ::fork();
            if (child == 0) {
                system::RealProcess process;
                system::RealClock clock;
                auto services = bench.services();
                TokenServices own{bench.http,
                                  bench.pacer,
                                  process,
                                  bench.files,
                                  bench.user,
                                  clock,
                                  services.state_directory};
                const auto token = TokenSource(credential, own).get();
                ::_exit(token && token->value.reveal() == "c1" ? 0 : 1);
            }
            children.push_back(child);
        }
        for (const auto child : children) {
            int status = 0;
            ::waitpid(child, &status, 0);
            CHECK(WEXITSTATUS(status) == (works ? 0 : 1));
        }
        CHECK(bench.content(count) == "x\n");
    }
}

TEST_CASE("threads of one process share one refresh") {
    Bench bench;
    bench.http.rule = [](const http::Request&) { return token_answer("t1"); };
    TokenSource source(m2m(), bench.services());
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) threads.emplace_back([&] { (void)source.get(); });
    for (auto& thread : threads) thread.join();
    CHECK(bench.http.requests.size() == 1);
}

TEST_CASE("without a writable state folder a token is made all the same") {
    Bench bench;
    std::ofstream(bench.folder.path / "state") << "a file, not a folder";
    bench.http.script = {token_answer("t1")};
    CHECK(TokenSource(m2m(), bench.services()).get()->value.reveal() == "t1");
}

TEST_CASE("times of tokens are read") {
    CHECK(system::format_utc(*parse_rfc3339("2026-10-01T12:00:00.123Z")) == "2026-10-01T12:00:00Z");
    CHECK(system::format_utc(*parse_rfc3339("2026-10-01T12:00:00+02:00")) == "2026-10-01T10:00:00Z");
    CHECK(system::format_utc(*parse_rfc3339("2026-10-01T12:00:00.5-05:30")) == "2026-10-01T17:30:00Z");
    for (const auto* bad : {"", "2026-10-01", "2026-13-01T12:00:00Z", "2026-10-01T25:00:00Z",
                            "2026-10-01T12:00:00", "2026-10-01T12:00:00.Z", "2026-10-01T12:00:00+0200",
                            "9999-10-01T12:00:00Z", "aaaa-10-01T12:00:00Z"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_rfc3339(bad));
    }
    // {"exp":1790003600}
    CHECK(*jwt_expiry("eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjE3OTAwMDM2MDB9.c2ln") == system::WallTime(1790003600s));
    CHECK_FALSE(jwt_expiry("dapi1234"));
    CHECK_FALSE(jwt_expiry("a.b.c"));
    CHECK_FALSE(jwt_expiry("a.!!.c"));
    CHECK_FALSE(jwt_expiry("eyJ.W10.x"));
}

TEST_CASE("freshness: five minutes, or a tenth of a short life") {
    const system::WallTime start(1790000000s);
    Token token{Secret("t"), start, start + 3600s};
    CHECK(is_fresh(token, start + 3299s));
    CHECK_FALSE(is_fresh(token, start + 3301s));
    token.expires_at = start + 60s;
    CHECK(is_fresh(token, start + 53s));
    CHECK_FALSE(is_fresh(token, start + 55s));
    CHECK(is_fresh(token, start - 4min));
    CHECK_FALSE(is_fresh(token, start - 6min));
}
