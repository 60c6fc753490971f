/* Updates, and passes over what is retired: see protocol.pml. */

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
                :: announced[i] < death[old] && announced[i] >= birth[old] ->
                    d_step { place[old] = RETIRED; old = NO_SLOT }; /* refused; another pass may have it now */
                    break
                :: else -> i++
                fi
            :: else -> break
            od
        fi;
#endif
        atomic { if :: old != NO_SLOT -> place[old] = FREE :: else fi; i = 0; oldest = 0; newest = 0 }
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
        atomic { if :: current[id] == NO_SLOT -> current[id] = s; place[s] = PUBLISHED; c = 0
                 :: else -> goto again
                 fi };
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

/* move_one(): a replacement by the same row, tried once */
inline move() {
    d_step { pinned = pinned | (1 << me); began = clock_now; c = current[id] };
    if
    :: c >= NO_SLOT -> goto moved
    :: else -> old = c; c = 0
    fi;
    c = death[old];
    b = birth[old];
    if
    :: c != ALIVE || b >= SPECIAL -> goto moved
    :: else -> c = 0; b = 0
    fi;
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
        :: NONE_FREE -> goto moved
        fi;
        place[s] = PRIVATE; life[s]++; birth[s] = VACANT; row[s] = row[old] };
    death[s] = ALIVE;
    birth[s] = PENDING(life[s]);
    finish_birth(old, true);
    announce_birth(old);
    d_step { state[G(old)] = state[G(old)] + 1 };
    d_step { if :: current[id] == old -> current[id] = s; place[s] = PUBLISHED; c = 1 :: else fi };
    if
    :: c ->
        finish_birth(s, true);
        complete_replacement();
        d_step { assert(b > began); retire(old); c = 0 }
    :: else -> /* withdrawn and discarded */
#if BUG != 28 /* a birth is not withdrawn */
        d_step { state[G(s)] = state[G(s)] - 1 };
#endif
        d_step { state[G(old)] = state[G(old)] - 1 };
        d_step { birth[s] = VACANT; place[s] = FREE }
    fi;
moved:
    atomic { unpin(); s = 0; old = 0; c = 0; b = 0; p = 0; l = 0; had = 0; began = 0 } }

proctype Updater(byte me; byte count; byte kinds) {
    byte kind, id, version, s, old, b, p, l, c, time, i, oldest, newest, began;
    bool had;
    version = 3 + 4 * me;
    do
    :: count > 0 ->
        atomic {
            count--; version++;
            if :: kinds & 1 -> kind = 1 :: kinds & 2 -> kind = 2 :: kinds & 4 -> kind = 4
            :: kinds & 8 -> kind = 8 fi;
            if :: id = 0
#if IDS > 1
               :: id = 1
#endif
            fi };
        if
        :: kind == 1 -> add()
        :: kind == 2 -> remove()
        :: kind == 4 -> get()
        :: kind == 8 -> move()
        fi;
        d_step { kind = 0; id = 0 }
    :: else -> break
    od;
    atomic { version = 0; kinds = 0 }
}
