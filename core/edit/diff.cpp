#include "core/edit/diff.hpp"

#include <algorithm>
#include <cstdint>
#include <unordered_map>
#include <utility>

namespace dbx::edit {

namespace {

// More changed lines than this in one piece are not worth a shortest script: the cost grows with its square.
constexpr std::ptrdiff_t max_changes = 1000;

using Ids = std::vector<std::uint32_t>;

// Equal elements get equal numbers.
template <class Element>
std::pair<Ids, Ids> numbered(const std::vector<Element>& before, const std::vector<Element>& after) {
    std::unordered_map<std::string_view, std::uint32_t> ids;
    const auto number = [&](const std::vector<Element>& elements) {
        Ids result;
        result.reserve(elements.size());
        for (const auto& element : elements)
            result.push_back(ids.try_emplace(element, static_cast<std::uint32_t>(ids.size())).first->second);
        return result;
    };
    auto first = number(before);
    return {std::move(first), number(after)};
}

// Joins steps in order into hunks.
class Hunks {
  public:
    void change(std::size_t before_begin, std::size_t before_end, std::size_t after_begin,
                std::size_t after_end) {
        if (before_begin == before_end && after_begin == after_end) return;
        if (!hunks_.empty() && hunks_.back().before_end == before_begin &&
            hunks_.back().after_end == after_begin) {
            hunks_.back().before_end = before_end;
            hunks_.back().after_end = after_end;
        } else {
            hunks_.push_back({before_begin, before_end, after_begin, after_end});
        }
    }

    std::vector<Hunk> take() { return std::move(hunks_); }

  private:
    std::vector<Hunk> hunks_;
};

// Myers' greedy algorithm: for d = 0, 1, ... the furthest x on each diagonal k = x - y with d changes.
class Script {
  public:
    Script(const Ids& before, const Ids& after, std::size_t begin, std::size_t before_end,
           std::size_t after_end)
        : before_(before)
        , after_(after)
        , begin_(begin)
        , n_(static_cast<std::ptrdiff_t>(before_end - begin))
        , m_(static_cast<std::ptrdiff_t>(after_end - begin)) {}

    std::vector<Hunk> run() {
        Hunks hunks;
        if (!search()) {
            change(hunks, 0, n_, 0, m_);
            return hunks.take();
        }
        // The path backwards, then its changes forwards.
        std::vector<std::pair<std::ptrdiff_t, std::ptrdiff_t>> from;
        std::vector<bool> deletes;
        std::ptrdiff_t x = n_, y = m_;
        for (auto d = static_cast<std::ptrdiff_t>(rows_.size()) - 1; d > 0; --d) {
            const std::ptrdiff_t k = x - y;
            const bool down = k == -d || (k != d && at(d - 1, k - 1) < at(d - 1, k + 1));
            x = down ? at(d - 1, k + 1) : at(d - 1, k - 1);
            y = x - (down ? k + 1 : k - 1);
            from.emplace_back(x, y);
            deletes.push_back(!down);
        }
        for (std::size_t i = from.size(); i-- > 0;) {
            const auto [fx, fy] = from[i];
            change(hunks, fx, fx + (deletes[i] ? 1 : 0), fy, fy + (deletes[i] ? 0 : 1));
        }
        return hunks.take();
    }

  private:
    void change(Hunks& hunks, std::ptrdiff_t x, std::ptrdiff_t x_end, std::ptrdiff_t y,
                std::ptrdiff_t y_end) const {
        const auto place = [&](std::ptrdiff_t i) { return begin_ + static_cast<std::size_t>(i); };
        hunks.change(place(x), place(x_end), place(y), place(y_end));
    }

    // Row d holds the diagonals -d, -d + 2, ... d.
    std::ptrdiff_t at(std::ptrdiff_t d, std::ptrdiff_t k) const {
        return rows_[static_cast<std::size_t>(d)][static_cast<std::size_t>((k + d) / 2)];
    }

    bool equal(std::ptrdiff_t x, std::ptrdiff_t y) const {
        return before_[begin_ + static_cast<std::size_t>(x)] == after_[begin_ + static_cast<std::size_t>(y)];
    }

    bool search() {
        for (std::ptrdiff_t d = 0; d <= std::min(n_ + m_, max_changes); ++d) {
            std::vector<std::int32_t> row;
            row.reserve(static_cast<std::size_t>(d) + 1);
            bool done = false;
            for (std::ptrdiff_t k = -d; k <= d && !done; k += 2) {
                std::ptrdiff_t x = 0;
                if (d > 0) {
                    const bool down = k == -d || (k != d && at(d - 1, k - 1) < at(d - 1, k + 1));
                    x = down ? at(d - 1, k + 1) : at(d - 1, k - 1) + 1;
                }
                while (x < n_ && x - k < m_ && x - k >= 0 && equal(x, x - k)) ++x;
                row.push_back(static_cast<std::int32_t>(x));
                done = x >= n_ && x - k >= m_;
            }
            rows_.push_back(std::move(row));
            if (done) return true;
        }
        return false;
    }

