#include "tests/unit/system/sandbox.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

namespace dbx::system::tests {

namespace fs = std::filesystem;

namespace {

// Runs `work` in a child and hands back its text; `prepare` says whether the child could be made what it
// should be.
std::optional<std::string> in_child(const std::function<bool()>& prepare,
                                    const std::function<std::string()>& work) {
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        ::close(ends[0]);
        if (!prepare()) ::_exit(77);
        const std::string text = work();
        const bool written = ::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size());
        ::_exit(written ? 0 : 1);
    }
    ::close(ends[1]);
    std::string text;
    std::array<char, 4096> buffer{};
    for (ssize_t count; (count = ::read(ends[0], buffer.data(), buffer.size())) > 0;)
        text.append(buffer.data(), static_cast<std::size_t>(count));
    ::close(ends[0]);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) return std::nullopt;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return "the child process broke: " + std::to_string(status);
    return text;
}

} // namespace

Sandbox::Sandbox() {
    std::string name = (fs::temp_directory_path() / "dbx-agents-test-XXXXXX").native();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = fs::canonical(name);
    REQUIRE(::chmod(path_.c_str(), 0755) == 0);
}

Sandbox::~Sandbox() {
    // Tests take rights away from folders.
    std::error_code error;
    for (fs::recursive_directory_iterator entry(path_, error), end; !error && entry != end;
         entry.increment(error))
        if (entry->is_directory(error) && !entry->is_symlink(error))
            fs::permissions(*entry, fs::perms::owner_all, fs::perm_options::add, error);
    fs::remove_all(path_, error);
}

Path Sandbox::put(const Path& name, std::string_view bytes, mode_t mode) const {
    const Path path = path_ / name;
    fs::create_directories(path.parent_path());
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    REQUIRE(file >= 0);
    REQUIRE(::write(file, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    REQUIRE(::fchmod(file, mode) == 0);
    ::close(file);
    return path;
}

std::string Sandbox::get(const Path& name) const {
    const int file = ::open((path_ / name).c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return "(no file)";
    std::string text;
    std::array<char, 4096> buffer{};
    for (ssize_t count; (count = ::read(file, buffer.data(), buffer.size())) > 0;)
        text.append(buffer.data(), static_cast<std::size_t>(count));
    ::close(file);
    return text;
}

mode_t Sandbox::mode(const Path& name) const {
    struct stat status = {};
    REQUIRE(::stat((path_ / name).c_str(), &status) == 0);
    return status.st_mode & 07777;
}

void Sandbox::give_to(uid_t user, gid_t group) const {
    if (!is_root()) return;
    REQUIRE(::lchown(path_.c_str(), user, group) == 0);
    for (const auto& entry : fs::recursive_directory_iterator(path_))
        REQUIRE(::lchown(entry.path().c_str(), user, group) == 0);
}

bool is_root() {
    return ::geteuid() == 0;
}

std::string as_ordinary_user(const std::function<std::string()>& work) {
    const auto become_one = [] {
        if (!is_root()) return true;
        return ::setgroups(0, nullptr) == 0 &&
               ::setresgid(ordinary_user, ordinary_user, ordinary_user) == 0 &&
               ::setresuid(ordinary_user, ordinary_user, ordinary_user) == 0;
    };
    const auto text = in_child(become_one, work);
    REQUIRE(text);
    return *text;
}

std::optional<std::string> with_own_mounts(const std::function<std::string()>& work) {
    const auto separate = [] {
        return ::unshare(CLONE_NEWNS) == 0 &&
               ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
    };
    auto text = in_child(separate, work);
    if (!text) MESSAGE("skipped: this system does not let us mount");
    return text;
}

std::string in_words(const Result<void>& result) {
    if (result) return ok;
    return result.error().what + " | " + result.error().why + " | " + result.error().fix;
}

} // namespace dbx::system::tests
