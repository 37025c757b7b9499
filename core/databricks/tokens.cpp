#include "core/databricks/tokens.hpp"

#include "core/base/strings.hpp"
#include "core/databricks/token_cache.hpp"
#include "core/databricks/token_fetch.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>

namespace dbx::databricks {

namespace {

using std::chrono::minutes;
using std::chrono::seconds;

// Good for one more request, though not fresh.
bool is_valid(const Token& token, system::WallTime now) {
    return !token.expires_at || now + seconds(10) < *token.expires_at;
}

std::optional<std::string> decode_base64url(std::string_view text) {
    std::string result;
    unsigned block = 0;
    int bits = 0;
    for (const char c : text) {
        unsigned digit = 0;
        if (c >= 'A' && c <= 'Z')
            digit = static_cast<unsigned>(c - 'A');
        else if (c >= 'a' && c <= 'z')
            digit = static_cast<unsigned>(c - 'a') + 26;
        else if (c >= '0' && c <= '9')
            digit = static_cast<unsigned>(c - '0') + 52;
        else if (c == '-' || c == '+')
            digit = 62;
        else if (c == '_' || c == '/')
            digit = 63;
        else if (c == '=')
            break;
        else
            return std::nullopt;
        block = block << 6U | digit;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            result += static_cast<char>(block >> static_cast<unsigned>(bits) & 255U);
        }
    }
    return result;
}

bool read_digits(std::string_view text, std::size_t at, std::size_t count, int& value) {
    if (at + count > text.size()) return false;
    const auto [end, error] = std::from_chars(text.data() + at, text.data() + at + count, value);
    return error == std::errc() && end == text.data() + at + count && value >= 0;
}

} // namespace

bool is_fresh(const Token& token, system::WallTime now) {
    // A few minutes: clocks are corrected, and other processes wrote the file.
    if (token.issued_at > now + minutes(5)) return false;
    if (!token.expires_at) return true;
    const auto life = *token.expires_at - token.issued_at;
    const auto margin = std::min<std::chrono::system_clock::duration>(minutes(5), life / 10);
    return now < *token.expires_at - margin;
}

