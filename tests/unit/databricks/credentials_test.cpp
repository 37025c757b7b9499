#include "core/databricks/credentials.hpp"
#include "tests/unit/databricks/fakes.hpp"

#include <doctest/doctest.h>

using namespace dbx;
using namespace dbx::databricks;

namespace {

const std::string pat = "dapi0123456789abcdef0123456789abcdef";
const std::string jwt = "eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjE3OTAwMDM2MDB9.c2lnbmF0dXJl";

using Variables = std::map<std::string, std::string>;

struct Setup {
    test::MapEnvironment environment;
    test::MemoryFiles files;
    CredentialRequest request;

    explicit Setup(std::map<std::string, std::string> variables = {}, std::string config = {}) {
        environment.variables = std::move(variables);
        if (!config.empty()) files.texts["/home/me/.databrickscfg"] = std::move(config);
        request.environment = &environment;
        request.files = &files;
        request.home = "/home/me";
    }
    Setup& workspace(std::string url, Rank rank = Rank::flag) {
        request.workspace =
            Named{std::move(url), rank, rank == Rank::flag ? "--workspace" : "workspace elsewhere"};
        return *this;
    }
    Setup& gateway(std::string url) {
        request.gateway = Named{std::move(url), Rank::flag, "--gateway"};
        return *this;
    }
    Setup& upstream(std::string url) {
        request.upstream = Named{std::move(url), Rank::flag, "--upstream"};
        return *this;
    }
    Setup& profile(std::string name, Rank rank = Rank::flag) {
        request.profile =
            Named{std::move(name), rank, rank == Rank::flag ? "--profile" : "profile elsewhere"};
        return *this;
    }
    void install(const std::string& program) {
        environment.variables["PATH"] = "/bin";
        files.texts["/bin/" + program] = "#!";
        files.modes["/bin/" + program] = 0755;
    }
    Resolution resolve() const { return resolve_credential(request); }
    Credential credential() const {
        auto resolution = resolve();
        if (!resolution.credential)
            FAIL(resolution.credential.error().what << ": " << resolution.credential.error().why);
        return *resolution.credential;
    }
    Error error() const {
        auto resolution = resolve();
        REQUIRE_FALSE(resolution.credential);
        CHECK(resolution.credential.error().kind == ErrorKind::credential);
        CHECK_FALSE(resolution.credential.error().fix.empty());
        return resolution.credential.error();
    }
};

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

const std::string two_profiles = "[DEFAULT]\nhost = https://a.com\ntoken = dapiaaaa\n\n[dev]\nhost = "
                                 "https://b.com/?o=1\ntoken = dapibbbb\n";

} // namespace

TEST_CASE("DATABRICKS_HOST and DATABRICKS_TOKEN win over the profile file, which is not even read") {
    Setup setup(Variables{{"DATABRICKS_HOST", "A.com/"}, {"DATABRICKS_TOKEN", pat}}, "[broken");
    const auto credential = setup.credential();
    CHECK(credential.kind == CredentialKind::pat);
    CHECK(credential.host == "https://a.com");
    CHECK(credential.origin == "DATABRICKS_TOKEN in the environment");
    CHECK(credential.token.reveal() == pat);
    CHECK(credential.static_token_kind() == "pat");
    CHECK(setup.resolve().workspace->value == "https://a.com");
}

TEST_CASE("a static JWT is an OAuth access token") {
    Setup setup(Variables{{"DATABRICKS_HOST", "https://a.com"}, {"DATABRICKS_TOKEN", jwt}});
    CHECK(setup.credential().kind == CredentialKind::access_token);
    CHECK(setup.credential().static_token_kind() == "oauth");
    CHECK(setup.credential().is_static());
}

