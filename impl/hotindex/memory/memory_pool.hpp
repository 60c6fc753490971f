// Free lists and pools: memory for entries, blocks and slots that is pre-allocated, grows on demand and is handed from
// thread to thread without locks, without ABA and without touching a shared line in the common case.
//
// Depot        cells, each holding a chain of free items. A chain is taken whole by an exchange and given back by a CAS
//              that only pushes in front, so no operation ever acts on a link that it read earlier: ABA cannot occur.
// IndexPool    indices 0, 1, 2, ...: a per-thread cache before a Depot before a high-water mark.
// MemoryPool   objects of one type: a per-thread cache before a Depot before slabs.
//
// Invariants: an item is at any time in use, in exactly one cache, in exactly one chain, or beyond the high-water mark
// (the slab's end). Linearization: take at the exchange, put at the CAS; the rest is private.
// Progress: lock-free. A thread that stops between taking a chain and putting the rest back hides that chain (at most
// one cell's worth) until it goes on; others grow instead. Source: magazines and depot after Bonwick and Adams,
// "Magazines and Vmem", USENIX 2001.
#pragma once

#include <hotindex/backend/backend.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <utility>

namespace hotindex {

/// Chains of free items. `Item` is a pointer or an integer whose value-initialised state means "none". The owner of an
/// item stores its link: `links.get(item)`, `links.set(item, next)`, plain shared data under edge pool_batch.
template <class B, class Traits, class Item>
class Depot {
  public:
    /// Gives a chain first -> ... -> last; `hint` spreads threads over the cells.
    template <class Links>
    void put(Item first, Item last, Links links, std::uint32_t hint) {
        for (std::uint32_t i = 0; i != Traits::depot_cells; ++i)
            if (fill_empty(cell(hint + i), first))
                return;
        auto& full = cell(hint);
        // relaxed: the head is linked to, not looked into
        Item head = full.load(B::relaxed());
        do {
            links.set(last, head);
            // [pool_batch] release-CAS; synchronizes-with the acquire-exchange in take(); publishes: the chain. What
            // was there before stays published: a read-modify-write continues its release sequence relaxed on failure:
            // as above
        } while (!full.compare_exchange_weak(head, first, B::release(edge::pool_batch), B::relaxed()));
    }

    /// Takes up to `wanted` items, calling use(item) for each; returns how many.
    template <class Links, class Use>
    std::uint32_t take(std::uint32_t wanted, Links links, std::uint32_t hint, Use use) {
        for (std::uint32_t i = 0; i != Traits::depot_cells; ++i) {
            auto& c = cell(hint + i);
            // relaxed: only a hint, the exchange decides
            if (c.load(B::relaxed()) == Item{})
                continue;
            if (B::planted(bug::pop_by_link)) {
                // relaxed, both: a bug by design
                Item first = c.load(B::relaxed());
                if (first == Item{} || !c.compare_exchange_strong(first, links.get(first), B::relaxed(), B::relaxed()))
                    continue;
                use(first);
                return 1;
            }
            // [pool_batch] acquire-exchange; synchronizes-with the release-CAS in put() and fill_empty()
            Item item = c.exchange(Item{}, B::acquire(edge::pool_batch));
            if (item == Item{})
                continue;
            std::uint32_t taken = 0;
            for (; taken != wanted && item != Item{}; ++taken) {
                const Item next = links.get(item);
                use(item);
                item = next;
            }
            if (item != Item{})
                put_back(item, links, hint + i);
            return taken;
        }
        return 0;
    }

  private:
    using Cell = typename B::template atomic<Item>;
    struct alignas(isolation) IsolatedCell {
        IsolatedCell() : chain(Item{}) {}
        Cell chain;
    };

    Cell& cell(std::uint32_t i) { return cells_[i % Traits::depot_cells].chain; }

    static bool fill_empty(Cell& c, Item first) {
        // relaxed: only a hint, the CAS decides
        if (c.load(B::relaxed()) != Item{})
            return false;
        Item none{};
        // [pool_batch] release-CAS; synchronizes-with the acquire-exchange in take(); publishes: the chain
        // relaxed on failure: nothing is read
        return c.compare_exchange_strong(none, first, B::release(edge::pool_batch), B::relaxed());
    }

    /// The rest of a chain whose end is not known: into an empty cell if there is one, else walk to the end first.
    template <class Links>
    void put_back(Item first, Links links, std::uint32_t hint) {
        for (std::uint32_t i = 0; i != Traits::depot_cells; ++i)
            if (fill_empty(cell(hint + i), first))
                return;
        Item last = first;
        for (Item next = links.get(last); next != Item{}; next = links.get(last))
            last = next;
        put(first, last, links, hint);
    }

    std::array<IsolatedCell, Traits::depot_cells> cells_;
};

/// A thread's own free items. Plain data; it passes from thread to thread with the participant record that holds it.
template <class B, class Traits, class Item>
class FreeCache {
  public:
    explicit FreeCache(std::uint32_t hint) : count_(0u), hint_(hint) {}
    [[nodiscard]] std::uint32_t count() const { return count_.get(); }
    [[nodiscard]] bool full() const { return count_.get() == Traits::cache_capacity; }
    [[nodiscard]] std::uint32_t hint() const { return hint_; }
    void push(Item item) {
        const std::uint32_t n = count_.get();
        items_[n].set(item);
        count_.set(n + 1);
    }
    [[nodiscard]] Item pop() {
        const std::uint32_t n = count_.get() - 1;
        count_.set(n);
        return items_[n].get();
    }

