// Counters that threads keep for themselves, and that are summed up by whoever asks.
//
// Nobody writes what another thread writes: each participant has a counter of its own, and what it has counted goes to
// a DepartedCounter when it leaves. A sum over both is exact when no operation is running and nobody joins or leaves.
#pragma once

#include <hotindex/backend/backend.hpp>

#include <cstdint>

namespace hotindex {

/// A counter with one writing thread and any number of readers: no read-modify-write, no lost update.
template <class B>
class OwnedCounter {
  public:
    OwnedCounter() : value_(0) {}
    /// Owner only. Negative differences wrap around and cancel out in sums.
    [[gnu::always_inline]] void add(std::uint64_t n) noexcept {
        // relaxed: only the owner writes; readers want a recent value, and an exact one only at quiescence
        value_.store(value_.load(B::relaxed()) + n, B::relaxed());
    }
    [[nodiscard]] std::uint64_t read() const noexcept {
        // relaxed: see add()
        return value_.load(B::relaxed());
    }
    /// Owner only: the value, which begins at 0 again.
    [[nodiscard]] std::uint64_t take() noexcept {
        const std::uint64_t n = read();
        value_.store(0, B::relaxed()); // relaxed: see add()
        return n;
    }

  private:
    typename B::template atomic<std::uint64_t> value_;
};

/// What participants that have left had counted. Belongs to the structure that they took part in.
template <class B>
class DepartedCounter {
  public:
    DepartedCounter() : value_(0) {}
    /// In leave(): takes over what the leaving participant has counted.
    void take_over(OwnedCounter<B>& counter) noexcept {
        value_.fetch_add(counter.take(), B::relaxed()); // relaxed: see OwnedCounter::add()
    }
    [[nodiscard]] std::uint64_t read() const noexcept {
        return value_.load(B::relaxed()); // relaxed: see OwnedCounter::add()
    }

  private:
    typename B::template atomic<std::uint64_t> value_;
};

} // namespace hotindex
