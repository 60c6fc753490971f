/* The snapshot protocol as shipped, for Spin: lives of slots, block words, announced times; under sequential consistency.
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
 *   OPS0, OPS1, OPS2     operations of each updater          KINDS0..2  which: 1 add, 2 remove, 4 get, any of them
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

/* ---- updates; locals: me, s, old, id, b, p, l, c, time, had ---- */

inline link_it(s) {
    if
    :: p != NO_SLOT -> d_step { if :: death[p] == ALIVE -> death[p] = LINK(s) :: else fi }
    :: else
    fi }
inline finish_birth(s, settle) {
    d_step { b = birth[s]; p = predecessor[s]; l = life[s] };
    if
    :: b == PENDING(l) ->
#if BUG != 1
        link_it(s);
#endif
#if BUG == 2 /* no UNSTAMPED */
        stamp_birth(s, PENDING(l), b)
#else
        d_step { if :: birth[s] == PENDING(l) -> birth[s] = UNSTAMPED(l) :: else fi; b = birth[s] }
#endif
    :: else
    fi;
    if
    :: b == UNSTAMPED(l) -> stamp_birth(s, UNSTAMPED(l), b)
    :: else
    fi;
#if BUG == 1 /* link after stamp */
    link_it(s);
#endif
    assert(b < SPECIAL);
    if
#if BUG != 18 /* a LINK is not settled */
    :: settle && p != NO_SLOT -> d_step { if :: death[p] == LINK(s) -> death[p] = b :: else fi; p = 0; l = 0 }
#endif
    :: else -> p = 0; l = 0
    fi }
inline finish_death(s) {
    d_step { l = life[s]; if :: death[s] == ALIVE -> death[s] = DEAD_UNSTAMPED(l) :: else fi; b = death[s] };
    if
    :: b == DEAD_UNSTAMPED(l) -> stamp_death(s, DEAD_UNSTAMPED(l), b)
    :: else
    fi;
    l = 0;
    assert(b < SPECIAL) }

inline announce_birth(before) {
    d_step {
        predecessor[s] = before;
        if :: !had -> state[G(s)] = state[G(s)] + 1; had = 1 :: else fi } }
inline raise_latest(g) { d_step { if :: latest[g] < b -> latest[g] = b :: else fi } }
inline complete(g, sum) {
#if BUG == 6 /* latest raised after completion */
    d_step { state[g] = state[g] + (sum) };
    raise_latest(g)
#elif BUG == 26 /* latest is not raised */
    d_step { state[g] = state[g] + (sum) }
#else
    raise_latest(g);
    d_step { state[g] = state[g] + (sum) }
#endif
}
inline complete_replacement() {
    if
    :: G(s) == G(old) -> complete(G(s), BIT(s) - BIT(old) - 2)
    :: else ->
        complete(G(s), BIT(s) - 1);
#if BUG != 19 /* in groups apart the death is not completed */
        complete(G(old), - BIT(old) - 1)
#endif
    fi }

#define unpin() pinned = pinned & (255 - (1 << me)); h = 0; \
    do :: h < SLOTS -> waits_for[h] = waits_for[h] & (255 - (1 << me)); h++ :: else -> break od; h = 0
#define retire(s) assert(place[s] == PUBLISHED && death[s] < SPECIAL); place[s] = RETIRED; waits_for[s] = pinned
#if BUG == 12 /* no grace period */
#define RETIRED_LONG_AGO(s) (place[s] == RETIRED)
#else
#define RETIRED_LONG_AGO(s) (place[s] == RETIRED && waits_for[s] == 0)
#endif

/* SnapshotTimes::announced_range(); locals i, c, time, oldest, newest */
inline announced_range() {
    oldest = NONE; newest = 0; i = 0;
    do
    :: i < SEARCHERS ->
        c = announced[i];
#if BUG != 24 /* undecided announcements are passed over */
        if
        :: IS_UNDECIDED(c) ->
            time = clock_now;
            d_step { if :: announced[i] == c -> announced[i] = time :: else fi; c = announced[i]; time = 0 }
        :: else
        fi;
#endif
        d_step {
            if
            :: c < SPECIAL -> if :: c < oldest -> oldest = c :: else fi; if :: c > newest -> newest = c :: else fi
            :: else
            fi; c = 0; i++ }
    :: else -> i = 0; break
    od }
