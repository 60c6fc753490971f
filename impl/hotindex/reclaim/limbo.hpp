// Limbo: what was retired and may not be reclaimed yet, in bags that belong to nobody.
//
// The problem: what one thread retired must not wait for that thread, which may rest, stand still or have left. The
// answer: a thread fills a bag of its own, and hands it over when it is full. A handed-over bag is a cell of an array;
// its number lies in an IndexSet, from where anybody takes it, reclaims what is in it, and puts the number back among
// the empty ones. So every bag has one owner at a time, nothing is walked to find one, and a thread that stops hides no
// more than the bags that it had in hand.
//
//   empty            cells without a bag
//   waiting[e % N]   bags whose youngest object was retired at epoch e
//   refused[2]       bags with what could not be reclaimed although the grace period is over. One set is being asked;
//                    what refuses again goes to the other one; when the first is empty they change roles
//
// Invariants
//   L1  a cell's number is in one of the sets, or in the hands of one thread; only that thread touches the cell.
//   L2  a bag in waiting[e % N] is of an epoch congruent to e. Which one, its cell says: what lies there may be older
//       than its neighbours, by N epochs, or younger than the taker's epoch allows.
//   L3  a bag that is refused keeps the epoch of its youngest object. Whoever takes it asks it only in a pass that
//       began when that was old enough.
// Progress: as IndexSet's; new_cell() may allocate and is lock-free.
#pragma once

#include <hotindex/backend/backend.hpp>
#include <hotindex/memory/index_set.hpp>
#include <hotindex/memory/segmented_array.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>

namespace hotindex {

template <class B, class Traits, class Retired>
class Limbo {
    static constexpr std::uint64_t sets = Traits::limbo_epochs;
    static_assert(sets > 3, "three epochs of grace, and one that is over");

  public:
    using Cell = std::uint32_t;
    static constexpr Cell no_cell = ~Cell{0};
    /// A chain of objects.
    struct Bag {
        std::uint64_t epoch = 0; ///< at which the youngest was retired
        Retired* head = nullptr;
        std::uint64_t objects = 0;
        std::uint64_t bytes = 0;
        [[nodiscard]] bool full() const noexcept {
            return objects >= Traits::bag_objects || bytes >= Traits::bag_bytes;
        }
        void push(Retired* object, std::uint64_t size) {
            object->next_in_limbo.set(head);
            head = object;
            ++objects;
            bytes += size;
        }
    };

    Limbo() : cells_made_(0), asked_(0) {}

    /// An empty cell for the caller. Throws std::bad_alloc.
    [[nodiscard]] Cell new_cell() {
        if (const auto there = empty_.take(1))
            return one(*there);
        // relaxed, all: a cell's number is unique by the CAS; whoever else learns of it does so through a set
        Cell n = cells_made_.load(B::relaxed());
        do {
            if (n == bags_.max_size)
                throw std::bad_alloc();
            bags_.grow_to(n);
            empty_.grow_to(n);
            for (auto& set : waiting_)
                set.grow_to(n);
            for (auto& set : refused_)
                set.grow_to(n);
        } while (!cells_made_.compare_exchange_weak(n, n + 1, B::relaxed(), B::relaxed()));
        return n;
    }
    void give_back(Cell cell) noexcept { empty_.put(cell); }

    /// Hands a bag over, in a cell of the caller's.
    void wait(Cell cell, const Bag& bag) noexcept {
        bags_.at(cell).set(bag);
        waiting_[bag.epoch % sets].put(cell);
    }
    void refuse(Cell cell, const Bag& bag) noexcept {
        bags_.at(cell).set(bag);
        // relaxed: either set will do
        refused_[(asked_.load(B::relaxed()) + 1) % 2].put(cell);
    }
    [[nodiscard]] Bag bag(Cell cell) const { return bags_.at(cell).get(); }

    /// A cell with a bag of epoch `last` or older, for the caller; nullopt if none is found.
    [[nodiscard]] std::optional<Cell> take_waiting(std::uint64_t last) {
        // Not beyond the set of last + 3, the epoch that the caller has seen, and of the two before it: too young.
        for (std::uint64_t age = 0; age != sets - 3; ++age) {
            IndexSet<B, Traits>& set = waiting_[(last + sets - age) % sets];
            const auto there = set.take(1);
            if (!there)
                continue;
            if (bag(one(*there)).epoch <= last)
                return one(*there);
            set.put(*there);
        }
        return std::nullopt;
    }
    /// Waits there anything, whatever its age? A hint.
    [[nodiscard]] bool waits() const {
        return std::any_of(waiting_.begin(), waiting_.end(), [](const auto& set) { return set.lowest().has_value(); });
    }

    /// A cell with a bag of epoch `last` or older that refused, of those that are asked now, for the caller. nullopt:
    /// these have all been asked, and from now on the others are; or one is younger, and waits for a later pass.
    [[nodiscard]] std::optional<Cell> take_refused(std::uint64_t last) {
        std::uint32_t turn = asked_.load(B::relaxed()); // relaxed, all: either set will do
        if (const auto there = refused_[turn % 2].take(1)) {
            if (bag(one(*there)).epoch <= last)
                return one(*there);
            refused_[turn % 2].put(*there);
            return std::nullopt;
        }
        if (refused_[(turn + 1) % 2].lowest()) // else there is nothing to ask: readers who look write nothing
            asked_.compare_exchange_strong(turn, turn + 1, B::relaxed(), B::relaxed());
        return std::nullopt;
    }

    /// Takes any bag; nullopt: there is none. Nobody else may be at work.
    [[nodiscard]] std::optional<Cell> unguarded_take() {
        for (auto& set : waiting_)
            if (const auto there = set.take(1))
                return one(*there);
        for (auto& set : refused_)
            if (const auto there = set.take(1))
                return one(*there);
        return std::nullopt;
    }

    /// So many bags there are at most, wherever they are.
    [[nodiscard]] Cell cells_made() const {
        return cells_made_.load(B::relaxed()); // relaxed: a bound for loops
    }

  private:
    using Set = IndexSet<B, Traits>;
    [[nodiscard]] static Cell one(const typename Set::Batch& b) {
        return b.first + static_cast<Cell>(std::countr_zero(b.mask));
    }

    SegmentedArray<B, Traits, typename B::template var<Bag>, Traits::first_cells> bags_;
    Set empty_;
    std::array<Set, sets> waiting_;
    std::array<Set, 2> refused_;
    typename B::template atomic<Cell> cells_made_;
    typename B::template atomic<std::uint32_t> asked_; ///< refused_[asked_ % 2] is being asked
};

} // namespace hotindex
