// Pools: an item has one owner at a time, whatever moves between threads, and a slab is closed by who owns all of it.
#include "model.hpp"

#include <hotindex/backend/traits.hpp>
#include <hotindex/memory/memory_pool.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace {
using namespace hotindex;
using model::expect;
using model::Model;
using B = model::CheckerBackend;

struct Block {
    explicit Block(int v) : value(v) {}
    B::var<int> value;
};
/// Slabs of three blocks, in two words.
struct TwoWords : TinyTraits {
    static constexpr std::size_t slab_blocks = 3;
};

template <int Threads, class Traits = TinyTraits>
struct PoolStage {
    static constexpr int threads = Threads;
    using Pool = MemoryPool<B, Traits, Block>;
    Pool pool;
    std::array<typename Pool::Cache, static_cast<std::size_t>(Threads)> caches;
    typename Pool::Cache& cache(int i) { return caches[static_cast<std::size_t>(i)]; }

    Block* make(int me) { return pool.make(cache(me), me); }
    void destroy(int me, Block* b) {
        expect(b->value.get() == me, "a block belongs to one thread");
        pool.destroy(cache(me), b);
    }
    /// Takes `n` blocks, checks that they stay the caller's, and gives them back.
    template <int N>
    void churn(int me) {
        std::array<Block*, static_cast<std::size_t>(N)> mine{};
        for (auto& b : mine)
            b = make(me);
        for (auto* b : mine)
            destroy(me, b);
    }
    void after() {
        for (auto& c : caches)
            pool.flush(c);
        pool.trim();
        expect(pool.stats().slabs == 0, "a pool whose blocks are all free can close every slab");
    }
};

/// More than a cache holds, so that blocks go to the set and come back from it.
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
    void after() {
        expect(pool.stats().blocks <= 10, "the pool grows only when its free blocks are out of reach");
        PoolStage::after();
    }
};
const Model<StealingTakers> stealing_takers("pool_stealing", "two takers and a giver meet in the set");

/// What one thread wrote into a block is over before the next one constructs there.
struct PassedOn : PoolStage<2> {
    void thread(int i) {
        if (i == 0) {
            churn<4>(0);
        } else {
            Block* const b = make(1);
            b->value.set(8);
            b->value.set(1);
            destroy(1, b);
            churn<3>(1);
        }
    }
};
const Model<PassedOn> passed_on("pool_passed_on", "uses before a block was freed are over when it is used again");

/// The next two slabs lie in one chunk, which both threads may allocate.
struct OpenedTogether : PoolStage<2> {
    std::array<Block*, 4> held{};
    OpenedTogether() {
        for (auto& b : held)
            b = make(0);
    }
    void thread(int i) { churn<2>(i); }
    void after() {
        for (auto* b : held)
            destroy(0, b);
        PoolStage::after();
    }
};
const Model<OpenedTogether> opened_together("pool_opened_together", "each slab of a new chunk is opened by one thread");

/// A slab is free, and closed by one thread while the other one wants a block.
template <class Traits>
struct Closed : PoolStage<2, Traits> {
    Closed() {
        this->template churn<1>(0);
        this->pool.flush(this->cache(0));
    }
    void thread(int i) {
        if (i == 0) {
            this->pool.trim();
        } else {
            Block* const b = this->make(1);
            this->destroy(1, b);
        }
    }
};
const Model<Closed<TinyTraits>> closed("pool_closed", "a slab is closed by who has all its blocks");
const Model<Closed<TwoWords>> closed_in_two("pool_closed_in_two_words", "blocks that closing took in vain go back");

/// Both close, and open again what the other one has closed.
struct ClosedAndOpened : PoolStage<2> {
    ClosedAndOpened() {
        churn<2>(0);
        pool.flush(cache(0));
    }
    void thread(int i) {
        pool.trim();
        Block* const b = make(i);
        destroy(i, b);
        pool.flush(cache(i));
        pool.trim();
    }
};
const Model<ClosedAndOpened> closed_and_opened("pool_closed_and_opened", "a closed slab is opened by one thread");

using Indices = IndexPool<B, TinyTraits>;
constexpr std::uint32_t index_limit = 12;

template <int Threads>
struct IndexStage {
    static constexpr int threads = Threads;
    Indices indices{index_limit};
    std::array<B::var<int>, index_limit> owner;
    std::array<Indices::Cache, static_cast<std::size_t>(Threads)> caches;
    std::uint32_t acquire(int me) {
        const std::uint32_t i = indices.acquire(caches[static_cast<std::size_t>(me)], [](std::uint32_t) {});
        expect(i < indices.high_water(), "an acquired index is below the high-water mark");
        owner[i].set(me);
        return i;
    }
    void release(int me, std::uint32_t i) {
        expect(owner[i].get() == me, "an index belongs to one thread");
        indices.release(caches[static_cast<std::size_t>(me)], i);
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
