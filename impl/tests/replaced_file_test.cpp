// A file that is saved is there as it was or as it becomes, whatever ends or fails meanwhile.
#include "catch.hpp"
#include "child_program.hpp"
#include "saved_bytes.hpp"
#include "scratch_folder.hpp"

#include <hotindex/storage/saved_index.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <filesystem>
#include <optional>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace {
using namespace hotindex;
using namespace hotindex::tests;
namespace fs = std::filesystem;

/// Each call comes by at meet(); what that says may be done in its place.
class WatchedCalls : public SystemCalls {
  public:
    enum class Kind { open, lock, truncate, change_mode, write, sync, rename, remove, close };

    int open(const char* path, int flags) override {
        return in_place(Kind::open, [&] { return SystemCalls::open(path, flags); });
    }
    int lock(int file) override {
        return in_place(Kind::lock, [&] { return SystemCalls::lock(file); });
    }
    int truncate(int file) override {
        return in_place(Kind::truncate, [&] { return SystemCalls::truncate(file); });
    }
    int change_mode(int file, mode_t mode) override {
        return in_place(Kind::change_mode, [&] { return SystemCalls::change_mode(file, mode); });
    }
    ssize_t write(int file, const std::byte* bytes, std::size_t size, std::uint64_t at) override {
        return in_place(Kind::write, [&] { return SystemCalls::write(file, bytes, at_most(size), at); });
    }
    int sync(int file) override {
        return in_place(Kind::sync, [&] { return really_sync(file); });
    }
    int rename(const char* from, const char* to) override {
        return in_place(Kind::rename, [&] { return SystemCalls::rename(from, to); });
    }
    int remove(const char* path) override {
        return in_place(Kind::remove, [&] { return SystemCalls::remove(path); });
    }
    int close(int file) override {
        return in_place(Kind::close, [&] { return SystemCalls::close(file); });
    }

  protected:
    /// The error to end with, or 0: do it.
    virtual int meet(Kind) { return 0; }
    virtual void done(Kind) {}
    virtual std::size_t at_most(std::size_t size) { return size; }
    /// Nothing: the device is not part of these tests, and would take most of their time.
    virtual int really_sync(int) { return 0; }

  private:
    template <class Call>
    auto in_place(Kind kind, Call call) -> decltype(call()) {
        if (const int error = meet(kind); error != 0) {
            errno = error;
            return -1;
        }
        const auto result = call();
        const int error = errno;
        done(kind);
        errno = error;
        return result;
    }
};
using Kind = WatchedCalls::Kind;

/// The process is killed before its n-th call, after it, or in the middle of it, if it is a write.
class KillingCalls final : public WatchedCalls {
  public:
    enum class When { before, after, within };
    KillingCalls(int n, When when) : left_(n), when_(when) {}

  private:
    int meet(Kind) override {
        if (left_ == 0 && when_ == When::before)
            kill(getpid(), SIGKILL);
        return 0;
    }
    std::size_t at_most(std::size_t size) override { return left_ == 0 && when_ == When::within ? size / 2 : size; }
    void done(Kind) override {
        if (left_-- == 0)
            kill(getpid(), SIGKILL);
    }
    int left_;
    When when_;
};

/// The n-th call fails.
class FailingCalls final : public WatchedCalls {
  public:
    FailingCalls(int n, int error) : left_(n), error_(error) {}
    std::optional<Kind> failed;

  private:
    int meet(Kind kind) override {
        if (left_-- != 0)
            return 0;
        failed = kind;
        return error_;
    }
    int left_;
    int error_;
};

/// Two vectors of so many floats that each is a block of its own.
PlainIndex state(float value) {
    PlainIndex index({.dimension = (std::size_t{1} << 18) - 8, .metric = Metric::inner_product});
    for (const char* id : {"one", "two"})
        index.add_vector(id, std::vector<float>(index.options().dimension, value));
    return index;
}
bool holds(const fs::path& path, const PlainIndex& index) {
    return load<PlainIndex>(path)->vectors() == index.vectors();
}
PlainIndex small_state(float value) {
    PlainIndex index({.dimension = 1, .metric = Metric::inner_product});
    index.add_vector("one", std::vector<float>{value});
    return index;
}

