#pragma once

#include "core/system/environment.hpp"

#include <map>
#include <string>

namespace dbx::tests {

// An environment made of what a test says.
class FakeEnvironment : public system::Environment {
  public:
    explicit FakeEnvironment(std::map<std::string, std::string> variables)
        : variables_(std::move(variables)) {}

    std::optional<std::string> get(std::string_view name) const override {
        const auto found = variables_.find(std::string(name));
        if (found == variables_.end()) return std::nullopt;
        return found->second;
    }
    std::map<std::string, std::string> all() const override { return variables_; }
    system::Path working_directory() const override { return "/nowhere/work"; }
    system::Path program() const override { return "/nowhere/bin/dbx-agents"; }
    uid_t user_id() const override { return 1000; }

  private:
    std::map<std::string, std::string> variables_;
};

} // namespace dbx::tests