TEST_CASE("DATABRICKS_TOKEN without DATABRICKS_HOST goes with any given address") {
    CHECK(Setup(Variables{{"DATABRICKS_TOKEN", pat}}).workspace("https://w.com").credential().host ==
          "https://w.com");
    CHECK(Setup(Variables{{"DATABRICKS_TOKEN", pat}})
              .workspace("https://w.com", Rank::remembered)
              .credential()
              .host == "https://w.com");
    CHECK(Setup(Variables{{"DATABRICKS_TOKEN", pat}}).gateway("https://gw.com/x").credential().host.empty());
    CHECK(Setup(Variables{{"DATABRICKS_TOKEN", pat}}).gateway("https://w.com/ai-gateway").credential().host ==
          "https://w.com");
    CHECK(
        Setup(Variables{{"DATABRICKS_TOKEN", pat}}).upstream("http://127.0.0.1:9").credential().is_static());
    const auto error = Setup(Variables{{"DATABRICKS_TOKEN", pat}}).error();
    CHECK(has(error.why, "DATABRICKS_TOKEN (no workspace is known"));
}

TEST_CASE("a token with DATABRICKS_HOST goes to that host only") {
    const std::map<std::string, std::string> variables = {{"DATABRICKS_HOST", "https://a.com"},
                                                          {"DATABRICKS_TOKEN", pat}};
    CHECK(Setup(variables).workspace("https://a.com").credential().host == "https://a.com");
    const auto error = Setup(variables).workspace("https://b.com").error();
    CHECK(has(error.why, "https://a.com"));
    CHECK(has(error.why, "https://b.com (--workspace)"));
    CHECK_FALSE(has(error.why, pat));
    // The environment ranks above the configuration and what is remembered.
    CHECK(Setup(variables).workspace("https://b.com", Rank::user_config).credential().host ==
          "https://a.com");
    CHECK_FALSE(Setup(variables).gateway("https://gw.com").resolve().credential);
    CHECK_FALSE(Setup(variables).gateway("https://1.ai-gateway.cloud.databricks.com").resolve().credential);
    CHECK(Setup(variables).gateway("https://a.com/ai-gateway").credential().host == "https://a.com");
    CHECK_FALSE(Setup(variables).upstream("https://other.com").resolve().credential);
    CHECK(Setup(variables).upstream("http://127.0.0.1:9").credential().host == "https://a.com");
    CHECK(Setup(variables).upstream("http://[::1]:9").workspace("https://b.com").credential().host ==
          "https://a.com");
    CHECK_FALSE(Setup(variables).upstream("https://127.0.0.1.evil.com").resolve().credential);
}

TEST_CASE("an environment token for another host leaves the place to the profile of the wanted workspace") {
    Setup setup(Variables{{"DATABRICKS_HOST", "https://a.com"}, {"DATABRICKS_TOKEN", pat}}, two_profiles);
    setup.workspace("https://b.com");
    const auto credential = setup.credential();
    CHECK(credential.profile == "dev");
    CHECK(credential.origin == "profile dev in ~/.databrickscfg, line 5");
    const auto resolution = setup.resolve();
    CHECK(resolution.considered[1].name == "DATABRICKS_TOKEN");
    CHECK(has(resolution.considered[1].reason, "it belongs to https://a.com"));
}

TEST_CASE("an explicit profile beats the environment, a configured one does not") {
    const std::map<std::string, std::string> variables = {{"DATABRICKS_HOST", "https://x.com"},
                                                          {"DATABRICKS_TOKEN", pat}};
    CHECK(Setup(variables, two_profiles).profile("dev").credential().token.reveal() == "dapibbbb");
    CHECK(Setup(variables, two_profiles).profile("dev", Rank::environment).credential().host ==
          "https://b.com");
    CHECK(Setup(variables, two_profiles).profile("dev", Rank::user_config).credential().token.reveal() ==
          pat);
    Setup setup(variables, two_profiles);
    setup.profile("dev");
    CHECK(setup.resolve().workspace->value == "https://b.com");
    CHECK(setup.resolve().considered[0].won);
    CHECK_FALSE(setup.resolve().considered[1].won);
    auto with_variable = variables;
    with_variable["DATABRICKS_CONFIG_PROFILE"] = "dev";
    CHECK(Setup(with_variable, two_profiles).credential().token.reveal() == pat);
}

