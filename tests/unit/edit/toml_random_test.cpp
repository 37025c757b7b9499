#include "core/edit/formats.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <vector>

using namespace dbx;
using namespace dbx::edit;

namespace {

class Random {
  public:
    explicit Random(std::uint32_t seed)
        : engine_(seed) {}
    std::size_t below(std::size_t count) { return engine_() % count; }
    bool one_in(std::size_t count) { return below(count) == 0; }
    template <class T>
    const T& of(const std::vector<T>& choices) {
        return choices[below(choices.size())];
    }

  private:
    std::mt19937 engine_;
};

// Writes a TOML text in every form that people (and Codex) use.
class Author {
  public:
    explicit Author(Random& random)
        : random_(random) {}

    std::string text() {
        if (random_.one_in(6)) out_ += "\xEF\xBB\xBF";
        line_end_ = random_.one_in(3) ? "\r\n" : "\n";
        mixed_ = random_.one_in(5);
        blank_between_ = !random_.one_in(4);
        quote_ = random_.one_in(3) ? '\'' : '"';
        equals_ = random_.one_in(5) ? "=" : random_.one_in(6) ? "  = " : " = ";
        indent_ = random_.of<std::string>({"", "", "", "\t", "  ", "    "});
        if (random_.one_in(2)) comment("");
        if (random_.one_in(2)) end_line();
        pairs("", random_.below(5));
        for (auto sections = random_.below(6); sections > 0; --sections) section();
        if (random_.one_in(4)) comment("");
        if (random_.one_in(4)) end_line();
        if (random_.one_in(4))
            while (!out_.empty() && (out_.back() == '\n' || out_.back() == '\r')) out_.pop_back();
        return out_;
    }

  private:
    void end_line() {
        if (mixed_)
            out_ += random_.one_in(2) ? "\n" : "\r\n";
        else
            out_ += line_end_;
    }
    void comment(const std::string& indent) {
        out_ += indent + random_.of<std::string>({"# a comment", "#", "# [not.a.table]", "# k = \"'",
                                                  "#\xC3\xA4 \xF0\x9F\x98\x80"});
        end_line();
    }
    std::string name(const std::string& prefix) {
        auto out = prefix + std::to_string(++names_);
        if (random_.one_in(5))
            return "\"" + out + random_.of<std::string>({".x", " y", "\\\"z", "\\u00e9", "]"}) + "\"";
        if (random_.one_in(6)) return "'" + out + random_.of<std::string>({"/home/u", "", "#"}) + "'";
        return out;
    }

    std::string value(std::size_t depth) {
        const auto break_ = mixed_ ? std::string("\n") : line_end_;
        switch (random_.below(depth > 0 ? 17 : 11)) {
        case 0:
            return std::to_string(random_.below(1000));
        case 1:
            return random_.of<std::string>({"0xFF", "0o17", "0b1_0", "-17", "+3", "1_000"});
        case 2:
            return random_.of<std::string>({"1.0", "-0.5e3", "6.02_2E+23", "inf", "-inf", "nan", "1.50"});
        case 3:
            return random_.one_in(2) ? "true" : "false";
        case 4:
            return random_.of<std::string>(
                {"1979-05-27", "1979-05-27 07:32:00Z", "07:32:00.5", "1979-05-27T07:32:00-07:00"});
        case 5:
            return "\"\"\"" + break_ + "[x]" + break_ + "k = 1 # no" + break_ + " \"\" '''\\\"\"\"\"";
        case 6:
            return "'''" + break_ + "[[y]]" + break_ + "\"\"\" ''" + break_ + "'''";
        case 7:
            return R"("esc \" \\ \t \u00e9 ] } # ,")";
        case 11:
        case 12:
            return container('[', ']', depth);
        case 13:
        case 14:
            return container('{', '}', depth);
        case 15:
            return random_.of<std::string>({"[]", "{}", "[ ]"});
        default:
            return quote_ + random_.of<std::string>({"plain", "", "a # b", "[t]", "x = {1}"}) + quote_;
        }
    }

    std::string container(char open, char close, std::size_t depth) {
        const bool lines = random_.one_in(3);
        const bool trailing = lines ? !random_.one_in(3) : random_.one_in(8);
        const auto break_ = mixed_ ? std::string("\n") : line_end_;
        const std::string pad = lines ? break_ + "  " : random_.one_in(2) || open == '{' ? " " : "";
        const auto separator = random_.one_in(6) ? "," : ", ";
        std::string out(1, open);
        const auto count = 1 + random_.below(4);
        for (std::size_t i = 0; i < count; ++i) {
            out += i == 0 ? pad : lines ? break_ + "  " : separator;
            if (open == '{') out += (random_.one_in(5) ? name("d") + "." + name("i") : name("i")) + " = ";
            out += value(depth - 1);
            if (lines && (i + 1 < count || trailing)) out += ",";
            if (lines && random_.one_in(3)) out += " # inside";
        }
        if (!lines && trailing) out += ",";
        out += lines ? break_ : pad;
        return out + close;
    }

