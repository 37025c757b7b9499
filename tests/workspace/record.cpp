#include "tests/workspace/record.hpp"

#include "core/base/strings.hpp"

#include <algorithm>
#include <stdexcept>

namespace dbx::standin {

namespace {

std::string base64(std::string_view bytes) {
    static constexpr std::string_view alphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        unsigned bits = 0;
        for (std::size_t j = 0; j < 3; ++j)
            bits = bits << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0u);
        for (std::size_t j = 0; j < 4; ++j)
            out.push_back(i + j < bytes.size() + 1 ? alphabet[bits >> (18 - 6 * j) & 63u] : '=');
    }
    return out;
}

std::string line_of(const Json& entry) {
    return entry.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

} // namespace

RequestLog::RequestLog(const std::string& directory)
    : path_(directory + "/requests.jsonl") {
    std::ifstream old(path_);
    std::string line;
    bool whole = true;
    while (std::getline(old, line)) {
        // A killed server may leave half a line.
        Json entry = Json::parse(line, nullptr, false);
        whole = entry.is_object() && !old.eof();
        if (!entry.is_object()) continue;
        last_ = std::max(last_, entry.value("n", std::uint64_t{0}));
        entries_.push_back(std::move(entry));
    }
    old.close();
    file_.open(path_, std::ios::binary | (whole ? std::ios::app : std::ios::trunc));
    if (!whole)
        for (const Json& entry : entries_) file_ << line_of(entry);
    file_.flush();
    if (!file_) throw std::runtime_error("cannot write " + path_);
}

std::uint64_t RequestLog::next_number() {
    const std::lock_guard guard(mutex_);
    return ++last_;
}

void RequestLog::add(Json entry) {
    const std::lock_guard guard(mutex_);
    file_ << line_of(entry);
    file_.flush();
    entry["outcome"] = nullptr;
    entries_.push_back(std::move(entry));
}

void RequestLog::finish(std::uint64_t number, Outcome outcome) {
    const char* word = "complete";
    if (outcome == Outcome::cut) word = "cut";
    if (outcome == Outcome::client_left) word = "client_left";
    if (outcome == Outcome::stopped) word = "stopped";
    const std::lock_guard guard(mutex_);
    for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry)
        if ((*entry)["n"] == number) {
            (*entry)["outcome"] = word;
            return;
        }
}

Json RequestLog::list() const {
    const std::lock_guard guard(mutex_);
    Json out = Json::array();
    for (const Json& entry : entries_) out.push_back(entry);
    std::stable_sort(out.begin(), out.end(), [](const Json& a, const Json& b) { return a["n"] < b["n"]; });
    return out;
}

void RequestLog::clear() {
    const std::lock_guard guard(mutex_);
    entries_.clear();
    file_.close();
    file_.open(path_, std::ios::binary | std::ios::trunc);
}

Json describe(const Request& request, Bodies bodies) {
    Json json;
    json["method"] = request.method;
    json["path"] = request.path;
    json["query"] = request.query;
    // In their order, as [name, value]: names may repeat.
    Json headers = Json::array();
    for (const auto& [name, value] : request.headers) headers.push_back(Json::array({name, value}));
    json["headers"] = std::move(headers);
    json["body_bytes"] = request.body.size();
    if (bodies == Bodies::left_out) return json;
    if (is_utf8(request.body))
        json["body"] = request.body;
    else
        json["body_base64"] = base64(request.body);
    return json;
}

} // namespace dbx::standin