/// What saving says when it is refused; empty when it is not.
std::string refusal(const PlainIndex& index, const fs::path& path, SystemCalls& calls) {
    try {
        (void)save(index, path, calls);
    } catch (const StorageError& error) {
        CHECK(error.path() == path);
        CHECK_FALSE(error.bytes().has_value());
        return error.what();
    }
    return {};
}
std::string refusal(const PlainIndex& index, const fs::path& path) {
    return refusal(index, path, SystemCalls::of_this_system());
}

/// The status of a child process that does this.
template <class Do>
int status_of_child(Do what) {
    const pid_t child = fork();
    if (child == 0) {
        try {
            what();
        } catch (...) {
            _exit(3);
        }
        _exit(0);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    return status;
}
} // namespace

TEST_CASE("a process that is killed at any call while it saves leaves the old file or the new one, whole",
          "[storage]") {
    const PlainIndex old_state = state(1), new_state = state(2);
    Undurable undurable;
    const ScratchFolder folder;
    const fs::path path = folder / "saved";
    for (const KillingCalls::When when :
         {KillingCalls::When::before, KillingCalls::When::after, KillingCalls::When::within}) {
        int kills = 0, olds = 0, news = 0;
        (void)save(old_state, path, undurable);
        for (;; ++kills) {
            const int status = status_of_child([&] {
                KillingCalls calls(kills, when);
                (void)save(new_state, path, calls);
            });
            if (!WIFSIGNALED(status)) {
                CHECK(status == 0);
                break;
            }
            REQUIRE(WTERMSIG(status) == SIGKILL);
            const bool is_old = holds(path, old_state);
            olds += is_old;
            news += !is_old && holds(path, new_state);
            INFO("call " << kills);
            CHECK(olds + news == kills + 1);
            // What the process has left is in nobody's way.
            if (!is_old)
                (void)save(old_state, path, undurable);
        }
        CHECK(holds(path, new_state));
        CHECK_FALSE(fs::exists(folder / "saved.saving"));
        CHECK(kills >= 20);
        CHECK(olds >= 15);
        CHECK(news >= 2); // the folder is written, and two files are closed
    }
}

TEST_CASE("a process that is killed while it saves and writes leaves a state that its index was in",
          "[storage][threads]") {
    const ScratchFolder folder;
    for (int microseconds = 0; microseconds < 20'000; microseconds += 1000) {
        const Ended ended = run_program(
            {HOTINDEX_LIFETIMES_PROGRAM, "save", (folder / "saved").string(), std::to_string(microseconds)});
        INFO(ended.output);
        CHECK(ended.status == 128 + SIGKILL);
        CHECK(objection_to_saved(folder / "saved", 100) == "");
    }
}

TEST_CASE("whichever call fails, the file stays as it was, nothing is left beside it, and the error tells why",
          "[storage]") {
    const ScratchFolder folder;
    const fs::path path = folder / "saved";
    Undurable undurable;
    for (const int error : {ENOSPC, EIO, EACCES}) {
        std::vector<Kind> kinds;
        for (int n = 0;; ++n) {
            (void)save(small_state(1), path, undurable);
            FailingCalls calls(n, error);
            const std::string said = refusal(small_state(2), path, calls);
            if (!calls.failed)
                break;
            kinds.push_back(*calls.failed);
            INFO("call " << n << ": " << said);
            // Without its lock, it may be somebody else's.
            CHECK(fs::exists(folder / "saved.saving") == (*calls.failed == Kind::lock));
            if (*calls.failed == Kind::close) { // the file is on the device already
                CHECK(said.empty());
                CHECK(holds(path, small_state(2)));
                continue;
            }
            CHECK(said.starts_with(path.string() + ": "));
            CHECK(said.find(std::generic_category().message(error)) != std::string::npos);
            CHECK(said.find("; ") != std::string::npos);
            const bool folder_failed = *calls.failed == Kind::sync && std::ranges::count(kinds, Kind::sync) == 2;
            CHECK((said.find("it is saved, but the folder") != std::string::npos) == folder_failed);
            CHECK(holds(path, small_state(folder_failed ? 2 : 1)));
        }
        for (const Kind kind : {Kind::open, Kind::lock, Kind::truncate, Kind::change_mode, Kind::write, Kind::sync,
                                Kind::rename, Kind::close})
            CHECK(std::ranges::count(kinds, kind) >= 1);
        CHECK(holds(path, small_state(2)));
    }
}

