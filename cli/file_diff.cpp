#include "cli/file_diff.hpp"

#include "core/edit/diff.hpp"
#include "core/edit/mask.hpp"

namespace dbx::cli {

std::string masked_text(const agents::FileChange& change, const std::string& text) {
    const auto format = agents::edit_format(change.format);
    return format ? edit::mask_file(*format, text, change.secrets) : edit::mask_text(text);
}

std::string diff_of(const agents::FileChange& change) {
    const std::string after = change.after.value_or("");
    return edit::unified_diff(change.before, after, masked_text(change, change.before),
                              masked_text(change, after), change.existed ? change.named.string() : "",
                              change.after ? change.named.string() : "");
}

} // namespace dbx::cli
