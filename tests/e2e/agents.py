"""What each real agent needs for one scripted turn: its package, the user's files it starts from, its command line, how its
answer is read, and what the stand-in workspace must have recorded."""

import json
import platform
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
FILES = HERE.parent / "acceptance" / "files"
sys.path.insert(0, str(HERE.parent / "acceptance"))

import readers  # noqa: E402  the acceptance suite's own readers of TOML, JSON and JSON with comments

# Codex and Gemini send even loopback requests to a proxy of the environment; setup has no place of theirs to write this to.
DIRECT = {"NO_PROXY": "127.0.0.1,localhost"}
# A company's proxy that is not there: what setup wrote to NO_PROXY must keep the agent away from it.
BEHIND = {name: "http://127.0.0.1:9" for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")}


class Unexpected(Exception):
    """What a check found instead of what it wanted."""


def want(condition, text):
    if not condition:
        raise Unexpected(text)


def user_file(name):
    return (FILES / name).read_bytes()


@dataclass
class Scenario:
    """One row of the table: an agent's user files, an auth form, and a turn."""

    form: str
    title: str
    files: dict  # path below HOME -> bytes
    turn: str = "plain"  # or "side": a turn that makes the agent call other models as well
    rewrite: bool = False  # afterwards the agent writes its file anew, by a command of its own
    new_only: bool = False
    quick: bool = False
    telemetry: tuple = ()  # the signals that must be in the tables afterwards
    behind: bool = False  # a company's proxy is in the shell, and no NO_PROXY


@dataclass
class Turn:
    """What came out of the agent."""

    code: int
    out: str
    err: str
    last: str = ""  # Codex: the file of its last message
    entries: list = field(default_factory=list)  # the stand-in's record


def header_values(entry, name):
    return [value for key, value in entry["headers"] if key.lower() == name]


def sse(*events, named=False):
    """Events as one text/event-stream body."""
    return "".join((f"event: {e['type']}\n" if named else "") + f"data: {json.dumps(e)}\n\n" for e in events)


def shape(entry):
    return f"{entry['method']} {entry['path']}{'?' + entry['query'] if entry.get('query') else ''} -> {entry['status']}"


def body_of(entry):
    return json.loads(entry["body"]) if entry.get("body") else {}


def check_calls(entries, token, calls, others):
    """Every recorded request is one of `calls` (model calls) or `others`; gives the models that were asked for."""
    models = []
    for entry in entries:
        what = (entry["method"], entry["path"])
        if what in others:
            wanted = others[what]
            want(not wanted or header_values(entry, "authorization") == ["Bearer " + token], f"wrong token: {shape(entry)}")
            continue
        want(entry["method"] == "POST" and calls(entry["path"]), f"a call that nobody expected: {shape(entry)}")
        want(header_values(entry, "authorization") == ["Bearer " + token],
             f"not the expected token: {shape(entry)}, Authorization {header_values(entry, 'authorization')}")
        want(entry["status"] == 200, f"refused: {shape(entry)}")
        asked = body_of(entry).get("model") or entry["path"].rpartition("/models/")[2].partition(":")[0]
        models.append(asked)
        want(asked.startswith("databricks-"), f"not a databricks model: {asked!r} in {shape(entry)}")
    want(models, "no model call reached the workspace; it saw: " + (", ".join(map(shape, entries)) or "nothing"))
    return models


# ---------------------------------------------------------------- Codex CLI


class Codex:
    name, title, package = "codex", "Codex CLI", "@openai/codex"
    versions = ["latest", "0.133.0"]  # 0.134 is the first that refuses a top-level `profile`
    program = "node_modules/.bin/codex"
    token_variable = "DATABRICKS_TOKEN"
    ours = {".codex/config.toml", ".codex/.env"}
    parse = {".codex/config.toml": readers.toml}
    # Seconds instead of minutes, and no other host, on a machine without a network; a user's own words to Codex.
    quiet = b"\n\n[features]\nplugins = false\n"
    tail = b"\n\n[analytics]\nenabled = false" + quiet + b'\n[otel]\nmetrics_exporter = "none"\n'

    def seeds(self, config, env=None):
        files = {".codex/config.toml": user_file(config) + self.tail}
        if env:
            files[".codex/.env"] = user_file(env)
        return files

    def scenarios(self):
        return [
            Scenario("helper", "helper", self.seeds("codex/25-model-and-provider.toml", "codex-env/01-other-keys.env"), quick=True),
            Scenario("pat", "pat, over a stale token",
                     self.seeds("codex/01-comments-and-tables.toml", "codex-env/02-stale-token.env")),
            Scenario("env", "env", self.seeds("codex/11-multiline-strings.toml", "codex-env/01-other-keys.env")),
            Scenario("helper", "helper, over the documents' `profile`", self.seeds("codex/19-old-databricks-document.toml")),
            Scenario("pat", "pat, over a `profile` of the user", self.seeds("codex/20-profile-between-keys.toml")),
            Scenario("pat", "pat; then Codex rewrites its CRLF file", self.seeds("codex/13-crlf.toml"), rewrite=True),
            Scenario("pat", "pat, telemetry over another exporter",
                     {".codex/config.toml": user_file("codex/26-otel-inline.toml") + self.quiet}, telemetry=("metrics", "logs", "traces"), new_only=True),
            Scenario("proxy", "proxy, behind a company's proxy", self.seeds("codex/25-model-and-provider.toml", "codex-env/01-other-keys.env"),
                     quick=True, behind=True),
            Scenario("proxy", "proxy, over a `profile` of the user; then Codex rewrites its file",
                     self.seeds("codex/20-profile-between-keys.toml", "codex-env/02-stale-token.env"), rewrite=True),
            Scenario("run", "`dbx-agents run`, behind a company's proxy",
                     self.seeds("codex/25-model-and-provider.toml", "codex-env/02-stale-token.env"), quick=True, behind=True,
                     new_only=True),
        ]

    def binary(self, prefix):
        return prefix / self.program

    def command(self, program, scene, scenario):
        return [program, "exec", "--skip-git-repo-check", "--color", "never", "--sandbox", "read-only",
                "--output-last-message", scene.temporary / "last.txt", "say hi"]

    def rewrite(self, program):
        return [program, "mcp", "add", "e2e", "--", "true"]

    def environment(self, scenario):
        return dict(BEHIND if scenario.behind else DIRECT)

    def script(self, scenario, tools):
        return None

    def answer(self, turn):
        want(turn.out.strip() == turn.last.strip(), f"stdout {turn.out!r} is not the last message {turn.last!r}")
        return turn.last

    def check(self, entries, token, scenario):
        models = check_calls(entries, token, lambda path: path == "/ai-gateway/openai/v1/responses",
                             {("GET", "/ai-gateway/openai/v1/models"): True,
                              # What a metrics exporter makes Codex ask of its provider as well.
                              ("POST", "/ai-gateway/openai/v1/analytics/codex/turn-costs"): True})
        want(set(models) == {"databricks-gpt-5-2"}, f"models {models}")
        return []


# ---------------------------------------------------------------- Claude Code


class Claude:
    name, title, package = "claude", "Claude Code", "@anthropic-ai/claude-code"
    versions = ["2.1.330"]
    token_variable = "ANTHROPIC_AUTH_TOKEN"
    ours = {".claude/settings.json"}
    parse = {".claude/settings.json": readers.strict_json}

    def seeds(self, settings):
        return {".claude/settings.json": user_file(settings), ".claude.json": b'{"hasCompletedOnboarding": true}\n'}

    def scenarios(self):
        return [
            Scenario("helper", "helper, over an old token, helper and no_proxy", self.seeds("claude/16-old-token-and-helper.json"), quick=True),
            Scenario("pat", "pat, over the documents' old form", self.seeds("claude/02-portal-crlf.json")),
            Scenario("env", "env, over another gateway", self.seeds("claude/03-other-gateway-tabs.json")),
            Scenario("helper", "helper, model alias and sub-agents; then Claude Code rewrites its file",
                     self.seeds("claude/01-dotfiles.json"), turn="side", rewrite=True),
            Scenario("helper", "helper, telemetry", self.seeds("claude/01-dotfiles.json"), telemetry=("metrics", "logs", "traces")),
            Scenario("pat", "pat, telemetry", self.seeds("claude/02-portal-crlf.json"), telemetry=("metrics", "logs")),
            Scenario("env", "env, telemetry over another collector", self.seeds("claude/03-other-gateway-tabs.json"), telemetry=("metrics", "logs")),
            Scenario("proxy", "proxy, over an old token, helper and no_proxy", self.seeds("claude/16-old-token-and-helper.json"), quick=True),
            Scenario("proxy", "proxy, model alias and sub-agents; then Claude Code rewrites its file",
                     self.seeds("claude/01-dotfiles.json"), turn="side", rewrite=True),
            Scenario("run", "`dbx-agents run`, over an old token, helper and no_proxy", self.seeds("claude/16-old-token-and-helper.json"),
                     quick=True),
        ]

    def binary(self, prefix):
        # The package's `claude` is a stub until its install script has run; the program is in the platform's package.
        machine = {"x86_64": "x64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), platform.machine())
        return prefix / f"node_modules/@anthropic-ai/claude-code-{sys.platform}-{machine}/claude"

    def command(self, program, scene, scenario):
        model = ["--model", "sonnet"] if scenario.turn == "side" else []
        return [program, "-p", "say hi", *model, "--output-format", "json", "--no-session-persistence", "--strict-mcp-config"]

    def rewrite(self, program):
        return [program, "plugin", "enable", "linter@team"]

    def environment(self, scenario):
        return {"HTTP_PROXY": BEHIND["HTTP_PROXY"], "HTTPS_PROXY": BEHIND["HTTPS_PROXY"],
                "CLAUDE_CODE_MAX_RETRIES": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
                "CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL": "1"}

    def script(self, scenario, tools):
        """The first answer of a "side" turn: two sub-agents, each of a model family of its own."""
        if scenario.turn != "side":
            return None
        tool = "Agent" if "Agent" in tools else "Task"
        events = [{"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "content": [],
                                                        "model": "databricks-claude-sonnet-4-5", "stop_reason": None,
                                                        "stop_sequence": None,
                                                        "usage": {"input_tokens": 10, "output_tokens": 1}}}]
        for index, family in enumerate(("haiku", "opus")):
            value = {"description": f"ask {family}", "prompt": "say hi", "subagent_type": "general-purpose", "model": family,
                     "run_in_background": False}
            events += [{"type": "content_block_start", "index": index,
                        "content_block": {"type": "tool_use", "id": f"toolu_{index}", "name": tool, "input": {}}},
                       {"type": "content_block_delta", "index": index,
                        "delta": {"type": "input_json_delta", "partial_json": json.dumps(value)}},
                       {"type": "content_block_stop", "index": index}]
        events += [{"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None},
                    "usage": {"output_tokens": 20}}, {"type": "message_stop"}]
        return {"fault": "raw", "path": "/ai-gateway/anthropic/v1/messages", "status": 200, "count": 1,
                "headers": {"content-type": "text/event-stream"}, "body": sse(*events, named=True)}

    def answer(self, turn):
        result = json.loads(turn.out)
        want(result.get("type") == "result" and result.get("is_error") is False, f"not a good result: {turn.out[:800]}")
        wrong = [model for model in result.get("modelUsage", {}) if not model.startswith("databricks-")]
        want(not wrong, f"Claude Code counted tokens of {wrong}")
        return result["result"]

    def check(self, entries, token, scenario):
        models = check_calls(entries, token, lambda path: path == "/ai-gateway/anthropic/v1/messages",
                             {("HEAD", "/ai-gateway/anthropic/api/hello"): False, ("HEAD", "/ai-gateway/anthropic"): False})
        calls = [entry for entry in entries if entry["method"] == "POST"]
        for entry in calls:
            want("true" in header_values(entry, "x-databricks-use-coding-agent-mode"), f"no coding-agent header: {shape(entry)}")
            keys = header_values(entry, "x-api-key")
            want(keys in ([], [token]), f"another key goes to the gateway: x-api-key {keys}")
        wanted = ({"databricks-claude-opus-4-6"} if scenario.turn == "plain" else
                  {"databricks-claude-sonnet-4-5", "databricks-claude-haiku-4-5", "databricks-claude-opus-4-6"})
        want(set(models) == wanted, f"models {models}, not {sorted(wanted)}")
        return [tool["name"] for entry in calls for tool in body_of(entry).get("tools", []) if "name" in tool]


# ---------------------------------------------------------------- Gemini CLI


class Gemini:
    name, title, package = "gemini", "Gemini CLI", "@google/gemini-cli"
    versions = ["latest", "0.43.0"]
    program = "node_modules/.bin/gemini"
    token_variable = "GEMINI_API_KEY"
    ours = {".gemini/.env", ".gemini/settings.json"}
    parse = {".gemini/settings.json": readers.commented_json}
    # One try instead of minutes of them, and no other host.
    head = (b'\n  "general": { "maxAttempts": 1, "enableAutoUpdateNotification": false },'
            b'\n  "privacy": { "usageStatisticsEnabled": false },')

    def seeds(self, env, settings):
        text = user_file(settings)
        brace = text.index(b"{") + 1
        return {".gemini/.env": user_file(env), ".gemini/settings.json": text[:brace] + self.head + text[brace:]}

    def scenarios(self):
        return [
            # 0.43 sends loopback requests to a proxy as well, whatever NO_PROXY says.
            Scenario("pat", "pat, behind a company's proxy",
                     self.seeds("gemini-env/02-company.env", "gemini-settings/02-comments.json"), quick=True, new_only=True),
            Scenario("env", "env", self.seeds("gemini-env/03-mcp-crlf.env", "gemini-settings/07-crlf-deep.json")),
            Scenario("pat", "pat, over a personal key", self.seeds("gemini-env/01-personal.env", "gemini-settings/01-legacy-flat.json")),
            Scenario("pat", "pat, web search and sub-agent", self.seeds("gemini-env/12-the-document.env", "gemini-settings/05-minified.json"),
                     turn="side", new_only=True),
            Scenario("env", "env; then Gemini CLI rewrites its file",
                     self.seeds("gemini-env/09-empty.env", "gemini-settings/02-comments.json"), rewrite=True),
            Scenario("proxy", "proxy, behind a company's proxy",
                     self.seeds("gemini-env/02-company.env", "gemini-settings/02-comments.json"), quick=True, new_only=True, behind=True),
            Scenario("proxy", "proxy, over a personal key", self.seeds("gemini-env/01-personal.env", "gemini-settings/01-legacy-flat.json")),
            Scenario("proxy", "proxy, web search and sub-agent; then Gemini CLI rewrites its file",
                     self.seeds("gemini-env/12-the-document.env", "gemini-settings/05-minified.json"), turn="side", new_only=True,
                     rewrite=True),
            Scenario("run", "`dbx-agents run`, over a personal key", self.seeds("gemini-env/01-personal.env", "gemini-settings/01-legacy-flat.json"),
                     quick=True, new_only=True),
        ]

    def binary(self, prefix):
        return prefix / self.program

    def command(self, program, scene, scenario):
        return [program, "-p", "say hi", "--output-format", "json"]

    def rewrite(self, program):
        return [program, "mcp", "add", "--scope", "user", "e2e", "true"]

    def environment(self, scenario):
        return {"GEMINI_CLI_TRUST_WORKSPACE": "true", **(BEHIND if scenario.behind else DIRECT)}

    def script(self, scenario, tools):
        """A "side" turn's first answers: a tool that asks a model of its own, and a sub-agent, which then ends its task."""
        if scenario.turn != "side":
            return None

        def calls(*wanted):
            parts = [{"functionCall": {"name": name, "args": args}} for name, args in wanted]
            event = {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}],
                     "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}}
            return {"fault": "raw", "path": "/ai-gateway/gemini/*:streamGenerateContent", "status": 200, "count": 1,
                    "headers": {"content-type": "text/event-stream"}, "body": sse(event)}

        report = {"SummaryOfFindings": "an empty folder", "ExplorationTrace": ["looked"], "RelevantLocations": []}
        return [calls(("google_web_search", {"query": "databricks"}),
                      ("invoke_agent", {"agent_name": "codebase_investigator", "prompt": "What is in this folder?"})),
                calls(("complete_task", {"report": report}))]

    def answer(self, turn):
        result = json.loads(turn.out)
        want("error" not in result, f"an error beside the answer: {result.get('error')}")
        wrong = [model for model in result["stats"]["models"] if model != "databricks-gemini-2-5-flash"]
        want(not wrong, f"Gemini CLI counted tokens of {wrong}")
        return result["response"]

    def check(self, entries, token, scenario):
        root = "/ai-gateway/gemini/v1beta/models/databricks-gemini-2-5-flash:"
        models = check_calls(entries, token, lambda path: path.startswith(root), {})
        for entry in entries:
            want(header_values(entry, "x-goog-api-key") in ([], [token]), "another key goes to the gateway in x-goog-api-key")
        streamed = [entry for entry in entries if entry["path"] == root + "streamGenerateContent" and entry["query"] == "alt=sse"]
        want(streamed, "no streamed call")
        if scenario.turn == "side":
            want([e for e in entries if e["path"] == root + "generateContent"], "the web search asked no model")
            want([e for e in streamed if '"complete_task"' in e["body"] and '"invoke_agent"' not in e["body"]],
                 "the sub-agent asked no model")
        want(set(models) == {"databricks-gemini-2-5-flash"}, f"models {models}")
        return []


