// What stays in memory after something large is over, counted in bytes: a binary of its own, whose operator new counts.
// All on one thread: the counters are plain.
#include "catch.hpp"
#include "counted_allocations.hpp"

#include <hotindex/hot_vector_index.hpp>
#include <hotindex/lock_free_hot_vector_index.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace {
using namespace hotindex;
using bench::allocations;
using Vector = std::vector<float>;

constexpr std::uint64_t kept_scratch = DefaultTraits::kept_scratch;

Vector vector_of(int i, std::size_t dimension) {
    Vector v(dimension, 1);
    v[static_cast<std::size_t>(i) % dimension] = static_cast<float>(i % 1000 + 2);
    return v;
}

template <class Index>
void fill(Index& index, int first, int last) {
    for (int i = first; i != last; ++i)
        index.add_vector(fmt::format("vector {}", i), vector_of(i, index.options().dimension));
}

template <class Index>
void remove(Index& index, int first, int last) {
    for (int i = first; i != last; ++i)
        index.remove_vector(fmt::format("vector {}", i));
}

/// How many bytes more are in use after the operation.
template <class Operation>
std::int64_t stays_after(Operation operation) {
    const std::uint64_t before = allocations.live;
    operation();
    return static_cast<std::int64_t>(allocations.live - before);
}

/// How many bytes were asked for, in sum, while the operation ran.
template <class Operation>
std::uint64_t asked_during(Operation operation) {
    const std::uint64_t before = allocations.asked;
    operation();
    return allocations.asked - before;
}

Vector queries_of(std::size_t n, std::size_t dimension) {
    Vector all;
    for (std::size_t i = 0; i != n; ++i) {
        const Vector v = vector_of(static_cast<int>(i), dimension);
        all.insert(all.end(), v.begin(), v.end());
    }
    return all;
}
} // namespace

TEMPLATE_TEST_CASE("a large batch leaves little with its thread", "[memory]", LockFreeHotVectorIndex,
                   HotVectorIndex<std::mutex>, HotVectorIndex<std::shared_mutex>) {
    TestType index(IndexOptions{.dimension = 4});
    fill(index, 0, 3000);
    const Vector many = queries_of(300, 4);
    CHECK(index.search_batch(many, 1).size() == 300);
    std::uint64_t asked = 0;
    const std::int64_t stays = stays_after(
        [&] { asked = asked_during([&] { CHECK(index.search_batch(many, 3000).back().size() == 3000); }); });
    CHECK(asked > 10 * kept_scratch);
    CHECK(stays <= static_cast<std::int64_t>(kept_scratch / 2));
}

