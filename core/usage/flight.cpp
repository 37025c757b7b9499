#include "core/usage/flight.hpp"

#include "core/system/hash.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

namespace dbx::usage {

namespace {

constexpr std::uint32_t place_count = 4'096;
constexpr std::uint64_t magic = 0x32'74'68'67'69'6c'66'64ULL; // "dflight2"

// A text of bounded length.
template <std::size_t Size>
struct Text {
    std::uint8_t size;
    std::array<char, Size> bytes;

    void set(std::string_view text) {
        size = static_cast<std::uint8_t>(std::min(text.size(), Size));
        std::memcpy(bytes.data(), text.data(), size);
    }
    std::string get() const { return {bytes.data(), std::min<std::size_t>(size, Size)}; }
};

// A count that may be absent.
struct Number {
    std::uint64_t value;
    void set(const std::optional<std::uint64_t>& from) { value = from.value_or(UINT64_MAX); }
    std::optional<std::uint64_t> get() const {
        if (value == UINT64_MAX) return std::nullopt;
        return value;
    }
};

enum : std::uint32_t { is_free, is_begun, is_ended };

std::int64_t milliseconds(system::WallTime time) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

} // namespace

struct Flight::Header {
    std::uint64_t magic;
    std::uint32_t place_bytes;
    std::uint32_t places;
    std::atomic<std::uint64_t> database;
};

// Stored by this program and read by the next one on the same machine, so in the machine's own form; another
// version's files differ in place_bytes and are left where they are.
struct Flight::Place {
    std::atomic<std::uint32_t> state;
    std::int64_t id;
    std::int64_t started_ms;
    Text<32> agent;
    Text<12> dialect;
    Text<96> route;
    Text<96> model_asked;
    // from here on: of one that has ended
    Text<64> model_answered;
    Text<40> error_class;
    Text<40> limit_hit;
    Text<80> price;
    Text<64> upstream_id;
    Text<64> upstream_request_id;
    std::int32_t status;
    bool streamed, partial, priced, has_first_byte;
    Number input, output, cache_read, cache_write, cache_write_5m, cache_write_1h, reasoning;
    double cost_usd;
    std::int64_t queued_us, first_byte_us, total_us;
    std::uint64_t bytes_in, bytes_out;
};

Flight::Header* Flight::header() const {
    return reinterpret_cast<Header*>(file_->bytes().data());
}

Flight::Place* Flight::place(std::uint32_t index) const {
    static_assert(std::atomic<std::uint64_t>::is_always_lock_free &&
                  std::atomic<std::uint32_t>::is_always_lock_free);
    static_assert(sizeof(Header) <= sizeof(Place) && sizeof(Place) % alignof(Place) == 0);
    return reinterpret_cast<Place*>(file_->bytes().data() + (index + std::size_t{1}) * sizeof(Place));
}

Flight::Flight(const system::Path& ledger, system::FileSystem& files)
    : files_(files)
    , path_(ledger.string() + ".flight-" + system::random_hex(6)) {
    auto made = system::SharedFile::create(path_, (place_count + std::size_t{1}) * sizeof(Place));
    if (!made) return;
    file_.emplace(std::move(*made));
    // Fresh bytes are zeros: every place is free.
    auto* const head = new (file_->bytes().data()) Header{};
    head->place_bytes = sizeof(Place);
    head->places = place_count;
    head->magic = magic;
    free_.reserve(place_count);
    for (std::uint32_t index = place_count; index > 0; --index) free_.push_back(index - 1);
    places_ = place_count;
}

Flight::~Flight() {
    if (file_ && free_.size() == places_) (void)files_.remove(path_);
}

void Flight::enter(std::uint64_t database) {
    if (file_) header()->database = database;
}

std::uint32_t Flight::begin(std::int64_t id, const Begin& begin) {
    std::uint32_t index = none;
    {
        const std::lock_guard guard(mutex_);
        if (free_.empty()) return none;
        index = free_.back();
        free_.pop_back();
    }
    auto& at = *place(index);
    at.id = id;
    at.started_ms = milliseconds(begin.started_at);
    at.agent.set(begin.agent);
    at.dialect.set(begin.dialect);
    at.route.set(begin.route);
    at.model_asked.set(begin.model_asked);
    at.state.store(is_begun, std::memory_order_release);
    return index;
}

void Flight::name_model(std::uint32_t index, std::string_view model) {
    if (index != none) place(index)->model_asked.set(model);
}

void Flight::end(std::uint32_t index, const Row& row) {
    if (index == none) return;
    auto& at = *place(index);
    at.model_asked.set(row.model_asked);
    at.model_answered.set(row.usage.model_answered);
    at.error_class.set(row.error_class);
    at.limit_hit.set(row.limit_hit);
    at.price.set(row.price);
    at.upstream_id.set(row.usage.upstream_id);
    at.upstream_request_id.set(row.upstream_request_id);
    at.status = row.status;
    at.streamed = row.streamed;
    at.partial = row.usage.partial;
    at.priced = row.cost_usd.has_value();
    at.has_first_byte = row.first_byte.has_value();
    at.input.set(row.usage.input);
    at.output.set(row.usage.output);
    at.cache_read.set(row.usage.cache_read);
    at.cache_write.set(row.usage.cache_write);
    at.cache_write_5m.set(row.usage.cache_write_5m);
    at.cache_write_1h.set(row.usage.cache_write_1h);
    at.reasoning.set(row.usage.reasoning);
    at.cost_usd = row.cost_usd.value_or(0);
    at.queued_us = row.queued.count();
    at.first_byte_us = row.first_byte.value_or(std::chrono::microseconds(0)).count();
    at.total_us = row.total.count();
    at.bytes_in = row.bytes_in;
    at.bytes_out = row.bytes_out;
    at.state.store(is_ended, std::memory_order_release);
}

void Flight::free(std::uint32_t index) {
    if (index == none) return;
    place(index)->state.store(is_free, std::memory_order_release);
    const std::lock_guard guard(mutex_);
    free_.push_back(index);
}

Row Flight::row_of(const Place& at) {
    Row row;
    row.started_at = system::WallTime(std::chrono::milliseconds(at.started_ms));
    row.agent = at.agent.get();
    row.dialect = at.dialect.get();
    row.route = at.route.get();
    row.model_asked = at.model_asked.get();
    if (at.state.load() != is_ended) {
        row.error_class = "killed";
        row.usage.partial = true;
        return row;
    }
    row.usage.model_answered = at.model_answered.get();
    row.error_class = at.error_class.get();
    row.limit_hit = at.limit_hit.get();
    row.price = at.price.get();
    row.usage.upstream_id = at.upstream_id.get();
    row.upstream_request_id = at.upstream_request_id.get();
    row.status = at.status;
    row.streamed = at.streamed;
    row.usage.partial = at.partial;
    row.usage.input = at.input.get();
    row.usage.output = at.output.get();
    row.usage.cache_read = at.cache_read.get();
    row.usage.cache_write = at.cache_write.get();
    row.usage.cache_write_5m = at.cache_write_5m.get();
    row.usage.cache_write_1h = at.cache_write_1h.get();
    row.usage.reasoning = at.reasoning.get();
    if (at.priced) row.cost_usd = at.cost_usd;
    row.queued = std::chrono::microseconds(at.queued_us);
    if (at.has_first_byte) row.first_byte = std::chrono::microseconds(at.first_byte_us);
    row.total = std::chrono::microseconds(at.total_us);
    row.bytes_in = at.bytes_in;
    row.bytes_out = at.bytes_out;
    return row;
}

std::vector<Flight::Found> Flight::find(const system::Path& ledger, system::FileSystem& files) {
    std::vector<Found> found;
    const auto names = files.list(ledger.parent_path());
    if (!names) return found;
    const std::string prefix = ledger.filename().string() + ".flight-";
    for (const auto& name : *names) {
        if (name.rfind(prefix, 0) != 0) continue;
        const auto path = ledger.parent_path() / name;
        if (auto file = system::SharedFile::adopt(path, 64U << 20U))
            found.push_back({path, std::move(*file)});
    }
    return found;
}

Flight::Remains Flight::read(const Found& found) {
    Remains remains;
    const auto bytes = found.file.bytes();
    if (bytes.size() < sizeof(Place)) return remains;
    const auto* const head = reinterpret_cast<const Header*>(bytes.data());
    if (head->magic != magic || head->place_bytes != sizeof(Place)) {
        remains.foreign = head->magic != 0; // 0: it died before it had begun
        return remains;
    }
    remains.database = head->database;
    const auto count = std::min<std::size_t>(head->places, bytes.size() / sizeof(Place) - 1);
    for (std::size_t i = 1; i <= count; ++i) {
        const auto& at = *reinterpret_cast<const Place*>(bytes.data() + i * sizeof(Place));
        if (at.state.load(std::memory_order_acquire) == is_free) continue;
        remains.rows.push_back({at.id, at.state.load() == is_ended, row_of(at)});
    }
    return remains;
}

} // namespace dbx::usage
