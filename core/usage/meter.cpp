#include "core/usage/meter.hpp"

#include "core/base/strings.hpp"
#include "core/usage/inflate.hpp"
#include "core/usage/picked.hpp"
#include "core/usage/sse.hpp"

namespace dbx::usage {

namespace {

constexpr std::uint64_t bytes_per_token = 4;
constexpr std::size_t blank_limit = 4'096;

std::uint64_t less(std::uint64_t a, std::uint64_t b) {
    return a > b ? a - b : 0;
}

enum class Coding { identity, zlib, unknown };

Coding coding_of(std::string_view content_encoding) {
    const auto word = trim(content_encoding);
    if (word.empty() || iequals(word, "identity")) return Coding::identity;
    if (iequals(word, "gzip") || iequals(word, "x-gzip") || iequals(word, "deflate")) return Coding::zlib;
    return Coding::unknown;
}

} // namespace

std::uint64_t Usage::counted() const {
    return input.value_or(0) + cache_write.value_or(0) + output.value_or(0);
}

void Usage::forget_counts() {
    for (auto* count :
         {&input, &cache_read, &cache_write, &cache_write_5m, &cache_write_1h, &output, &reasoning})
        count->reset();
    output_estimate = 0;
}

struct Meter::State {
    enum class Form { undecided, sse, json, none };

    Dialect dialect = Dialect::unknown;
    Coding coding = Coding::identity;
    Form form = Form::undecided;
    std::size_t bom = 0;   // bytes of a byte-order mark seen
    std::size_t blank = 0; // white space before the first byte
    SseFrames frames;
    JsonWalk walk;
    Picked picked;
    std::unique_ptr<Inflater> inflater;

    // What all documents together told.
    Counts counts;
    bool exact = false;       // the last counts have been told
    bool end = false;         // the answer's own end has been seen
    bool placeholder = false; // message_start has been seen, and no message_delta with the real output
    std::string model;
    std::string id;
    std::string error_class;
    std::uint64_t text_bytes = 0;

    void see(std::string_view bytes) {
        if (form == Form::undecided) decide(bytes);
        if (form == Form::sse) {
            frames.feed(bytes, *this);
        } else if (form == Form::json) {
            while (!bytes.empty() && !walk.broken()) {
                bytes.remove_prefix(walk.feed(bytes, picked));
                if (walk.done()) document();
                // Behind a document: the next one, if there is one (lines of JSON).
                if (walk.fresh())
                    bytes.remove_prefix(std::min(bytes.find_first_not_of(" \t\r\n"), bytes.size()));
            }
        }
    }

    // The body's first byte decides, not its Content-Type: gateways answer JSON errors to requests for a
    // stream, and streams without a type.
    void decide(std::string_view& bytes) {
        static constexpr std::string_view mark = "\xef\xbb\xbf";
        while (!bytes.empty()) {
            const char c = bytes.front();
            if (bom < mark.size() && c == mark[bom]) {
                ++bom;
            } else if (c == '{' || c == '[') {
                form = Form::json;
                return;
            } else if (c != ' ' && c != '\t' && c != '\r' && c != '\n') {
                form = c == 'd' || c == 'e' || c == 'i' || c == 'r' || c == ':' ? Form::sse : Form::none;
                return;
            }
            bytes.remove_prefix(1);
            if (++blank > blank_limit) {
                form = Form::none;
                return;
            }
        }
    }

    // An event's data, in parts.
    void data(std::string_view part) {
        if (!walk.done() && !walk.broken()) walk.feed(part, picked);
    }
    void event() { document(); }

    // A whole JSON document, or what there is of it, has been picked.
    void document() {
        take();
        walk.reset();
        picked.clear();
    }

    void take() {
        const std::string_view type = picked.type;
        const bool whole = walk.done();
        if (model.empty()) model = picked.model;
        if (id.empty() && type != "error") id = picked.id;
        text_bytes += picked.text_bytes;
        const bool responses_end =
            type == "response.completed" || type == "response.incomplete" || type == "response.failed";
        if (error_class.empty()) {
            if (type == "response.failed") {
                error_class = picked.error_class.empty() ? "response_failed" : picked.error_class;
            } else if (type == "error" || type.empty() || form == Form::json) {
                // Other events of a stream may carry an error of a tool, which is none of the answer.
                error_class = picked.error_class;
                if (type == "error" && error_class.empty()) error_class = "error";
            }
        }
        if (whole && (responses_end || type == "message_stop" || picked.finished)) end = true;
        if (form == Form::json && whole) end = true;
        if (!picked.counts.any()) return;
        if (type == "message_delta") {
            merge();
            if (picked.counts.has(Count::output)) {
                exact = true;
                placeholder = false;
            }
        } else if (!type.starts_with("response.") || responses_end) {
            counts = picked.counts;
            exact = exact || responses_end;
            placeholder = type == "message_start";
        }
    }

