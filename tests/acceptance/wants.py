"""What each agent's files must hold after `setup`: from the contract, the documents of Databricks and the measured facts."""

import re
from dataclasses import dataclass, field

import readers
from harness import GATEWAY, HEADER, PAT

FORMS = {"codex": ("helper", "pat", "env"), "claude": ("helper", "pat", "env"), "gemini": ("pat", "env")}

DEFAULT_MODEL = {
    "codex": "databricks-gpt-5-2",
    "claude": "databricks-claude-opus-4-6",
    "gemini": "databricks-gemini-2-5-flash",
}

# The model names inside Gemini CLI that only a pin redirects (side calls: routing, titles, compression, fixes).
GEMINI_PINS = ("classifier", "prompt-completion", "fast-ack-helper", "edit-corrector", "summarizer-default",
               "summarizer-shell", "gemini-3-flash-base", "loop-detection-double-check", "chat-compression-default",
               "agent-history-provider-summarizer")


class Check:
    """A value that is judged by a rule."""

    def __init__(self, words, rule):
        self.words, self.rule = words, rule

    def __repr__(self):
        return f"<{self.words}>"


@dataclass
class Want:
    rel: str
    fmt: str  # toml, json, jsonc, dotenv
    must: dict = field(default_factory=dict)  # path -> value or Check
    gone: set = field(default_factory=set)  # paths that must not be there
    may: set = field(default_factory=set)  # paths that may have changed

    @property
    def owned(self):
        return set(self.must) | self.gone | self.may

    def read(self, data):
        return {"toml": readers.toml, "json": readers.strict_json, "jsonc": readers.commented_json,
                "dotenv": readers.dotenv}[self.fmt](data)

    def flat(self, data):
        return readers.flatten(self.read(data))


def text_like(pattern, words):
    return Check(words, lambda v: isinstance(v, str) and re.search(pattern, v) is not None)


def absolute_helper(value):
    return isinstance(value, str) and value.startswith("/") and value.endswith("dbx-agents")


def codex(form, before, model=None, gateway=GATEWAY, home_rel=".codex"):
    provider = ("model_providers", "databricks")
    config = Want(f"{home_rel}/config.toml", "toml", must={
        ("model_provider",): "databricks",
        ("model",): model or DEFAULT_MODEL["codex"],
        provider + ("name",): text_like(r"\S", "a name that is not empty"),
        provider + ("base_url",): gateway + "/openai/v1",
        provider + ("wire_api",): "responses",
    }, gone={("profile",)})
    if form == "helper":
        # Codex refuses a provider that has `auth` beside env_key, a literal token or requires_openai_auth.
        config.gone |= {provider + (k,) for k in ("env_key", "experimental_bearer_token", "requires_openai_auth")}
        config.may |= {provider + ("env_key_instructions",)}
        config.must[provider + ("auth", "command")] = Check("the absolute path of dbx-agents", absolute_helper)
        config.must[provider + ("auth", "args")] = Check(
            "auth token …, without the token", lambda v: isinstance(v, list) and v[:1] and "auth" in v and "token" in v
            and not any(PAT in a or "dapi" in a for a in v))
        # Codex's own default refresh is not measured, so it is written; the default time-out is.
        config.must[provider + ("auth", "refresh_interval_ms")] = Check("more than 0", lambda v: isinstance(v, int) and v > 0)
        config.may |= {provider + ("auth", "timeout_ms"), provider + ("auth", "cwd")}
    else:
        config.must[provider + ("env_key",)] = "DATABRICKS_TOKEN"
        config.gone |= {provider + ("auth",)}
        config.may |= {provider + (k,) for k in ("env_key_instructions", "experimental_bearer_token", "requires_openai_auth")}
    wants = [config]
    env_rel = f"{home_rel}/.env"
    if form == "pat":
        wants.append(Want(env_rel, "dotenv", must={("DATABRICKS_TOKEN",): PAT}))
    elif env_rel in before:
        # A token that stands there would win over the exported variable: it may go, it may be named.
        wants.append(Want(env_rel, "dotenv", may={("DATABRICKS_TOKEN",)}))
    return wants


CLAUDE_FAMILIES = {
    "OPUS": "databricks-claude-opus-4-6",
    "SONNET": "databricks-claude-sonnet-4-5",
    "HAIKU": "databricks-claude-haiku-4-5",
    "FABLE": "databricks-claude-opus-4-6",
}


