#pragma once

#include "tests/workspace/context.hpp"
#include "tests/workspace/workspace.hpp"

namespace dbx::standin {

// The endpoints under /_control: README.md. They ask for no token, are not recorded and never spoilt.
class Control {
  public:
    explicit Control(Workspace& workspace)
        : workspace_(workspace) {}
    Response handle(const Request& request);

  private:
    Response requests(const Request& request);
    Response faults(const Request& request, const std::string& rest);
    Response settings(const Request& request);
    Response collection(const Request& request, const std::string& name);
    Response clock(const Request& request);
    Response rows(const Request& request);
    Response revoke(const Request& request);
    Response reset();

    Workspace& workspace_;
};

} // namespace dbx::standin
