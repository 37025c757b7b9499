#pragma once

#include <string>
#include <utility>

namespace dbx {

// A value that must not be printed, logged or formatted: there is no operator<< and no fmt formatter for it.
// reveal() is the one way out, and easy to search for.
class Secret {
  public:
    Secret() = default;
    explicit Secret(std::string value)
        : value_(std::move(value)) {}

    const std::string& reveal() const { return value_; }
    bool empty() const { return value_.empty(); }
    bool operator==(const Secret&) const = default;

  private:
    std::string value_;
};

} // namespace dbx
