/* The snapshot protocol as shipped, for Spin: lives of slots, words of groups, announced times; under sequential
 * consistency.
 *
 * After slot_store.hpp, slot_groups.hpp, visibility.hpp, snapshot_times.hpp, index_core.hpp, with their names. Each
 * d_step or atomic makes at most one access to a word that threads share; what a slot's owner alone writes rides along.
 * A read-modify-write loop that only raises a word (latest) is one step: that is the same under SC.
 *
 * What is simpler than the source, and why nothing is lost:
 *   - an id has one entry. Who holds one that is out of the directory finds it marked for good, its death stamped
 *     already; here it looks again.
 *   - retirement comes with the step before it, so that it waits for fewer operations than in the source.
 *   - a grace period is over when no operation is running that was pinned when it began.
 *   - who finds no free slot leaves its operation out; in the source it makes a segment.
 *
 * Parameters
 *   OPS0, OPS1, OPS2     operations of each updater
 *   KINDS0, 1, 2         which of them: the sum of 1 add, 2 remove, 4 get, 8 move
 *   SEARCHERS, SEARCHES  searchers, and searches of each
 *   IDS, PRESENT         ids, and how many of them are there in the beginning, in slots 0, 1, ...
 *   SLOTS, GROUP, BLOCK  slots; slots that share a word; words that a search reads before it asks single slots
 *   BUG                  a planted error, or 0
 */
#ifndef OPS0
#define OPS0 1
#endif
#ifndef OPS1
#define OPS1 0
#endif
#ifndef OPS2
#define OPS2 0
#endif
#ifndef KINDS0
#define KINDS0 3
#endif
#ifndef KINDS1
#define KINDS1 3
#endif
#ifndef KINDS2
#define KINDS2 3
#endif
#ifndef SEARCHERS
#define SEARCHERS 1
#endif
#ifndef SEARCHES
#define SEARCHES 1
#endif
#ifndef IDS
#define IDS 1
#endif
#ifndef PRESENT
#define PRESENT 1
#endif
#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef GROUP
#define GROUP SLOTS
#endif
#define GROUPS ((SLOTS + GROUP - 1) / GROUP)
#ifndef BLOCK
#define BLOCK GROUPS
#endif
#ifndef TIMES
#define TIMES 24
#endif
#ifndef BUG
#define BUG 0
#endif

#define NO_SLOT 15
#define REMOVED 16 /* mark of an entry's current */
/* Words: a time is below SPECIAL; everything else is later than any time. */
#define SPECIAL 64
#if BUG == 13 /* a stamp does not name its life */
#define LIFE(l) 0
#else
#define LIFE(l) (l)
#endif
#define PENDING(l) (SPECIAL + LIFE(l))
#define UNSTAMPED(l) (96 + LIFE(l))
#define IS_UNSTAMPED(w) ((w) >= 96 && (w) < 128)
#define VACANT 128
#define LINK(s) (SPECIAL + (s))
#define IS_LINK(w) ((w) >= SPECIAL && (w) < 80)
#define DEAD_UNSTAMPED(l) (96 + LIFE(l))
#define IS_DEAD_UNSTAMPED(w) ((w) >= 96 && (w) < 128)
#define ALIVE 255
#define NONE 255
#if BUG == 14 /* announcements are not numbered */
#define UNDECIDED(n) SPECIAL
#else
#define UNDECIDED(n) (SPECIAL + (n))
#endif
#define IS_UNDECIDED(w) ((w) >= SPECIAL && (w) != NONE)
/* Group words: changes in flight in the low four bits, visible slots above; a sum, which may borrow. */
#define IN_FLIGHT(w) ((w) & 15)
#define VISIBLE(w) (((w) >> 4) & ((1 << GROUP) - 1))
#define BIT(s) (16 << ((s) % GROUP))
#define G(s) ((s) / GROUP)
/* What a slot is in */
#define FREE 0
#define PRIVATE 1
#define PUBLISHED 2
#define RETIRED 3
#define ASKED 4 /* by a pass */

