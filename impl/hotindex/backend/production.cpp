#include <hotindex/backend/production.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <span>
#include <thread>
#include <unistd.h>
#include <utility>

#if defined(__linux__)
#include <linux/membarrier.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#endif

namespace hotindex {

// Before anything is settled a light half is a full fence, which any heavy half pairs with, and a heavy half settles it
// first. So it does not matter which static initialiser runs first, nor what threads they start.
constinit std::atomic<AsymmetricFence::Kind> AsymmetricFence::kind_ = Kind::unsettled;
const AsymmetricFence::Kind AsymmetricFence::settled_at_start_ = AsymmetricFence::settle();

AsymmetricFence::Kind AsymmetricFence::settle() noexcept {
    Kind settled = kind_.load(std::memory_order_seq_cst);
    if (settled != Kind::unsettled)
        return settled;
    const Kind found = detect();
    // The first one decides for all: a sandbox may close between two tries.
    return kind_.compare_exchange_strong(settled, found, std::memory_order_seq_cst) ? found : settled;
}

#if defined(__linux__) && defined(SYS_membarrier)
namespace {
[[noreturn]] void denied_late(int error) noexcept {
    static std::atomic_flag said = ATOMIC_FLAG_INIT;
    if (said.test_and_set()) {
        // Another thread is about to write the reason and to end the process.
        std::this_thread::sleep_for(std::chrono::seconds(10));
    } else {
        std::array<char, 512> text{};
        const auto end = fmt::format_to_n(
            text.data(), text.size(),
            "hotindex: membarrier(2) worked when the program started and fails now (errno {}), so no memory can be "
            "reclaimed safely; allow membarrier in the sandbox, or call hotindex::AsymmetricFence::fall_back() before "
            "any index is used\n",
            error);
        std::size_t left = std::min(text.size(), end.size);
        for (const char* at = text.data(); left != 0;) {
            const ssize_t written = ::write(STDERR_FILENO, at, left);
            if (written <= 0)
                break; // there is nobody to tell
            at += written;
            left -= static_cast<std::size_t>(written);
        }
    }
    std::abort();
}
} // namespace

AsymmetricFence::Kind AsymmetricFence::detect() noexcept {
    const long offered = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    if (offered < 0 || (offered & MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0)
        return Kind::full;
    // The command itself is tried, too: a sandbox may allow the registration and deny what it is for.
    return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0 &&
                   syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0
               ? Kind::membarrier
               : Kind::full;
}

void AsymmetricFence::heavy() noexcept {
    full();
    if (settle() == Kind::membarrier) {
        constexpr int most = 1000; // tries, of a millisecond each while the kernel is out of memory
        bool registered_again = false;
        for (int tries = 1; syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0; ++tries) {
            const int error = errno;
            if (error == ENOMEM && tries < most)
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
            // A kernel that has forgotten the registration (after fork, say) answers EPERM. So does a sandbox.
            else if (error != EPERM || std::exchange(registered_again, true) ||
                     syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) != 0)
                denied_late(error);
        }
    }
    full();
}
#else
AsymmetricFence::Kind AsymmetricFence::detect() noexcept {
    return Kind::full;
}

void AsymmetricFence::heavy() noexcept {
    full();
}
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

void ProductionBackend::yield() noexcept {
    std::this_thread::yield();
}

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
    void* const pages = mmap(nullptr, bytes + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        throw std::bad_alloc();
    // What lies before and behind the aligned part goes back at once.
    auto* const begin = static_cast<std::byte*>(pages);
    const std::size_t before = (alignment - reinterpret_cast<std::uintptr_t>(pages) % alignment) % alignment;
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

constinit std::array<PageReserve::Row, PageReserve::sizes> PageReserve::kept_{};
constinit std::atomic<bool> PageReserve::closed_{false};
const PageReserve::AtEnd PageReserve::at_end_;

std::span<std::atomic<void*>> PageReserve::places([[maybe_unused]] std::size_t bytes) noexcept {
#ifndef HOTINDEX_PAGES_FROM_NEW // AddressSanitizer watches what operator new gives
    const std::size_t units = bytes / unit;
    if (std::has_single_bit(bytes) && units >= 1 && units <= std::size_t{1} << (sizes - 1))
        return std::span(kept_[static_cast<std::size_t>(std::countr_zero(units))])
            .first(std::min(at_most, 2 * at_most / units));
#endif
    return {};
}

void* PageReserve::take(std::size_t bytes) noexcept {
    for (std::atomic<void*>& place : places(bytes))
        // relaxed: only a hint where something is
        if (place.load(std::memory_order_relaxed) != nullptr)
            // acquire-exchange; synchronizes-with the release-CAS in give(): all uses of the memory
            if (void* const memory = place.exchange(nullptr, std::memory_order_acquire))
                return memory;
    return nullptr;
}

bool PageReserve::give(void* memory, std::size_t bytes) noexcept {
    if (closed_.load(std::memory_order_relaxed)) // relaxed: nobody gives beside the end of the module
        return false;
    for (std::atomic<void*>& place : places(bytes)) {
        void* none = nullptr;
        // release-CAS; synchronizes-with the acquire-exchange in take(); publishes: all uses of the memory
        if (place.compare_exchange_strong(none, memory, std::memory_order_release, std::memory_order_relaxed))
            return true;
    }
    return false;
}

PageReserve::AtEnd::~AtEnd() {
    closed_.store(true, std::memory_order_relaxed); // relaxed: as in give()
    for (std::size_t bytes = unit; bytes <= unit << (sizes - 1); bytes *= 2)
        while (void* const memory = take(bytes)) {
            // As ProductionBackend::destroy_zeroed_array() does.
            if (bytes >= PageMemory::large)
                PageMemory::release(memory, bytes, unit);
            else
                ::operator delete(memory, std::align_val_t{unit});
        }
}

void* ArrayMemory::map(std::size_t bytes) {
    if (bytes > ~std::size_t{0} - 2 * huge_page)
        throw std::bad_alloc();
    const std::size_t whole = whole_huge_pages(bytes);
    void* const memory = PageMemory::allocate(whole, huge_page);
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    (void)madvise(memory, whole, MADV_HUGEPAGE); // advice: a kernel may decline
#endif
    return memory;
}

void ArrayMemory::unmap(void* memory, std::size_t bytes) noexcept {
    PageMemory::release(memory, whole_huge_pages(bytes), huge_page);
}

} // namespace hotindex
