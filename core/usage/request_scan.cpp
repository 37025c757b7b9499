#include "core/usage/request_scan.hpp"

#include <nlohmann/json.hpp>

#include <charconv>

namespace dbx::usage {

namespace {

enum Place : int { top, model, stream, cap, generation_config };

struct Sink {
    std::optional<std::string>& name;
    std::optional<RequestScan::Span>& span;
    std::optional<bool>& streamed;
    std::optional<std::uint64_t>& output_cap;

    static int child(int place, std::string_view key) {
        if (place == top) {
            if (key == "model") return model;
            if (key == "stream") return stream;
            if (key == "max_tokens" || key == "max_output_tokens" || key == "max_completion_tokens")
                return cap;
            if (key == "generationConfig" || key == "generation_config") return generation_config;
        } else if (place == generation_config && (key == "maxOutputTokens" || key == "max_output_tokens")) {
            return cap;
        }
        return -1;
    }
    void enter(int) const {}
    void scalar(int place, const JsonScalar& value) const {
        switch (place) {
        case model:
            // A name beyond the walk's token limit is none; the upstream will say so.
            // Of several the first counts, in whatever slices the body comes.
            if (name || !value.is_string || value.length > JsonWalk::token_limit) break;
            span = RequestScan::Span{value.offset, value.length};
            if (value.raw.find('\\') == std::string_view::npos) {
                name = std::string(value.raw);
            } else {
                const auto text = nlohmann::json::parse('"' + std::string(value.raw) + '"', nullptr, false);
                name = text.is_string() ? text.get<std::string>() : std::string(value.raw);
            }
            break;
        case stream:
            if (!streamed && !value.is_string && (value.raw == "true" || value.raw == "false"))
                streamed = value.raw == "true";
            break;
        case cap: {
            std::uint64_t number = 0;
            const auto* const end = value.raw.data() + value.raw.size();
            if (!value.is_string && std::from_chars(value.raw.data(), end, number).ec == std::errc())
                output_cap = number;
            break;
        }
        default:
            break;
        }
    }
};

} // namespace

void RequestScan::see(std::string_view bytes) {
    if (settled_) return;
    Sink sink{model_, span_, stream_, cap_};
    // In steps, so that it ends soon after both are known and not only with the piece.
    constexpr std::size_t step = 16'384;
    while (!bytes.empty() && !settled_) {
        walk_.feed(bytes.substr(0, step), sink);
        bytes.remove_prefix(std::min(step, bytes.size()));
        settled_ = (model_ && stream_) || walk_.done() || walk_.broken();
    }
}

} // namespace dbx::usage
