/* Updates, and passes over what is retired: see protocol.pml. */

/* SlotStore::finish(), of a published change, by who is pinned: goes on at `done`, the time in b */
#if BUG == 1 /* marked after the tick */
#define finish(word, mark, s, version, done) \
    atomic { b = word; if :: b < SPECIAL -> goto done :: else -> l = b fi }; \
    tick(); \
    d_step { settle(word, s, b, b, version) }; \
    atomic { mark = l; l = 0 }
#else
#define finish(word, mark, s, version, done) \
    atomic { b = word; if :: b < SPECIAL -> goto done :: else fi }; \
    mark = b; \
    tick(); \
    d_step { settle(word, s, b, b, version); assert(b < SPECIAL) } /* V1: the slot is still in that life */
#endif
#define finish_birth(s, done) finish(birth[s], birth_mark[s], s, BIRTH(s), done)
#define finish_death(s, done) finish(death[s], death_mark[s], s, DEATH, done)

#if BUG == 6 /* unannounced */
#define announce(born, died) skip
#elif BUG == 10 /* the second attempt keeps the announcement of the first */
#define announce(born, died) atomic { if :: change[me] == NONE -> change[me] = CHANGE(born, died) :: else fi }
#else
#define announce(born, died) change[me] = CHANGE(born, died)
#endif
/* Retirement and the end of the pin come with it, so that others wait for less than in the source. */
#define end() change[me] = NONE
#define publish(s) place[s] = PUBLISHED; published = clock_now /* for assertions */
#if BUG == 11 /* what is not published is not withdrawn */
#define withdraw() skip
#else
#define withdraw() end()
#endif

/* SlotGroup::add(); slots of one group */
#if BUG == 20 /* sets bits, does not flip them */
#define FLIPPED(w, slots) (((slots) & ((slots) - 1)) != 0 -> (w) ^ (slots) : (w) | (slots))
#else
#define FLIPPED(w, slots) ((w) ^ (slots))
#endif
inline add_to_group(g, slots) {
#if BUG == 19 /* without the time */
    bits[g] = FLIPPED(bits[g], slots)
#elif BUG == 21 /* the time later than the bits */
    bits[g] = FLIPPED(bits[g], slots);
    latest[g] = (latest[g] < b -> b : latest[g])
#else
    atomic { bits[g] = FLIPPED(bits[g], slots); latest[g] = (latest[g] < b -> b : latest[g]) }
#endif
}

#define pin() pinned = pinned | (1 << me)
#define unpin() pinned = pinned & (255 - (1 << me)); h = 0; \
    do :: h < SLOTS -> waits_for[h] = waits_for[h] & (255 - (1 << me)); h++ :: else -> break od; h = 0
#define retire(s) assert(place[s] == PUBLISHED && death[s] < SPECIAL); /* V3 */ \
    place[s] = RETIRED; waits_for[s] = pinned
#if BUG == 37 /* no grace period */
#define RETIRED_LONG_AGO(s) (place[s] == RETIRED)
#else
#define RETIRED_LONG_AGO(s) (place[s] == RETIRED && waits_for[s] == 0)
#endif

/* SnapshotTimes::announced_range(), in any order; locals i, n, c, time, oldest, newest */
#define ALL_SEARCHERS ((1 << SEARCHERS) - 1)
#define note_range() \
    if \
    :: c < SPECIAL -> if :: c < oldest -> oldest = c :: else fi; if :: c > newest -> newest = c :: else fi \
    :: else \
    fi; c = 0; n = 0
