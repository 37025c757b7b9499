// The one file that knows libcurl. It is loaded with dlopen at the first request.
#define CURL_DISABLE_DEPRECATION // CURLOPT_PROTOCOLS: its successor needs libcurl 7.85
#define CURL_DISABLE_TYPECHECK

#include "core/base/strings.hpp"
#include "core/http/client.hpp"
#include "core/http/url.hpp"

#include <curl/curl.h>
#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <memory>

namespace dbx::http {

namespace {

// What we use of libcurl.
struct Curl {
    decltype(&::curl_global_init) global_init = nullptr;
    decltype(&::curl_easy_init) easy_init = nullptr;
    decltype(&::curl_easy_setopt) easy_setopt = nullptr;
    decltype(&::curl_easy_perform) easy_perform = nullptr;
    decltype(&::curl_easy_getinfo) easy_getinfo = nullptr;
    decltype(&::curl_easy_reset) easy_reset = nullptr;
    decltype(&::curl_easy_cleanup) easy_cleanup = nullptr;
    decltype(&::curl_easy_strerror) easy_strerror = nullptr;
    decltype(&::curl_slist_append) slist_append = nullptr;
    decltype(&::curl_slist_free_all) slist_free_all = nullptr;
    std::string problem; // why it cannot be used; empty when it can
};

Curl load() {
    Curl curl;
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
    if (curl.problem.empty() && curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        curl.problem = "libcurl does not start";
    return curl;
}

const Curl& library() {
    static const Curl curl = load();
    return curl;
}

// What the callbacks of one exchange write to.
struct Exchange {
    Response response;
    std::size_t limit = 0;
    std::size_t header_bytes = 0;
    bool too_large = false;
    const std::function<bool()>* interrupted = nullptr;
};

constexpr std::size_t header_limit_bytes = 256U << 10U;

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) {
    auto& exchange = *static_cast<Exchange*>(user);
    const std::size_t bytes = size * count;
    if (exchange.response.body.size() + bytes > exchange.limit) {
        exchange.too_large = true;
        return 0;
    }
    exchange.response.body.append(data, bytes);
    return bytes;
}

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* user) {
    auto& exchange = *static_cast<Exchange*>(user);
    const std::size_t bytes = size * count;
    const std::string_view line(data, bytes);
    exchange.header_bytes += bytes;
    if (exchange.header_bytes > header_limit_bytes) {
        exchange.too_large = true;
        return 0;
    }
    // A new status line: what came before belonged to a "100 Continue" or the like.
    if (line.starts_with("HTTP/")) exchange.response.headers.clear();
    if (const auto colon = line.find(':'); colon != std::string_view::npos && colon > 0)
        exchange.response.headers.emplace_back(line.substr(0, colon), trim(line.substr(colon + 1)));
    return bytes;
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    const auto& exchange = *static_cast<Exchange*>(user);
    return *exchange.interrupted && (*exchange.interrupted)() ? 1 : 0;
}

bool has_line_end(std::string_view text) {
    return text.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos;
}

Failure explain(CURLcode code, const char* detail, bool sent, bool connected, const Request& request) {
    const auto host = parse_url(request.url)->host;
    const std::string words = detail[0] != '\0' ? detail : library().easy_strerror(code);
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
        if (!connected)
            return {NetworkProblem::timeout, false,
                    "no connection within " + seconds(request.connect_timeout),
                    "check the network; a firewall or a missing VPN drops packets silently"};
        return {NetworkProblem::timeout, sent, "no complete answer within " + seconds(request.timeout),
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

} // namespace

CurlClient::CurlClient(ClientOptions options)
    : options_(std::move(options)) {}

CurlClient::~CurlClient() {
    for (void* handle : idle_) library().easy_cleanup(handle);
}

tl::expected<Response, Failure> CurlClient::send(const Request& request) {
    const auto refuse = [](std::string why, std::string fix) {
        return tl::unexpected(Failure{NetworkProblem::other, false, std::move(why), std::move(fix)});
    };
    const auto url = parse_url(request.url);
    if (!url) return refuse(url.error().why, url.error().fix);
    // A value that came from a file or a variable must not smuggle in another header.
    if (has_line_end(request.authorization.reveal()) || has_line_end(request.method))
        return refuse("a header of the request holds a line end", "check the credential");
    for (const auto& [name, value] : request.headers) {
        if (has_line_end(name) || has_line_end(value))
            return refuse("the header " + name + " of the request holds a line end",
                          "check the configuration");
    }
    const auto& curl = library();
    if (!curl.problem.empty())
        return refuse("the HTTP library cannot be used: " + curl.problem,
                      "install libcurl 4 (Debian, Ubuntu: libcurl4)");

    CURL* handle = nullptr;
    {
        const std::lock_guard lock(guard_);
        if (!idle_.empty()) {
            handle = idle_.back();
            idle_.pop_back();
        }
    }
    if (handle == nullptr) handle = curl.easy_init();
    if (handle == nullptr) return refuse("libcurl gives no handle", "");
    const auto give_back = [&](CURL* used) {
        curl.easy_reset(used); // keeps its connections
        const std::lock_guard lock(guard_);
        idle_.push_back(used);
    };
    const std::unique_ptr<CURL, decltype(give_back)> owner(handle, give_back);

    curl_slist* list = nullptr;
    const auto append = [&](const std::string& line) {
        if (auto* longer = curl.slist_append(list, line.c_str())) list = longer;
    };
    for (const auto& [name, value] : request.headers)
        append(value.empty() ? name + ";" : name + ": " + value);
    if (!request.authorization.empty()) append("Authorization: " + request.authorization.reveal());
    append("Expect:"); // no "100-continue" round trip
    const std::unique_ptr<curl_slist, decltype(curl.slist_free_all)> list_owner(list, curl.slist_free_all);

    Exchange exchange;
    exchange.limit = request.response_limit_bytes;
    const std::function<bool()> never;
    exchange.interrupted = request.even_if_interrupted ? &never : &options_.interrupted;
    std::array<char, CURL_ERROR_SIZE> detail{};
    const auto set = [&](CURLoption option, auto value) { curl.easy_setopt(handle, option, value); };
    set(CURLOPT_URL, request.url.find("://") == std::string::npos ? ("https://" + request.url).c_str()
                                                                  : request.url.c_str());
    set(CURLOPT_PROTOCOLS, static_cast<long>(CURLPROTO_HTTP | CURLPROTO_HTTPS));
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_SSL_VERIFYPEER, 1L);
    set(CURLOPT_SSL_VERIFYHOST, 2L);
    set(CURLOPT_USERAGENT, options_.user_agent.c_str());
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.connect_timeout.count()));
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout.count()));
    set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    set(CURLOPT_ERRORBUFFER, detail.data());
    set(CURLOPT_HTTPHEADER, list);
    set(CURLOPT_WRITEFUNCTION, on_body);
    set(CURLOPT_WRITEDATA, &exchange);
    set(CURLOPT_HEADERFUNCTION, on_header);
    set(CURLOPT_HEADERDATA, &exchange);
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, on_progress);
    set(CURLOPT_XFERINFODATA, &exchange);
    if (!options_.ca_file.empty()) set(CURLOPT_CAINFO, options_.ca_file.c_str());
    if (!options_.ca_folder.empty()) set(CURLOPT_CAPATH, options_.ca_folder.c_str());
    // Said always, also when empty: libcurl would otherwise look into the environment by its own rules.
    const bool direct = is_loopback_host(url->host);
    set(CURLOPT_PROXY, direct                   ? ""
                       : url->scheme == "https" ? options_.https_proxy.c_str()
                                                : options_.http_proxy.c_str());
    set(CURLOPT_NOPROXY, options_.no_proxy.c_str());
    if (!request.body.empty() || request.method == "POST" || request.method == "PUT" ||
        request.method == "PATCH") {
        set(CURLOPT_POST, 1L);
        set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
        set(CURLOPT_POSTFIELDS, request.body.c_str());
    }
    if (request.method == "HEAD") set(CURLOPT_NOBODY, 1L);
    set(CURLOPT_CUSTOMREQUEST, request.method.c_str());

    const CURLcode code = curl.easy_perform(handle);
    long status = 0, request_bytes = 0;
    curl_off_t connect_us = 0;
    curl.easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    curl.easy_getinfo(handle, CURLINFO_REQUEST_SIZE, &request_bytes);
    curl.easy_getinfo(handle, CURLINFO_PRETRANSFER_TIME_T, &connect_us);
    if (code != CURLE_OK) {
        if (exchange.too_large)
            return tl::unexpected(Failure{NetworkProblem::too_large, true,
                                          "it is longer than " + std::to_string(exchange.limit) + " bytes",
                                          ""});
        return tl::unexpected(explain(code, detail.data(), request_bytes > 0, connect_us > 0, request));
    }
    exchange.response.status = static_cast<int>(status);
    exchange.response.url = request.url;
    return std::move(exchange.response);
}

} // namespace dbx::http