    /// Moves half of the cache to the depot.
    template <class Links>
    void spill(Depot<B, Traits, Item>& depot, Links links) {
        const Item last = pop();
        links.set(last, Item{});
        Item first = last;
        while (count() > Traits::cache_capacity / 2) {
            const Item item = pop();
            links.set(item, first);
            first = item;
        }
        depot.put(first, last, links, hint_);
    }

  private:
    std::array<typename B::template var<Item>, Traits::cache_capacity> items_;
    typename B::template var<std::uint32_t> count_;
    std::uint32_t hint_;
};

/// Indices 0 to limit - 1: freed ones first, then fresh ones from a small range that each thread takes for itself.
/// `links.get(i)`, `links.set(i, next)` keep a link for each index that was ever acquired.
template <class B, class Traits>
class IndexPool {
  public:
    struct Cache {
        explicit Cache(std::uint32_t hint) : free(hint), fresh_begin(0u), fresh_end(0u) {}
        FreeCache<B, Traits, std::uint32_t> free;
        typename B::template var<std::uint32_t> fresh_begin;
        typename B::template var<std::uint32_t> fresh_end;
    };

    explicit IndexPool(std::uint32_t limit) : next_(0), limit_(limit) {}

    /// A free index. `prepare(index)` is called for a fresh one before it counts as acquired; when it throws, the index
    /// stays in the thread's range. Throws std::bad_alloc when all indices are in use.
    template <class Links, class Prepare>
    [[nodiscard]] std::uint32_t acquire(Cache& cache, Links links, Prepare prepare) {
        if (cache.free.count() == 0)
            depot_.take(std::max(1u, Traits::cache_capacity / 2), shifted(links), cache.free.hint(),
                        [&cache](std::uint32_t item) { cache.free.push(item); });
        if (cache.free.count() != 0)
            return cache.free.pop() - 1;
        if (cache.fresh_begin.get() == cache.fresh_end.get()) {
            // relaxed: only a guard against running past the limit for ever
            if (next_.load(B::relaxed()) > limit_ - Traits::fresh_indices)
                throw std::bad_alloc();
            // relaxed: the range is unique by atomicity; whoever learns of an index in it does so through another edge
            const std::uint32_t begin = next_.fetch_add(Traits::fresh_indices, B::relaxed());
            if (begin > limit_ - Traits::fresh_indices)
                throw std::bad_alloc();
            cache.fresh_begin.set(begin);
            cache.fresh_end.set(begin + Traits::fresh_indices);
        }
        const std::uint32_t index = cache.fresh_begin.get();
        prepare(index);
        cache.fresh_begin.set(index + 1);
        return index;
    }

    /// Gives an index back. All uses of it happen-before the next acquire of it.
    template <class Links>
    void release(Cache& cache, std::uint32_t index, Links links) {
        if (cache.free.full())
            cache.free.spill(depot_, shifted(links));
        cache.free.push(index + 1);
    }

    /// Every index that was ever acquired is below.
    [[nodiscard]] std::uint32_t high_water() const {
        // relaxed: an index that the caller must not miss is known to it through another edge, which covers its
        // fetch_add
        return std::min(next_.load(B::relaxed()), limit_);
    }

  private:
    template <class Links>
    struct Shifted { // depot items are index + 1, so that 0 means none
        Links links;
        std::uint32_t get(std::uint32_t item) const { return links.get(item - 1); }
        void set(std::uint32_t item, std::uint32_t next) const { links.set(item - 1, next); }
    };
    template <class Links>
    static Shifted<Links> shifted(Links links) {
        return Shifted<Links>{links};
    }

    Depot<B, Traits, std::uint32_t> depot_;
    alignas(isolation) typename B::template atomic<std::uint32_t> next_;
    const std::uint32_t limit_;
};

/// What a pool has. Exact when no operation is running.
struct PoolStats {
    std::uint64_t slabs = 0;
    std::uint64_t blocks = 0; ///< in all slabs, used or free
    std::uint64_t bytes = 0;
};

/// Objects of type T in slabs that are freed with the pool. Bounded by `max_blocks` (make() then throws
/// std::bad_alloc).
template <class B, class Traits, class T>
class MemoryPool {
  public:
    struct Link {
        static constexpr bool ends_with_its_pool = true; ///< not destroyed one by one (for checkers of lifetimes)
        explicit Link(Link* n) : next(n) {}
        typename B::template var<Link*> next;
    };
    /// A thread's own part of the pool: free blocks, and the rest of the slab that it opened last.
    struct Cache {
        explicit Cache(std::uint32_t hint) : free(hint), fresh_begin(nullptr), fresh_end(nullptr) {}
        FreeCache<B, Traits, Link*> free;
        typename B::template var<std::byte*> fresh_begin;
        typename B::template var<std::byte*> fresh_end;
    };

