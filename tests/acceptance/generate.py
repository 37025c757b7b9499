"""Seeded random user files in the three formats. Every one is valid, and as odd as real ones are."""

import json

WORDS = ["theme", "model", "env", "name", "profile", "tui", "a", "b-c", "x_1", "model_provider", "history", "notice", "base_url", "hooks"]
TEXTS = ["on-request", "[tui]", "model = 1", "# not a comment", "a b", "ü", "", "x" * 40, "{}", "//", "/* */", "'", "$HOME", "1.0", ",", "]"]


class TomlMaker:
    def __init__(self, rng):
        self.rng = rng
        self.end = rng.choice(["\n", "\n", "\n", "\r\n"])
        self.equals = rng.choice([" = ", "=", "  =  ", " =\t"])
        self.count = 0

    def make(self):
        rng, lines = self.rng, []
        self.keys(lines, rng.randint(0, 5), "", top=True)
        for _ in range(rng.randint(0, 5)):
            self.table(lines)
        text = self.end.join(lines)
        if lines and rng.random() < 0.8:
            text += self.end
        if rng.random() < 0.07:
            text = "\ufeff" + text
        return text.encode()

    def fresh(self):
        self.count += 1
        return f"{self.rng.choice(['k', 'key', 'Key-', '_'])}{self.count}"

    def noise(self, lines, indent=""):
        while self.rng.random() < 0.25:
            lines.append(self.rng.choice(["", "   ", "\t", indent + "# " + self.rng.choice(["note", "[a.b]", "model = 'x'", "ä 🚀", '"""'])]))

    def keys(self, lines, count, indent, top=False):
        rng = self.rng
        own = []
        if top and rng.random() < 0.4:
            own.append(("model", rng.choice(['"gpt-5.5"', "'o9'", '"databricks-gpt-5-2"'])))
        if top and rng.random() < 0.3:
            own.append(("model_provider", rng.choice(['"openai"', "'azure'", '"databricks"'])))
        if top and rng.random() < 0.25:
            own.append((rng.choice(["profile", '"profile"']), '"default"'))
        for _ in range(count):
            key = self.fresh()
            style = rng.random()
            if style < 0.15:
                key = f'"{key} {rng.choice(["x", ".", "#", "="])}"'
            elif style < 0.25:
                key = f"{key}.{self.fresh()}"
            own.append((key, self.value(0)))
        rng.shuffle(own)
        for key, value in own:
            self.noise(lines, indent)
            lines.append(indent + key + self.equals + value + self.tail())
        self.noise(lines, indent)

    def tail(self):
        return self.rng.choice(["", "", "", " # why", "  # \"quoted\" [x]", " ", "\t"])

    def value(self, depth):
        rng = self.rng
        kind = rng.randint(0, 11 if depth < 2 else 6)
        if kind == 0:
            return rng.choice(["true", "false"])
        if kind == 1:
            return rng.choice(["0", "1_000", "0xFF", "-17", "+3", "0b1010", "0o17", "9223372036854775807"])
        if kind == 2:
            return rng.choice(["1.0", "6.02e23", "-0.5", "1e-3"])
        if kind == 3:
            return rng.choice(["1979-05-27T07:32:00Z", "2026-11-21", "07:32:00"])
        if kind in (4, 5):
            return json.dumps(rng.choice(TEXTS), ensure_ascii=False)
        if kind == 6:
            text = rng.choice(TEXTS).replace("'", "")
            return f"'{text}'"
        if kind == 7:
            return '"""' + self.end + rng.choice(TEXTS).replace("\\", "") + self.end + "[model_providers.databricks]" + self.end + 'model = "x"' + self.end + '"""'
        if kind == 8:
            return "'''" + rng.choice(TEXTS).replace("'", "") + self.end + "profile = 1" + self.end + "'''"
        if kind in (9, 10):
            items = [self.value(depth + 2) for _ in range(rng.randint(0, 3))]
            if rng.random() < 0.4:
                return "[" + self.end + "".join(f"    {item}, # one{self.end}" for item in items) + "]"
            return "[" + ", ".join(items) + rng.choice(["", ",", " "] if items else [""]) + "]"
        members = [f"{self.fresh()}{rng.choice([' = ', '='])}{self.value(depth + 2)}" for _ in range(rng.randint(0, 3))]
        if rng.random() < 0.4:  # TOML 1.1
            return "{" + self.end + "".join(f"    {m}, # two{self.end}" for m in members) + "}"
        return rng.choice(["{ ", "{"]) + ", ".join(members) + rng.choice([" }", "}"])

    def table(self, lines):
        rng = self.rng
        indent = rng.choice(["", "", "", "  "])
        kind = rng.random()
        if kind < 0.2:
            name = self.fresh()
            for _ in range(rng.randint(1, 3)):
                lines.append(f"{indent}[[{name}.list]]{self.tail()}")
                self.keys(lines, rng.randint(0, 2), indent)
        elif kind < 0.4:
            lines.append(rng.choice([f"[model_providers.{self.fresh()}]", f"[ model_providers . {self.fresh()} ]", f'["model_providers".\'{self.fresh()} x\']']) + self.tail())
            self.keys(lines, rng.randint(0, 3), indent)
        elif kind < 0.5 and rng.random() < 0.4 and not any("otel" in line for line in lines):
            lines.append("[otel]" + self.tail())
            lines.extend(rng.choice([['exporter = "none"  # quiet'], ['log_user_prompt = true', 'exporter = { otlp-grpc = { endpoint = "http://c:4317" } }'],
                                     ['environment = "lab"', "", "[otel.exporter.otlp-http]", 'endpoint = "https://c.example/logs"', 'protocol = "json"'],
                                     ['metrics_exporter = "statsig"', 'trace_exporter = "none"']]))
        elif kind < 0.5 and not any("databricks]" in line and line.lstrip().startswith("[") for line in lines):
            lines.append("[model_providers.databricks]" + self.tail())
            lines.append(f'name{self.equals}"Mine"')
            if rng.random() < 0.5:
                lines.append(f'env_key{self.equals}"X"  # theirs')
            self.keys(lines, rng.randint(0, 2), "")
        else:
            path = ".".join(rng.choice([self.fresh(), f'"{self.fresh()}/x y"']) for _ in range(rng.randint(1, 3)))
            lines.append(f"{indent}[{path}]{self.tail()}")
            self.keys(lines, rng.randint(0, 3), indent)


