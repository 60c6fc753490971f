// Random calls by several threads, every answer checked: small histories by searching for an order (black box), long
// ones against the version clock (white box), on free-running, disturbed and controlled schedules.
#include "catch.hpp"
#include "tests/history_plans.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

using namespace hotindex;
using namespace hotindex::stress;

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
    none(make_elided_subject, scaled(100), disturbed);
    none(make_adaptive_subject, scaled(150), disturbed);
}

TEST_CASE("every answer of a long history is that of the state at its own time", "[history]") {
    std::uint64_t seed = 0;
    for (const Make make : {make_shipped_subject, make_tiny_subject})
        for (const bool is_disturbed : {false, true}) {
            const Plan plan = long_plan(++seed, scaled(is_disturbed ? 1500 : 5000));
            const auto subject = make(history_options(history_dimension));
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
            const auto subject = make_tiny_subject(history_options(history_dimension));
            ControlledSchedule schedule(plan.threads, seed);
            for (const Call& c : play(*subject, plan, &schedule).calls)
                calls[run].push_back(in_words(c));
            fingerprints[run] = schedule.fingerprint() ^ schedule.steps();
        }
        CHECK(fingerprints[0] == fingerprints[1]);
        CHECK(calls[0] == calls[1]);
    }
}

TEST_CASE("threads that stand still for long at a few operations do not change what others are told", "[history]") {
    const auto mistake = find_mistake_with_stops(scaled(400));
    INFO(mistake.value_or(""));
    CHECK_FALSE(mistake.has_value());
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
