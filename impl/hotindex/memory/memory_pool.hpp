// Pools: memory for entries, blocks and records that grows on demand, is handed from thread to thread without locks,
// and goes back to the system when it is no longer used.
//
// IndexPool    numbers 0, 1, 2, ...: a thread's cache, before an IndexSet of free ones, before a high-water mark.
// MemoryPool   objects of one type in blocks: the same, where the numbers are those of blocks.
//
// Slabs. Blocks lie in slabs of a power-of-two size, aligned to it, so that a block's slab is found from its address;
// the slab's header holds its number. Slabs are allocated some at once, in chunks. A slab is opened when blocks run
// out, by the thread that needs one, which owns all its blocks at first. It is closed when all its blocks are free:
// whoever gives many back looks at a few slabs, and takes all blocks of one that was free at two looks. Then nobody
// else can have one, so its memory goes back at once, without a grace period, and the next one who needs a slab opens
// it again.
//
// Invariants, with every operation complete
//   P1  a block is in use, in exactly one cache, in the set of free blocks, or its slab is closed or not yet opened.
//   P2  a slab is open, or its number is in the set of closed ones, or it was never opened.
//   P3  who closes a slab owns all its blocks; who opens one owns its number.
// Linearization: those of IndexSet; fresh numbers at the CAS of the high-water mark. What is in a cache is private.
// Progress: lock-free, with bounded steps but for CASes that fail because another one succeeded. A thread that stops
// hides its cache, what it was taking (at most a word's numbers), or the slab that it was opening or closing; others
// grow instead. Sources: caches before a shared store after Bonwick and Adams, "Magazines and Vmem", USENIX 2001; slabs
// found by masking an address after Leijen, Zorn, de Moura, "Mimalloc", APLAS 2019.
#pragma once

#include <hotindex/backend/backend.hpp>
#include <hotindex/memory/index_set.hpp>
#include <hotindex/memory/segmented_array.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <utility>

namespace hotindex {

/// A thread's own free items. Plain data; it passes from thread to thread with the participant record that holds it.
template <class B, class Item, std::uint32_t Capacity>
class FreeCache {
  public:
    static constexpr std::uint32_t capacity = Capacity;
    static_assert(capacity > 1);

    FreeCache() : count_(0u) {}
    [[nodiscard]] bool empty() const { return count_.get() == 0; }
    [[nodiscard]] bool full() const { return count_.get() == capacity; }
    void push(Item item) {
        const std::uint32_t n = count_.get();
        items_[n].set(item);
        count_.set(n + 1);
    }
    /// What was pushed last.
    [[nodiscard]] Item pop() {
        const std::uint32_t n = count_.get() - 1;
        count_.set(n);
        return items_[n].get();
    }
    /// Takes out the `n` items that have been here longest, calling give(item) for each.
    template <class Give>
    void give_oldest(std::uint32_t n, Give give) {
        const std::uint32_t count = count_.get();
        for (std::uint32_t i = 0; i != n; ++i)
            give(items_[i].get());
        for (std::uint32_t i = n; i != count; ++i)
            items_[i - n].set(items_[i].get());
        count_.set(count - n);
    }
    template <class Give>
    void give_all(Give give) {
        give_oldest(count_.get(), give);
    }

  private:
    std::array<typename B::template var<Item>, capacity> items_;
    typename B::template var<std::uint32_t> count_;
};

/// Numbers on their way into an IndexSet: those of one word together, as far as they come close to each other.
template <class B, class Traits>
class Gathered {
    using Set = IndexSet<B, Traits>;

  public:
    explicit Gathered(Set& into) : into_(into) {}
    void add(std::uint32_t i) {
        const std::uint32_t first = i / Set::width * Set::width;
        typename Set::Batch& batch = batches_[i / Set::width % batches_.size()];
        if (batch.mask != 0 && batch.first != first)
            into_.put(std::exchange(batch, {}));
        batch.first = first;
        batch.mask |= typename Set::Word{1} << (i - first);
    }
    void put_all() {
        for (const typename Set::Batch& batch : batches_)
            if (batch.mask != 0)
                into_.put(batch);
    }