inline announced_range() {
    oldest = NONE; newest = 0; i = 0;
    do
    :: atomic { i != ALL_SEARCHERS ->
            if
            :: !(i & 1)
#if SEARCHERS > 1
            :: !(i & 2) -> n = 1
#endif
            fi;
            i = i | (1 << n); c = announced[n] };
        if
#if BUG != 39 /* undecided announcements are passed over */
        :: atomic { IS_UNDECIDED(c) -> time = clock_now };
            d_step {
                if :: announced[n] == c -> announced[n] = time :: else fi; c = announced[n]; time = 0;
                note_range() }
        :: d_step { !IS_UNDECIDED(c) -> note_range() }
#else
        :: d_step { true -> note_range() }
#endif
        fi
    :: else -> i = 0; break
    od }
/* SnapshotTimes::watched(), in any order */
#define IN_RANGE (oldest < death[old] && newest >= birth[old])
#define WATCHED(i) (announced[i] < death[old] && announced[i] >= birth[old])
#define LOOK_AT(m) \
    :: d_step { old != NO_SLOT && IN_RANGE && !(i & (1 << m)) && !WATCHED(m) -> i = i | (1 << m) } \
    :: d_step { old != NO_SLOT && IN_RANGE && !(i & (1 << m)) && WATCHED(m) -> place[old] = RETIRED; old = NO_SLOT }
#define TO_RECLAIM(s) :: RETIRED_LONG_AGO(s) -> place[s] = ASKED; old = s
/* A pass over one slot, or none: it is free afterwards, unless a search looks at a time at which it lived. */
inline pass() {
#if BUG == 38 /* the range is older than the retirement */
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
        :: oldest = 0; newest = 0; goto passed
        fi };
#if BUG != 38
    announced_range();
#endif
#if BUG != 36 /* reuse although a time is announced */
    do
    LOOK_AT(0)
#if SEARCHERS > 1
    LOOK_AT(1)
#endif
    :: else -> break
    od; /* refused: another pass may have it now */
#endif
    atomic {
        if :: old != NO_SLOT -> place[old] = FREE; row[old] = 0 :: else fi; /* nobody reads the row any more */
        old = 0; i = 0; oldest = 0; newest = 0 } }

#define TO_TAKE(n) :: place[n] == FREE -> s = n
#if SLOTS == 2
#define TO_TAKE_ANY TO_TAKE(0) TO_TAKE(1)
#define NONE_FREE (place[0] != FREE && place[1] != FREE)
#elif SLOTS == 3
#define TO_TAKE_ANY TO_TAKE(0) TO_TAKE(1) TO_TAKE(2)
#define NONE_FREE (place[0] != FREE && place[1] != FREE && place[2] != FREE)
#else
#define TO_TAKE_ANY TO_TAKE(0) TO_TAKE(1) TO_TAKE(2) TO_TAKE(3)
#define NONE_FREE (place[0] != FREE && place[1] != FREE && place[2] != FREE && place[3] != FREE)
#endif
#if BUG == 5 /* a stamp does not name its life */
#define NEXT_LIFE(s) 0
#else
#define NEXT_LIFE(s) (LIFE(birth[s] < SPECIAL -> birth_mark[s] : birth[s]) + 1)
#endif
/* SlotMemory::take_ready(), the row, SlotStore::begin_version(), in two steps */
#if BUG == 26 /* ALIVE before PENDING */
#define begin_life(s, what) place[s] = PRIVATE; death[s] = ALIVE(NEXT_LIFE(s))
#define begin_version(s, what) d_step { birth[s] = PENDING(NEXT_LIFE(s)); row[s] = what }
#else
#define begin_life(s, what) place[s] = PRIVATE; birth[s] = PENDING(NEXT_LIFE(s)); row[s] = what
#define begin_version(s, what) death[s] = ALIVE(LIFE(birth[s]))
#endif
#define discard(s) place[s] = FREE; row[s] = 0

#define finish_operation() \
    d_step { unpin(); s = 0; old = 0; c = 0; b = 0; id = 0; published = 0 }; \
    goto next_operation

/* IndexCore::add() */
#define go_on_with_current() \
    c = 0; old = current[id]; \
    if \
    :: old == NO_SLOT -> goto absent \
    :: old != NO_SLOT && old >= REMOVED -> old = old - REMOVED; goto removed \
    :: else -> goto there \
    fi
