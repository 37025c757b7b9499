"""Independent readers of the formats that agents read: they share no code and no library with the program.

TOML: Python's tomllib; TOML 1.1 inline tables are first written as TOML 1.0. JSON: Python's json, and a small span reader
for the spelling of every value and every comment. dotenv: the rules of dotenv 17 as measured with Gemini CLI.
"""

import json
import re
import tomllib


class Spelled(str):
    """A number as it is spelled, unlike any string."""


# ---------------------------------------------------------------- flat views


def flatten(value, path=()):
    """dict -> {path: leaf}; an empty container is no leaf, a list is one."""
    if isinstance(value, dict):
        flat = {}
        for key, item in value.items():
            flat.update(flatten(item, path + (key,)))
        return flat
    return {path: value}


def without(flat, prefixes):
    return {p: v for p, v in flat.items() if not any(p[: len(x)] == x for x in prefixes)}


# ---------------------------------------------------------------- TOML


def toml(data):
    text = data.decode("utf-8")
    if text.startswith("\ufeff"):
        text = text[1:]
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return tomllib.loads(toml_1_0(text))


def toml_1_0(text):
    """TOML 1.1's inline tables (newlines, comments, a trailing comma) as TOML 1.0. Positions are not kept."""
    out, stack, i = [], [], 0
    while i < len(text):
        quote = next((q for q in ('"""', "'''", '"', "'") if text.startswith(q, i)), None)
        if quote:
            end = i + len(quote)
            while not text.startswith(quote, end):
                end += 2 if quote[0] == '"' and text[end] == "\\" else 1
                if end >= len(text):
                    raise ValueError("unclosed string")
            end += len(quote)
            while len(quote) == 3 and text.startswith(quote[0], end):  # up to two quotes may end the text itself
                end += 1
            out.append(text[i:end])
            i = end
            continue
        char = text[i]
        if char == "#":
            end = text.find("\n", i)
            end = len(text) if end < 0 else end
            if "{" not in stack:
                out.append(text[i:end])
            i = end
            continue
        if char in "[{":
            stack.append(char)
        elif char in "]}":
            if char == "}":
                joined = "".join(out).rstrip()
                if joined.endswith(","):
                    out = [joined[:-1]]
            if stack:
                stack.pop()
        if char in "\r\n" and "{" in stack:
            char = " "
        out.append(char)
        i += 1
    return "".join(out)


# ---------------------------------------------------------------- JSON


def strict_json(data):
    """The file as a strict reader sees it. Numbers keep their spelling; a duplicate member is an error."""

    def members(pairs):
        if len({k for k, _ in pairs}) != len(pairs):
            raise ValueError("a member stands twice")
        return dict(pairs)

    text = data.decode("utf-8")
    if text.startswith("\ufeff"):
        text = text[1:]
    return json.loads(text, object_pairs_hook=members, parse_int=Spelled, parse_float=Spelled)


def commented_json(data):
    return strict_json(strip_comments(data.decode("utf-8")).encode())


def strip_comments(text):
    return "".join(part if kind != "comment" else " " for kind, part in _json_parts(text))


_JSON_PART = re.compile(
    r'(?P<string>"(?:[^"\\]|\\.)*")|(?P<comment>//[^\n\r]*|/\*.*?\*/)|(?P<space>\s+)'
    r'|(?P<mark>[{}\[\]:,])|(?P<word>[^\s{}\[\]:,"/]+)', re.S)


def _json_parts(text):
    position = 0
    while position < len(text):
        match = _JSON_PART.match(text, position)
        if not match:
            raise ValueError(f"unexpected {text[position]!r} at {position}")
        yield match.lastgroup, match.group()
        position = match.end()


def json_spelling(data):
    """([(path, spelling)] in file order, [comment]); the members of objects in arrays count as the array's spelling."""
    text = data.decode("utf-8")
    if text.startswith("\ufeff"):
        text = text[1:]
    comments = [p for k, p in _json_parts(text) if k == "comment"]
    tokens = [p for k, p in _json_parts(text) if k not in ("comment", "space")]
    leaves, at = [], 0

    def value(path):
        nonlocal at
        if tokens[at] == "{":
            at += 1
            while tokens[at] != "}":
                key = json.loads(tokens[at])
                at += 2  # the key and its colon
                value(path + (key,))
                if tokens[at] == ",":
                    at += 1
            at += 1
        elif tokens[at] == "[":
            start, depth = at, 0
            while True:
                depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(tokens[at], 0)
                at += 1
                if depth == 0:
                    break
            leaves.append((path, " ".join(tokens[start:at])))
        else:
            leaves.append((path, tokens[at]))
            at += 1

    value(())
    return leaves, comments


def first_brace(data):
    """The offset behind the root object's brace."""
    text, at = data.decode("utf-8").removeprefix("\ufeff"), 0
    for kind, part in _json_parts(text):
        at += len(part)
        if part == "{" and kind == "mark":
            return len(text[:at].encode()) + (3 if data.startswith(b"\xef\xbb\xbf") else 0)
    raise ValueError("no object")


# ---------------------------------------------------------------- dotenv


_KEY = re.compile(r"\s*(?:export[^\S\r\n]+)?([\w.\-]+)(?:[^\S\r\n]*=|:[^\S\r\n]+)")


def dotenv_pairs(data):
    """[(key, value)] in file order. Quoted values may span lines; bare ones end at # or the line's end."""
    text = data.decode("utf-8", "surrogateescape")
    if text.startswith("\ufeff"):
        text = text[1:]
    pairs, at = [], 0
    while at < len(text):
        match = _KEY.match(text, at)
        if not match:
            at = _next_line(text, at)
            continue
        at = match.end()
        blank = re.compile(r"[^\S\r\n]*").match(text, at).end()
        quoted = None
        if blank < len(text) and text[blank] in "'\"`":
            quoted = _quoted_end(text, blank)
        if quoted:
            value = text[blank + 1:quoted - 1]
            if text[blank] == '"':
                value = value.replace("\\n", "\n").replace("\\r", "\r")
            at = quoted
        else:
            end = re.compile(r"[^#\r\n]*").match(text, at).end()
            value = text[at:end].strip()
            at = end
        pairs.append((match.group(1), value))
        at = _next_line(text, at)
    return pairs


def _quoted_end(text, start):
    """Past the closing quote, when only blanks or a comment follow it on its line; else None."""
    quote, at = text[start], start + 1
    while at < len(text):
        if text[at] == "\\" and text[at + 1:at + 2] == quote:
            at += 2
            continue
        if text[at] == quote:
            return at + 1 if re.compile(r"[^\S\r\n]*(#[^\r\n]*)?(\r?\n|\Z)").match(text, at + 1) else None
        at += 1
    return None


def _next_line(text, at):
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1


def dotenv(data):
    return dict(dotenv_pairs(data))
