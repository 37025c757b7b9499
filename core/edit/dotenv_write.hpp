#pragma once

#include "core/edit/dotenv_scan.hpp"
#include "core/edit/splice.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::edit {

// Collects changes of a .env text and writes them in the text's own habits.
class DotenvWriter {
  public:
    enum class Gap { none, blank_line }; // before new lines

    DotenvWriter(std::string_view text, const std::vector<DotenvEntry>& entries);

    // `entry`: where the key stands, null for a new line at the end. `raw`: the spelling to use. False when
    // no spelling holds the value.
    bool set(const std::string& key, const DotenvEntry* entry, const std::string& value,
             const std::optional<std::string>& raw);

    void remove(const DotenvEntry& entry);

    bool changed() const { return !splices_.empty() || !lines_.empty(); }
    std::string result(Gap gap) const;

  private:
    std::optional<std::string> spelled(const std::string& value, char preferred) const;

    std::string_view text_;
    std::string eol_ = "\n";
    bool final_eol_ = true;
    char quote_ = 0; // of most values; 0: none
    bool exports_ = false;
    std::string sign_ = "="; // between name and value
    std::vector<Splice> splices_;
    std::vector<std::string> lines_; // new ones
};

} // namespace dbx::edit
