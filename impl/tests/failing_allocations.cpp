// operator new, mmap and munmap of the tests of memory that runs out.
#include "failing_allocations.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

#if defined(__linux__)
#include <cerrno>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace hotindex::tests {
constinit thread_local Failure failure;

namespace {
bool fails_now() noexcept {
    if (failure.left == 0 || --failure.left != 0)
        return false;
    failure.met = true;
    if (failure.persistent)
        failure.left = 1;
    return true;
}

void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
    if (fails_now())
        return nullptr;
    bytes = std::max<std::size_t>(bytes, 1);
    void* const memory = alignment <= alignof(std::max_align_t)
                             ? std::malloc(bytes)
                             : std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
    if (memory != nullptr)
        live_blocks.fetch_add(1, std::memory_order_relaxed);
    return memory;
}
void* allocate_or_throw(std::size_t bytes, std::size_t alignment) {
    void* const memory = allocate(bytes, alignment);
    if (memory == nullptr)
        throw std::bad_alloc();
    return memory;
}
void release(void* memory) noexcept {
    if (memory == nullptr)
        return;
    live_blocks.fetch_sub(1, std::memory_order_relaxed);
    std::free(memory);
}
} // namespace
} // namespace hotindex::tests

using namespace hotindex::tests;

// clang-format off
void* operator new(std::size_t n) { return allocate_or_throw(n, 0); }
void* operator new[](std::size_t n) { return allocate_or_throw(n, 0); }
void* operator new(std::size_t n, std::align_val_t a) { return allocate_or_throw(n, static_cast<std::size_t>(a)); }
void* operator new[](std::size_t n, std::align_val_t a) { return allocate_or_throw(n, static_cast<std::size_t>(a)); }
void* operator new(std::size_t n, const std::nothrow_t&) noexcept { return allocate(n, 0); }
void* operator new[](std::size_t n, const std::nothrow_t&) noexcept { return allocate(n, 0); }
void* operator new(std::size_t n, std::align_val_t a, const std::nothrow_t&) noexcept { return allocate(n, static_cast<std::size_t>(a)); }
void* operator new[](std::size_t n, std::align_val_t a, const std::nothrow_t&) noexcept { return allocate(n, static_cast<std::size_t>(a)); }
void operator delete(void* p) noexcept { release(p); }
void operator delete[](void* p) noexcept { release(p); }
void operator delete(void* p, std::size_t) noexcept { release(p); }
void operator delete[](void* p, std::size_t) noexcept { release(p); }
void operator delete(void* p, std::align_val_t) noexcept { release(p); }
void operator delete[](void* p, std::align_val_t) noexcept { release(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { release(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { release(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { release(p); }
void operator delete[](void* p, const std::nothrow_t&) noexcept { release(p); }
void operator delete(void* p, std::align_val_t, const std::nothrow_t&) noexcept { release(p); }
void operator delete[](void* p, std::align_val_t, const std::nothrow_t&) noexcept { release(p); }
// clang-format on

#if defined(__linux__)
extern "C" void* mmap(void* addr, std::size_t len, int prot, int flags, int fd, off_t offset) noexcept {
    if (fails_now()) {
        failed_mappings.fetch_add(1, std::memory_order_relaxed);
        errno = ENOMEM;
        return MAP_FAILED;
    }
    const long mapped = syscall(SYS_mmap, addr, len, prot, flags, fd, offset);
    if (mapped == -1)
        return MAP_FAILED;
    mapped_bytes.fetch_add(static_cast<std::int64_t>(len), std::memory_order_relaxed);
    return reinterpret_cast<void*>(mapped);
}
extern "C" int munmap(void* addr, std::size_t len) noexcept {
    const long answer = syscall(SYS_munmap, addr, len);
    if (answer == 0)
        mapped_bytes.fetch_sub(static_cast<std::int64_t>(len), std::memory_order_relaxed);
    return static_cast<int>(answer);
}
#endif