#define TO_RECLAIM(s) :: RETIRED_LONG_AGO(s) -> place[s] = ASKED; old = s
/* A pass over one slot, or none: it is free afterwards, unless a search looks at a time at which it lived. */
inline pass() {
#if BUG == 15 /* the range is older than the retirement */
    announced_range();
#endif
    atomic {
        if
        TO_RECLAIM(0)
        TO_RECLAIM(1)
#if SLOTS > 2
        TO_RECLAIM(2)
#endif
#if SLOTS > 3
        TO_RECLAIM(3)
#endif
        :: old = NO_SLOT; oldest = 0; newest = 0
        fi };
    if
    :: old != NO_SLOT ->
#if BUG != 15
        announced_range();
#endif
#if BUG != 8 /* reuse although a time is announced */
        if
        :: oldest >= death[old] || newest < birth[old] -> skip
        :: else ->
            i = 0;
            do
            :: i < SEARCHERS ->
                if
                :: announced[i] < death[old] && announced[i] >= birth[old] -> place[old] = RETIRED; break
                :: else -> i++
                fi
            :: else -> break
            od
        fi;
#endif
        atomic { if :: place[old] == ASKED -> place[old] = FREE :: else fi; i = 0; oldest = 0; newest = 0 }
    :: else
    fi;
    old = 0 }

#define TO_TAKE(n) :: place[n] == FREE -> s = n
#if SLOTS == 2
#define NONE_FREE (place[0] != FREE && place[1] != FREE)
#elif SLOTS == 3
#define NONE_FREE (place[0] != FREE && place[1] != FREE && place[2] != FREE)
#else
#define NONE_FREE (place[0] != FREE && place[1] != FREE && place[2] != FREE && place[3] != FREE)
#endif
inline add() {
    pass();
    atomic {
        if
        TO_TAKE(0)
        TO_TAKE(1)
#if SLOTS > 2
        TO_TAKE(2)
#endif
#if SLOTS > 3
        TO_TAKE(3)
#endif
        :: NONE_FREE -> goto over
        fi;
        place[s] = PRIVATE; life[s]++;
#if BUG == 21 /* ALIVE before VACANT */
        death[s] = ALIVE };
    d_step { birth[s] = VACANT; row[s] = id * 16 + version };
#else
        birth[s] = VACANT; row[s] = id * 16 + version };
    death[s] = ALIVE;
#endif
    birth[s] = PENDING(life[s]);
    d_step { pinned = pinned | (1 << me); began = clock_now; c = current[id] };
looked:
    if
    :: c == NO_SLOT ->
#if BUG == 4
        predecessor[s] = NO_SLOT;
#else
        announce_birth(NO_SLOT);
#endif
        atomic { if :: current[id] == NO_SLOT -> current[id] = s; place[s] = PUBLISHED; c = 0 :: else -> goto again fi };
#if BUG == 4 /* birth announced late */
        announce_birth(predecessor[s]);
#endif
#if BUG == 7 /* completion before the stamp */
        b = clock_now;
        complete(G(s), BIT(s) - 1);
        finish_birth(s, true);
#else
        finish_birth(s, true);
        complete(G(s), BIT(s) - 1);
#endif
        d_step { assert(b > began); unpin() }
    :: c != NO_SLOT && c >= REMOVED ->
        old = c - REMOVED;
        finish_death(old);
        unlink();
        old = 0;
        goto again
    :: else ->
        old = c; c = 0;
#if BUG != 22 /* superseded before it is finished */
        finish_birth(old, true);
#endif
#if BUG == 4
        predecessor[s] = old;
#else
        announce_birth(old);
#endif
#if BUG != 3
        d_step { state[G(old)] = state[G(old)] + 1 };
#endif
        atomic {
            if
            :: current[id] == old -> current[id] = s; place[s] = PUBLISHED
            :: else -> goto withdraw
            fi };
#if BUG == 3 /* death announced late */
        d_step { state[G(old)] = state[G(old)] + 1 };
