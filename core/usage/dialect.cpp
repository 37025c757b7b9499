#include "core/usage/dialect.hpp"

#include "core/base/strings.hpp"

namespace dbx::usage {

namespace {

constexpr std::size_t name_limit = 160;

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

std::string percent_decoded(std::string_view text) {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const int high = text[i] == '%' && i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
        const int low = high >= 0 ? hex_value(text[i + 2]) : -1;
        if (low >= 0) {
            result += static_cast<char>(high * 16 + low);
            i += 2;
        } else {
            result += text[i];
        }
    }
    return result;
}

// For the ledger: bounded, and nothing that would steer a terminal.
std::string shown(std::string_view path) {
    std::string result(path.substr(0, name_limit));
    for (auto& c : result) {
        if (static_cast<unsigned char>(c) < 0x21 || static_cast<unsigned char>(c) > 0x7e) c = '?';
    }
    return result;
}

} // namespace

std::string_view name_of(Dialect dialect) {
    switch (dialect) {
    case Dialect::responses:
        return "responses";
    case Dialect::chat:
        return "chat";
    case Dialect::messages:
        return "messages";
    case Dialect::gemini:
        return "gemini";
    case Dialect::unknown:
        break;
    }
    return "unknown";
}

Route route_of(std::string_view method, std::string_view target) {
    auto path = target.substr(0, target.find('?'));
    while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
    Route route;
    route.name = shown(path);
    // GET and HEAD look at things; what makes the model work is a POST.
    const bool posts = method != "GET" && method != "HEAD" && method != "OPTIONS" && method != "DELETE";
    route.generates = posts;

    if (const auto models = path.rfind("/models/"); models != std::string_view::npos) {
        const auto begin = models + std::string_view("/models/").size();
        const auto colon = path.rfind(':');
        if (colon != std::string_view::npos && colon > begin) {
            const auto action = path.substr(colon + 1);
            route.dialect = Dialect::gemini;
            route.model = percent_decoded(path.substr(begin, colon - begin)).substr(0, name_limit);
            route.name = shown(std::string(path.substr(0, begin)) + "{model}:" + std::string(action));
            route.generates = posts && action != "countTokens";
            return route;
        }
        // GET /v1/models/NAME
        route.name = shown(std::string(path.substr(0, begin)) + "{model}");
        return route;
    }
    if (path.ends_with("/count_tokens")) {
        route.dialect = Dialect::messages;
        route.generates = false;
    } else if (path.ends_with("/messages")) {
        route.dialect = Dialect::messages;
    } else if (path.ends_with("/chat/completions") || path.ends_with("/completions")) {
        route.dialect = Dialect::chat;
    } else if (path.ends_with("/responses")) {
        route.dialect = Dialect::responses;
    } else if (const auto responses = path.find("/responses/"); responses != std::string_view::npos) {
        route.dialect = Dialect::responses;
        const auto rest = path.substr(responses + std::string_view("/responses/").size());
        if (rest == "input_tokens") {
            route.generates = false;
        } else if (rest != "compact") {
            // Of one answer; its id is of no use in a report.
            route.name = shown(std::string(path.substr(0, responses)) + "/responses/{id}");
        }
    }
    return route;
}

} // namespace dbx::usage
