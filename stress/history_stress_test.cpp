// Random calls by several threads, every answer checked: small histories by searching for an order (black box), long
// ones against the version clock (white box), on free-running, disturbed and controlled schedules. And each of the
// checks is shown to find bugs that are planted.
#include "catch.hpp"
#include "linearizability.hpp"
#include "random_calls.hpp"
#include "version_check.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {
using namespace hotindex;
using namespace hotindex::stress;

constexpr std::size_t dimension = 16;

/// Ten times as much when HOTINDEX_DEEP is set.
std::size_t scaled(std::size_t n) {
    return std::getenv("HOTINDEX_DEEP") != nullptr ? n * 10 : n;
}

using Make = std::unique_ptr<Subject> (*)(IndexOptions);

/// Small histories, each on an index of its own.
Plan small_plan(std::uint64_t seed) {
    Plan plan;
    plan.seed = seed;
    plan.threads = 2 + seed % 3;
    plan.calls = 12 / plan.threads + seed % 4;
    plan.ids = static_cast<Id>(1 + seed / 3 % 5);
    plan.present = seed % 3;
    plan.ticks = false;
    plan.calls_of_a_session = seed % 5 == 0 ? 3 : 0;
    if (seed % 4 == 3)
        plan.weights = {4, 3, 3, 2, 0}; // ids are independent then
    return plan;
}

struct Bugged {
    explicit Bugged(bug b) { planted_bug = b; }
    Bugged(const Bugged&) = delete;
    Bugged& operator=(const Bugged&) = delete;
    ~Bugged() { planted_bug = bug::none; }
};

/// The report of the first violation in so many rounds.
template <class MakeSchedule>
std::optional<std::string> find_violation(Make make, std::size_t rounds, MakeSchedule make_schedule) {
    for (std::uint64_t seed = 1; seed <= rounds; ++seed) {
        const Plan plan = small_plan(seed);
        const auto subject = make(history_options(dimension));
        const std::unique_ptr<Schedule> schedule = make_schedule(plan.threads, seed);
        const History history = play(*subject, plan, schedule.get());
        const Verdict verdict = check_linearizable(history);
        if (verdict.kind != Verdict::linearizable) {
            const History least = minimised(history);
            return "seed " + std::to_string(seed) + ": " + report(least, check_linearizable(least));
        }
    }
    return std::nullopt;
}
const auto freely = [](std::size_t, std::uint64_t) { return std::unique_ptr<Schedule>(); };
const auto disturbed = [](std::size_t threads, std::uint64_t seed) -> std::unique_ptr<Schedule> {
    return std::make_unique<DisturbedSchedule>(threads, seed, 1 + static_cast<std::uint32_t>(seed % 16));
};
const auto controlled = [](std::size_t threads, std::uint64_t seed) -> std::unique_ptr<Schedule> {
    return std::make_unique<ControlledSchedule>(threads, seed);
};

Plan long_plan(std::uint64_t seed, std::size_t calls) {
    Plan plan;
    plan.seed = seed;
    plan.threads = 4;
    plan.calls = calls;
    plan.ids = seed % 2 == 0 ? 12 : 60;
    plan.present = plan.ids / 2;
    plan.calls_of_a_session = seed % 3 == 0 ? 100 : 0;
    return plan;
}
} // namespace

TEST_CASE("small histories of every index are linearizable", "[history]") {
    const auto none = [](Make make, std::size_t rounds, auto schedule) {
        const auto violation = find_violation(make, rounds, schedule);
        INFO(violation.value_or(""));
        CHECK_FALSE(violation.has_value());
    };
    none(make_tiny_subject, scaled(150), freely);
    none(make_tiny_subject, scaled(150), disturbed);
    none(make_tiny_subject, scaled(400), controlled);
    none(make_shipped_subject, scaled(50), disturbed);
    none(make_shipped_subject, scaled(50), controlled);
    none(make_locked_subject, scaled(50), freely);
}

TEST_CASE("every answer of a long history is that of the state at its own time", "[history]") {
    std::uint64_t seed = 0;
    for (const Make make : {make_shipped_subject, make_tiny_subject})
        for (const bool is_disturbed : {false, true}) {
            const Plan plan = long_plan(++seed, scaled(is_disturbed ? 1500 : 5000));
            const auto subject = make(history_options(dimension));
            DisturbedSchedule schedule(plan.threads, seed, 50);
            const History history = play(*subject, plan, is_disturbed ? &schedule : nullptr);
            const VersionVerdict verdict = check_versions(history);
            INFO((verdict.mistakes.empty() ? std::string() : verdict.mistakes[0].what));
            CHECK(verdict.correct());
            CHECK(verdict.updates + verdict.reads + verdict.searches == history.calls.size());
            CHECK(verdict.searches > plan.calls / 4);
            CHECK(subject->join()->drain());
        }
}

