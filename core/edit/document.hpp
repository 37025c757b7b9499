#pragma once

#include "core/base/error.hpp"
#include "core/edit/value.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::edit {

enum class Format {
    toml,
    json,   // strict: a comment or trailing comma is an error (Claude Code ignores such a file whole)
    jsonc,  // with // and /* */ comments, no trailing commas and no byte-order mark (Gemini CLI: exit 52 on
            // those)
    dotenv, // the rules of dotenv 17.1.0
};

// A file above this is refused (contract: the limit is named in the message).
inline constexpr std::size_t max_file_bytes = std::size_t{64} << 20;

// 1-based. The column counts characters (code points), as editors show it.
struct Position {
    std::size_t line = 1;
    std::size_t column = 1;
};

// A value as it stands in the text.
struct Found {
    Value value;
    std::string raw;        // its spelling in the file, without the key and without surrounding blanks
    std::size_t offset = 0; // of `raw` in the text, in bytes
    Position position;      // of the key
};

// A scalar, or an array element, at the bottom of the document; see Document::leaves.
struct Leaf {
    KeyPath path;           // array elements carry their index as a component
    std::size_t offset = 0; // of the spelling, in bytes
    std::size_t length = 0;
    bool is_string = false;
    std::string text; // strings: decoded
};

// One wish. All edits of one call are judged together, and are independent of their order except for
// `append`s to the same array.
struct Edit {
    enum class Kind {
        set,     // the value at `path` becomes `value` (a scalar or an array), in whatever form something
                 // stands there now; missing containers are made. Equal already: nothing changes.
        set_raw, // the same with `raw` as its spelling (from Found::raw of the same format)
        remove,  // the key goes, with its line where it has one; absent: nothing changes
        append,  // `value` becomes the array's last element unless an equal one is there; the array is made
                 // when missing
        remove_element, // the array's elements equal to `value` go
        prune,          // the container at `path` goes if it is empty after all other edits
    };
    Kind kind = Kind::set;
    KeyPath path;
    Value value = nullptr;
    std::string raw = {};

    static Edit set(KeyPath path, Value value) { return {Kind::set, std::move(path), std::move(value), {}}; }
    static Edit set_raw(KeyPath path, std::string raw) {
        return {Kind::set_raw, std::move(path), nullptr, std::move(raw)};
    }
    static Edit remove(KeyPath path) { return {Kind::remove, std::move(path), nullptr, {}}; }
    static Edit append(KeyPath path, Value element) {
        return {Kind::append, std::move(path), std::move(element), {}};
    }
    static Edit remove_element(KeyPath path, Value element) {
        return {Kind::remove_element, std::move(path), std::move(element), {}};
    }
    static Edit prune(KeyPath path) { return {Kind::prune, std::move(path), nullptr, {}}; }
};

// A parsed text that can be edited without being printed again: edits are splices into its bytes.
//
// Errors of parse and apply are of kind `file`; `what` is a clause about the text ("it is not valid TOML"),
// `why` begins with "line L, column C: "; the caller adds which file it was.
class Document {
  public:
    virtual ~Document() = default;

    // Refuses what the format's own parser refuses, duplicate JSON members, text that is not UTF-8, and files
    // over max_file_bytes. An empty text is valid TOML and dotenv, not valid JSON.
    static Result<std::unique_ptr<Document>> parse(Format format, std::string text);

    virtual const std::string& text() const = 0;

    // The value at `path`; nullopt when nothing stands there. dotenv: the last of several, which is the one
    // that counts. A container is found as well (its raw may be empty when it has no one place, as a TOML
    // table).
    virtual std::optional<Found> get(const KeyPath& path) const = 0;

    // Where `path` stands, also for containers without a value of their own (a TOML table's header).
    virtual std::optional<Position> position(const KeyPath& path) const = 0;

    // The whole content.
    virtual Value value() const = 0;

    // Every scalar in the text, in text order (dotenv: all duplicates).
    virtual std::vector<Leaf> leaves() const = 0;

    // The text with the edits made. Afterwards the result is parsed again by an independent library and
    // compared: the edited keys have their new values and every other value is as it was; otherwise this
    // fails and the message says that it is a defect of this program. Fails as well when a value on the way
    // to a path is not a container ("env is a string, not an object", with its line).
    virtual Result<std::string> apply(std::span<const Edit> edits) const = 0;
};

} // namespace dbx::edit