# ---------------------------------------------------------------- OpenCode


class OpenCode:
    name, title, package = "opencode", "OpenCode", "opencode-ai"
    proxy_cases = False  # bad weather is played with the others
    versions = ["latest"]
    token_variable = "DATABRICKS_TOKEN"
    ours = {".config/opencode/opencode.json", ".config/opencode/opencode.jsonc"}
    parse = {name: readers.commented_json for name in ours}

    def scenarios(self):
        def seeds(file, where="opencode.json"):
            return {".config/opencode/" + where: user_file("opencode/" + file)}

        return [
            Scenario("pat", "pat, over another provider", seeds("01-other-provider.json")),
            Scenario("env", "env, over a commented opencode.jsonc", seeds("02-comments.jsonc", "opencode.jsonc"), quick=True),
            Scenario("proxy", "proxy, over a commented opencode.jsonc", seeds("02-comments.jsonc", "opencode.jsonc"), quick=True),
            Scenario("run", "`dbx-agents run`, over another provider", seeds("01-other-provider.json"), quick=True, behind=True),
        ]

    def binary(self, prefix):
        # The package's `opencode` is linked by its install script; the program is in the platform's package.
        machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
        return prefix / f"node_modules/opencode-{sys.platform}-{machine}/bin/opencode"

    def command(self, program, scene, scenario):
        return [program, "run", "say hi"]

    def environment(self, scenario):
        return {"OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_AUTOUPDATE": "1", **(BEHIND if scenario.behind else DIRECT)}

    def script(self, scenario, tools):
        return None

    def answer(self, turn):
        return turn.out.strip()

    def check(self, entries, token, scenario):
        # The session's title is asked of the small model, beside the turn.
        models = check_calls(entries, token, lambda path: path == "/ai-gateway/anthropic/v1/messages", {})
        want(set(models) <= {"databricks-claude-opus-4-6", "databricks-claude-haiku-4-5"} and "databricks-claude-opus-4-6" in models,
             f"models {models}")
        return []


