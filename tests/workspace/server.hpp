#pragma once

#include "tests/workspace/http.hpp"

#include <functional>
#include <memory>
#include <string>

namespace dbx::standin {

// What the server asks of the program behind it. Called from one thread per connection.
struct Handler {
    virtual ~Handler() = default;
    virtual Exchange handle(const Request& request) = 0;
    // Called once for each exchange that has a number, when it is over.
    virtual void finished(std::uint64_t number, Outcome outcome) = 0;
    // Grows with each release of held answers.
    virtual std::uint64_t release_epoch() const = 0;
};

// A loopback HTTP/1.1 server with one thread per connection. Holds keep-alive, pipelining, chunked request
// bodies, `Expect: 100-continue`, HEAD.
class Server {
  public:
    // Binds 127.0.0.1:port (0: any free one). Throws std::runtime_error when it can not.
    Server(Handler& handler, unsigned short port);
    ~Server();

    unsigned short port() const;
    // Serves until SIGTERM or SIGINT, then ends every connection. Blocks those signals in all threads, so
    // call it before starting others.
    void run(const std::function<void()>& ready);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace dbx::standin
