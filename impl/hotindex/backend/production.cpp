#include <hotindex/backend/production.hpp>

#include <cstdlib>
#include <thread>
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

void ProductionBackend::yield() noexcept {
    std::this_thread::yield();
}

#if defined(__linux__) && defined(MADV_HUGEPAGE)
void ArrayMemory::prefer_huge_pages(void* memory, std::size_t bytes) noexcept {
    // Whole huge pages only: what else lies in the last one is not ours. Advice: a kernel may decline.
    (void)madvise(memory, bytes / huge_page * huge_page, MADV_HUGEPAGE);
}
#else
void ArrayMemory::prefer_huge_pages(void*, std::size_t) noexcept {}
#endif

} // namespace hotindex
