/* Searches: see protocol.pml. */

#if BUG == 31 /* still visible at the time of its death */
#define IS_DEAD(d) ((d) < T)
#else
#define IS_DEAD(d) ((d) <= T)
#endif
#if BUG == 32 /* not yet visible at the time of its birth */
#define IS_BORN(b) ((b) < T)
#else
#define IS_BORN(b) ((b) <= T)
#endif
/* Visibility::life_of(), in two steps */
#if BUG == 25 /* death read after birth */
#define look_first(s) b = birth[s]
#define look_second(s) d = death[s]
#else
#define look_first(s) d = death[s]
#define look_second(s) b = birth[s]
#endif

/* AnnouncedChanges::for_each(), in any order */
#define note_change(u) \
    i = i | (1 << u); \
    if :: change[u] != NONE -> found_change[changes] = change[u]; changes++ :: else fi
#define ALL_FOUND (i == (1 << UPDATERS) - 1)

/* SlotStore::decide(): the next slot that a change names, from number i on */
#define NAMED(i) ((i) % 2 == 0 -> BORN(found_change[(i) / 2]) : DIED(found_change[(i) / 2]))
#define go_on_to_slot() \
    s = NO_SLOT; \
    do :: i < 2 * changes && s == NO_SLOT -> s = NAMED(i); i++ :: else -> break od; \
    if \
    :: s == NO_SLOT -> \
        s = 0; i = 0; \
        do :: changes > 0 -> changes--; found_change[changes] = 0 :: else -> break od; \
        goto groups \
    :: else -> goto ask_slot \
    fi
#define decide(answer) \
    seen = (answer); \
    assert(!(decided & (1 << s)) || ((decided_visible & (1 << s)) != 0) == seen); /* for good */ \
    decided = decided | (1 << s); \
    if :: seen -> decided_visible = decided_visible | (1 << s) :: else fi; \
    seen = 0; b = 0; d = 0; c = 0; o = 0; j = 0; \
    go_on_to_slot()

/* ChangingSlots::helped(): may it be stamped? */
#if BUG == 2 /* published or not */
#define IS_MARKED(mark, found) true
#elif BUG == 3 /* nothing is helped */
#define IS_MARKED(mark, found) false
#else
#define IS_MARKED(mark, found) (mark == found)
#endif
/* ChangingSlots::visible(): the next change that s dies of, from number j on */
#define go_on_to_death() \
    c = 0; \
    do :: j < changes && DIED(found_change[j]) != s -> j++ :: else -> break od; \
    if \
    :: j == changes -> goto ask_again \
    :: else -> \
        o = BORN(found_change[j]); j++; \
        if :: o == NO_SLOT -> goto ask_removal :: else -> goto ask_new fi \
    fi
#define birth_is_known() \
    if \
    :: IS_BORN(b) && d >= SPECIAL -> go_on_to_death() \
    :: else -> decide(IS_BORN(b) && !IS_DEAD(d)) \
    fi
#define new_birth_is_known() \
    if \
    :: IS_BORN(c) -> decide(false) \
    :: else -> go_on_to_death() \
    fi

#if BUG == 33 /* latest is not looked at */
#define look(g) mask = mask | (bits[g] << ((g) * GROUP))
#else
#define look(g) if :: latest[g] <= T -> mask = mask | (bits[g] << ((g) * GROUP)) :: else -> ask = 1 fi
#endif
#define SLOTS_OF_BLOCK ((((1 << (BLOCK * GROUP)) - 1) << (g * GROUP)) & 255)
#define go_on_to_rows() \
    ask = 0; i = 0; s = 0; \
    mask = (mask & (255 - (decided & SLOTS_OF_BLOCK))) | (decided_visible & SLOTS_OF_BLOCK); \
    go_on_to_row()
#define go_on_to_row() \
    if \
    :: mask != 0 -> goto rows \
    :: else -> \
        g = g + BLOCK; \
        if \
        :: g < GROUPS -> i = g; goto groups \
        :: else -> g = 0; decided = 0; decided_visible = 0; goto finished \
        fi \
    fi

/* What was there at T, by the stamps */
inline check_found() {
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
    od; h = 0; h2 = 0 }

