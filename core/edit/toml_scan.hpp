#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// The shape of a TOML text as byte ranges: where things stand, not whether they are right (toml_judge.hpp).
// What toml++ accepts is scanned; broken text is found out here as well, but described by toml++.
namespace dbx::edit {

using TomlOffset = std::uint32_t; // max_file_bytes is far below 4 GiB
inline constexpr TomlOffset toml_none = std::numeric_limits<TomlOffset>::max();

// Header components, key components and nested values together. toml++ 3.3 bounds nested values only, and
// overflows the stack when it destroys a key of 100 000 components.
inline constexpr std::size_t toml_max_depth = 200;

struct TomlRange {
    TomlOffset begin = 0;
    TomlOffset end = 0;
};

// `key = value`, `[table]` or `[[array]]`, with the lines it stands on.
struct TomlStatement {
    enum class Kind : std::uint8_t { pair, table, array_of_tables };
    Kind kind = Kind::pair;
    bool has_comment = false; // behind it, on its last line
    TomlRange lines;          // from the indentation to behind the line end
    TomlRange key;            // all components, quotes included
    std::uint32_t first_part = 0;
    std::uint32_t part_count = 0;
    TomlOffset equals = 0; // pairs: where `=` stands
    TomlRange value;       // pairs: the value; headers: brackets included
};

struct TomlScan {
    TomlOffset content_begin = 0; // behind a byte order mark
    std::vector<TomlStatement> statements;
    std::vector<TomlRange> parts; // key components, quotes included

    std::span<const TomlRange> key_parts(const TomlStatement& statement) const {
        return std::span(parts).subspan(statement.first_part, statement.part_count);
    }
};

struct TomlScanFailure {
    TomlOffset offset = 0;
    std::string reason;
};

// False: `failure` says why. Linear in the text. Bare keys are those of TOML 1.0 and 1.1 (ASCII).
bool scan_toml(std::string_view text, TomlScan& scan, TomlScanFailure& failure);

// Told what stands inside a value, in text order.
class TomlValueSink {
  public:
    virtual ~TomlValueSink() = default;
    virtual void open(TomlOffset /*bracket*/, bool /*array*/) {}
    virtual void key(std::span<const TomlRange> /*parts*/) {}
    virtual void scalar(TomlRange /*range*/) {}
    virtual void comma(TomlOffset /*offset*/) {}
    virtual void comment(TomlOffset /*offset*/) {}
    virtual void close(TomlOffset /*end*/) {}
};

// Walks the value that begins at `begin` (text that scan_toml has accepted); returns where it ends.
TomlOffset walk_toml_value(std::string_view text, TomlOffset begin, TomlValueSink& sink);

// A member of an inline table, or an element of an array.
struct TomlEntry {
    std::vector<std::string> key; // decoded components; empty in an array
    TomlOffset begin = 0;         // of the key, or of the element
    TomlOffset equals = 0;
    TomlRange value;
    TomlOffset comma = toml_none; // the one behind it
};

// The direct content of an inline table or array.
struct TomlContainer {
    TomlRange range; // brackets included
    bool array = false;
    bool has_comment = false; // anywhere inside
    std::vector<TomlEntry> entries;
};

TomlContainer scan_toml_container(std::string_view text, TomlOffset begin);

// The content of a string or key component as spelled (bare, "…", '…', """…""", '''…''').
std::string decode_toml_string(std::string_view spelling);

} // namespace dbx::edit
