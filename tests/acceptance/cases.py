"""The index of tests/acceptance/files: what each user file is there for.

`clause` names the clause of "the editors" it covers. `touch`: lines of the file that an edit may replace although they hold
more than our keys (an inline table that gets a member, a container that opens up). `indent`: the blanks before a new member.
`before` / `after`: table headers between which the new table belongs.
"""

from dataclasses import dataclass

from harness import case_file


@dataclass(frozen=True)
class Case:
    agent: str
    file: str
    clause: str
    touch: tuple = ()
    indent: bytes = b""
    after: bytes = b""
    before: bytes = b""
    ends: bytes = b"\n"

    @property
    def rel(self):
        folder = self.file.split("/")[0]
        return {"codex": ".codex/config.toml", "codex-env": ".codex/.env", "claude": ".claude/settings.json",
                "gemini-env": ".gemini/.env", "gemini-settings": ".gemini/settings.json"}[folder]

    @property
    def fmt(self):
        return {"codex": "toml", "codex-env": "dotenv", "claude": "json", "gemini-env": "dotenv",
                "gemini-settings": "jsonc"}[self.file.split("/")[0]]

    @property
    def data(self):
        return case_file(self.file)

    @property
    def label(self):
        return self.file.rsplit(".", 1)[0]


def codex(file, clause, **more):
    return Case("codex", f"codex/{file}.toml", clause, **more)


def claude(file, clause, **more):
    return Case("claude", f"claude/{file}.json", clause, **more)


def gemini_env(file, clause, **more):
    return Case("gemini", f"gemini-env/{file}.env", clause, **more)


def gemini_settings(file, clause, **more):
    return Case("gemini", f"gemini-settings/{file}.json", clause, **more)


CASES = [
    codex("01-comments-and-tables", "comments, blank lines and order stay; top-level keys before the first header"),
    codex("02-dotted-keys", "dotted keys at the top, also with blanks around the dot"),
    codex("03-quoted-keys", "quoted keys and headers, a dot inside a key, non-ASCII keys"),
    codex("04-inline-tables", "inline tables that are not ours, one-line arrays, secrets inside"),
    codex("05-inline-model-providers", "a key goes into an existing inline table inside its braces", touch=(rb"^model_providers = \{",)),
    codex("06-toml11-inline", "TOML 1.1 inline table: newlines, comments, trailing comma", touch=(rb"^    spare = ",)),
    codex("07-toml11-inline-databricks", "our keys inside nested TOML 1.1 inline tables",
          touch=(rb"^        (name|base_url|env_key|query_params) = ", rb"^    \}, # end of databricks", rb"^    databricks = \{")),
    codex("08-arrays-of-tables", "arrays of tables with sub-tables"),
    codex("09-mcp-servers-env", "sub-tables, secrets in env and headers"),
    codex("10-projects", "quoted paths: blanks, brackets, backslashes, non-ASCII"),
    codex("11-multiline-strings", "multi-line strings that contain text looking like tables and keys"),
    codex("12-odd-headers", "headers like [a.b ] and [ a . b ]", after=b"[model_providers.box.http_headers ]"),
    codex("13-crlf", "CRLF", ends=b"\r\n"),
    codex("14-mixed-line-ends", "mixed line ends", ends=b""),
    codex("15-bom-crlf", "byte-order mark", ends=b"\r\n"),
    codex("16-no-final-newline", "missing final newline"),
    codex("17-tabs-and-trailing-spaces", "tabs, trailing spaces, no final newline after blanks"),
    codex("18-numbers-and-dates", "number spellings, dates"),
    codex("19-old-databricks-document", "the old document's form: profile goes, [profiles.default] stays"),
    codex("20-profile-between-keys", "a quoted profile key with a comment between other keys"),
    codex("21-databricks-section", "our keys exist with comments; other keys of the table stay"),
    codex("22-databricks-inline", "our table exists as an inline table", touch=(rb"^databricks = \{",)),
    codex("23-databricks-dotted", "our table exists as dotted keys"),
    codex("24-databricks-auth-table", "our table has sub-tables, one of them with an odd header", touch=(rb"^\[model_providers\.databricks\.auth\]",)),
    codex("25-model-and-provider", "model and model_provider exist, aligned, in single quotes"),
    codex("26-otel-inline", "inline otel exporters stay without --otel"),
    codex("27-indented-tables", "indented tables; a table after its siblings", after=b"  [model_providers.spare]", before=b"[history]"),
    codex("28-left-over-of-ucode", "a legacy file as ucode wrote it"),
    codex("29-empty", "an empty file"),
    codex("30-only-comments", "a file of comments only"),
    codex("31-split-sub-tables", "sub-tables split over the file; a table after its siblings", after=b"[model_providers.spare]", before=b"[history]"),
    codex("32-tight-spacing", "no spaces around ="),
    codex("33-only-one-table", "no top-level key yet"),
    codex("34-blank-lines-around", "blank lines at both ends"),
    codex("35-model-in-tables", "keys of the same names in other tables are not ours"),
    Case("codex", "codex-env/01-other-keys.env", "$CODEX_HOME/.env with other keys, export, quotes, comments"),
    Case("codex", "codex-env/02-stale-token.env", "$CODEX_HOME/.env with a stale token"),
    claude("01-dotfiles", "escapes, surrogates, emoji, 13-digit number; members after their siblings", indent=b"    "),
    claude("02-portal-crlf", "CRLF, 4 blanks, no final newline, old values of ours", indent=b"        ", ends=b"\r\n"),
    claude("03-other-gateway-tabs", "tabs, another gateway's helper, number spelling 0.10", indent=b"\t\t"),
    claude("04-minified", "one line without final newline", touch=(rb"^\{",)),
    claude("05-minified-no-env", "one line with final newline, no env", touch=(rb"^\{",)),
    claude("06-four-blanks", "indentation of 4", indent=b"        "),
    claude("07-bom", "byte-order mark and CRLF", indent=b"    ", ends=b"\r\n"),
    claude("08-empty-object", "an empty {} opens up", touch=(rb"^\{\}",)),
    claude("09-empty-object-newline", "an empty object over two lines", touch=(rb"^[{}]",)),
    claude("10-empty-env", "an empty member {} opens up", touch=(rb'^  "env": \{\}',)),
    claude("11-env-in-one-line", "env in one line", touch=(rb'^  "env": \{ ',)),
    claude("12-no-env-no-newline", "no env, no final newline", indent=b"    "),
    claude("13-numbers-and-escapes", "20-digit integers, 1.0, escapes, \\/, non-ASCII", indent=b"    "),
    claude("14-deep-hooks", "deep arrays; text and members that only look like ours", indent=b"    "),
    claude("15-odd-spacing", "blanks before colons and commas, blank lines, lists over lines", touch=(rb'^      "B":"2"', rb"^   \} ,", rb"^  , 3 \]")),
    claude("16-old-token-and-helper", "an old token and another helper; headers merged by line whatever their case", indent=b"    "),
    claude("17-comma-first", "commas at the start of lines", touch=(rb"^         \}", rb'^         , "B"', rb'^, "verbose"', rb"^\}")),
    claude("18-already-as-documented", "the documents' form stands already", indent=b"    "),
    gemini_env("01-personal", "comments and commented-out keys"),
    gemini_env("02-company", "export, quotes, trailing comments, blanks around ="),
    gemini_env("03-mcp-crlf", "CRLF, quoted #, duplicates, multi-line value, KEY: value, no final newline", ends=b""),
    gemini_env("04-export-and-quotes", "our keys with export and each kind of quote"),
    gemini_env("05-duplicates", "the last duplicate wins, the earlier one stays"),
    gemini_env("06-multiline", "keys inside a multi-line value are text"),
    gemini_env("07-only-comments", "a file of comments only"),
    gemini_env("08-colons", "KEY: value, lines that are no assignments"),
    gemini_env("09-empty", "an empty file"),
    gemini_env("10-no-final-newline", "missing final newline"),
    gemini_env("11-bom-and-blanks", "byte-order mark, blank lines, empty value, escapes"),
    gemini_env("12-the-document", "the documents' form stands already"),
    gemini_settings("01-legacy-flat", "the legacy flat form stays beside ours", indent=b"    "),
    gemini_settings("02-comments", "comments of both kinds, also after the last member; $VAR stays", touch=(rb"^    \} // ",)),
    gemini_settings("03-enterprise", "20-digit integer, 1.0; the array is appended to", touch=(rb'^      \{ "match"', rb'^    "auth": \{ ', rb'^  "corp": ')),
    gemini_settings("04-tabs-hooks", "tabs; // inside a string", indent=b"\t\t"),
    gemini_settings("05-minified", "one line without final newline", touch=(rb"^\{",)),
    gemini_settings("06-empty-object", "an empty {} opens up", touch=(rb"^\{\}",)),
    gemini_settings("07-crlf-deep", "CRLF, 4 blanks, our keys deep in existing objects, an empty {} opens up", ends=b"\r\n",
                    touch=(rb'^        "auth": \{\}', rb'^        "customAliases": ')),
]