inline add() {
    pass();
passed:
    atomic { if TO_TAKE_ANY :: NONE_FREE -> finish_operation() fi; begin_life(s, id * 16 + version) };
    begin_version(s, id * 16 + version);
    atomic { pin(); go_on_with_current() };
again:
    atomic { go_on_with_current() };

absent:
#if BUG != 7
    announce(s, NO_SLOT);
#endif
    atomic { if :: current[id] == NO_SLOT -> current[id] = s; publish(s) :: else -> goto again fi };
#if BUG == 7 /* a birth announced late */
    announce(s, NO_SLOT);
#endif
    /* SlotStore::complete_birth() */
#if BUG == 18 /* added before it has its time */
    b = clock_now;
    add_to_group(G(s), BIT(s));
    finish_birth(s, born);
born:
#else
    finish_birth(s, born);
born:
#if BUG == 14 /* ended before it is added */
    end();
#elif BUG == 24 /* completed when not pinned any more */
    atomic { unpin() };
    finish_birth(s, born_anyway);
born_anyway:
#endif
    add_to_group(G(s), BIT(s));
#endif
    atomic { end(); assert(b > published); finish_operation() };

removed: /* IndexCore::finish_remove() */
#if BUG != 49 /* unlinked before the removal has its time */
    finish_death(old, dead);
#endif
dead:
#if BUG == 23 /* who helps completes */
    add_to_group(G(old), BIT(old));
    end();
#endif
    unlink();
    goto again;

there:
#if BUG != 44 /* superseded before it is finished */
    finish_birth(old, stamped);
#endif
stamped:
#if BUG != 8
    announce(s, old);
#endif
    atomic { if :: current[id] == old -> current[id] = s; publish(s) :: else -> goto again fi };
#if BUG == 8 /* a replacement announced late */
    announce(s, old);
#endif
replaced: /* SlotStore::complete_replacement() */
#if BUG == 50 /* retired before it is dead */
    atomic { retire(old) };
#endif
#if BUG == 18
    b = clock_now;
#else
    finish_birth(s, reborn);
#endif
reborn:
#if BUG != 17
    atomic { assert(death[old] >= SPECIAL); death[old] = b }; /* nobody else stamps it */
#endif
#if BUG == 16 /* ended before it is added */
    end();
#endif
    if
    :: G(s) == G(old) -> add_to_group(G(s), BIT(s) | BIT(old))
    :: else ->
        add_to_group(G(s), BIT(s));
#if BUG != 22 /* in groups apart the death is not added */
        add_to_group(G(old), BIT(old))
#endif
    fi;
#if BUG == 18
    finish_birth(s, added);
added:
#elif BUG == 17 /* ended before the death is written */
    end();
    death[old] = b;
#endif
    atomic { end(); assert(b > published); retire(old); finish_operation() } }

/* Who takes a marked entry out retires the slot. */
inline unlink() {
#if BUG == 51 /* retired before it is unlinked */
    atomic { retire(old) };
    atomic { if :: current[id] == old + REMOVED -> current[id] = NO_SLOT :: else fi }
#else
    atomic { if :: current[id] == old + REMOVED -> current[id] = NO_SLOT; retire(old) :: else fi }
#endif
}

/* IndexCore::remove() */
#define go_on_to_remove() \
    if \
    :: old == NO_SLOT -> goto not_there \
    :: old != NO_SLOT && old >= REMOVED -> old = old - REMOVED; goto already_removed \
    :: else -> goto to_remove \
    fi
