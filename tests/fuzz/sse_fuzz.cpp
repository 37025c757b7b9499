// Streams of events: framing agrees with a slow reader that has the whole text, in any slices.
#include "core/usage/sse.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

using namespace dbx::usage;

namespace {

struct Events {
    std::vector<std::string> done;
    std::string open;
    void data(std::string_view part) { open += part; }
    void event() {
        done.push_back(open);
        open.clear();
    }
};

// Line by line, as the standard says it.
std::vector<std::string> slowly(std::string text) {
    std::vector<std::string> lines(1), events;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
        if (text[i] == '\r' || text[i] == '\n')
            lines.emplace_back();
        else
            lines.back() += text[i];
    }
    lines.pop_back(); // not ended
    bool any = false;
    std::string data;
    for (const auto& line : lines) {
        if (line.empty()) {
            if (any) events.push_back(data);
            any = false;
            data.clear();
        } else if (line.rfind("data:", 0) == 0) {
            if (any) data += '\n';
            any = true;
            data += line.substr(line.size() > 5 && line[5] == ' ' ? 6 : 5);
        }
    }
    return events;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::size_t slice = data[0] % 29 + std::size_t{1};
    const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
    Events whole, sliced;
    SseFrames one, two;
    one.feed(text, whole);
    for (std::string_view rest = text; !rest.empty(); rest.remove_prefix(std::min(slice, rest.size())))
        two.feed(rest.substr(0, slice), sliced);
    if (whole.done != sliced.done || whole.open != sliced.open) std::abort();
    // A CR at the very end may be half of a line end: the slow reader takes it as one, as we do.
    if (whole.done != slowly(text)) std::abort();
    return 0;
}
