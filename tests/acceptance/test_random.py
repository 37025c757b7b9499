"""Generated user files with random edits: the same promises as for the written ones.

The seed is shown in every failure; DBX_AGENTS_SEED repeats it, DBX_AGENTS_ROUNDS asks for more.
"""

import os
import random
import unittest

import readers
from edits import edits
from generate import DotenvMaker, JsonMaker, TomlMaker
from harness import PAT, WORKSPACE, Home, byte_diff, main
from wants import Check, wants

SEED = int(os.environ.get("DBX_AGENTS_SEED", "20261121"))
ROUNDS = int(os.environ.get("DBX_AGENTS_ROUNDS", "200"))

RELS = {"codex": ".codex/config.toml", "claude": ".claude/settings.json", "gemini": ".gemini/settings.json"}
FMTS = {".codex/config.toml": "toml", ".claude/settings.json": "json", ".gemini/settings.json": "jsonc", ".gemini/.env": "dotenv"}


def documents(seed):
    rng = random.Random(seed)
    made = {
        ".codex/config.toml": TomlMaker(rng).make(),
        ".claude/settings.json": JsonMaker(rng).make(),
        ".gemini/settings.json": JsonMaker(rng, comments=True).make(),
        ".gemini/.env": DotenvMaker(rng).make(),
    }
    return rng, made


class Faults:
    def __init__(self):
        self.all = []

    def add(self, seed, what):
        self.all.append(f"seed {seed}: {what}")