# Files that must be refused with exit 3 and stay as they are: (file, rel, agent, [line], words of the reason).
# `line` is where the fault stands; None where no line makes sense.
INVALID = [
    ("claude-comment.json", 2),
    ("claude-block-comment.json", 2),
    ("claude-trailing-comma.json", (3, 4)),
    ("claude-truncated.json", (3, 4)),
    ("claude-duplicate-env.json", 4),
    ("claude-duplicate-in-env.json", 4),
    ("claude-env-is-text.json", 2),
    ("claude-env-is-list.json", 3),
    ("claude-root-is-list.json", 1),
    ("claude-empty.json", None),
    ("claude-only-blanks.json", None),
    ("claude-binary.json", (1, 2)),
    ("claude-nul.json", 2),
    ("claude-single-quotes.json", 2),
    ("claude-two-documents.json", 2),
    ("claude-bad-utf8.json", 2),
    ("claude-bare-control.json", 2),
    ("claude-leading-zero.json", 2),
    ("codex-unclosed-string.toml", 1),
    ("codex-no-value.toml", 2),
    ("codex-duplicate-key.toml", 3),
    ("codex-duplicate-table.toml", 4),
    ("codex-unclosed-table.toml", 1),
    ("codex-unclosed-array.toml", (1, 2)),
    ("codex-unclosed-multiline.toml", (2, 3, 4)),
    ("codex-providers-is-number.toml", 1),
    ("codex-providers-is-array.toml", 1),
    ("codex-databricks-is-text.toml", 2),
    ("codex-databricks-is-array.toml", 1),
    ("codex-binary.toml", (1, 2)),
    ("codex-bad-utf8.toml", 1),
    ("codex-not-toml.toml", 1),
    ("codex-bare-cr.toml", 1),
    ("codex-yaml.toml", 1),
    ("gemini-trailing-comma.json", (2, 3)),
    ("gemini-empty.json", None),
    ("gemini-bom.json", 1),
    ("gemini-security-is-text.json", 2),
    ("gemini-overrides-is-object.json", 3),
    ("gemini-unclosed-comment.json", (2, 3, 4)),
    ("gemini-duplicate.json", 3),
]
