#include "core/base/strings.hpp"
#include "core/edit/dotenv_scan.hpp"
#include "core/edit/dotenv_write.hpp"
#include "core/edit/formats.hpp"
#include "core/edit/position.hpp"

#include <algorithm>
#include <map>

namespace dbx::edit {

namespace {

using Assignments = std::vector<std::pair<std::string, std::string>>;

// What one key is to become.
struct Wish {
    std::string key;
    std::optional<std::string> value;
    std::optional<std::string> raw;
    bool remove = false;
};

// A .env value is text: booleans and numbers as JSON spells them; nullopt for what is no scalar.
std::optional<std::string> as_text(const Value& value) {
    if (value.is_string()) return value.get<std::string>();
    if (value.is_boolean() || value.is_number()) return value.dump();
    return std::nullopt;
}

Result<std::vector<Wish>> gather(std::span<const Edit> edits) {
    const auto wrong = [](const Edit& edit, std::string_view reason) {
        return fail(ErrorKind::file,
                    "the edit of " + to_string(edit.path) + " is not possible in a .env file",
                    std::string(reason));
    };
    std::vector<Wish> wishes;
    for (const auto& edit : edits) {
        if (edit.kind == Edit::Kind::prune || edit.kind == Edit::Kind::remove_element)
            continue; // no containers here
        if (edit.kind == Edit::Kind::append) return wrong(edit, "it has no arrays");
        if (edit.path.size() != 1) return wrong(edit, "its keys have one part");
        const auto& key = edit.path.front();
        if (!is_dotenv_key(key)) return wrong(edit, "a name has letters, digits, '_', '.' and '-' only");
        auto wish =
            std::find_if(wishes.begin(), wishes.end(), [&](const Wish& other) { return other.key == key; });
        Wish wanted{key, std::nullopt, std::nullopt, edit.kind == Edit::Kind::remove};
        if (edit.kind == Edit::Kind::set) {
            wanted.value = as_text(edit.value);
            if (!wanted.value) return wrong(edit, "a value is text");
            if (!is_utf8(*wanted.value)) return wrong(edit, "the new value is not UTF-8");
        } else if (edit.kind == Edit::Kind::set_raw) {
            const std::string line = key + "=" + edit.raw;
            const auto meaning = scan_dotenv(line);
            if (!is_utf8(line) || meaning.size() != 1 || meaning[0].value_begin != key.size() + 1 ||
                meaning[0].value_end != line.size())
                return wrong(edit, "the new spelling is not one value");
            wanted.raw = edit.raw;
            wanted.value = meaning[0].value;
        }
        if (wish == wishes.end()) {
            wishes.push_back(std::move(wanted));
        } else if (wish->remove != wanted.remove || wish->value != wanted.value || wish->raw != wanted.raw) {
            return fail(ErrorKind::file, "the edits contradict each other", "two wishes for " + key);
        }
    }
    return wishes;
}

Assignments expected(Assignments assignments, const std::vector<Wish>& wishes) {
    for (const auto& wish : wishes) {
        if (wish.remove) {
            std::erase_if(assignments, [&](const auto& entry) { return entry.first == wish.key; });
            continue;
        }
        const auto last = std::find_if(assignments.rbegin(), assignments.rend(),
                                       [&](const auto& entry) { return entry.first == wish.key; });
        if (last == assignments.rend()) {
            assignments.emplace_back(wish.key, *wish.value);
        } else {
            last->second = *wish.value;
        }
    }
    return assignments;
}

class DotenvDocument final : public Document {
  public:
    explicit DotenvDocument(std::string text)
        : text_(std::move(text))
        , entries_(scan_dotenv(text_)) {}

    const std::string& text() const override { return text_; }

    std::optional<Found> get(const KeyPath& path) const override {
        const auto* const entry = find(path);
        if (entry == nullptr) return std::nullopt;
        return Found{entry->value, std::string(spelling(*entry)), entry->value_begin,
                     position_at(text_, entry->key_begin)};
    }

    std::optional<Position> position(const KeyPath& path) const override {
        const auto* const entry = find(path);
        if (entry == nullptr) return std::nullopt;
        return position_at(text_, entry->key_begin);
    }

    // As JavaScript would have it: the place of the first, the value of the last.
    Value value() const override {
        Value result = Value::object();
        auto& members = result.get_ref<Value::object_t&>();
        std::map<std::string_view, std::size_t> places;
        for (const auto& entry : entries_) {
            const auto [place, is_new] = places.try_emplace(entry.key(text_), members.size());
            if (is_new) {
                members.emplace_back(std::string(entry.key(text_)), entry.value);
            } else {
                std::next(members.begin(), static_cast<std::ptrdiff_t>(place->second))->second = entry.value;
            }
        }
        return result;
    }