class JsonMaker:
    """Claude's settings.json (strict) or Gemini's (comments allowed)."""

    def __init__(self, rng, comments=False):
        self.rng = rng
        self.comments = comments
        self.end = rng.choice(["\n", "\n", "\n", "\r\n"])
        self.indent = rng.choice(["  ", "  ", "    ", "\t", "   "])
        self.flat = rng.random() < 0.15
        self.count = 0

    def make(self):
        rng = self.rng
        value = self.members("env" if not self.comments else "security", 0)
        text = self.write(value, 0)
        if self.comments and rng.random() < 0.4:
            text = rng.choice(["// top" + self.end, "/* top */ "]) + text
        if rng.random() < 0.7:
            text += self.end
        if not self.comments and rng.random() < 0.07:
            text = "\ufeff" + text
        return text.encode()

    def fresh(self):
        self.count += 1
        return f"{self.rng.choice(['key', 'permissions', 'Ü', 'a b', 'x.y', 'hooks'])}{self.count}"

    def members(self, own, depth):
        rng = self.rng
        found = [(self.fresh(), self.value(depth + 1)) for _ in range(rng.randint(0, 5))]
        if depth == 0 and rng.random() < 0.7:
            if own == "env":
                inner = [(self.fresh().replace("\u00dc", "U"), ("raw", self.text())) for _ in range(rng.randint(0, 3))]
                for key in ("ANTHROPIC_MODEL", "ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_CUSTOM_HEADERS", "CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS",
                            "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_LOGS_HEADERS", "OTEL_METRICS_EXPORTER"):
                    if rng.random() < 0.25:
                        inner.append((key, ("raw", json.dumps("X-A: 1" if "HEADERS" in key else rng.choice(TEXTS)))))
                rng.shuffle(inner)
                found.append(("env", inner))
            else:
                if rng.random() < 0.5:
                    found.append(("security", [("auth", [("selectedType", ("raw", '"oauth-personal"'))] if rng.random() < 0.5 else [])]))
                if rng.random() < 0.3:
                    found.append(("telemetry", [("enabled", ("raw", "false")), ("outfile", ("raw", '"/tmp/x"'))][: rng.randint(0, 2)]))
                if rng.random() < 0.4:
                    found.append(("advanced", [("ignoreLocalEnv", ("raw", "false"))] if rng.random() < 0.5 else []))
                if rng.random() < 0.4:
                    found.append(("modelConfigs", [("customOverrides", [self.value(3) for _ in range(rng.randint(0, 2))])]
                                  if rng.random() < 0.7 else []))
                if found and found[-1][0] == "modelConfigs" and found[-1][1]:
                    found[-1] = ("modelConfigs", [("customOverrides", ("list", found[-1][1][0][1]))])
        rng.shuffle(found)
        return found

    def text(self):
        rng = self.rng
        return rng.choice([json.dumps(rng.choice(TEXTS), ensure_ascii=rng.random() < 0.5), '"\\/a\\/b"', '"\\u00e9\\ud83d\\ude80"', '"\\"q\\" \\\\ \\n"'])

    def value(self, depth):
        rng = self.rng
        kind = rng.randint(0, 7 if depth < 3 else 4)
        if kind <= 1:
            return ("raw", self.text())
        if kind == 2:
            return ("raw", rng.choice(["1.0", "12345678901234567890", "-0", "1E5", "0.10", "5"]))
        if kind == 3:
            return ("raw", rng.choice(["true", "false", "null"]))
        if kind == 4:
            return ("raw", rng.choice(["[]", "{}", "[1,2 , 3]", "[ ]", "{ }"]))
        if kind == 5:
            return ("list", [self.value(depth + 1) for _ in range(rng.randint(0, 3))])
        return [(self.fresh(), self.value(depth + 1)) for _ in range(rng.randint(0, 3))]

    def note(self):
        if not self.comments or self.flat or self.rng.random() > 0.15:
            return ""
        return self.rng.choice([" // why", " /* \" { */"])

    def write(self, value, depth):
        if isinstance(value, tuple) and value[0] == "raw":
            return value[1]
        items = value[1] if isinstance(value, tuple) else value
        is_list = isinstance(value, tuple)
        start, stop = ("[", "]") if is_list else ("{", "}")
        parts = [self.write(item, depth + 1) if is_list else json.dumps(item[0], ensure_ascii=False) + ":" + ("" if self.flat else " ") + self.write(item[1], depth + 1)
                 for item in items]
        if not parts:
            return start + stop
        if self.flat or (depth and self.rng.random() < 0.15 and not any("\n" in p for p in parts) and not any("//" in p for p in parts)):
            return start + ("," if self.flat else ", ").join(parts) + stop
        inner, outer = self.indent * (depth + 1), self.indent * depth
        lines = []
        for n, part in enumerate(parts):
            lines.append(inner + part + ("," if n + 1 < len(parts) else "") + self.note())
        return start + self.end + self.end.join(lines) + self.end + outer + stop