  private:
    Set& into_;
    std::array<typename Set::Batch, 16> batches_{};
};

/// Calls use(number) for each number of a batch, the highest first.
template <class Batch, class Use>
void for_each_number(Batch batch, Use use) {
    while (batch.mask != 0) {
        const auto bit = static_cast<std::uint32_t>(std::bit_width(batch.mask)) - 1;
        batch.mask ^= decltype(batch.mask){1} << bit;
        use(batch.first + bit);
    }
}

/// Numbers 0 to limit - 1: freed ones first, then fresh ones, Traits::fresh_indices for one thread.
template <class B, class Traits>
class IndexPool {
    using Set = IndexSet<B, Traits>;

  public:
    using Cache = FreeCache<B, std::uint32_t, Traits::cache_capacity>;

    /// limit: at least Traits::fresh_indices.
    explicit IndexPool(std::uint32_t limit) : next_(0), limit_(limit) {}

    /// A free number. `prepare(first)` is called before the fresh numbers from `first` on can be acquired, by one
    /// thread or by several; what it throws is thrown. Throws std::bad_alloc when all numbers are in use, and when
    /// there is no memory; nothing is lost then.
    template <class Prepare>
    [[nodiscard]] std::uint32_t acquire(Cache& cache, Prepare prepare) {
        if (cache.empty()) {
            if (const auto batch = free_.take(Cache::capacity / 2))
                for_each_number(*batch, [&cache](std::uint32_t i) { cache.push(i); });
            else
                take_fresh(cache, prepare);
        }
        return cache.pop();
    }

    /// Gives a number back. All uses of it happen-before the next acquire of it. Does not allocate.
    void release(Cache& cache, std::uint32_t i) noexcept {
        if (cache.full())
            give(cache, Cache::capacity / 2);
        cache.push(i);
    }

    /// Gives back what a cache has, for a thread that leaves. Does not allocate.
    void flush(Cache& cache) noexcept {
        Gathered<B, Traits> gathered(free_);
        cache.give_all([&gathered](std::uint32_t i) { gathered.add(i); });
        gathered.put_all();
    }

    /// Every number that was ever acquired is below.
    [[nodiscard]] std::uint32_t high_water() const {
        // relaxed: a number that the caller must not miss is known to it through another edge, which covers its CAS
        return next_.load(B::relaxed());
    }

  private:
    static constexpr std::uint32_t fresh = Traits::fresh_indices;
    // The fresh numbers of one thread fit into its cache, and lie in one word and in one segment.
    static_assert(fresh <= Cache::capacity && Set::width % fresh == 0 && Traits::first_segment % fresh == 0);

    template <class Prepare>
    void take_fresh(Cache& cache, Prepare& prepare) {
        // relaxed: a first guess, the CAS decides
        std::uint32_t first = next_.load(B::relaxed());
        do {
            if (first > limit_ - fresh)
                throw std::bad_alloc();
            free_.grow_to(first);
            prepare(first);
            // relaxed, both: the numbers are unique by atomicity; whoever learns of one does so through another edge
        } while (!next_.compare_exchange_weak(first, first + fresh, B::relaxed(), B::relaxed()));
        for (std::uint32_t i = fresh; i-- != 0;)
            cache.push(first + i);
    }

    void give(Cache& cache, std::uint32_t n) {
        Gathered<B, Traits> gathered(free_);
        cache.give_oldest(n, [&gathered](std::uint32_t i) { gathered.add(i); });
        gathered.put_all();
    }

    Set free_;
    alignas(isolation) typename B::template atomic<std::uint32_t> next_;
    const std::uint32_t limit_;
};

/// What a pool has now. Exact when no operation is running.
struct PoolStats {
    std::uint64_t slabs = 0;
    std::uint64_t blocks = 0; ///< in these slabs, used or free
    std::uint64_t bytes = 0;

    PoolStats& operator+=(const PoolStats& o) noexcept {
        slabs += o.slabs;
        blocks += o.blocks;
        bytes += o.bytes;
        return *this;
    }
};

/// Objects of type T. Bounded by `max_blocks`, to whole slabs (make() then throws std::bad_alloc).
template <class B, class Traits, class T>
class MemoryPool {
    using Set = IndexSet<B, Traits>;
    using Batch = typename Set::Batch;
    using Number = std::uint32_t;

