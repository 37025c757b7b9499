#pragma once

// What the files of this room share; no other room includes it.

#include "core/base/error.hpp"
#include "core/system/files.hpp"

#include <sys/stat.h>
#include <sys/types.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <utility>

namespace dbx::system::posix {

// An open file descriptor, closed at the end of its life.
class Descriptor {
  public:
    Descriptor() = default;
    explicit Descriptor(int value)
        : value_(value) {}
    Descriptor(Descriptor&& other) noexcept
        : value_(std::exchange(other.value_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(value_, other.value_);
        return *this;
    }
    ~Descriptor();

    int get() const { return value_; }
    int release() { return std::exchange(value_, -1); }
    bool valid() const { return value_ >= 0; }

  private:
    int value_ = -1;
};

// Calls again as long as a signal interrupts the call.
template <class Call>
auto retry(Call call) {
    decltype(call()) result;
    do result = call();
    while (result == -1 && errno == EINTR);
    return result;
}

// Why something on the file system does not work, and what a person does about it.
struct Trouble {
    std::string why;
    std::string fix = {};
    std::string state = {}; // see Error::state
};

template <class T>
using Outcome = tl::expected<T, Trouble>;

inline tl::unexpected<Trouble> trouble(std::string why, std::string fix = {}) {
    return tl::unexpected<Trouble>(Trouble{std::move(why), std::move(fix), {}});
}

// An error of kind `file`: "cannot <verb> <path>", with the trouble's reason.
tl::unexpected<Error> cannot(std::string_view verb, const Path& path, Trouble trouble);

// Adds the end of its symbolic links to the reason, if there are any and it is not yet named.
Trouble name_where_it_leads(const Path& path, Trouble trouble);

enum class Purpose { read, write };

// The reason behind an errno of an operation on `path`, in words: names the folder or file that is in the
// way, with its mode and owner.
Trouble explain(int error_number, const Path& path, Purpose purpose);

// For messages: control characters and bytes that are not UTF-8 become \xNN.
std::string shown(const Path& path);
std::string octal(mode_t mode);
std::string user_name(uid_t user);

// "a folder", "a device", …
std::string kind_in_words(mode_t mode);

// Every symbolic link of `path` followed, also when its last components do not exist.
Outcome<Path> follow(const Path& path);

// The file that a write to `path` would replace or create.
struct Target {
    Path path; // symbolic links followed
    Path folder;
    std::string name;
    bool exists = false;
    struct stat old = {}; // when it exists
};

// Finds it and checks what can be known before a write: it is a regular file that we may write, not in a
// read-only store. Nothing about the folder.
Outcome<Target> find_target(const Path& path);

// Whether new names can be made in `folder`, or in the nearest of its parents that exists.
Outcome<void> check_folder(const Path& folder);

// Who owns a file or folder that we create in `folder`: root working in somebody else's folder creates for
// its owner.
struct Owner {
    uid_t user;
    gid_t group;
};
Owner owner_of_new(const struct stat& folder);
// Gives the open new file or folder to that owner, as far as the system lets us.
void give_to_owner(int descriptor, const struct stat& fresh, const struct stat& folder);

// Everything, or -1 with errno.
int write_all(int descriptor, std::string_view bytes, off_t offset);
// Appends the whole rest of the file to `bytes`; stops beyond `limit` bytes. -1 with errno.
int read_all(int descriptor, std::string& bytes, std::uint64_t limit);

// fsync; file systems that know no fsync for this kind of file are fine. -1 with errno.
int sync(int descriptor);
// Best effort: makes a change of a folder's names durable.
void sync_folder(const Path& folder);

} // namespace dbx::system::posix