TEMPLATE_TEST_CASE("a batch after a larger one leaves no more than one batch may", "[memory]", LockFreeHotVectorIndex,
                   HotVectorIndex<std::mutex>) {
    TestType index(IndexOptions{.dimension = 1, .metric = Metric::inner_product});
    fill(index, 0, 30'000);
    const Vector one{1};
    (void)index.search_batch(one, 1);
    const std::int64_t stays = stays_after([&] {
        (void)index.search_batch(Vector(50, 1), 1000); // 50 x 1,024 x 8 bytes: allowed
        for (int i = 0; i != 3; ++i)
            (void)index.search_batch(one, 30'000); // 32,768 x 8 bytes: allowed, too, but not both
    });
    CHECK(stays <= static_cast<std::int64_t>(kept_scratch / 2));
    // The same in small: kept, and used again.
    (void)index.search_batch(Vector(50, 1), 100);
    const std::uint64_t results = asked_during([&] { (void)index.search_batch(Vector(50, 1), 100); });
    CHECK(asked_during([&] { (void)index.search_batch(Vector(50, 1), 100); }) == results);
    CHECK(results < 50 * (100 * sizeof(Match) + sizeof(std::vector<Match>)) + 50 * sizeof(float) + 4096);
}

TEMPLATE_TEST_CASE("a search for more than can be kept leaves little with its thread", "[memory]",
                   LockFreeHotVectorIndex, HotVectorIndex<std::mutex>, HotVectorIndex<std::shared_mutex>) {
    constexpr std::size_t n = 100'000;
    TestType index(IndexOptions{.dimension = 1, .metric = Metric::inner_product});
    fill(index, 0, n);
    const Vector query{1};
    (void)index.search(query, 10);
    CHECK(stays_after([&] { CHECK(index.search(query, n).size() == n); }) <=
          static_cast<std::int64_t>(kept_scratch / 4));
    const std::int64_t stays = stays_after([&] {
        std::size_t asked = 0;
        CHECK_THROWS_AS(index.search(query, n,
                                     [&](std::string_view) {
                                         if (++asked == n)
                                             throw std::runtime_error("the last one");
                                         return true;
                                     }),
                        std::runtime_error);
    });
    CHECK(stays <= static_cast<std::int64_t>(kept_scratch / 4) + 1024);
    CHECK(index.search(query, 10).size() == 10);
}

TEMPLATE_TEST_CASE("a query longer than can be kept is not kept", "[memory]", LockFreeHotVectorIndex,
                   HotVectorIndex<std::mutex>) {
    constexpr std::size_t dimension = std::size_t{1} << 17; // twice what may be kept
    TestType index(IndexOptions{.dimension = dimension});
    fill(index, 0, 1);
    const Vector query = vector_of(5, dimension);
    CHECK(stays_after([&] {
              CHECK(index.search(query, 1).size() == 1);
              CHECK(index.search_batch(query, 1).size() == 1);
              CHECK(index.add_vector("vector 0", query) == AddOutcome::replaced);
              CHECK(index.search(query, 1).at(0).score > 0.99F);
          }) < static_cast<std::int64_t>(kept_scratch / 4));
}

TEMPLATE_TEST_CASE("searches in steady state allocate their results and nothing else", "[memory]",
                   LockFreeHotVectorIndex, HotVectorIndex<std::mutex>, HotVectorIndex<std::shared_mutex>) {
    TestType index(IndexOptions{.dimension = 64});
    fill(index, 0, 1000);
    const Vector query = vector_of(3, 64);
    const Vector many = queries_of(100, 64);
    const auto search = [&] { (void)index.search(query, 100); };
    const auto batch = [&] { (void)index.search_batch(many, 10); };
    search();
    batch();
    const std::uint64_t before = allocations.made;
    search();
    CHECK(allocations.made - before == 1);
    batch();
    // For each query its results, and a name that a refusal would give it.
    CHECK(allocations.made - before <= 1 + 1 + 2 * 100);
}

TEMPLATE_TEST_CASE("memory_usage tells what is in use", "[memory]", LockFreeHotVectorIndex,
                   HotVectorIndex<std::mutex>) {
    for (const int n : {100, 3000, 20'000}) {
        std::unique_ptr<TestType> index;
        const std::int64_t stays = stays_after([&] {
            index = std::make_unique<TestType>(IndexOptions{.dimension = 48});
            fill(*index, 0, n);
        });
        const auto told = static_cast<std::int64_t>(index->memory_usage().total());
        INFO(n << " vectors: " << told << " bytes told, " << stays << " in use");
        CHECK(told > stays * 3 / 4 - (1 << 16));
        CHECK(told < stays * 5 / 4 + (1 << 16));
    }
}

/// Every retired slot asks whether it is time to advance, and it always is; or it never asks.
template <std::uint32_t per_timer>
struct TimedTraits : DefaultTraits {
    static constexpr std::uint32_t slots_per_timer = per_timer;
    static constexpr std::int64_t fast_us = 0;
    static constexpr std::int64_t slot_wait_us = 0;
};

template <class Traits>
std::uint64_t most_limbo_while_replacing() {
    IndexOptions options;
    options.dimension = 8;
    BasicLockFreeHotVectorIndex<ProductionBackend, Traits> index(options);
    std::uint64_t most = 0;
    for (int i = 0; i != 400; ++i) {
        index.add_vector(fmt::format("vector {}", i % 10), vector_of(i, 8));
        most = std::max(most, index.epoch_stats().limbo_objects);
    }
    return most;
}

TEST_CASE("slots of a thread that replaces seldom come back at once", "[memory]") {
    CHECK(most_limbo_while_replacing<TimedTraits<1>>() <= 1);  // nobody is pinned but for the time of an update
    CHECK(most_limbo_while_replacing<TimedTraits<0>>() >= 31); // one less than make an advance due
}

TEMPLATE_TEST_CASE("an index behind a lock from which most is removed gives its memory back", "[memory]",
                   HotVectorIndex<std::mutex>, HotVectorIndex<std::shared_mutex>) {
    constexpr int n = 20'000;
    constexpr std::int64_t records = std::int64_t{32'768} * 40; // the tracker keeps its largest size
    TestType index(IndexOptions{.dimension = 128});
    fill(index, 0, 50);
    std::int64_t full = 0;
    const std::int64_t stays = stays_after([&] {
        full = stays_after([&] { fill(index, 50, n); });
        remove(index, 50, n);
    });
    CHECK(full > std::int64_t{n} * 128 * 4);
    CHECK(stays <= records + std::int64_t{64} * 1024); // room for 128 vectors instead of 64, and a table for as many
    CHECK(index.size() == 50);
    CHECK(index.search(vector_of(7, 128), 50).size() == 50);
    CHECK(stays_after([&] {
              fill(index, 50, n);
              remove(index, 50, n);
          }) <= 0); // and again
}

TEST_CASE("an index behind a lock gives all room back but its first", "[memory]") {
    HotVectorIndex<std::mutex> index(IndexOptions{.dimension = 16});
    fill(index, 0, 1);
    remove(index, 0, 1);
    const std::int64_t stays = stays_after([&] {
        fill(index, 0, 1000); // fits into the first segments of the tracker
        remove(index, 0, 1000);
    });
    CHECK(index.empty());
    CHECK(stays <= 1024 * 40 + 2048);
}

TEST_CASE("removals move each row a bounded number of times, and never to and fro", "[memory]") {
    constexpr std::size_t dimension = 256;
    constexpr int n = 1 << 12;
    HotVectorIndex<std::mutex> index(IndexOptions{.dimension = dimension});
    fill(index, 0, n);
    // Halvings are half as large each: in sum no more than the room there was.
    CHECK(asked_during([&] { remove(index, 0, n); }) < n * (dimension * 4 + 4 + 8 + 4 + 16));
    // At every size there is, an add and a removal in turn take no room and give none back, or only once.
    for (int size = 0; size != n / 4; ++size) {
        fill(index, size, size + 1);
        if (size % 64 > 2 && size % 64 < 62)
            continue;
        const std::uint64_t asked = asked_during([&] {
            for (int i = 0; i != 20; ++i) {
                remove(index, size, size + 1);
                fill(index, size, size + 1);
            }
        });
        // The vectors and ids that the calls themselves make, and room for twice the size at most once.
        CHECK(asked <
              20 * (dimension * 4 + 400) + std::size_t{3} * static_cast<unsigned>(size + 64) * (dimension * 4 + 40));
    }
}

TEST_CASE("room that was reserved in advance stays", "[memory]") {
    constexpr int n = 5000;
    HotVectorIndex<std::mutex> index(IndexOptions{.dimension = 64, .expected_vectors = n});
    const std::uint64_t asked = asked_during([&] {
        for (int round = 0; round != 3; ++round) {
            fill(index, 0, n);
            remove(index, 0, n);
        }
    });
    // What the calls make, and the tracker; one table of rows is n x 64 x 4 more.
    CHECK(asked < std::uint64_t{3} * n * (64 * 4 + 400));
    CHECK(asked_during([&] {
              for (int i = 0; i != n; ++i)
                  (void)index.remove_vector("not there");
          }) == 0);
}

TEST_CASE("the first vector of the largest dimension takes room for one", "[memory]") {
    HotVectorIndex<std::mutex> index(IndexOptions{.dimension = max_dimension});
    const Vector large(max_dimension, 1);
    CHECK(stays_after([&] { index.add_vector("a", large); }) <
          std::int64_t{max_dimension} * 4 + std::int64_t{128} * 1024);
    CHECK(stays_after([&] {
              for (int i = 0; i != 5; ++i)
                  index.add_vector("a", large);
          }) == 0);
}