std::optional<system::WallTime> jwt_expiry(std::string_view token) {
    const auto parts = split(token, '.');
    if (parts.size() != 3 || token.size() > 65536) return std::nullopt;
    const auto text = decode_base64url(parts[1]);
    if (!text) return std::nullopt;
    const auto claims = nlohmann::json::parse(*text, nullptr, false);
    if (!claims.is_object() || !claims.contains("exp") || !claims["exp"].is_number()) return std::nullopt;
    const auto exp = claims["exp"].get<double>();
    if (!(exp > 0) || exp > 7'258'118'400.0) return std::nullopt;
    return system::WallTime(seconds(static_cast<std::int64_t>(exp)));
}

std::optional<system::WallTime> parse_rfc3339(std::string_view text) {
    text = trim(text);
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
    if (text.size() < 20 || text[4] != '-' || text[7] != '-' ||
        (text[10] != 'T' && text[10] != 't' && text[10] != ' ') || text[13] != ':' || text[16] != ':')
        return std::nullopt;
    if (!read_digits(text, 0, 4, year) || !read_digits(text, 5, 2, month) || !read_digits(text, 8, 2, day) ||
        !read_digits(text, 11, 2, hour) || !read_digits(text, 14, 2, minute) ||
        !read_digits(text, 17, 2, second))
        return std::nullopt;
    auto rest = text.substr(19);
    if (rest[0] == '.') {
        const auto end = rest.find_first_not_of("0123456789", 1);
        if (end == std::string_view::npos || end == 1) return std::nullopt;
        rest = rest.substr(end);
    }
    int offset_minutes = 0;
    if (rest != "Z" && rest != "z") {
        int hours = 0, more = 0;
        if (rest.size() != 6 || (rest[0] != '+' && rest[0] != '-') || rest[3] != ':' ||
            !read_digits(rest, 1, 2, hours) || !read_digits(rest, 4, 2, more))
            return std::nullopt;
        offset_minutes = (hours * 60 + more) * (rest[0] == '-' ? -1 : 1);
    }
    const std::chrono::year_month_day date(std::chrono::year(year),
                                           std::chrono::month(static_cast<unsigned>(month)),
                                           std::chrono::day(static_cast<unsigned>(day)));
    if (!date.ok() || hour > 23 || minute > 59 || second > 60 || year > 2200 || year < 1970)
        return std::nullopt;
    return std::chrono::sys_days(date) + std::chrono::hours(hour) + minutes(minute) + seconds(second) -
           minutes(offset_minutes);
}

TokenSource::TokenSource(Credential credential, TokenServices services)
    : credential_(std::move(credential))
    , services_(std::move(services)) {}

std::optional<Token> TokenSource::in_memory() const {
    if (credential_.is_static())
        return Token{credential_.token, {}, jwt_expiry(credential_.token.reveal()), {}};
    const std::lock_guard lock(guard_);
    if (memory_ && is_fresh(*memory_, services_.clock.now())) return memory_;
    return std::nullopt;
}

Result<Token> TokenSource::get(Freshness freshness) {
    const auto known = in_memory();
    if (known && (credential_.is_static() || freshness == Freshness::cached)) return *known;
    const auto started = services_.clock.now();
    const std::lock_guard turn(refreshing_);
    {
        // Another thread may have been here while we waited.
        const std::lock_guard lock(guard_);
        const bool newer = memory_ && (freshness == Freshness::cached || memory_->issued_at > started);
        if (newer && is_fresh(*memory_, services_.clock.now())) return *memory_;
    }
    auto token = refresh(freshness);
    if (token) {
        const std::lock_guard lock(guard_);
        memory_ = *token;
    }
    return token;
}

Result<Token> TokenSource::refresh(Freshness freshness) {
    auto& files = services_.files;
    const auto user = services_.environment.user_id();
    const auto folder = services_.state_directory / "tokens";
    const auto key = cache_key(credential_);
    const auto path = folder / (key + ".json");
    const auto started = services_.clock.now();
    const auto usable = [&](const TokenFile& file) {
        return file.token && is_fresh(*file.token, services_.clock.now()) &&
               (freshness == Freshness::cached || file.token->issued_at > started);
    };

    // 1. A fresh token that some process has left: no lock needed, the file is replaced in one step.
    auto file = read_token_file(files, path, user);
    if (usable(file)) return *file.token;

    // 2. One process asks; the others wait for it, and take its token or its failure. Without a lock (a state
    // folder that cannot be written) everybody asks for itself.
    const auto made = files.make_directories(folder, 0700);
    auto lock =
        made ? system::Lock::acquire(folder / (key + ".lock"), static_cast<int>(services_.lock_wait.count()))
             : Result<system::Lock>(fail(made.error()));
    if (!lock && lock.error().kind == ErrorKind::interrupted) return fail(lock.error());
    if (lock) {
        file = read_token_file(files, path, user);
        if (usable(file)) return *file.token;
        if (file.failure && file.failed_at > started && file.failed_at <= services_.clock.now()) {
            if (freshness == Freshness::cached && file.token && is_valid(*file.token, services_.clock.now()))
                return *file.token;
            return fail(*file.failure);
        }
    }

    // 3. Ask. The file is a convenience: when it cannot be written the token is good all the same.
    auto fresh = fetch_token(credential_, services_, freshness);
    if (fresh) {
        (void)write_token_file(files, path, {*fresh, {}, {}});
        return fresh;
    }
    if (fresh.error().kind == ErrorKind::interrupted) return fresh;
    file.failure = fresh.error();
    file.failed_at = services_.clock.now();
    if (lock) (void)write_token_file(files, path, file);

    // 4. The old token still works: better than nothing while the network is away.
    if (freshness == Freshness::cached && file.token && is_valid(*file.token, services_.clock.now()))
        return *file.token;
    return fresh;
}

} // namespace dbx::databricks
