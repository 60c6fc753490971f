#include "largest_allocation.hpp"

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

std::atomic<std::size_t> largest_allocation{0};

#if HOTINDEX_OWN_NEW
// Not inlined, or g++ takes free() for a mismatch.
[[gnu::noinline]] void* operator new(std::size_t size) {
    std::size_t largest = largest_allocation.load(std::memory_order_relaxed); // relaxed: a statistic
    while (size > largest && !largest_allocation.compare_exchange_weak(largest, size, std::memory_order_relaxed)) {
    }
    if (void* block = std::malloc(size == 0 ? 1 : size))
        return block;
    throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* block) noexcept {
    std::free(block);
}
[[gnu::noinline]] void operator delete(void* block, std::size_t) noexcept {
    std::free(block);
}
#endif
