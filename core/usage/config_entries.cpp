#include "core/usage/config_entries.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace dbx::usage {

std::vector<ConfigEntry> ConfigEntry::all(const state::Settings& settings, std::string_view array,
                                          const std::vector<std::string>& keys) {
    std::vector<ConfigEntry> result;
    for (const auto rank : {state::Rank::user_config, state::Rank::organisation_config}) {
        for (std::size_t i = 0;; ++i) {
            ConfigEntry entry;
            entry.array_ = array;
            entry.index_ = i + 1;
            for (const auto& key : keys) {
                const auto path = std::string(array) + "." + std::to_string(i) + "." + key;
                for (const auto& setting : settings.all(path)) {
                    if (setting.rank == rank) entry.members_.emplace(key, setting);
                }
            }
            if (entry.members_.empty()) break;
            // Origins are "FILE:LINE"; the least line is the first.
            const auto line = [](const std::string& origin) {
                const auto colon = origin.rfind(':');
                std::size_t number = 0;
                if (colon != std::string::npos)
                    std::from_chars(origin.data() + colon + 1, origin.data() + origin.size(), number);
                return number;
            };
            const auto first = std::min_element(
                entry.members_.begin(), entry.members_.end(),
                [&](const auto& a, const auto& b) { return line(a.second.origin) < line(b.second.origin); });
            entry.where_ = first->second.origin;
            result.push_back(std::move(entry));
        }
    }
    return result;
}

const std::string* ConfigEntry::find(std::string_view key) const {
    const auto found = members_.find(key);
    return found == members_.end() ? nullptr : &found->second.value;
}

Result<std::optional<double>> ConfigEntry::number(std::string_view key, double least) const {
    const auto* const text = find(key);
    if (text == nullptr) return std::optional<double>();
    double value = 0;
    const auto* const end = text->data() + text->size();
    const auto [stop, code] = std::from_chars(text->data(), end, value);
    if (code != std::errc() || stop != end || !std::isfinite(value) || value < least)
        return fail(Error{ErrorKind::usage,
                          "cannot use " + members_.find(key)->second.origin,
                          "'" + std::string(key) + "' of [[" + array_ + "]] is '" + *text + "'",
                          least > 0 ? "write a number above 0" : "write a number",
                          {}});
    return std::optional(value);
}

Error ConfigEntry::error(std::string what, std::string fix) const {
    return {ErrorKind::usage, "cannot use " + where_, std::move(what), std::move(fix), {}};
}

} // namespace dbx::usage