TEST_CASE("DATABRICKS_CONFIG_PROFILE ranks between --profile and the configuration") {
    const std::map<std::string, std::string> variables = {{"DATABRICKS_CONFIG_PROFILE", "dev"}};
    CHECK(Setup(variables, two_profiles).credential().profile == "dev");
    CHECK(Setup(variables, two_profiles).profile("DEFAULT").credential().profile == "DEFAULT");
    CHECK(Setup(variables, two_profiles).profile("DEFAULT", Rank::user_config).credential().profile == "dev");
}

TEST_CASE("a profile of another host than the wanted workspace is not used, and that is said") {
    const auto error = Setup({}, two_profiles).profile("dev").workspace("https://a.com").error();
    CHECK(has(error.what, "profile dev"));
    CHECK(has(error.why, "it belongs to https://b.com, the workspace is https://a.com (--workspace)"));
    // A flag outranks the configured and the remembered workspace.
    Setup setup({}, two_profiles);
    setup.profile("dev").workspace("https://a.com", Rank::remembered);
    CHECK(setup.credential().host == "https://b.com");
    CHECK(setup.resolve().workspace->value == "https://b.com");
    // A weaker profile loses, and the workspace's own is found.
    CHECK(Setup(Variables{{"DATABRICKS_CONFIG_PROFILE", "dev"}}, two_profiles)
              .workspace("https://a.com")
              .credential()
              .profile == "DEFAULT");
    // DEFAULT does not lend its token to another workspace.
    const auto none = Setup({}, two_profiles).workspace("https://c.com").error();
    CHECK(has(none.what, "https://c.com"));
    CHECK(has(none.why, "https://a.com"));
}

TEST_CASE("the default profile: the setting, then DEFAULT") {
    CHECK(Setup({}, two_profiles).credential().profile == "DEFAULT");
    Setup setup({}, two_profiles);
    CHECK(setup.resolve().workspace->value == "https://a.com");
    CHECK(setup.resolve().workspace->rank == Rank::built_in);
    CHECK(Setup({}, "[__settings__]\ndefault_profile = dev\n" + two_profiles).credential().profile == "dev");
    const auto error = Setup({}, "[__settings__]\ndefault_profile = dve\n" + two_profiles).error();
    CHECK(has(error.what, "'dve'"));
    CHECK(has(error.fix, "'dev'"));
}

TEST_CASE("a profile that does not exist is an error with a suggestion") {
    const auto error = Setup({}, two_profiles).profile("DEFALT").error();
    CHECK(error.what == "there is no profile 'DEFALT' in ~/.databrickscfg");
    CHECK(has(error.why, "--profile"));
    CHECK(error.fix == "did you mean 'DEFAULT'?");
    CHECK(has(Setup({}, two_profiles).profile("zzz").error().fix, "DEFAULT, dev"));
    CHECK(has(Setup().profile("zzz").error().fix, "databricks auth login"));
    CHECK(has(Setup(Variables{{"DATABRICKS_CONFIG_PROFILE", "dex"}}, two_profiles).error().fix, "'dev'"));
}

TEST_CASE("a broken profile file is an error with its line when a profile is needed") {
    const auto error = Setup({}, "[a]\nhost\n").error();
    CHECK(has(error.what, "~/.databrickscfg"));
    CHECK(has(error.why, "line 2"));
    CHECK_FALSE(Setup({}, "[a\n").profile("a").resolve().credential);
}

TEST_CASE("a token with blanks, line ends or quotes is an error and is never shown") {
    for (const auto& bad : std::vector<std::string>{pat + "\n", " " + pat, pat + " x", "Bearer " + pat,
                                                    pat + "\x01", "\"" + pat + "\"", pat + "\xC3\xA4",
                                                    std::string("<your-token>"), std::string("${TOKEN}")}) {
        CAPTURE(bad);
        const auto error =
            Setup(Variables{{"DATABRICKS_HOST", "https://a.com"}, {"DATABRICKS_TOKEN", bad}}, two_profiles)
                .error();
        CHECK(error.what == "cannot use DATABRICKS_TOKEN");
        CHECK_FALSE(has(error.what + error.why + error.fix, "0123456789abcdef"));
    }
    const auto error = Setup({}, "[DEFAULT]\nhost=https://a.com\ntoken = dapi12 34\n").error();
    CHECK(has(error.what, "profile DEFAULT in ~/.databrickscfg, line 1"));
    CHECK_FALSE(has(error.why, "dapi12"));
    // Empty is as good as unset.
    CHECK(Setup(Variables{{"DATABRICKS_TOKEN", ""}}, two_profiles).credential().profile == "DEFAULT");
}

