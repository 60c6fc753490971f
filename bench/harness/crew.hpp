// The threads of one measurement: where they meet, what each did and when, and on which processor.
#pragma once

#include <algorithm>
#include <barrier>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <sched.h>
#include <time.h>
#include <vector>

namespace hotindex::bench {

using Clock = std::chrono::steady_clock;

/// What a thread's operations came to.
struct Tally {
    std::uint64_t succeeded = 0;
    std::uint64_t failed = 0; ///< attempted in vain: insert of a present key; read, remove, update of an absent one
    std::int64_t growth = 0;  ///< elements put in minus elements taken out, as told by the structure's own answers

    Tally& operator+=(const Tally& other) noexcept {
        succeeded += other.succeeded;
        failed += other.failed;
        growth += other.growth;
        return *this;
    }
};

/// Processor time of the calling thread, in seconds.
[[nodiscard]] inline double processor_seconds() noexcept {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

/// One stretch of work of one thread.
struct alignas(128) Lap {
    Clock::time_point begin;
    Clock::time_point end;
    Tally tally;
    std::uint64_t beside_begin = 0; ///< operations that a thread beside the crew had done at `begin`
    std::uint64_t beside_end = 0;
    double processor_seconds = 0; ///< spent on a processor between begin and end

    /// Notes when work() began and ended and what it returned.
    template <class Work>
    void time(Work work) {
        const double before = bench::processor_seconds();
        begin = Clock::now();
        tally = work();
        end = Clock::now();
        processor_seconds = bench::processor_seconds() - before;
    }
};

/// A lap of the whole crew: from the first thread's begin to the last one's end.
struct CrewLap {
    double seconds = 0;
    double fairness = 1; ///< shortest lap of a thread / longest
    Tally tally;
    double beside_per_second = 0;
    double processor_seconds = 0; ///< of all threads; / seconds: how many processors they had
};

/// How even the threads were, by their rates: attempted operations a second of a thread, while it worked.
struct Evenness {
    double slowest = 0;
    double fastest = 0;
    double jain = 1; ///< Jain's index (Jain, Chiu, Hawe, 1984): 1 is fair, 1 / threads is one thread alone
};

/// The same number of threads, from one measurement to the next. Every member but the constructor is called by all of
/// them, at the same places.
class Crew {
  public:
    explicit Crew(std::size_t threads)
        : barrier_(static_cast<std::ptrdiff_t>(threads)), laps_(threads), worked_(threads) {}

    [[nodiscard]] std::size_t size() const noexcept { return laps_.size(); }

    void meet() { barrier_.arrive_and_wait(); }

    /// act() runs on thread 0 while the others wait.
    template <class Act>
    void alone(std::size_t me, Act act) {
        meet();
        if (me == 0)
            act();
        meet();
    }

    [[nodiscard]] Lap& lap(std::size_t me) noexcept { return laps_[me]; }

    /// Between a meet() after the laps and one before the next laps.
    [[nodiscard]] CrewLap sum() const {
        const auto begin = std::ranges::min(laps_, {}, &Lap::begin);
        const auto end = std::ranges::max(laps_, {}, &Lap::end);
        CrewLap whole;
        whole.seconds = std::chrono::duration<double>(end.end - begin.begin).count();
        const auto length = [](const Lap& lap) { return lap.end - lap.begin; };
        const auto longest = std::ranges::max(laps_, {}, length);
        const auto shortest = std::ranges::min(laps_, {}, length);
        if (length(longest).count() > 0)
            whole.fairness =
                static_cast<double>(length(shortest).count()) / static_cast<double>(length(longest).count());
        for (const Lap& lap : laps_) {
            whole.tally += lap.tally;
            whole.processor_seconds += lap.processor_seconds;
        }
        if (whole.seconds > 0)
            whole.beside_per_second = static_cast<double>(end.beside_end - begin.beside_begin) / whole.seconds;
        return whole;
    }

    /// What the thread has worked is forgotten; its lap counts as worked. Each thread for itself.
    void forget_worked(std::size_t me) noexcept { worked_[me] = {}; }
    void keep_worked(std::size_t me) noexcept {
        worked_[me].seconds += std::chrono::duration<double>(laps_[me].end - laps_[me].begin).count();
        worked_[me].operations += static_cast<double>(laps_[me].tally.succeeded + laps_[me].tally.failed);
    }

    /// How even the threads were in all laps that were kept. After a meet().
    [[nodiscard]] Evenness evenness() const {
        Evenness found;
        double sum = 0;
        double squares = 0;
        for (const Worked& each : worked_) {
            const double rate = each.seconds > 0 ? each.operations / each.seconds : 0;
            found.slowest = &each == &worked_.front() ? rate : std::min(found.slowest, rate);
            found.fastest = std::max(found.fastest, rate);
            sum += rate;
            squares += rate * rate;
        }
        if (squares > 0)
            found.jain = sum * sum / (static_cast<double>(worked_.size()) * squares);
        return found;
    }

  private:
    struct alignas(128) Worked {
        double seconds = 0;
        double operations = 0; ///< attempted
    };

    std::barrier<> barrier_;
    std::vector<Lap> laps_;
    std::vector<Worked> worked_;
};

/// The processors that this process may use, as it was started.
[[nodiscard]] inline const std::vector<int>& usable_processors() {
    static const std::vector<int> all = [] {
        std::vector<int> found;
        cpu_set_t set;
        CPU_ZERO(&set);
        if (sched_getaffinity(0, sizeof set, &set) == 0)
            for (int cpu = 0; cpu != CPU_SETSIZE; ++cpu)
                if (CPU_ISSET(cpu, &set))
                    found.push_back(cpu);
        if (found.empty())
            found.push_back(0);
        return found;
    }();
    return all;
}

/// While it lives, the calling thread runs on one processor only: the n-th usable one, modulo their number.
class Pinned {
  public:
    Pinned(bool really, std::size_t n) : really_(really && sched_getaffinity(0, sizeof before_, &before_) == 0) {
        if (!really_)
            return;
        const auto& all = usable_processors();
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(all[n % all.size()], &one);
        sched_setaffinity(0, sizeof one, &one);
    }
    Pinned(const Pinned&) = delete;
    Pinned& operator=(const Pinned&) = delete;
    ~Pinned() {
        if (really_)
            sched_setaffinity(0, sizeof before_, &before_);
    }

  private:
    cpu_set_t before_{};
    bool really_;
};

} // namespace hotindex::bench
