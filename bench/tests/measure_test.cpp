// How one benchmark is measured: made-up workloads whose answers are known.
#include "harness/google_benchmark_versions.hpp"
#include "harness/measure.hpp"
#include "harness/memory_use.hpp"

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <array>
#include <catch.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <unistd.h>
#include <vector>

namespace hotindex::bench {
namespace {

using Run = benchmark::BenchmarkReporter::Run;

/// What the workloads of a test have in common.
struct Notes {
    std::mutex mutex;
    std::vector<std::uint64_t> random; ///< the first random number of each lane
    std::vector<std::uint64_t> asked;  ///< operations of each call
    std::vector<bool> thorough;        ///< of each check
    std::int64_t growth = 0;           ///< at the last check
    std::uint64_t rounds = 0;
    std::optional<std::string> fault;
    bool all_fail = false;
};

/// Three of four operations succeed, and each that does adds two.
class Counted {
  public:
    static constexpr std::uint64_t period = 4;
    struct Lane {};

    explicit Counted(Notes& notes) : notes_(&notes) {}

    Lane lane(std::size_t, Random random) {
        const std::lock_guard lock(notes_->mutex);
        notes_->random.push_back(random());
        return {};
    }
    Tally run(Lane&, std::uint64_t operations) {
        const std::lock_guard lock(notes_->mutex);
        notes_->asked.push_back(operations);
        if (notes_->all_fail)
            return {0, operations, 0};
        done_ += static_cast<std::int64_t>(operations / 4 * 3 * 2);
        return {operations / 4 * 3, operations / 4, static_cast<std::int64_t>(operations / 4 * 3 * 2)};
    }
    std::optional<std::string> fault(std::int64_t growth, bool thorough) {
        notes_->growth = growth;
        notes_->thorough.push_back(thorough);
        if (growth != done_)
            return "the growth is not what was done";
        return notes_->fault;
    }