    std::vector<Leaf> leaves() const override {
        std::vector<Leaf> result;
        for (const auto& entry : entries_) {
            result.push_back({{std::string(entry.key(text_))},
                              entry.value_begin,
                              entry.value_end - entry.value_begin,
                              true,
                              entry.value});
        }
        return result;
    }

    // `set` changes the last of several assignments, the one that counts; `remove` takes all of them, because
    // otherwise an earlier one would come to count.
    Result<std::string> apply(std::span<const Edit> edits) const override {
        const auto wishes = gather(edits);
        if (!wishes) return tl::make_unexpected(wishes.error());
        DotenvWriter writer(text_, entries_);
        for (const auto& wish : *wishes) {
            const auto* const entry = find({wish.key});
            if (wish.remove) {
                for (const auto& other : entries_) {
                    if (other.key(text_) == wish.key) writer.remove(other);
                }
            } else if (wish.raw ? entry == nullptr || spelling(*entry) != *wish.raw
                                : entry == nullptr || entry->value != *wish.value) {
                if (!writer.set(wish.key, entry, *wish.value, wish.raw)) {
                    return fail(ErrorKind::file,
                                "the value of " + wish.key + " cannot be written in a .env file",
                                "dotenv has no spelling that it reads back as this value",
                                "use a value without this mix of quotes, backslashes and line ends");
                }
            }
        }
        if (!writer.changed()) return text_;
        const auto before = evaluate_dotenv(text_);
        const auto wanted = expected(before, *wishes);
        if (before == scanned(text_, entries_)) {
            // The blank line is for a last line that would take a new one for its own value ("KEY:").
            for (const auto gap : {DotenvWriter::Gap::none, DotenvWriter::Gap::blank_line}) {
                auto result = writer.result(gap);
                if (result.size() > max_file_bytes) {
                    return fail(ErrorKind::file, "it would become too large (the limit is " +
                                                     std::to_string(max_file_bytes >> 20) + " MiB)");
                }
                const auto entries = scan_dotenv(result);
                if (evaluate_dotenv(result) == wanted && scanned(result, entries) == wanted &&
                    spelled_so(result, entries, *wishes))
                    return result;
            }
        }
        return refused();
    }

  private:
    std::string_view spelling(const DotenvEntry& entry) const {
        return std::string_view(text_).substr(entry.value_begin, entry.value_end - entry.value_begin);
    }

    // The last one of that name.
    const DotenvEntry* find(const KeyPath& path) const {
        if (path.size() != 1) return nullptr;
        const auto found = std::find_if(entries_.rbegin(), entries_.rend(), [&](const DotenvEntry& entry) {
            return entry.key(text_) == path.front();
        });
        return found == entries_.rend() ? nullptr : &*found;
    }

    static Assignments scanned(std::string_view text, const std::vector<DotenvEntry>& entries) {
        Assignments result;
        for (const auto& entry : entries) result.emplace_back(std::string(entry.key(text)), entry.value);
        return result;
    }

    // An empty spelling may come to mean a quote on the next line.
    static bool spelled_so(std::string_view text, const std::vector<DotenvEntry>& entries,
                           const std::vector<Wish>& wishes) {
        return std::all_of(wishes.begin(), wishes.end(), [&](const Wish& wish) {
            if (!wish.raw) return true;
            const auto entry = std::find_if(entries.rbegin(), entries.rend(), [&](const DotenvEntry& other) {
                return other.key(text) == wish.key;
            });
            return entry != entries.rend() &&
                   text.substr(entry->value_begin, entry->value_end - entry->value_begin) == *wish.raw;
        });
    }

    // The result would have read differently. An open quote that a new one would close is the file's fault.
    Result<std::string> refused() const {
        for (const auto& entry : entries_) {
            const auto raw = spelling(entry);
            if (entry.quote == 0 && !raw.empty() && (raw[0] == '"' || raw[0] == '\'' || raw[0] == '`')) {
                return fail(ErrorKind::file,
                            "the value of " + std::string(entry.key(text_)) + " has an open quote",
                            at_position(position_at(text_, entry.value_begin),
                                        "this quote is never closed, so a change elsewhere could close it"),
                            "close the quote or take it out");
            }
        }
        return fail(ErrorKind::file, "its edited text failed the check before writing",
                    "dotenv would read other values than wanted",
                    "this is a defect of dbx-agents: please report it with the file's layout");
    }

    std::string text_;
    std::vector<DotenvEntry> entries_;
};

} // namespace

Result<std::unique_ptr<Document>> parse_dotenv(std::string text) {
    return std::make_unique<DotenvDocument>(std::move(text));
}

} // namespace dbx::edit
