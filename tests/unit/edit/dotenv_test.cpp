#include "core/edit/document.hpp"
#include "core/edit/dotenv_scan.hpp"

#include <doctest/doctest.h>

#include <random>

using namespace dbx;
using namespace dbx::edit;

namespace {

std::unique_ptr<Document> open(const std::string& text) {
    auto document = Document::parse(Format::dotenv, text);
    REQUIRE(document);
    return std::move(*document);
}

std::string edited(const std::string& text, const std::vector<Edit>& edits) {
    auto result = open(text)->apply(edits);
    INFO(text);
    if (!result) FAIL(result.error().what << " / " << result.error().why);
    return *result;
}

std::string set(const std::string& text, const std::string& key, Value value) {
    return edited(text, {Edit::set({key}, std::move(value))});
}

std::string remove(const std::string& text, const std::string& key) {
    return edited(text, {Edit::remove({key})});
}

// The value that counts.
std::string read(const std::string& text, const std::string& key) {
    const auto found = open(text)->get({key});
    return found ? found->value.get<std::string>() : "(absent)";
}

Error apply_error(const std::string& text, const std::vector<Edit>& edits) {
    const auto result = open(text)->apply(edits);
    REQUIRE_FALSE(result);
    return result.error();
}

} // namespace

TEST_CASE("dotenv: bare values end at a comment or the line end") {
    CHECK(read("A=1", "A") == "1");
    CHECK(read("A = 1 2 \nB=2", "A") == "1 2");
    CHECK(read("A=b#c", "A") == "b");
    CHECK(read("A=\nB=1", "A") == "");
    CHECK(read("A= # c\nB=1", "A") == "");
    CHECK(read("A=$HOME", "A") == "$HOME");
    CHECK(read("A='abc", "A") == "'abc");
}

TEST_CASE("dotenv: three kinds of quotes, with comments behind") {
    CHECK(read("A='b # c' # d", "A") == "b # c");
    CHECK(read("A=\"b#c\"#d", "A") == "b#c");
    CHECK(read("A=`it's \"x\"`", "A") == "it's \"x\"");
    CHECK(read("A=' x '", "A") == " x ");
    CHECK(read("A=\"\"", "A") == "");
}

TEST_CASE("dotenv: escapes: only \\n and \\r, only in double quotes, and no quote is unescaped") {
    CHECK(read("A=\"a\\nb\\rc\\td\"", "A") == "a\nb\rc\\td");
    CHECK(read("A='a\\nb'", "A") == "a\\nb");
    CHECK(read("A=a\\nb", "A") == "a\\nb");
    CHECK(read("A=\"a\\\"b\"", "A") == "a\\\"b");
    CHECK(read("A=\"a\\\\nb\"", "A") == "a\\\nb");
    CHECK(read("A=\"a\\\"\nB=1", "A") == "a\\");
}

TEST_CASE("dotenv: quoted values span lines; assignments inside them are none") {
    const std::string text = "CERT=\"-----\r\nGEMINI_MODEL=inner\r\n-----\"\r\nGEMINI_MODEL=outer\r\n";
    CHECK(read(text, "GEMINI_MODEL") == "outer");
    CHECK(read(text, "CERT") == "-----\nGEMINI_MODEL=inner\n-----");
    CHECK(set(text, "GEMINI_MODEL", "new") ==
          "CERT=\"-----\r\nGEMINI_MODEL=inner\r\n-----\"\r\nGEMINI_MODEL=new\r\n");
}

TEST_CASE("dotenv: export, colons, blanks, byte-order mark, CRLF") {
    CHECK(read("export A=1", "A") == "1");
    CHECK(read("  export   A = 1", "A") == "1");
    CHECK(read("A: 1", "A") == "1");
    CHECK(read("A:1", "A") == "(absent)");
    CHECK(read("\xEF\xBB\xBF"
               "A=1\r\nB=2\r\n",
               "A") == "1");
    CHECK(read("export=1", "export") == "1");
    CHECK(read("A.b-c=1", "A.b-c") == "1");
    CHECK(read("A=1\rB=2", "B") == "2");
}