  protected:
    Notes* notes_;
    std::int64_t done_ = 0;
};

/// The same, each lap on a fresh structure.
class CountedInRounds : public Counted {
  public:
    using Counted::Counted;
    void start_round() {
        done_ = 0;
        ++notes_->rounds;
    }
    [[nodiscard]] std::uint64_t round_operations() const { return 8; }
};

class Kept : public benchmark::BenchmarkReporter {
  public:
    bool ReportContext(const Context&) override { return true; }
    void ReportRuns(const std::vector<Run>& runs) override {
        for (const Run& run : runs)
            if (run.run_type == Run::RT_Iteration)
                kept.push_back(run);
    }
    std::vector<Run> kept;
};

/// Runs a workload twice on so many threads.
template <class Workload>
std::vector<Run> measured(Notes& notes, std::size_t threads) {
    const Settings settings{.threads = {threads}, .seconds = 0.002, .seed = 5};
    const auto workload = std::make_shared<Measured<Workload>>(
        settings, threads, [&](std::size_t) { return std::make_unique<Workload>(notes); });
    benchmark::ClearRegisteredBenchmarks();
    benchmark::RegisterBenchmark("made_up", [workload](benchmark::State& state) { (*workload)(state); })
        ->UseRealTime()
        ->Iterations(1)
        ->Repetitions(2)
        ->Threads(static_cast<int>(threads));
    Kept kept;
    benchmark::RunSpecifiedBenchmarks(&kept);
    benchmark::ClearRegisteredBenchmarks();
    return kept.kept;
}

TEST_CASE("throughput counts what succeeded, and what failed stands beside it") {
    Notes notes;
    const int before = failed_checks;
    const std::vector<Run> runs = measured<Counted>(notes, 2);
    CHECK(failed_checks == before);
    CHECK(runs.size() == 2);
    for (const Run& run : runs) {
        const auto counter = [&](const char* name) { return static_cast<double>(run.counters.at(name)); };
        CHECK_FALSE(failure_of(run));
        CHECK(counter("ops") > 0);
        CHECK(counter("failed") == Catch::Approx(counter("ops") / 3));
        CHECK(counter("items_per_second") == Catch::Approx(counter("ops") * 4 / 3));
        CHECK(counter("timed_seconds") > 0);
        CHECK(counter("fairness") > 0);
        CHECK(counter("fairness") <= 1);
        CHECK(counter("jain") >= 0.5); // of two threads
        CHECK(counter("jain") <= 1.000001);
        CHECK(counter("slowest_thread") > 0);
        CHECK(counter("slowest_thread") <= counter("fastest_thread"));
    }
    for (const std::uint64_t operations : notes.asked)
        CHECK(operations % Counted::period == 0);
}

/// An iteration is an attempted operation: what other tools divide by.
void check_iterations(const std::vector<Run>& runs) {
    CHECK(runs.size() == 2);
    for (const Run& run : runs) {
        CHECK(static_cast<double>(run.iterations) ==
              Catch::Approx(run.counters.at("items_per_second") * run.counters.at("timed_seconds")));
        CHECK(run.iterations == runs.front().iterations); // Google Benchmark's means need that
    }
}

TEST_CASE("an iteration is an operation, in laps and in rounds") {
    Notes steady;
    check_iterations(measured<Counted>(steady, 1));
    check_iterations(measured<Counted>(steady, 3));
    Notes rounds;
    const std::vector<Run> runs = measured<CountedInRounds>(rounds, 2);
    check_iterations(runs);
    CHECK(runs.front().iterations % 16 == 0); // two threads, eight operations a round
}

TEST_CASE("every thread and every repetition has random numbers of its own, and every index the same ones") {
    Notes first;
    Notes second;
    (void)measured<Counted>(first, 3);
    (void)measured<Counted>(second, 3);
    CHECK(first.random.size() == 6);
    const std::set<std::uint64_t> numbers(first.random.begin(), first.random.end());
    CHECK(numbers.size() == 6);
    CHECK(numbers == std::set<std::uint64_t>(second.random.begin(), second.random.end()));
}

TEST_CASE("a check that fails is told, and makes the exit status") {
    Notes notes;
    notes.fault = "an answer is wrong";
    const int before = failed_checks;
    const std::vector<Run> runs = measured<Counted>(notes, 1);
    CHECK(failed_checks == before + 2);
    for (const Run& run : runs)
        CHECK(failure_of(run) == notes.fault);
    failed_checks = before;
}

TEST_CASE("a benchmark in which nothing succeeds has failed") {
    Notes notes;
    notes.all_fail = true;
    const int before = failed_checks;
    const std::vector<Run> runs = measured<Counted>(notes, 2);
    CHECK(failed_checks == before + 2);
    for (const Run& run : runs)
        CHECK(failure_of(run) == "no operation succeeded");
    CHECK(notes.thorough.empty());
    failed_checks = before;
}

TEST_CASE("the first repetition is checked thoroughly, with all that was added since it was prepared") {
    Notes notes;
    (void)measured<Counted>(notes, 2);
    CHECK(notes.thorough == std::vector<bool>{true, false});
    CHECK(notes.growth > 0); // that it is the sum, Counted checks
}

TEST_CASE("a workload in rounds begins each lap with a fresh structure, after one to warm up") {
    Notes notes;
    const int before = failed_checks;
    const std::vector<Run> runs = measured<CountedInRounds>(notes, 2);
    CHECK(failed_checks == before);
    CHECK(runs.size() == 2);
    CHECK(notes.rounds >= 4);
    CHECK(notes.asked.size() == 2 * notes.rounds);
    for (const std::uint64_t operations : notes.asked)
        CHECK(operations == 8);
    CHECK(notes.growth == 2 * 12);
}

TEST_CASE("a structure's memory is told by itself, and measured") {
    constexpr std::size_t mib = 1u << 20;
    const auto touched = memory_of([] { return Made{std::make_shared<std::vector<char>>(8 * mib, 'x'), 5}; });
    const auto reserved = memory_of([] {
        auto room = std::make_shared<std::vector<char>>();
        room->reserve(64 * mib);
        return Made{room, 64};
    });
    CHECK((touched && reserved));
    CHECK(touched->accounted == 5);
    CHECK(touched->resident / mib >= 7);
    CHECK(touched->resident / mib < 12);
    CHECK(reserved->accounted == 64);
    CHECK(reserved->resident / mib < 8);
    CHECK_FALSE(memory_of([]() -> Made { throw std::bad_alloc(); }));
}

/// Operations of so many steps of nothing.
class Steps {
  public:
    static constexpr std::uint64_t period = 1;
    struct Lane {};

