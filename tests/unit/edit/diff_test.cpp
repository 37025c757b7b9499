#include "core/edit/diff.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

using namespace dbx::edit;

namespace {

using Lines = std::vector<std::string>;

std::string unified(const std::string& before, const std::string& after) {
    return unified_diff(before, after, before, after, "a", "b");
}

// `before` with the hunks taken from `after`.
Lines applied(const Lines& before, const Lines& after, const std::vector<Hunk>& hunks) {
    Lines result;
    std::size_t at = 0;
    for (const auto& hunk : hunks) {
        while (at < hunk.before_begin) result.push_back(before[at++]);
        for (std::size_t i = hunk.after_begin; i < hunk.after_end; ++i) result.push_back(after[i]);
        at = hunk.before_end;
    }
    while (at < before.size()) result.push_back(before[at++]);
    return result;
}

std::size_t changes(const std::vector<Hunk>& hunks) {
    std::size_t result = 0;
    for (const auto& hunk : hunks)
        result += hunk.before_end - hunk.before_begin + hunk.after_end - hunk.after_begin;
    return result;
}

// The length of the shortest script, by the textbook table.
std::size_t shortest(const Lines& a, const Lines& b) {
    std::vector<std::vector<std::size_t>> common(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
    for (std::size_t i = 1; i <= a.size(); ++i) {
        for (std::size_t k = 1; k <= b.size(); ++k)
            common[i][k] = a[i - 1] == b[k - 1] ? common[i - 1][k - 1] + 1
                                                : std::max(common[i - 1][k], common[i][k - 1]);
    }
    return a.size() + b.size() - 2 * common[a.size()][b.size()];
}

} // namespace

TEST_CASE("diff: lines keep their ends, and a last one without an end counts") {
    CHECK(split_lines("").empty());
    CHECK(split_lines("a\n\nb") == std::vector<std::string_view>{"a\n", "\n", "b"});
    CHECK(split_lines("a\r\nb\rc\n") == std::vector<std::string_view>{"a\r\n", "b\rc\n"});
}

TEST_CASE("diff: equal sequences have no hunks") {
    CHECK(diff(Lines{}, Lines{}).empty());
    CHECK(diff(Lines{"a", "b"}, Lines{"a", "b"}).empty());
    CHECK(unified("a\n", "a\n") == "");
}

TEST_CASE("diff: hunks are half open and 0-based") {
    CHECK(diff(Lines{"a", "b", "c"}, Lines{"a", "x", "c"}) == std::vector<Hunk>{{1, 2, 1, 2}});
    CHECK(diff(Lines{"a", "c"}, Lines{"a", "b", "c"}) == std::vector<Hunk>{{1, 1, 1, 2}});
    CHECK(diff(Lines{"a", "b"}, Lines{}) == std::vector<Hunk>{{0, 2, 0, 0}});
    CHECK(diff(Lines{"a", "b", "c", "d"}, Lines{"b", "c", "e"}) ==
          std::vector<Hunk>{{0, 1, 0, 0}, {3, 4, 2, 3}});
}

TEST_CASE("diff: a changed line with context") {
    CHECK(unified("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n") ==
          "--- a\n+++ b\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
}

TEST_CASE("diff: hunks nearer than six lines share one header, others do not") {
    const std::string before = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n";
    CHECK(unified(before, "one\n2\n3\n4\n5\n6\n7\neight\n9\n10\n") ==
          "--- a\n+++ b\n@@ -1,10 +1,10 @@\n-1\n+one\n 2\n 3\n 4\n 5\n 6\n 7\n-8\n+eight\n 9\n 10\n");
    CHECK(
        unified(before, "one\n2\n3\n4\n5\n6\n7\n8\nnine\n10\n") ==
        "--- a\n+++ b\n@@ -1,4 +1,4 @@\n-1\n+one\n 2\n 3\n 4\n@@ -6,5 +6,5 @@\n 6\n 7\n 8\n-9\n+nine\n 10\n");
}

TEST_CASE("diff: a new and a removed file") {
    CHECK(unified_diff("", "a\nb\n", "", "a\nb\n", "", "f") ==
          "--- /dev/null\n+++ f\n@@ -0,0 +1,2 @@\n+a\n+b\n");
    CHECK(unified_diff("a\n", "", "a\n", "", "f", "") == "--- f\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n");
}

TEST_CASE("diff: a missing final line end is told") {
    CHECK(unified("a", "a\n") == "--- a\n+++ b\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n");
    CHECK(unified("a\nz", "b\nz") ==
          "--- a\n+++ b\n@@ -1,2 +1,2 @@\n-a\n+b\n z\n\\ No newline at end of file\n");
}

TEST_CASE("diff: carriage returns are shown as they are, and a name with a blank is closed by a tab") {
    CHECK(unified("a\r\n", "b\r\n") == "--- a\n+++ b\n@@ -1 +1 @@\n-a\r\n+b\r\n");
    CHECK(unified_diff("a\n", "b\n", "a\n", "b\n", "my file", "b").rfind("--- my file\t\n+++ b\n", 0) == 0);
}

TEST_CASE("diff: masked lines are shown, but the real ones are compared") {
    CHECK(unified_diff("K=old\n", "K=new\n", "K=****\n", "K=****\n", "a", "b") ==
          "--- a\n+++ b\n@@ -1 +1 @@\n-K=****\n+K=****\n");
    // Fewer shown lines than real ones: nothing real gets out.
    CHECK(unified_diff("K=old\n", "K=new\n", "", "", "a", "b") == "--- a\n+++ b\n@@ -1 +1 @@\n-\n+\n");
}

TEST_CASE("diff: random sequences: the hunks reproduce the second, and no script is shorter") {
    std::mt19937 random(1);
    for (int round = 0; round < 3000; ++round) {
        const std::size_t alphabet = 1 + random() % 6;
        const auto make = [&] {
            Lines lines(random() % 20);
            for (auto& line : lines) line = std::string(1, static_cast<char>('a' + random() % alphabet));
            return lines;
        };
        const auto before = make(), after = make();
        const auto hunks = diff(before, after);
        REQUIRE(applied(before, after, hunks) == after);
        REQUIRE(changes(hunks) == shortest(before, after));
        for (std::size_t i = 1; i < hunks.size(); ++i)
            REQUIRE(hunks[i].before_begin > hunks[i - 1].before_end);
    }
}

TEST_CASE("diff: very different texts cost little and still apply") {
    std::mt19937 random(1);
    Lines before(100000), after(100000);
    for (auto& line : before) line = std::to_string(random());
    for (auto& line : after) line = std::to_string(random());
    before.front() = after.front() = "same";
    const auto hunks = diff(before, after);
    CHECK(hunks == std::vector<Hunk>{{1, 100000, 1, 100000}});
}

TEST_CASE("diff: a small change in a long text is small") {
    Lines before(200000, "x");
    auto after = before;
    after[100000] = "y";
    after.insert(after.begin() + 10, "z");
    CHECK(changes(diff(before, after)) == 3);
}
