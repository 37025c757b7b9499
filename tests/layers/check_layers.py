#!/usr/bin/env python3
"""Says which #include goes against the order of the rooms. Exit 0: none; 1: some, one per line on stdout.

    check_layers.py [ROOT]
"""

import re
import sys
from pathlib import Path

# A room may include itself and rooms of lower levels; rooms of one level never include each other.
LEVELS = {
    "base": 0,
    "system": 1,
    "http": 2, "state": 2,
    "edit": 3, "otlp": 3, "usage": 3,
    "databricks": 4,
    "agents": 5, "tables": 5, "proxy": 5,
    "doctor": 6,
}

# What a room does without, although the levels would allow it.
ABSENT = {
    "edit": {"system", "http", "state"},
    "otlp": {"system", "http", "state"},
    "tables": {"edit"},
}

# Headers that belong to few rooms: (pattern, who may, the rule in words). `who` holds places as place_of gives them.
HEADERS = [
    (r"curl/.*", {"core/http"}, "only core/http talks to libcurl"),
    (r"toml\+\+/.*", {"core/edit", "core/state"}, "TOML is edited in core/edit and read in core/state"),
    (r"CLI/.*", {"cli"}, "only cli parses the command line"),
    (r"boost/.*", {"core/proxy"}, "only core/proxy uses Boost"),
    (r"sqlite3(ext)?\.h", {"core/doctor", "core/usage"}, "SQLite is Cursor's in core/doctor and the ledger's in core/usage"),
    (r"sys/(?!types\.h$).*|(unistd|fcntl|signal|poll|dirent|pwd|grp|spawn|termios|sched|netdb|pthread)\.h"
     r"|(netinet|arpa|linux|net)/.*",
     {"core/system"}, "only core/system calls POSIX"),
]

SOURCES = {".cpp", ".hpp", ".h", ".cc", ".hh", ".c", ".ipp"}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*(?:include|include_next|import)[ \t]*([<"])([^>"\n]+)[>"]', re.MULTILINE)
BLOCK_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def place_of(path):
    """core/ROOM, cli, tests, … of a path relative to the root."""
    parts = Path(path).parts
    return "/".join(parts[:2]) if parts[0] == "core" and len(parts) > 2 else parts[0]


def room_of(place):
    return place.removeprefix("core/") if place.startswith("core/") else None


def includes(text):
    """(line, is_quoted, name) of each include outside comments."""
    text = BLOCK_COMMENT.sub(lambda comment: re.sub(r"[^\n]", " ", comment.group()), text)
    for match in INCLUDE.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match.group(1) == '"', match.group(2)


def resolve(root, file, name):
    """The included file relative to the root, if it is one of ours."""
    for base in (file.parent, root):
        target = (base / name).resolve()
        if target.is_file() and target.is_relative_to(root):
            return target.relative_to(root)
    if Path(name).parts[0] in ("core", "cli", "tests", "templates"):
        return Path(name)
    return None


def linked_rooms(root):
    """Room -> the rooms that its CMakeLists.txt links, with what those link in turn."""
    direct = {}
    for room in LEVELS:
        text = ""
        lists = root / "core" / room / "CMakeLists.txt"
        if lists.is_file():
            text = re.sub(r"#.*", "", lists.read_text(encoding="utf-8"))
        direct[room] = {name for name in re.findall(r"\bdbx_(\w+)", text) if name in LEVELS and name != room}
    closure = {}
    for room in LEVELS:
        reached, todo = set(), [room]
        while todo:
            for name in direct[todo.pop()] - reached:
                reached.add(name)
                todo.append(name)
        closure[room] = reached
    return direct, closure


def why_not(room, other):
    """Why `room` must not use the room `other`; None when it may."""
    if other == room:
        return None
    if other not in LEVELS:
        return f"core/{other} has no level: add it to tests/layers/check_layers.py"
    if other in ABSENT.get(room, ()):
        return f"core/{room} does without core/{other}"
    if LEVELS[other] == LEVELS[room]:
        return f"core/{room} and core/{other} are siblings (level {LEVELS[room]})"
    if LEVELS[other] > LEVELS[room]:
        return f"core/{room} (level {LEVELS[room]}) is below core/{other} (level {LEVELS[other]})"
    return None


def check_file(root, file, linked):
    place = place_of(file.relative_to(root))
    room = room_of(place)
    if room is not None and room not in LEVELS:
        yield 1, f"core/{room} has no level: add it to tests/layers/check_layers.py"
        return
    for line, quoted, name in includes(file.read_text(encoding="utf-8", errors="replace")):
        target = resolve(root, file, name)
        if target is None:
            if quoted and place != "tests":
                yield line, f'"{name}" is not found from the root of the repository'
            if place != "tests":
                for pattern, who, rule in HEADERS:
                    if re.fullmatch(pattern, name) and place not in who:
                        yield line, f"<{name}>: {rule}"
            continue
        other = place_of(target)
        if place == "tests" or other == place:
            continue
        if other == "tests":
            yield line, f"{name}: nothing includes tests"
        elif room is not None and other == "cli":
            yield line, f"{name}: nothing in core includes cli"
        elif room is not None and room_of(other) is not None:
            reason = why_not(room, room_of(other))
            if reason is None and room_of(other) not in linked[room]:
                reason = f"core/{room}/CMakeLists.txt does not link dbx_{room_of(other)}"
            if reason:
                yield line, f"{name}: {reason}"
        elif place == "templates":
            yield line, f"{name}: templates are data, they include nothing"


def check(root):
    root = Path(root).resolve()
    direct, linked = linked_rooms(root)
    for room, others in sorted(direct.items()):
        for other in sorted(others):
            reason = why_not(room, other)
            if reason:
                yield f"core/{room}/CMakeLists.txt: links dbx_{other}: {reason}"
    found = 0
    for top in ("core", "cli", "templates", "tests"):
        for file in sorted((root / top).rglob("*")):
            if file.suffix in SOURCES and file.is_file():
                found += 1
                for line, reason in check_file(root, file, linked):
                    yield f"{file.relative_to(root)}:{line}: {reason}"
    if found == 0:
        yield f"{root}: no sources here"


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parents[2]
    complaints = list(check(root))
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
