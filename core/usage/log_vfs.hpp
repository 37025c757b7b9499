#pragma once

namespace dbx::usage {

// Internal to core/usage: the name of a SQLite VFS (sqlite.org/vfs.html) that is the system's own but for one
// thing. SQLite writes each frame of its write-ahead log in two pieces, a header of 24 bytes and behind it
// the page; here they leave in one system call, which is an eighth of a commit's time. What stands in the
// files and which locks are taken is the same. nullptr, the system's own, where SQLite does not take it. Any
// thread.
const char* log_vfs();

} // namespace dbx::usage