def claude(form, before, model=None, gateway=GATEWAY, home_rel=".claude", betas=False, loopback=False):
    rel = f"{home_rel}/settings.json"
    old = readers.strict_json(before[rel]) if rel in before else {}
    old_env = old.get("env", {})
    env = ("env",)
    want = Want(rel, "json", must={
        env + ("ANTHROPIC_MODEL",): model or DEFAULT_MODEL["claude"],
        env + ("ANTHROPIC_BASE_URL",): gateway + "/anthropic",
        env + ("ANTHROPIC_CUSTOM_HEADERS",): merged_headers(old_env.get("ANTHROPIC_CUSTOM_HEADERS", "")),
    })
    for family, name in CLAUDE_FAMILIES.items():
        if model and family.lower() in model.lower():
            name = model
        want.must[env + (f"ANTHROPIC_DEFAULT_{family}_MODEL",)] = name
    key = env + ("CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS",)
    if betas:
        want.gone.add(key)
    else:
        want.must[key] = "1"
    token = env + ("ANTHROPIC_AUTH_TOKEN",)
    if form == "helper":
        want.must[("apiKeyHelper",)] = Check(
            "a command `…/dbx-agents … auth token …`", lambda v: isinstance(v, str) and "dbx-agents" in v
            and re.search(r"auth'? '?token", v) is not None and PAT not in v)
        # A token beside the helper wins the Authorization header. An empty one also neutralises the shell's.
        want.may |= {token, env + ("CLAUDE_CODE_API_KEY_HELPER_TTL_MS",)}
    elif form == "pat":
        want.must[token] = PAT
        want.may |= {("apiKeyHelper",), env + ("CLAUDE_CODE_API_KEY_HELPER_TTL_MS",)}
    else:
        # The file's value beats the exported variable, an empty one too: it must not be there.
        want.gone.add(token)
        want.may |= {("apiKeyHelper",), env + ("CLAUDE_CODE_API_KEY_HELPER_TTL_MS",)}
    if loopback:
        want.must[env + ("NO_PROXY",)] = merged_no_proxy(old_env.get("NO_PROXY", ""))
        want.may |= {env + ("no_proxy",)}
    return [want]


def merged_headers(old):
    name = HEADER.split(":")[0].lower()
    others = [line for line in old.split("\n") if line.strip() and line.split(":")[0].strip().lower() != name]

    def rule(value):
        lines = [line for line in value.split("\n") if line.strip()]
        ours = [line for line in lines if line.split(":")[0].strip().lower() == name]
        return [line for line in lines if line not in ours] == others and ours == [HEADER]

    return Check(f"the lines {others!r} and {HEADER!r}", rule)


def merged_no_proxy(old):
    others = [entry for entry in re.split(r"[,\s]+", old) if entry]

    def rule(value):
        entries = [entry for entry in re.split(r"[,\s]+", value) if entry]
        return entries[: len(others)] == others and "127.0.0.1" in entries and len(entries) == len(set(entries))

    return Check(f"{others!r} and 127.0.0.1", rule)


def gemini(form, before, model=None, gateway=GATEWAY):
    model = model or DEFAULT_MODEL["gemini"]
    env = Want(".gemini/.env", "dotenv", must={
        ("GEMINI_MODEL",): model,
        ("GOOGLE_GEMINI_BASE_URL",): gateway + "/gemini",
        ("GEMINI_API_KEY_AUTH_MECHANISM",): "bearer",
    })
    if form == "pat":
        env.must[("GEMINI_API_KEY",)] = PAT
    else:
        env.may.add(("GEMINI_API_KEY",))  # an older key there may stay: the exported variable wins over the file
    rel = ".gemini/settings.json"
    old = readers.commented_json(before[rel]) if rel in before else {}
    pins = old.get("modelConfigs", {}).get("customOverrides", [])
    settings = Want(rel, "jsonc", must={
        ("security", "auth", "selectedType"): "gemini-api-key",
        ("advanced", "ignoreLocalEnv"): True,
        ("modelConfigs", "customOverrides"): pinned(pins, model),
    })
    for agent in ("codebase_investigator", "cli_help"):
        settings.must[("agents", "overrides", agent, "modelConfig", "model")] = model
    return [env, settings]


def pinned(old, model):
    def rule(value):
        if not isinstance(value, list) or value[: len(old)] != old:
            return False
        ours = {entry["match"]["model"]: entry["modelConfig"]["model"] for entry in value[len(old):]}
        return ours == {name: model for name in GEMINI_PINS} and len(value) - len(old) == len(GEMINI_PINS)

    return Check(f"the {len(old)} entries of before, then one for each side model, all to {model}", rule)


def wants(agent, form, before, **more):
    return {"codex": codex, "claude": claude, "gemini": gemini}[agent](form, before, **more)


# Words that a line of ours may hold: what a line-by-line comparison allows to come and go.
OWN_LINE = {
    "toml": re.compile(
        rb"^\s*(?:[\"']?(?:model|model_provider|profile)[\"']?\s*="
        rb"|\[\s*[\"']?model_providers[\"']?\s*\.\s*[\"']?databricks[\"']?[\s.\]]"
        rb"|\[model_providers\]\s*$"
        rb"|(?:model_providers\s*\.\s*)?(?:databricks\s*\.\s*)?(?:name|base_url|wire_api|env_key|auth)\s*="
        rb"|databricks\s*=|(?:auth\.)?(?:command|args|timeout_ms|refresh_interval_ms)\s*="
        rb"|model_providers\.databricks\.)"),
    "json": re.compile(
        rb"\"(?:ANTHROPIC_[A-Z_]+|CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS|CLAUDE_CODE_API_KEY_HELPER_TTL_MS|apiKeyHelper|NO_PROXY"
        rb"|no_proxy|env)\""),
    "jsonc": re.compile(
        rb"\"(?:security|auth|selectedType|advanced|ignoreLocalEnv|modelConfigs|customOverrides|match|model|modelConfig|agents"
        rb"|overrides|codebase_investigator|cli_help)\""),
    "dotenv": re.compile(
        rb"^\s*(?:export\s+)?(?:GEMINI_MODEL|GOOGLE_GEMINI_BASE_URL|GEMINI_API_KEY_AUTH_MECHANISM|GEMINI_API_KEY|DATABRICKS_TOKEN)\s*[=:]"),
}
STRUCTURE = re.compile(rb"^[\s{}\[\],]*$")
