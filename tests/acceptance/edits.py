"""What a person, or the agent itself, does to a file after `setup`. An edit maps bytes to bytes and can be made in the
original file as well as in the one that setup wrote: so the bytes that revert must give back are known."""

import re

import readers
from wants import OWN_LINE


def once(data, line):
    return data.split(b"\n").count(line) == 1


def line_edit(line, replacement):
    def make(data):
        lines = data.split(b"\n")
        lines[lines.index(line):lines.index(line) + 1] = replacement
        return b"\n".join(lines)

    return make


def end_of(data):
    return b"\r\n" if data.count(b"\r\n") * 2 > data.count(b"\n") else b"\n"


def edits(fmt, original, current):
    """[(what, edit)]: edits that mean the same in both files."""
    found = []
    taken = set()

    def offer(what, line, replacement):
        if line in taken or not line.strip() or not once(original, line) or not once(current, line):
            return
        edit = line_edit(line, replacement)
        if parses(fmt, edit(original)) and parses(fmt, edit(current)):
            taken.add(line)
            found.append((what, edit))

    cr = lambda line: b"\r" if line.endswith(b"\r") else b""
    own = OWN_LINE[fmt]
    done = set()

    def first(kind):
        if kind in done:
            return False
        return True

    for line in original.split(b"\n"):
        if own.search(line):
            continue
        body = line.rstrip(b"\r")
        if fmt in ("toml", "dotenv") and re.match(rb"^\s*#", body) and first("comment"):
            count = len(found)
            offer("deletes a comment", line, [])
            if len(found) > count:
                done.add("comment")
        elif fmt == "toml":
            plain = re.match(rb'^(\s*[\w."\'-]+\s*=\s*)(true|false|\d+|"[^"\\]*")(\s*(?:#.*)?)$', body)
            if plain and first("value"):
                changed = {b"true": b"false", b"false": b"true"}.get(plain[2])
                changed = changed or (b'"changed by hand"' if plain[2].startswith(b'"') else b"987")
                count = len(found)
                offer("changes another value", line, [plain[1] + changed + plain[3] + cr(line)])
                if len(found) > count:
                    done.add("value")
            elif plain and first("beside"):
                count = len(found)
                offer("adds a key after another one", line, [line, b'key_by_hand = "x"  # mine' + cr(line)])
                if len(found) > count:
                    done.add("beside")
        elif fmt in ("json", "jsonc"):
            plain = re.match(rb'^(\s*"[^"]+": )(true|false|\d+|"[^"\\]*")(,?)$', body)
            if plain and first("value"):
                count = len(found)
                offer("changes another value", line, [plain[1] + b'"changed by hand"' + plain[3] + cr(line)])
                if len(found) > count:
                    done.add("value")
            elif plain and plain[3] and first("beside"):
                blank = re.match(rb"\s*", body).group()
                count = len(found)
                offer("adds a member before another one", line, [blank + b'"addedByHand": [1, 2],' + cr(line), line])
                if len(found) > count:
                    done.add("beside")
                    continue
            elif plain and plain[3] and first("gone"):
                count = len(found)
                offer("deletes a member", line, [])
                if len(found) > count:
                    done.add("gone")
        elif fmt == "dotenv":
            plain = re.match(rb"^(\s*(?:export )?[\w.-]+=)([\w./:,-]+)(.*)$", body)
            if plain and first("value"):
                count = len(found)
                offer("changes another value", line, [plain[1] + b"changed" + plain[3] + cr(line)])
                if len(found) > count:
                    done.add("value")
            elif plain and first("gone"):
                count = len(found)
                offer("deletes another key", line, [])
                if len(found) > count:
                    done.add("gone")
    if fmt in ("json", "jsonc") and parses(fmt, original) and readers.commented_json(original) and b'"byHand"' not in original:
        def first_member(data):
            place = readers.first_brace(data)
            return data[:place] + b' "byHand": null,' + data[place:]

        found.append(("adds a first member", first_member))
    end = end_of(original or current)
    bom = b"\xef\xbb\xbf"
    if fmt in ("toml", "dotenv"):
        head = b"# put on top by hand" + end

        def on_top(data):
            return bom + head + data[3:] if data.startswith(bom) else head + data

        found.append(("adds a line on top", on_top))
        tail = b"[table_by_hand]" + end + b"x = 1" if fmt == "toml" else b"ADDED_BY_HAND=1"

        def at_the_end(data):
            if data and not data.endswith(b"\n"):
                return data + end + tail
            return data + tail + end

        if original.removeprefix(bom).strip() and b"table_by_hand" not in original:
            found.append(("appends at the end", at_the_end))
    return found


def parses(fmt, data):
    try:
        {"toml": readers.toml, "json": readers.strict_json, "jsonc": readers.commented_json, "dotenv": readers.dotenv}[fmt](data)
        return True
    except Exception:
        return False


def as_codex_writes(data):
    """Codex keeps the text but drops a byte-order mark and every CR."""
    return data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")


CLAUDE_FIRST = ("$schema", "apiKeyHelper", "model", "env", "permissions", "hooks", "statusLine")


def as_claude_writes(data):
    """Claude Code parses and writes again: 2 blanks, LF, known keys first, env values as text, numbers as doubles."""
    import json

    value = json.loads(data.decode("utf-8-sig"))
    ordered = {k: value[k] for k in CLAUDE_FIRST if k in value} | {k: v for k, v in value.items() if k not in CLAUDE_FIRST}
    if isinstance(ordered.get("env"), dict):
        ordered["env"] = {k: v if isinstance(v, str) else json.dumps(v) for k, v in ordered["env"].items()}
    return (json.dumps(doubles(ordered), indent=2, ensure_ascii=False) + "\n").encode()


def doubles(value):
    """Numbers as JavaScript keeps them: 12345678901234567890 -> 12345678901234567000, 1.0 -> 1."""
    if isinstance(value, dict):
        return {k: doubles(v) for k, v in value.items()}
    if isinstance(value, list):
        return [doubles(v) for v in value]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    number = float(value)
    if number != int(number):
        return number
    if abs(number) < 2**53:
        return int(number)
    digits = repr(number)
    return int(float(digits)) if "e" not in digits else int(digits.split("e")[0].replace(".", "").ljust(int(digits.split("e")[1]) + 1, "0"))
