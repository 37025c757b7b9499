#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace dbx::system {

// Where results (stdout) and everything else (stderr) go, and where answers come from.
class Console {
  public:
    virtual ~Console() = default;
    virtual void out(std::string_view text) = 0;
    virtual void err(std::string_view text) = 0;
    virtual bool out_is_terminal() const = 0;
    virtual bool err_is_terminal() const = 0;
    virtual bool in_is_terminal() const = 0;
    // Columns of the terminal; 80 when there is none.
    virtual int width() const = 0;
    // One line from standard input without its line end; nullopt at its end.
    virtual std::optional<std::string> read_line() = 0;
    // False once a write failed for another reason than a closed pipe (a full disk behind `> file`): the
    // command must not exit 0 then. A closed pipe (`| head`) is not an error.
    virtual bool ok() const = 0;
};

// The first thing in main: opens /dev/null in the place of a closed standard stream, so that no file of the
// user gets its number and our messages with it. Results to a closed stdout still count as not written
// (Console::ok).
void open_standard_streams();

// The process's standard streams. Output is written whole (EINTR, short writes); SIGPIPE is expected to be
// ignored.
class RealConsole : public Console {
  public:
    void out(std::string_view text) override;
    void err(std::string_view text) override;
    bool out_is_terminal() const override;
    bool err_is_terminal() const override;
    bool in_is_terminal() const override;
    int width() const override;
    std::optional<std::string> read_line() override;
    bool ok() const override { return ok_; }

  private:
    void write(int descriptor, std::string_view text);
    bool ok_ = true;
    std::string pending_;
};

} // namespace dbx::system
