// IndexPool and MemoryPool: what is freed is used again, by whoever needs it, and what nobody uses goes back.
#include "catch.hpp"

#include <hotindex/backend/counting.hpp>
#include <hotindex/backend/production.hpp>
#include <hotindex/backend/traits.hpp>
#include <hotindex/memory/memory_pool.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <random>
#include <set>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace {
using namespace hotindex;

struct Payload {
    explicit Payload(int v) : value(v) {
        if (v < 0)
            throw std::runtime_error("negative");
    }
    int value;
};

/// A cache line, as a map's entry.
struct alignas(64) Line {
    explicit Line(std::uint64_t v) : value(v) {}
    std::uint64_t value;
};
using Lines = MemoryPool<ProductionBackend, DefaultTraits, Line>;

template <class Pool>
std::vector<Line*> make_lines(Pool& pool, typename Pool::Cache& cache, std::uint64_t n) {
    std::vector<Line*> lines;
    for (std::uint64_t i = 0; i != n; ++i)
        lines.push_back(pool.make(cache, i));
    return lines;
}
template <class Pool>
void destroy_lines(Pool& pool, typename Pool::Cache& cache, const std::vector<Line*>& lines) {
    for (Line* line : lines)
        pool.destroy(cache, line);
}
} // namespace

TEST_CASE("a pool reuses what was destroyed and grows by slabs", "[pool]") {
    using Pool = MemoryPool<ProductionBackend, TinyTraits, Payload>;
    Pool pool;
    Pool::Cache cache;
    std::vector<Payload*> live;
    for (int i = 0; i != 20; ++i)
        live.push_back(pool.make(cache, i));
    CHECK(pool.stats().slabs == 10);
    CHECK(std::set<Payload*>(live.begin(), live.end()).size() == 20);
    for (int i = 0; i != 20; ++i)
        CHECK(live[static_cast<std::size_t>(i)]->value == i);
    for (Payload* p : live)
        pool.destroy(cache, p);
    for (int i = 0; i != 20; ++i)
        live[static_cast<std::size_t>(i)] = pool.make(cache, i);
    CHECK(pool.stats().slabs == 10);
    CHECK(pool.stats().blocks == 20);
    for (Payload* p : live)
        pool.destroy(cache, p);
}

TEST_CASE("a bounded pool refuses to grow and loses nothing", "[pool]") {
    using Pool = MemoryPool<ProductionBackend, TinyTraits, Payload>;
    Pool pool(4);
    Pool::Cache cache;
    std::vector<Payload*> live;
    for (int i = 0; i != 4; ++i)
        live.push_back(pool.make(cache, i));
    CHECK_THROWS_AS(pool.make(cache, 4), std::bad_alloc);
    pool.destroy(cache, live.back());
    CHECK_THROWS_AS(pool.make(cache, -1), std::runtime_error); // the block goes back
    live.back() = pool.make(cache, 5);
    CHECK(live.back()->value == 5);
    CHECK(pool.stats().blocks == 4);
    for (Payload* p : live)
        pool.destroy(cache, p);
}

TEMPLATE_TEST_CASE("blocks are aligned, apart from each other, and theirs alone", "[pool]", std::uint32_t,
                   std::uint64_t, Line) {
    using Pool = MemoryPool<ProductionBackend, DefaultTraits, TestType>;
    Pool pool;
    typename Pool::Cache cache;
    std::vector<TestType*> live;
    for (std::uint32_t i = 0; i != 20'000; ++i) {
        live.push_back(pool.make(cache, i));
        REQUIRE(reinterpret_cast<std::uintptr_t>(live.back()) % alignof(TestType) == 0);
    }
    CHECK(pool.stats().bytes >= live.size() * sizeof(TestType));
    CHECK(pool.stats().bytes <= live.size() * sizeof(TestType) * 11 / 10 + (16 << 10));
    std::sort(live.begin(), live.end());
    bool apart = true;
    for (std::size_t i = 1; i != live.size(); ++i)
        apart = apart && live[i - 1] + 1 <= live[i];
    CHECK(apart);
    for (TestType* p : live)
        pool.destroy(cache, p);
}