TEST_CASE("dotenv: what dotenv ignores is ignored and stays") {
    const std::string text = "A B=1\nnonsense\n# A=0\n=x\n!A=3\nA=2\n";
    CHECK(read(text, "A") == "2");
    CHECK(open(text)->leaves().size() == 1);
    CHECK(set(text, "A", "5") == "A B=1\nnonsense\n# A=0\n=x\n!A=3\nA=5\n");
}

TEST_CASE("dotenv: a value may begin on the next line") {
    CHECK(read("A=\n'x'\n", "A") == "x");
    CHECK(read("A:\nx\n", "A") == "x");
    CHECK(set("A=\n'x'\n", "A", "y") == "A=\n'y'\n");
}

TEST_CASE("dotenv: the last duplicate counts and is the one replaced") {
    const std::string text = "A=1\nB=x\nA=2 # here\n";
    CHECK(read(text, "A") == "2");
    CHECK(set(text, "A", "3") == "A=1\nB=x\nA=3 # here\n");
    CHECK(open(text)->value().dump() == "{\"A\":\"2\",\"B\":\"x\"}");
    CHECK(open(text)->leaves().size() == 3);
}

TEST_CASE("dotenv: remove takes all occurrences") {
    CHECK(remove("A=1\nB=x\nA=2 # here\n", "A") == "B=x\n");
}

TEST_CASE("dotenv: a replaced value keeps its quotes, its comment and its form") {
    CHECK(set("export A = 'x' # c\n", "A", "y z") == "export A = 'y z' # c\n");
    CHECK(set("A: x\n", "A", "y") == "A: y\n");
    CHECK(set("A=\"x\"", "A", "y") == "A=\"y\"");
    CHECK(set("A=`x`", "A", "y") == "A=`y`");
    CHECK(set("A=x   # c", "A", "y") == "A=y   # c");
    CHECK(set("A=x# c", "A", "y") == "A=y# c");
    CHECK(set("\tA=x", "A", "y") == "\tA=y");
}

TEST_CASE("dotenv: an equal value changes nothing, however it is spelled") {
    for (const std::string text : {"A='x'", "A=\"x\"", "A = x # c", "export A: `x`\r\n"})
        CHECK(set(text, "A", "x") == text);
}

TEST_CASE("dotenv: quotes change only where they have to") {
    CHECK(set("A=x", "A", "a b") == "A=\"a b\"");
    CHECK(set("A=x", "A", "a#b") == "A=\"a#b\"");
    CHECK(set("A=x", "A", "say \"x\"") == "A='say \"x\"'");
    CHECK(set("A=x", "A", "it's \"x\"") == "A=`it's \"x\"`");
    CHECK(set("A='x'", "A", "it's") == "A=\"it's\"");
    CHECK(set("A=\"x\"", "A", "C:\\new") == "A='C:\\new'");
    CHECK(set("A='x'", "A", "a\nb") == "A=\"a\\nb\"");
    CHECK(set("A=x", "A", "") == "A=\"\"");
    CHECK(set("A=x", "A", " x ") == "A=\" x \"");
}

TEST_CASE("dotenv: what has no spelling is refused") {
    for (const std::string value : {"a\"'`b", "a\n\"", "ends in \\", "\\", "a\\n\"'`", "a\\n\nb"}) {
        CAPTURE(value);
        const auto error = apply_error("A=x", {Edit::set({"A"}, value)});
        CHECK(error.kind == ErrorKind::file);
        CHECK(error.what == "the value of A cannot be written in a .env file");
        CHECK(error.why.find(value) == std::string::npos);
    }
}

TEST_CASE("dotenv: an empty assignment is filled in its own form") {
    CHECK(set("A=\nB=1\n", "A", "x") == "A=x\nB=1\n");
    CHECK(set("A=", "A", "x") == "A=x");
    CHECK(set("A= # c\n", "A", "x") == "A=x # c\n");
    CHECK(set("A=# c\n", "A", "x") == "A=x # c\n");
    CHECK(set("A = \n", "A", "x") == "A = x\n");
    CHECK(set("A = # c\n", "A", "x") == "A = x # c\n");
    CHECK(set("A: \n", "A", "x") == "A: x\n");
    CHECK(set("A:\n", "A", "x") == "A: x\n");
    CHECK(set("A:\r\n\r\nB=2", "A", "x") == "A: x\r\n\r\nB=2");
}

