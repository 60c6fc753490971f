// Limbo: what was retired and may not be reclaimed yet, in bags that belong to nobody.
//
// The problem: what one thread retired must not wait for that thread, which may rest, stand still or have left.
//
// The idea: a thread fills a bag of its own, and hands it over when it is full. A bag that was handed over lies in an
// array; its number lies in an IndexSet. Anybody takes the number, reclaims what is in the bag, and puts the number
// back among the empty ones. So every bag has one owner at a time, nothing is walked to find one, and a thread that
// stops hides no more than the bags that it had in hand.
//
//   empty            numbers without a bag
//   waiting[e % N]   bags whose youngest object was retired at epoch e
//   refused[2]       bags with what could not be reclaimed although the grace period is over. The objects of one set
//                    are being asked; those that refuse again go to the other; when the first is empty the sets change
//                    roles
//
// Invariants
//   L1  a number is in one of the sets, or in the hands of one thread; only that thread touches the bag of that number.
//   L2  a bag in waiting[e % N] is of an epoch that equals e modulo N; the bag says which. So it may be N epochs older
//       than its neighbours. A taker puts back what is too young for it.
//   L3  a bag of refused objects keeps the epoch of the youngest. They are asked again only in a pass that began when
//       that epoch was old enough. It may be young: a thread that found nobody pinned has asked them at once.
// Progress: as IndexSet's; new_number() may allocate and is lock-free.
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
    using BagNumber = std::uint32_t;
    static constexpr BagNumber no_number = ~BagNumber{0};
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

    Limbo() : numbers_made_(0), asked_(0) {}

    /// An empty bag's number for the caller. Throws std::bad_alloc.
    [[nodiscard]] BagNumber new_number() {
        if (const auto there = empty_.take(1))
            return one(*there);
        // relaxed, all: a number is unique by the CAS; whoever else learns of it does so through a set
        BagNumber n = numbers_made_.load(B::relaxed());
        do {
            if (n == bags_.max_size)
                throw std::bad_alloc();
            bags_.grow_to(n);
            empty_.grow_to(n);
            for (auto& set : waiting_)
                set.grow_to(n);
            for (auto& set : refused_)
                set.grow_to(n);
        } while (!numbers_made_.compare_exchange_weak(n, n + 1, B::relaxed(), B::relaxed()));
        return n;
    }
    void give_back(BagNumber number) noexcept { empty_.put(number); }

    /// Hands a bag over, under a number of the caller's.
    void wait(BagNumber number, const Bag& bag) noexcept {
        bags_.at(number).set(bag);
        waiting_[bag.epoch % sets].put(number);
    }
    void refuse(BagNumber number, const Bag& bag) noexcept {
        bags_.at(number).set(bag);
        // relaxed: either set will do
        refused_[(asked_.load(B::relaxed()) + 1) % 2].put(number);
    }
    [[nodiscard]] Bag bag(BagNumber number) const { return bags_.at(number).get(); }

    /// The number of a bag of epoch `last` or older, for the caller; nullopt if none is found.
    [[nodiscard]] std::optional<BagNumber> take_waiting(std::uint64_t last) {
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

    /// The number of a bag of epoch `last` or older that refused, of those that are asked now. nullopt:
    /// these have all been asked, and from now on the others are; or one is younger, and waits for a later pass.
    [[nodiscard]] std::optional<BagNumber> take_refused(std::uint64_t last) {
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
    [[nodiscard]] std::optional<BagNumber> unguarded_take() {
        for (auto& set : waiting_)
            if (const auto there = set.take(1))
                return one(*there);
        for (auto& set : refused_)
            if (const auto there = set.take(1))
                return one(*there);
        return std::nullopt;
    }

    /// So many bags there are at most, wherever they are.
    [[nodiscard]] BagNumber numbers_made() const {
        return numbers_made_.load(B::relaxed()); // relaxed: a bound for loops
    }

  private:
    using Set = IndexSet<B, Traits>;
    [[nodiscard]] static BagNumber one(const typename Set::Batch& b) {
        return b.first + static_cast<BagNumber>(std::countr_zero(b.mask));
    }

    SegmentedArray<B, Traits, typename B::template var<Bag>, Traits::first_bags> bags_;
    Set empty_;
    std::array<Set, sets> waiting_;
    std::array<Set, 2> refused_;
    typename B::template atomic<BagNumber> numbers_made_;
    typename B::template atomic<std::uint32_t> asked_; ///< refused_[asked_ % 2] is being asked
};

} // namespace hotindex