#endif
#if BUG == 4
        announce_birth(predecessor[s]);
#endif
#if BUG == 7
        b = clock_now;
        complete_replacement();
        finish_birth(s, true);
#else
        finish_birth(s, true);
        complete_replacement();
#endif
        d_step { assert(b > began); retire(old); unpin() }
    fi;
    goto over;
again:
    c = current[id];
    goto looked;
withdraw:
#if BUG != 10 && BUG != 3 /* withdrawal missing */
    atomic { state[G(old)] = state[G(old)] - 1 };
#endif
    old = 0;
    goto again;
over:
    atomic { s = 0; old = 0; c = 0; b = 0; p = 0; l = 0; had = 0; began = 0 } }

/* Who takes a marked entry out retires the slot. */
inline unlink() { d_step { if :: current[id] == old + REMOVED -> current[id] = NO_SLOT; retire(old) :: else fi } }

inline remove() {
    d_step { pinned = pinned | (1 << me); began = clock_now; c = current[id] };
retry:
    if
    :: c == NO_SLOT
    :: c != NO_SLOT && c >= REMOVED ->
        old = c - REMOVED;
#if BUG != 23 /* "not there" before the removal has its time */
        finish_death(old);
#endif
        assert(death[old] < SPECIAL)
    :: else ->
        old = c;
#if BUG != 22
        finish_birth(old, true);
#endif
#if BUG != 3
        d_step { state[G(old)] = state[G(old)] + 1 };
#endif
        d_step { c = current[id]; if :: c == old -> current[id] = old + REMOVED :: else fi };
        if
        :: c != old ->
#if BUG != 10 && BUG != 3
            d_step { state[G(old)] = state[G(old)] - 1 };
#endif
            goto retry
        :: else
        fi;
#if BUG == 3
        d_step { state[G(old)] = state[G(old)] + 1 };
#endif
#if BUG == 7
        b = clock_now;
        complete(G(old), - BIT(old) - 1);
        finish_death(old);
#else
        finish_death(old);
        complete(G(old), - BIT(old) - 1);
#endif
        assert(b > began);
        unlink()
    fi;
    d_step { unpin(); old = 0; c = 0; b = 0; began = 0 } }

/* present(): V1, it finishes what it returns */
inline get() {
    d_step { pinned = pinned | (1 << me); c = current[id] };
    if
    :: c == NO_SLOT
    :: c != NO_SLOT && c >= REMOVED -> old = c - REMOVED; finish_death(old)
    :: else -> old = c; finish_birth(old, false)
    fi;
    d_step { assert(c == NO_SLOT || row[old] / 16 == id); unpin(); old = 0; c = 0; b = 0 } }

proctype Updater(byte me; byte count; byte kinds) {
    byte kind, id, version, s, old, b, p, l, c, time, i, oldest, newest, began;
    bool had;
    version = 3 + 4 * me;
    do
    :: count > 0 ->
        atomic {
            count--; version++;
            if :: kinds & 1 -> kind = 1 :: kinds & 2 -> kind = 2 :: kinds & 4 -> kind = 4 fi;
            if :: id = 0
#if IDS > 1
               :: id = 1
#endif
            fi };
        if
        :: kind == 1 -> add()
        :: kind == 2 -> remove()
        :: kind == 4 -> get()
        fi;
        d_step { kind = 0; id = 0 }
    :: else -> break
    od;
    atomic { version = 0; kinds = 0 }
}

/* ---- searches ---- */

/* SlotGroup::look() */
inline look(g) {
#if BUG == 20 /* latest is read before the state */
    c = latest[g];
    d_step { w = state[g]; if :: IN_FLIGHT(w) == 0 && c <= T -> ask = 0 :: else -> ask = 1 fi; c = 0 };
#else
    w = state[g];
    d_step {
        if
#if BUG == 5 /* in flight ignored */
        :: latest[g] <= T -> ask = 0
#elif BUG == 11 /* latest ignored */
        :: IN_FLIGHT(w) == 0 -> ask = 0
#else
        :: IN_FLIGHT(w) == 0 && latest[g] <= T -> ask = 0
#endif
        :: else -> ask = 1
        fi };
#endif
    d_step {
        if
        :: ask -> to_ask = to_ask | (((1 << GROUP) - 1) << (g * GROUP))
        :: else -> mask = mask | (VISIBLE(w) << (g * GROUP))
        fi; ask = 0; w = 0 } }

