// A folder with files of any names and contents in the place of a spool: what is a batch by its name and
// length comes once and whole, everything else is set aside or left alone; nothing outside of it changes; new
// batches come behind; sums are those of what is there.
#include "core/base/strings.hpp"
#include "core/proxy/spool.hpp"

#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>

using namespace dbx;
using namespace dbx::proxy;
namespace fs = std::filesystem;

namespace {

void require(bool holds, const char* what) {
    if (holds) return;
    std::cerr << "broken: " << what << "\n";
    std::abort();
}

struct FixedClock : system::Clock {
    system::WallTime now() const override { return system::WallTime(std::chrono::seconds(1'700'000'000)); }
};

const fs::path& root() {
    static const fs::path path = [] {
        const char* const fast = fs::exists("/dev/shm") ? "/dev/shm" : "/tmp";
        const fs::path made = fs::path(fast) / ("dbx-spool-fuzz-" + std::to_string(::getpid()));
        std::atexit([] {
            std::error_code ignored;
            fs::remove_all(root(), ignored);
        });
        return made;
    }();
    return path;
}

// Lines of NAME, TAB, CONTENT; "@" before the name: a link to a file outside; ":" before it: rejected
// already.
std::map<std::string, std::string> lay_out(const fs::path& folder, std::string_view text) {
    std::map<std::string, std::string> files;
    for (const auto& line : split(text, '\n')) {
        const auto tab = line.find('\t');
        std::string name = line.substr(0, tab);
        const std::string content = tab == std::string::npos ? "" : line.substr(tab + 1);
        const bool link = name.starts_with('@'), aside = name.starts_with(':');
        if (link || aside) name.erase(0, 1);
        if (name.empty() || name == "." || name == ".." || name.size() > 200 ||
            name.find_first_of(std::string_view("/\0", 2)) != std::string::npos || name == "rejected" ||
            name == Spool::lock_name || name.starts_with(".tmp-"))
            continue;
        const auto path = aside ? folder / "rejected" / name : folder / name;
        if (fs::symlink_status(path).type() != fs::file_type::not_found) continue;
        if (link) {
            fs::create_symlink("../outside", path);
            continue;
        }
        std::ofstream(path, std::ios::binary) << content;
        if (!aside) files[name] = content;
    }
    return files;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    if (const auto name = BatchName::parse(text)) require(name->text() == text, "another name");

    const fs::path folder = root() / "spool";
    fs::remove_all(root());
    fs::create_directories(folder / "rejected");
    std::ofstream(root() / "outside") << "outside";
    const auto files = lay_out(folder, text);
    const FixedClock clock;
    {
        Spool spool(folder, clock);
        spool.set_bounds({1ULL << 40U, std::chrono::hours(24)});
        require(spool.is_sender(), "it sends");
        require(spool.put(otlp::Signal::logs, "new").has_value(), "a new batch is taken");
        spool.look_again();
        std::map<std::string, std::string> came;
        bool seen_new = false;
        for (const auto signal : otlp::all_signals) {
            std::optional<BatchName> before;
            while (const auto name = spool.first(signal)) {
                require(!before || *before < *name || *before == *name, "in order");
                before = name;
                const auto bytes = spool.read(*name);
                if (!bytes) continue;
                require(bytes->size() == name->size, "whole");
                require(!seen_new || signal != otlp::Signal::logs || name->time_ns > INT64_MAX / 2,
                        "the new one is the last, but for what is from the end of time");
                if (files.contains(name->text()))
                    require(came.emplace(name->text(), *bytes).second, "once");
                else
                    seen_new = true;
                spool.remove(*name);
            }
            require(spool.waiting(signal).batches == 0 && spool.waiting(signal).bytes == 0, "nothing waits");
        }
        require(seen_new, "the new one came");
        for (const auto& [name, content] : files) {
            const auto batch = BatchName::parse(name);
            const bool whole = batch && batch->size == content.size();
            require(came.contains(name) == whole, "a whole batch comes, nothing else does");
            if (whole) require(came.at(name) == content, "with its bytes");
        }
        spool.look_again();
        (void)spool.rejected();
        (void)spool.try_rejected_again();
        (void)Spool::look_at_all(root());
    }
    std::ifstream outside(root() / "outside");
    std::string kept;
    outside >> kept;
    require(kept == "outside", "a file outside");
    return 0;
}
