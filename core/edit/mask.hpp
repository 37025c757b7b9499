#pragma once

#include "core/edit/document.hpp"

#include <span>
#include <string>
#include <string_view>

namespace dbx::edit {

// What a masked value reads as: "dapi****" for known shapes (the shape's prefix stays), "****" otherwise.
// Never tells the length.
inline constexpr std::string_view masked = "****";

// True for names that hold secrets: TOKEN, KEY, SECRET, PASSWORD or AUTHORIZATION in any case, anywhere in
// the name.
bool is_secret_name(std::string_view name);

// Free text (log lines, error messages, server words): known token shapes (dapi…, eyJ…, sk-…, ghp_…, AIza…,
// and their kin), "Bearer x", and NAME=value / NAME: value where NAME is a secret name. Line structure stays.
std::string mask_text(std::string_view text);

// A single value under a key.
std::string mask_value(std::string_view key, std::string_view value);

// A whole file, line for line: values under secret names (in any component of their path), `secrets` wherever
// they stand, and everything mask_text masks, comments included. Booleans and null are never masked. A text
// that does not parse is treated by mask_text and by line. The number of lines never changes.
std::string mask_file(Format format, std::string_view text, std::span<const std::string> secrets);

} // namespace dbx::edit
