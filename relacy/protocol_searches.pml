/* Searches: see protocol.pml. */

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
