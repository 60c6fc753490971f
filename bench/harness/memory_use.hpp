// How much memory a structure takes: what it has asked for, and what of it is resident.
#pragma once

#include <functional>
#include <memory>
#include <optional>

namespace hotindex::bench {

struct MemoryUse {
    double accounted = 0; ///< bytes that the allocator has given out, and bytes mapped besides
    double resident = 0;  ///< bytes of memory that are really there, the allocator's own included
};

/// What the structure takes that `make` returns, filled. It is made in a child process of its own, so that nothing that
/// was freed before is used again. Call it while the process has one thread. Nothing where the C library does not tell
/// (glibc does since 2.33), or the child failed.
[[nodiscard]] std::optional<MemoryUse> memory_of(const std::function<std::shared_ptr<const void>()>& make);

} // namespace hotindex::bench
