"""Answers of the four APIs with counts that are known, cut into pieces in every way that a network may, and what the ledger must say."""

import gzip
import json
import math

TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "reasoning_tokens")
WORDS = ["Zwölf ", "boxers ", "jagen \\u0026 ", "\\\"usage\\\":{\\\"input_tokens\\\":9} ", "data: {} ", "\U0001f600 ", "e\\n\\nvent: x "]


def text_of(words):
    return json.loads('"' + "".join(words) + '"')


class Told:
    """The counts of one answer: as the upstream says them in its dialect, and as the ledger's columns."""

    def __init__(self, random, dialect):
        def count(top):
            return random.choice([0, 1, random.randrange(1, top)])

        self.dialect = dialect
        self.plain, self.read, self.output = 1 + count(90_000), count(400_000), 1 + count(9_000)
        self.reasoning = random.randrange(0, self.output + 1)
        self.five, self.hour = count(5_000), count(5_000)
        self.text = [random.choice(WORDS) for _ in range(random.randrange(1, 12))]

    def columns(self):
        same = {"input_tokens": self.plain, "output_tokens": self.output, "cache_read_tokens": self.read}
        if self.dialect == "messages":
            return {**same, "cache_write_tokens": self.five + self.hour, "cache_write_5m_tokens": self.five, "cache_write_1h_tokens": self.hour}
        return {**same, "reasoning_tokens": self.reasoning}

    def usage(self, output=None):
        output = self.output if output is None else output
        if self.dialect == "messages":
            return {"input_tokens": self.plain, "cache_read_input_tokens": self.read, "cache_creation_input_tokens": self.five + self.hour,
                    "cache_creation": {"ephemeral_5m_input_tokens": self.five, "ephemeral_1h_input_tokens": self.hour}, "output_tokens": output}
        if self.dialect == "responses":
            return {"input_tokens": self.plain + self.read, "input_tokens_details": {"cached_tokens": self.read}, "output_tokens": output,
                    "output_tokens_details": {"reasoning_tokens": self.reasoning}, "total_tokens": self.plain + self.read + output}
        if self.dialect == "chat":
            return {"prompt_tokens": self.plain + self.read, "prompt_tokens_details": {"cached_tokens": self.read}, "completion_tokens": output,
                    "completion_tokens_details": {"reasoning_tokens": self.reasoning}, "total_tokens": self.plain + self.read + output}
        return {"promptTokenCount": self.plain + self.read, "cachedContentTokenCount": self.read, "candidatesTokenCount": output - self.reasoning,
                "thoughtsTokenCount": self.reasoning, "totalTokenCount": self.plain + self.read + output}


# --- whole answers ---------------------------------------------------------------------------------------------------


def document(told, name):
    text = text_of(told.text)
    if told.dialect == "messages":
        return {"id": "msg_" + name, "type": "message", "role": "assistant", "model": name, "content": [{"type": "text", "text": text}],
                "stop_reason": "end_turn", "usage": told.usage()}
    if told.dialect == "responses":
        return {"id": "resp_" + name, "object": "response", "status": "completed", "error": None, "model": name,
                "output": [{"type": "message", "content": [{"type": "output_text", "text": text}]}], "usage": told.usage(), "metadata": {}}
    if told.dialect == "chat":
        return {"id": "chatcmpl-" + name, "object": "chat.completion", "model": name,
                "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}], "usage": told.usage()}
    return {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP"}], "usageMetadata": told.usage(),
            "modelVersion": name, "responseId": "g" + name}


def body(random, told, name):
    return json.dumps(document(told, name), ensure_ascii=random.random() < 0.5, indent=random.choice([None, 1])).encode()


# --- streams ---------------------------------------------------------------------------------------------------------


def events(told, name):
    """(event's name or None, document or word, "count" where the last count stands) in order."""
    words = [text_of([word]) for word in told.text]
    if told.dialect == "messages":
        yield "message_start", {"type": "message_start", "message": {"id": "msg_" + name, "type": "message", "role": "assistant", "model": name,
                                                                       "content": [], "usage": told.usage(1)}}, ""
        yield "content_block_start", {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}, ""
        yield "ping", {"type": "ping"}, ""
        for word in words:
            yield "content_block_delta", {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}, ""
        yield "message_delta", {"type": "message_delta", "delta": {"stop_reason": "end_turn"},
                                "usage": {"output_tokens": told.output, "input_tokens": 0}}, "count"
        yield "message_stop", {"type": "message_stop"}, "end"
    elif told.dialect == "responses":
        opened = {"id": "resp_" + name, "object": "response", "model": name, "status": "in_progress", "usage": None}
        yield "response.created", {"type": "response.created", "response": opened}, ""
        for word in words:
            yield "response.output_text.delta", {"type": "response.output_text.delta", "delta": word}, ""
        yield "response.completed", {"type": "response.completed", "response": document(told, name)}, "end"
    elif told.dialect == "chat":
        chunk = {"id": "chatcmpl-" + name, "object": "chat.completion.chunk", "model": name}
        for word in words:
            yield None, {**chunk, "choices": [{"index": 0, "delta": {"content": word}}], "usage": None}, ""
        yield None, {**chunk, "choices": [], "usage": told.usage()}, "count"
        yield None, "[DONE]", "end"
    else:
        for i, word in enumerate(words):
            last = i + 1 == len(words)
            part = {"candidates": [{"content": {"role": "model", "parts": [{"text": word}]}}], "modelVersion": name, "responseId": "g" + name,
                    "usageMetadata": told.usage() if last else
                    {"promptTokenCount": told.plain + told.read, "cachedContentTokenCount": told.read, "totalTokenCount": told.plain + told.read}}
            if last:
                part["candidates"][0]["finishReason"] = "STOP"
            yield None, part, "end" if last else ""


def event_bytes(random, event, data, end):
    lines = []
    if random.random() < 0.2:
        lines.append(b": keep-alive" + b"." * random.randrange(0, 40))
    if event:
        lines.append(b"event: " + event.encode())
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=random.random() < 0.5, indent=1 if random.random() < 0.2 else None)
    lines += [(b"data:" if random.random() < 0.3 else b"data: ") + line.encode() for line in text.split("\n")]
    return end.join(lines) + end + end


