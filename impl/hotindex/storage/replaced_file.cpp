#include <hotindex/storage/replaced_file.hpp>
#include <hotindex/storage/storage_error.hpp>

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <optional>
#include <string>
#include <sys/file.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace hotindex {

int SystemCalls::open(const char* path, int flags) {
    return ::open(path, flags, 0666); // NOLINT(cppcoreguidelines-pro-type-vararg): that is how it is called
}
int SystemCalls::lock(int file) {
    return ::flock(file, LOCK_EX | LOCK_NB);
}
int SystemCalls::truncate(int file) {
    return ::ftruncate(file, 0);
}
int SystemCalls::change_mode(int file, mode_t mode) {
    return ::fchmod(file, mode);
}
ssize_t SystemCalls::write(int file, const std::byte* bytes, std::size_t size, std::uint64_t at) {
    return ::pwrite(file, bytes, size, static_cast<off_t>(at));
}
int SystemCalls::sync(int file) {
    return ::fsync(file);
}
int SystemCalls::rename(const char* from, const char* to) {
    return std::rename(from, to);
}
int SystemCalls::remove(const char* path) {
    return ::unlink(path);
}
int SystemCalls::close(int file) {
    return ::close(file);
}
SystemCalls& SystemCalls::of_this_system() {
    static SystemCalls calls;
    return calls;
}

namespace {
constexpr std::string_view unchanged = "what was saved there before is unchanged";

std::string remedy_of(int error) {
    switch (error) {
    case ENOSPC:
    case EDQUOT:
        return fmt::format("free some space, or give a path on another device; {}", unchanged);
    case EFBIG:
        return fmt::format("raise the limit on the size of files; {}", unchanged);
    case EACCES:
    case EPERM:
    case EROFS:
        return "give a path in a folder that this process may write to";
    case ENOENT:
    case ENOTDIR:
        return "make the folder first, or give a path in one that is there";
    case EISDIR:
    case ELOOP:
        return "remove what is there";
    case ENAMETOOLONG:
        return "give a shorter name";
    case EWOULDBLOCK:
        return "save to one path once at a time, or give each its own";
    default:
        return fmt::format("look at the device; {}", unchanged);
    }
}

std::string words_of(int error) {
    if (error == EWOULDBLOCK)
        return "it is being saved to already";
    return std::generic_category().message(error);
}

/// Calls again what a signal has interrupted.
template <class Call>
auto uninterrupted(Call call) {
    auto result = call();
    while (result < 0 && errno == EINTR)
        result = call();
    return result;
}
} // namespace

void ReplacedFile::fail(int error, std::string_view doing) const {
    throw StorageError(path_, std::nullopt, fmt::format("cannot {}: {}", doing, words_of(error)), remedy_of(error));
}

ReplacedFile::ReplacedFile(std::filesystem::path path, SystemCalls& calls) : path_(std::move(path)), calls_(calls) {
    check_path();
    open_beside();
}

ReplacedFile::~ReplacedFile() {
    give_up();
}

/// What it can know of the path before it writes a byte.
void ReplacedFile::check_path() {
    std::error_code error;
    target_ = std::filesystem::is_symlink(path_, error) ? std::filesystem::weakly_canonical(path_, error) : path_;
    if (error && error != std::errc::no_such_file_or_directory)
        fail(error.value(), "follow the link");
    const std::filesystem::file_type type = std::filesystem::status(target_, error).type();
    if (path_.empty() || path_.filename().empty() || type == std::filesystem::file_type::directory)
        throw StorageError(path_, std::nullopt, "this is a folder, not a file", "give the path of a file in it");
    if (type != std::filesystem::file_type::regular && type != std::filesystem::file_type::not_found &&
        type != std::filesystem::file_type::none)
        throw StorageError(path_, std::nullopt, "this is a device, a pipe or a socket, not a file",
                           "give the path of a file");
    beside_ = target_;
    beside_ += ".saving";
}

void ReplacedFile::open_beside() {
    // Again where who held the lock has finished in between: bounded by how often that happens.
    while (!lock_beside()) {
    }
    struct stat before{};
    if (::stat(target_.c_str(), &before) != 0 || calls_.change_mode(file_, before.st_mode & 07777) == 0)
        return;
    const int error = errno;
    give_up();
    fail(error, "give the new file the permissions of the old one");
}

void ReplacedFile::give_up() {
    if (!committed_)
        calls_.remove(beside_.c_str()); // before its lock goes
    calls_.close(file_);
}

/// Opens and locks NAME.saving, and empties it. false: somebody has given it another name, or removed it, meanwhile.
bool ReplacedFile::lock_beside() {
    file_ = uninterrupted([&] { return calls_.open(beside_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW); });
    if (file_ < 0)
        fail(errno, fmt::format("write {}", beside_.string()));
    bool ours = false;
    try {
        if (uninterrupted([&] { return calls_.lock(file_); }) != 0) {
            const int error = errno;
            // A file system without locks: then nobody finds out who saves to the same path.
            if (error != ENOSYS && error != EOPNOTSUPP && error != ENOLCK)
                fail(error, fmt::format("lock {}", beside_.string()));
        }
        struct stat opened{};
        struct stat named{};
        ours = ::fstat(file_, &opened) == 0 && ::lstat(beside_.c_str(), &named) == 0 && opened.st_ino == named.st_ino &&
               opened.st_dev == named.st_dev;
        if (ours && uninterrupted([&] { return calls_.truncate(file_); }) != 0)
            fail(errno, fmt::format("empty {}", beside_.string()));
    } catch (...) {
        if (ours)
            calls_.remove(beside_.c_str());
        calls_.close(std::exchange(file_, -1));
        throw;
    }
    if (!ours)
        calls_.close(std::exchange(file_, -1));
    return ours;
}

void ReplacedFile::append(std::span<const std::byte> bytes) {
    write(size_, bytes);
    size_ += bytes.size();
}

void ReplacedFile::overwrite(std::uint64_t at, std::span<const std::byte> bytes) {
    write(at, bytes);
}

void ReplacedFile::write(std::uint64_t at, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t written = uninterrupted([&] { return calls_.write(file_, bytes.data(), bytes.size(), at); });
        if (written <= 0)
            fail(written < 0 ? errno : EIO, fmt::format("write {} bytes to {}", bytes.size(), beside_.string()));
        at += static_cast<std::uint64_t>(written);
        bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
}

void ReplacedFile::commit() {
    // After an error of fsync the system forgets what it could not write: there is no second try.
    if (uninterrupted([&] { return calls_.sync(file_); }) != 0)
        fail(errno, fmt::format("have {} written to the device", beside_.string()));
    const std::filesystem::path parent = target_.parent_path();
    const std::string folder = parent.empty() ? "." : parent.string();
    // Opened before the name is given, because from then on there is no way back.
    const int opened = uninterrupted([&] { return calls_.open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
    if (opened < 0)
        fail(errno, fmt::format("open the folder {}", folder));
    if (calls_.rename(beside_.c_str(), target_.c_str()) != 0) {
        const int error = errno;
        calls_.close(opened);
        fail(error, fmt::format("rename {}", beside_.string()));
    }
    committed_ = true;
    const int synced = uninterrupted([&] { return calls_.sync(opened); });
    const int error = errno;
    calls_.close(opened);
    if (synced != 0 && error != EINVAL) // EINVAL: a file system that does not write folders on request
        throw StorageError(path_, std::nullopt,
                           fmt::format("it is saved, but the folder {} could not be written to the device: {}", folder,
                                       words_of(error)),
                           "until it is, the machine's end may bring back what was there before: save again");
}

} // namespace hotindex