    void pairs(const std::string& indent, std::size_t count) {
        for (; count > 0; --count) {
            if (random_.one_in(5)) comment(indent);
            const bool dotted = random_.one_in(4);
            const auto table = dotted ? name("d") : std::string();
            for (auto repeat = dotted ? 1 + random_.below(3) : 1; repeat > 0; --repeat) {
                out_ += indent;
                if (dotted)
                    out_ += table + (random_.one_in(5) ? " . " : ".") +
                            (random_.one_in(4) ? name("e") + "." : "");
                out_ += name("k") + equals_ + value(2);
                if (random_.one_in(4)) out_ += random_.of<std::string>({" # note", "  ", "\t# [x]"});
                end_line();
            }
            if (random_.one_in(8)) end_line();
        }
    }

    void section() {
        if (blank_between_ && !out_.empty()) end_line();
        if (random_.one_in(3)) comment("");
        std::string path;
        if (!tables_.empty() && random_.one_in(2)) path = random_.of(tables_) + ".";
        const bool array = random_.one_in(5);
        if (random_.one_in(4)) path += name("m") + ".";
        path += name("t");
        const auto outer = random_.one_in(4) ? indent_ : std::string();
        for (auto repeat = array ? 1 + random_.below(3) : 1; repeat > 0; --repeat) {
            out_ +=
                outer + (array ? "[[" : "[") + path + (random_.one_in(6) ? " " : "") + (array ? "]]" : "]");
            if (random_.one_in(5)) out_ += " # header";
            end_line();
            pairs(outer + indent_, random_.below(4));
        }
        tables_.push_back(path);
    }

    Random& random_;
    std::string out_;
    std::string line_end_;
    std::string equals_;
    std::string indent_;
    char quote_ = '"';
    bool mixed_ = false;
    bool blank_between_ = true;
    std::size_t names_ = 0;
    std::vector<std::string> tables_; // as spelled
};

// Without what removing a last key may or may not leave behind, and without order.
nlohmann::json essence(const Value& value) {
    if (!value.is_object()) return value.dump();
    nlohmann::json out;
    for (const auto& [name, member] : value.items()) {
        auto inner = essence(member);
        if (!inner.is_null()) out[name] = std::move(inner);
    }
    return out;
}

void set_at(Value& document, const KeyPath& path, const Value& value) {
    auto* at = &document;
    for (const auto& name : path) {
        if (!at->is_object()) *at = Value::object();
        at = &(*at)[name];
    }
    *at = value;
}

void remove_at(Value& document, const KeyPath& path) {
    auto* at = &document;
    for (std::size_t i = 0; i < path.size(); ++i) {
        if (!at->is_object() || !at->contains(path[i])) return;
        if (i + 1 == path.size())
            at->erase(path[i]);
        else
            at = &(*at)[path[i]];
    }
}

struct Target {
    KeyPath path;
    bool table = false;
};

void collect(const Value& value, const KeyPath& path, std::vector<Target>& out) {
    for (const auto& [name, member] : value.items()) {
        auto inner = path;
        inner.push_back(name);
        out.push_back({inner, member.is_object()});
        if (member.is_object()) collect(member, inner, out);
    }
}

Value some_value(Random& random) {
    switch (random.below(7)) {
    case 0:
        return 7;
    case 1:
        return 0.25;
    case 2:
        return true;
    case 3:
        return Value::array({1, "two"});
    case 4:
        return "it's \"]\n";
    default:
        return "databricks";
    }
}

// A table like the one at `path`, with a member changed, one new and one gone.
Value altered(Random& random, const Document& document, const KeyPath& path) {
    const auto found = document.get(path);
    auto table = found && found->value.is_object() ? found->value : Value::object();
    if (!table.empty()) {
        auto member = table.begin();
        std::advance(member, random.below(table.size()));
        if (random.one_in(2))
            *member = some_value(random);
        else
            table.erase(member);
    }
    table["n3"] = some_value(random);
    if (random.one_in(2)) table["n4"] = Value::object({{"n5", some_value(random)}, {"n6", Value::object()}});
    return table;
}

std::string applied(const Document& document, const std::vector<Edit>& edits) {
    const auto result = document.apply(edits);
    REQUIRE_MESSAGE(result.has_value(), (result ? "" : result.error().what + ": " + result.error().why));
    return *result;
}

// Every seed is a text of its own.
void for_texts(std::uint32_t count,
               const std::function<void(Random&, const std::string&, const Document&)>& check) {
    for (std::uint32_t seed = 1; seed <= count; ++seed) {
        Random random(seed);
        const auto text = Author(random).text();
        CAPTURE(seed);
        CAPTURE(text);
        const auto document = parse_toml(text);
        REQUIRE_MESSAGE(document.has_value(), (document ? "" : document.error().why));
        check(random, text, **document);
    }
}

std::vector<Target> targets(const Document& document) {
    std::vector<Target> out;
    collect(document.value(), {}, out);
    return out;
}

} // namespace

