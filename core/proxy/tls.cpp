#include "core/proxy/tls.hpp"

#include "core/base/strings.hpp"
#include "core/http/client.hpp"
#include "core/http/url.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>

namespace dbx::proxy {

namespace {

std::string last_problem() {
    const unsigned long code = ERR_peek_last_error();
    if (code == 0) return "the connection broke";
    const char* reason = ERR_reason_error_string(code);
    return reason != nullptr ? reason : "error " + std::to_string(code);
}

SSL* native(void* ssl) {
    return static_cast<SSL*>(ssl);
}

} // namespace

struct TlsContext::Native {
    SSL_CTX* context = nullptr;
    std::mutex guard;                             // of sessions
    std::map<std::string, SSL_SESSION*> sessions; // host -> its last one: the next handshake resumes it

    static int on_new_session(SSL* ssl, SSL_SESSION* fresh) {
        auto* self = static_cast<Native*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
        const auto* host = static_cast<const std::string*>(SSL_get_app_data(ssl));
        const std::lock_guard lock(self->guard);
        auto& kept = self->sessions[*host];
        if (kept != nullptr) SSL_SESSION_free(kept);
        kept = fresh;
        return 1; // kept
    }
};

Result<std::shared_ptr<TlsContext>> TlsContext::make(const Trust& trust) {
    const auto failed = [](const std::string& what, const std::string& fix) {
        Error error{ErrorKind::usage, what, last_problem(), fix, {}};
        ERR_clear_error();
        return fail(std::move(error));
    };
    std::shared_ptr<TlsContext> result(new TlsContext);
    result->native_ = std::make_unique<Native>();
    SSL_CTX* context = SSL_CTX_new(TLS_client_method());
    if (context == nullptr) return failed("TLS cannot be used", "check the installation of OpenSSL");
    result->native_->context = context;
    SSL_CTX_set_app_data(context, result->native_.get());
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    // A blocked write may be tried again from another buffer, in part; idle connections give their buffers
    // back.
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, &Native::on_new_session);
    if (trust.ca_file.empty() && trust.ca_folder.empty()) {
        constexpr auto& bundles = http::system_ca_bundles;
        const bool loaded = std::any_of(bundles.begin(), bundles.end(), [&](const char* bundle) {
            return SSL_CTX_load_verify_locations(context, bundle, nullptr) == 1;
        });
        ERR_clear_error();
        if (!loaded) SSL_CTX_set_default_verify_paths(context);
    }
    const auto null_if_empty = [](const std::string& text) { return text.empty() ? nullptr : text.c_str(); };
    if ((!trust.ca_file.empty() || !trust.ca_folder.empty()) &&
        SSL_CTX_load_verify_locations(context, null_if_empty(trust.ca_file),
                                      null_if_empty(trust.ca_folder)) != 1)
        return failed("the certificates of SSL_CERT_FILE or SSL_CERT_DIR cannot be read", "check that path");
    if (!trust.extra_ca_file.empty() &&
        SSL_CTX_load_verify_locations(context, trust.extra_ca_file.c_str(), nullptr) != 1)
        return failed("the certificates of network.ca_file cannot be read: " + trust.extra_ca_file,
                      "check that it is a PEM file");
    ERR_clear_error();
    return result;
}

TlsContext::~TlsContext() {
    if (native_ == nullptr) return;
    for (const auto& [host, session] : native_->sessions) SSL_SESSION_free(session);
    SSL_CTX_free(native_->context);
}

TlsSession::TlsSession(std::shared_ptr<TlsContext> context, int socket, const std::string& host)
    : context_(std::move(context))
    , host_(host) {
    SSL* ssl = SSL_new(context_->native_->context);
    ssl_ = ssl;
    if (ssl == nullptr) return;
    SSL_set_fd(ssl, socket);
    SSL_set_connect_state(ssl);
    std::string name = host;
    if (name.starts_with('[') && name.ends_with(']')) name = name.substr(1, name.size() - 2);
    // An address is checked against the certificate's addresses, and goes into no SNI (RFC 6066).
    X509_VERIFY_PARAM* parameters = SSL_get0_param(ssl);
    if (X509_VERIFY_PARAM_set1_ip_asc(parameters, name.c_str()) != 1) {
        SSL_set_tlsext_host_name(ssl, name.c_str());
        SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        SSL_set1_host(ssl, name.c_str());
    }
    ERR_clear_error();
    const std::lock_guard lock(context_->native_->guard);
    SSL_set_app_data(ssl, &host_);
    if (const auto kept = context_->native_->sessions.find(host_); kept != context_->native_->sessions.end())
        SSL_set_session(ssl, kept->second);
}

TlsSession::~TlsSession() {
    if (ssl_ != nullptr) {
        // No close_notify on a connection that may be broken; and no waiting.
        SSL_set_quiet_shutdown(native(ssl_), 1);
        SSL_free(native(ssl_));
    }
}

TlsStep TlsSession::step_of(int result) {
    switch (SSL_get_error(native(ssl_), result)) {
    case SSL_ERROR_WANT_READ:
        return TlsStep::want_read;
    case SSL_ERROR_WANT_WRITE:
        return TlsStep::want_write;
    case SSL_ERROR_ZERO_RETURN:
        return TlsStep::closed;
    default:
        problem_ = last_problem();
        return TlsStep::broken;
    }
}

TlsStep TlsSession::handshake() {
    if (ssl_ == nullptr) return TlsStep::broken;
    ERR_clear_error(); // the queue is the thread's: another connection's error must not be taken for ours
    const int result = SSL_do_handshake(native(ssl_));
    if (result == 1) return TlsStep::done;
    const auto step = step_of(result);
    if (step != TlsStep::broken) return step;
    if (const long verdict = SSL_get_verify_result(native(ssl_)); verdict != X509_V_OK) {
        untrusted_ = true;
        problem_ = std::string("its certificate is not trusted: ") + X509_verify_cert_error_string(verdict);
    }
    return step;
}

TlsStep TlsSession::read(char* data, std::size_t size, std::size_t& count) {
    count = 0;
    while (count < size) {
        ERR_clear_error();
        std::size_t got = 0;
        const int result = SSL_read_ex(native(ssl_), data + count, size - count, &got);
        if (result == 1) {
            count += got;
            continue;
        }
        const auto step = step_of(result);
        // What was read comes first; the end is seen again by the next call.
        return count > 0 ? TlsStep::done : step;
    }
    return TlsStep::done;
}

TlsStep TlsSession::write(const char* data, std::size_t size, std::size_t& count) {
    count = 0;
    while (count < size) {
        ERR_clear_error();
        std::size_t put = 0;
        const int result = SSL_write_ex(native(ssl_), data + count, size - count, &put);
        if (result == 1) {
            count += put;
            continue;
        }
        const auto step = step_of(result);
        return count > 0 && step != TlsStep::broken ? TlsStep::done : step;
    }
    return TlsStep::done;
}

bool TlsSession::has_pending() const {
    return ssl_ != nullptr && SSL_has_pending(native(ssl_)) == 1;
}

} // namespace dbx::proxy