TEST_CASE("large objects get slabs that hold at least 16 of them", "[pool]") {
    struct Large {
        explicit Large(int v) : value(v) {}
        int value;
        std::array<std::byte, 100'000> rest; // left as it is
    };
    using Pool = MemoryPool<ProductionBackend, DefaultTraits, Large>;
    Pool pool;
    Pool::Cache cache;
    std::vector<Large*> live;
    for (int i = 0; i != 100; ++i)
        live.push_back(pool.make(cache, i));
    const PoolStats full = pool.stats();
    CHECK(full.blocks / full.slabs >= 16);
    CHECK(full.bytes <= 2 * full.blocks * sizeof(Large));
    for (int i = 0; i != 100; ++i)
        REQUIRE(live[static_cast<std::size_t>(i)]->value == i);
    for (Large* p : live)
        pool.destroy(cache, p);
    pool.flush(cache);
    pool.trim();
    CHECK(pool.stats().bytes == 0);
}

TEST_CASE("a thread that makes and destroys in turn shares nothing with others", "[pool][counting]") {
    using Pool = MemoryPool<CountingBackend, DefaultTraits, Line>;
    Pool pool;
    Pool::Cache cache;
    destroy_lines(pool, cache, make_lines(pool, cache, 100));
    Tally& tally = CountingBackend::tally();
    tally.reset();
    for (int i = 0; i != 1000; ++i)
        destroy_lines(pool, cache, make_lines(pool, cache, 100));
    CHECK(tally.total() == OperationCounts{});
}

