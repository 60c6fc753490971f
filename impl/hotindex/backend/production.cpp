#include <hotindex/backend/production.hpp>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <unistd.h>

#if defined(__linux__)
#include <linux/membarrier.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#endif

namespace hotindex {

#if defined(__linux__) && defined(SYS_membarrier)
bool AsymmetricFence::detect() noexcept {
    const long offered = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    if (offered < 0 || (offered & MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0)
        return false;
    return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

void AsymmetricFence::heavy() noexcept {
    full();
    // A kernel that forgets the registration (after fork, say) answers EPERM: register again, then repeat.
    while (asymmetric_ && syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0)
        if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) != 0)
            std::abort(); // the light half is a mere compiler barrier: going on would be a silent use-after-free
    full();
}
#else
bool AsymmetricFence::detect() noexcept {
    return false;
}

void AsymmetricFence::heavy() noexcept {
    full();
}
#endif

// Constant initialisation first gives false, which is sound: the light half is then a full fence. A domain that was
// used before this line ran has used full fences on its light side, which any heavy half pairs with.
const bool AsymmetricFence::asymmetric_ = AsymmetricFence::detect();

#if defined(__linux__) && defined(MADV_HUGEPAGE)
void ArrayMemory::prefer_huge_pages(void* memory, std::size_t bytes) noexcept {
    // Whole huge pages only: what else lies in the last one is not ours. Advice: a kernel may decline.
    (void)madvise(memory, bytes / huge_page * huge_page, MADV_HUGEPAGE);
}
#else
void ArrayMemory::prefer_huge_pages(void*, std::size_t) noexcept {}
#endif

// AddressSanitizer watches what operator new gives.
#if defined(__SANITIZE_ADDRESS__)
#define HOTINDEX_PAGES_FROM_NEW
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HOTINDEX_PAGES_FROM_NEW
#endif
#endif
#if !defined(__linux__)
#define HOTINDEX_PAGES_FROM_NEW
#endif

#ifdef HOTINDEX_PAGES_FROM_NEW
void* PageMemory::allocate(std::size_t bytes, std::size_t alignment) {
    return std::memset(::operator new(bytes, std::align_val_t{alignment}), 0, bytes);
}
void PageMemory::release(void* memory, std::size_t, std::size_t alignment) noexcept {
    ::operator delete(memory, std::align_val_t{alignment});
}
void PageMemory::discard(void*, std::size_t) noexcept {}
#else
namespace {
std::size_t page_bytes() noexcept {
    static const auto bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    return bytes;
}
std::size_t whole_pages(std::size_t bytes) noexcept {
    return (bytes + page_bytes() - 1) / page_bytes() * page_bytes();
}
} // namespace

void* PageMemory::allocate(std::size_t bytes, std::size_t alignment) {
    bytes = whole_pages(bytes);
    const std::size_t spare = alignment > page_bytes() ? alignment - page_bytes() : 0;
    void* const mapped = mmap(nullptr, bytes + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED)
        throw std::bad_alloc();
    // What lies before and behind the aligned part goes back at once.
    auto* const begin = static_cast<std::byte*>(mapped);
    const std::size_t before = (alignment - reinterpret_cast<std::uintptr_t>(mapped) % alignment) % alignment;
    if (before != 0)
        (void)munmap(begin, before);
    if (before != spare)
        (void)munmap(begin + before + bytes, spare - before);
    return begin + before;
}
void PageMemory::release(void* memory, std::size_t bytes, std::size_t) noexcept {
    (void)munmap(memory, whole_pages(bytes));
}
void PageMemory::discard(void* memory, std::size_t bytes) noexcept {
    const auto address = reinterpret_cast<std::uintptr_t>(memory);
    const std::uintptr_t begin = whole_pages(address);
    const std::uintptr_t end = (address + bytes) / page_bytes() * page_bytes();
    // Advice: memory that the system keeps, because it is locked, say, is as it was.
    if (begin < end)
        (void)madvise(static_cast<std::byte*>(memory) + (begin - address), end - begin, MADV_DONTNEED);
}
#endif

} // namespace hotindex
