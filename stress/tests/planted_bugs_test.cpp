// The checks find bugs: the same plans on the sources with planted bugs, one of them on at a time. A check that has
// never failed proves nothing.
#include "catch.hpp"
#include "tests/history_plans.hpp"

#include <hotindex/planted_bugs.hpp>

#include <cstddef>
#include <cstdint>

namespace {
using namespace hotindex;
using namespace hotindex::stress;

struct Bugged {
    explicit Bugged(bug b) { planted_bugs.turn_on(b); }
    Bugged(const Bugged&) = delete;
    Bugged& operator=(const Bugged&) = delete;
    ~Bugged() { planted_bugs.turn_on(bug::none); }
};

} // namespace

TEST_CASE("with all bugs off, the planted sources pass", "[planted]") {
    const auto violation = find_violation(make_tiny_subject, 300, controlled);
    INFO(violation.value_or(""));
    CHECK_FALSE(violation.has_value());
    CHECK(planted_bugs.was_reached(bug::time_per_block));
}

TEST_CASE("the black-box check finds planted bugs on controlled schedules", "[planted]") {
    for (const bug b : {bug::time_per_block, bug::supersede_unfinished, bug::birth_exclusive, bug::free_slot_at_once}) {
        const Bugged bugged(b);
        const auto violation = find_violation(make_tiny_subject, 3000, controlled);
        INFO(name_of(b));
        REQUIRE(violation.has_value());
        CHECK(violation->find("no order explains this") != std::string::npos);
    }
}

TEST_CASE("the white-box check finds planted bugs", "[planted]") {
    for (const bug b : {bug::help_nothing, bug::time_per_block, bug::birth_exclusive, bug::death_inclusive}) {
        const Bugged bugged(b);
        bool found = false;
        for (std::uint64_t seed = 1; seed <= 400 && !found; ++seed) {
            const auto subject = make_tiny_subject(history_options(history_dimension));
            ControlledSchedule schedule(3, seed, 20'000);
            Plan plan = long_plan(seed, 60);
            plan.threads = 3;
            found = !check_versions(play(*subject, plan, &schedule)).correct();
        }
        INFO(name_of(b));
        CHECK(found);
    }
}

TEST_CASE("the check of long stops finds planted bugs that no other schedule finds within minutes", "[planted]") {
    for (const bug b : {bug::pin_once, bug::decide_by_store, bug::open_again}) {
        const Bugged bugged(b);
        INFO(name_of(b));
        CHECK(find_mistake_with_stops(4000).has_value());
    }
}
