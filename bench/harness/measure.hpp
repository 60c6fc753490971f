// How one benchmark is measured: preparation, warm-up, the timed lap, the counters, the check.
//
// The threads. Google Benchmark creates the threads of a run (thread 0 is the main thread) and calls the function below
// on each. Its own clock starts in the first step of `for (auto _ : state)`, after a barrier that all threads of the
// run have to reach: thread creation and everything above the loop are outside the timed region. But each thread starts
// its clock when it is next scheduled and stops it when it is done itself, and real_time is the mean over the threads:
// with more threads than processors, threads that ran one after the other would look as if they had run at once. So the
// throughput is not computed from real_time: each thread notes when it began and when it ended, and a lap lasts from
// the first begin to the last end. All threads meet before and after a lap, within the timed region: no clock starts
// late or stops early, and real_time is about the same, larger by what waking up takes. It is that of one attempted
// operation, of all threads together (1 / items_per_second), as Google's compare.py and other readers take it: the
// lap is one batch of as many iterations as it has operations.
//
// The work. Every thread of a run does the same number of operations. For a steady workload that number follows from
// the warm-up, so that the lap lasts about as long as was asked for, whatever the index, the machine and the vectors. A
// workload in rounds (those that begin with an empty structure) has a fixed number of operations a round; its first
// rounds are the warm-up, and as many follow, each on a fresh structure, as fill that time. Structures are built and
// destroyed outside the timed region. The first repetition decides for all: Google Benchmark takes the mean only of
// repetitions with equally many iterations.
#pragma once

#include "dataset/random.hpp"
#include "harness/crew.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace hotindex::bench {

/// What applies to all benchmarks of a process.
struct Settings {
    std::vector<std::size_t> threads{1}; ///< the ladder
    double seconds = 0.1;                ///< about how long the timed laps of one repetition last, together
    std::uint64_t seed = 1;
    bool pin = false;
};

/// Benchmarks whose check failed. The program's exit status depends on it: JSON readers may overlook an error.
inline std::atomic<int> failed_checks{0};

/// What is measured: a workload on one structure, for one repetition. Thread 0 constructs and destroys it alone.
///   Lane lane(thread, random)     what a thread owns: everything that can be drawn in advance. On all threads at once
///   Tally run(lane, operations)   the loop that is measured. On all threads at once
///   period                        operations are done in multiples of it
///   fault(growth, thorough)       in words, what is wrong after the lap; `growth` is what the threads say that they
///                                 have added, `thorough` is true in one repetition. Thread 0 alone
/// and one in rounds has besides
///   start_round()                 a fresh structure. Thread 0 alone
///   round_operations()            of each thread
/// and one with a thread of its own beside the crew
///   beside()                      operations that this thread has done so far
template <class Workload>
concept InRounds = requires(Workload& w) { w.start_round(); };

template <class Workload>
class Measured {
  public:
    using Make = std::function<std::unique_ptr<Workload>(std::size_t threads)>;

    Measured(Settings settings, std::size_t threads, Make make)
        : settings_(std::move(settings)), make_(std::move(make)), crew_(threads) {}

    /// One repetition; runs on each of its threads.
    void operator()(benchmark::State& state) {
        const auto me = static_cast<std::size_t>(state.thread_index());
        const Pinned pinned(settings_.pin, me);
        crew_.alone(me, [&] {
            ++repetition_;
            workload_ = make_(crew_.size());
        });
        {
            // Repetitions differ in their random numbers, threads do, indexes do not: those do the same work.
            typename Workload::Lane lane =
                workload_->lane(me, Random(mix64(settings_.seed) + repetition_, static_cast<std::uint64_t>(me)));
            Totals totals;
            crew_.forget_worked(me);
            if constexpr (InRounds<Workload>)
                run_rounds(state, lane, me, totals);
            else
                run_steadily(state, lane, me, totals);
            crew_.meet(); // all have kept what they worked
            if (me == 0)
                report(state, totals);
        }
        crew_.alone(me, [&] { workload_.reset(); });
    }

  private:
    struct Totals {
        double seconds = 0;
        double fairness = 1; ///< of the least fair lap
        double processor_seconds = 0;
        double beside = 0; ///< operations
        Tally tally;
        std::int64_t growth = 0; ///< since the structure was prepared
    };

