// What the lock-free index costs in shared memory, counted by the counting backend: exact figures, no clocks.
#include "catch.hpp"

#include <hotindex/backend/counting.hpp>
#include <hotindex/lock_free_hot_vector_index.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

namespace {
using namespace hotindex;
using CountedIndex = BasicLockFreeHotVectorIndex<CountingBackend, DefaultTraits>;

constexpr std::size_t dimension = 16;

std::vector<float> vector_of(int i) {
    std::vector<float> v(dimension, 1.0F);
    v[static_cast<std::size_t>(i) % dimension] = static_cast<float>(i + 2);
    return v;
}

void fill(CountedIndex& index, int vectors) {
    for (int i = 0; i != vectors; ++i)
        index.add_vector("id-" + std::to_string(i), vector_of(i));
}

/// Runs the operation with the calling thread's tally, and returns that.
template <class Operation>
Tally& counted(Operation operation) {
    Tally& tally = CountingBackend::tally();
    tally.reset();
    tally.record_writes = true;
    operation();
    tally.record_writes = false;
    return tally;
}
} // namespace

TEST_CASE("a search in steady state writes what belongs to its participant and nothing else", "[cost]") {
    for (const Tracking tracking : {Tracking::off, Tracking::exact}) {
        CountedIndex index(IndexOptions{.dimension = dimension, .tracking = tracking, .tiers = {.manage_every = {}}});
        fill(index, 1000);
        const auto handle = index.join();
        const auto query = vector_of(3);
        (void)index.search(handle, query, 10); // warm-up: what follows is steady state
        const Tally& tally = counted([&] { (void)index.search(handle, query, 10); });
        const OperationCounts total = tally.total();
        CHECK(tally.by_edge[static_cast<std::size_t>(edge::epoch_pin)].stores == 0);
        CHECK(tally.by_edge[static_cast<std::size_t>(edge::snapshot_end)].stores == 2); // opened and closed
        CHECK(total.rmws == 1);                                                         // its time, into its own cell
        CHECK(total.cas_failures == 0);
        CHECK(total.heavy_fences == 0);
        CHECK(total.light_fences == 1);
        CHECK(std::all_of(tally.writes.begin(), tally.writes.end(), [&](const void* p) { return handle.owns(p); }));
    }
}

TEST_CASE("statistics and tracking switched off cost a search no store", "[cost]") {
    CountedIndex index(IndexOptions{.dimension = dimension, .stats = false});
    fill(index, 100);
    const auto handle = index.join();
    const auto query = vector_of(3);
    (void)index.search(handle, query, 10);
    CHECK(counted([&] { (void)index.search(handle, query, 10); }).total().stores == 2); // the announcement
}

TEST_CASE("what an add costs is the same every time", "[cost]") {
    CountedIndex index(IndexOptions{.dimension = dimension, .expected_vectors = 5000});
    fill(index, 1000);
    const auto handle = index.join();
    const auto vector = vector_of(7);
    index.add_vector(handle, "id-7", vector); // warm-up
    const OperationCounts replace = counted([&] { index.add_vector(handle, "id-7", vector); }).total();
    CHECK(replace.cas_failures == 0);
    // current, clock, stamp; and the group, as both slots lie in one
    CHECK(replace.rmws == 4);
    CHECK(counted([&] { index.add_vector(handle, "id-7", vector); }).total() == replace);
}

TEST_CASE("a search reads four words for 64 slots among which nothing changes", "[cost]") {
    constexpr std::size_t vectors = 4096;
    CountedIndex index(IndexOptions{.dimension = dimension});
    fill(index, vectors);
    const auto handle = index.join();
    const auto query = vector_of(3);
    (void)index.search(handle, query, 10);
    const Tally& tally = counted([&] { (void)index.search(handle, query, 10); });
    CHECK(tally.by_edge[static_cast<std::size_t>(edge::slot_death)].loads == 0);
    CHECK(tally.total().loads < vectors / 16 + 100);
}

TEST_CASE("dead versions that a stalled reader keeps cost a search four loads a block", "[cost]") {
    constexpr std::size_t vectors = 1000;
    constexpr std::size_t dead = 20 * vectors;
    CountedIndex index(IndexOptions{.dimension = dimension});
    fill(index, vectors);
    const auto handle = index.join();
    const auto stalled = index.join();
    const auto query = vector_of(3);
    const auto replace_all = [&] {
        for (std::size_t i = 0; i != vectors; ++i)
            index.add_vector(handle, "id-" + std::to_string(i), vector_of(static_cast<int>(i)));
    };
    const auto search_loads = [&] {
        (void)index.search(handle, query, 10);
        return counted([&] { (void)index.search(handle, query, 10); }).total().loads;
    };
    const std::uint64_t before = search_loads();
    const auto snapshot = index.snapshot(stalled);
    for (std::size_t round = 0; round != dead / vectors; ++round)
        replace_all();
    // Four loads a block of 64, and a little for segments.
    CHECK(search_loads() < before + 4 * (dead / 64) + vectors / 10);
}
