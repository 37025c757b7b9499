#pragma once

#include <string>
#include <string_view>

namespace dbx::system {

// SHA-256, as 64 lower-case hex digits.
std::string sha256(std::string_view bytes);

// `bytes` random bytes from the kernel, as hex.
std::string random_hex(std::size_t bytes);

} // namespace dbx::system
