// Schedules: who goes on at each atomic operation of StressBackend. All of them follow from a seed.
//
//   disturbed   threads run freely, and now and then one yields or sleeps right before an atomic operation;
//   controlled  one thread runs at a time, and at each atomic operation the schedule says who is next: at random, with
//               long and short grains, or by priorities that change at a few random steps (PCT: Burckhardt, Kothari,
//               Musuvathi, Nagarakatte, "A randomized scheduler with probabilistic guarantees of finding bugs",
//               ASPLOS 2010), or at places: threads stop right before and right after certain operations, for long, and
//               nowhere else. The interleaving depends on the seed alone, so a seed is a replay.
//
// A controlled schedule shows interleavings, not weak memory: handing over is a full synchronization.
#pragma once

#include "harness/stress_backend.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <semaphore.h>
#include <vector>

namespace hotindex::stress {

/// One thread raises it, another waits for it. POSIX, because std::binary_semaphore of g++ 12 can sleep for ever (GCC
/// bug 104928).
class Signal {
  public:
    Signal() { sem_init(&semaphore_, 0, 0); }
    Signal(const Signal&) = delete;
    Signal& operator=(const Signal&) = delete;
    ~Signal() { sem_destroy(&semaphore_); }
    void raise() { sem_post(&semaphore_); }
    void wait() {
        while (sem_wait(&semaphore_) != 0) { // interrupted by a signal
        }
    }

  private:
    sem_t semaphore_{};
};

/// Decides for a fixed number of threads. Each calls enter() before its first operation on the index and leave() after
/// the last one; in between every atomic operation is a decision.
class Schedule {
  public:
    virtual ~Schedule() = default;
    virtual void enter(std::size_t thread) = 0;
    virtual void leave(std::size_t thread) = 0;
    /// Atomic operations heard so far. Exact after all threads have left.
    [[nodiscard]] virtual std::uint64_t steps() const = 0;
};

/// Runs freely but for a yield before one in `yield_one_in` steps and a short sleep before one in sixteen times that.
class DisturbedSchedule final : public Schedule {
  public:
    DisturbedSchedule(std::size_t threads, std::uint64_t seed, std::uint32_t yield_one_in);
    ~DisturbedSchedule() override;
    void enter(std::size_t thread) override;
    void leave(std::size_t thread) override;
    [[nodiscard]] std::uint64_t steps() const override;

  private:
    struct Disturber;
    std::vector<std::unique_ptr<Disturber>> disturbers_;
};

/// Operations where a ControlledSchedule stops threads: those on one edge (or on none), all or some of them.
struct StoppingPlace {
    enum Which : std::uint8_t { all, read_modify_writes, others };
    edge named = edge::unnamed;
    Which which = all;
    [[nodiscard]] bool includes(Step step) const noexcept {
        const bool rmw =
            step.kind == Step::exchange || step.kind == Step::fetch_add || step.kind == Step::compare_exchange;
        return step.named == named && (which == all || rmw == (which == read_modify_writes));
    }
};

/// One thread at a time. The kind of schedule follows from the seed: grains of 2, 8, 32 or 128 steps, or priorities.
/// With stopping places it is another kind, for bugs that need several threads to stand still in a window of one or two
/// steps each, some of them while the others complete many operations: a thread stops at one operation in 2, 4, 16 or
/// 64 of those, for up to 2048 steps of the others.
class ControlledSchedule final : public Schedule {
  public:
    /// `expected_steps`: of all threads together; where priorities change is drawn from so many.
    ControlledSchedule(std::size_t threads, std::uint64_t seed, std::uint64_t expected_steps = 2000,
                       std::vector<StoppingPlace> places = {});
    ~ControlledSchedule() override;
    /// Waits until all threads have entered and it is this thread's turn.
    void enter(std::size_t thread) override;
    void leave(std::size_t thread) override;
    [[nodiscard]] std::uint64_t steps() const override { return steps_; }
    /// A sum of who took which step: equal for equal interleavings.
    [[nodiscard]] std::uint64_t fingerprint() const noexcept { return fingerprint_; }

    /// More steps than any run of a test takes: operations that wait for each other. The process ends with this status.
    static constexpr int no_progress_status = 3;

  private:
    struct Worker;
    void decide(std::size_t me, bool ends, bool may_stop);
    [[nodiscard]] std::size_t choose(std::size_t me, bool ends, bool may_stop);
    [[nodiscard]] std::size_t awake(std::size_t me);

    std::vector<std::unique_ptr<Worker>> workers_;
    std::mt19937_64 random_;
    const std::vector<StoppingPlace> places_;
    std::uint32_t grain_;                ///< 0: by priorities
    std::uint32_t stop_one_in_ = 1;      ///< operations at the places
    std::vector<std::uint64_t> changes_; ///< steps at which the running thread falls behind all others
    std::int64_t lowest_ = 0;            ///< priority given so far
    std::atomic<std::size_t> missing_;   ///< threads that have not entered
    std::uint64_t steps_ = 0;
    std::uint64_t fingerprint_ = 0;
};

} // namespace hotindex::stress