class Random(unittest.TestCase):
    def run_seeds(self, seeds):
        faults = Faults()
        for seed in seeds:
            with Home() as home:
                try:
                    self.one(home, seed, faults)
                except AssertionError as fault:
                    faults.add(seed, str(fault))
            if len(faults.all) >= 12:
                break
        if faults.all:
            self.fail(f"{len(faults.all)} faults (repeat with DBX_AGENTS_SEED=<seed> DBX_AGENTS_ROUNDS=1):\n\n" + "\n\n".join(faults.all))

    def one(self, home, seed, faults):
        rng, made = documents(seed)
        for rel, data in made.items():
            self.readable(rel, data, seed)
            home.put(rel, data, mode=rng.choice([0o600, 0o644]))
        before = home.snapshot()
        form = rng.choice(["pat", "env"])
        env = {"DATABRICKS_TOKEN": PAT} if form == "pat" else {}
        args = ["setup", "codex", "claude", "gemini", "--workspace", WORKSPACE, "--auth", form]
        result = home.run(*args, "--yes", env=env)
        if result.code != 0:
            faults.add(seed, f"setup --auth {form} exits with {result.code}\n{result}\n{made}")
            return
        after = home.snapshot()
        for agent in ("codex", "claude", "gemini"):
            for want in wants(agent, form, made):
                self.compare(want, made.get(want.rel), after.get(want.rel, (0, 0, b""))[2], seed, faults)
        result = home.run(*args, "--yes", env=env)
        if result.code != 0 or home.snapshot() != after:
            faults.add(seed, f"a second setup changed something\n{result}")

        changed = {}
        for rel in made:
            current = after[rel][2]
            possible = edits(FMTS[rel], made[rel], current)
            if possible and rng.random() < 0.6:
                what, edit = rng.choice(possible)
                changed[rel] = (what, edit)
                home.put(rel, edit(current), mode=after[rel][1])
        result = home.run("revert", "--all")
        if result.code != 0:
            faults.add(seed, f"revert exits with {result.code}\n{result}")
        for rel, data in made.items():
            want = changed[rel][1](data) if rel in changed else data
            got = home.read(rel) if home.path(rel).exists() else b"(no file)"
            if got != want:
                how = f"after somebody {changed[rel][0]}" if rel in changed else "directly after setup"
                faults.add(seed, f"{rel}: revert {how}\n{byte_diff(want, got, 'expected', 'after revert')}\noriginal: {data!r}\nset up: {after[rel][2]!r}")
            elif home.mode(rel) != before[rel][1]:
                faults.add(seed, f"{rel}: mode {home.mode(rel):o}, was {before[rel][1]:o}")
        extra = set(home.snapshot()) - set(before)
        if extra:
            faults.add(seed, f"left behind: {sorted(extra)}")

    def readable(self, rel, data, seed):
        read = {"toml": readers.toml, "json": readers.strict_json, "jsonc": readers.commented_json, "dotenv": readers.dotenv}[FMTS[rel]]
        try:
            read(data)
        except Exception as fault:
            raise AssertionError(f"the generator made a bad file ({fault}): {data!r}")

    def compare(self, want, old, new, seed, faults):
        try:
            flat = want.flat(new)
            old_flat = want.flat(old) if old is not None else {}
        except Exception as fault:
            faults.add(seed, f"{want.rel} does not parse: {fault}\n{new!r}\noriginal: {old!r}")
            return
        for path, value in want.must.items():
            got = flat.get(path)
            if not (value.rule(got) if isinstance(value, Check) and got is not None else got == value):
                faults.add(seed, f"{want.rel}: {'.'.join(path)} = {got!r}, wanted {value!r}\n{byte_diff(old or b'', new)}")
        for path in want.gone:
            if any(p[: len(path)] == path for p in flat):
                faults.add(seed, f"{want.rel}: {'.'.join(path)} should be gone\n{byte_diff(old or b'', new)}")
        if readers.without(flat, want.owned) != readers.without(old_flat, want.owned):
            faults.add(seed, f"{want.rel}: other keys changed\n{byte_diff(old or b'', new)}")
        if want.fmt.startswith("json") and old is not None:
            mine = lambda path: any(path[: len(p)] == p for p in want.owned)
            (a, ca), (b, cb) = readers.json_spelling(old), readers.json_spelling(new)
            if [x for x in a if not mine(x[0])] != [x for x in b if not mine(x[0])] or ca != cb:
                faults.add(seed, f"{want.rel}: order, spelling or comments of others\n{byte_diff(old, new)}")
        if want.fmt == "toml" and old is not None:
            bare = lambda data: [line.rstrip(b"\r") for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n")]
            lost = [line for line in bare(old) if line.strip().startswith(b"#") and line not in bare(new)]
            if lost:
                faults.add(seed, f"{want.rel}: comments lost: {lost}\n{byte_diff(old, new)}")
        if old and old.removeprefix(b"\xef\xbb\xbf").strip() and new.endswith(b"\n") != old.endswith(b"\n"):
            faults.add(seed, f"{want.rel}: final newline\n{byte_diff(old, new)}")


class Sequences(unittest.TestCase):
    """Any order of setups (forms, models, gateways), edits of the user and reverts: at the end revert gives the user's own file."""

    def steps(self, home, seed):
        rng, made = documents(seed)
        for rel, data in made.items():
            home.put(rel, data)
        expected = dict(made)  # what the user's files would be without us
        done = []
        for _ in range(rng.randint(3, 8)):
            agent = rng.choice(["codex", "claude", "gemini"])
            kind = rng.random()
            if kind < 0.5:
                form = rng.choice(["pat", "env"] if agent == "gemini" else ["pat", "env", "helper"])
                where = rng.choice([["--workspace", WORKSPACE], ["--workspace", "https://other.example.net"], ["--gateway", "http://127.0.0.1:8790"]])
                more = rng.choice([[], ["--model", "system.ai.some-model"], ["--claude-betas", "on"] if agent == "claude" else []])
                if "--gateway" not in where:  # the direct forms send to the workspace
                    form = rng.choice([form, "proxy"])
                    more = more + rng.choice([[], [], ["--otel", "main.telemetry.dev"], ["--otel", "a.b.c", "--otel-traces"], ["--no-otel"]])
                else:
                    more = more + ["--no-otel"]
                args = ["setup", agent, *where, "--auth", form, "--yes", *more]
                result = home.run(*args, env={"DATABRICKS_TOKEN": PAT} if form == "pat" else {})
            elif kind < 0.8:
                rel = rng.choice(list(made))
                possible = edits(FMTS[rel], expected[rel], home.read(rel))
                if not possible:
                    continue
                what, edit = rng.choice(possible)
                home.put(rel, edit(home.read(rel)), mode=home.mode(rel))
                expected[rel] = edit(expected[rel])
                done.append(f"somebody {what} in {rel}")
                continue
            else:
                args = rng.choice([["revert", agent], ["revert", "--all"]])
                result = home.run(*args)
            done.append(" ".join(args))
            self.assertEqual(result.code, 0, f"{done}\n{result}")
        result = home.run("revert", "--all")
        self.assertEqual(result.code, 0, f"{done}\n{result}")
        for rel, want in expected.items():
            got = home.read(rel) if home.path(rel).exists() else b"(no file)"
            self.assertEqual(home.mode(rel), 0o644, f"{rel}: mode {home.mode(rel):o}\n" + "\n".join(done))
            if got != want:
                raise AssertionError(f"{rel} after\n  " + "\n  ".join(done) + f"\n{byte_diff(want, got, 'expected', 'after revert --all')}\noriginal: {made[rel]!r}")
        self.assertEqual({p for p, e in home.snapshot().items() if e[0] == "file"}, set(made), "\n".join(done))

    def test_any_order_of_commands_and_edits(self):
        faults = []
        for seed in range(SEED, SEED + max(ROUNDS // 2, 1)):
            with Home() as home:
                try:
                    self.steps(home, seed)
                except AssertionError as fault:
                    faults.append(f"seed {seed}: {fault}")
            if len(faults) >= 8:
                break
        if faults:
            self.fail(f"{len(faults)} faults:\n\n" + "\n\n".join(faults))


PARTS = 4


def part(number):
    def test(self):
        count = max(ROUNDS // PARTS, 1) if ROUNDS > 1 else (1 if number == 0 else 0)
        self.run_seeds(range(SEED + number * count, SEED + (number + 1) * count))

    return test


for _number in range(PARTS):
    setattr(Random, f"test_part_{_number + 1}", part(_number))


if __name__ == "__main__":
    main()
