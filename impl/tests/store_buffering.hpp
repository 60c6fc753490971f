// The store-buffering litmus test, on real threads: each side writes its own word and reads the other's. With a fence
// of the right kind in between on both sides, at least one side sees the other's write. Without one, both may read the
// old value, and on most processors they do so within some thousand rounds.
#pragma once

#include <hotindex/backend/production.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <sched.h>
#include <thread>
#include <vector>

namespace hotindex::store_buffering {

struct Seen {
    std::uint64_t rounds = 0;
    std::uint64_t both_old = 0; ///< rounds in which neither side saw the other's write
};

/// As shipped: what a pin and an advance do.
struct Shipped {
    static void first() noexcept { AsymmetricFence::light(); }
    static void second() noexcept { AsymmetricFence::heavy(); }
};
/// Two heavy halves.
struct BothHeavy {
    static void first() noexcept { AsymmetricFence::heavy(); }
    static void second() noexcept { AsymmetricFence::heavy(); }
};
/// Broken on purpose: the heavy half without its membarrier; or the fallback without its light half's fence.
struct NothingOnTheFirstSide {
    static void first() noexcept { std::atomic_signal_fence(std::memory_order_seq_cst); }
    static void second() noexcept { __sync_synchronize(); }
};

/// Cores that the calling thread may use.
inline std::vector<int> cores() {
    cpu_set_t mine;
    std::vector<int> all;
    if (sched_getaffinity(0, sizeof mine, &mine) == 0)
        for (int core = 0; core != CPU_SETSIZE; ++core)
            if (CPU_ISSET(static_cast<std::size_t>(core), &mine))
                all.push_back(core);
    return all;
}

/// Keeps the calling thread on one core while it lives, where the kernel allows that.
class StayOn {
  public:
    explicit StayOn(int core) {
        sched_getaffinity(0, sizeof before_, &before_);
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(static_cast<std::size_t>(core), &one);
        sched_setaffinity(0, sizeof one, &one);
    }
    StayOn(const StayOn&) = delete;
    StayOn& operator=(const StayOn&) = delete;
    ~StayOn() { sched_setaffinity(0, sizeof before_, &before_); }

  private:
    cpu_set_t before_{};
};

/// Plays rounds until there were `most`, or `limit` has passed, or (stop_at_once) one went wrong.
template <class Fences>
Seen run(std::uint64_t most, std::chrono::steady_clock::duration limit, bool stop_at_once = false) {
    constexpr std::uint64_t over = ~std::uint64_t{0};
    struct Shared {
        alignas(128) std::atomic<int> x{0};
        alignas(128) std::atomic<int> y{0};
        alignas(128) std::atomic<std::uint64_t> begin{0}; ///< the round that may begin
        alignas(128) std::atomic<std::uint64_t> ready{0}; ///< the round that the first side waits for
        alignas(128) std::atomic<int> first_read{0};
        std::atomic<std::uint64_t> done{0}; ///< the round that the first side has finished
    } shared;
    // Each side on a core of its own. It waits actively, for as long as the kernel lets it: on a machine with much else
    // to do, that is when the two run at the same time. With one core for both, the other side is let on at once.
    const std::vector<int> may_use = cores();
    const int patience = may_use.size() > 1 ? 10'000'000 : 100;
    const auto wait = [patience](const std::atomic<std::uint64_t>& word, std::uint64_t value) {
        std::uint64_t seen = 0;
        for (int spins = 1; (seen = word.load(std::memory_order_acquire)) != value && seen != over; ++spins)
            if (spins % patience == 0)
                std::this_thread::yield();
        return seen == value;
    };
    const auto linger = [](std::uint64_t steps) {
        for (std::uint64_t i = 0; i != steps; ++i)
            std::atomic_signal_fence(std::memory_order_seq_cst);
    };
    const StayOn mine(may_use.empty() ? 0 : may_use.front());
    std::thread first([&] {
        const StayOn its(may_use.empty() ? 0 : may_use.back());
        for (std::uint64_t round = 1;; ++round) {
            shared.ready.store(round, std::memory_order_release);
            if (!wait(shared.begin, round))
                return;
            linger(round % 7);
            shared.x.store(1, std::memory_order_release);
            Fences::first();
            shared.first_read.store(shared.y.load(std::memory_order_acquire), std::memory_order_relaxed);
            shared.done.store(round, std::memory_order_release);
        }
    });
    Seen seen;
    const auto end = std::chrono::steady_clock::now() + limit;
    for (std::uint64_t round = 1; round <= most; ++round) {
        wait(shared.ready, round);
        shared.x.store(0, std::memory_order_relaxed);
        shared.y.store(0, std::memory_order_relaxed);
        shared.begin.store(round, std::memory_order_release);
        linger(round % 511); // about as long as the other side takes to see that it may begin
        shared.y.store(1, std::memory_order_release);
        Fences::second();
        const int second_read = shared.x.load(std::memory_order_acquire);
        wait(shared.done, round);
        seen.rounds = round;
        seen.both_old += second_read == 0 && shared.first_read.load(std::memory_order_relaxed) == 0 ? 1 : 0;
        if ((stop_at_once && seen.both_old != 0) || (round % 64 == 0 && std::chrono::steady_clock::now() > end))
            break;
    }
    shared.begin.store(over, std::memory_order_release);
    first.join();
    return seen;
}

} // namespace hotindex::store_buffering