    static constexpr std::size_t block_alignment = alignof(T) > 64 ? alignof(T) : sizeof(T) > 32 ? 64 : alignof(T);
    static constexpr std::size_t round_up(std::size_t n, std::size_t to) { return (n + to - 1) / to * to; }
    static constexpr std::size_t block_bytes = round_up(sizeof(T), block_alignment);
    static constexpr std::size_t header_bytes =
        round_up(sizeof(typename B::template var<Number>), std::max(block_alignment, alignof(std::max_align_t)));
    /// Large objects get larger slabs.
    static constexpr std::size_t fewest_blocks = std::min<std::size_t>(16, Traits::slab_blocks);
    static constexpr std::size_t slab_bytes =
        std::bit_ceil(std::max(Traits::slab_bytes, header_bytes + fewest_blocks * block_bytes));
    static constexpr Number slab_blocks =
        static_cast<Number>(std::min(Traits::slab_blocks, (slab_bytes - header_bytes) / block_bytes));

  public:
    /// A thread's own free blocks, no more than Traits::pool_cache_bytes if they are large.
    using Cache = FreeCache<B, void*,
                            static_cast<std::uint32_t>(std::clamp<std::size_t>(
                                Traits::pool_cache_bytes / block_bytes, std::min<std::size_t>(8, Traits::pool_cache),
                                Traits::pool_cache))>;

    explicit MemoryPool(std::uint64_t max_blocks = std::numeric_limits<std::uint64_t>::max())
        : next_slab_(0), open_slabs_(0), look_(0),
          max_slabs_(static_cast<Number>(std::min<std::uint64_t>((max_blocks - 1) / slab_blocks + 1, most_slabs))) {}
    MemoryPool(const MemoryPool&) = delete;
    MemoryPool& operator=(const MemoryPool&) = delete;
    /// Every object must have been destroyed.
    ~MemoryPool() {
        // relaxed, both: destruction overlaps with nothing
        for (Number s = 0; s < next_slab_.load(B::relaxed()); s += Place::of(s).slabs)
            if (Slab* const slabs = chunks_.at(Place::of(s).chunk).slabs.load(B::relaxed()))
                B::destroy_zeroed_array(slabs, Place::of(s).slabs);
    }

    /// Throws std::bad_alloc, or what T's constructor throws; nothing is lost then.
    template <class... Args>
    [[nodiscard]] T* make(Cache& cache, Args&&... args) {
        if (cache.empty())
            refill(cache);
        void* const memory = cache.pop();
        try {
            return B::template construct_at<T>(memory, std::forward<Args>(args)...);
        } catch (...) {
            cache.push(memory);
            throw;
        }
    }

    /// Does not allocate.
    void destroy(Cache& cache, T* object) {
        B::destroy_at(object);
        if (cache.full()) {
            give(cache, Cache::capacity / 2);
            look_for_free_slabs();
        }
        cache.push(object);
    }
    /// Destroys an object of a pool that ends before it is used again.
    void destroy_last(T* object) { B::destroy_at(object); }

    /// Gives back what a cache has, for a thread that leaves. Does not allocate.
    void flush(Cache& cache) noexcept {
        Gathered<B, Traits> gathered(free_);
        cache.give_all([&gathered](void* block) { gathered.add(number_of(block)); });
        gathered.put_all();
    }

    /// Closes every slab whose blocks are all free, not counting those in caches.
    void trim() noexcept {
        // relaxed: a slab that is opened now is not free
        for (Number s = next_slab_.load(B::relaxed()); s-- != 0;)
            if (seems_free(s) && take_all_of(s))
                close(s);
    }

    [[nodiscard]] PoolStats stats() const {
        PoolStats s;
        s.slabs = open_slabs_.load(B::relaxed()); // relaxed: a statistic
        s.blocks = s.slabs * slab_blocks;
        s.bytes = s.slabs * slab_bytes;
        return s;
    }

  private:
    struct alignas(slab_bytes) Slab {
        using content_is_open = void; // for the backend: it may be any memory
        // Leaves the storage as it is: every block is constructed when it is handed out.
        Slab() {}                                // NOLINT(modernize-use-equals-default): that would zero it
        typename B::template var<Number> number; // written by who opens the slab, read by who has a block of it
        std::array<std::byte, slab_bytes - sizeof(typename B::template var<Number>)> storage;
        [[nodiscard]] void* block(Number position) {
            return reinterpret_cast<std::byte*>(this) + header_bytes + position * block_bytes;
        }
    };
    static_assert(sizeof(Slab) == slab_bytes);

