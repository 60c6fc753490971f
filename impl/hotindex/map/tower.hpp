// Tower: an element of a skip list: key, value, and a link for each of its levels, in one block of memory.
//
// The block is one of two sizes. A low one has as many links as fit into the cache lines that the tower needs anyway (8
// beside a std::string, 3 beside an integer: 98 towers of 100), a high one has all that a tower can have. Which one
// follows from the height.
//
// The value lies in a box of its own: see ValueBox. Towers, too, come back only after a grace period. So for a pinned
// thread equal words mean equal links (no ABA).
#pragma once

#include <hotindex/backend/backend.hpp>
#include <hotindex/map/value_box.hpp>
#include <hotindex/memory/memory_pool.hpp>
#include <hotindex/reclaim/epoch_domain.hpp>
#include <hotindex/threads/counters.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

namespace hotindex {

namespace tower {
/// A link: the address of the next tower on its level, or 0, and the mark: the tower that holds this link is being
/// removed from this level, and the word never changes again.
using Word = std::uint64_t;
inline constexpr Word mark = 1;
[[nodiscard]] inline bool is_marked(Word w) noexcept {
    return (w & mark) != 0;
}
} // namespace tower

/// An element of a skip list: its address is stable until it is unlinked and the grace period is over.
template <class B, class Local, class Key, class Value>
struct Tower : Retirable<B, Local> {
    using Box = ValueBox<B, Local, Value>;
    using Link = typename B::template atomic<tower::Word>;

    template <class K>
    Tower(std::uint32_t levels, K&& k, Box* v)
        : key(Key(std::forward<K>(k))), value(v), linked(levels), height(levels) {}

    [[nodiscard]] static tower::Word pack(const Tower* t) noexcept { return reinterpret_cast<std::uintptr_t>(t); }
    [[nodiscard]] static Tower* of(tower::Word w) noexcept {
        return reinterpret_cast<Tower*>(static_cast<std::uintptr_t>(w & ~tower::mark));
    }
    /// One for each level, behind the tower in its block.
    [[nodiscard]] Link* links() noexcept {
        return std::launder(reinterpret_cast<Link*>(reinterpret_cast<std::byte*>(this) + sizeof(Tower)));
    }

    const typename B::template var<Key> key;
    typename B::template atomic<Box*> value;           ///< nullptr: erased, for good
    typename B::template atomic<std::uint32_t> linked; ///< levels that link it, or that its inserter may still link
    const typename B::template var<std::uint32_t> height;
};

/// A tower with room for so many links.
template <class B, class Local, class Key, class Value, std::size_t Levels>
struct TowerBlock {
    using Element = Tower<B, Local, Key, Value>;
    template <class K>
    TowerBlock(std::uint32_t height, K&& key, typename Element::Box* value)
        : element(height, std::forward<K>(key), value) {}
    Element element;
    std::array<typename Element::Link, Levels> links;
    static_assert(sizeof(Element) % alignof(typename Element::Link) == 0, "the links begin where the tower ends");
};

/// The memory that the towers and values of a list come from, and where its threads' random numbers begin.
template <class B, class Traits, class Local, class Key, class Value>
struct TowerPools {
    using Element = Tower<B, Local, Key, Value>;
    using Box = typename Element::Box;
    static constexpr std::size_t line = 64;
    static constexpr std::size_t low_levels = std::clamp<std::size_t>(
        ((sizeof(Element) + sizeof(typename Element::Link) + line - 1) / line * line - sizeof(Element)) /
            sizeof(typename Element::Link),
        1, Traits::most_levels);
    using Low = TowerBlock<B, Local, Key, Value, low_levels>;
    using High = TowerBlock<B, Local, Key, Value, Traits::most_levels>;

    explicit TowerPools(std::uint64_t seed) : seeds(seed) {}
    MemoryPool<B, Traits, Low> low;
    MemoryPool<B, Traits, High> high;
    MemoryPool<B, Traits, Box> boxes;
    DepartedCounter<B> departed; ///< net_elements of participants that have left
    typename B::template atomic<std::uint64_t> seeds;

    [[nodiscard]] PoolStats stats() const { return (low.stats() += high.stats()) += boxes.stats(); }
    /// Gives memory back that nobody uses now.
    void trim() noexcept {
        low.trim();
        high.trim();
        boxes.trim();
    }
};

/// What each participant owns of a list; the domain's Local derives from it.
template <class B, class Traits, class Local, class Key, class Value>
struct SkipListLocal {
    using Pools = TowerPools<B, Traits, Local, Key, Value>;
    using Element = typename Pools::Element;
    using Box = typename Pools::Box;

    // relaxed: only that the numbers differ matters
    explicit SkipListLocal(Pools& p) : pools(&p), random(p.seeds.fetch_add(1, B::relaxed())) {}

    /// The thread has gone: nothing of the list stays with this participant.
    void leave() noexcept {
        flush_blocks();
        pools->departed.take_over(net_elements);
    }
    /// Gives back the free blocks that it keeps. Does not allocate.
    void flush_blocks() noexcept {
        pools->low.flush(low_cache);
        pools->high.flush(high_cache);
        pools->boxes.flush(box_cache);
    }

    /// The next height: the same ones in the same order for the same seed and the same place among the list's records.
    [[nodiscard]] std::uint32_t draw_height() {
        const std::uint64_t n = random.get() + 0x9E37'79B9'7F4A'7C15u; // SplitMix64 (Steele, Lea, Flood, OOPSLA 2014)
        random.set(n);
        std::uint64_t z = (n ^ (n >> 30)) * 0xBF58'476D'1CE4'E5B9u;
        z = (z ^ (z >> 27)) * 0x94D0'49BB'1331'11EBu;
        return std::clamp(Traits::tower_height(z ^ (z >> 31)), std::uint32_t{1}, Traits::most_levels);
    }
    /// Throws std::bad_alloc or what copying the key throws; nothing is lost then.
    template <class K>
    [[nodiscard]] Element* make_element(K&& key, Box* value) {
        const std::uint32_t height = draw_height();
        if (height <= Pools::low_levels)
            return &pools->low.make(low_cache, height, std::forward<K>(key), value)->element;
        return &pools->high.make(high_cache, height, std::forward<K>(key), value)->element;
    }
    template <class V>
    [[nodiscard]] Box* make_box(V&& value) {
        return pools->boxes.make(box_cache, std::in_place, std::forward<V>(value));
    }
    void destroy_element(Element* t) {
        if (t->height.get() <= Pools::low_levels)
            pools->low.destroy(low_cache, reinterpret_cast<typename Pools::Low*>(t));
        else
            pools->high.destroy(high_cache, reinterpret_cast<typename Pools::High*>(t));
    }
    void destroy_box(Box* box) { pools->boxes.destroy(box_cache, box); }

    Pools* pools;
    typename MemoryPool<B, Traits, typename Pools::Low>::Cache low_cache;
    typename MemoryPool<B, Traits, typename Pools::High>::Cache high_cache;
    typename MemoryPool<B, Traits, Box>::Cache box_cache;
    OwnedCounter<B> net_elements; ///< inserted minus erased by this participant, modulo 2^64
    typename B::template var<std::uint64_t> random;
};

} // namespace hotindex
