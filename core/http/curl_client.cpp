// The HTTP client. libcurl is loaded with dlopen at the first request.
#include "core/base/strings.hpp"
#include "core/http/client.hpp"
#include "core/http/curl_library.hpp"
#include "core/http/url.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <memory>

namespace dbx::http {

namespace {

// What the callbacks of one exchange write to.
struct Exchange {
    Response response;
    std::size_t limit = 0;
    std::size_t header_bytes = 0;
    bool too_large = false;
    const std::function<bool()>* interrupted = nullptr;
};

constexpr std::uint64_t certificates_limit_bytes = 16U << 20U;
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

} // namespace

CurlClient::CurlClient(ClientOptions options)
    : options_(std::move(options)) {}

CurlClient::~CurlClient() {
    for (void* handle : idle_) curl_library().easy_cleanup(handle);
}

void CurlClient::trust_also(const std::string& ca_file) {
    const std::lock_guard lock(guard_);
    extra_ca_file_ = ca_file;
    certificates_.reset();
}

// libcurl knows one file only: the system's (or SSL_CERT_FILE's) and ours are one text for it.
Result<std::shared_ptr<const std::string>> CurlClient::certificates() {
    const std::lock_guard lock(guard_);
    if (extra_ca_file_.empty() || certificates_) return certificates_;
    system::RealFileSystem files;
    auto own = files.read(extra_ca_file_, certificates_limit_bytes);
    if (!own) return fail(own.error());
    if (own->find("-----BEGIN CERTIFICATE-----") == std::string::npos)
        return fail(ErrorKind::file, "cannot use " + extra_ca_file_, "there is no certificate in it");
    std::string text;
    if (!options_.ca_file.empty()) {
        auto bundle = files.read(options_.ca_file, certificates_limit_bytes);
        if (!bundle) return fail(bundle.error());
        text = std::move(*bundle);
    } else if (options_.ca_folder.empty()) {
        for (const char* name : system_ca_bundles) {
            if (auto bundle = files.read(name, certificates_limit_bytes); bundle) {
                text = std::move(*bundle);
                break;
            }
        }
    }
    certificates_ = std::make_shared<const std::string>(text + "\n" + *own);
    return certificates_;
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
    const auto& curl = curl_library();
    if (!curl.problem.empty())
        return refuse("the HTTP library cannot be used: " + curl.problem,
                      "install libcurl 4 (Debian, Ubuntu: libcurl4)");

    const auto trusted = certificates();
    if (!trusted)
        return tl::unexpected(
            Failure{NetworkProblem::tls, false,
                    "the certificates of network.ca_file cannot be read: " + trusted.error().what +
                        (trusted.error().why.empty() ? "" : ": " + trusted.error().why),
                    "check that it is a PEM file"});

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
    if (*trusted) {
        curl_blob blob{const_cast<char*>((*trusted)->data()), (*trusted)->size(), CURL_BLOB_NOCOPY};
        // A libcurl without it (before 7.77, or not over OpenSSL) trusts these only.
        if (curl.easy_setopt(handle, CURLOPT_CAINFO_BLOB, &blob) != CURLE_OK) {
            const std::lock_guard lock(guard_);
            set(CURLOPT_CAINFO, extra_ca_file_.c_str());
        }
    }
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
        return tl::unexpected(explain_curl(
            code, detail.data(),
            {request_bytes > 0, connect_us > 0, request.connect_timeout, request.timeout}, url->host));
    }
    exchange.response.status = static_cast<int>(status);
    exchange.response.url = request.url;
    return std::move(exchange.response);
}

} // namespace dbx::http