    explicit Steps(int steps) : steps_(steps) {}

    Lane lane(std::size_t, Random) { return {}; }
    Tally run(Lane&, std::uint64_t operations) const {
        for (std::uint64_t i = 0; i != operations; ++i)
            for (int step = 0; step != steps_; ++step)
                benchmark::DoNotOptimize(step);
        return {operations, 0, 0};
    }
    static std::optional<std::string> fault(std::int64_t, bool) { return std::nullopt; }

  private:
    int steps_;
};

/// The same, each lap on a fresh structure.
class StepsInRounds : public Steps {
  public:
    using Steps::Steps;
    static void start_round() {}
    static std::uint64_t round_operations() { return 1000; }
};

/// What Google Benchmark writes of operations of so many steps, in a file of that name.
std::string written(const std::string& name, int steps) {
    const Settings settings{.threads = {1, 2, 8}, .seconds = 0.004};
    const auto make = [steps]<class Workload>() {
        return [steps](std::size_t) { return std::make_unique<Workload>(steps); };
    };
    benchmark::ClearRegisteredBenchmarks();
    add_benchmark<Steps>(settings, "laps", make.operator()<Steps>());
    add_benchmark<StepsInRounds>(settings, "rounds", make.operator()<StepsInRounds>());
    const std::string path = (std::filesystem::temp_directory_path() / fmt::format("{}.{}", name, ::getpid())).string();
    std::ofstream file(path);
    benchmark::JSONReporter reporter;
    reporter.SetOutputStream(&file);
    benchmark::RunSpecifiedBenchmarks(&reporter);
    benchmark::ClearRegisteredBenchmarks();
    return path;
}

/// What a command prints, errors too.
std::string printed_by(const std::string& command) {
    std::string printed;
    std::array<char, 4096> part{};
    std::FILE* const pipe = ::popen((command + " 2>&1").c_str(), "r");
    while (pipe != nullptr && std::fgets(part.data(), static_cast<int>(part.size()), pipe) != nullptr)
        printed += part.data();
    CHECK((pipe != nullptr && ::pclose(pipe) == 0));
    return printed;
}

TEST_CASE("Google Benchmark's compare.py sees what is seven times slower, with any number of threads") {
    const std::string fast = written("hotindex_fast", 100);
    const std::string slow = written("hotindex_slow", 700);
    const std::string said = printed_by(fmt::format("{} --needs numpy,scipy {} --no-color benchmarks {} {}",
                                                    HOTINDEX_PYTHON_SCRIPT, HOTINDEX_COMPARE_PY, fast, slow));
    std::filesystem::remove(fast);
    std::filesystem::remove(slow);
    INFO(said);
    std::set<std::string> names;
    std::istringstream lines(said);
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string name;
        double change = 0; // of real_time, of which 1 is twice the time
        if (words >> name >> change && name.find("real_time") != std::string::npos) {
            CHECK(change > 1);
            names.insert(name);
        }
    }
    CHECK(names == std::set<std::string>{"laps/real_time/threads:1", "laps/real_time/threads:2",
                                         "laps/real_time/threads:8", "rounds/real_time/threads:1",
                                         "rounds/real_time/threads:2", "rounds/real_time/threads:8"});
}

} // namespace
} // namespace hotindex::bench