TEST_CASE("dotenv: a new line goes to the end") {
    CHECK(set("A=1\n", "B", "2") == "A=1\nB=2\n");
    CHECK(set("A=1\r\n", "B", "2") == "A=1\r\nB=2\r\n");
    CHECK(set("", "B", "2") == "B=2\n");
    CHECK(set("\xEF\xBB\xBF", "B", "2") == "\xEF\xBB\xBF"
                                           "B=2\n");
    CHECK(set("# only a comment\n\n", "B", "2") == "# only a comment\n\nB=2\n");
}

TEST_CASE("dotenv: a file without a final line end stays without") {
    CHECK(set("A=1", "B", "2") == "A=1\nB=2");
    CHECK(set("A=1\r\nC=3", "B", "2") == "A=1\r\nC=3\r\nB=2");
    CHECK(edited("A=1", {Edit::set({"B"}, "2"), Edit::set({"C"}, "3")}) == "A=1\nB=2\nC=3");
    CHECK(remove("A=1\nB=2", "B") == "A=1");
    CHECK(remove("A=1\r\nB=2", "B") == "A=1");
    CHECK(remove("A=1", "A") == "");
    CHECK(remove("A=1\nB=2", "A") == "B=2");
}

TEST_CASE("dotenv: new lines follow the file's habits") {
    CHECK(set("export A=1\nexport C=2\n", "B", "2") == "export A=1\nexport C=2\nexport B=2\n");
    CHECK(set("A = 1\n", "B", "2") == "A = 1\nB = 2\n");
    CHECK(set("A: 1\nC: 2\nD=3\n", "B", "2") == "A: 1\nC: 2\nD=3\nB: 2\n");
    CHECK(set("A='1'\nC='2'\nD=3\n", "B", "2") == "A='1'\nC='2'\nD=3\nB='2'\n");
    CHECK(set("A=\"1\"\n", "B", "2") == "A=\"1\"\nB=\"2\"\n");
    CHECK(set("A=1\n", "B", "a b") == "A=1\nB=\"a b\"\n");
    CHECK(set("A='1'\n", "B", "it's") == "A='1'\nB=\"it's\"\n");
}

TEST_CASE("dotenv: remove takes the whole of a value that spans lines, and its comment") {
    CHECK(remove("A=1\nB='x\ny' # c\nC=3\n", "B") == "A=1\nC=3\n");
    CHECK(remove("  export B=1\nC=3\n", "B") == "C=3\n");
    CHECK(remove("\n# c\nB=1\n\nC=3\n", "B") == "\n# c\n\nC=3\n");
    CHECK(remove("\xEF\xBB\xBF"
                 "B=1\nC=3\n",
                 "B") == "\xEF\xBB\xBF"
                         "C=3\n");
    CHECK(remove("A=1\n", "B") == "A=1\n");
}

TEST_CASE("dotenv: set_raw keeps the spelling and is checked") {
    CHECK(edited("A=1", {Edit::set_raw({"A"}, "`x`")}) == "A=`x`");
    CHECK(edited("A=x", {Edit::set_raw({"A"}, "'x'")}) == "A='x'");
    CHECK(edited("A=1\n", {Edit::set_raw({"B"}, "'x\ny'")}) == "A=1\nB='x\ny'\n");
    CHECK(edited("A=1\n", {Edit::set_raw({"A"}, "")}) == "A=\n");
    CHECK(apply_error("A=1\n\"\"\n", {Edit::set_raw({"A"}, "")}).kind == ErrorKind::file);
    CHECK(apply_error("A=1", {Edit::set_raw({"A"}, "x\nB=2")}).kind == ErrorKind::file);
    CHECK(apply_error("A=1", {Edit::set_raw({"A"}, "x # c")}).kind == ErrorKind::file);
}

TEST_CASE("dotenv: remove and set_raw give a file back byte for byte") {
    const std::string text = "A=1\r\nexport B = 'x y' # c\r\nC=\"3\"";
    const auto before = open(text)->get({"B"});
    const auto changed = edited(text, {Edit::set({"B"}, "z"), Edit::set({"NEW"}, "1")});
    CHECK(edited(changed, {Edit::set_raw({"B"}, before->raw), Edit::remove({"NEW"})}) == text);
}