    // Claude Code's own rule: per field, a value other than 0 in message_delta replaces the one from
    // message_start; 0 or nothing keeps it.
    void merge() {
        for (std::size_t i = 0; i < count_kinds; ++i) {
            const auto kind = static_cast<Count>(i);
            if (picked.counts.get(kind) != 0 || (picked.counts.has(kind) && !counts.has(kind)))
                counts.set(kind, picked.counts.get(kind));
        }
    }

    Usage result(End how) {
        // An event whose blank line is missing has been told all the same.
        if (!walk.fresh()) document();
        Usage usage;
        usage.model_answered = model;
        usage.upstream_id = id;
        usage.error_class = error_class;
        usage.output_estimate = (text_bytes + bytes_per_token - 1) / bytes_per_token;
        if (coding == Coding::unknown) return usage;
        if (counts.any_gemini()) {
            take_gemini(usage);
        } else if (counts.any_chat()) {
            take_chat(usage);
        } else if (counts.any()) {
            take_tokens(usage);
        }
        if ((how == End::cut && !exact && !end) || placeholder) {
            usage.partial = true;
            // Anthropic's message_start has a placeholder of a few tokens as its output (and a stream that
            // ends there is cut, however it ended). Counts of the others grow with the text.
            const auto told = usage.output.value_or(0);
            if (told == 0 || placeholder) {
                const auto most = std::max(told, usage.output_estimate);
                if (most > 0) usage.output = most;
            }
        }
        return usage;
    }

    void take_gemini(Usage& usage) const {
        const auto cached = counts.get(Count::gemini_cached);
        usage.input = less(counts.get(Count::gemini_prompt), cached) + counts.get(Count::gemini_tools);
        usage.cache_read = counts.find(Count::gemini_cached);
        usage.reasoning = counts.find(Count::gemini_thoughts);
        // A count of 0 is left out of Gemini's JSON.
        usage.output = counts.get(Count::gemini_candidates) + counts.get(Count::gemini_thoughts);
    }

    void take_chat(Usage& usage) const {
        const auto prompt = counts.get(Count::prompt);
        const auto completion = counts.get(Count::completion);
        usage.output = counts.find(Count::completion);
        usage.reasoning = counts.find(Count::reasoning);
        if (counts.has(Count::cache_read) || counts.has(Count::cache_creation)) {
            // Claude behind a chat API: Anthropic's names beside OpenAI's. Whether prompt_tokens has them in
            // it is told by the total, or by being too small for it.
            const auto cache = counts.get(Count::cache_read) + counts.get(Count::cache_creation);
            const bool apart = prompt < cache || counts.get(Count::total) == prompt + completion + cache;
            usage.input = apart ? prompt : prompt - cache;
            usage.cache_read = counts.find(Count::cache_read);
            usage.cache_write = counts.find(Count::cache_creation);
        } else {
            take_details(usage, prompt);
        }
        if (!counts.has(Count::prompt)) usage.input.reset();
    }

    // Responses and Messages share the names input_tokens and output_tokens; the details are the Responses'.
    void take_tokens(Usage& usage) const {
        usage.output = counts.find(Count::output);
        usage.reasoning = counts.find(Count::reasoning);
        const bool details = counts.has(Count::cached) || counts.has(Count::cached_write);
        if (details) {
            take_details(usage, counts.get(Count::input));
            if (!counts.has(Count::input)) usage.input.reset();
            return;
        }
        usage.input = counts.find(Count::input);
        usage.cache_read = counts.find(Count::cache_read);
        usage.cache_write_5m = counts.find(Count::ephemeral_5m);
        usage.cache_write_1h = counts.find(Count::ephemeral_1h);
        usage.cache_write = counts.find(Count::cache_creation);
        // With tools of the server the sum grows beyond the parts that message_start told; never the reverse.
        const auto parts = counts.get(Count::ephemeral_5m) + counts.get(Count::ephemeral_1h);
        if (parts > usage.cache_write.value_or(0)) usage.cache_write = parts;
    }

    void take_details(Usage& usage, std::uint64_t all) const {
        usage.input = less(less(all, counts.get(Count::cached)), counts.get(Count::cached_write));
        usage.cache_read = counts.find(Count::cached);
        usage.cache_write = counts.find(Count::cached_write);
    }
};

Meter::Meter(Dialect dialect, std::string_view content_type, std::string_view content_encoding)
    : state_(std::make_unique<State>()) {
    state_->dialect = dialect;
    state_->coding = coding_of(content_encoding);
    if (state_->coding == Coding::zlib) state_->inflater = std::make_unique<Inflater>();
    if (icontains(content_type, "text/html")) state_->form = State::Form::none;
}
Meter::Meter(Meter&&) noexcept = default;
Meter& Meter::operator=(Meter&&) noexcept = default;
Meter::~Meter() = default;

void Meter::see(std::string_view bytes) {
    auto& state = *state_;
    if (state.coding == Coding::identity) {
        state.see(bytes);
    } else if (state.coding == Coding::zlib && state.form != State::Form::none) {
        state.inflater->feed(bytes, [&](std::string_view piece) { state.see(piece); });
    }
}

bool Meter::saw_end() const {
    return state_->end;
}

Usage Meter::finish(End end) {
    return state_->result(end);
}

} // namespace dbx::usage