TEST_CASE("a controlled schedule follows from its seed, step by step", "[history]") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        std::uint64_t fingerprints[2];
        std::vector<std::string> calls[2];
        for (int run = 0; run != 2; ++run) {
            Plan plan = small_plan(seed);
            const auto subject = make_tiny_subject(history_options(dimension));
            ControlledSchedule schedule(plan.threads, seed);
            for (const Call& c : play(*subject, plan, &schedule).calls)
                calls[run].push_back(in_words(c));
            fingerprints[run] = schedule.fingerprint() ^ schedule.steps();
        }
        CHECK(fingerprints[0] == fingerprints[1]);
        CHECK(calls[0] == calls[1]);
    }
}

TEST_CASE("the black-box check finds planted bugs on controlled schedules", "[history]") {
    for (const bug b : {bug::time_per_slot, bug::supersede_unfinished, bug::birth_exclusive, bug::free_slot_at_once}) {
        const Bugged bugged(b);
        const auto violation = find_violation(make_tiny_subject, 3000, controlled);
        INFO(name_of(b));
        REQUIRE(violation.has_value());
        CHECK(violation->find("no order explains this") != std::string::npos);
    }
}

TEST_CASE("the white-box check finds planted bugs", "[history]") {
    for (const bug b : {bug::dead_unstamped_visible, bug::time_per_slot, bug::birth_exclusive, bug::death_inclusive}) {
#ifdef HOTINDEX_STRESS_ASAN
        if (b != bug::birth_exclusive)
            continue; // a search looks at what it does not keep, and AddressSanitizer ends the process
#endif
        const Bugged bugged(b);
        bool found = false;
        for (std::uint64_t seed = 1; seed <= 400 && !found; ++seed) {
            const auto subject = make_tiny_subject(history_options(dimension));
            ControlledSchedule schedule(3, seed, 20'000);
            Plan plan = long_plan(seed, 60);
            plan.threads = 3;
            found = !check_versions(play(*subject, plan, &schedule)).correct();
        }
        INFO(name_of(b));
        CHECK(found);
    }
}

TEST_CASE("threads that stand still for long at a few operations do not change what others are told", "[history]") {
    const auto find_mistake = [](std::size_t rounds) -> std::optional<std::string> {
        for (std::uint64_t seed = 1; seed <= rounds; ++seed) {
            auto [plan, places] = plan_with_stops(seed);
            const auto subject = make_tiny_subject(history_options(dimension));
            ControlledSchedule schedule(plan.threads, seed, 1, std::move(places));
            const VersionVerdict verdict = check_versions(play(*subject, plan, &schedule));
            if (!verdict.correct())
                return "seed " + std::to_string(seed) + ": " + verdict.mistakes[0].what;
        }
        return std::nullopt;
    };
    const auto mistake = find_mistake(scaled(400));
    INFO(mistake.value_or(""));
    CHECK_FALSE(mistake.has_value());
    // These need it: no other schedule finds them within minutes.
    for (const bug b : {bug::pin_once, bug::decide_by_store, bug::open_again}) {
#ifdef HOTINDEX_STRESS_ASAN
        if (b == bug::pin_once)
            continue; // AddressSanitizer ends the process before an answer is wrong
#endif
        const Bugged bugged(b);
        INFO(name_of(b));
        CHECK(find_mistake(4000).has_value());
    }
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size); // fuzz_operations.cpp

TEST_CASE("both indexes answer sequences of random bytes, and the fuzzer's corpus, as the oracle does", "[fuzz]") {
    std::mt19937_64 random(1);
    std::size_t inputs = 0;
    for (; inputs != scaled(300); ++inputs) { // an answer that differs aborts
        std::vector<std::uint8_t> bytes(random() % 400);
        for (auto& byte : bytes)
            byte = static_cast<std::uint8_t>(random());
        LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    }
    CHECK(inputs >= 300);
    std::size_t files = 0;
    for (const auto& file : std::filesystem::directory_iterator(HOTINDEX_FUZZ_CORPUS)) {
        std::ifstream in(file.path(), std::ios::binary);
        const std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
        LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
        ++files;
    }
    CHECK(files >= 10);
}