TEST_CASE("client credentials in the environment come after a token") {
    std::map<std::string, std::string> variables = {{"DATABRICKS_HOST", "https://a.com"},
                                                    {"DATABRICKS_CLIENT_ID", "id"},
                                                    {"DATABRICKS_CLIENT_SECRET", "s"}};
    const auto credential = Setup(variables, two_profiles).credential();
    CHECK(credential.kind == CredentialKind::oauth_m2m);
    CHECK(credential.client_id == "id");
    CHECK(credential.client_secret.reveal() == "s");
    CHECK_FALSE(credential.static_token_kind());
    variables["DATABRICKS_TOKEN"] = pat;
    CHECK(Setup(variables).credential().kind == CredentialKind::pat);
    variables["DATABRICKS_AUTH_TYPE"] = "oauth-m2m";
    CHECK(Setup(variables).credential().kind == CredentialKind::oauth_m2m);
    variables.erase("DATABRICKS_CLIENT_SECRET");
    CHECK(has(Setup(variables).error().why, "DATABRICKS_CLIENT_SECRET is not set"));
    CHECK(Setup(Variables{{"DATABRICKS_CLIENT_ID", "id"}, {"DATABRICKS_CLIENT_SECRET", "s"}})
              .workspace("https://w.com")
              .credential()
              .host == "https://w.com");
}

TEST_CASE("Terraform's ARM variables serve Azure hosts only, unless asked for") {
    const std::map<std::string, std::string> variables = {
        {"ARM_CLIENT_ID", "i"}, {"ARM_CLIENT_SECRET", "s"}, {"ARM_TENANT_ID", "t"}};
    const auto credential = Setup(variables).workspace("https://adb-1.2.azuredatabricks.net").credential();
    CHECK(credential.kind == CredentialKind::azure_client_secret);
    CHECK(credential.tenant_id == "t");
    CHECK_FALSE(Setup(variables).workspace("https://a.com").resolve().credential);
    auto asked = variables;
    asked["DATABRICKS_AUTH_TYPE"] = "azure-client-secret";
    CHECK(Setup(asked).workspace("https://a.com").credential().kind == CredentialKind::azure_client_secret);
}

TEST_CASE("DATABRICKS_AUTH_TYPE chooses a command line tool, or is an error when unknown") {
    CHECK(Setup(Variables{{"DATABRICKS_HOST", "https://a.com"},
                          {"DATABRICKS_AUTH_TYPE", "databricks-cli"},
                          {"DATABRICKS_TOKEN", pat}})
              .credential()
              .kind == CredentialKind::databricks_cli);
    CHECK(Setup(Variables{{"DATABRICKS_HOST", "https://a.com"}, {"DATABRICKS_AUTH_TYPE", "azure-cli"}})
              .credential()
              .kind == CredentialKind::azure_cli);
    CHECK(has(Setup(Variables{{"DATABRICKS_AUTH_TYPE", "magic"}}).error().what, "magic"));
}

