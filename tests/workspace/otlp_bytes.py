"""OTLP requests in protobuf, written by hand for tests: a message is a list of fields, a field (number, kind, value).
Field numbers are those of the public opentelemetry-proto definitions."""

import struct


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7f:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, kind, value):
    """kind: v (varint), s (sint), d (double), q (fixed64), Q (sfixed64), i (fixed32), b (bytes, text or a message)."""
    if kind == "v":
        return varint(number << 3) + varint(int(value))
    if kind == "s":
        return varint(number << 3) + varint(value << 1 if value >= 0 else (-value << 1) - 1)
    if kind in "dqQ":
        return varint(number << 3 | 1) + struct.pack({"d": "<d", "q": "<Q", "Q": "<q"}[kind], value)
    if kind == "i":
        return varint(number << 3 | 5) + struct.pack("<I", value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def message(*fields):
    return b"".join(field(*one) for one in fields)


def value(v):
    if isinstance(v, bool):
        return message((2, "v", v))
    if isinstance(v, int):
        return message((3, "v", v))
    if isinstance(v, float):
        return message((4, "d", v))
    if isinstance(v, bytes):
        return message((7, "b", v))
    if isinstance(v, list):
        return message((5, "b", b"".join(field(1, "b", value(one)) for one in v)))
    if isinstance(v, dict):
        return message((6, "b", attributes(1, v)))
    return message((1, "b", v))


def attributes(number, pairs):
    return b"".join(field(number, "b", message((1, "b", k), (2, "b", value(v)))) for k, v in pairs.items())


def resource(pairs):
    return attributes(1, pairs)


def request(items, resource_attributes=None, scope="test", scope_number=1):
    """items: encoded Metric, LogRecord or Span messages."""
    in_scope = message((1, "b", message((1, "b", scope), (2, "b", "1.0"))), *[(2, "b", one) for one in items])
    return message((1, "b", message((1, "b", resource(resource_attributes or {"service.name": "test"})),
                                    (2, "b", in_scope))))


DELTA, CUMULATIVE = 1, 2


def number_point(v, time, start=0, attrs=None):
    shown = (6, "Q", v) if isinstance(v, int) else (4, "d", v)
    return message((2, "q", start), (3, "q", time), shown) + attributes(7, attrs or {})


def sum_metric(name, points, temporality=DELTA, unit=""):
    data = message(*[(1, "b", one) for one in points], (2, "v", temporality), (3, "v", 1))
    return message((1, "b", name), (3, "b", unit), (7, "b", data))


def gauge_metric(name, points):
    return message((1, "b", name), (5, "b", message(*[(1, "b", one) for one in points])))


def histogram_point(count, total, time, start=0, attrs=None):
    return message((2, "q", start), (3, "q", time), (4, "q", count), (5, "d", total),
                   (6, "b", struct.pack("<2Q", count, 0)), (7, "b", struct.pack("<d", 10.0)),
                   (11, "d", total), (12, "d", total)) + attributes(9, attrs or {})


def histogram_metric(name, points, temporality=DELTA):
    data = message(*[(1, "b", one) for one in points], (2, "v", temporality))
    return message((1, "b", name), (9, "b", data))


def log(time, body=None, attrs=None, event_name="", severity=0, trace_id=b"", span_id=b""):
    out = message((1, "q", time), (11, "q", time), (2, "v", severity), (9, "b", trace_id), (10, "b", span_id),
                  (12, "b", event_name))
    if body is not None:
        out += field(5, "b", value(body))
    return out + attributes(6, attrs or {})


def span(name, trace_id, span_id, start, end, attrs=None, kind=1):
    return message((1, "b", trace_id), (2, "b", span_id), (5, "b", name), (6, "v", kind), (7, "q", start),
                   (8, "q", end), (15, "b", message((3, "v", 2), (2, "b", "it failed")))) + attributes(9, attrs or {})
