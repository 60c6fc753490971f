// SystemCalls: what saving asks of the system, one call each, so that a test can let each of them fail, or be the last
// one of its process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <sys/types.h>

namespace hotindex {

/// Each does what the call of that name does: -1 and errno where it fails.
class SystemCalls {
  public:
    SystemCalls() = default;
    SystemCalls(const SystemCalls&) = delete;
    SystemCalls& operator=(const SystemCalls&) = delete;
    virtual ~SystemCalls() = default;

    virtual int open(const char* path, int flags);
    /// Exclusively, without waiting.
    virtual int lock(int file);
    /// To length 0.
    virtual int truncate(int file);
    virtual int change_mode(int file, mode_t mode);
    virtual ssize_t write(int file, const std::byte* bytes, std::size_t size, std::uint64_t at);
    virtual int sync(int file);
    virtual int rename(const char* from, const char* to);
    virtual int remove(const char* path);
    virtual int close(int file);

    /// The real ones.
    static SystemCalls& of_this_system();
};

} // namespace hotindex