TEST_CASE("every kind of profile") {
    const auto kind = [](std::string keys) {
        return Setup({}, "[DEFAULT]\nhost = https://adb-1.2.azuredatabricks.net\n" + keys).credential();
    };
    CHECK(kind("token = dapix\n").kind == CredentialKind::pat);
    CHECK(kind("token = " + jwt + "\n").kind == CredentialKind::access_token);
    const auto m2m = kind("client_id = i\nclient_secret = s\nscopes = all-apis\n");
    CHECK(m2m.kind == CredentialKind::oauth_m2m);
    CHECK(m2m.scopes == "all-apis");
    const auto cli = kind("auth_type = databricks-cli\ndatabricks_cli_path = /opt/databricks\n");
    CHECK(cli.kind == CredentialKind::databricks_cli);
    CHECK(cli.cli_path == "/opt/databricks");
    CHECK(cli.config_file == "/home/me/.databrickscfg");
    const auto azure = kind("azure_client_id = i\nazure_client_secret = s\nazure_tenant_id = "
                            "t\nazure_workspace_resource_id = /r\n");
    CHECK(azure.kind == CredentialKind::azure_client_secret);
    CHECK(azure.azure_resource_id == "/r");
    CHECK(kind("auth_type = azure-cli\n").kind == CredentialKind::azure_cli);
}

TEST_CASE("a profile with several methods needs auth_type") {
    const std::string both =
        "[DEFAULT]\nhost = https://a.com\ntoken = dapix\nclient_id = i\nclient_secret = s\n";
    const auto error = Setup({}, both).error();
    CHECK(error.why == "more than one method is configured: pat, oauth-m2m");
    CHECK(has(error.fix, "auth_type = pat"));
    CHECK(Setup({}, both + "auth_type = oauth-m2m\n").credential().kind == CredentialKind::oauth_m2m);
    CHECK(Setup(Variables{{"DATABRICKS_AUTH_TYPE", "pat"}}, both).credential().kind == CredentialKind::pat);
    CHECK(has(Setup({}, "[DEFAULT]\nhost=https://a.com\nauth_type = oauth-m2m\ntoken=x\n").error().why,
              "keys are missing"));
    CHECK(has(Setup({}, "[DEFAULT]\nhost=https://a.com\nauth_type = databricks-clj\n").error().fix,
              "'databricks-cli'"));
    CHECK(has(Setup({}, "[DEFAULT]\nhost=https://a.com\nauth_type = google-id\n").error().why,
              "not supported"));
    CHECK(has(Setup({}, "[DEFAULT]\nhost=https://a.com\nusername=u\npassword=p\n").error().why,
              "not supported"));
    CHECK(has(Setup({}, "[DEFAULT]\nhost=https://a.com\nclient_id=i\n").error().why, "client_secret"));
}

TEST_CASE("a profile's host: bad, missing, or given twice") {
    CHECK(has(Setup({}, "[DEFAULT]\nhost=http://a.com\ntoken=dapix\n").error().why, "unencrypted"));
    CHECK(has(Setup({}, "[p]\nhost=https://u:secret@a.com\ntoken=dapix\n").profile("p").error().why,
              "user name"));
    CHECK_FALSE(has(Setup({}, "[p]\nhost=https://u:secret@a.com\ntoken=dapix\n").profile("p").error().why,
                    "secret@"));
    CHECK(has(Setup({}, "[p]\ntoken=dapix\n").profile("p").error().why, "no host"));
    CHECK(Setup({}, "[p]\ntoken=dapix\n").profile("p").workspace("https://w.com").credential().host ==
          "https://w.com");
    CHECK(
        has(Setup({}, "[p]\nhost=https://a.com\nhost=https://b.com\ntoken=dapix\n").profile("p").error().why,
            "twice"));
}

TEST_CASE("a workspace finds its profile; two of the same host need a name, unless one is the default") {
    CHECK(Setup({}, two_profiles).workspace("https://b.com").credential().profile == "dev");
    const auto error = Setup({}, "[x]\nhost=https://b.com\ntoken=dapi1\n[y]\nhost=b.com\ntoken=dapi2\n")
                           .workspace("https://b.com")
                           .error();
    CHECK(has(error.why, "x, y"));
    CHECK(has(error.fix, "--profile x"));
    CHECK(Setup({}, two_profiles + "[z]\nhost=https://a.com\ntoken=dapiz\n")
              .workspace("https://a.com")
              .credential()
              .profile == "DEFAULT");
    CHECK(Setup(Variables{{"DATABRICKS_HOST", "https://b.com"}}, two_profiles).credential().profile == "dev");
}

