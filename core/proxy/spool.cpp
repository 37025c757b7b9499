#include "core/proxy/spool.hpp"

#include "core/base/strings.hpp"
#include "core/http/url.hpp"
#include "core/system/self.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>

namespace dbx::proxy {

using otlp::Signal;

namespace {

constexpr std::string_view extension = ".otlp";
// No batch of ours is so large: a body has 16 MB before it is amended.
constexpr std::uint64_t largest_batch = 1ULL << 30U;
// The year 2116. What calls itself later is no measure for the next name, which must have room behind it.
constexpr std::uint64_t latest_time_ns = INT64_MAX / 2;
constexpr std::string_view reason_extension = ".why";
constexpr const char* rejected_name = "rejected";
// Far more than any agent sends at once; a folder with more names is slow to list.
constexpr std::size_t most_batches = 20'000;
constexpr std::uint64_t longest_reason = 64U << 10U;
constexpr std::chrono::hours rejected_age{7 * 24};
// A writer that has not renamed its file for so long is dead.
constexpr std::chrono::minutes half_done_age{1};

std::uint64_t nanoseconds(system::WallTime time) {
    const auto count = std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
    return static_cast<std::uint64_t>(std::max<decltype(count)>(count, 0));
}

system::WallTime wall_time(std::uint64_t ns) {
    return system::WallTime(std::chrono::duration_cast<system::WallTime::duration>(
        std::chrono::nanoseconds(static_cast<std::int64_t>(ns))));
}

std::string reason_name(const std::string& name) {
    return name + std::string(reason_extension);
}

std::string age_in_words(std::chrono::seconds age) {
    const auto count = age.count();
    if (count % 3600 == 0) return std::to_string(count / 3600) + " h";
    if (count % 60 == 0) return std::to_string(count / 60) + " min";
    return std::to_string(count) + " s";
}

void count(Spool::Waiting& waiting, const BatchName& name) {
    ++waiting.batches;
    waiting.bytes += name.size;
    const auto time = wall_time(name.time_ns);
    if (!waiting.oldest || time < *waiting.oldest) waiting.oldest = time;
}

Spool::Rejected read_rejects(const system::Folder& folder, const std::vector<std::string>& names) {
    Spool::Rejected result;
    std::string youngest;
    std::optional<BatchName> youngest_batch;
    for (const auto& name : names) {
        if (name.ends_with(reason_extension)) continue;
        const auto batch = BatchName::parse(name);
        ++result.batches;
        if (batch) {
            result.bytes += batch->size;
            ++result.by_signal[batch->signal];
        }
        if (youngest.empty() || (batch && (!youngest_batch || *youngest_batch < *batch))) {
            youngest = name;
            youngest_batch = batch;
        }
    }
    if (youngest.empty()) return result;
    const auto text = folder.read(reason_name(youngest), longest_reason);
    if (!text || !*text) return result;
    const auto root = nlohmann::json::parse(**text, nullptr, false);
    if (!root.is_object()) return result;
    const auto text_of = [&](const char* key) {
        const auto found = root.find(key);
        return found != root.end() && found->is_string() ? found->get<std::string>() : std::string();
    };
    const auto status = root.find("status");
    if (status != root.end() && status->is_number_integer()) result.last.status = status->get<int>();
    result.last.why = text_of("why");
    result.last.fix = text_of("fix");
    result.last.table = text_of("table");
    return result;
}

} // namespace

std::string BatchName::text() const {
    return std::string(otlp::name_of(signal)) + "-" + std::to_string(time_ns) + "-" +
           std::to_string(process) + "-" + std::to_string(size) + std::string(extension);
}

std::optional<BatchName> BatchName::parse(std::string_view text) {
    if (!text.ends_with(extension)) return std::nullopt;
    const auto parts = split(text.substr(0, text.size() - extension.size()), '-');
    if (parts.size() != 4) return std::nullopt;
    BatchName name;
    const auto signal = std::find_if(otlp::all_signals.begin(), otlp::all_signals.end(),
                                     [&](Signal one) { return parts[0] == otlp::name_of(one); });
    if (signal == otlp::all_signals.end()) return std::nullopt;
    name.signal = *signal;
    const auto number = [](const std::string& part, std::uint64_t& value) {
        const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
        return error == std::errc() && end == part.data() + part.size();
    };
    // A time that no signed number of nanoseconds holds is not one of ours.
    if (!number(parts[1], name.time_ns) || !number(parts[2], name.process) || !number(parts[3], name.size) ||
        name.time_ns > static_cast<std::uint64_t>(INT64_MAX) || name.size > largest_batch ||
        name.text() != text)
        return std::nullopt;
    return name;
}

Spool::Spool(system::Path folder, const system::Clock& clock)
    : path_(std::move(folder))
    , clock_(clock) {}

void Spool::set_bounds(Bounds bounds) {
    const std::lock_guard lock(guard_);
    bounds_ = bounds;
}

Spool::Bounds Spool::bounds() const {
    const std::lock_guard lock(guard_);
    return bounds_;
}

Result<Spool::FolderRef> Spool::folder() {
    if (!folder_) {
        auto opened = system::Folder::open(path_);
        if (!opened) return fail(opened.error());
        folder_ = std::make_shared<const system::Folder>(std::move(*opened));
    }
    return folder_;
}

Result<Spool::FolderRef> Spool::rejects() {
    if (!rejects_) {
        if (auto around = folder(); !around) return around;
        auto opened = system::Folder::open(path_ / rejected_name);
        if (!opened) return fail(opened.error());
        rejects_ = std::make_shared<const system::Folder>(std::move(*opened));
    }
    return rejects_;
}

void Spool::insert(const BatchName& name) {
    if (finished_.contains(name)) return;
    if (names(name.signal).insert(name).second) bytes_ += name.size;
    if (name.time_ns <= latest_time_ns) last_time_ns_ = std::max(last_time_ns_, name.time_ns);
    if (put_meanwhile_) put_meanwhile_->push_back(name);
}

void Spool::forget(const BatchName& name) {
    if (names(name.signal).erase(name) > 0) bytes_ -= name.size;
    auto& held = held_[static_cast<std::size_t>(name.signal)];
    if (held == name) held.reset();
    if (put_meanwhile_) removed_meanwhile_.push_back(name);
}

void Spool::drop(const BatchName& name, const std::string& why) {
    if (const auto around = folder()) {
        const auto gone = (*around)->remove(name.text());
        forget(name);
        if (!gone) finished_.insert(name);
        if (gone && !*gone) return; // another proxy was faster, and counts it
    } else {
        forget(name);
    }
    for (auto& one : dropped_) {
        if (one.signal != name.signal || one.why != why) continue;
        ++one.batches;
        return;
    }
    dropped_.push_back({name.signal, 1, why});
}

bool Spool::make_room(std::uint64_t bytes) {
    const auto all = [&] {
        std::size_t count = 0;
        for (const auto& one : waiting_) count += one.size();
        return count;
    };
    while (bytes_ + bytes > bounds_.size || all() >= most_batches) {
        std::optional<BatchName> oldest;
        for (const Signal signal : otlp::all_signals) {
            const auto& held = held_[static_cast<std::size_t>(signal)];
            for (const auto& name : names(signal)) {
                if (held == name) continue;
                if (!oldest || name < *oldest) oldest = name;
                break;
            }
        }
        if (!oldest) return false;
        drop(*oldest, "the spool is full");
    }
    return true;
}

Result<void> Spool::put(Signal signal, std::string_view protobuf) {
    // A second time when somebody has taken the folder away under us.
    for (int attempt = 0;; ++attempt) {
        FolderRef around;
        BatchName name;
        {
            const std::lock_guard lock(guard_);
            auto opened = folder();
            if (!opened) return fail(opened.error());
            around = *opened;
            if (protobuf.size() > bounds_.size || !make_room(protobuf.size()))
                return fail(ErrorKind::file, "the batch does not fit into the spool",
                            "it has " + std::to_string(protobuf.size()) + " bytes, the spool " +
                                std::to_string(bounds_.size),
                            "set proxy.spool_size higher");
            last_time_ns_ = std::max(nanoseconds(clock_.now()), last_time_ns_ + 1);
            name = {signal, last_time_ns_, static_cast<std::uint64_t>(system::process_id()), protobuf.size()};
        }
        auto written = around->put(name.text(), protobuf);
        const bool gone = !written && !system::Folder::look(path_);
        const std::lock_guard lock(guard_);
        if (written) {
            insert(name);
            return {};
        }
        if (!gone || attempt > 0) return written;
        folder_ = nullptr;
        rejects_ = nullptr;
        lock_.reset();
    }
}

bool Spool::is_sender() {
    {
        const std::lock_guard lock(guard_);
        if (lock_) return true;
        if (!folder()) return false;
    }
    auto taken = system::Lock::acquire(path_ / lock_name, 0);
    if (!taken) return false;
    {
        const std::lock_guard lock(guard_);
        lock_ = std::move(*taken);
        if (folder_) folder_->clean(clock_.now() - half_done_age);
    }
    look_again();
    return true;
}

void Spool::look_again() {
    const std::lock_guard one_look(look_guard_); // a reload looks as well as the one that sends
    FolderRef around;
    {
        const std::lock_guard lock(guard_);
        auto opened = folder();
        if (!opened) return;
        around = *opened;
        put_meanwhile_.emplace();
        removed_meanwhile_.clear();
    }
    const auto listed = around->list();
    const std::lock_guard lock(guard_);
    const auto put = std::move(*put_meanwhile_);
    put_meanwhile_.reset();
    if (!listed) return;
    std::erase_if(finished_, [&](const BatchName& name) {
        const auto gone = around->remove(name.text());
        return gone.has_value();
    });
    for (auto& one : waiting_) one.clear();
    bytes_ = 0;
    std::vector<std::string> foreign;
    for (const auto& text : *listed) {
        if (text == rejected_name || text == lock_name) continue;
        if (const auto name = BatchName::parse(text))
            insert(*name);
        else
            foreign.push_back(text);
    }
    for (const auto& name : put) insert(name);
    for (const auto& name : removed_meanwhile_) forget(name);
    removed_meanwhile_.clear();
    if (lock_) {
        for (const auto& text : foreign) {
            const auto found = around->find(text);
            if (found && found->regular) put_aside(text, {0, "it is no batch of the relay", {}, {}});
        }
    }
    look_at_rejects();
}

void Spool::expire() {
    const std::lock_guard lock(guard_);
    const auto now = nanoseconds(clock_.now());
    const auto age =
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(bounds_.age).count());
    for (const Signal signal : otlp::all_signals) {
        auto& all = names(signal);
        while (!all.empty() && all.begin()->time_ns + age < now) {
            const auto name = *all.begin();
            drop(name, "older than " + age_in_words(bounds_.age));
        }
    }
}