    const Ids& before_;
    const Ids& after_;
    std::size_t begin_;
    std::ptrdiff_t n_, m_;
    std::vector<std::vector<std::int32_t>> rows_;
};

template <class Element>
std::vector<Hunk> hunks_of(const std::vector<Element>& before, const std::vector<Element>& after) {
    const auto [a, b] = numbered(before, after);
    std::size_t begin = 0;
    while (begin < a.size() && begin < b.size() && a[begin] == b[begin]) ++begin;
    std::size_t a_end = a.size(), b_end = b.size();
    while (a_end > begin && b_end > begin && a[a_end - 1] == b[b_end - 1]) {
        --a_end;
        --b_end;
    }
    return Script(a, b, begin, a_end, b_end).run();
}

constexpr std::size_t context_lines = 3;

// "12,3": a count of one is left out, and an empty range names the line before it.
std::string range(std::size_t begin, std::size_t end) {
    const std::size_t count = end - begin;
    std::string result = std::to_string(count == 0 ? begin : begin + 1);
    if (count != 1) result += "," + std::to_string(count);
    return result;
}

std::string header(std::string_view sign, std::string_view name) {
    std::string result(sign);
    result += ' ';
    result += name.empty() ? std::string_view("/dev/null") : name;
    if (name.find(' ') != std::string_view::npos) result += '\t'; // or patch cuts the name at its blank
    return result + '\n';
}

class Printer {
  public:
    Printer(std::string_view before, std::string_view after, std::string_view shown_before,
            std::string_view shown_after)
        : before_(split_lines(before))
        , after_(split_lines(after))
        , shown_before_(split_lines(shown_before))
        , shown_after_(split_lines(shown_after)) {}

    std::string run() {
        const auto hunks = diff(before_, after_);
        std::string result;
        for (std::size_t first = 0; first < hunks.size();) {
            std::size_t last = first;
            while (last + 1 < hunks.size() &&
                   hunks[last + 1].before_begin - hunks[last].before_end <= 2 * context_lines)
                ++last;
            group(hunks, first, last, result);
            first = last + 1;
        }
        return result;
    }

  private:
    void group(const std::vector<Hunk>& hunks, std::size_t first, std::size_t last,
               std::string& result) const {
        const std::size_t lead = std::min(context_lines, hunks[first].before_begin);
        const std::size_t trail = std::min(context_lines, before_.size() - hunks[last].before_end);
        result += "@@ -" + range(hunks[first].before_begin - lead, hunks[last].before_end + trail) + " +" +
                  range(hunks[first].after_begin - lead, hunks[last].after_end + trail) + " @@\n";
        std::size_t at = hunks[first].before_begin - lead;
        for (std::size_t i = first; i <= last; ++i) {
            for (; at < hunks[i].before_begin; ++at) line(' ', before_, shown_before_, at, result);
            for (; at < hunks[i].before_end; ++at) line('-', before_, shown_before_, at, result);
            for (std::size_t k = hunks[i].after_begin; k < hunks[i].after_end; ++k)
                line('+', after_, shown_after_, k, result);
        }
        for (const std::size_t end = at + trail; at < end; ++at)
            line(' ', before_, shown_before_, at, result);
    }

    static void line(char sign, const std::vector<std::string_view>& real,
                     const std::vector<std::string_view>& shown, std::size_t index, std::string& result) {
        // Too few shown lines are the caller's fault; the real ones may hold secrets.
        auto text = index < shown.size() ? shown[index] : std::string_view();
        if (!text.empty() && text.back() == '\n') text.remove_suffix(1);
        result += sign;
        result += text;
        result += '\n';
        if (real[index].back() != '\n') result += "\\ No newline at end of file\n";
    }

    std::vector<std::string_view> before_, after_, shown_before_, shown_after_;
};

} // namespace

std::vector<std::string_view> split_lines(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const auto newline = text.find('\n');
        const auto length = newline == std::string_view::npos ? text.size() : newline + 1;
        lines.push_back(text.substr(0, length));
        text.remove_prefix(length);
    }
    return lines;
}

std::vector<Hunk> diff(const std::vector<std::string>& before, const std::vector<std::string>& after) {
    return hunks_of(before, after);
}

std::vector<Hunk> diff(const std::vector<std::string_view>& before,
                       const std::vector<std::string_view>& after) {
    return hunks_of(before, after);
}

std::string unified_diff(std::string_view before, std::string_view after, std::string_view shown_before,
                         std::string_view shown_after, std::string_view name_before,
                         std::string_view name_after) {
    if (before == after) return "";
    return header("---", name_before) + header("+++", name_after) +
           Printer(before, after, shown_before, shown_after).run();
}

} // namespace dbx::edit
