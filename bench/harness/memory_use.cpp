#include "harness/memory_use.hpp"

#include <array>
#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

namespace hotindex::bench {
namespace {

/// Bytes of this process by a line of /proc/self/status, such as "VmRSS:"; 0 where there is none.
double status_bytes(const std::string& name) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with(name))
            return std::strtod(line.c_str() + name.size(), nullptr) * 1024; // they are in kB
    return 0;
}

#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
constexpr bool known = true;

/// Without what freed threads or structures have left: the allocator keeps that.
MemoryUse now() {
    const struct mallinfo2 heap = ::mallinfo2();
    const double mapped_by_heap = static_cast<double>(heap.arena) + static_cast<double>(heap.hblkhd);
    const double given_out = static_cast<double>(heap.uordblks) + static_cast<double>(heap.hblkhd);
    // VmData is all private writable memory: what lies outside the heap is mapped by the structure itself.
    return {status_bytes("VmData:") - mapped_by_heap + given_out, status_bytes("VmRSS:")};
}
#else
constexpr bool known = false;

MemoryUse now() {
    return {};
}
#endif

/// Makes it, and writes what that has taken.
[[noreturn]] void measure_into(int pipe, const std::function<std::shared_ptr<const void>()>& make) {
    try {
        // The first look at the files takes memory, too.
        (void)now();
        const MemoryUse before = now();
        const std::shared_ptr<const void> made = make();
        const MemoryUse after = now();
        const std::array grown{after.accounted - before.accounted, after.resident - before.resident};
        _exit(::write(pipe, grown.data(), sizeof grown) == static_cast<ssize_t>(sizeof grown) ? 0 : 1);
    } catch (...) { // the parent says that it is not known
        _exit(1);
    }
}

} // namespace

std::optional<MemoryUse> memory_of(const std::function<std::shared_ptr<const void>()>& make) {
    std::array<int, 2> pipe{};
    if (!known || ::pipe(pipe.data()) != 0)
        return std::nullopt;
    const pid_t child = ::fork();
    if (child == 0) {
        (void)::close(pipe[0]);
        measure_into(pipe[1], make);
    }
    (void)::close(pipe[1]);
    std::array<double, 2> grown{};
    const bool read = child > 0 && ::read(pipe[0], grown.data(), sizeof grown) == static_cast<ssize_t>(sizeof grown);
    (void)::close(pipe[0]);
    int status = 1;
    const bool ended = child > 0 && ::waitpid(child, &status, 0) == child && status == 0;
    if (!read || !ended)
        return std::nullopt;
    return MemoryUse{grown[0], grown[1]};
}

} // namespace hotindex::bench
