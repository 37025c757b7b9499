#pragma once

// What this room uses of libcurl; no other room includes it.

#define CURL_DISABLE_DEPRECATION // CURLOPT_PROTOCOLS: its successor needs libcurl 7.85
#define CURL_DISABLE_TYPECHECK
#include "core/http/client.hpp"

#include <curl/curl.h>

#include <chrono>
#include <string>

namespace dbx::http {

struct CurlLibrary {
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
    decltype(&::curl_multi_init) multi_init = nullptr;
    decltype(&::curl_multi_cleanup) multi_cleanup = nullptr;
    decltype(&::curl_multi_add_handle) multi_add_handle = nullptr;
    decltype(&::curl_multi_remove_handle) multi_remove_handle = nullptr;
    decltype(&::curl_multi_perform) multi_perform = nullptr;
    decltype(&::curl_multi_poll) multi_poll = nullptr;
    decltype(&::curl_multi_wakeup) multi_wakeup = nullptr;
    decltype(&::curl_multi_info_read) multi_info_read = nullptr;
    std::string problem; // why it cannot be used; empty when it can
};

// Loaded with dlopen when it is first asked for: a command without network does not pay for it. Any thread.
const CurlLibrary& curl_library();

// How far an exchange came before it failed.
struct Progress {
    bool sent = false;      // the request may have reached the server
    bool connected = false; // name, connection, TLS
    std::chrono::milliseconds connect_timeout{};
    std::chrono::milliseconds timeout{};
};

// libcurl's code and words as ours. `detail` is its error buffer.
Failure explain_curl(CURLcode code, const char* detail, const Progress& progress, const std::string& host);

} // namespace dbx::http
