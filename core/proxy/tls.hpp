#pragma once

#include "core/base/error.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace dbx::proxy {

// What a TLS step came to.
enum class TlsStep {
    done,       // the bytes are moved, the handshake is complete
    want_read,  // again when the socket has bytes
    want_write, // again when the socket takes bytes
    closed,     // the peer said that it is done
    broken,     // everything else; see problem()
};

// Which certificates are trusted, and the settings of every connection. Any thread, once made.
class TlsContext {
  public:
    struct Trust {
        std::string ca_file;       // instead of the system's bundle
        std::string ca_folder;     // the same
        std::string extra_ca_file; // besides
    };
    // Reads the certificates: about 20 ms for the system's bundle. Errors: a file that cannot be read.
    static Result<std::shared_ptr<TlsContext>> make(const Trust& trust);
    ~TlsContext();
    TlsContext(const TlsContext&) = delete;
    TlsContext& operator=(const TlsContext&) = delete;

  private:
    friend class TlsSession;
    TlsContext() = default;
    struct Native;
    std::unique_ptr<Native> native_;
};

// One TLS client connection over a connected, non-blocking socket that somebody else owns. The peer's
// certificate must name `host`; that cannot be turned off.
class TlsSession {
  public:
    TlsSession(std::shared_ptr<TlsContext> context, int socket, const std::string& host);
    ~TlsSession();
    TlsSession(const TlsSession&) = delete;
    TlsSession& operator=(const TlsSession&) = delete;

    TlsStep handshake();
    // Fills the buffer as far as there are bytes; `count` > 0 whenever the step is done.
    TlsStep read(char* data, std::size_t size, std::size_t& count);
    TlsStep write(const char* data, std::size_t size, std::size_t& count);
    // Decrypted bytes are waiting although the socket may be silent.
    bool has_pending() const;
    // Why the handshake failed: "certificate has expired"; no secret.
    const std::string& problem() const { return problem_; }
    // The certificate is not trusted: trying again changes nothing.
    bool untrusted() const { return untrusted_; }

  private:
    TlsStep step_of(int result);
    std::shared_ptr<TlsContext> context_;
    const std::string host_;
    void* ssl_ = nullptr;
    std::string problem_;
    bool untrusted_ = false;
};

} // namespace dbx::proxy