TEST_CASE("a dedicated gateway gets a profile's token only when somebody named the profile") {
    const auto error = Setup({}, two_profiles).gateway("https://gw.example.com").error();
    CHECK(has(error.why, "https://gw.example.com"));
    CHECK(Setup({}, two_profiles).gateway("https://gw.example.com").profile("dev").credential().profile ==
          "dev");
    CHECK(Setup({}, two_profiles).gateway("https://1.ai-gateway.cloud.databricks.com").credential().profile ==
          "DEFAULT");
    CHECK(Setup({}, two_profiles).gateway("https://b.com/ai-gateway").credential().profile == "dev");
    CHECK(Setup({}, two_profiles).upstream("http://127.0.0.1:1").credential().profile == "DEFAULT");
    CHECK_FALSE(Setup({}, two_profiles).upstream("https://evil.com").resolve().credential);
}

TEST_CASE("the command line tools come last, for the wanted workspace") {
    Setup setup;
    setup.workspace("https://adb-1.2.azuredatabricks.net");
    CHECK_FALSE(setup.resolve().credential);
    setup.install("az");
    CHECK(setup.credential().kind == CredentialKind::azure_cli);
    setup.install("databricks");
    CHECK(setup.credential().kind == CredentialKind::databricks_cli);
    Setup host_only({}, "[DEFAULT]\nhost = https://a.com\n");
    CHECK(has(host_only.error().why, "not installed"));
    host_only.install("databricks");
    CHECK(host_only.credential().kind == CredentialKind::databricks_cli);
    CHECK(host_only.credential().profile == "DEFAULT");
}

TEST_CASE("nothing at all is an error that says what to do, and every place is accounted for") {
    Setup setup;
    const auto error = setup.error();
    CHECK(error.what == "no credential was found");
    CHECK(has(error.why, "~/.databrickscfg"));
    CHECK(has(error.fix, "DATABRICKS_TOKEN"));
    const auto resolution = setup.resolve();
    CHECK(resolution.considered.size() == 10);
    for (const auto& candidate : resolution.considered) {
        CHECK_FALSE(candidate.won);
        CHECK_FALSE(candidate.reason.empty());
    }
    CHECK_FALSE(resolution.workspace);
}

TEST_CASE("a bad DATABRICKS_HOST is an error of its own") {
    const auto error =
        Setup(Variables{{"DATABRICKS_HOST", "http://a.com"}, {"DATABRICKS_TOKEN", pat}}, two_profiles)
            .error();
    CHECK(error.what == "cannot use DATABRICKS_HOST 'http://a.com'");
    // With a stronger workspace the token still has no known host, and is not used.
    CHECK(Setup(Variables{{"DATABRICKS_HOST", "http://a.com"}, {"DATABRICKS_TOKEN", pat}}, two_profiles)
              .workspace("https://b.com")
              .credential()
              .profile == "dev");
    CHECK(Setup(Variables{{"DATABRICKS_HOST", "http://a.com"}}, two_profiles)
              .profile("dev")
              .credential()
              .profile == "dev");
}

TEST_CASE("a host with a path is an error of its own, wherever it stands") {
    const auto error =
        Setup(Variables{{"DATABRICKS_HOST", "https://a.com/ml/x"}, {"DATABRICKS_TOKEN", pat}}, two_profiles)
            .error();
    CHECK(error.kind == ErrorKind::credential);
    CHECK(has(error.why, "a host has no path"));
    CHECK(error.fix == "use https://a.com");
    const auto written =
        Setup(Variables{}, "[DEFAULT]\nhost = https://a.com/ml/x\ntoken = dapiaaaa\n").error();
    CHECK(written.kind == ErrorKind::credential);
    CHECK(has(written.what, "cannot use the host of profile DEFAULT"));
    CHECK(has(written.why, "a host has no path"));
    // What other tools write there is no path.
    CHECK(Setup(Variables{}, "[DEFAULT]\nhost = https://a.com/?o=1\ntoken = dapiaaaa\n").credential().host ==
          "https://a.com");
}
