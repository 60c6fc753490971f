#include "harness/memory_use.hpp"

#include <array>
#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <malloc.h>
#include <string>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>

namespace hotindex::bench {
namespace {

/// The bytes that a line of such a file tells in kB, 0 where there is none.
double told_by(const char* path, std::string_view name) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);)
        if (line.starts_with(name))
            return std::strtod(line.c_str() + name.size(), nullptr) * 1024;
    return 0;
}

/// Resident bytes of this process. The first file counts pages, the second one is quicker and rounds.
double resident() {
    const double counted = told_by("/proc/self/smaps_rollup", "Rss:");
    return counted > 0 ? counted : told_by("/proc/self/status", "VmRSS:");
}

/// Makes it, and writes what that has taken.
[[noreturn]] void measure_into(int pipe, const std::function<Made()>& make) {
    try {
        (void)resident(); // the first look takes memory, too
#ifdef __GLIBC__
        (void)malloc_trim(0); // or what the parent has freed would be used again
#endif
        const double before = resident();
        const Made made = make();
        const std::array told{made.accounted, resident() - before};
        _exit(::write(pipe, told.data(), sizeof told) == static_cast<ssize_t>(sizeof told) ? 0 : 1);
    } catch (...) { // the parent says that it is not known
        _exit(1);
    }
}

} // namespace

std::optional<MemoryUse> memory_of(const std::function<Made()>& make) {
    std::array<int, 2> pipe{};
    if (::pipe(pipe.data()) != 0)
        return std::nullopt;
    const pid_t child = ::fork();
    if (child == 0) {
        (void)::close(pipe[0]);
        measure_into(pipe[1], make);
    }
    (void)::close(pipe[1]);
    std::array<double, 2> told{};
    const bool read = child > 0 && ::read(pipe[0], told.data(), sizeof told) == static_cast<ssize_t>(sizeof told);
    (void)::close(pipe[0]);
    int status = 1;
    const bool ended = child > 0 && ::waitpid(child, &status, 0) == child && status == 0;
    if (!read || !ended)
        return std::nullopt;
    return MemoryUse{told[0], told[1]};
}

} // namespace hotindex::bench