    explicit MemoryPool(std::uint64_t max_blocks = std::numeric_limits<std::uint64_t>::max())
        : slabs_(nullptr), slab_count_(0), max_slabs_((max_blocks - 1) / Traits::slab_blocks + 1) {}
    MemoryPool(const MemoryPool&) = delete;
    MemoryPool& operator=(const MemoryPool&) = delete;
    /// Every object must have been destroyed.
    ~MemoryPool() {
        // relaxed: destruction overlaps with nothing
        for (Slab* s = slabs_.load(B::relaxed()); s != nullptr;) {
            Slab* const next = s->next;
            B::destroy(s);
            s = next;
        }
    }

    /// Throws std::bad_alloc, or what T's constructor throws; nothing is lost then.
    template <class... Args>
    [[nodiscard]] T* make(Cache& cache, Args&&... args) {
        void* const memory = allocate(cache);
        try {
            return B::template construct_at<T>(memory, std::forward<Args>(args)...);
        } catch (...) {
            free(cache, memory);
            throw;
        }
    }

    void destroy(Cache& cache, T* object) {
        B::destroy_at(object);
        free(cache, object);
    }

    /// Pre-allocates slabs for `blocks` more objects. Throws std::bad_alloc; what was allocated until then stays.
    void reserve(Cache& cache, std::uint64_t blocks) {
        for (std::uint64_t ready = 0; ready < blocks; ready += Traits::slab_blocks) {
            Slab& slab = add_slab();
            Link* first = nullptr;
            Link* last = nullptr;
            for (std::size_t i = Traits::slab_blocks; i-- != 0;) {
                first = B::template construct_at<Link>(slab.at(i), first);
                last = last == nullptr ? first : last;
            }
            depot_.put(first, last, ChainLinks{}, cache.free.hint());
        }
    }

    [[nodiscard]] PoolStats stats() const {
        PoolStats s;
        // relaxed: a statistic
        s.slabs = slab_count_.load(B::relaxed());
        s.blocks = s.slabs * Traits::slab_blocks;
        s.bytes = s.slabs * sizeof(Slab);
        return s;
    }

  private:
    static constexpr std::size_t block_alignment = alignof(T) > 64 ? alignof(T) : sizeof(T) > 32 ? 64 : alignof(Link);
    static constexpr std::size_t block_bytes =
        (std::max(sizeof(T), sizeof(Link)) + block_alignment - 1) / block_alignment * block_alignment;

    struct Slab {
        // Leaves the storage as it is: every block is constructed when it is handed out.
        Slab() {} // NOLINT(modernize-use-equals-default): that would zero it
        alignas(block_alignment) std::array<std::byte, block_bytes * Traits::slab_blocks> storage;
        Slab* next = nullptr; // written before the slab is linked, read at destruction only
        std::byte* at(std::size_t i) { return storage.data() + i * block_bytes; }
    };

    struct ChainLinks {
        Link* get(Link* l) const { return l->next.get(); }
        void set(Link* l, Link* next) const { l->next.set(next); }
    };

    void* allocate(Cache& cache) {
        if (cache.free.count() == 0 && cache.fresh_begin.get() == cache.fresh_end.get() &&
            depot_.take(std::max(1u, Traits::cache_capacity / 2), ChainLinks{}, cache.free.hint(),
                        [&cache](Link* link) { cache.free.push(link); }) == 0) {
            Slab& slab = add_slab();
            cache.fresh_begin.set(slab.at(0));
            cache.fresh_end.set(slab.at(Traits::slab_blocks));
        }
        if (cache.free.count() != 0) {
            Link* const link = cache.free.pop();
            B::destroy_at(link);
            return link;
        }
        std::byte* const memory = cache.fresh_begin.get();
        cache.fresh_begin.set(memory + block_bytes);
        return memory;
    }

    void free(Cache& cache, void* memory) {
        if (cache.free.full())
            cache.free.spill(depot_, ChainLinks{});
        cache.free.push(B::template construct_at<Link>(memory, nullptr));
    }

    Slab& add_slab() {
        // relaxed: only counted
        if (slab_count_.fetch_add(1, B::relaxed()) >= max_slabs_) {
            slab_count_.fetch_add(~std::uint64_t{0}, B::relaxed()); // relaxed: as above, minus one
            throw std::bad_alloc();
        }
        Slab* slab = nullptr;
        try {
            slab = B::template make<Slab>();
        } catch (...) {
            slab_count_.fetch_add(~std::uint64_t{0}, B::relaxed()); // relaxed: as above, minus one
            throw;
        }
        // relaxed: the list of slabs is walked at destruction only, which overlaps with nothing
        slab->next = slabs_.load(B::relaxed());
        while (!slabs_.compare_exchange_weak(slab->next, slab, B::relaxed(), B::relaxed())) {
        }
        return *slab;
    }

    Depot<B, Traits, Link*> depot_;
    typename B::template atomic<Slab*> slabs_;
    typename B::template atomic<std::uint64_t> slab_count_;
    const std::uint64_t max_slabs_;
};

} // namespace hotindex
