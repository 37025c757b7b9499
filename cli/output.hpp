#pragma once

#include "core/base/error.hpp"
#include "core/system/console.hpp"
#include "core/system/environment.hpp"

#include <nlohmann/json.hpp>

#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::cli {

enum class Style { plain, bold, dim, red, green, yellow, cyan };

// How results and messages reach the user. Results go to stdout, all else to stderr; colour only on a
// terminal.
class Output {
  public:
    enum class Verbosity { quiet, normal, verbose };
    struct Options {
        bool json = false;
        bool color = true;
        bool animate = true; // a line of progress that moves
        Verbosity verbosity = Verbosity::normal;
    };
    Output(system::Console& console, const Options& options)
        : console_(console)
        , options_(options) {}
    // Paths below it are shown as ~/… in warnings and errors.
    void set_home(std::string home) { home_ = std::move(home); }

    bool json() const { return options_.json; }
    bool quiet() const { return options_.verbosity == Verbosity::quiet; }
    bool verbose() const { return options_.verbosity == Verbosity::verbose; }

    // The command's result. With --json only document() prints to stdout.
    void result(std::string_view text);
    // A result that nobody asked for by name; --quiet drops it.
    void summary(std::string_view text);
    void document(const nlohmann::ordered_json& document);

    void warning(std::string_view text);
    void note(std::string_view text);
    // One line on the terminal that each call replaces; an empty one takes it away, and so do warnings, notes
    // and errors. Nothing without a terminal on stderr, on a dumb one, or with --quiet or --json. Any thread.
    void progress(std::string_view line);
    bool shows_progress() const {
        return options_.animate && console_.err_is_terminal() && !quiet() && !options_.json;
    }
    // The four lines of an error; with --json also a document on stdout.
    void error(const Error& error, std::string_view state);

    std::string styled(std::string_view text, Style style) const;     // for stdout
    std::string styled_err(std::string_view text, Style style) const; // for stderr
    // A unified diff in colour.
    std::string colored_diff(std::string_view diff) const;

    bool result_is_terminal() const { return console_.out_is_terminal(); }
    // Whether somebody can answer: see Questions.
    bool can_ask() const { return console_.in_is_terminal() && console_.err_is_terminal(); }

    int width() const { return console_.width(); }
    bool ok() const { return console_.ok(); }

  private:
    void prose(std::string_view label, Style style, std::string_view text);
    std::string paint(std::string_view text, Style style, bool terminal) const;
    void err(std::string_view text); // after the line of progress, if one stands there, has gone
    void replace_progress(const std::string& text);

    std::string shown(std::string_view text) const;

    system::Console& console_;
    Options options_;
    std::string home_;
    std::mutex guard_;               // of stderr
    std::size_t progress_width_ = 0; // of the line that stands there
};

// Breaks text at blanks so that lines fit `width` columns; lines after the first begin with `indent` blanks.
// Words longer than a line stay whole (they are URLs and paths, to be copied).
std::string wrap(std::string_view text, int width, int indent);

// Columns padded to their widest cell, two blanks between; the last is not padded.
std::string columns(const std::vector<std::vector<std::string>>& rows, int indent);

// Control characters that would steer a terminal become \xNN; newline and tab stay.
std::string printable(std::string_view text);

} // namespace dbx::cli
