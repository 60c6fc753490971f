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
    int stamps = 0; ///< of the other thread
    bool stamping = false;
    bool reused = false;
    bool stamped = false;
    SecondBirth() {
        first = begin(Guard(*handles[0]));
        model::play_until(edge::version_clock, [this] { stamp_birth(first); });
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
            search();
            stamping = stamped = true;
            return;
        }
        hold_until([this] { return stamping; });
        {
            const Guard guard(*handles[0]);
            complete_birth(lives[0]); // the search may have stamped it before
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

/// A search has found a replacement announced. When it asks the new version, its slot is in another life, published and
/// about to be stamped. The search stamps that, and a later search of the same thread sees it.
struct NextLifeStamped : Stage {
    bool stamping = false;
    bool asking = false;
    bool reused = false;
    bool searched = false;
    Seen earlier;
    NextLifeStamped() {
        {
            const Guard guard(*handles[0]);
            finish_birth(begin(guard));
        }
        model::stage([this](const model::Site& site) {
            if (current_thread() == 0 && site.named == edge::slot_birth && within(site, "finish") && !stamping) {
                stamping = true;
                hold_until([this] { return asking; });
            } else if (current_thread() == 0 && site.named == edge::version_clock && born == 3 &&
                       within(site, "stamp")) {
                reused = true;
                hold_until([this] { return searched; });
            } else if (current_thread() == 1 && site.named == edge::slot_birth && within(site, "birth_of") && !asking) {
                asking = true;
                hold_until([this] { return reused; });
            }
        });
    }
    void thread(int i) {
        if (i == 1) {
            hold_until([this] { return stamping; });
            search();
            earlier = std::exchange(seen, {});
            asking = true; // when it has not heard of the replacement
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
        expect(stamping, "the window is where it was");
        check(earlier);
        Stage::after();
    }
};
const Model<NextLifeStamped> next_life_stamped("next_life_stamped",
                                               "who stamps a life that it did not look for knows that it was announced",
                                               model::staged);

/// Who replaced the first version stops before it completes that. Meanwhile the second version dies, and a search finds
/// both changes over, and the first one announced. When it has seen that the first version lives, as far as its slot
/// tells, and before it asks the second one, both slots go on.
template <class Next>
struct ReplacedByGone : Stage {
    std::optional<Domain::Handle> remover;
    int lives_asked = 0; ///< of slots, by the search
    int loads = 0;       ///< after that, for the second version's segment
    bool died = false;
    bool asked = false;
    bool gone = false;
    ReplacedByGone() {
        remover.emplace(domain);
        slots().join_changes(remover->local());
        {
            const Guard guard(*handles[0]);
            const Slots::Slot lowest = slots().acquire(guard.local());
            finish_birth(begin(guard));
            if constexpr (Next::second_below)
                slots().discard(guard.local(), lowest);
        }
        model::stage([this](const model::Site& site) {
            if (current_thread() != 1)
                return;
            if (lives_asked == 2 && !asked) {
                if (Next::loads_before != 0 && (!within(site, "find_segment") || ++loads <= Next::loads_before))
                    return;
                asked = true;
                hold_until([this] { return gone; });
            } else if (within(site, "life_of") && site.named == edge::unnamed) {
                ++lives_asked;
            }
        });
    }
    void thread(int i) {
        if (i == 1) {
            hold_until([this] { return died; });
            search();
            asked = true; // when it has not heard of the replacement
            return;
        }
        {
            const Guard guard(*handles[0]);
            const SlotId s = begin(guard, lives[0].slot);
            lives[0].death = lives[1].birth = stamp_birth(s);
            kill(Guard(*remover));
            remover.reset();
            died = true;
            hold_until([this] { return asked; });
            complete_birth(lives[1]);
            slots().retire(guard, slots().at(lives[0].slot));
        }
        grace();
        Next()(*this);
        gone = true;
    }
    void after() {
        expect(died, "the window is where it was");
        Stage::after();
    }
};
struct LiveAgain {
    static constexpr bool second_below = true;
    static constexpr int loads_before = 0;
    void operator()(Stage& stage) const {
        const Guard guard(*stage.handles[0]);
        stage.finish_birth(stage.begin(guard)); // in the slot of the second version, unless the search's time keeps it
        stage.finish_birth(stage.begin(guard));
    }
};
const Model<ReplacedByGone<LiveAgain>>
    replaced_by_gone("replaced_by_gone", "a version is dead when what replaced it lives again", model::staged);
struct SegmentGoes {
    static constexpr bool second_below = false;
    static constexpr int loads_before = 0;
    void operator()(Stage& stage) const { stage.slots().trim(Guard(*stage.handles[0]), 2); }
};
const Model<ReplacedByGone<SegmentGoes>> replaced_by_released("replaced_by_released",
                                                              "a version is dead when what replaced it is gone with "
                                                              "its segment",
                                                              model::staged);

/// The search stops when it has found the second version's segment, before it reads when that was made.
struct SegmentMadeAgain {
    static constexpr bool second_below = false;
    static constexpr int loads_before = 1;
    void operator()(Stage& stage) const {
        stage.slots().trim(Guard(*stage.handles[0]), 2);
        Local& local = stage.handles[0]->local();
        const Slots::Slot first = stage.slots().acquire(local); // that of the first version
        stage.slots().discard(local, stage.slots().acquire(local));
        stage.slots().discard(local, first);
    }
};
const Model<ReplacedByGone<SegmentMadeAgain>>
    replaced_by_remade("replaced_by_remade", "a version is dead when the segment of what replaced it was made again",
                       model::staged);

/// A search has its time, and stops before it looks at a group. Then the first thread does what it does.
struct StopsBeforeGroups : Stage {
    bool ready = false;
    bool looking = false;
    bool done = false;
    StopsBeforeGroups() {
        model::stage([this](const model::Site& site) {
            if (current_thread() == 1 && within(site, "look") && !looking) {
                looking = true;
                hold_until([this] { return done; });
            }
        });
    }
    void search_when_ready() {
        hold_until([this] { return ready; });
        search();
        looking = true;
    }
    void after() {
        expect(looking, "the window is where it was");
        Stage::after();
    }
};

/// The slot of a version that is dead goes on to its next life, and that is over, too.
struct NextLifeReplaced : StopsBeforeGroups {
    NextLifeReplaced() {
        {
            const Guard guard(*handles[0]);
            finish_birth(begin(guard));
            kill(guard);
        }
        grace();
        ready = true;
    }
    void thread(int i) {
        if (i == 1)
            return search_when_ready();
        hold_until([this] { return looking; });
        const Guard guard(*handles[0]);
        finish_birth(begin(guard));
        finish_birth(begin(guard, lives[1].slot));
        lives[1].death = lives[2].birth;
        slots().retire(guard, slots().at(lives[1].slot));
        done = true;
    }
};
const Model<NextLifeReplaced> next_life_replaced("next_life_replaced",
                                                 "the death of a slot's next life is not taken for one of the last",
                                                 model::staged);

/// A version has been replaced within its group, and then the group changes once more.
struct GroupChanges : StopsBeforeGroups {
    GroupChanges() {
        const Guard guard(*handles[0]);
        for (int i = 0; i != 3; ++i)
            finish_birth(begin(guard));
    }
    void thread(int i) {
        if (i == 1)
            return search_when_ready();
        const Guard guard(*handles[0]);
        finish_birth(begin(guard, lives[2].slot));
        lives[2].death = lives[3].birth;
        slots().retire(guard, slots().at(lives[2].slot));
        ready = true;
        hold_until([this] { return looking; });
        kill(guard);
        done = true;
    }
};
const Model<GroupChanges> group_changes("group_changes",
                                        "who finds a replacement's announcement ended finds the old version dead",
                                        model::staged);

/// A thread looks for a vector that lies far out, and finds a slot there that goes on to its next life.
struct LookOverlived : Stage {
    bool looking = false;
    bool done = false;
    LookOverlived() {
        {
            const Guard guard(*handles[0]);
            for (int i = 0; i != 3; ++i)
                finish_birth(begin(guard));
            kill(guard);
        }
        grace();
        model::stage([this](const model::Site& site) {
            if (current_thread() == 1 && within(site, "visible_now") && !looking) {
                looking = true;
                hold_until([this] { return done; });
            }
        });
    }
    void thread(int i) {
        if (i == 0) {
            hold_until([this] { return looking; });
            const Guard guard(*handles[0]);
            finish_birth(begin(guard));
            done = true;
            return;
        }
        const Guard guard(*handles[1]);
        const SlotId far = slots().slot_to_move(guard, false);
        looking = true; // when the slot's segment is gone
        if (far != no_slot)
            expect(*slots().row(guard, slots().at(far)) == 3.0F, "what is to be moved is what lives there");
    }
    void after() {
        Stage::after();
        expect(lives[3].slot == lives[2].slot, "the window is where it was");
    }
};
const Model<LookOverlived> look_overlived("look_overlived", "who moves a version has not seen its slot's last life",
                                          model::staged);

} // namespace
