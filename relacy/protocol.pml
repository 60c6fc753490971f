/* The snapshot protocol as shipped, for Spin: lives of slots, announced changes, words of groups, announced times;
 * under sequential consistency.
 *
 * After slot_store.hpp, announced_changes.hpp, slot_groups.hpp, visibility.hpp, slot_memory.hpp, snapshot_times.hpp,
 * index_core.hpp, with their names. Each d_step or atomic makes at most one access to a word that threads share; what
 * a slot's owner alone writes rides along, and so does what a process does by itself before the next access: so fewer
 * states are met. (An atomic that ends with a goto to another one lets others in before it.) A read-modify-write loop
 * that changes a group's word is one step: that is the same under SC. That word is two variables here.
 *
 * What is simpler than the source, and why nothing is lost:
 *   - an id has one entry. Who holds one that is out of the directory finds it marked for good, its death stamped
 *     already; here it looks again.
 *   - retirement comes with the step before it, so that it waits for fewer operations than in the source.
 *   - a grace period is over when no operation is running that was pinned when it began.
 *   - who finds no free slot leaves its operation out; in the source it makes a segment.
 *   - a free slot has no row. Who read one would have seen what was not there.
 *   - of two searchers, the first one is the one that looks at the clock first: they do all the same.
 *
 * Parameters
 *   OPS0, OPS1, OPS2     operations of each updater
 *   KINDS0, 1, 2         which of them: the sum of 1 add, 2 remove, 4 get, 8 move; and 16: of the last id alone
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

#if GROUPS % BLOCK != 0
#error "a block has groups that are not there"
#endif
#if OPS2 > 0
#define UPDATERS 3
#elif OPS1 > 0
#define UPDATERS 2
#else
#define UPDATERS 1
#endif

#define NO_SLOT 15
#define REMOVED 16 /* mark of an entry's current */
/* Words: a time is below SPECIAL; everything else is later than any time. */
#define SPECIAL 64
#define PENDING(l) (SPECIAL + (l))
#define ALIVE(l) (SPECIAL + 32 + (l))
#define LIFE(w) ((w) % 32) /* of PENDING */
#define NONE 255
#if BUG == 40 /* announcements are not numbered */
#define UNDECIDED(n) SPECIAL
#else
#define UNDECIDED(n) (SPECIAL + (n))
#endif
#define IS_UNDECIDED(w) ((w) >= SPECIAL && (w) != NONE)
/* Announced changes: NONE is of no slot at all. */
#define CHANGE(born, died) ((born) * 16 + (died))
#define BORN(w) ((w) / 16)
#define DIED(w) ((w) % 16)
#define BIT(s) (1 << ((s) % GROUP))
#define G(s) ((s) / GROUP)
/* What a slot is in */
#define FREE 0
#define PRIVATE 1
#define PUBLISHED 2
#define RETIRED 3
#define ASKED 4 /* by a pass */

byte clock_now = 1;
byte birth[SLOTS], death[SLOTS], birth_mark[SLOTS], death_mark[SLOTS];
byte row[SLOTS]; /* id * 16 + version */
byte place[SLOTS], waits_for[SLOTS]; /* retired: the operations that were pinned then and still run */
byte pinned;
byte current[IDS];
byte bits[GROUPS], latest[GROUPS]; /* a group's word */
byte change[UPDATERS];             /* announced changes */
byte announced[SEARCHERS];         /* announced times */

/* The history, which only assertions read: what happened at each time, from when a search is on its way; before that
 * only the outcome. A version, or 15: a death. */
byte happened[TIMES], present[IDS], last_change[IDS];
byte have_looked; /* searchers, at the clock */
byte looking, newest_answer, ticking;
hidden byte h, h2;

#define record(t, s, version) \
    assert(place[s] == PUBLISHED); /* V2: nobody stamps what is not published */ \
    assert(t > newest_answer); /* a search has answered without it */ \
    assert(t > last_change[row[s] / 16]); /* the versions of an id follow each other */ \
    last_change[row[s] / 16] = t; \
    if \
    :: looking != 0 -> happened[t] = (row[s] / 16) * 16 + version \
    :: else -> present[row[s] / 16] = version % 15 \
    fi

inline forget_history() {
    h = 0;
    do
    :: h < TIMES -> if :: happened[h] != 0 -> present[happened[h] / 16] = (happened[h] % 16) % 15; happened[h] = 0
                       :: else fi; h++
    :: else -> break
    od; h = 0 }

/* VersionClock::stamp(), in two steps: tick(), and settle() in a d_step. `version`: what the history says of it */
inline tick() { d_step { clock_now++; ticking++; assert(clock_now < TIMES); time = clock_now } }
#if BUG == 4 /* stamps are stored, not CASed */
#define IS_STILL(word, from) true
#else
#define IS_STILL(word, from) word == from
#endif
/* Who has taken a time before a search answered is still to say whether it counts. */
#define settle(word, s, from, now_there, version) \
    if \
    :: IS_STILL(word, from) -> word = time; now_there = time; record(time, s, version) \
    :: else -> now_there = word \
    fi; \
    time = 0; ticking--; if :: ticking == 0 -> newest_answer = 0 :: else fi
#define BIRTH(s) (row[s] % 16)
#define DEATH 15

#include "protocol_updates.pml"
#include "protocol_searches.pml"

init {
    atomic {
        h = 0;
        do
        :: h < SLOTS ->
            birth[h] = PENDING(0); death[h] = ALIVE(0);
            if
            :: h < PRESENT ->
                birth[h] = 1; birth_mark[h] = PENDING(1); death[h] = ALIVE(1); row[h] = h * 16 + h + 1;
                place[h] = PUBLISHED; bits[G(h)] = bits[G(h)] | BIT(h); latest[G(h)] = 1; current[h] = h;
                present[h] = h + 1
            :: else
            fi; h++
        :: else -> break
        od;
        h = PRESENT;
        do :: h < IDS -> current[h] = NO_SLOT; h++ :: else -> break od;
        h = 0;
        do :: h < UPDATERS -> change[h] = NONE; h++ :: else -> break od;
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
    d_step { /* when all is quiet, nothing is announced, and the words say exactly who is there */
        h = 0;
        do :: h < UPDATERS -> assert(change[h] == NONE); h++ :: else -> break od;
        h = 0;
        do
        :: h < SLOTS ->
            h2 = 0;
            do :: h2 < IDS && current[h2] != h -> h2++ :: else -> break od;
            assert(((bits[G(h)] & BIT(h)) != 0) == (h2 < IDS));
            assert(h2 == IDS || (birth[h] < SPECIAL && death[h] >= SPECIAL)); h++
        :: else -> break
        od; h = 0; h2 = 0 }
}
