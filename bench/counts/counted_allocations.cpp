// Replaces operator new and delete, and mmap and munmap, by which the library takes large pieces from the system.
#include "counts/counted_allocations.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace {
using hotindex::bench::allocations;

/// What stands before every block: where its memory begins and how many bytes were asked for.
struct BlockHeader {
    void* memory;
    std::size_t bytes;
};

void* allocate_counted(std::size_t bytes, std::size_t alignment) noexcept {
    alignment = std::max(alignment, alignof(std::max_align_t));
    const std::size_t before = (sizeof(BlockHeader) + alignment - 1) / alignment * alignment;
    if (bytes > SIZE_MAX - before - alignment)
        return nullptr;
    void* const memory = std::aligned_alloc(alignment, (before + bytes + alignment - 1) / alignment * alignment);
    if (memory == nullptr)
        return nullptr;
    std::byte* const block = static_cast<std::byte*>(memory) + before;
    ::new (static_cast<void*>(block - sizeof(BlockHeader))) BlockHeader{memory, bytes};
    ++allocations.made;
    allocations.asked += bytes;
    allocations.live += bytes;
    return block;
}

void* allocate_counted_or_throw(std::size_t bytes, std::size_t alignment) {
    void* const block = allocate_counted(bytes, alignment);
    if (block == nullptr)
        throw std::bad_alloc();
    return block;
}

void release_counted(void* block) noexcept {
    if (block == nullptr)
        return;
    const auto* const header =
        reinterpret_cast<const BlockHeader*>(static_cast<std::byte*>(block) - sizeof(BlockHeader));
    allocations.live -= header->bytes;
    std::free(header->memory);
}

#if defined(__linux__)
/// The last piece that was mapped, as far as it still is. A mapping that must be aligned is made larger, and its ends
/// are unmapped at once: these were not asked for.
struct Mapping {
    std::byte* begin = nullptr;
    std::size_t bytes = 0;
};

constinit Mapping last_mapping;

void count_mapped(void* memory, std::size_t bytes) noexcept {
    ++allocations.made;
    allocations.asked += bytes;
    allocations.live += bytes;
    last_mapping = {static_cast<std::byte*>(memory), bytes};
}

void count_unmapped(void* memory, std::size_t bytes) noexcept {
    allocations.live -= bytes;
    auto& [begin, left] = last_mapping;
    const bool first_of_it = memory == begin;
    const bool last_of_it = static_cast<std::byte*>(memory) + bytes == begin + left;
    if (first_of_it && last_of_it) {
        last_mapping = {};
    } else if (first_of_it || last_of_it) {
        allocations.asked -= bytes;
        left -= bytes;
        if (first_of_it)
            begin += bytes;
    }
}
#endif

} // namespace

#if defined(__linux__)
extern "C" void* mmap(void* addr, std::size_t len, int prot, int flags, int fd, off_t offset) noexcept {
    const long mapped = syscall(SYS_mmap, addr, len, prot, flags, fd, offset);
    if (mapped == -1)
        return MAP_FAILED;
    auto* const memory = reinterpret_cast<void*>(mapped);
    count_mapped(memory, len);
    return memory;
}
extern "C" int munmap(void* addr, std::size_t len) noexcept {
    const long answer = syscall(SYS_munmap, addr, len);
    if (answer == 0)
        count_unmapped(addr, len);
    return static_cast<int>(answer);
}
#endif

// The array forms and the forms with a size call these.
void* operator new(std::size_t n) {
    return allocate_counted_or_throw(n, 0);
}
void* operator new(std::size_t n, std::align_val_t a) {
    return allocate_counted_or_throw(n, static_cast<std::size_t>(a));
}
void* operator new(std::size_t n, const std::nothrow_t& /*tag*/) noexcept {
    return allocate_counted(n, 0);
}
void* operator new(std::size_t n, std::align_val_t a, const std::nothrow_t& /*tag*/) noexcept {
    return allocate_counted(n, static_cast<std::size_t>(a));
}
void operator delete(void* block) noexcept {
    release_counted(block);
}
void operator delete(void* block, std::size_t /*bytes*/) noexcept {
    release_counted(block);
}
void operator delete(void* block, std::align_val_t /*alignment*/) noexcept {
    release_counted(block);
}
void operator delete(void* block, std::size_t /*bytes*/, std::align_val_t /*alignment*/) noexcept {
    release_counted(block);
}
