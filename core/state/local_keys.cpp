#include "core/state/local_keys.hpp"

#include "core/base/strings.hpp"
#include "core/system/hash.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace dbx::state {

namespace {

constexpr std::uint64_t keys_limit_bytes = 1U << 20;
constexpr int keys_format = 1;

bool is_digit(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

std::optional<LocalKeys> parse(const std::string& text) {
    const auto root = nlohmann::json::parse(text, nullptr, false);
    if (!root.is_object() || root.value("format", nlohmann::json()) != keys_format) return std::nullopt;
    const auto list = root.find("keys");
    if (list == root.end() || !list->is_object()) return std::nullopt;
    LocalKeys keys;
    for (const auto& item : list->items()) {
        if (!item.value().is_string() || !is_local_key(item.value().get_ref<const std::string&>()))
            return std::nullopt;
        keys.emplace(item.key(), Secret(item.value().get<std::string>()));
    }
    return keys;
}

} // namespace

bool is_local_key(std::string_view text) {
    return text.size() == local_key_prefix.size() + local_key_digits && text.starts_with(local_key_prefix) &&
           std::all_of(text.begin() + local_key_prefix.size(), text.end(), is_digit);
}

Secret new_local_key() {
    return Secret(std::string(local_key_prefix) + system::random_hex(local_key_digits / 2));
}

Result<system::Path> local_keys_path(const system::Environment& environment) {
    const auto directory = system::state_directory(environment);
    if (!directory) return fail(directory.error());
    return *directory / "local_keys.json";
}

Result<LocalKeys> read_local_keys(const system::Environment& environment, system::FileSystem& files) {
    const auto path = local_keys_path(environment);
    if (!path) return fail(path.error());
    const auto status = files.status(*path);
    if (!status) return fail(status.error());
    if (status->kind == system::FileKind::missing) return LocalKeys{};
    const auto text = files.read(*path, keys_limit_bytes);
    if (!text) return fail(text.error());
    auto keys = parse(*text);
    if (!keys)
        return fail(ErrorKind::file, "cannot read the local keys " + system::display_path(environment, *path),
                    "the file is damaged or was written by a newer dbx-agents",
                    "move it away, then run dbx-agents proxy rotate-keys");
    return std::move(*keys);
}

Result<std::optional<Secret>> read_local_key(std::string_view agent, const system::Environment& environment,
                                             system::FileSystem& files) {
    const auto keys = read_local_keys(environment, files);
    if (!keys) return fail(keys.error());
    const auto found = keys->find(std::string(agent));
    return found == keys->end() ? std::optional<Secret>() : std::optional<Secret>(found->second);
}

Result<std::string> local_keys_text(const LocalKeys& keys) {
    auto root = nlohmann::ordered_json::object();
    root["format"] = keys_format;
    root["keys"] = nlohmann::ordered_json::object();
    for (const auto& [agent, key] : keys) {
        if (!is_utf8(agent))
            return fail(ErrorKind::usage, "cannot keep a local key for an agent of that name",
                        "its name is not UTF-8", "rename the folder of its template");
        root["keys"][agent] = key.reveal();
    }
    return root.dump(2) + "\n";
}

std::string with_local_key(std::string_view text, const Secret& key) {
    constexpr std::size_t length = local_key_prefix.size() + local_key_digits;
    std::string result;
    std::size_t kept = 0;
    for (std::size_t at = 0; (at = text.find(local_key_prefix, at)) != std::string_view::npos;) {
        if (!is_local_key(text.substr(at, length))) {
            ++at;
            continue;
        }
        result += text.substr(kept, at - kept);
        result += key.reveal();
        at += length;
        kept = at;
    }
    return result += text.substr(kept);
}

} // namespace dbx::state
