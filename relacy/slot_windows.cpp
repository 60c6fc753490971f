// Slots in staged windows: one thread is held up in the middle of an operation, and meanwhile the slot that it looks at
// goes on to another life, or the time that it wants is decided.
#include "slot_stage.hpp"

#include <optional>
#include <utility>

namespace {
using namespace hotindex;
using namespace hotindex::slot_models;

/// The searcher has opened its announcement and read the clock, and stops before it decides on what it read. The other
/// thread does what it does, and decides.
struct DecidedMeanwhile : Stage {
    int openings = 0;
    bool decided = false;
    DecidedMeanwhile() {
        model::stage([this](const model::Site& site) {
            if (current_thread() == 1 && site.named == edge::unnamed && within(site, "Announcement")) {
                ++openings;
                hold_until([this] { return decided; });
            }
        });
    }
    void thread(int i) {
        if (i == 1)
            return search();
        hold_until([this] { return openings == 1; });
        finish_birth(begin(Guard(*handles[0])));
        handles[0]->local().before_reclaim_pass();
        decided = true;
    }
    void after() {
        expect(openings != 0, "the window is where it was");
        Stage::after();
    }
};
const Model<DecidedMeanwhile>
    decided_meanwhile("decided_meanwhile", "a search sees all that lived at the time decided for it", model::staged);

/// What died after the search read the clock is used again, because another thread has decided for a later time.
struct DecidedAfterDeath : DecidedMeanwhile {
    DecidedAfterDeath() {
        const Guard guard(*handles[0]);
        finish_birth(begin(guard));
    }
    void thread(int i) {
        if (i == 1)
            return search();
        hold_until([this] { return openings == 1; });
        remove_and_live_again();
        decided = true;
    }
};
const Model<DecidedAfterDeath> decided_after_death("decided_after_death",
                                                   "a search takes the time that another thread decided for it",
                                                   model::staged);

/// Whoever meets the undecided announcement has not heard of the update that its thread made just before.
struct OwnBirthDecided : DecidedMeanwhile {
    void thread(int i) {
        if (i == 0) {
            hold_until([this] { return openings == 1; });
            handles[0]->local().before_reclaim_pass();
            decided = true;
            return;
        }
        finish_birth(begin(Guard(*handles[1])));
        search();
        expect(lives[0].birth <= seen.time, "a search sees its thread's own update");
    }
};
const Model<OwnBirthDecided>
    own_birth_decided("own_birth_decided", "an undecided announcement tells what its thread did before", model::staged);

/// A decision for the first announcement comes when the second one is undecided.
struct LateDecision : Stage {
    int openings = 0;
    bool deciding = false;
    bool decided = false;
    LateDecision() {
        model::stage([this](const model::Site& site) {
            if (current_thread() == 1 && site.named == edge::unnamed && within(site, "Announcement")) {
                ++openings;
                hold_until([this] { return openings == 1 ? deciding : decided; });
            } else if (current_thread() == 0 && site.named == edge::snapshot_decided) {
                deciding = true;
                hold_until([this] { return openings == 2; });
            }
        });
    }
    void thread(int i) {
        if (i == 0) {
            hold_until([this] { return openings == 1; });
            handles[0]->local().before_reclaim_pass();
            deciding = decided = true; // also when it saw no undecided announcement
            return;
        }
        search();
        finish_birth(begin(Guard(*handles[1])));
        search();
        expect(lives[0].birth <= seen.time, "a search sees its thread's own update");
    }
    void after() {
        expect(openings == 2, "the window is where it was");
        Stage::after();
    }
};
const Model<LateDecision> late_decision("late_decision", "a late decision is for the announcement that it was made for",
                                        model::staged);

/// The searcher has read the clock to stamp a birth. Before it writes the stamp, the slot is in the next life, and not
/// yet stamped there.
struct SecondBirth : Stage {
    SlotId first = no_slot;
    std::optional<Slots::Announcement> announcement;
    int stamps = 0; ///< of the other thread
    bool stamping = false;
    bool reused = false;
    bool stamped = false;
    SecondBirth() {
        first = begin(Guard(*handles[0]));
        model::play_until(edge::version_clock, [this] { slots().finish_birth(first, true); });
        announcement.emplace(slots().announce(handles[1]->local()));
        model::stage([this](const model::Site& site) {
            if (!within(site, "stamp"))
                return;
            if (current_thread() == 0 && site.named == edge::slot_birth) {
                stamping = true;
                hold_until([this] { return reused; });
            } else if (current_thread() == 1 && site.named == edge::version_clock && ++stamps == 3) {
                reused = true;
                hold_until([this] { return stamped; });
            }
        });
    }
    void thread(int i) {
        if (i == 0) {
            search(*announcement);
            stamping = stamped = true;
            return announcement.reset();
        }
        hold_until([this] { return stamping; });
        {
            const Guard guard(*handles[0]);
            lives[0].birth = slots().finish_birth(first, true); // the search may have stamped it before
            complete_birth(lives[0]);
            kill(guard);
        }
        grace();
        const Guard guard(*handles[0]);
        finish_birth(begin(guard));
        reused = true;
    }
    void after() {
        expect(stamps != 0, "the window is where it was");
        Stage::after();
    }
};
const Model<SecondBirth> second_birth("second_birth", "a birth is stamped for the life that it was seen in",
                                      model::staged);

/// The searcher finds a removal that is not stamped, and stops before it helps. Then it is over, and so is the life.
struct LifeOver : Stage {
    bool ticked = false;
    bool helping = false;
    bool reused = false;
    LifeOver() {
        {
            const Guard guard(*handles[0]);
            finish_birth(begin(guard));
        }
        model::stage([this](const model::Site& site) {
            if (!within(site, "stamp"))
                return;
            if (current_thread() == 0 && site.named == edge::slot_death && !ticked) {
                ticked = true;
                hold_until([this] { return helping; });
            } else if (current_thread() == 1 && site.named == edge::version_clock) {
                helping = true;
                hold_until([this] { return reused; });
            }
        });
    }
    void thread(int i) {
        if (i == 1) {
            hold_until([this] { return ticked; });
            search();
            helping = true;
            return;
        }
        kill(Guard(*handles[0]));
        grace();
        const Guard guard(*handles[0]);
        finish_birth(begin(guard));
        reused = true;
    }
    void after() {
        expect(ticked, "the window is where it was");
        Stage::after();
    }
};
const Model<LifeOver> life_over("life_over", "a search is not misled by the death of the slot's next life",
                                model::staged);

/// A search has seen that a version is linked to its successor, and stops. When it looks at the successor's slot,
/// another life is about to be born there, which only its birth state tells of. The search stamps that, and a later
/// search of the same thread sees it.
struct NextLifeStamped : Stage {
    int births = 0; ///< steps of the first thread on them
    bool looking = false;
    bool reused = false;
    bool searched = false;
    Seen earlier;
    NextLifeStamped() {
        {
            const Guard guard(*handles[0]);
            finish_birth(begin(guard));
        }
        model::stage([this](const model::Site& site) {
            if (current_thread() == 0 && site.named == edge::slot_birth && within(site, "finish_birth")) {
                if (++births == 2)
                    hold_until([this] { return looking; });
            } else if (current_thread() == 0 && site.named == edge::version_clock && born == 3 &&
                       within(site, "stamp")) {
                reused = true;
                hold_until([this] { return searched; });
            } else if (current_thread() == 1 && site.named == edge::slot_birth && within(site, "life_of") && !looking) {
                looking = true;
                hold_until([this] { return reused; });
            }
        });
    }
    void thread(int i) {
        if (i == 1) {
            hold_until([this] { return births == 2; });
            search();
            earlier = std::exchange(seen, {});
            looking = true; // when it took a group's mask, because it has not heard of the replacement
            hold_until([this] { return reused; });
            search();
            searched = true;
            return;
        }
        replace_and_remove();
        grace();
        const Guard guard(*handles[0]);
        finish_birth(begin(guard));
        reused = true;
    }
    void after() {
        expect(births >= 4, "the window is where it was");
        check(earlier);
        Stage::after();
    }
};
const Model<NextLifeStamped> next_life_stamped("next_life_stamped",
                                               "who stamps a life that it did not look for knows that it was announced",
                                               model::staged);

/// A search sees that a version is linked to its successor, with nothing but the link to tell of the successor's second
/// life. In its first one the slot was born before.
struct LinkedToSecondLife : Stage {
    int births = 0; ///< steps of the first thread on them
    bool searched = false;
    LinkedToSecondLife() {
        {
            const Guard guard(*handles[0]);
            finish_birth(begin(guard));
            finish_birth(begin(guard));
            kill(guard);
        }
        grace();
        model::stage([this](const model::Site& site) {
            if (current_thread() == 0 && site.named == edge::slot_birth && within(site, "finish_birth") &&
                ++births == 2)
                hold_until([this] { return searched; });
        });
    }
    void thread(int i) {
        if (i == 1) {
            hold_until([this] { return births == 2; });
            search();
            searched = true;
            return;
        }
        const Guard guard(*handles[0]);
        finish_birth(begin(guard, lives[0].slot));
        lives[0].death = lives[2].birth;
        slots().retire(guard, lives[0].slot);
    }
    void after() {
        expect(lives[2].slot == lives[1].slot && births >= 2, "the window is where it was");
        Stage::after();
    }
};
const Model<LinkedToSecondLife>
    linked_to_second_life("linked_to_second_life", "a link publishes that its slot is in another life", model::staged);

} // namespace
