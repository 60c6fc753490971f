// How much memory a structure takes: by its own account, and what of it is really there.
#pragma once

#include <functional>
#include <memory>
#include <optional>

namespace hotindex::bench {

/// A structure that has been made and filled.
struct Made {
    std::shared_ptr<const void> structure;
    double accounted = 0; ///< the bytes that it takes by its own account
};

struct MemoryUse {
    double accounted = 0; ///< bytes, see Made
    double resident = 0;  ///< bytes of memory by which the process grew, what the allocator needs included
};

/// What the structure takes that `make` returns. It is made in a child process of its own, so that nothing that was
/// freed before is used again. Call it while the process has one thread. Nothing where the child failed.
[[nodiscard]] std::optional<MemoryUse> memory_of(const std::function<Made()>& make);

} // namespace hotindex::bench
