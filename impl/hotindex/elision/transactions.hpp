// Transactions: what a lock asks of a processor with restricted transactional memory (Intel RTM), as a policy.
//
// Between begin() and commit() a processor notes which cache lines a thread reads and writes. Where another thread writes
// one of them, or reads one that was written, the transaction is aborted: what it wrote is gone, registers and stack
// are as they were, and begin() returns a second time, with the reason. Otherwise all of it becomes visible at once.
//
// A policy T provides:
//   T::available()          does this processor have transactions? The same answer as long as the process lives
//   T::begin()              begins one: a status that started(); or, a second time, why that one was aborted
//   T::commit()             ends the caller's transaction; what it wrote is visible from now on
//   T::abort_because_held() aborts the caller's transaction, with AbortReason::lock_held. In software it may return:
//                           then the next begin() is the second return of the last one
//   T::word<B>              an atomic std::uint32_t of backend B that transactions can watch: who has loaded it in a
//                           transaction is aborted before another thread's exchange() has returned
// Tests have policies in software, which abort where a schedule says so.
//
// Sources: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 16.
#pragma once

#include <hotindex/backend/backend.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace hotindex {

/// Why a transaction was aborted.
enum class AbortReason : std::uint8_t {
    conflict,  ///< with another thread's access
    capacity,  ///< it read or wrote more than the processor can note
    lock_held, ///< another thread had the lock, and no transaction
    other,     ///< an interrupt, a page fault, a system call, an instruction that no transaction may hold
};
inline constexpr std::size_t abort_reasons = 4;

[[nodiscard]] constexpr std::string_view name_of(AbortReason reason) noexcept {
    constexpr std::array<std::string_view, abort_reasons> names{"conflict", "capacity", "lock held", "other"};
    return names[static_cast<std::size_t>(reason)];
}

/// What begin() returns, in the processor's own words.
class TransactionStatus {
  public:
    static constexpr std::uint32_t in_transaction = ~std::uint32_t{0};
    // Bits of the status after an abort; the code of an explicit one lies above bit 24.
    static constexpr std::uint32_t explicitly = 1u << 0;
    static constexpr std::uint32_t retry = 1u << 1;
    static constexpr std::uint32_t conflict = 1u << 2;
    static constexpr std::uint32_t capacity = 1u << 3;
    static constexpr std::uint32_t nested = 1u << 5;
    static constexpr std::uint32_t held_code = 0xFF; ///< the explicit abort of a lock that is held
    static constexpr std::uint32_t lock_held = explicitly | held_code << 24;

    constexpr explicit TransactionStatus(std::uint32_t bits) noexcept : bits_(bits) {}

    [[nodiscard]] constexpr bool started() const noexcept { return bits_ == in_transaction; }
    /// Why; if it has not started().
    [[nodiscard]] constexpr AbortReason reason() const noexcept {
        // In a nested transaction it was the inner lock that was held.
        if ((bits_ & explicitly) != 0 && bits_ >> 24 == held_code && (bits_ & nested) == 0)
            return AbortReason::lock_held;
        if ((bits_ & capacity) != 0)
            return AbortReason::capacity;
        return (bits_ & conflict) != 0 ? AbortReason::conflict : AbortReason::other;
    }
    /// Can the same transaction commit at the next try? The processor's opinion; of a held lock: once it is free.
    [[nodiscard]] constexpr bool may_succeed() const noexcept {
        return (bits_ & retry) != 0 || ((bits_ & explicitly) != 0 && bits_ >> 24 == held_code);
    }

  private:
    std::uint32_t bits_;
};

/// Intel's RTM. available() is false without it, where microcode has every transaction abort, where none of a few empty
/// ones commits, and under ThreadSanitizer, which does not see what a transaction orders. The code needs no flag of the
/// compiler's.
class RestrictedTransactions {
  public:
    template <class B>
    using word = typename B::template atomic<std::uint32_t>;

    [[nodiscard]] static bool available() noexcept;
    [[nodiscard]] static TransactionStatus begin() noexcept;
    static void commit() noexcept;
    static void abort_because_held() noexcept;
};

} // namespace hotindex
