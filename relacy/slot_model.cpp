// Slots alone, without directory and ids: what a search of an announced time sees of slots that go from life to life
// under its eyes. Small enough for windows that are too deep for the model of the whole index.
#include "model.hpp"

#include <hotindex/backend/traits.hpp>
#include <hotindex/store/slot_store.hpp>

#include <array>
#include <cstddef>
#include <optional>

namespace {
using namespace hotindex;
using model::current_thread;
using model::Effort;
using model::expect;
using model::hold_until;
using model::Model;
using model::within;
using B = model::CheckerBackend;

/// Slots one by one, and no advance of the epoch but the model's own.
struct SlotTraits : TinyTraits {
    static constexpr std::uint32_t first_segment = 1;
    static constexpr std::uint32_t retires_per_advance = 100;
    static constexpr std::uint32_t spare_slots = 0;
    static constexpr std::uint64_t bag_objects = 1;
};

struct Entry {};
struct Everything;
struct Local : SlotLocal<B, SlotTraits, Local, Entry> {
    using Owner = Everything;
    explicit Local(Owner& o);
};
using Slots = SlotStore<B, SlotTraits, Local, Entry>;
using Domain = EpochDomain<B, SlotTraits, Local>;
using Guard = Domain::Guard;
struct Everything {
    Slots slots{1};
};
Local::Local(Owner& o) : SlotLocal<B, SlotTraits, Local, Entry>(o.slots) {}

/// One thread lets versions live and die, the other one searches.
struct Stage {
    static constexpr int threads = 2;
    static constexpr std::size_t most = 4;

    struct Life {
        SlotId slot = no_slot;
        version::Word birth = 0;
        version::Word death = version::alive;
    };
    struct Seen {
        version::Word time = 0;
        std::array<int, most> times{}; ///< how often each version was seen
    };

    Everything all;
    Domain domain{all};
    std::array<std::optional<Domain::Handle>, 2> handles;
    std::array<Life, most> lives{}; ///< the first thread's versions, in order
    std::size_t born = 0;
    Seen seen;

    Stage() {
        for (auto& handle : handles)
            handle.emplace(domain);
    }
    ~Stage() {
        domain.unguarded_reclaim_all();
        for (auto& handle : handles)
            handle.reset();
    }
    Slots& slots() { return all.slots; }

