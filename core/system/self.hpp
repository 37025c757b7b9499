#pragma once

#include "core/base/error.hpp"
#include "core/system/files.hpp"

#include <optional>

namespace dbx::system {

// What this process asks of the system about itself and its descriptors.

// A second descriptor of the same open file, closed on exec; -1 when there is none left.
int duplicate_descriptor(int descriptor);

void close_descriptor(int descriptor);

// From now on this process leaves no core file, and other processes of the user cannot look into its memory.
void keep_memory_private();

// As many open files as the system lets us have; the number.
std::size_t raise_open_file_limit();

// The process that holds the Lock on `path`; nothing when nobody does.
std::optional<long> lock_holder(const Path& path);

// Asks a process to end (SIGTERM). Error: it is not there, or not ours.
Result<void> ask_to_end(long process_id);

// Whether a process of that number runs.
bool process_exists(long process_id);

long process_id();

} // namespace dbx::system
