"""Reading a unified diff: which part is about a file, and what applying it gives."""

import re

SENSITIVE = re.compile(rb"TOKEN|KEY|SECRET|PASSWORD|AUTHORIZATION|dapi|eyJ|sk-|ghp_|AIza", re.I)


def maskable(line):
    """Whether a value in this line may be masked in an output."""
    return SENSITIVE.search(line) is not None


def diff_of(text, rel):
    """The part of a diff that is about the file, or None."""
    for part in re.split(r"(?m)^(?=--- .*\n\+\+\+ )", text):
        if part.startswith("--- ") and re.search(re.escape(rel) + r"(?![\w.])", part.split("\n@@", 1)[0]):
            return part.encode("utf-8", "surrogateescape")
    return None


def split_lines(data):
    """Lines with their LF; only LF ends a line."""
    return re.findall(rb"[^\n]*\n|[^\n]+\Z", data)


def apply_diff(old, section, blanked=False):
    """(new bytes, None), or (None, what does not fit). A line that may be masked fits whatever it says; with `blanked` also
    an empty line: that is what the inner lines of a masked value become."""
    source, out, at = split_lines(old), [], 0
    lines = split_lines(section)
    index = 0
    while index < len(lines):
        head = re.match(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", lines[index])
        index += 1
        if not head:
            continue
        start, count_old, count_new = int(head[1]), int(head[2] or 1), int(head[4] or 1)
        first = start - 1 if count_old else start
        if first < at or first > len(source):
            return None, f"a hunk begins at line {start}, out of order or past the end"
        out += source[at:first]
        at = first
        while count_old or count_new:
            if index >= len(lines):
                return None, "a hunk ends too early"
            mark, text = lines[index][:1], lines[index][1:]
            index += 1
            if index < len(lines) and lines[index].startswith(b"\\"):
                text = text[:-1]
                index += 1
            if mark in b" -":
                if at >= len(source):
                    return None, f"line {at + 1} is past the end"
                if source[at] != text and not maskable(source[at]) and not (blanked and not text.strip()):
                    return None, f"line {at + 1} is {source[at]!r}, the diff says {text!r}"
                if mark == b" ":
                    out.append(source[at])
                    count_new -= 1
                at += 1
                count_old -= 1
            elif mark == b"+":
                out.append(text)
                count_new -= 1
            else:
                return None, f"odd line {lines[index - 1]!r}"
    return b"".join(out + source[at:]), None