    /// A new version, to be finished, in place of `predecessor`.
    SlotId open(const Guard& guard, SlotId predecessor = no_slot) {
        const SlotId s = slots().acquire(guard.local());
        *slots().row_of_new(s) = static_cast<float>(born);
        slots().open(s, 1.0F);
        slots().aim(s, nullptr, predecessor);
        lives[born++].slot = s;
        return s;
    }
    void finish(SlotId s) {
        const version::Word before = slots().now();
        lives[born - 1].birth = slots().finish(s, true);
        expect(lives[born - 1].birth > before || before == 0, "a version is born after it was opened");
    }
    void bury(const Guard& guard) {
        Life& last = lives[born - 1];
        last.death = slots().bury(last.slot);
        slots().retire(guard, last.slot);
    }
    /// So many advances that what was retired can be used again, and is.
    void grace() {
        for (int i = 0; i != 3; ++i)
            domain.try_advance();
        domain.look(*handles[0]);
    }
    void search() { search(slots().announce(handles[1]->local())); }
    void search(const Slots::Announcement& announcement) {
        seen.time = announcement.time();
        slots().scan(announcement, slots().slot_count(),
                     [this](SlotId, const float* rows, const float*, SlotId n, std::uint64_t mask) {
                         for (SlotId i = 0; i != n; ++i)
                             if ((mask >> i & 1) != 0)
                                 ++seen.times[static_cast<std::size_t>(rows[i])];
                     });
    }
    void after() {
        for (std::size_t i = 0; i != born; ++i) {
            const bool there = lives[i].birth <= seen.time && seen.time < lives[i].death;
            expect(seen.times[i] == (there ? 1 : 0), "a search sees what lived at its time, and nothing else");
        }
        expect(domain.drain(*handles[0]), "everything retired is recycled in the end");
    }
};

/// A removal is stamped by both threads, and its slot gets another life before the search's stamp comes.
struct RemovalOutlived : Stage {
    RemovalOutlived() {
        const Guard guard(*handles[0]);
        finish(open(guard));
    }
    void thread(int i) {
        if (i == 1)
            return search();
        bury(Guard(*handles[0]));
        grace();
        const Guard guard(*handles[0]);
        finish(open(guard));
    }
};
const Model<RemovalOutlived> removal_outlived("removal_outlived",
                                              "a death that a search helps to stamp is that of the life it saw");

/// A birth is to be stamped by both threads, and its slot gets another life before the search's stamp comes. The search
/// has announced its time before, so the version is not for it, and is not kept.
struct BirthOutlived : Stage {
    SlotId first = no_slot;
    std::optional<Slots::Announcement> announcement;
    BirthOutlived() {
        first = open(Guard(*handles[0]));
        model::play_until(edge::version_clock, [this] { slots().finish(first, true); });
        announcement.emplace(slots().announce(handles[1]->local()));
    }
    void thread(int i) {
        if (i == 0) {
            search(*announcement);
            return announcement.reset();
        }
        {
            const Guard guard(*handles[0]);
            lives[0].birth = slots().finish(first, true);
            bury(guard);
        }
        grace();
        const Guard guard(*handles[0]);
        finish(open(guard));
    }
};
const Model<BirthOutlived> birth_outlived("birth_outlived", "a search stamps the life that it saw, and no later one",
                                          {.bound = 2});

/// A death that a search helps to stamp, and the removal of the slot's next life.
struct SecondRemoval : Stage {
    SecondRemoval() {
        const Guard guard(*handles[0]);
        finish(open(guard));
    }
    void thread(int i) {
        if (i == 1)
            return search();
        bury(Guard(*handles[0]));
        grace();
        const Guard guard(*handles[0]);
        finish(open(guard));
        bury(guard);
        expect(lives[1].death > lives[1].birth, "a version dies after its birth");
    }
};
const Model<SecondRemoval> second_removal("second_removal", "a search stamps the death that it saw, and no later one");

/// A version whose successor is dead, and its slot in another life, when the search looks there.
struct SuccessorOutlived : Stage {
    SuccessorOutlived() {
        const Guard guard(*handles[0]);
        finish(open(guard));
    }
    void thread(int i) {
        if (i == 1)
            return search();
        {
            const Guard guard(*handles[0]);
            Life& old = lives[0];
            finish(open(guard, old.slot));
            old.death = lives[1].birth;
            slots().retire(guard, old.slot);
            bury(guard);
        }
        grace();
        const Guard guard(*handles[0]);
        finish(open(guard));
        finish(open(guard));
    }
};
const Model<SuccessorOutlived> successor_outlived("successor_outlived",
                                                  "a search is not misled by the next life of a successor's slot");

/// A search whose time another thread may decide, right after an update of its own.
struct OwnBirthSeen : Stage {
    void thread(int i) {
        if (i == 0) {
            domain.try_advance();
            handles[0]->local().before_reclaim_pass();
            return;
        }
        finish(open(Guard(*handles[1])));
        search();
        expect(lives[0].birth <= seen.time, "a search sees its thread's own update");
    }
};
const Model<OwnBirthSeen> own_birth_seen("own_birth_seen",
                                         "whoever decides a time has seen what the searcher did before");

// ---- staged windows: one thread is held up in the middle of an operation ----

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
        finish(open(Guard(*handles[0])));
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
        finish(open(guard));
    }
    void thread(int i) {
        if (i == 1)
            return search();
        hold_until([this] { return openings == 1; });
        bury(Guard(*handles[0]));
        grace();
        const Guard guard(*handles[0]);
        finish(open(guard));
        decided = true;
    }
};
const Model<DecidedAfterDeath> decided_after_death("decided_after_death",
                                                   "a search takes the time that another thread decided for it",
                                                   model::staged);

/// Whoever meets the open announcement has not heard of the update that its thread made just before.
struct OwnBirthDecided : DecidedMeanwhile {
    void thread(int i) {
        if (i == 0) {
            hold_until([this] { return openings == 1; });
            handles[0]->local().before_reclaim_pass();
            decided = true;
            return;
        }
        finish(open(Guard(*handles[1])));
        search();
        expect(lives[0].birth <= seen.time, "a search sees its thread's own update");
    }
};
const Model<OwnBirthDecided> own_birth_decided("own_birth_decided",
                                               "an open announcement tells what its thread did before", model::staged);

/// A decision for the first announcement comes when the second one is open.
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
            deciding = decided = true; // also when it saw no open announcement
            return;
        }
        search();
        finish(open(Guard(*handles[1])));
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
        first = open(Guard(*handles[0]));
        model::play_until(edge::version_clock, [this] { slots().finish(first, true); });
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
            lives[0].birth = slots().finish(first, true);
            bury(guard);
        }
        grace();
        const Guard guard(*handles[0]);
        finish(open(guard));
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
            finish(open(guard));
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
        bury(Guard(*handles[0]));
        grace();
        const Guard guard(*handles[0]);
        finish(open(guard));
        reused = true;
    }
    void after() {
        expect(ticked, "the window is where it was");
        Stage::after();
    }
};
const Model<LifeOver> life_over("life_over", "a search is not misled by the death of the slot's next life",
                                model::staged);

