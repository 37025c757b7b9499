#pragma once

#include "tests/workspace/otlp_decode.hpp"

#include <cstdint>
#include <vector>

// The messages of OTLP as the public opentelemetry-proto definitions have them (opentelemetry/proto/
// {common,resource,metrics,logs,trace}/v1). Shares nothing with core/otlp.
namespace dbx::standin::proto {

enum class Kind {
    text,
    hex,    // bytes: a trace or span id
    number, // varint
    zigzag,
    flag,
    fixed32,
    fixed64,
    sfixed64,
    real,
    word, // an enum, by its name
    message,
    map, // KeyValue, collected in one object of texts
    any, // AnyValue, as text
};

struct Message;

struct Field {
    std::uint32_t number;
    Kind kind;
    const char* name;
    bool repeated = false;
    const Message* type = nullptr;
    const char* const* words = nullptr; // of an enum, ended by nullptr
};

struct Message {
    const char* name;
    std::vector<Field> fields;
};

// Request, Resource…, Scope… have the same numbers for every signal; what a scope holds is called "items".
const Message& export_request(OtlpSignal signal);

// What an enum left out on the wire is called: 0.
extern const char* const temporality_words[];
extern const char* const kind_words[];
extern const char* const status_words[];
extern const char* const severity_words[];

} // namespace dbx::standin::proto
