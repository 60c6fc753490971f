// Free lists and pools: an item has one owner at a time, whatever batches move between threads.
#include "model.hpp"

#include <hotindex/backend/traits.hpp>
#include <hotindex/memory/memory_pool.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace {
using namespace hotindex;
using model::expect;
using model::Model;
using B = model::CheckerBackend;

struct Block {
    explicit Block(int v) : value(v) {}
    B::var<int> value;
};
using Pool = MemoryPool<B, TinyTraits, Block>;

template <int Threads>
struct PoolStage {
    static constexpr int threads = Threads;
    Pool pool;
    std::array<std::optional<Pool::Cache>, static_cast<std::size_t>(Threads)> caches;
    PoolStage() {
        for (int i = 0; i != Threads; ++i)
            caches[static_cast<std::size_t>(i)].emplace(static_cast<std::uint32_t>(i));
    }
    Pool::Cache& cache(int i) { return *caches[static_cast<std::size_t>(i)]; }
    /// Takes `n` blocks, checks that they stay the caller's, and gives them back.
    template <int N>
    void churn(int me) {
        std::array<Block*, static_cast<std::size_t>(N)> mine{};
        for (auto& b : mine)
            b = pool.make(cache(me), me);
        for (const auto* b : mine)
            expect(b->value.get() == me, "a block belongs to one thread");
        for (auto* b : mine)
            pool.destroy(cache(me), b);
    }
};

/// More than a cache holds, so that batches go to the depot and come back from it.
struct Churn : PoolStage<2> {
    void thread(int i) {
        churn<4>(i);
        churn<3>(i);
    }
};
const Model<Churn> churn("pool_churn", "no block is handed to two threads");

struct StealingTakers : PoolStage<3> {
    StealingTakers() { churn<4>(0); }
    void thread(int i) {
        if (i == 0)
            churn<4>(0);
        else
            churn<1>(i);
    }
    void after() { expect(pool.stats().blocks <= 10, "the pool grows only when its free blocks are out of reach"); }
};
const Model<StealingTakers> stealing_takers("pool_stealing", "two takers and a giver meet in the depot");

/// What one thread wrote into a block is over before the next one constructs there.
struct PassedOn : PoolStage<2> {
    void thread(int i) {
        if (i == 0) {
            churn<4>(0);
        } else {
            Block* const b = pool.make(cache(1), 7);
            b->value.set(8);
            expect(b->value.get() == 8, "a block belongs to one thread");
            pool.destroy(cache(1), b);
            churn<3>(1);
        }
    }
};
const Model<PassedOn> passed_on("pool_passed_on", "uses before a block was freed are over when it is used again");

struct Reserved : PoolStage<2> {
    Reserved() { pool.reserve(cache(0), 4); }
    void thread(int i) { churn<2>(i); }
    void after() { expect(pool.stats().slabs <= 3, "reserved blocks are used first, but for a chain in passing"); }
};
const Model<Reserved> reserved("pool_reserved", "reserved blocks are shared out without overlap");

using Indices = IndexPool<B, TinyTraits>;
constexpr std::uint32_t index_limit = 12;

template <int Threads>
struct IndexStage {
    static constexpr int threads = Threads;
    Indices indices{index_limit};
    std::array<B::var<std::uint32_t>, index_limit> next;
    std::array<B::var<int>, index_limit> owner;
    std::array<std::optional<Indices::Cache>, static_cast<std::size_t>(Threads)> caches;
    struct Links {
        IndexStage* stage;
        std::uint32_t get(std::uint32_t i) const { return stage->next[i].get(); }
        void set(std::uint32_t i, std::uint32_t n) const { stage->next[i].set(n); }
    };
    IndexStage() {
        for (int i = 0; i != Threads; ++i)
            caches[static_cast<std::size_t>(i)].emplace(static_cast<std::uint32_t>(i));
    }
    std::uint32_t acquire(int me) {
        const std::uint32_t i =
            indices.acquire(*caches[static_cast<std::size_t>(me)], Links{this}, [](std::uint32_t) {});
        expect(i < indices.high_water(), "an acquired index is below the high-water mark");
        owner[i].set(me);
        return i;
    }
    void release(int me, std::uint32_t i) {
        expect(owner[i].get() == me, "an index belongs to one thread");
        indices.release(*caches[static_cast<std::size_t>(me)], i, Links{this});
    }
    template <int N>
    void churn(int me) {
        std::array<std::uint32_t, static_cast<std::size_t>(N)> mine{};
        for (auto& i : mine)
            i = acquire(me);
        for (const std::uint32_t i : mine)
            release(me, i);
    }
};
struct IndexChurn : IndexStage<2> {
    void thread(int i) {
        churn<4>(i);
        churn<3>(i);
    }
};
const Model<IndexChurn> index_churn("index_churn", "no index is handed to two threads");

} // namespace