/// A search sees that a version is linked to its successor, with nothing but the link to tell of the successor's second
/// life. In its first one the slot was born before.
struct LinkedToSecondLife : Stage {
    int births = 0; ///< steps of the first thread on them
    bool searched = false;
    LinkedToSecondLife() {
        {
            const Guard guard(*handles[0]);
            finish(open(guard));
            finish(open(guard));
            bury(guard);
        }
        grace();
        model::stage([this](const model::Site& site) {
            if (current_thread() == 0 && site.named == edge::slot_birth && within(site, "finish") && ++births == 2)
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
        finish(open(guard, lives[0].slot));
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

// ---- segments that come and go ----

/// A version lives in the first segment, and the second one has fallen empty.
struct EmptySegment : Stage {
    EmptySegment() {
        {
            const Guard guard(*handles[0]);
            finish(open(guard));
            finish(open(guard));
            bury(guard);
        }
        grace();
        const Guard collects(*handles[0]);
    }
    void trim() { slots().trim(Guard(*handles[0]), 1); }
};

/// The segment is given back while a search goes through the slots.
struct ReleasedUnderSearch : EmptySegment {
    void thread(int i) {
        if (i == 1)
            return search();
        trim();
        grace();
        const Guard collects(*handles[0]);
    }
};
const Model<ReleasedUnderSearch> released_under_search("released_under_search",
                                                       "a segment outlives the searches that may look into it");

/// The segment is given back while a slot of it is wanted.
struct ReleasedOrUsed : EmptySegment {
    void thread(int i) {
        if (i == 0) {
            trim();
            grace();
            const Guard collects(*handles[0]);
        } else {
            finish(open(Guard(*handles[1])));
            search();
        }
    }
};
const Model<ReleasedOrUsed> released_or_used("released_or_used", "a segment with a slot in use stays");

/// The segment is given back and made again, and its slots live another life, under a search.
struct MadeAgain : EmptySegment {
    MadeAgain() { trim(); }
    void thread(int i) {
        if (i == 1)
            return search();
        {
            const Guard guard(*handles[0]);
            finish(open(guard));
        }
        grace();
        const Guard collects(*handles[0]);
    }
};
const Model<MadeAgain> made_again("made_again",
                                  "a search sees a segment that was made again, or the one before, or none");

/// Two threads give the segment back. The second one stops before it takes the slots, and meanwhile the segment is made
/// again.
struct ReleasedTwice : EmptySegment {
    bool stopped = false;
    bool made_again = false;
    ReleasedTwice() {
        model::stage([this](const model::Site& site) {
            if (current_thread() != 1 || !within(site, "take_all") || stopped)
                return;
            stopped = true;
            hold_until([this] { return made_again; });
        });
    }
    void thread(int i) {
        if (i == 1)
            return slots().trim(Guard(*handles[1]), 1);
        hold_until([this] { return stopped; });
        trim();
        slots().discard(handles[0]->local(), slots().acquire(handles[0]->local()));
        made_again = true;
    }
    void after() {
        expect(stopped, "the window is where it was");
        expect(domain.drain(*handles[0]), "everything retired is recycled in the end");
        expect(domain.stats().limbo_objects == 0, "and once");
    }
};
const Model<ReleasedTwice> released_twice("released_twice", "the segment that is there is given back, and no other",
                                          model::staged);

/// A search has seen that a version is linked to its successor, and stops. When it looks for the successor, that one
/// has died, and its segment has been given back.
struct SuccessorReleased : Stage {
    int births = 0; ///< steps of the first thread on them
    bool looking = false;
    bool released = false;
    SuccessorReleased() {
        {
            const Guard guard(*handles[0]);
            finish(open(guard));
        }
        model::stage([this](const model::Site& site) {
            if (site.named != edge::slot_birth)
                return;
            if (current_thread() == 0 && within(site, "finish") && ++births == 2) {
                hold_until([this] { return looking; });
            } else if (current_thread() == 1 && within(site, "life_of") && !looking) {
                looking = true;
                hold_until([this] { return released; });
            }
        });
    }
    void thread(int i) {
        if (i == 1) {
            hold_until([this] { return births == 2; });
            return search();
        }
        {
            const Guard guard(*handles[0]);
            Life& old = lives[0];
            finish(open(guard, old.slot));
            old.death = lives[1].birth;
            slots().retire(guard, old.slot);
            bury(guard);
        }
        grace();
        slots().trim(Guard(*handles[0]), 1);
        released = true;
    }
    void after() {
        expect(looking, "the window is where it was");
        Stage::after();
    }
};
const Model<SuccessorReleased> successor_released("successor_released",
                                                  "a version whose successor is gone with its segment is still seen",
                                                  model::staged);

/// Two threads want a slot, and there is none.
struct MadeByBoth : Stage {
    void thread(int i) {
        const SlotId s = slots().acquire(handles[static_cast<std::size_t>(i)]->local());
        *slots().row_of_new(s) = 1.0F;
        slots().discard(handles[static_cast<std::size_t>(i)]->local(), s);
    }
    void after() {}
};
const Model<MadeByBoth> made_by_both("made_by_both", "threads that make segments at once have slots of their own");

} // namespace
