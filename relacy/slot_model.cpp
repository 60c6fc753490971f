// Slots alone, without directory and ids: what a search of an announced time sees of slots that go from life to life
// under its eyes. Small enough for windows that are too deep for the model of the whole index.
#include "slot_stage.hpp"

namespace {
using namespace hotindex;
using namespace hotindex::slot_models;

/// A removal is stamped by both threads, and its slot gets another life before the search's stamp comes.
struct RemovalOutlived : Stage {
    RemovalOutlived() {
        const Guard guard(*handles[0]);
        finish_birth(begin(guard));
    }
    void thread(int i) {
        if (i == 1)
            return search();
        remove_and_live_again();
    }
};
const Model<RemovalOutlived> removal_outlived("removal_outlived",
                                              "a death that a search helps to stamp is that of the life it saw");

/// A birth is to be stamped by both threads, and its slot gets another life before the search's stamp comes: the version
/// is born after the search's time, and is not kept.
struct BirthOutlived : Stage {
    SlotId first = no_slot;
    BirthOutlived() {
        first = begin(Guard(*handles[0]));
        model::play_until(edge::version_clock, [this] { stamp_birth(first); });
    }
    void thread(int i) {
        if (i == 0)
            return search();
        {
            const Guard guard(*handles[0]);
            complete_birth(lives[0]); // the search may have stamped it before
            kill(guard);
        }
        grace();
        const Guard guard(*handles[0]);
        finish_birth(begin(guard));
    }
};
const Model<BirthOutlived> birth_outlived("birth_outlived", "a search stamps the life that it saw, and no later one",
                                          {.bound = 2});

/// A death that a search helps to stamp, and the removal of the slot's next life.
struct SecondRemoval : Stage {
    SecondRemoval() {
        const Guard guard(*handles[0]);
        finish_birth(begin(guard));
    }
    void thread(int i) {
        if (i == 1)
            return search();
        kill(Guard(*handles[0]));
        grace();
        const Guard guard(*handles[0]);
        finish_birth(begin(guard));
        kill(guard);
        expect(lives[1].death > lives[1].birth, "a version dies after its birth");
    }
};
const Model<SecondRemoval> second_removal("second_removal", "a search stamps the death that it saw, and no later one");

/// A version is replaced, and the new one dead, and its slot in another life, when the search looks there.
struct ReplacementOutlived : Stage {
    ReplacementOutlived() {
        const Guard guard(*handles[0]);
        finish_birth(begin(guard));
    }
    void thread(int i) {
        if (i == 1)
            return search();
        replace_and_remove();
        grace();
        const Guard guard(*handles[0]);
        finish_birth(begin(guard));
        finish_birth(begin(guard));
    }
};
const Model<ReplacementOutlived>
    replacement_outlived("replacement_outlived", "a search is not misled by the next life of a new version's slot");

/// A search whose time another thread may decide, right after an update of its own.
struct OwnBirthSeen : Stage {
    void thread(int i) {
        if (i == 0) {
            domain.try_advance();
            handles[0]->local().before_reclaim_pass();
            return;
        }
        finish_birth(begin(Guard(*handles[1])));
        search();
        expect(lives[0].birth <= seen.time, "a search sees its thread's own update");
    }
};
const Model<OwnBirthSeen> own_birth_seen("own_birth_seen",
                                         "whoever decides a time has seen what the searcher did before");

} // namespace