TEST_CASE("dotenv: numbers and booleans are written as text, other values are refused") {
    CHECK(set("A=1\n", "B", true) == "A=1\nB=true\n");
    CHECK(set("A=1\n", "A", 1) == "A=1\n");
    CHECK(set("A=1\n", "B", 8790) == "A=1\nB=8790\n");
    CHECK(apply_error("", {Edit::set({"A"}, nullptr)}).kind == ErrorKind::file);
    CHECK(apply_error("", {Edit::set({"A"}, {1})}).kind == ErrorKind::file);
    CHECK(apply_error("", {Edit::set({"A"}, "\xff")}).kind == ErrorKind::file);
}

TEST_CASE("dotenv: impossible names and paths are refused") {
    for (const KeyPath& path : {KeyPath{}, {"A", "B"}, {""}, {"A B"}, {"A=B"}, {"é"}, {"A\nB"}}) {
        CHECK(apply_error("", {Edit::set(path, "1")}).kind == ErrorKind::file);
        CHECK_FALSE(open("A=1")->get(path));
    }
    CHECK(apply_error("", {Edit::append({"A"}, "1")}).kind == ErrorKind::file);
    CHECK(edited("A=1", {Edit::prune({"A"}), Edit::remove_element({"A"}, "1")}) == "A=1");
}

TEST_CASE("dotenv: contradicting wishes are refused") {
    CHECK(apply_error("", {Edit::set({"A"}, "1"), Edit::set({"A"}, "2")}).kind == ErrorKind::file);
    CHECK(apply_error("", {Edit::set({"A"}, "1"), Edit::remove({"A"})}).kind == ErrorKind::file);
    CHECK(edited("", {Edit::set({"A"}, "1"), Edit::set({"A"}, "1")}) == "A=1\n");
}

TEST_CASE("dotenv: get finds value, spelling and place") {
    const auto document = open("# é\nA=1\nexport  A = 'x y' # c\n");
    const auto found = document->get({"A"});
    CHECK(found->value == "x y");
    CHECK(found->raw == "'x y'");
    CHECK(found->offset == 21);
    CHECK(found->position.line == 3);
    CHECK(found->position.column == 9);
    CHECK(document->position({"A"})->line == 3);
    CHECK(document->leaves()[0].text == "1");
}

TEST_CASE("dotenv: a quote that is never closed does not swallow a new line") {
    CHECK(set("MSG=it's fine\nA='open\n", "B", "2") == "MSG=it's fine\nA='open\nB=2\n");
    const auto error = apply_error("A='open\nC='x'\n", {Edit::set({"C"}, "x' # y")});
    CHECK(error.kind == ErrorKind::file);
    CHECK(error.what == "the value of A has an open quote");
    CHECK(error.why.rfind("line 1, column 3: ", 0) == 0);
}

TEST_CASE("dotenv: a last line 'KEY:' does not take the new line for its value") {
    CHECK(set("A=1\nKEY:\n", "B", "2") == "A=1\nKEY:\n\nB=2\n");
    CHECK(read("A=1\nKEY:\n\nB=2\n", "KEY") == "");
}

TEST_CASE("dotenv: text that is not UTF-8 is refused with its place") {
    const auto document = Document::parse(Format::dotenv, "A=1\nB=\xff\n");
    REQUIRE_FALSE(document);
    CHECK(document.error().why == "line 2, column 3: not valid UTF-8");
}

TEST_CASE("dotenv: the documents' Gemini file comes through") {
    const std::string text = "# mine\r\nGEMINI_API_KEY=AIza-old # personal\r\n# GEMINI_API_KEY=older\r\n"
                             "NO_PROXY=\"localhost,127.0.0.1\"\r\nNODE_EXTRA_CA_CERTS='/etc/my certs/ca.pem'";
    const auto result = edited(text, {Edit::set({"GEMINI_API_KEY"}, "dapi123"),
                                      Edit::set({"GOOGLE_GEMINI_BASE_URL"},
                                                "https://example.cloud.databricks.com/ai-gateway/gemini")});
    CHECK(result == "# mine\r\nGEMINI_API_KEY=dapi123 # personal\r\n# GEMINI_API_KEY=older\r\n"
                    "NO_PROXY=\"localhost,127.0.0.1\"\r\nNODE_EXTRA_CA_CERTS='/etc/my certs/ca.pem'\r\n"
                    "GOOGLE_GEMINI_BASE_URL=https://example.cloud.databricks.com/ai-gateway/gemini");
}