/* Visibility::visible() */
inline ask_slot(s) {
#if BUG == 9 /* death read after birth */
    b = birth[s];
    d = death[s];
#else
    d = death[s];
    b = birth[s];
#endif
    if
    :: IS_UNSTAMPED(b) -> stamp_birth(s, b, b)
    :: else
    fi;
    if
    :: b <= T ->
        if
        :: d == ALIVE -> seen = 1
        :: d < SPECIAL -> seen = (T < d)
        :: IS_DEAD_UNSTAMPED(d) ->
            stamp_death(s, d, d);
#if BUG == 16 /* the death of another life counts */
            seen = (T < d)
#else
            seen = (T < d && birth[s] == b)
#endif
        :: IS_LINK(d) ->
            c = d - SPECIAL;
            b = birth[c];
            if
            :: IS_UNSTAMPED(b) -> stamp_birth(c, b, b)
            :: else
            fi;
#if BUG == 17 /* who has a successor is dead */
            seen = (b < SPECIAL && T < b)
#else
            seen = (T < b)
#endif
        fi
    :: else
    fi;
    d_step { if :: seen -> mask = mask | (1 << s) :: else fi; seen = 0; b = 0; d = 0; c = 0 } }

inline end_announcement() {
    d_step {
        announced[me] = NONE;
        looking = looking & (255 - (1 << me));
        if :: T > newest_answer && ticking != 0 -> newest_answer = T :: else fi;
        if :: looking == 0 -> forget_history() :: else fi } }

proctype Searcher(byte me) {
    byte n, T, i, g, b, d, c, mask, to_ask, time, began;
    short w;
    bool ask, seen;
    byte found[IDS];
    do
    :: n < SEARCHES ->
        d_step {
            n++; announced[me] = UNDECIDED(n); began = clock_now;
            looking = looking | (1 << me) };
#if BUG == 27 /* a search announces what it has read before */
        T = clock_now;
        d_step { announced[me] = T };
#else
        T = clock_now;
        d_step {
            if :: announced[me] == UNDECIDED(n) -> announced[me] = T :: else -> T = announced[me] fi;
            assert(T >= began && T < SPECIAL); began = 0 };
#endif
#if BUG == 25 /* the announcement ends before the rows are read */
        announced[me] = NONE;
#endif
        do
        :: g < GROUPS ->
            i = g;
            do :: i < GROUPS && i < g + BLOCK -> look(i); i++ :: else -> break od;
            i = g * GROUP;
            do
            :: i < SLOTS && i < (g + BLOCK) * GROUP ->
                if :: to_ask & (1 << i) -> ask_slot(i) :: else fi;
                i++
            :: else -> break
            od;
            to_ask = 0; i = g * GROUP;
            do
            :: i < SLOTS && mask != 0 ->
                if
                :: mask & (1 << i) ->
                    d_step {
                        assert(found[row[i] / 16] == 0); /* an id is seen once */
                        found[row[i] / 16] = row[i] % 16; mask = mask & (255 - (1 << i)) }
                :: else
                fi;
                i++
            :: else -> break
            od;
            atomic { assert(mask == 0); i = 0; g = g + BLOCK }
        :: else -> g = 0; break
        od;
        atomic { /* what was there at T, by the stamps */
            h = 0;
            do
            :: h < IDS ->
                c = present[h]; h2 = 0;
                do
                :: h2 <= T ->
                    if :: happened[h2] != 0 && happened[h2] / 16 == h -> c = (happened[h2] % 16) % 15 :: else fi;
                    h2++
                :: else -> break
                od;
                assert(found[h] == c); /* a search sees what was there at its time */
                found[h] = 0; c = 0; h++
            :: else -> break
            od; h = 0; h2 = 0 };
        end_announcement();
        T = 0
    :: else -> break
    od;
    n = 0
}

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
