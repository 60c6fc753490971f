// The epoch domain, participants: threads that join at the same time, and threads that leave their limbo to others.
#include "epoch_stage.hpp"

#include <array>
#include <cstdint>
#include <optional>

namespace {
using namespace hotindex;
using namespace hotindex::epoch_models;

/// A thread that ends leaves its limbo to others.
struct EndedThread : Stage<TinyTraits, 2> {
    void thread(int i) {
        if (i == 0) {
            replace(0, 2);
            leave(0);
        } else {
            read(1);
            domain.drain(handle(1));
        }
    }
    void after() { everything_goes(1); }
};
const Model<EndedThread> ended_thread("ended_thread", "an ended thread's limbo finds an owner", few);

struct RecordHandedOver : Stage<OneByOne, 2> {
    RecordHandedOver() { leave(1); }
    void thread(int i) {
        if (i == 0) {
            replace(0, 2);
            leave(0);
        } else {
            join(1);
            replace(1, 3);
            read(1);
        }
    }
    void after() {
        expect(domain.stats().participants == 1, "who has left is not counted");
        everything_goes(1);
    }
};
const Model<RecordHandedOver> record_handed_over("record_handed_over",
                                                 "a record passes from thread to thread with all that is in it", few);

struct JoiningTogether : Stage<OneByOne, 2, 0> {
    std::array<std::uint32_t, 2> index{};
    void thread(int i) {
        join(i);
        index[static_cast<std::size_t>(i)] = handle(i).index();
        read(i);
    }
    void after() { expect(index[0] != index[1], "two threads at once have two records"); }
};
const Model<JoiningTogether> joining_together("joining_together",
                                              "threads that join at the same time get records of their own", few);

/// The first group is full: both make the next one.
struct JoiningNextGroup : Stage<OneByOne, 2, 0, 4> {
    JoiningNextGroup() {
        join(2);
        join(3);
    }
    void thread(int i) {
        join(i);
        expect(handle(i).index() >= 2, "records of others are not given away");
        read(i);
    }
    void after() {
        expect(handle(0).index() != handle(1).index(), "two threads at once have two records");
        expect(domain.stats().participants == 4, "every thread has a record");
    }
};
const Model<JoiningNextGroup> joining_next_group("joining_next_group", "threads that need a further group agree on one",
                                                 few);

/// A thread joins while another one retires and looks at all records; the last one needs a further group.
struct JoinAgainstAdvance : Stage<TinyTraits, 3, 1> {
    void thread(int i) {
        if (i == 0) {
            replace(0, 2);
            replace(0, 3);
        } else {
            join(i);
            read(i);
        }
    }
    void after() { expect(domain.stats().participants == 3, "every thread has a record"); }
};
const Model<JoinAgainstAdvance>
    join_against_advance("join_against_advance", "a reader that joins late is seen, or sees what was unlinked", few);

/// Limbo of an ended thread, old enough only by an advance that its adopter has not made.
struct AdoptedAfterAdvance : Stage<OneByOne, 3> {
    std::optional<Guard> reading;
    Node* held = nullptr;
    AdoptedAfterAdvance() {
        domain.try_advance();
        std::optional<Guard> writing(std::in_place, handle(2));
        domain.try_advance();
        reading.emplace(handle(1));
        held = head.load(B::acquire(edge::unnamed));
        writing->retire(swing(2), &Node::reclaim, sizeof(Node));
        writing.reset();
        leave(2);
        domain.try_advance();
    }
    void thread(int i) {
        if (i == 0) {
            domain.drain(handle(0));
        } else if (i == 1) {
            expect(held->value.get() == 1, "the held node is whole");
            reading.reset();
        } else {
            domain.try_advance();
        }
    }
};
const Model<AdoptedAfterAdvance> adopted_after_advance("adopted_after_advance",
                                                       "adopted limbo is old enough for the adopter too", few);

/// As above, one after the other, with nothing but the domain to tell them so.
struct AdoptedInTurn : AdoptedAfterAdvance {
    bool left = false;
    bool advanced = false;
    void thread(int i) {
        if (i == 0)
            hold_until([this] { return advanced; });
        else if (i == 2)
            hold_until([this] { return left; });
        AdoptedAfterAdvance::thread(i);
        (i == 1 ? left : advanced) = true;
    }
};
const Model<AdoptedInTurn> adopted_in_turn("adopted_in_turn", "whoever adopts limbo has heard of the last reader's end",
                                           few);

} // namespace