    void run_steadily(benchmark::State& state, typename Workload::Lane& lane, std::size_t me, Totals& totals) {
        const double rate = warm_up(lane, me, totals.growth);
        crew_.alone(me, [&] {
            if (operations_ == 0)
                operations_ = operations_at(rate);
        });
        while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(operations_)))
            add(totals, timed_lap(state, lane, me, operations_, [&] { crew_.meet(); }));
    }

    void run_rounds(benchmark::State& state, typename Workload::Lane& lane, std::size_t me, Totals& totals) {
        const auto begin_round = [&] {
            crew_.alone(me, [&] { workload_->start_round(); });
            totals.growth = 0;
        };
        double spent = 0;
        double fastest = 0;
        do { // all threads have the same sums
            begin_round();
            const double seconds = lap(lane, me, workload_->round_operations()).seconds;
            fastest = spent == 0 ? seconds : std::min(fastest, seconds);
            spent += seconds;
        } while (spent < settings_.seconds / 5);
        crew_.alone(me, [&] {
            if (operations_ == 0)
                operations_ = rounds_of(fastest) * workload_->round_operations();
        });
        while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(operations_)))
            for (std::uint64_t done = 0; done != operations_; done += workload_->round_operations())
                add(totals, timed_lap(state, lane, me, workload_->round_operations(), begin_round));
    }

    /// How many operations each thread does in a lap, so that it lasts as long as was asked for.
    [[nodiscard]] std::uint64_t operations_at(double crew_rate) const {
        const double periods = crew_rate * settings_.seconds / static_cast<double>(crew_.size() * Workload::period);
        return std::max(static_cast<std::uint64_t>(periods), std::uint64_t{1}) * Workload::period;
    }

    [[nodiscard]] std::uint64_t rounds_of(double seconds) const {
        return seconds > 0
                   ? std::max(static_cast<std::uint64_t>(std::ceil(settings_.seconds / seconds)), std::uint64_t{1})
                   : 1;
    }

    /// A lap that Google Benchmark times as well. `prepare` ends with a meeting of all, when nobody's clock runs; then
    /// all clocks are started, and only after that anybody begins.
    template <class Prepare>
    CrewLap timed_lap(benchmark::State& state, typename Workload::Lane& lane, std::size_t me, std::uint64_t operations,
                      Prepare prepare) {
        state.PauseTiming();
        prepare();
        state.ResumeTiming();
        crew_.meet();
        const CrewLap whole = lap(lane, me, operations);
        crew_.keep_worked(me);
        return whole;
    }

    /// The whole crew's lap; the same on all threads.
    CrewLap lap(typename Workload::Lane& lane, std::size_t me, std::uint64_t operations) {
        Lap& mine = crew_.lap(me);
        mine.beside_begin = beside();
        mine.time([&] { return workload_->run(lane, operations); });
        mine.beside_end = beside();
        crew_.meet();
        const CrewLap whole = crew_.sum();
        crew_.meet(); // nobody begins another lap while somebody still sums
        return whole;
    }

    [[nodiscard]] std::uint64_t beside() const {
        if constexpr (requires(const Workload& w) { w.beside(); })
            return workload_->beside();
        else
            return 0;
    }

    static void add(Totals& totals, const CrewLap& lap) {
        totals.fairness = std::min(totals.fairness, lap.fairness);
        totals.seconds += lap.seconds;
        totals.processor_seconds += lap.processor_seconds;
        totals.beside += lap.beside_per_second * lap.seconds;
        totals.tally += lap.tally;
        totals.growth += lap.tally.growth;
    }

    /// Works for a fifth of the lap's time, in two stretches of which one may be disturbed. Returns the operations a
    /// second of the crew in the faster one, the same on all threads; adds to `growth` what was added.
    double warm_up(typename Workload::Lane& lane, std::size_t me, std::int64_t& growth) {
        double rate = 0;
        std::uint64_t chunk = Workload::period;
        for (int stretch = 0; stretch != 2; ++stretch) {
            crew_.alone(me, [&] {
                warm_at_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                              std::chrono::duration<double>(settings_.seconds / 10));
            });
            crew_.lap(me).time([&] {
                Tally tally;
                do {
                    tally += workload_->run(lane, chunk);
                    chunk = std::min(2 * chunk, largest_chunk);
                } while (Clock::now() < warm_at_);
                return tally;
            });
            crew_.meet();
            const CrewLap whole = crew_.sum();
            crew_.meet();
            growth += whole.tally.growth;
            rate = std::max(rate, static_cast<double>(whole.tally.succeeded + whole.tally.failed) / whole.seconds);
        }
        return rate;
    }

    void report(benchmark::State& state, const Totals& totals) {
        const auto rate = [&](std::uint64_t count) { return static_cast<double>(count) / totals.seconds; };
        // Plain values, set by one thread: Google Benchmark sums them over the threads and leaves them as they are.
        state.counters["items_per_second"] = rate(totals.tally.succeeded + totals.tally.failed);
        state.counters["ops"] = rate(totals.tally.succeeded);
        state.counters["failed"] = rate(totals.tally.failed);
        state.counters["fairness"] = totals.fairness;
        const Evenness threads = crew_.evenness();
        state.counters["jain"] = threads.jain;
        state.counters["slowest_thread"] = threads.slowest;
        state.counters["fastest_thread"] = threads.fastest;
        state.counters["processors"] = totals.processor_seconds / totals.seconds;
        state.counters["timed_seconds"] = totals.seconds;
        if constexpr (requires(const Workload& w) { w.beside(); })
            state.counters["writer_ops"] = totals.beside / totals.seconds;
        std::optional<std::string> wrong;
        if (totals.tally.succeeded == 0)
            wrong = "no operation succeeded";
        else
            wrong = workload_->fault(totals.growth, !std::exchange(checked_, true));
        if (wrong) {
            ++failed_checks;
            state.SkipWithError(wrong->c_str());
        }
    }

    static constexpr std::uint64_t largest_chunk = Workload::period * 1024;

    const Settings settings_;
    const Make make_;
    Crew crew_;
    std::unique_ptr<Workload> workload_;
    Clock::time_point warm_at_;
    std::uint64_t repetition_ = 0;
    std::uint64_t operations_ = 0; ///< of each thread in a repetition; 0: the first one decides
    bool checked_ = false;
};

/// Registers a workload over the ladder of threads. `make(threads)` gives a std::unique_ptr<Workload>.
template <class Workload, class Make>
void add_benchmark(const Settings& settings, const std::string& name, const Make& make) {
    for (const std::size_t threads : settings.threads) {
        const auto measured = std::make_shared<Measured<Workload>>(settings, threads, make);
        benchmark::RegisterBenchmark(name.c_str(), [measured](benchmark::State& state) { (*measured)(state); })
            ->UseRealTime()
            ->Threads(static_cast<int>(threads));
    }
}

} // namespace hotindex::bench