TEST_SUITE("toml, random texts") {
    TEST_CASE("a replaced value changes its own bytes only, and its old spelling brings the text back") {
        for_texts(400, [](Random& random, const std::string& text, const Document& document) {
            for (const auto& target : targets(document)) {
                const auto found = document.get(target.path);
                REQUIRE(found);
                if (found->raw.empty()) continue;
                const auto changed = applied(document, {Edit::set(target.path, some_value(random))});
                CHECK(changed.substr(0, found->offset) == text.substr(0, found->offset));
                const auto rest = text.substr(found->offset + found->raw.size());
                REQUIRE(changed.size() >= rest.size());
                CHECK(changed.substr(changed.size() - rest.size()) == rest);
                const auto back = parse_toml(changed);
                REQUIRE(back);
                CHECK(applied(**back, {Edit::set_raw(target.path, found->raw)}) == text);
            }
        });
    }

    TEST_CASE("a new key is one insertion, and taking it out brings the text back") {
        for_texts(400, [](Random& random, const std::string& text, const Document& document) {
            auto places = targets(document);
            places.push_back({{}, true});
            for (const auto& place : places) {
                if (!place.table) continue;
                auto path = place.path;
                std::vector<Edit> back;
                if (random.one_in(2)) path.push_back("new table");
                if (path.size() > place.path.size()) back.push_back(Edit::prune(path));
                path.push_back("new_key");
                const auto result = document.apply(std::vector{Edit::set(path, some_value(random))});
                REQUIRE_MESSAGE(result.has_value(), (result ? "" : result.error().why));
                bool in_lines = false; // of an inline table: two insertions, one of them a comma
                for (auto above = place.path; !above.empty(); above.pop_back())
                    in_lines = in_lines || document.get(above)->raw.find('\n') != std::string::npos;
                const auto size = text.size();
                std::size_t front = 0;
                while (front < size && (*result)[front] == text[front]) ++front;
                std::size_t behind = 0;
                while (behind < size - front &&
                       (*result)[result->size() - 1 - behind] == text[size - 1 - behind])
                    ++behind;
                if (!in_lines) CHECK(front + behind == size);
                CAPTURE(*result);
                back.push_back(Edit::remove(path));
                const auto again = parse_toml(*result);
                REQUIRE(again);
                const auto restored = applied(**again, back);
                // A header that only its sub-tables had implied stays: with them below it, it is not empty.
                const auto inserted = result->substr(front, result->size() - size);
                const bool made_header =
                    path.size() == place.path.size() + 1 && inserted.find(']') < inserted.find("new_key");
                if (!made_header) CHECK(restored == text);
            }
        });
    }

    TEST_CASE("several edits at once change the wished keys and nothing else, once") {
        const char* folder = std::getenv("DBX_TOML_SAMPLES"); // for another parser to look at
        std::size_t made = 0;
        for_texts(1500, [&](Random& random, const std::string&, const Document& document) {
            const auto all = targets(document);
            std::vector<Edit> edits;
            Value wanted = document.value();
            std::vector<KeyPath> used;
            for (auto count = 1 + random.below(6); count > 0; --count) {
                KeyPath path = all.empty() ? KeyPath{} : random.of(all).path;
                if (path.empty() || random.one_in(3)) {
                    if (!path.empty() && !random.one_in(2)) path.pop_back();
                    for (auto more = 1 + random.below(3); more > 0; --more)
                        path.push_back(random.of<std::string>({"n1", "n2", "new key", "a.b", "\xC3\xA9"}));
                }
                // Independent wishes only; the rest has its own tests.
                const bool touches = std::any_of(used.begin(), used.end(), [&](const KeyPath& other) {
                    const auto size = std::min(other.size(), path.size());
                    return std::equal(path.begin(), path.begin() + static_cast<std::ptrdiff_t>(size),
                                      other.begin());
                });
                if (touches) continue;
                if (random.one_in(4)) {
                    edits.push_back(Edit::remove(path));
                    remove_at(wanted, path);
                } else {
                    bool blocked = false;
                    for (std::size_t i = 1; i < path.size(); ++i) {
                        const auto above =
                            document.get({path.begin(), path.begin() + static_cast<std::ptrdiff_t>(i)});
                        if (above && !above->value.is_object()) blocked = true;
                    }
                    if (blocked) continue;
                    edits.push_back(Edit::set(path, random.one_in(5) ? altered(random, document, path)
                                                                     : some_value(random)));
                    set_at(wanted, path, edits.back().value);
                }
                used.push_back(path);
            }
            const auto result = applied(document, edits);
            const auto after = parse_toml(result);
            REQUIRE(after);
            CAPTURE(result);
            CHECK(essence((*after)->value()) == essence(wanted));
            CHECK(applied(**after, edits) == result);
            if (folder != nullptr) {
                std::ofstream(std::string(folder) + "/" + std::to_string(made) + ".toml", std::ios::binary)
                    << result;
                std::ofstream(std::string(folder) + "/" + std::to_string(made++) + ".json", std::ios::binary)
                    << (*after)->value().dump();
            }
        });
    }
}