TEST_CASE("writes that a signal interrupts, or that are short, are taken up again", "[storage]") {
    class Hindered final : public WatchedCalls {
        int meet(Kind kind) override {
            return kind != Kind::rename && kind != Kind::close && ++met_ % 2 != 0 ? EINTR : 0;
        }
        std::size_t at_most(std::size_t size) override { return std::min<std::size_t>(size, 7); }
        int met_ = 0;
    };
    const ScratchFolder folder;
    Hindered calls;
    (void)save(small_state(3), folder / "saved", calls);
    CHECK(holds(folder / "saved", small_state(3)));
}

TEST_CASE("a file is on the device before it has its name, and its folder before saving returns", "[storage]") {
    class Noted final : public WatchedCalls {
      public:
        std::string order;

      private:
        int meet(Kind kind) override {
            order += kind == Kind::write ? "w" : kind == Kind::rename ? "r" : "";
            return 0;
        }
        int really_sync(int file) override {
            struct stat found{};
            order += fstat(file, &found) == 0 && S_ISDIR(found.st_mode) ? "D" : "F";
            return SystemCalls::sync(file);
        }
    };
    const ScratchFolder folder;
    Noted calls;
    (void)save(small_state(3), folder / "saved", calls);
    CHECK(calls.order == "wwwwwwwFrD"); // a header's place, a block of five parts, the header
}

