#include "core/databricks/token_cache.hpp"

#include "core/system/hash.hpp"

#include <nlohmann/json.hpp>

#include <chrono>

namespace dbx::databricks {

namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr int format = 1;
constexpr std::uint64_t file_limit_bytes = 128U << 10U;

std::int64_t to_number(system::WallTime time) {
    return std::chrono::duration_cast<milliseconds>(time.time_since_epoch()).count();
}

system::WallTime to_time(std::int64_t number) {
    // Bounded so that arithmetic on a forged number cannot overflow the clock's nanoseconds.
    constexpr std::int64_t year_2200_ms = 7'258'118'400'000;
    return system::WallTime(milliseconds(std::clamp<std::int64_t>(number, 0, year_2200_ms)));
}

} // namespace

std::string cache_key(const Credential& credential) {
    std::string text;
    // Lengths keep neighbours apart.
    for (const auto& part :
         {std::string(name_of(credential.kind)), credential.host, credential.profile,
          credential.config_file.string(), credential.client_id, credential.client_secret.reveal(),
          credential.scopes, credential.tenant_id, credential.azure_resource_id, credential.azure_environment,
          credential.azure_authority, credential.cli_path})
        text += std::to_string(part.size()) + ":" + part;
    return system::sha256(text).substr(0, 32);
}

TokenFile read_token_file(system::FileSystem& files, const system::Path& path, uid_t user) {
    const auto status = files.status(path);
    if (!status || status->kind != system::FileKind::regular) return {};
    if ((status->mode & 0077) != 0 || status->owner != user) return {};
    const auto text = files.read(path, file_limit_bytes);
    if (!text) return {};
    const auto root = json::parse(*text, nullptr, false);
    if (!root.is_object()) return {};
    try {
        if (root.value("format", 0) != format) return {};
        TokenFile result;
        if (root.contains("token")) {
            Token token{Secret(root.at("token").get<std::string>()),
                        to_time(root.at("issued_at").get<std::int64_t>()),
                        {},
                        {}};
            if (root.contains("expires_at"))
                token.expires_at = to_time(root.at("expires_at").get<std::int64_t>());
            if (root.contains("management"))
                token.management = Secret(root.at("management").get<std::string>());
            const bool good = token_problem(token.value.reveal()).empty() &&
                              (token.management.empty() || token_problem(token.management.reveal()).empty());
            if (good) result.token = token;
        }
        if (root.contains("failure")) {
            const auto& failure = root.at("failure");
            const int kind = failure.at("kind").get<int>();
            if (kind < 0 || kind > static_cast<int>(ErrorKind::interrupted)) return result;
            result.failed_at = to_time(failure.at("at").get<std::int64_t>());
            result.failure = Error{static_cast<ErrorKind>(kind),
                                   failure.at("what").get<std::string>(),
                                   failure.at("why").get<std::string>(),
                                   failure.at("fix").get<std::string>(),
                                   {}};
        }
        return result;
    } catch (const json::exception&) {
        return {};
    }
}

Result<void> write_token_file(system::FileSystem& files, const system::Path& path, const TokenFile& content) {
    json root = {{"format", format}};
    if (content.token) {
        root["token"] = content.token->value.reveal();
        if (!content.token->management.empty()) root["management"] = content.token->management.reveal();
        root["issued_at"] = to_number(content.token->issued_at);
        if (content.token->expires_at) root["expires_at"] = to_number(*content.token->expires_at);
    }
    if (content.failure)
        root["failure"] = {{"at", to_number(content.failed_at)},
                           {"kind", static_cast<int>(content.failure->kind)},
                           {"what", content.failure->what},
                           {"why", content.failure->why},
                           {"fix", content.failure->fix}};
    return files.write(path, root.dump(-1, ' ', false, json::error_handler_t::replace) + "\n", 0600);
}

} // namespace dbx::databricks
