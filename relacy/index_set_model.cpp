// IndexSet: a number has one owner at a time, and none that is in the set stays out of sight.
#include "model.hpp"

#include <hotindex/backend/traits.hpp>
#include <hotindex/memory/index_set.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace {
using namespace hotindex;
using model::expect;
using model::Model;
using B = model::CheckerBackend;
using Set = IndexSet<B, TinyTraits>;
using Batch = Set::Batch;

constexpr std::uint32_t numbers = 8; // four words, two summaries, one on top

template <int Threads>
struct Stage {
    static constexpr int threads = Threads;
    Set set;
    std::array<B::var<int>, numbers> owner;
    std::uint32_t there = 0;
    Stage() = default;
    explicit Stage(std::uint32_t n) : there(n) {
        for (std::uint32_t i = 0; i != numbers; ++i)
            set.grow_to(i);
        for (std::uint32_t i = 0; i != n; ++i)
            set.put(i);
    }
    template <class Use>
    void each(Batch b, Use use) {
        for (; b.mask != 0; b.mask &= b.mask - 1)
            use(b.first + static_cast<std::uint32_t>(std::countr_zero(b.mask)));
    }
    void own(int me, Batch b) {
        each(b, [&](std::uint32_t i) { owner[i].set(me); });
    }
    void give(int me, Batch b) {
        each(b, [&](std::uint32_t i) { expect(owner[i].get() == me, "a number belongs to one thread"); });
        set.put(b);
    }
    /// Takes some and gives them back; says whether there were any.
    bool borrow(int me, std::uint32_t wanted) {
        const auto b = set.take(wanted);
        if (!b)
            return false;
        own(me, *b);
        give(me, *b);
        return true;
    }
    void after() {
        std::uint32_t n = 0;
        while (const auto b = set.take(2))
            n += static_cast<std::uint32_t>(std::popcount(b->mask));
        expect(n == there, "every number that is in the set can be taken");
    }
};

struct Borrowers : Stage<2> {
    Borrowers() : Stage(3) {}
    void thread(int i) {
        borrow(i, 1);
        borrow(i, 2);
    }
};
const Model<Borrowers> borrowers("set_borrowers", "no number is taken by two threads");

/// The first thread empties a word, the other one fills it: is its bit set when both are done?
struct EmptiedAndFilled : Stage<2> {
    EmptiedAndFilled() : Stage(1) {
        own(1, *set.take(1));
        set.put(5);
        there = 2;
    }
    void thread(int i) {
        if (i == 0)
            borrow(0, 2);
        else
            give(1, Batch{0, 1});
    }
};
const Model<EmptiedAndFilled> emptied_and_filled("set_emptied_and_filled",
                                                 "what is put while its word's bit is cleared can be found");

/// Both put into words of one summary, which is being emptied meanwhile.
struct TwoGivers : Stage<3> {
    TwoGivers() : Stage(4) {
        own(1, *set.take(2));
        own(2, *set.take(1));
    }
    void thread(int i) {
        if (i == 0)
            borrow(0, 2);
        else if (i == 1)
            give(1, Batch{0, 3});
        else
            give(2, Batch{2, 1});
    }
};
const Model<TwoGivers> two_givers("set_two_givers", "two givers and a taker leave every number in sight");

/// What one thread did with a number is over before the next one has it.
struct HandedOn : Stage<2> {
    HandedOn() : Stage(2) { own(1, *set.take(2)); }
    void thread(int i) {
        if (i == 1) {
            owner[0].set(1);
            set.put(0);
            owner[1].set(1);
            set.put(1);
        } else if (const auto b = set.take(2)) {
            own(0, *b);
            give(0, *b);
        }
    }
};
const Model<HandedOn> handed_on("set_handed_on", "uses before a number was given are over when it is taken");

/// All of a word, or nothing of it.
struct WholeWord : Stage<2> {
    WholeWord() : Stage(2) {}
    void thread(int i) {
        if (i == 0) {
            borrow(0, 1);
        } else if (set.take_all({0, 3})) {
            own(1, {0, 3});
            give(1, {0, 3});
        }
    }
};
const Model<WholeWord> whole_word("set_whole_word", "take_all() takes what nobody else has");

/// A room that was made by another thread is there for whoever finds a number in it.
struct Grown : Stage<2> {
    static constexpr std::uint32_t far = 8;
    Grown() : Stage(0) {}
    void thread(int i) {
        if (i == 1) {
            set.grow_to(far);
            set.put(far);
        } else if (const auto b = set.take(1)) {
            expect(b->first == far, "the number that was put");
            set.put(*b);
        }
    }
    void after() {
        there = 1;
        Stage::after();
    }
};
const Model<Grown> grown("set_grown", "numbers of a room that was just made are found, or not, and nothing else");

/// As above, for whoever asks for the lowest number and takes none.
struct LowestOfGrown : Grown {
    void thread(int i) {
        if (i == 1)
            return Grown::thread(1);
        if (const auto lowest = set.lowest())
            expect(*lowest == far, "the number that was put");
    }
};
const Model<LowestOfGrown> lowest_of_grown("set_lowest_of_grown", "the lowest number of a room that was just made");

/// The same beside a number that was there before, so that the topmost summary says nothing of the new room.
struct GrownBeside : Stage<3> {
    GrownBeside() {
        set.grow_to(0);
        set.put(0);
    }
    void thread(int i) {
        if (i == 1) {
            set.grow_to(2);
            set.put(2);
        } else if (const auto b = set.take(1); b && b->first == 0) {
            (void)set.take(1); // the other thread may have made room meanwhile
        }
    }
    void after() {}
};
const Model<GrownBeside> grown_beside("set_grown_beside", "a number of new room is found with its room");

} // namespace
