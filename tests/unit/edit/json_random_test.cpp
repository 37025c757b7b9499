#include "tests/unit/edit/json_bench.hpp"

#include <random>

using namespace dbx;
using namespace dbx::edit;
using namespace dbx::edit::tests;

namespace {

// Documents in all kinds of layouts, and edits of them.
class Generator {
  public:
    explicit Generator(std::uint32_t seed)
        : random_(seed) {}

    std::size_t below(std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_); }
    bool chance(int percent) { return below(100) < static_cast<std::size_t>(percent); }

    std::string space() {
        static const std::vector<std::string> spaces = {"",   " ",  "\n",   "\r\n",    "\n  ",
                                                        "\t", "  ", "\n\t", "\n\n    "};
        std::string result = spaces[below(spaces.size())];
        if (comments && chance(15)) result += chance(50) ? "/* c, } */" : "// c \" ]\n";
        if (chance(20)) result += spaces[below(spaces.size())];
        return result;
    }

    std::string scalar() {
        static const std::vector<std::string> scalars = {"1",
                                                         "1.0",
                                                         "-0",
                                                         "1e5",
                                                         "12345678901234567890123",
                                                         "true",
                                                         "null",
                                                         "\"x\"",
                                                         "\"\"",
                                                         "\"\\u00e9\\/\"",
                                                         "\"// {\"",
                                                         "\"\\ud83d\\ude00\"",
                                                         "\"é,\"",
                                                         "false"};
        return scalars[below(scalars.size())];
    }

    std::string value(int depth) {
        if (depth == 0 || chance(40)) return scalar();
        const bool object = chance(70);
        std::string result(1, object ? '{' : '[');
        const std::size_t count = below(4);
        for (std::size_t i = 0; i < count; ++i) {
            if (i > 0) result += ",";
            result += pretty ? "\n" + std::string(static_cast<std::size_t>(6 - depth) * 2, ' ') : space();
            if (object)
                result += "\"k" + std::to_string(i) + "\"" + (pretty ? ": " : space() + ":" + space());
            result += value(depth - 1);
            if (!pretty) result += space();
        }
        if (pretty && count > 0) result += "\n" + std::string(static_cast<std::size_t>(5 - depth) * 2, ' ');
        return result + (object ? '}' : ']');
    }

    std::string document() {
        pretty = chance(40);
        std::string body = value(4);
        while (body[0] != '{') body = value(4);
        if (pretty) return body + "\n";
        return (!comments && chance(10) ? "\xEF\xBB\xBF" : "") + space() + body + space();
    }

    KeyPath path() {
        KeyPath result;
        for (std::size_t i = 1 + below(3); i > 0; --i) result.push_back("k" + std::to_string(below(5)));
        return result;
    }

    Edit edit() {
        static const std::vector<Value> values = {1,     "x", true, nullptr, {1, 2}, {{"a", {{"b", 1}}}},
                                                  "é\n", 1.5};
        const auto& value = values[below(values.size())];
        switch (below(8)) {
        case 0:
        case 1:
        case 2:
            return Edit::set(path(), value);
        case 3:
            return Edit::set_raw(path(), scalar());
        case 4:
            return Edit::append(path(), value);
        case 5:
            return Edit::remove_element(path(), value);
        case 6:
            return Edit::prune(path());
        default:
            return Edit::remove(path());
        }
    }

    bool comments = false;
    bool pretty = false;

  private:
    std::mt19937 random_;
};

} // namespace

TEST_CASE("json: random edits of random documents pass the judge and change nothing when repeated") {
    std::size_t applied = 0;
    for (std::uint32_t seed = 0; seed < 1500; ++seed) {
        Generator generator(seed);
        generator.comments = seed % 2 == 0;
        const auto format = generator.comments ? Format::jsonc : Format::json;
        const auto text = generator.document();
        const auto document = open(text, format);
        std::vector<Edit> edits;
        bool removes = false;
        for (std::size_t i = 1 + generator.below(4); i > 0; --i) {
            edits.push_back(generator.edit());
            const auto kind = edits.back().kind;
            removes = removes || kind != Edit::Kind::set || document->get(edits.back().path);
        }
        CAPTURE(seed);
        CAPTURE(text);
        const auto result = document->apply(edits);
        if (!result) {
            // Refusals are about the wishes or the document, never about our own work.
            CHECK(result.error().fix.find("defect") == std::string::npos);
            continue;
        }
        ++applied;
        CHECK(*open(*result, format)->apply(edits) == *result);
        if (!removes) {
            // Only insertions: the old text is still there, in order.
            std::size_t at = 0;
            for (const char c : *result) {
                if (at < text.size() && text[at] == c) ++at;
            }
            const bool opened_up =
                text.find("{}") != std::string::npos || text.find("{ ") != std::string::npos ||
                text.find("{\t") != std::string::npos || text.find("{\n") != std::string::npos ||
                text.find("{\r") != std::string::npos;
            CHECK((at == text.size() || opened_up));
        }
    }
    CHECK(applied > 750);
}

TEST_CASE("json: setting a new key and taking it out again gives the random document back") {
    for (std::uint32_t seed = 0; seed < 1000; ++seed) {
        Generator generator(seed);
        const auto text = generator.document();
        const auto document = open(text, Format::json);
        if (document->value().empty()) continue; // {} opens up and closes as {}
        CAPTURE(seed);
        CAPTURE(text);
        const auto changed =
            edited(text, {Edit::set({"new", "x"}, 1), Edit::set({"other"}, "y")}, Format::json);
        const auto back =
            edited(changed, {Edit::remove({"new", "x"}), Edit::prune({"new"}), Edit::remove({"other"})},
                   Format::json);
        CHECK(Value(back).dump() == Value(text).dump()); // line ends escaped
        const auto present = document->get({"k0"});
        const auto replaced = edited(text, {Edit::set({"k0"}, "quite another")}, Format::json);
        CHECK(edited(replaced, {Edit::set_raw({"k0"}, present->raw)}, Format::json) == text);
    }
}
