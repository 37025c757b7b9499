#include "core/system/shared_file.hpp"

#include "core/system/posix.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <utility>

namespace dbx::system {

using posix::Descriptor;
using posix::explain;
using posix::Purpose;

namespace {

std::byte* map(int descriptor, std::size_t size) {
    void* const at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    return at == MAP_FAILED ? nullptr : static_cast<std::byte*>(at);
}

bool lock(int descriptor) {
    return posix::retry([&] { return ::flock(descriptor, LOCK_EX | LOCK_NB); }) == 0;
}

} // namespace

Result<SharedFile> SharedFile::create(const Path& path, std::size_t bytes) {
    Descriptor file(posix::retry(
        [&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600); }));
    if (!file.valid()) return posix::cannot("create", path, explain(errno, path, Purpose::write));
    struct stat status = {};
    // Somebody who looks for files of dead processes may have been faster than our lock.
    if (!lock(file.get()) || ::fstat(file.get(), &status) != 0 || status.st_nlink == 0)
        return posix::cannot("create", path, {"another process took it"});
    // Taken, not only promised: a store into a page that the disk has no room for would end the process.
    const int error_number = bytes == 0 ? 0 : ::posix_fallocate(file.get(), 0, static_cast<off_t>(bytes));
    std::byte* const at = bytes > 0 && error_number == 0 ? map(file.get(), bytes) : nullptr;
    if (bytes > 0 && at == nullptr) {
        auto trouble = explain(error_number != 0 ? error_number : errno, path, Purpose::write);
        ::unlink(path.c_str());
        return posix::cannot("create", path, std::move(trouble));
    }
    return SharedFile(file.release(), at, bytes);
}

std::optional<SharedFile> SharedFile::adopt(const Path& path, std::size_t limit) {
    Descriptor file(posix::retry(
        [&] { return ::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY); }));
    struct stat status = {};
    if (!file.valid() || !lock(file.get()) || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode) ||
        status.st_nlink == 0 || status.st_size < 0 || static_cast<std::size_t>(status.st_size) > limit)
        return std::nullopt;
    const auto size = static_cast<std::size_t>(status.st_size);
    std::byte* const at = size == 0 ? nullptr : map(file.get(), size);
    if (size > 0 && at == nullptr) return std::nullopt;
    return SharedFile(file.release(), at, size);
}

SharedFile::SharedFile(SharedFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1))
    , bytes_(std::exchange(other.bytes_, nullptr))
    , size_(std::exchange(other.size_, 0)) {}

SharedFile& SharedFile::operator=(SharedFile&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    std::swap(bytes_, other.bytes_);
    std::swap(size_, other.size_);
    return *this;
}

SharedFile::~SharedFile() {
    if (bytes_ != nullptr) ::munmap(bytes_, size_);
    if (descriptor_ >= 0) ::close(descriptor_);
}

} // namespace dbx::system