inline remove() {
    atomic { pin(); old = current[id]; go_on_to_remove() };
to_remove:
#if BUG != 45 /* removed before it is finished */
    finish_birth(old, stamped_before);
#endif
stamped_before:
#if BUG != 9
    announce(NO_SLOT, old);
#endif
    atomic {
        if
        :: current[id] == old -> current[id] = old + REMOVED; publish(old)
        :: else -> old = current[id]; go_on_to_remove()
        fi };
#if BUG == 9 /* a death announced late */
    announce(NO_SLOT, old);
#endif
#if BUG == 52 /* unlinked before the removal has its time */
    unlink();
#endif
    /* SlotStore::complete_death() */
    finish_death(old, died);
died:
#if BUG == 15 /* ended before it is added */
    end();
#endif
    add_to_group(G(old), BIT(old));
    atomic { end(); assert(b > published) };
    unlink();
    atomic { finish_operation() };
already_removed:
#if BUG != 46 /* "not there" before the removal has its time */
    finish_death(old, not_there);
#endif
not_there:
    atomic { assert(old == NO_SLOT || death[old] < SPECIAL); withdraw(); finish_operation() } }

/* IndexCore::present(): V1, it finishes what it returns */
inline get() {
    atomic {
        pin(); old = current[id];
        if
        :: old == NO_SLOT -> finish_operation()
        :: old != NO_SLOT && old >= REMOVED -> old = old - REMOVED; goto missed
        :: else
        fi };
#if BUG != 47 /* returned before it has its time */
    finish_birth(old, returned);
#endif
returned:
    atomic { assert(birth[old] < SPECIAL && row[old] / 16 == id); finish_operation() };
missed:
#if BUG != 48 /* missed before the removal has its time */
    finish_death(old, returned_none);
#endif
returned_none:
    atomic { assert(death[old] < SPECIAL); finish_operation() } }

#define TO_MOVE(n) :: (bits[G(n)] & BIT(n)) != 0 -> old = n
/* IndexCore::move_one(): a replacement by the same row, tried once */
inline move() {
    atomic { /* Compaction::slot_to_move(): a hint, then the slot's words */
        pin();
        if
        TO_MOVE(0)
        TO_MOVE(1)
#if SLOTS > 2
        TO_MOVE(2)
#endif
#if SLOTS > 3
        TO_MOVE(3)
#endif
        :: else -> finish_operation()
        fi };
    c = death[old];
    atomic {
        b = birth[old];
        if :: c < SPECIAL || b >= SPECIAL -> finish_operation() :: else -> c = 0; b = 0 fi };
    atomic {
        if TO_TAKE_ANY :: NONE_FREE -> finish_operation() fi;
        assert(place[old] == PUBLISHED || place[old] == RETIRED); /* the pin keeps it */
        id = row[old] / 16; begin_life(s, row[old]) };
    begin_version(s, row[old]);
    atomic { if :: current[id] == old :: else -> discard(s); finish_operation() fi };
    finish_birth(old, known);
known:
    announce(s, old);
    atomic { if :: current[id] == old -> current[id] = s; publish(s); goto replaced :: else fi };
#if BUG == 12 /* a slot is free again before its announcement has ended */
    atomic { discard(s) };
    atomic { withdraw(); finish_operation() }
#else
    withdraw();
    atomic { discard(s); finish_operation() }
#endif
}

#define begin_operation() \
    count--; version++; \
    if :: !(kinds & 16) -> id = 0 :: IDS > 1 -> id = 1 fi
proctype Updater(byte me; byte count; byte kinds) {
    byte id, version, s, old, b, c, time, i, n, oldest, newest, published;
#if BUG == 1
    byte l;
#endif
    version = 3 + 4 * me;
next_operation:
    if
    :: atomic { count > 0 && (kinds & 1) -> begin_operation() }; add()
    :: atomic { count > 0 && (kinds & 2) -> begin_operation() }; remove()
    :: atomic { count > 0 && (kinds & 4) -> begin_operation() }; get()
    :: atomic { count > 0 && (kinds & 8) -> begin_operation() }; move()
    :: atomic { count == 0 -> version = 0; kinds = 0 }
    fi
}
