// A group of slots: what its word says when changes are added to it in any order, and at any time of the clock.
#include "catch.hpp"

#include <hotindex/backend/production.hpp>
#include <hotindex/store/slot_groups.hpp>
#include <hotindex/store/version_clock.hpp>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace {
using namespace hotindex;
using version::Word;
using Group = SlotGroup<ProductionBackend>;

bool is_exact(const Group& group, Word time) {
    return Group::inexact(group.look(), Group::limit(time)) >> 63 == 0;
}
} // namespace

TEST_CASE("whatever the order in which births and deaths are added, a group shows them when all are", "[slots]") {
    struct Change {
        std::uint32_t slot;
        Word time;
    };
    // Two lives of slot 0, and one each of the last slot and of slot 7, which goes on living.
    std::vector<Change> changes{{0, 1}, {15, 2}, {0, 3}, {0, 4}, {15, 5}, {7, 6}, {0, 9}};
    // The clock's low 48 bits begin anew in the middle, or not.
    const Word begin = GENERATE(Word{0}, (Word{1} << 48) - 5);
    do {
        Group group;
        if (begin != 0) // no change, but a time
            group.add(0, begin);
        for (const Change& c : changes)
            group.add(Word{1} << c.slot, begin + c.time);
        REQUIRE(is_exact(group, begin + 9));
        REQUIRE(is_exact(group, begin + 1'000'000));
        REQUIRE_FALSE(is_exact(group, begin + 8));
        REQUIRE_FALSE(is_exact(group, begin + 1));
        REQUIRE(Group::visible(group.look()) == Word{1} << 7);
        REQUIRE(group.visible_now() == Word{1} << 7);
    } while (std::next_permutation(changes.begin(), changes.end(),
                                   [](const Change& a, const Change& b) { return a.time < b.time; }));
}

TEST_CASE("a group in which nothing changes for half of the clock's turn is asked until its time comes round",
          "[slots]") {
    Group group;
    group.add(1, 5);
    CHECK(is_exact(group, 5));
    CHECK(is_exact(group, (Word{1} << 47) - 1));
    CHECK_FALSE(is_exact(group, (Word{1} << 47) + 10));
    CHECK(is_exact(group, (Word{1} << 48) + 6));
}
