#pragma once

#include "core/databricks/api.hpp"
#include "tests/unit/databricks/fakes.hpp"
#include "tests/unit/http/fakes.hpp"

namespace dbx::test {

class NoProcess : public system::Process {
  public:
    Result<system::ProcessResult> run(const system::ProcessRequest&) override {
        return fail(ErrorKind::failed, "no process in this test");
    }
};

inline databricks::Credential static_credential() {
    databricks::Credential credential;
    credential.host = "https://w.com";
    credential.token = Secret("dapi1");
    return credential;
}

// A workspace whose answers are scripted; its token is static unless a test says otherwise.
struct ApiBench {
    FakeHttp http;
    FakePacer pacer;
    NoProcess process;
    MemoryFiles files;
    MapEnvironment environment;
    ManualClock clock;
    databricks::TokenSource tokens;
    databricks::Workspace workspace{"https://w.com", tokens, http, pacer};
    databricks::Workspace gateway{"https://w.com/ai-gateway", tokens, http, pacer};

    explicit ApiBench(databricks::Credential credential = static_credential())
        : tokens(std::move(credential),
                 {http, pacer, process, files, environment, clock, "/proc/dbx-nowhere"}) {}
};

inline bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

} // namespace dbx::test