TEST_CASE("blocks that were made together go back with few operations", "[pool][counting]") {
    using Pool = MemoryPool<CountingBackend, DefaultTraits, Line>;
    Pool pool;
    Pool::Cache cache;
    const std::vector<Line*> lines = make_lines(pool, cache, 10'000);
    Tally& tally = CountingBackend::tally();
    tally.reset();
    destroy_lines(pool, cache, lines);
    CHECK(tally.total().rmws <= 10'000 / 16);
    tally.reset();
    destroy_lines(pool, cache, make_lines(pool, cache, 10'000));
    CHECK(tally.total().rmws <= 10'000 / 8);
}

TEST_CASE("a step of a pool is bounded, however many blocks are free", "[pool][counting]") {
    using Pool = MemoryPool<CountingBackend, DefaultTraits, Line>;
    Pool pool;
    Pool::Cache cache;
    std::vector<Line*> lines = make_lines(pool, cache, 500'000);
    std::shuffle(lines.begin(), lines.end(), std::mt19937_64(1));
    Tally& tally = CountingBackend::tally();
    const auto operations = [&tally] {
        const OperationCounts all = tally.total();
        return all.loads + all.stores + all.rmws + all.cas_failures;
    };
    std::uint64_t dearest = 0;
    for (Line* line : lines) {
        tally.reset();
        pool.destroy(cache, line);
        dearest = std::max(dearest, operations());
    }
    // 128 blocks of different words, and a look at a few slabs.
    CHECK(dearest < 128 * 16 + 8 * 64);
    dearest = 0;
    for (Line*& line : lines) {
        tally.reset();
        line = pool.make(cache, 1u);
        dearest = std::max(dearest, operations());
    }
    CHECK(dearest < 200);
    destroy_lines(pool, cache, lines);
}

TEST_CASE("slabs that nobody uses are closed by whoever gives blocks back", "[pool]") {
    Lines pool;
    Lines::Cache cache;
    constexpr std::uint64_t many = 200'000;
    std::vector<Line*> lines = make_lines(pool, cache, many);
    const PoolStats full = pool.stats();
    CHECK(full.bytes >= many * sizeof(Line));
    std::shuffle(lines.begin(), lines.end(), std::mt19937_64(2));
    const std::vector<Line*> left(lines.end() - 20, lines.end());
    lines.resize(lines.size() - 20);
    destroy_lines(pool, cache, lines);
    // A few thousand objects that come and go, as in a program that goes on.
    for (int i = 0; i != 200; ++i)
        destroy_lines(pool, cache, make_lines(pool, cache, 2000));
    CHECK(pool.stats().bytes < full.bytes / 10);
    bool as_they_were = true;
    for (Line* line : left)
        as_they_were = as_they_were && line->value < many;
    CHECK(as_they_were);
    destroy_lines(pool, cache, left);
    pool.flush(cache);
    pool.trim();
    CHECK(pool.stats().bytes == 0);
    // Closed slabs are opened again, with their numbers: the pool does not grow beyond what it was.
    lines = make_lines(pool, cache, many);
    CHECK(pool.stats().bytes == full.bytes);
    bool right = true;
    for (std::uint64_t i = 0; i != many; ++i)
        right = right && lines[i]->value == i;
    CHECK(right);
    destroy_lines(pool, cache, lines);
}

TEST_CASE("a pool that breathes keeps its slabs", "[pool][counting]") {
    using Pool = MemoryPool<CountingBackend, DefaultTraits, Line>;
    Pool pool;
    Pool::Cache cache;
    destroy_lines(pool, cache, make_lines(pool, cache, 1000));
    const PoolStats before = pool.stats();
    for (int i = 0; i != 5; ++i) {
        destroy_lines(pool, cache, make_lines(pool, cache, 1000));
        CHECK(pool.stats().slabs == before.slabs);
    }
}

TEST_CASE("what a thread kept is there for others when it has left", "[pool]") {
    using Pool = MemoryPool<ProductionBackend, DefaultTraits, Line>;
    Pool pool(255); // one slab
    for (int i = 0; i != 10; ++i) {
        Pool::Cache cache;
        destroy_lines(pool, cache, make_lines(pool, cache, 255));
        pool.flush(cache);
    }
    CHECK(pool.stats().slabs == 1);
}

TEST_CASE("blocks wander between threads and no block is handed out twice", "[pool][threads]") {
    using Pool = MemoryPool<ProductionBackend, TinyTraits, std::atomic<int>>;
    Pool pool;
    std::atomic<bool> twice{false};
    std::vector<std::thread> threads;
    for (std::uint32_t t = 0; t != 4; ++t)
        threads.emplace_back([&] {
            Pool::Cache cache;
            std::vector<std::atomic<int>*> live;
            for (int i = 0; i != 5000; ++i) {
                if (live.size() < 7 && i % 3 != 2) {
                    live.push_back(pool.make(cache, 0));
                    if (live.back()->fetch_add(1) != 0)
                        twice = true;
                } else if (!live.empty()) {
                    if (live.back()->fetch_sub(1) != 1)
                        twice = true;
                    pool.destroy(cache, live.back());
                    live.pop_back();
                }
            }
            for (auto* p : live)
                pool.destroy(cache, p);
        });
    for (auto& t : threads)
        t.join();
    CHECK_FALSE(twice);
    CHECK(pool.stats().blocks < 200); // 4 threads x at most 7 live and 2 in caches: not one block an operation
}

TEST_CASE("no block is lost or made twice, whoever gives it back", "[pool][threads]") {
    // Blocks made by one thread are destroyed by the next one. Then as many as the slabs hold are made: all of them are
    // there, each once, and no slab is added.
    using Pool = MemoryPool<ProductionBackend, DefaultTraits, Line>;
    constexpr std::size_t team = 4;
    constexpr std::uint64_t n = 400;
    Pool pool;
    Pool::Cache keeper;
    const std::vector<Line*> pins = make_lines(pool, keeper, 8 * n); // so that slabs stay open all the while
    std::array<std::vector<Line*>, team> handed;
    for (int round = 0; round != 20; ++round) {
        std::vector<std::thread> threads;
        for (std::size_t t = 0; t != team; ++t)
            threads.emplace_back([&, t] {
                Pool::Cache cache;
                destroy_lines(pool, cache, handed[t]);
                handed[t] = make_lines(pool, cache, n + t);
                pool.flush(cache);
            });
        for (auto& thread : threads)
            thread.join();
        std::rotate(handed.begin(), handed.begin() + 1, handed.end());
    }
    std::size_t live = pins.size();
    for (const std::vector<Line*>& lines : handed)
        live += lines.size();
    pool.flush(keeper);
    const std::size_t blocks = pool.stats().blocks;
    const std::size_t slabs = pool.stats().slabs;
    REQUIRE(blocks >= live);
    const std::vector<Line*> rest = make_lines(pool, keeper, blocks - live);
    CHECK(pool.stats().slabs == slabs);
    std::set<Line*> all(pins.begin(), pins.end());
    all.insert(rest.begin(), rest.end());
    for (const std::vector<Line*>& lines : handed)
        all.insert(lines.begin(), lines.end());
    CHECK(all.size() == blocks);
    for (Line* line : all)
        pool.destroy(keeper, line);
    pool.flush(keeper);
    pool.trim();
    CHECK(pool.stats().slabs == 0);
}

TEMPLATE_TEST_CASE("slabs are closed and opened under the hands of threads, and every object stays as it is",
                   "[pool][threads]", TinyTraits, DefaultTraits) {
    using Pool = MemoryPool<ProductionBackend, TestType, Line>;
    Pool pool;
    std::atomic<std::uint64_t> strangers{0};
    std::vector<std::thread> threads;
    for (std::uint64_t t = 0; t != 4; ++t)
        threads.emplace_back([&, t] {
            typename Pool::Cache cache;
            std::vector<Line*> live;
            for (std::uint64_t round = 0; round != 30; ++round) {
                while (live.size() != 1000)
                    live.push_back(pool.make(cache, t << 32 | live.size()));
                if (round % 4 == t)
                    pool.trim();
                for (const std::size_t left = round % 3 * 200; live.size() != left; live.pop_back()) {
                    strangers += live.back()->value != (t << 32 | (live.size() - 1));
                    pool.destroy(cache, live.back());
                }
            }
            destroy_lines(pool, cache, live);
            pool.flush(cache);
        });
    for (auto& t : threads)
        t.join();
    CHECK(strangers == 0);
    pool.trim();
    CHECK(pool.stats().slabs == 0);
}

TEST_CASE("indices are handed out once, come back, and a failed preparation loses none", "[pool]") {
    using Pool = IndexPool<ProductionBackend, TinyTraits>;
    Pool indices(4);
    Pool::Cache cache;
    const auto nothing = [](std::uint32_t) {};
    const auto refuse = [](std::uint32_t) { throw std::bad_alloc(); };
    CHECK_THROWS_AS(indices.acquire(cache, refuse), std::bad_alloc);
    for (std::uint32_t i = 0; i != 4; ++i)
        CHECK(indices.acquire(cache, nothing) == i);
    CHECK_THROWS_AS(indices.acquire(cache, nothing), std::bad_alloc);
    for (std::uint32_t i = 0; i != 4; ++i)
        indices.release(cache, i);
    std::set<std::uint32_t> again;
    for (int i = 0; i != 4; ++i)
        again.insert(indices.acquire(cache, nothing));
    CHECK(again == std::set<std::uint32_t>{0, 1, 2, 3});
    CHECK(indices.high_water() == 4);
    for (std::uint32_t i = 0; i != 4; ++i)
        indices.release(cache, i);
    indices.flush(cache);
    Pool::Cache other;
    CHECK(indices.acquire(other, refuse) == 0); // the lowest first; nothing fresh is needed
}

TEST_CASE("every index is prepared before it is acquired", "[pool][threads]") {
    using Pool = IndexPool<ProductionBackend, DefaultTraits>;
    Pool indices(1 << 20);
    constexpr std::uint32_t each = 5000;
    std::vector<std::atomic<bool>> prepared(4 * each + 4 * DefaultTraits::fresh_indices);
    std::atomic<std::uint64_t> unprepared{0};
    std::vector<std::thread> threads;
    for (int t = 0; t != 4; ++t)
        threads.emplace_back([&] {
            Pool::Cache cache;
            for (std::uint32_t n = 0; n != each; ++n) {
                const std::uint32_t i = indices.acquire(cache, [&](std::uint32_t first) {
                    for (std::uint32_t p = first; p != first + DefaultTraits::fresh_indices; ++p)
                        prepared.at(p) = true;
                });
                unprepared += !prepared.at(i);
            }
        });
    for (auto& t : threads)
        t.join();
    CHECK(unprepared == 0);
    CHECK(indices.high_water() <= prepared.size());
}
