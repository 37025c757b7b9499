// .env texts: two independent readings of dotenv's rules agree, and what is written reads back.
#include "core/base/strings.hpp"
#include "core/edit/document.hpp"
#include "core/edit/dotenv_scan.hpp"

#include <cstdint>
#include <cstdlib>

using namespace dbx::edit;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string all(reinterpret_cast<const char*>(data), size);
    // The first line is a new value, the rest the text.
    const auto newline = all.find('\n');
    const std::string value = all.substr(0, newline);
    const std::string text = newline == std::string::npos ? "" : all.substr(newline + 1);
    const auto document = Document::parse(Format::dotenv, text);
    if (!document) return 0;

    const auto entries = scan_dotenv(text);
    const auto judged = evaluate_dotenv(text);
    require(entries.size() == judged.size());
    for (std::size_t i = 0; i < entries.size(); ++i) {
        require(entries[i].key(text) == judged[i].first);
        require(entries[i].value == judged[i].second);
        require(entries[i].begin <= entries[i].key_begin && entries[i].value_end <= entries[i].end);
    }
    const std::string key =
        entries.empty() ? "KEY" : std::string(entries[value.size() % entries.size()].key(text));
    for (const auto& edits : {std::vector{Edit::set({key}, value), Edit::set({"NEW"}, "x")},
                              std::vector{Edit::remove({key}), Edit::set({"NEW2"}, value)},
                              std::vector{Edit::set_raw({key}, value)}}) {
        const auto result = (*document)->apply(edits);
        if (!result) continue;
        const auto again = Document::parse(Format::dotenv, *result);
        require(again.has_value());
        const auto unchanged = (*again)->apply(edits);
        require(unchanged && *unchanged == *result);
        for (const auto& edit : edits) {
            if (edit.kind == Edit::Kind::set) require((*again)->get(edit.path)->value == edit.value);
        }
    }
    return 0;
}
