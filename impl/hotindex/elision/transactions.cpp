#include <hotindex/elision/transactions.hpp>

#include <atomic>
#include <cstdint>

#if (defined(__x86_64__) || defined(__i386__)) && !defined(__SANITIZE_THREAD__)
#define HOTINDEX_HAS_RTM 1
#endif
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#undef HOTINDEX_HAS_RTM
#endif
#endif

#if defined(HOTINDEX_HAS_RTM)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace hotindex {

#if defined(HOTINDEX_HAS_RTM)

namespace {
/// What the processor says of itself.
bool announced() noexcept {
    unsigned eax = 0;
    unsigned ebx = 0;
    unsigned ecx = 0;
    unsigned edx = 0;
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0)
        return false;
    constexpr unsigned rtm = 1u << 11;           // of ebx
    constexpr unsigned always_aborts = 1u << 11; // of edx
    return (ebx & rtm) != 0 && (edx & always_aborts) == 0;
}

/// Some hypervisors, and tools such as valgrind, announce transactions of which none commits.
bool commits() noexcept {
    for (int attempt = 0; attempt != 64; ++attempt)
        if (RestrictedTransactions::begin().started()) {
            RestrictedTransactions::commit();
            return true;
        }
    return false;
}
} // namespace

bool RestrictedTransactions::available() noexcept {
    static const bool there = announced() && commits();
    return there;
}

// Out of line: only these functions may hold the instructions. An abort returns from begin() a second time although it
// has returned before, because the processor puts the stack back.
[[gnu::target("rtm")]] TransactionStatus RestrictedTransactions::begin() noexcept {
    const TransactionStatus status(_xbegin());
    std::atomic_signal_fence(std::memory_order_seq_cst); // compilers move nothing out of the transaction
    return status;
}

[[gnu::target("rtm")]] void RestrictedTransactions::commit() noexcept {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    _xend();
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

[[gnu::target("rtm")]] void RestrictedTransactions::abort_because_held() noexcept {
    _xabort(TransactionStatus::held_code);
}

#else

bool RestrictedTransactions::available() noexcept {
    return false;
}
TransactionStatus RestrictedTransactions::begin() noexcept {
    return TransactionStatus(0); // aborted, for no reason that would go away
}
void RestrictedTransactions::commit() noexcept {}
void RestrictedTransactions::abort_because_held() noexcept {}

#endif

} // namespace hotindex
