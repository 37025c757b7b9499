// JSON documents, strict and with comments: what is accepted, the library accepts; edits of it succeed or are
// refused for a reason of the text, and made twice they change nothing more.
#include "core/edit/document.hpp"

#include <cstdint>
#include <cstdlib>

using namespace dbx::edit;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

void try_edits(const Document& document, Format format, const std::vector<Edit>& edits) {
    const auto result = document.apply(edits);
    if (!result) {
        require(result.error().fix.find("defect") == std::string::npos);
        return;
    }
    const auto again = Document::parse(format, *result);
    require(again.has_value());
    const auto unchanged = (*again)->apply(edits);
    require(unchanged && *unchanged == *result);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto choice = data[0];
    const Format format = (choice & 1) != 0 ? Format::jsonc : Format::json;
    const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
    const auto parsed = Document::parse(format, text);
    if (!parsed) {
        require(!parsed.error().why.empty());
        return 0;
    }
    const auto& document = **parsed;
    const auto library = nlohmann::json::parse(text, nullptr, false, format == Format::jsonc);
    require(!library.is_discarded());
    require(nlohmann::json(document.value()) == library);

    const auto leaves = document.leaves();
    for (const auto& leaf : leaves) require(leaf.offset + leaf.length <= text.size());
    try_edits(document, format,
              {Edit::set({"new", "x"}, "y"), Edit::append({"list"}, 1), Edit::set({"z"}, {1, 2})});
    if (leaves.empty()) return 0;
    const auto& leaf = leaves[choice % leaves.size()];
    if (leaf.path.empty()) return 0;
    const auto found = document.get(leaf.path);
    require(found.has_value());
    require(text.substr(found->offset, found->raw.size()) == found->raw);
    KeyPath parent(leaf.path.begin(), leaf.path.end() - 1);
    std::vector<Edit> edits = {Edit::remove(leaf.path), Edit::set({"new"}, nullptr)};
    for (; !parent.empty(); parent.pop_back()) edits.push_back(Edit::prune(parent));
    try_edits(document, format, edits);
    try_edits(document, format, {Edit::set(leaf.path, "other"), Edit::remove({leaf.path.front(), "a"})});
    parent.assign(leaf.path.begin(), leaf.path.end() - 1);
    if (parent.empty()) return 0;
    try_edits(document, format,
              {Edit::remove_element(parent, found->value), Edit::append(parent, {{"k", "v"}})});
    std::vector<Edit> all;
    for (const auto& other : leaves) {
        if (all.size() < 50 && !other.path.empty()) all.push_back(Edit::remove(other.path));
    }
    try_edits(document, format, all);
    return 0;
}