proctype Searcher(byte me) {
    byte n, T, i, j, g, changes, s, o, b, d, c, mask, decided, decided_visible, time, began;
    bool ask, seen;
    byte found[IDS], found_change[UPDATERS];
#if BUG == 35
    byte announced_time;
#endif
begin:
#if BUG == 13 /* announced changes are looked for before the clock is read */
    do
    :: atomic { !(i & 1) -> note_change(0) }
#if UPDATERS > 1
    :: atomic { !(i & 2) -> note_change(1) }
#endif
    :: ALL_FOUND -> break
    od;
#endif
#if BUG == 42 /* a search announces what it has read before */
    T = clock_now;
#endif
    atomic {
        n++; announced[me] = UNDECIDED(n); began = clock_now;
        looking = looking | (1 << me) };
#if BUG != 42
    atomic { n > 1 || have_looked == me -> T = clock_now; if :: n == 1 -> have_looked++ :: else fi };
#endif
    d_step {
#if BUG == 43 /* a search stores its time, decided or not */
        announced[me] = T;
#else
        if :: announced[me] == UNDECIDED(n) -> announced[me] = T :: else -> T = announced[me] fi;
        assert(T >= began && T < SPECIAL);
#endif
#if BUG == 35
        announced_time = T;
#endif
        began = 0 };

    do
    :: atomic { !(i & 1) -> note_change(0); if :: ALL_FOUND -> i = 0; go_on_to_slot() :: else fi }
#if UPDATERS > 1
    :: atomic { !(i & 2) -> note_change(1); if :: ALL_FOUND -> i = 0; go_on_to_slot() :: else fi }
#endif
#if UPDATERS > 2
    :: atomic { !(i & 4) -> note_change(2); if :: ALL_FOUND -> i = 0; go_on_to_slot() :: else fi }
#endif
#if BUG == 13
    :: atomic { ALL_FOUND -> i = 0; go_on_to_slot() }
#endif
    od;

ask_slot: /* ChangingSlots::visible() */
    look_first(s);
    atomic { look_second(s); if :: b < SPECIAL -> birth_is_known() :: else fi };
    atomic { if :: IS_MARKED(birth_mark[s], b) :: else -> birth_is_known() fi };
    tick();
    atomic { d_step { settle(birth[s], s, b, b, BIRTH(s)) }; birth_is_known() };
ask_removal:
#if BUG == 30 /* a removal is not asked for its time */
    atomic { go_on_to_death() };
#endif
    atomic { if :: IS_MARKED(death_mark[s], d) :: else -> go_on_to_death() fi };
    tick();
    atomic { d_step { settle(death[s], s, d, c, DEATH) }; go_on_to_death() };
ask_new:
#if BUG == 29 /* the new version is not asked */
    atomic { go_on_to_death() };
#endif
    atomic { c = birth[o]; if :: c < SPECIAL -> new_birth_is_known() :: else fi };
    atomic { if :: IS_MARKED(birth_mark[o], c) :: else -> new_birth_is_known() fi };
    tick();
    atomic { d_step { settle(birth[o], o, c, c, BIRTH(o)) }; new_birth_is_known() };
ask_again:
#if BUG == 53 /* what was replaced is not asked again */
    if
    :: o == NO_SLOT -> d = death[s]
    :: else
    fi;
#elif BUG != 28 /* not asked again */
    d = death[s];
#endif
#if BUG == 27 /* of whatever life */
    atomic { decide(!IS_DEAD(d)) };
#else
    atomic { decide(!IS_DEAD(d) && birth[s] == b) };
#endif

groups: /* SlotStore::visible_slots() of groups g to g + BLOCK - 1 */
#if BUG == 34 /* the groups are believed about what was decided, too */
    atomic { decided = 0; decided_visible = 0 };
#elif BUG == 35 /* the clock is read for every block */
    T = clock_now;
#elif BUG == 41 /* the announcement ends before the rows are read */
    announced[me] = NONE;
#endif
    do
    :: atomic {
            look(i); i++;
            if
            :: i < g + BLOCK
            :: i == g + BLOCK && ask -> ask = 0; mask = 0; i = g; goto ask_groups
            :: else -> go_on_to_rows()
            fi }
    od;
ask_groups:
    do
    :: atomic {
            look(i); i++;
            if
            :: ask -> ask = 0; s = (i - 1) * GROUP; goto ask_slots
            :: !ask && i < g + BLOCK
            :: else -> go_on_to_rows()
            fi }
    od;
ask_slots: /* Visibility::mask() */
    do
    :: look_first(s);
        atomic {
            look_second(s);
            if :: IS_BORN(b) && !IS_DEAD(d) -> mask = mask | (1 << s) :: else fi;
            b = 0; d = 0; s++;
            if
            :: s < SLOTS && s < i * GROUP
            :: (s == SLOTS || s == i * GROUP) && i < g + BLOCK -> goto ask_groups
            :: else -> go_on_to_rows()
            fi }
    od;
rows:
    do
    :: atomic { /* the row of the first slot that is left */
            do :: !(mask & (1 << i)) -> i++ :: else -> break od;
            assert(i < SLOTS);
            assert(found[row[i] / 16] == 0); /* an id is seen once */
            found[row[i] / 16] = row[i] % 16; mask = mask & (255 - (1 << i)); i = 0;
            go_on_to_row() }
    od;
finished:
    atomic {
#if BUG == 35
        T = announced_time;
#endif
        d_step { check_found() };
        announced[me] = NONE;
        looking = looking & (255 - (1 << me));
        if :: T > newest_answer && ticking != 0 -> newest_answer = T :: else fi;
        if :: looking == 0 -> d_step { forget_history() } :: else fi;
        T = 0;
        if :: n < SEARCHES -> goto begin :: else -> n = 0 fi }
}
