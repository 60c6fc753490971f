#include <hotindex/backend/production.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
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

#if defined(__linux__)
void* ArrayMemory::map(std::size_t bytes) {
    if (bytes > ~std::size_t{0} - 2 * huge_page)
        throw std::bad_alloc();
    const std::size_t length = (bytes + huge_page - 1) / huge_page * huge_page;
    // A page more than is needed holds the aligned part; the rest goes back at once.
    void* const mapped =
        mmap(nullptr, length + huge_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED)
        throw std::bad_alloc();
    auto* const begin = static_cast<std::byte*>(mapped);
    const std::size_t before = (huge_page - reinterpret_cast<std::uintptr_t>(begin) % huge_page) % huge_page;
    if (before != 0)
        (void)munmap(begin, before);
    (void)munmap(begin + before + length, huge_page - before);
#if defined(MADV_HUGEPAGE)
    (void)madvise(begin + before, length, MADV_HUGEPAGE); // advice: a kernel may decline
#endif
    return begin + before;
}

void ArrayMemory::unmap(void* memory, std::size_t bytes) noexcept {
    (void)munmap(memory, (bytes + huge_page - 1) / huge_page * huge_page);
}
#else
void* ArrayMemory::map(std::size_t bytes) {
    return ::operator new(bytes, std::align_val_t{huge_page});
}

void ArrayMemory::unmap(void* memory, std::size_t) noexcept {
    ::operator delete(memory, std::align_val_t{huge_page});
}
#endif

} // namespace hotindex