# ---------------------------------------------------------------- GitHub Copilot CLI


class Copilot:
    name, title, package = "copilot", "GitHub Copilot CLI", "@github/copilot"
    proxy_cases = False
    versions = ["latest"]
    token_variable = "COPILOT_PROVIDER_BEARER_TOKEN"
    ours = {".config/dbx-agents/copilot.env"}
    parse = {}

    def scenarios(self):
        return [Scenario(form, form, {}, quick=form == "helper") for form in ("helper", "pat", "env", "proxy")] + [
            Scenario("run", "`dbx-agents run`", {}, quick=True, behind=True)]

    def binary(self, prefix):
        machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
        return prefix / f"node_modules/@github/copilot-{sys.platform}-{machine}/copilot"

    def command(self, program, scene, scenario):
        words = [program, "-p", "say hi", "--silent", "--no-color"]
        if scenario.form == "run":
            return words
        # As setup says: the shell reads the file.
        return ["/bin/sh", "-c", 'set -a; . ~/.config/dbx-agents/copilot.env; set +a; exec "$@"', "sh", *words]

    def environment(self, scenario):
        return dict(BEHIND if scenario.behind else DIRECT)

    def script(self, scenario, tools):
        return None

    def answer(self, turn):
        return turn.out.strip()

    def check(self, entries, token, scenario):
        models = check_calls(entries, token, lambda path: path == "/ai-gateway/mlflow/v1/chat/completions", {})
        want(set(models) == {"databricks-gpt-5-2"}, f"models {models}")
        return []


AGENTS = [Codex(), Claude(), Gemini(), OpenCode(), Copilot()]
