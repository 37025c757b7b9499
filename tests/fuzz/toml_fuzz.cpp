// Any bytes: parse, look at everything, edit. What may fail must fail with an error; what succeeds must hold.
#include "core/edit/formats.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>
#include <set>
#include <string>
#include <vector>

using namespace dbx;
using namespace dbx::edit;

namespace {

// Prints before it dies, so that a crash file tells its story.
void require(bool condition, std::string_view what, const std::string& detail = {}) {
    if (condition) return;
    std::cerr << "violated: " << what << "\n" << detail << "\n";
    std::abort();
}

bool passes_array(const Value& document, const KeyPath& path) {
    const auto* at = &document;
    for (const auto& name : path) {
        if (at->is_array()) return true;
        const auto found = at->find(name);
        if (found == at->end()) return true;
        at = &*found;
    }
    return false;
}

void collect_paths(const Value& value, const KeyPath& path, std::vector<KeyPath>& out) {
    if (out.size() > 400 || !value.is_object()) return;
    for (const auto& [name, member] : value.items()) {
        auto inner = path;
        inner.push_back(name);
        out.push_back(inner);
        collect_paths(member, inner, out);
    }
}

class Wisher {
  public:
    Wisher(std::uint32_t seed, const Value& document)
        : random_(seed) {
        collect_paths(document, {}, paths_);
    }

    std::vector<Edit> edits() {
        std::vector<Edit> out;
        for (auto count = 1 + pick(4); count > 0; --count) {
            const auto path = some_path();
            switch (pick(8)) {
            case 0:
                out.push_back(Edit::remove(path));
                break;
            case 1:
                out.push_back(Edit::prune(path));
                break;
            case 2:
                out.push_back(Edit::append(path, some_value(0)));
                break;
            case 3:
                out.push_back(Edit::remove_element(path, some_value(0)));
                break;
            case 4:
                out.push_back(Edit::set_raw(path, some_raw()));
                break;
            default:
                out.push_back(Edit::set(path, some_value(2)));
                break;
            }
        }
        return out;
    }

  private:
    std::size_t pick(std::size_t count) { return random_() % count; }

    KeyPath some_path() {
        static const std::vector<std::string> names{"a", "b", "new key", "x.y", "\"", "", "model", "\n", "ü"};
        KeyPath path;
        if (!paths_.empty() && pick(5) != 0) path = paths_[pick(paths_.size())];
        if (path.empty() || pick(2) == 0)
            for (auto more = 1 + pick(2); more > 0; --more) path.push_back(names[pick(names.size())]);
        if (path.size() > 1 && pick(4) == 0) path.pop_back();
        return path;
    }

    Value some_value(std::size_t depth) {
        switch (pick(depth > 0 ? 9 : 6)) {
        case 0:
            return "plain";
        case 1:
            return "q\"'\\\n\t\x01 ]$ü";
        case 2:
            return 42;
        case 3:
            return -1.5;
        case 4:
            return true;
        case 5:
            return "";
        case 6:
            return Value::array({some_value(depth - 1), some_value(depth - 1)});
        case 7:
            return Value::object();
        default:
            return Value::object({{"k", some_value(depth - 1)}, {"m n", some_value(depth - 1)}});
        }
    }

    std::string some_raw() {
        static const std::vector<std::string> spellings{
            "0xFF", "'''\n[x]\n'''", "{ a = 1 }", "[ 1, # c\n 2 ]", "2020-01-01 10:00:00", "1\nz = 2", "\"",
            "nan"};
        return spellings[pick(spellings.size())];
    }

    std::mt19937 random_;
    std::vector<KeyPath> paths_;
};

void check_leaves(const Document& document, const Value& value) {
    const auto& text = document.text();
    std::size_t looked_up = 0;
    std::size_t behind = 0;
    for (const auto& leaf : document.leaves()) {
        require(leaf.length > 0 && leaf.offset >= behind && leaf.offset + leaf.length <= text.size(),
                "a leaf's place");
        behind = leaf.offset + leaf.length;
        if (looked_up > 300 || passes_array(value, leaf.path)) continue;
        ++looked_up;
        const auto found = document.get(leaf.path);
        require(found.has_value(), "a leaf is found");
        require(found->offset == leaf.offset && found->raw == text.substr(leaf.offset, leaf.length),
                "a leaf's spelling");
        require(found->value.is_string() || !leaf.is_string, "a leaf's kind");
        // Behind a backslash at a line's end toml++ 3.3 swallows more kinds of space than the two of TOML.
        const bool swallows = found->raw.substr(0, 3) == "\"\"\"" &&
                              found->raw.find_first_of("\r\n") != std::string::npos &&
                              found->raw.find('\\') != std::string::npos;
        const bool ascii = std::all_of(found->raw.begin(), found->raw.end(),
                                       [](char c) { return static_cast<unsigned char>(c) < 0x80; });
        if (leaf.is_string && (ascii || !swallows))
            require(found->value.get_ref<const std::string&>() == leaf.text, "a leaf's text", leaf.text);
    }
}

std::string story(const std::vector<Edit>& edits) {
    std::string out;
    for (const auto& edit : edits)
        out += std::to_string(static_cast<int>(edit.kind)) + " " + to_string(edit.path) + " " +
               edit.value.dump() + " " + edit.raw + "\n";
    return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    const auto document = parse_toml(text);
    if (!document) {
        const auto& why = document.error().why;
        require(why.rfind("line ", 0) == 0, "an error has a position", why);
        require(why.find("defect of dbx-agents") == std::string::npos, "both readings agree", why);
        return 0;
    }
    require((*document)->text() == text, "the text stays");
    const auto value = (*document)->value();
    check_leaves(**document, value);

    std::uint32_t seed = 2166136261U;
    for (std::size_t i = 0; i < size; ++i) seed = (seed ^ data[i]) * 16777619U;
    const auto edits = Wisher(seed, value).edits();
    const auto result = (*document)->apply(edits);
    if (!result) {
        require(result.error().why.find("defect of dbx-agents") == std::string::npos, "no defect",
                result.error().why + "\n" + story(edits));
        return 0;
    }
    const auto after = parse_toml(*result);
    require(after.has_value(), "the result parses", story(edits) + *result);
    std::set<KeyPath> seen;
    for (auto edit = edits.rbegin(); edit != edits.rend(); ++edit) { // the last wish for a path counts
        if (edit->kind != Edit::Kind::set || edit->value.is_object() || !seen.insert(edit->path).second)
            continue;
        bool alone = true;
        for (const auto& other : edits) alone = alone && (&other == &*edit || other.path != edit->path);
        if (!alone) continue;
        const auto found = (*after)->get(edit->path);
        require(found && found->value == edit->value, "a value was set", story(edits) + *result);
    }
    const auto again = (*after)->apply(edits);
    if (again)
        require(*again == *result, "doing it twice changes nothing",
                story(edits) + *result + "\n--\n" + *again);
    return 0;
}
