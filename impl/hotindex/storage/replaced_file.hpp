// ReplacedFile: a file that is there as it was, or as it becomes, at every moment.
//
// What is to be in it goes to a file beside it, NAME.saving. commit() has the system write that to the device (fsync),
// gives it the name in one step (rename), and has the folder written, too. Whoever opens NAME finds the old file whole
// or the new one whole, also after a crash of the process or of the machine in between; after commit() it is the new
// one.
//
// A process that is killed leaves NAME.saving; the next one to save writes over it. So there is one such file at most,
// and it is locked (flock) by who writes it: of two who save to the same name at the same time the second is refused.
//
// A symbolic link is followed, and stays one. A file keeps the permissions that it had.
#pragma once

#include <hotindex/storage/system_calls.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

namespace hotindex {

/// Used by one thread. Errors are StorageError; then the file is as it was before.
class ReplacedFile {
  public:
    /// Opens the file beside it. The calls outlive this.
    explicit ReplacedFile(std::filesystem::path path, SystemCalls& calls = SystemCalls::of_this_system());
    ReplacedFile(const ReplacedFile&) = delete;
    ReplacedFile& operator=(const ReplacedFile&) = delete;
    /// Without commit(): the file stays as it was.
    ~ReplacedFile();

    /// Writes at the end.
    void append(std::span<const std::byte> bytes);
    /// Writes over what was appended.
    void overwrite(std::uint64_t at, std::span<const std::byte> bytes);
    /// Bytes appended so far.
    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
    /// The file is now what was written, and stays so. Once, and last.
    void commit();

  private:
    void check_path();
    void open_beside();
    bool lock_beside();
    void give_up();
    void write(std::uint64_t at, std::span<const std::byte> bytes);
    [[noreturn]] void fail(int error, std::string_view doing) const;

    std::filesystem::path path_;   ///< as it was given
    std::filesystem::path target_; ///< where its links lead to
    std::filesystem::path beside_;
    SystemCalls& calls_;
    int file_ = -1;
    std::uint64_t size_ = 0;
    bool committed_ = false;
};

} // namespace hotindex