std::optional<BatchName> Spool::first(Signal signal) {
    const std::lock_guard lock(guard_);
    const auto& all = names(signal);
    if (all.empty()) return std::nullopt;
    held_[static_cast<std::size_t>(signal)] = *all.begin();
    return *all.begin();
}

void Spool::release(Signal signal) {
    const std::lock_guard lock(guard_);
    held_[static_cast<std::size_t>(signal)].reset();
}

std::optional<std::string> Spool::read(const BatchName& name) {
    FolderRef around;
    {
        const std::lock_guard lock(guard_);
        auto opened = folder();
        if (!opened) return std::nullopt;
        around = *opened;
    }
    auto bytes = around->read(name.text(), name.size);
    if (bytes && *bytes && (*bytes)->size() == name.size) return std::move(**bytes);
    const std::lock_guard lock(guard_);
    if (bytes && !*bytes)
        forget(name); // another proxy made room
    else
        put_aside(name.text(), {0, bytes ? "the file is torn" : bytes.error().why, {}, {}});
    return std::nullopt;
}

void Spool::remove(const BatchName& name) {
    const std::lock_guard lock(guard_);
    if (const auto around = folder(); !around || !(*around)->remove(name.text())) finished_.insert(name);
    forget(name);
}

void Spool::set_aside(const BatchName& name, const Rejection& why) {
    const std::lock_guard lock(guard_);
    put_aside(name.text(), why);
    look_at_rejects();
}