TEST_CASE("dotenv: cost grows with the length, also for open quotes") {
    std::string text;
    for (int i = 0; i < 3000; ++i) text += "A=\"x\\\"y\nB='\nC=`z\nD:\n\n   \n";
    text += std::string(1000000, ' ') + std::string(1000000, '\n') + "Z=" + std::string(200000, 'x');
    CHECK(read(text, "Z").size() == 200000);
    CHECK(evaluate_dotenv(text).size() == scan_dotenv(text).size());
}

TEST_CASE("dotenv: scanner and judge agree on random texts") {
    static const std::vector<std::string> tokens = {"A",        "B",
                                                    "KEY",      "export ",
                                                    "export",   "=",
                                                    "=",        "=",
                                                    ": ",       ":",
                                                    " ",        "\t",
                                                    "\n",       "\n",
                                                    "\r\n",     "\r",
                                                    "#",        "'",
                                                    "\"",       "`",
                                                    "\\",       "\\n",
                                                    "\\r",      "\\\"",
                                                    "\\'",      "x",
                                                    "foo bar",  "\xE2\x80\xA8",
                                                    "\xC2\xA0", "\xEF\xBB\xBF",
                                                    "é",        ".",
                                                    "-",        "\"x\"",
                                                    "'y z'",    "`w`",
                                                    "\n\n",     "\xE3\x80\x80",
                                                    "# c"};
    std::mt19937 random(1);
    for (int round = 0; round < 8000; ++round) {
        std::string text;
        for (std::size_t i = random() % 30; i > 0; --i) text += tokens[random() % tokens.size()];
        std::vector<std::pair<std::string, std::string>> scanned;
        for (const auto& entry : scan_dotenv(text))
            scanned.emplace_back(std::string(entry.key(text)), entry.value);
        CAPTURE(text);
        REQUIRE(scanned == evaluate_dotenv(text));
    }
}

TEST_CASE("dotenv: random edits of random files read back, repeat without change and can be undone") {
    std::mt19937 random(2);
    const auto pick = [&](const std::vector<std::string>& from) { return from[random() % from.size()]; };
    const std::vector<std::string> values = {
        "x",    "a b",   "it's", "",  "say \"x\"", "a#b", "C:\\new",
        "a\nb", " pad ", "`'",   "é", "$HOME",     "a=b", "https://h/p?q=1"};
    for (int round = 0; round < 2000; ++round) {
        std::string text;
        for (std::size_t i = random() % 6; i > 0; --i) {
            const auto quote = pick({"", "'", "\"", "`"});
            text += pick({"", "", "export ", "# ", "  "}) + pick({"A", "B", "C"}) +
                    pick({"=", "=", " = ", ": "}) + quote + pick({"1", "x y", "", "l1\nA=l2", "z"}) + quote +
                    pick({"", "", " # c", "  "}) + pick({"\n", "\n", "\r\n", "\n\n"});
        }
        if (random() % 4 == 0 && !text.empty()) text.pop_back();
        CAPTURE(text);
        const auto document = open(text);
        const auto value = pick(values);
        const std::vector<Edit> edits = {Edit::set({"A"}, value), Edit::set({"NEW_KEY"}, pick(values)),
                                         Edit::remove({"C"})};
        const auto result = document->apply(edits);
        REQUIRE(result);
        CHECK(read(*result, "A") == value);
        CHECK(read(*result, "C") == "(absent)");
        CHECK(read(*result, "B") == read(text, "B"));
        CHECK(edited(*result, edits) == *result);

        const auto old = document->get({"A"});
        const auto added = edited(text, {Edit::set({"A"}, value), Edit::set({"NEW_KEY"}, "1")});
        const auto back = edited(
            added, {old ? Edit::set_raw({"A"}, old->raw) : Edit::remove({"A"}), Edit::remove({"NEW_KEY"})});
        const bool odd = text.find(": \n") != std::string::npos || text.find(":\n") != std::string::npos ||
                         !old || old->raw.empty();
        CHECK((back == text || odd));
    }
}
