#include "core/http/curl_library.hpp"

#include <dlfcn.h>

#include <array>
#include <type_traits>

namespace dbx::http {

namespace {

CurlLibrary load() {
    CurlLibrary curl;
    constexpr std::array names = {"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl.4.dylib"};
    void* library = nullptr;
    for (const auto* name : names) {
        library = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
        if (library != nullptr) break;
    }
    if (library == nullptr) {
        curl.problem = "libcurl.so.4 is not installed";
        return curl;
    }
    const auto find = [&](auto& function, const char* name) {
        function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(::dlsym(library, name));
        if (function == nullptr) curl.problem = std::string("libcurl has no ") + name;
    };
    find(curl.global_init, "curl_global_init");
    find(curl.easy_init, "curl_easy_init");
    find(curl.easy_setopt, "curl_easy_setopt");
    find(curl.easy_perform, "curl_easy_perform");
    find(curl.easy_getinfo, "curl_easy_getinfo");
    find(curl.easy_reset, "curl_easy_reset");
    find(curl.easy_cleanup, "curl_easy_cleanup");
    find(curl.easy_strerror, "curl_easy_strerror");
    find(curl.slist_append, "curl_slist_append");
    find(curl.slist_free_all, "curl_slist_free_all");
    find(curl.multi_init, "curl_multi_init");
    find(curl.multi_cleanup, "curl_multi_cleanup");
    find(curl.multi_add_handle, "curl_multi_add_handle");
    find(curl.multi_remove_handle, "curl_multi_remove_handle");
    find(curl.multi_perform, "curl_multi_perform");
    find(curl.multi_poll, "curl_multi_poll");
    find(curl.multi_wakeup, "curl_multi_wakeup");
    find(curl.multi_info_read, "curl_multi_info_read");
    if (curl.problem.empty() && curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        curl.problem = "libcurl does not start";
    return curl;
}

} // namespace

const CurlLibrary& curl_library() {
    static const CurlLibrary curl = load();
    return curl;
}

Failure explain_curl(CURLcode code, const char* detail, const Progress& progress, const std::string& host) {
    const bool sent = progress.sent;
    const std::string words = detail[0] != '\0' ? detail : curl_library().easy_strerror(code);
    const auto seconds = [](std::chrono::milliseconds time) {
        return std::to_string(time.count() / 1000) + " s";
    };
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return {NetworkProblem::name, false, "the host name '" + host + "' is not known",
                "check its spelling, and that this machine is online (VPN, DNS)"};
    case CURLE_COULDNT_RESOLVE_PROXY:
        return {NetworkProblem::proxy, false, "the name of the HTTP proxy is not known", "check HTTPS_PROXY"};
    case CURLE_COULDNT_CONNECT:
        return {NetworkProblem::connect, false, "nothing answers there: " + words,
                "check the address, the network and HTTPS_PROXY"};
    case CURLE_OPERATION_TIMEDOUT:
        if (!progress.connected)
            return {NetworkProblem::timeout, false,
                    "no connection within " + seconds(progress.connect_timeout),
                    "check the network; a firewall or a missing VPN drops packets silently"};
        return {NetworkProblem::timeout, sent, "no complete answer within " + seconds(progress.timeout),
                "try again later"};
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
        return {NetworkProblem::tls, false, "its certificate is not trusted: " + words,
                "if your company inspects TLS, point SSL_CERT_FILE to its certificate bundle"};
    case CURLE_SSL_CACERT_BADFILE:
        return {NetworkProblem::tls, false, "the certificate bundle cannot be read: " + words,
                "check SSL_CERT_FILE"};
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_USE_SSL_FAILED:
        return {NetworkProblem::tls, false, "no TLS connection: " + words,
                "check that the address and its port speak https, and HTTPS_PROXY"};
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        // An HTTP proxy that refuses CONNECT is reported like this, too.
        if (words.find("CONNECT") != std::string::npos)
            return {NetworkProblem::proxy, false, "the HTTP proxy refused the connection: " + words,
                    "check HTTPS_PROXY and NO_PROXY"};
        return {NetworkProblem::dropped, sent, "the connection broke: " + words, "try again"};
    case CURLE_ABORTED_BY_CALLBACK:
        return {NetworkProblem::interrupted, sent, "interrupted", ""};
    case CURLE_PROXY:
        return {NetworkProblem::proxy, false, "the HTTP proxy failed: " + words, "check HTTPS_PROXY"};
    default:
        return {NetworkProblem::other, sent, words, "try again"};
    }
}

} // namespace dbx::http