byte clock_now = 1;
byte birth[SLOTS], death[SLOTS], predecessor[SLOTS], life[SLOTS];
byte row[SLOTS];  /* id * 16 + version */
byte place[SLOTS], waits_for[SLOTS]; /* retired: the operations that were pinned then and still run */
byte pinned;
byte current[IDS];
short state[GROUPS];
byte latest[GROUPS];
byte announced[SEARCHERS];

/* The history, which only assertions read: what happened at each time, from when a search is on its way; before that
 * only the outcome. A version, or 15: a death. */
byte happened[TIMES], present[IDS], last_change[IDS];
byte looking, newest_answer, ticking;
hidden byte h, h2;

#define record(t, id, version) \
    assert(t > newest_answer); /* a search has answered without it */ \
    assert(t > last_change[id]); /* the versions of an id follow each other */ \
    last_change[id] = t; \
    if \
    :: looking != 0 -> happened[t] = (id) * 16 + version \
    :: else -> present[id] = version % 15 \
    fi

inline forget_history() {
    h = 0;
    do
    :: h < TIMES -> if :: happened[h] != 0 -> present[happened[h] / 16] = (happened[h] % 16) % 15; happened[h] = 0
                       :: else fi; h++
    :: else -> break
    od; h = 0 }

inline tick() { d_step { clock_now++; ticking++; assert(clock_now < TIMES); time = clock_now } }
/* Who has taken a time before a search answered is still to say whether it counts. */
#define ticked() ticking--; if :: ticking == 0 -> newest_answer = 0 :: else fi
inline stamp_birth(s, from, now_there) {
    tick();
    d_step {
        if
        :: birth[s] == from -> birth[s] = time; now_there = time; record(time, row[s] / 16, row[s] % 16)
        :: else -> now_there = birth[s]
        fi; time = 0; ticked() } }
inline stamp_death(s, from, now_there) {
    tick();
    d_step {
        if
        :: death[s] == from -> death[s] = time; now_there = time; record(time, row[s] / 16, 15)
        :: else -> now_there = death[s]
        fi; time = 0; ticked() } }

#include "protocol_updates.pml"
#include "protocol_searches.pml"

init {
    atomic {
        h = 0;
        do
        :: h < SLOTS ->
            birth[h] = VACANT; death[h] = ALIVE; predecessor[h] = NO_SLOT;
            if
            :: h < PRESENT -> birth[h] = 1; row[h] = h * 16 + h + 1; place[h] = PUBLISHED; life[h] = 1;
                state[G(h)] = state[G(h)] + BIT(h); latest[G(h)] = 1; current[h] = h; present[h] = h + 1
            :: else
            fi; h++
        :: else -> break
        od;
        h = PRESENT;
        do :: h < IDS -> current[h] = NO_SLOT; h++ :: else -> break od;
        h = 0;
        do :: h < SEARCHERS -> announced[h] = NONE; run Searcher(h); h++ :: else -> break od;
        h = 0;
#if OPS0 > 0
        run Updater(0, OPS0, KINDS0);
#endif
#if OPS1 > 0
        run Updater(1, OPS1, KINDS1);
#endif
#if OPS2 > 0
        run Updater(2, OPS2, KINDS2);
#endif
    };
    _nr_pr == 1;
    d_step { /* when all is quiet, the words say exactly who is there */
        h = 0;
        do
        :: h < GROUPS -> assert(IN_FLIGHT(state[h]) == 0); h++
        :: else -> break
        od;
        h = 0;
        do
        :: h < SLOTS ->
            h2 = 0;
            do :: h2 < IDS && current[h2] != h -> h2++ :: else -> break od;
            assert(((state[G(h)] & BIT(h)) != 0) == (h2 < IDS)); h++
        :: else -> break
        od; h = 0; h2 = 0 }
}