class DotenvMaker:
    def __init__(self, rng):
        self.rng = rng
        self.end = rng.choice(["\n", "\n", "\n", "\r\n"])

    def make(self):
        rng = self.rng
        lines = []
        for n in range(rng.randint(0, 8)):
            lines.append(self.line(n))
        text = self.end.join(lines)
        if lines and rng.random() < 0.75:
            text += self.end
        if rng.random() < 0.07:
            text = "\ufeff" + text
        return text.encode()

    def line(self, n):
        rng = self.rng
        kind = rng.randint(0, 10)
        if kind == 0:
            return ""
        if kind == 1:
            return rng.choice(["# a comment", "  # GEMINI_MODEL=x", "#", "not an assignment", "A B=1", "   "])
        key = rng.choice([f"KEY_{n}", f"a.b-{n}", "OTHER", "GEMINI_MODEL", "GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL", "DEBUG"])
        start = rng.choice(["", "", "", "export ", "  ", "export   "]) + key + rng.choice(["=", "=", "=", " = ", ": "])
        value = rng.choice(["plain", "", "a b", '"x#y"', "'x#y'", "`a \"b\" 'c'`", '"\\n"', '"a\\"b"', "https://e.example/x?y=z", "$HOME",
                            f'"two{self.end}GEMINI_MODEL=inside{self.end}lines"', f"'{self.end}# no comment{self.end}'", "'single \"double\"'"])
        tail = rng.choice(["", "", "", " # why", "   ", " # it's \"x\"" if value and value[0] not in "'\"`" else " # end"])
        if value == "" and tail.strip():
            tail = ""
        return start + value + tail