    /// Slabs that are allocated at once.
    struct Chunk {
        Chunk() : slabs(nullptr), found_free(0) {}
        typename B::template atomic<Slab*> slabs;
        typename B::template atomic<std::uint64_t> found_free; ///< by the last look at a slab; a bit for each
    };
    /// Where a slab lies: chunks of 1, 1, 2, 4, ... slabs, up to about Traits::chunk_bytes.
    struct Place {
        static constexpr Number largest = static_cast<Number>(
            std::bit_floor(std::clamp<std::size_t>(Traits::chunk_bytes / slab_bytes, 1, Traits::chunk_slabs)));
        static_assert(largest <= 64); // bits of Chunk::found_free
        Number chunk;
        Number slabs; ///< in the chunk
        Number index; ///< in the chunk
        static constexpr Place of(Number s) noexcept {
            if (s < largest) {
                using Doubled = Doubling<1>;
                const Number chunk = Doubled::segment_of(s);
                return {chunk, Doubled::size(chunk), s - Doubled::begin(chunk)};
            }
            return {static_cast<Number>(std::bit_width(largest - 1)) + s / largest, largest, s % largest};
        }
    };

    /// Numbers of blocks begin anew with each slab, and no two slabs share a word of the set.
    static constexpr Number stride = std::max(std::bit_ceil(slab_blocks), Set::width);
    static constexpr Number most_slabs = static_cast<Number>(
        std::min(std::uint64_t{1} << 32, (std::uint64_t{1} << Traits::index_bits) * Set::width) / stride - 1);

    [[nodiscard]] static Number number_of(void* block) {
        const auto address = reinterpret_cast<std::uintptr_t>(block);
        const auto offset = static_cast<Number>(address % slab_bytes);
        Slab& slab = *reinterpret_cast<Slab*>(address - offset);
        return slab.number.get() * stride + (offset - static_cast<Number>(header_bytes)) / Number{block_bytes};
    }
    /// The slab of a number that the caller owns.
    [[nodiscard]] Slab& slab_of(Number s) {
        const Place place = Place::of(s);
        // relaxed: the slab was opened before its numbers were given to whom the caller has them from
        return chunks_.at(place.chunk).slabs.load(B::relaxed())[place.index];
    }
    /// Calls visit(batch) for each word with numbers of a slab, until it returns false; false then.
    template <class Visit>
    static bool all_words_of(Number s, Visit visit) {
        for (Number first = 0; first < slab_blocks; first += Set::width) {
            const Number n = std::min(slab_blocks - first, Set::width);
            if (!visit(Batch{s * stride + first, ~typename Set::Word{0} >> (64 - n)}))
                return false;
        }
        return true;
    }

    // Not inlined: it is seldom needed.
    [[gnu::noinline]] void refill(Cache& cache) {
        if (const auto batch = free_.take(Cache::capacity / 2)) {
            Slab& slab = slab_of(batch->first / stride);
            for_each_number(*batch, [&](Number i) { cache.push(slab.block(i % stride)); });
            return;
        }
        const Number s = open();
        Slab& slab = slab_of(s);
        const Number mine = std::min(Cache::capacity / 2, slab_blocks);
        for (Number i = mine; i-- != 0;)
            cache.push(slab.block(i));
        all_words_of(s, [&](Batch batch) {
            const Number first = batch.first % stride;
            if (mine > first)
                batch.mask &= mine - first >= Set::width ? 0 : ~typename Set::Word{0} << (mine - first);
            if (batch.mask != 0)
                free_.put(batch);
            return true;
        });
    }

    void give(Cache& cache, std::uint32_t n) {
        Gathered<B, Traits> gathered(free_);
        cache.give_oldest(n, [&gathered](void* block) { gathered.add(number_of(block)); });
        gathered.put_all();
    }