TEST_CASE("a device that is full is told of, and the limit on a file's size", "[storage]") {
    class Full final : public WatchedCalls {
        ssize_t write(int, const std::byte* bytes, std::size_t size, std::uint64_t at) override {
            const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
            const ssize_t written = SystemCalls::write(full, bytes, size, at);
            const int error = errno;
            ::close(full);
            errno = error;
            return written;
        }
    };
    const ScratchFolder folder;
    const fs::path path = folder / "saved";
    (void)save(small_state(1), path);
    Full calls;
    const std::string said = refusal(small_state(2), path, calls);
    CHECK(said == fmt::format("{0}: cannot write 64 bytes to {0}.saving: No space left on device; free some space, or "
                              "give a path on another device; what was saved there before is unchanged",
                              path.string()));
    CHECK(holds(path, small_state(1)));

    const int status = status_of_child([&] {
        std::signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{1 << 20, 1 << 20};
        if (setrlimit(RLIMIT_FSIZE, &limit) != 0 ||
            refusal(state(2), path).find("File too large; raise") == std::string::npos)
            _exit(1);
    });
    CHECK(status == 0);
    CHECK(holds(path, small_state(1)));
    CHECK(std::distance(fs::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("a path that cannot be saved to is told of with a remedy", "[storage]") {
    const ScratchFolder folder;
    fs::create_directory(folder / "folder");
    fs::create_directory(folder / "taken.saving");
    write_file(folder / "file", "x");
    struct Wrong {
        fs::path path;
        std::string said;
    };
    for (const Wrong& wrong : {Wrong{folder / "folder", "this is a folder, not a file; give the path of a file in it"},
                               {(folder / "folder") / "", "this is a folder"},
                               {"", "this is a folder"},
                               {"/dev/full", "a device, a pipe or a socket, not a file; give the path of a file"},
                               {folder / "none" / "saved", "No such file or directory; make the folder first"},
                               {folder / "file" / "saved", "Not a directory; make the folder first"},
                               {folder / std::string(300, 'x'), "File name too long; give a shorter name"},
                               {folder / "taken", "Is a directory; remove what is there"}}) {
        const std::string said = refusal(small_state(1), wrong.path);
        INFO(said);
        CHECK(said.starts_with(wrong.path.string() + ": "));
        CHECK(said.find(wrong.said) != std::string::npos);
    }
    CHECK(read_file(folder / "file") == "x");

    // As somebody who may not write to the folder.
    REQUIRE(chmod(folder.path().c_str(), 0555) == 0);
    const int status = status_of_child([&] {
        if (geteuid() == 0 && setuid(65534) != 0)
            _exit(0); // not for this user to try
        const std::string said = refusal(small_state(1), folder / "saved");
        if (said.find("Permission denied; give a path in a folder that this process may write to") == std::string::npos)
            _exit(1);
    });
    CHECK(status == 0);
    REQUIRE(chmod(folder.path().c_str(), 0755) == 0);
}

TEST_CASE("of two who save to one path at a time the second is refused, and what one has left is overwritten",
          "[storage]") {
    const ScratchFolder folder;
    const fs::path path = folder / "saved";
    write_file(folder / "saved.saving", std::string(1 << 16, 'x')); // left by a process that was killed
    {
        StateWriter first(path, small_state(1).options(), format::Ids::strings);
        const std::string said = refusal(small_state(2), path);
        CHECK(said.find("it is being saved to already; save to one path once at a time") != std::string::npos);
        first.add("one", std::vector<float>{1});
        (void)first.commit();
        CHECK(refusal(small_state(2), path).empty()); // the first one's file has its name, and its lock is no matter
    }
    CHECK(holds(path, small_state(2)));
    {
        const StateWriter given_up(path, small_state(1).options(), format::Ids::strings);
    }
    CHECK(holds(path, small_state(2)));
    CHECK(std::distance(fs::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("who waits for nothing finds out that a file beside was renamed meanwhile", "[storage]") {
    /// Before it locks the file that it has opened, that one is somebody else's finished file.
    class Late final : public WatchedCalls {
      public:
        Late(fs::path from, fs::path to) : from_(std::move(from)), to_(std::move(to)) {}
        int opened = 0;

      private:
        void done(Kind kind) override {
            if (kind == Kind::open && ++opened == 1) {
                write_file(from_, "finished");
                fs::rename(from_, to_);
            }
        }
        fs::path from_, to_;
    };
    const ScratchFolder folder;
    Late calls(folder / "saved.saving", folder / "other");
    (void)save(small_state(1), folder / "saved", calls);
    CHECK(read_file(folder / "other") == "finished");
    CHECK(holds(folder / "saved", small_state(1)));
    CHECK(calls.opened == 3); // again, and the folder
}

TEST_CASE("a file system without locks is saved to all the same", "[storage]") {
    for (const int error : {ENOSYS, EOPNOTSUPP, ENOLCK}) {
        const ScratchFolder folder;
        FailingCalls calls(1, error);
        (void)save(small_state(1), folder / "saved", calls);
        CHECK(calls.failed == Kind::lock);
        CHECK(holds(folder / "saved", small_state(1)));
    }
}

TEST_CASE("a saved file keeps its permissions, and a link to it stays one", "[storage]") {
    const ScratchFolder folder;
    (void)save(small_state(1), folder / "saved");
    REQUIRE(chmod((folder / "saved").c_str(), 0640) == 0);
    fs::create_symlink("saved", folder / "link");
    (void)save(small_state(2), folder / "link");
    CHECK(fs::is_symlink(folder / "link"));
    CHECK(holds(folder / "saved", small_state(2)));
    CHECK(fs::status(folder / "saved").permissions() == static_cast<fs::perms>(0640));
    fs::create_symlink("nowhere", folder / "dangling");
    (void)save(small_state(3), folder / "dangling");
    CHECK(holds(folder / "dangling", small_state(3)));
}

TEST_CASE("a path without a folder is one in the working folder", "[storage]") {
    const ScratchFolder folder;
    const int status = status_of_child([&] {
        fs::current_path(folder.path());
        (void)save(small_state(1), "saved");
    });
    CHECK(status == 0);
    CHECK(holds(folder / "saved", small_state(1)));
}
