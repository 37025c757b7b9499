#include "core/agents/plan.hpp"
#include "core/agents/values.hpp"
#include "core/base/strings.hpp"
#include "core/edit/diff.hpp"
#include "core/edit/mask.hpp"
#include "core/system/hash.hpp"

#include <algorithm>
#include <set>

namespace dbx::agents {

namespace {

using edit::Edit;
using edit::Value;
using state::WrittenFile;
using state::WrittenKey;

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

std::string header_name(std::string_view line) {
    return to_lower(trim(line.substr(0, line.find(':'))));
}

std::vector<std::string> words(std::string_view value) {
    std::vector<std::string> result;
    for (const auto& part : split(replace_all(std::string(value), " ", ","), ',')) {
        if (!part.empty()) result.push_back(part);
    }
    return result;
}

// Takes our entries out of a merged value that somebody has changed since; what they replaced comes back.
std::string without_entries(const WrittenKey& key, const std::string& value) {
    const std::string before = key.existed ? text_of(key.before_value) : "";
    std::vector<std::string> kept;
    if (key.kind == WrittenKey::Kind::lines) {
        const auto old_lines = split(before, '\n');
        for (const auto& line : split(value, '\n')) {
            if (std::find(key.entries.begin(), key.entries.end(), trim(line)) == key.entries.end()) {
                kept.push_back(line);
                continue;
            }
            const auto old =
                std::find_if(old_lines.begin(), old_lines.end(), [&](const std::string& candidate) {
                    return !trim(candidate).empty() && header_name(candidate) == header_name(line);
                });
            if (old != old_lines.end()) kept.push_back(*old);
        }
        return join(kept, "\n");
    }
    const auto old_words = words(before);
    for (const auto& word : words(value)) {
        const bool is_ours = std::find(key.entries.begin(), key.entries.end(), word) != key.entries.end();
        const bool was_there = std::find(old_words.begin(), old_words.end(), word) != old_words.end();
        if (!is_ours || was_there) kept.push_back(word);
    }
    return join(kept, ",");
}

bool holds_entry(const WrittenKey& key, const std::string& value) {
    const auto parts = key.kind == WrittenKey::Kind::lines ? split(value, '\n') : words(value);
    return std::any_of(parts.begin(), parts.end(), [&](const std::string& part) {
        return std::find(key.entries.begin(), key.entries.end(), trim(part)) != key.entries.end();
    });
}

// Lines of `insert` in the line ends of the text they go into.
std::string adapt_line_end(std::string_view line, bool crlf_there, bool lf_there) {
    const bool is_crlf = line.size() >= 2 && line.substr(line.size() - 2) == "\r\n";
    if (is_crlf && !crlf_there && lf_there) return std::string(line.substr(0, line.size() - 2)) + "\n";
    if (!is_crlf && !line.empty() && line.back() == '\n' && crlf_there && !lf_there)
        return std::string(line.substr(0, line.size() - 1)) + "\r\n";
    return std::string(line);
}

// The current text with every run of pieces that setup wrote, and that still stands as it was written,
// replaced by what stood there before: a three-way merge of which the middle version is known by hashes only.
// With force, pieces of ours that were changed one for one go as well.
std::string inverse_pieces(const WrittenFile& entry, std::string_view pristine, std::string_view current,
                           Force force) {
    std::string result;
    if (current.substr(0, 3) == byte_order_mark) {
        result = byte_order_mark;
        current.remove_prefix(3);
    }
    if (pristine.substr(0, 3) == byte_order_mark) pristine.remove_prefix(3);
    const auto before = pieces_of(pristine);
    const auto now = pieces_of(current);

    std::vector<std::string> written;
    struct Run {
        std::size_t before_begin, before_end, begin, end; // begin, end: in `written`
    };
    std::vector<Run> runs;
    std::size_t piece = 0;
    for (const auto& run : entry.pieces) {
        if (run.before_end > before.size() || run.before_begin < piece) return result + std::string(current);
        for (; piece < run.before_begin; ++piece) written.push_back(state::piece_hash(before[piece]));
        runs.push_back({run.before_begin, run.before_end, written.size(), written.size() + run.after.size()});
        written.insert(written.end(), run.after.begin(), run.after.end());
        piece = run.before_end;
    }
    for (; piece < before.size(); ++piece) written.push_back(state::piece_hash(before[piece]));

    std::vector<std::string> hashes;
    bool crlf = false, lf = false;
    for (const auto& text : now) {
        hashes.push_back(state::piece_hash(text));
        const bool is_crlf = text.size() >= 2 && text[text.size() - 2] == '\r';
        crlf = crlf || is_crlf;
        lf = lf || (!is_crlf && !text.empty() && text.back() == '\n');
    }
    const auto edits = edit::diff(written, hashes);

    std::size_t at = 0; // piece of `now`
    for (const auto& run : runs) {
        const bool touched = std::any_of(edits.begin(), edits.end(), [&](const edit::Hunk& hunk) {
            const bool one_for_one = hunk.before_end - hunk.before_begin == hunk.after_end - hunk.after_begin;
            if (force == Force::yes && one_for_one && run.begin <= hunk.before_begin &&
                hunk.before_end <= run.end)
                return false;
            if (run.begin == run.end) return hunk.before_begin < run.begin && run.begin < hunk.before_end;
            if (hunk.before_begin == hunk.before_end)
                return run.begin < hunk.before_begin && hunk.before_begin < run.end;
            return hunk.before_begin < run.end && run.begin < hunk.before_end;
        });
        if (touched) continue;
        std::size_t begin = run.begin;
        for (const auto& hunk : edits) {
            if (hunk.before_end > run.begin) break;
            begin += (hunk.after_end - hunk.after_begin);
            begin -= (hunk.before_end - hunk.before_begin);
        }
        for (; at < begin; ++at) result += now[at];
        for (std::size_t i = run.before_begin; i < run.before_end; ++i) {
            result += adapt_line_end(before[i], crlf, lf);
            // What was the file's last line, without a line end, is in the middle now.
            const bool was_last = i + 1 == before.size() && before[i].back() != '\n';
            if (was_last && begin + (run.end - run.begin) < now.size()) result += crlf && !lf ? "\r\n" : "\n";
        }
        at = begin + (run.end - run.begin);
    }
    for (; at < now.size(); ++at) result += now[at];
    return result;
}

std::optional<edit::Format> format_of(const WrittenFile& entry) {
    const auto format = file_format(entry.format);
    return format ? edit_format(*format) : std::nullopt;
}

} // namespace

std::vector<Edit> prune_edits(const std::vector<const WrittenKey*>& keys, const edit::Document* pristine) {
    std::set<edit::KeyPath> containers;
    for (const WrittenKey* key : keys) {
        edit::KeyPath path = key->path;
        if (key->kind != WrittenKey::Kind::append) path.pop_back();
        for (; !path.empty(); path.pop_back()) {
            if (!pristine || !pristine->get(path)) containers.insert(path);
        }
    }
    std::vector<Edit> edits;
    for (auto path = containers.rbegin(); path != containers.rend(); ++path)
        edits.push_back(Edit::prune(*path));
    return edits;
}

std::vector<std::string_view> pieces_of(std::string_view text) {
    if (text.substr(0, 3) == byte_order_mark) text.remove_prefix(3);
    std::vector<std::string_view> pieces;
    while (!text.empty()) {
        const auto end = text.find_first_of("\n,{[");
        const auto length = end == std::string_view::npos ? text.size() : end + 1;
        pieces.push_back(text.substr(0, length));
        text.remove_prefix(length);
    }
    return pieces;
}

std::string empty_text(FileFormat format) {
    return format == FileFormat::json || format == FileFormat::jsonc ? "{}\n" : "";
}

bool is_empty_text(FileFormat format, const std::string& text) {
    std::string_view rest = text;
    if (rest.substr(0, 3) == byte_order_mark) rest.remove_prefix(3);
    rest = trim(rest);
    if (rest.empty()) return true;
    if (format != FileFormat::json && format != FileFormat::jsonc) return false;
    return rest.size() >= 2 && rest.front() == '{' && rest.back() == '}' &&
           trim(rest.substr(1, rest.size() - 2)).empty();
}

std::string merge_lines(const std::string& value, const std::vector<std::string>& entries) {
    std::vector<std::string> lines;
    if (!value.empty()) lines = split(value, '\n');
    for (const auto& entry : entries) {
        const auto there = std::find_if(lines.begin(), lines.end(), [&](const std::string& line) {
            return !trim(line).empty() && header_name(line) == header_name(entry);
        });
        if (there == lines.end()) {
            // A value that ends in a line end keeps ending in one.
            if (!lines.empty() && lines.back().empty()) {
                lines.insert(lines.end() - 1, entry);
            } else {
                lines.push_back(entry);
            }
        } else if (trim(*there) != entry) {
            *there = entry;
        }
    }
    return join(lines, "\n");
}

std::string merge_entries(const std::string& value, const std::vector<std::string>& entries) {
    const auto there = words(value);
    if (std::find(there.begin(), there.end(), "*") != there.end()) return value;
    std::string result = value;
    for (const auto& entry : entries) {
        if (std::find(there.begin(), there.end(), entry) != there.end()) continue;
        if (!trim(result).empty() && result.back() != ',') result += ',';
        result += entry;
    }
    return result;
}

KeyState state_of(const WrittenKey& key, const edit::Document& document) {
    const auto found = document.get(key.path);
    switch (key.kind) {
    case WrittenKey::Kind::remove:
        if (!found) return KeyState::ours;
        return key.existed && same(found->value, key.before_value) ? KeyState::back : KeyState::changed;
    case WrittenKey::Kind::append: {
        if (!found || !found->value.is_array()) return KeyState::back;
        const bool there = std::any_of(found->value.begin(), found->value.end(),
                                       [&](const Value& element) { return same(element, key.element); });
        return there ? KeyState::ours : KeyState::back;
    }
    case WrittenKey::Kind::set:
    case WrittenKey::Kind::lines:
    case WrittenKey::Kind::entries:
        break;
    }
    if (!found) return key.existed ? KeyState::changed : KeyState::back;
    if (state::value_hash(found->value) == key.after_hash) return KeyState::ours;
    if (key.existed && same(found->value, key.before_value)) return KeyState::back;
    // Claude Code writes numbers in `env` as strings when it rewrites the file; the meaning is the same.
    if (!found->value.is_string() && state::value_hash(Value(text_of(found->value))) == key.after_hash)
        return KeyState::ours;
    if (key.kind != WrittenKey::Kind::set && holds_entry(key, text_of(found->value))) return KeyState::partly;
    return KeyState::changed;
}

std::vector<Edit> restore_edits(const std::vector<const WrittenKey*>& keys, Force force,
                                const edit::Document& document) {
    std::vector<Edit> edits;
    for (const WrittenKey* key : keys) {
        const KeyState now = state_of(*key, document);
        if (now == KeyState::back || (now == KeyState::changed && force == Force::no)) continue;
        if (key->kind == WrittenKey::Kind::append) {
            edits.push_back(Edit::remove_element(key->path, key->element));
        } else if (now == KeyState::partly && force == Force::no) {
            const std::string rest = without_entries(*key, text_of(document.get(key->path)->value));
            if (rest.empty() && !key->existed) {
                edits.push_back(Edit::remove(key->path));
            } else {
                edits.push_back(Edit::set(key->path, rest));
            }
        } else if (!key->existed) {
            edits.push_back(Edit::remove(key->path));
        } else if (!key->before_raw.empty()) {
            edits.push_back(Edit::set_raw(key->path, key->before_raw));
        } else {
            edits.push_back(Edit::set(key->path, key->before_value));
        }
    }
    return edits;
}

Result<Reverted> revert_text(const WrittenFile& entry, const std::optional<std::string>& pristine,
                             const std::string& current, Force force) {
    Reverted result;
    const auto format = format_of(entry);
    if (!format) { // a file that is ours as a whole, and was changed since
        result.text = force == Force::yes ? pristine.value_or("") : current;
        return result;
    }
    const auto document = edit::Document::parse(*format, current);
    if (!document) return fail(document.error());

    std::vector<const WrittenKey*> keys;
    for (const auto& key : entry.keys) {
        keys.push_back(&key);
        if (state_of(key, **document) == KeyState::changed && force == Force::no) result.left.push_back(&key);
    }
    std::unique_ptr<edit::Document> old;
    if (pristine) {
        if (auto parsed = edit::Document::parse(
                *format, entry.existed ? *pristine : empty_text(*file_format(entry.format))))
            old = std::move(*parsed);
    }
    const auto prune = prune_edits(keys, old.get());
    const bool ends_line = current.empty() || current.back() == '\n';
    const auto undo = [&](const edit::Document& from) {
        auto edits = restore_edits(keys, force, from);
        edits.insert(edits.end(), prune.begin(), prune.end());
        auto text = from.apply(edits);
        // A file without a line end at its end gets none by what goes out of it.
        if (text && !ends_line && !text->empty() && text->back() == '\n') {
            text->pop_back();
            if (!text->empty() && text->back() == '\r') text->pop_back();
        }
        return text;
    };

    // 1. By key: always right in meaning, at best close in form.
    auto by_key = undo(**document);
    if (!by_key) return fail(by_key.error());
    result.text = std::move(*by_key);
    if (!pristine) return result;

    // 2. By piece: exact in form where nobody touched ours, then by key for the rest. Taken when it means the
    // same.
    const auto meaning = edit::Document::parse(*format, result.text);
    if (!meaning) return fail(meaning.error());
    const auto merged = edit::Document::parse(*format, inverse_pieces(entry, *pristine, current, force));
    if (!merged) return result;
    auto exact = undo(**merged);
    if (!exact) return result;
    const auto exact_meaning = edit::Document::parse(*format, *exact);
    if (exact_meaning && same((*exact_meaning)->value(), (*meaning)->value()))
        result.text = std::move(*exact);
    return result;
}

Result<std::vector<FileChange>> plan_revert(const std::vector<std::string>& agents, Force force,
                                            const state::Journal& journal,
                                            const system::Environment& environment,
                                            system::FileSystem& files) {
    std::vector<FileChange> changes;
    for (const auto& entry : journal.written()) {
        if (!agents.empty() && std::find(agents.begin(), agents.end(), entry.agent) == agents.end()) continue;
        const std::string shown = system::display_path(environment, entry.named);
        FileChange change;
        change.agent = entry.agent;
        change.file_name = entry.file_id;
        change.format = file_format(entry.format).value_or(FileFormat::text);
        change.named = entry.named;
        change.real = entry.path;
        change.forget = true;
        for (auto path = entry.created_directories.rbegin(); path != entry.created_directories.rend(); ++path)
            change.remove_directories.push_back(*path);

        const auto status = files.status(entry.path);
        if (!status) return fail(status.error());
        if (status->kind == system::FileKind::missing) {
            change.remarks.push_back(entry.existed
                                         ? "the file is gone; its bytes from before setup are in the backups"
                                         : "the file is gone already");
            changes.push_back(std::move(change));
            continue;
        }
        auto current = files.read(entry.path, edit::max_file_bytes);
        if (!current) return fail(current.error());
        change.existed = true;
        change.before = std::move(*current);
        change.mode_before = status->mode;
        change.mode_after =
            status->mode == entry.after_mode && entry.existed ? entry.before_mode : status->mode;

        std::optional<std::string> pristine = std::string();
        if (entry.existed) pristine = journal.blob(entry.before_blob, files);

        if (pristine && system::sha256(change.before) == entry.after_hash) {
            if (entry.existed) change.after = *pristine;
            for (const auto& key : entry.keys) {
                FileChange::Key shown_key;
                shown_key.path = key.path;
                shown_key.action =
                    key.existed ? FileChange::Key::Action::set : FileChange::Key::Action::removed;
                if (key.existed)
                    shown_key.shown = edit::mask_value(key.path.back(), text_of(key.before_value));
                change.keys.push_back(std::move(shown_key));
            }
            changes.push_back(std::move(change));
            continue;
        }

        auto reverted = revert_text(entry, pristine, change.before, force);
        if (!reverted) {
            Error error = reverted.error();
            error.what = "cannot revert " + shown + ": " + error.what;
            if (error.fix.empty())
                error.fix = "correct that line, then run dbx-agents revert " + entry.agent +
                            " again; the bytes from before setup: dbx-agents revert --list";
            return fail(error);
        }
        change.after = std::move(reverted->text);
        if (!entry.existed && is_empty_text(change.format, *change.after)) change.after.reset();
        if (change.format == FileFormat::text) {
            if (force == Force::no) {
                change.forget = false;
                change.entry = entry;
                change.remarks.push_back(
                    "somebody changed the file since; it was left as it is (--force takes it back)");
            } else if (!entry.existed) {
                change.after.reset();
            }
        } else {
            change.remarks.push_back("the file was changed since setup; our keys were taken out one by one");
        }
        std::set<const state::WrittenKey*> left(reverted->left.begin(), reverted->left.end());
        const auto format = edit_format(change.format);
        const auto document = format ? edit::Document::parse(*format, change.before)
                                     : Result<std::unique_ptr<edit::Document>>(nullptr);
        for (const auto& key : entry.keys) {
            FileChange::Key shown_key;
            shown_key.path = key.path;
            if (document && *document && key.kind != state::WrittenKey::Kind::append &&
                state_of(key, **document) == KeyState::back) {
                shown_key.action = FileChange::Key::Action::left;
                shown_key.why = "it is as it was before setup already";
            } else if (left.contains(&key)) {
                shown_key.action = FileChange::Key::Action::left;
                shown_key.why = "somebody changed it since setup (--force takes it back)";
            } else {
                shown_key.action =
                    key.existed ? FileChange::Key::Action::set : FileChange::Key::Action::removed;
                if (key.existed)
                    shown_key.shown = edit::mask_value(key.path.back(), text_of(key.before_value));
            }
            change.keys.push_back(std::move(shown_key));
        }
        if (!left.empty()) { // still to be had with --force
            auto rest = entry;
            std::erase_if(rest.keys, [&](const state::WrittenKey& key) {
                return std::none_of(left.begin(), left.end(),
                                    [&](const state::WrittenKey* other) { return other->path == key.path; });
            });
            rest.after_hash.clear();
            rest.pieces.clear();
            change.entry = std::move(rest);
            change.forget = false;
        }
        changes.push_back(std::move(change));
    }
    return changes;
}

} // namespace dbx::agents