    /// Opens a slab. The caller owns it with all its blocks.
    Number open() {
        Number s = 0;
        if (const auto closed = closed_.take(1)) {
            for_each_number(*closed, [&s](Number i) { s = i; });
        } else {
            // relaxed: a first guess, the CAS decides
            s = next_slab_.load(B::relaxed());
            do {
                if (s >= max_slabs_)
                    throw std::bad_alloc();
                make_room(s);
                // relaxed, both: the slab is unique by atomicity; whoever learns of it does so through the set
            } while (!next_slab_.compare_exchange_weak(s, s + 1, B::relaxed(), B::relaxed()));
        }
        const Place place = Place::of(s);
        // [pool_chunk] acquire-load; synchronizes-with the release-CAS in make_room()
        chunks_.at(place.chunk).slabs.load(B::acquire(edge::pool_chunk))[place.index].number.set(s);
        open_slabs_.fetch_add(1, B::relaxed()); // relaxed: a statistic
        return s;
    }

    /// Everything that opening, using and closing a slab needs. Throws std::bad_alloc; what was made until then stays.
    void make_room(Number s) {
        all_words_of(s, [this](Batch batch) {
            free_.grow_to(batch.first);
            return true;
        });
        closed_.grow_to(s);
        const Place place = Place::of(s);
        chunks_.grow_to(place.chunk);
        auto& slabs = chunks_.at(place.chunk).slabs;
        // relaxed: that they are there is enough; open() reads with acquire
        if (slabs.load(B::relaxed()) != nullptr)
            return;
        Slab* const fresh = B::template make_zeroed_array<Slab>(place.slabs);
        Slab* none = nullptr;
        // [pool_chunk] release-CAS; synchronizes-with the acquire-load in open(); publishes: the slabs
        // relaxed on failure: the other thread's slabs are read in open()
        if (!slabs.compare_exchange_strong(none, fresh, B::release(edge::pool_chunk), B::relaxed()))
            B::destroy_zeroed_array(fresh, place.slabs);
    }

    /// A few slabs, in turn: closes those that are free and were so at the look before. All slabs are looked at in
    /// Traits::gives_per_look_around calls or a few more, so that a pool that breathes keeps what it needs.
    void look_for_free_slabs() {
        // relaxed: a slab that is opened now is not free
        const Number slabs = next_slab_.load(B::relaxed());
        const Number turn = std::max(slabs, Traits::gives_per_look_around);
        const Number n = std::clamp(slabs / Traits::gives_per_look_around, Number{1}, Traits::most_slabs_per_look);
        // relaxed: looks are told apart by atomicity
        const Number first = look_.fetch_add(n, B::relaxed());
        for (Number i = 0; i != n; ++i)
            if (const Number s = (first + i) % turn; s < slabs)
                look_at(s);
    }
    void look_at(Number s) {
        const Place place = Place::of(s);
        Chunk* const chunk = chunks_.find(place.chunk);
        if (chunk == nullptr)
            return; // opened by a thread that nothing connects with this one yet
        const std::uint64_t bit = std::uint64_t{1} << place.index;
        // relaxed, here and below: hints; a bit that is lost or left over makes a slab close late or early
        const std::uint64_t before = chunk->found_free.load(B::relaxed());
        const bool now = seems_free(s);
        if (now && (before & bit) != 0) {
            if (take_all_of(s))
                close(s);
            chunk->found_free.store(before & ~bit, B::relaxed());
        } else if (now != ((before & bit) != 0)) {
            chunk->found_free.store(before ^ bit, B::relaxed());
        }
    }
    [[nodiscard]] bool seems_free(Number s) const {
        return all_words_of(s, [this](Batch batch) { return free_.peek(batch.first) == batch.mask; });
    }
    /// Takes every block of a slab, or none; false then.
    [[nodiscard]] bool take_all_of(Number s) {
        return all_words_of(s, [this, s](Batch batch) {
            if (free_.take_all(batch))
                return true;
            all_words_of(s, [&](Batch taken) {
                if (taken.first == batch.first)
                    return false;
                free_.put(taken);
                return true;
            });
            return false;
        });
    }
    /// The caller owns every block of the slab.
    void close(Number s) {
        B::discard(&slab_of(s));
        open_slabs_.fetch_add(~std::uint64_t{0}, B::relaxed()); // relaxed: a statistic; minus one
        closed_.put(s);
    }

    Set free_;   ///< blocks
    Set closed_; ///< slabs
    SegmentedArray<B, Traits, Chunk, Traits::set_first_words> chunks_;
    alignas(isolation) typename B::template atomic<Number> next_slab_;
    typename B::template atomic<std::uint64_t> open_slabs_;
    alignas(isolation) typename B::template atomic<Number> look_;
    const Number max_slabs_;
};

} // namespace hotindex
