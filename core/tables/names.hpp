#pragma once

#include "core/otlp/names.hpp"

namespace dbx::tables {

// The words that this room has in common with the agents' settings and the proxy.
using otlp::all_signals;
using otlp::check_identifier;
using otlp::check_place;
using otlp::longest_name_bytes;
using otlp::name_of;
using otlp::parse_place;
using otlp::parse_signals;
using otlp::Place;
using otlp::quote_identifier;
using otlp::Signal;

// A user's address, a group's name or an application id. Refused (kind usage): empty, blank at an end,
// control characters, not UTF-8, over 255 bytes.
Result<void> check_principal(std::string_view text);

} // namespace dbx::tables
