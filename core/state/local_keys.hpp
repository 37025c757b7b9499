#pragma once

#include "core/base/error.hpp"
#include "core/base/secret.hpp"
#include "core/system/environment.hpp"
#include "core/system/files.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace dbx::state {

// The local keys: what an agent shows to the proxy on this machine, one per agent, "dbxl_" and 256 random
// bits as 64 hex digits. They stand in local_keys.json in the state directory (0600) and are good nowhere
// else. A key stays until it is rotated, also when its agent no longer uses the proxy.
using LocalKeys = std::map<std::string, Secret>; // by agent

inline constexpr std::string_view local_key_prefix = "dbxl_";
inline constexpr std::size_t local_key_digits = 64;
bool is_local_key(std::string_view text);

// A new one, from the kernel's random numbers.
Secret new_local_key();

Result<system::Path> local_keys_path(const system::Environment& environment);

// All keys; none when there is no file. A damaged file is an error of kind file: an agent that was locked out
// silently would be worse. Reads only, needs no lock: the file is replaced in one step.
Result<LocalKeys> read_local_keys(const system::Environment& environment, system::FileSystem& files);
Result<std::optional<Secret>> read_local_key(std::string_view agent, const system::Environment& environment,
                                             system::FileSystem& files);

// What the file says for these keys. An agent's name that is not UTF-8 is an error of kind usage.
Result<std::string> local_keys_text(const LocalKeys& keys);

// `text` with every local key in it, whichever, replaced by `key`. A key has no character that any format
// would spell differently, so bytes are enough.
std::string with_local_key(std::string_view text, const Secret& key);

} // namespace dbx::state
