// Lock-freedom, certified by stopping threads for ever; and the same test refusing an index that locks.
#include "catch.hpp"
#include "measures/progress.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>

namespace {
using namespace hotindex;
using namespace hotindex::stress;

bool deep() {
    return std::getenv("HOTINDEX_DEEP") != nullptr;
}
} // namespace

TEST_CASE("a thread that stops for ever at any step of any operation stops nobody else", "[progress]") {
    const std::size_t rounds = deep() ? 100 : 2;
    for (const auto make : {make_tiny_subject, make_shipped_subject}) {
        const ProgressReport report = certify_progress(make, rounds);
        CHECK(report.blocked() == 0);
        CHECK(report.wrong() == 0);
        CHECK(report.completed() == report.stops.size() * rounds * 5 * 8);
        std::set<std::string> operations;
        for (const Stop& s : report.stops)
            operations.insert(s.operation);
        CHECK(operations.size() == 11);
        CHECK(report.stops.size() > 250);
    }
}

TEST_CASE("two threads that stop for ever stop nobody else", "[progress]") {
    for (std::uint64_t seed = 1; seed <= (deep() ? 50 : 1); ++seed) {
        const ProgressReport report = certify_progress(make_tiny_subject, 1, seed);
        CHECK(report.blocked() == 0);
        CHECK(report.wrong() == 0);
    }
}

TEST_CASE("the same test refuses an index behind a mutex", "[progress]") {
    const ProgressReport report = certify_progress(make_locked_subject, 1);
    CHECK(report.wrong() == 0);
    // Every operation but those that never lock is stopped once outside and once inside of the critical section.
    CHECK(report.blocked() >= 10);
    CHECK(report.blocked() < report.stops.size());
    for (const Stop& s : report.stops)
        CHECK(s.blocked == (s.before.kind != Step::lock));
}

TEST_CASE("a search on a snapshot takes no more steps however many updates come between them", "[progress]") {
    // 62 vectors lie in 64 slots of 17 segments with a group each. Undisturbed a segment costs five loads: its place in
    // the directory, when it was made, and which slots are visible; then the ids, two loads each.
    const std::uint64_t alone = steps_of_a_disturbed_search(62, 0, 0, true);
    CHECK(alone < 17 * 5 + 140);
    // At worst each slot is asked when it died and when it was born.
    const std::uint64_t bound = alone + std::uint64_t{64} * 2;
    std::uint64_t most = 0;
    for (const std::size_t updates : {1u, 2u, 5u, 20u})
        most = std::max(most, steps_of_a_disturbed_search(62, updates, 100'000, true));
    CHECK(most > alone);
    CHECK(most <= bound);
}

TEST_CASE("a search, its announcement included, takes a bounded number of steps beside updates that never end",
          "[progress]") {
    const std::uint64_t alone = steps_of_a_disturbed_search(62, 0, 0, false);
    // An update before each step adds a few slots until the search has counted them; and two slots may be announced,
    // which are found, asked three words each, asked again, and stamped.
    const std::uint64_t bound = alone + std::uint64_t{2} * 64 * 2 + std::uint64_t{2} * 16;
    for (const std::size_t most : {10u, 100u, 1000u, 100'000u})
        CHECK(steps_of_a_disturbed_search(62, 1, most, false) <= bound);
}