void Spool::put_aside(const std::string& name, const Rejection& why) {
    const auto batch = BatchName::parse(name);
    const auto around = folder();
    const auto aside = rejects();
    if (around && aside) {
        nlohmann::ordered_json reason = {{"at", system::format_utc(clock_.now())},
                                         {"status", why.status},
                                         {"table", why.table},
                                         {"why", why.why},
                                         {"fix", why.fix}};
        // Without its reason it is aside all the same.
        [[maybe_unused]] const auto said = (*aside)->put(
            reason_name(name), reason.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
        if (const auto moved = (*around)->move(name, **aside); moved) {
            if (batch) forget(*batch);
            return;
        }
    }
    // It must not stand in the way of the next one.
    if (batch) drop(*batch, "it was rejected and cannot be set aside");
}

void Spool::look_at_rejects() {
    rejected_ = {};
    auto folder = system::Folder::look(path_ / rejected_name);
    if (!folder) return;
    auto listed = folder->list();
    if (!listed) return;
    std::vector<BatchName> batches;
    std::uint64_t bytes = 0;
    std::set<std::string> there(listed->begin(), listed->end());
    const auto remove = [&](const std::string& name) {
        for (const auto& one : {name, reason_name(name)}) {
            [[maybe_unused]] const auto gone = folder->remove(one);
            there.erase(one);
        }
    };
    for (const auto& name : *listed) {
        if (const auto batch = BatchName::parse(name)) {
            batches.push_back(*batch);
            bytes += batch->size;
        } else if (name.ends_with(reason_extension) &&
                   !there.contains(name.substr(0, name.size() - reason_extension.size()))) {
            remove(name); // of a batch that is gone
        }
    }
    if (lock_) {
        std::sort(batches.begin(), batches.end());
        const auto oldest = nanoseconds(clock_.now() - rejected_age);
        for (std::size_t i = 0; i < batches.size(); ++i) {
            const bool old = batches[i].time_ns < oldest;
            if (!old && bytes <= bounds_.size && batches.size() - i <= most_batches) break;
            bytes -= batches[i].size;
            remove(batches[i].text());
            dropped_.push_back({batches[i].signal, 1,
                                old ? "rejected, and not wanted again for 7 days"
                                    : "rejected, and no room for more of these"});
        }
    }
    rejected_ = read_rejects(*folder, {there.begin(), there.end()});
}

std::size_t Spool::try_rejected_again() {
    const std::lock_guard lock(guard_);
    const auto around = folder();
    const auto aside = rejects();
    if (!around || !aside || !lock_) return 0;
    const auto listed = (*aside)->list();
    if (!listed) return 0;
    std::size_t count = 0;
    for (const auto& text : *listed) {
        const auto name = BatchName::parse(text);
        const auto found = name ? (*aside)->find(text) : std::nullopt;
        if (!found || !found->regular || found->size != name->size) continue;
        const auto moved = (*aside)->move(text, **around);
        if (!moved || !*moved) continue;
        [[maybe_unused]] const auto gone = (*aside)->remove(reason_name(text));
        insert(*name);
        ++count;
    }
    look_at_rejects();
    return count;
}

std::vector<Spool::Dropped> Spool::take_dropped() {
    const std::lock_guard lock(guard_);
    return std::exchange(dropped_, {});
}

Spool::Waiting Spool::waiting(Signal signal) const {
    const std::lock_guard lock(guard_);
    Waiting result;
    const auto& all = names(signal);
    result.batches = all.size();
    for (const auto& name : all) result.bytes += name.size;
    if (!all.empty()) result.oldest = wall_time(all.begin()->time_ns);
    return result;
}

Spool::Rejected Spool::rejected() const {
    const std::lock_guard lock(guard_);
    return rejected_;
}

std::vector<Spool::Look> Spool::look_at_all(const system::Path& root) {
    std::vector<Look> result;
    const auto top = system::Folder::look(root);
    const auto workspaces = top ? top->list() : Result<std::vector<std::string>>();
    if (!workspaces) return result;
    for (const auto& workspace : *workspaces) {
        const auto folder = system::Folder::look(root / workspace);
        const auto listed = folder ? folder->list() : Result<std::vector<std::string>>();
        if (!listed) continue;
        Look look;
        look.workspace = workspace;
        look.path = root / workspace;
        for (const auto& text : *listed)
            if (const auto name = BatchName::parse(text))
                count(look.waiting[static_cast<std::size_t>(name->signal)], *name);
        if (const auto aside = system::Folder::look(root / workspace / rejected_name))
            if (const auto rejects = aside->list()) look.rejected = read_rejects(*aside, *rejects);
        result.push_back(std::move(look));
    }
    return result;
}

std::string spool_name(std::string_view workspace_url) {
    const auto url = http::parse_url(workspace_url);
    std::string name = url ? to_lower(url->host) : std::string();
    if (url && url->port != 0) name += "_" + std::to_string(url->port);
    // An IPv6 address has brackets and colons; nothing may look like a path or be hidden.
    for (char& c : name)
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_')) c = '_';
    while (name.starts_with('.')) name.erase(0, 1);
    return name.empty() ? "workspace" : name;
}

Result<system::Path> spool_root(const system::Environment& environment) {
    auto state = system::state_directory(environment);
    if (!state) return fail(state.error());
    return *state / "spool";
}

} // namespace dbx::proxy