def stream(random, told, name, upto=None):
    """The bytes of a stream; upto="" leaves out everything from the last count on, "count" only what comes behind it."""
    end = random.choice([b"\n", b"\n", b"\r\n"])
    out = b""
    for event, data, mark in events(told, name):
        if upto == "" and mark:
            break
        if upto == "count" and mark == "end" and told.dialect in ("messages", "chat"):
            break
        out += event_bytes(random, event, data, end)
    return out


def failed_stream(random, told, name):
    """A stream with status 200 that begins well and then tells an error; with the class that the ledger must name."""
    begun = stream(random, told, name, upto="")
    if told.dialect == "messages":
        end = ("error", {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "overloaded_error")
    elif told.dialect == "responses":
        failed = {"id": "resp_" + name, "model": name, "status": "failed", "error": {"code": "rate_limit_exceeded", "message": "slow"}, "usage": None}
        end = ("response.failed", {"type": "response.failed", "response": failed}, "rate_limit_exceeded")
    elif told.dialect == "chat":
        end = (None, {"error": {"type": "server_error", "message": "boom", "code": None}}, "server_error")
    else:
        end = (None, {"error": {"code": 503, "message": "later", "status": "UNAVAILABLE"}}, "UNAVAILABLE")
    return begun + event_bytes(random, end[0], end[1], b"\n"), end[2]


def error_body(dialect, status):
    """An upstream's own error, with the class that the ledger must name."""
    if dialect == "messages":
        return {"type": "error", "error": {"type": "rate_limit_error" if status == 429 else "api_error", "message": "no"}}
    if dialect == "gemini":
        return {"error": {"code": status, "message": "no", "status": "RESOURCE_EXHAUSTED" if status == 429 else "INTERNAL"}}
    return {"error": {"message": "no", "type": "server_error", "code": "rate_limit_exceeded" if status == 429 else None}}


def pieces(random, data):
    """The bytes in parts of any size; some so small that names and numbers are cut."""
    most = random.choice([1, 7, 64, 4_000, 100_000]) if len(data) < 3_000 else random.choice([64, 4_000, 100_000])
    at = 0
    while at < len(data):
        size = random.randrange(1, most + 1)
        yield data[at:at + size]
        at += size


def compressed(data):
    return gzip.compress(data)


def cost(told, price):
    """USD by the contract's rule: cached input has prices of its own."""
    write_hour = price.get("cache_write_1h", price["cache_write"])
    if told.dialect != "messages":
        return (told.plain * price["input"] + told.read * price["cache_read"] + told.output * price["output"]) / 1e6
    return math.fsum([told.plain * price["input"], told.read * price["cache_read"], told.five * price["cache_write"], told.hour * write_hour,
                      told.output * price["output"]]) / 1e6
