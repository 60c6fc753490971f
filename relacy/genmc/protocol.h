// The steps of the snapshot protocol in C11, for GenMC, which meets every execution of a small program under a weak
// memory model. After slot_store.hpp, visibility.hpp, announced_changes.hpp, slot_groups.hpp, slot_memory.hpp,
// index_core.hpp, with their names; searches that announce their times stand in times.h.
//
// Each order that is not relaxed is a macro ORDER_<edge>_<function>_<operation>, which scripts/model_check --genmc
// makes of what the source says there, and weakens one at a time.
//
// What is simpler than the source: one id; its directory is one word that names an entry, or none; an entry has the
// number of the slot that it was made for, and is not used again; a segment is smaller than a block of groups, so that
// a search looks at each group once. Beside two adds, or an add and a removal, a search comes when one has returned: all
// others are too many.
//
// Plain data is plain: rows and the entries of slots. GenMC reports a race on them as an error.
//
// A model defines before it includes this
//   SLOTS, GROUP   slots; how many of them share a word
//   UPDATERS       threads that announce changes
//   TIMES          where searches announce their times (times.h)
#pragma once

#include "orders.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

#ifndef GROUP
#define GROUP SLOTS
#endif
#define GROUPS ((SLOTS + GROUP - 1) / GROUP)

// Words: a time is below SPECIAL; everything else is later than any time.
enum { SPECIAL = 64, NO_SLOT = 15, REMOVED = 16, NO_ENTRY = 15, NONE = 255, BITS = 8 };
#define PENDING(life) (SPECIAL + (life))
#define ALIVE(life) (SPECIAL + 32 + (life))
#define LIFE(pending) ((pending) - SPECIAL)
#define IS_TIME(word) ((word) < SPECIAL)
#define CHANGE(born, died) ((born) * 16 + (died))
#define BORN(change) ((change) / 16)
#define DIED(change) ((change) % 16)
#define BIT(s) (1 << (s) % GROUP)

#define LOAD(word, order) atomic_load_explicit(&(word), order)
#define STORE(word, value, order) atomic_store_explicit(&(word), value, order)
#define ADD(word, value, order) atomic_fetch_add_explicit(&(word), value, order)
// GenMC gives the read of a compare-exchange that fails the order that it has where it succeeds. So the order of a
// failure is that of a fence behind it.
#define CAS(word, expected, value, order)                                                                              \
    atomic_compare_exchange_strong_explicit(&(word), expected, value, order, memory_order_relaxed)
#define FAILED(order) atomic_thread_fence(order)
#define RELAXED memory_order_relaxed

static atomic_int clock_now;
static atomic_int birth[SLOTS], death[SLOTS], birth_mark[SLOTS], death_mark[SLOTS];
static atomic_int group[GROUPS];    // bits 0 to 7: which slots are visible; above: the latest time
static atomic_int change[UPDATERS]; // what each announces
static atomic_int bucket;           // an entry, or NO_ENTRY
static atomic_int current[SLOTS];   // of an entry: a slot, or slot | REMOVED
static int row[SLOTS];              // its version
static int entry_of[SLOTS];

// ---- the beginning ----

// Nothing is there. Before any thread begins, as the next one.
static void begin_empty(void) {
    atomic_init(&clock_now, 1);
    atomic_init(&bucket, NO_ENTRY);
    for (int s = 0; s != SLOTS; ++s) {
        atomic_init(&birth[s], PENDING(0));
        atomic_init(&death[s], ALIVE(0));
        atomic_init(&birth_mark[s], 0);
        atomic_init(&death_mark[s], 0);
        atomic_init(&current[s], NO_SLOT);
    }
    for (int g = 0; g != GROUPS; ++g)
        atomic_init(&group[g], 0);
    for (int u = 0; u != UPDATERS; ++u)
        atomic_init(&change[u], NONE);
}
// The id is there, in entry 0 and slot 0 since time 1, with that row.
static void begin_present(int version) {
    begin_empty();
    atomic_init(&bucket, 0);
    atomic_init(&current[0], 0);
    atomic_init(&birth[0], 1);
    atomic_init(&birth_mark[0], PENDING(1));
    atomic_init(&death[0], ALIVE(1));
    atomic_init(&group[0], BIT(0) | 1 << BITS);
    row[0] = version;
    entry_of[0] = 0;
}

// ---- VersionClock ----

static int now(void) {
    return LOAD(clock_now, ORDER_version_clock_now_load);
}
static int stamp_birth(int s, int from) {
    const int t = ADD(clock_now, 1, ORDER_version_clock_stamp_fetch_add) + 1;
    if (CAS(birth[s], &from, t, ORDER_slot_birth_stamp_cas))
        return t;
    FAILED(ORDER_slot_birth_stamp_cas_failure);
    return from;
}
static int stamp_death(int s, int from) {
    const int t = ADD(clock_now, 1, ORDER_version_clock_stamp_fetch_add) + 1;
    if (CAS(death[s], &from, t, ORDER_slot_death_stamp_cas))
        return t;
    FAILED(ORDER_slot_death_stamp_cas_failure);
    return from;
}

// ---- SlotStore: updates ----

// A slot that is this thread's: in a new life, with its row, ALIVE.
static void take_ready(int s) {
    const int last = LOAD(birth[s], RELAXED);
    const int number = IS_TIME(last) ? LOAD(birth_mark[s], RELAXED) : last;
    STORE(birth[s], PENDING(LIFE(number) + 1), ORDER_slot_birth_take_ready_store);
}
static void begin_version(int s, int version) {
    row[s] = version;
    const int pending = LOAD(birth[s], RELAXED);
    STORE(death[s], ALIVE(LIFE(pending)), ORDER_slot_death_begin_version_store);
}

static int finish_birth(int s) {
    const int found = LOAD(birth[s], ORDER_slot_birth_finish_load);
    if (IS_TIME(found))
        return found;
    STORE(birth_mark[s], found, ORDER_slot_mark_finish_store);
    return stamp_birth(s, found);
}
static int finish_death(int s) {
    const int found = LOAD(death[s], ORDER_slot_death_finish_load);
    if (IS_TIME(found))
        return found;
    STORE(death_mark[s], found, ORDER_slot_mark_finish_store);
    return stamp_death(s, found);
}

static void announce(int me, int born, int died) {
    STORE(change[me], CHANGE(born, died), ORDER_change_end_announce_store);
}
static void end_change(int me) {
    STORE(change[me], NONE, ORDER_change_end_end_store);
}

static void add_to_group(int g, int bits, int time) {
    int seen = LOAD(group[g], RELAXED);
    for (;;) {
        const int latest = seen >> BITS;
        const int flipped = (seen ^ bits) & ((1 << BITS) - 1);
        if (CAS(group[g], &seen, flipped | (latest > time ? latest : time) << BITS, RELAXED))
            return;
    }
}
static int complete_birth(int me, int s) {
    const int time = finish_birth(s);
    add_to_group(s / GROUP, BIT(s), time);
    end_change(me);
    return time;
}
static int complete_death(int me, int s) {
    const int time = finish_death(s);
    add_to_group(s / GROUP, BIT(s), time);
    end_change(me);
    return time;
}
static int complete_replacement(int me, int s, int old) {
    const int time = finish_birth(s);
    STORE(death[old], time, ORDER_slot_death_complete_replacement_store);
    if (s / GROUP == old / GROUP) {
        add_to_group(s / GROUP, BIT(s) | BIT(old), time);
    } else {
        add_to_group(s / GROUP, BIT(s), time);
        add_to_group(old / GROUP, BIT(old), time);
    }
    end_change(me);
    return time;
}
// V3: what is retired is dead, and who retires it knows when it died.
static void retire(int s) {
    assert(IS_TIME(LOAD(death[s], RELAXED)));
}

// ---- IndexCore ----

static int find_entry(void) {
    return LOAD(bucket, ORDER_bucket_readable_load);
}
// Takes exactly this entry out of the directory, whoever removed it. Returns whether this call did.
static int unlink_entry(int e, int victim) {
    if (LOAD(bucket, ORDER_bucket_writable_load) != e)
        return 0;
    int expected = e;
    if (!CAS(bucket, &expected, NO_ENTRY, ORDER_bucket_rebuild_cas))
        return 0;
    retire(victim);
    return 1;
}
// Slot s is taken, and has its row. Returns the time of the update.
static int publish(int me, int s) {
    for (;;) {
        int e = find_entry();
        if (e == NO_ENTRY) {
            STORE(current[s], s, RELAXED); // the constructor's
            entry_of[s] = s;
            announce(me, s, NO_SLOT);
            e = LOAD(bucket, ORDER_bucket_writable_load);
            if (e == NO_ENTRY) {
                if (CAS(bucket, &e, s, ORDER_bucket_insert_cas))
                    return complete_birth(me, s);
                continue;
            }
        }
        int c = LOAD(current[e], ORDER_entry_current_add_load);
        const int old = c & ~REMOVED;
        assert(old < SLOTS);
        if (c & REMOVED) {
            finish_death(old);
            unlink_entry(e, old);
            continue;
        }
        finish_birth(old);
        entry_of[s] = e;
        announce(me, s, c);
        if (!CAS(current[e], &c, s, ORDER_entry_current_add_cas))
            continue;
        const int time = complete_replacement(me, s, old);
        retire(old);
        return time;
    }
}
static int add(int me, int s, int version) {
    take_ready(s);
    begin_version(s, version);
    return publish(me, s);
}
// Returns the time, or 0: it was not there.
static int remove_id(int me) {
    const int e = find_entry();
    if (e == NO_ENTRY)
        return 0;
    int c = LOAD(current[e], ORDER_entry_current_remove_load);
    int announced = 0;
    for (;;) {
        const int old = c & ~REMOVED;
        assert(old < SLOTS);
        if (c & REMOVED) {
            finish_death(old);
            if (announced)
                end_change(me);
            return 0;
        }
        finish_birth(old);
        announce(me, NO_SLOT, c);
        announced = 1;
        if (CAS(current[e], &c, c | REMOVED, ORDER_entry_current_remove_cas)) {
            const int time = complete_death(me, old);
            unlink_entry(e, old);
            return time;
        }
        FAILED(ORDER_entry_current_remove_cas_failure);
    }
}
// present(): a slot, or NO_SLOT: it is not there.
static int get(void) {
    const int e = find_entry();
    if (e == NO_ENTRY)
        return NO_SLOT;
    const int c = LOAD(current[e], ORDER_entry_current_present_load);
    const int s = c & ~REMOVED;
    assert(s < SLOTS);
    if (c & REMOVED) {
        finish_death(s);
        return NO_SLOT;
    }
    finish_birth(s);
    return s;
}
// IndexSet: a slot that was taken and not published is free again; and taken by who finds it.
static atomic_int free_slots;
static void put_free(int s) {
    ADD(free_slots, 1 << s, ORDER_index_set_put_fetch_add);
}
static int take_free(int s) {
    int found = LOAD(free_slots, RELAXED);
    return (found >> s & 1) && CAS(free_slots, &found, found & ~(1 << s), ORDER_index_set_take_some_cas);
}
// The version in slot `far` goes to slot s, which is this thread's, if it is there and nobody replaces or removes it.
static void move_one(int me, int far, int s) {
    if (!(LOAD(group[far / GROUP], RELAXED) & BIT(far)))
        return;
    const int d = LOAD(death[far], ORDER_slot_death_slot_to_move_load);
    const int b = LOAD(birth[far], ORDER_slot_birth_slot_to_move_load);
    if (IS_TIME(d) || !IS_TIME(b))
        return;
    take_ready(s);
    begin_version(s, row[far]);
    const int e = entry_of[far];
    int c = LOAD(current[e], RELAXED);
    if (c == far) {
        finish_birth(far);
        entry_of[s] = e;
        announce(me, s, far);
        if (CAS(current[e], &c, s, ORDER_entry_current_move_one_cas)) {
            complete_replacement(me, s, far);
            retire(far);
            return;
        }
        end_change(me);
    }
    put_free(s);
}

// ---- a search ----

#ifdef NOTE_STAMPS
static int stamped, stamped_life; // the last birth that a search has helped to stamp
#endif
static int helped_birth(int s, int found) {
    if (IS_TIME(found) || LOAD(birth_mark[s], ORDER_slot_mark_helped_load) != found)
        return found;
    const int now_there = stamp_birth(s, found);
#ifdef NOTE_STAMPS
    stamped = now_there;
    stamped_life = LIFE(found);
#endif
    return now_there;
}
static int helped_death(int s, int found) {
    if (IS_TIME(found) || LOAD(death_mark[s], ORDER_slot_mark_helped_load) != found)
        return found;
    return stamp_death(s, found);
}
// ChangingSlots::visible(): is slot s, which one of the changes names, visible at the time?
static int is_visible_apart(int s, int time, const int* changes) {
    int d = LOAD(death[s], ORDER_slot_death_life_of_load);
    int b = LOAD(birth[s], RELAXED);
    b = helped_birth(s, b);
    if (b > time)
        return 0;
    if (IS_TIME(d))
        return d > time;
    for (int u = 0; u != UPDATERS; ++u) {
        if (changes[u] == NONE || DIED(changes[u]) != s)
            continue;
        const int next = BORN(changes[u]);
        if (next == NO_SLOT) {
            helped_death(s, d);
        } else {
            const int born = LOAD(birth[next], ORDER_slot_birth_birth_of_load);
            if (helped_birth(next, born) <= time)
                return 0;
        }
    }
    d = LOAD(death[s], ORDER_slot_death_visible_load);
    return d > time && LOAD(birth[s], RELAXED) == b;
}
// Visibility::mask() of one slot.
static int is_visible(int s, int time) {
    const int d = LOAD(death[s], ORDER_slot_death_life_of_load);
    const int b = LOAD(birth[s], RELAXED);
    return b <= time && d > time;
}
// Bit s: slot s is visible at the time, which is announced or was read from the clock just now.
static int visible_slots(int time) {
    int changes[UPDATERS];
    int decided = 0, visible = 0;
    for (int u = 0; u != UPDATERS; ++u)
        changes[u] = LOAD(change[u], ORDER_change_end_find_load);
    for (int u = 0; u != UPDATERS; ++u) {
        if (changes[u] == NONE)
            continue;
        const int born = BORN(changes[u]), died = DIED(changes[u]);
        if (born != NO_SLOT) {
            decided |= 1 << born;
            visible |= is_visible_apart(born, time, changes) << born;
        }
        if (died != NO_SLOT) {
            decided |= 1 << died;
            visible |= is_visible_apart(died, time, changes) << died;
        }
    }
    for (int g = 0; g != GROUPS; ++g) {
        const int look = LOAD(group[g], RELAXED);
        for (int s = g * GROUP; s < (g + 1) * GROUP && s < SLOTS; ++s) {
            if (decided >> s & 1)
                continue;
            const int there = look >> BITS <= time ? (look & BIT(s)) != 0 : is_visible(s, time);
            visible |= there << s;
        }
    }
    return visible;
}

// ---- what must hold ----

// When all is quiet, nothing is announced, and the groups say who is there.
static void check_quiet(void) {
    for (int u = 0; u != UPDATERS; ++u)
        assert(LOAD(change[u], RELAXED) == NONE);
    const int e = LOAD(bucket, RELAXED);
    for (int s = 0; s != SLOTS; ++s) {
        const int there = e != NO_ENTRY && LOAD(current[e], RELAXED) == s;
        assert(((LOAD(group[s / GROUP], RELAXED) & BIT(s)) != 0) == there);
        assert(!there || (IS_TIME(LOAD(birth[s], RELAXED)) && !IS_TIME(LOAD(death[s], RELAXED))));
    }
}

// The searches: what each saw, when, and in which rows. `told`: the time of an update or a get that had returned, as who
// called the search knows.
#ifndef SEARCHES
#define SEARCHES 1
#endif
static int seen_time[SEARCHES], seen[SEARCHES], seen_row[SEARCHES][SLOTS];
static atomic_int told;
static void look(int n, int time) {
    const int visible = visible_slots(time);
    seen_time[n] = time;
    seen[n] = visible;
    for (int s = 0; s != SLOTS; ++s)
        if (visible >> s & 1) {
            seen_row[n][s] = row[s];
            assert(entry_of[s] != NO_ENTRY);
        }
}
#ifndef TIMES
// When all threads have ended: the slots that are visible at the time, by the stamps. Where no slot is used twice.
static int visible_by_stamps(int time) {
    int visible = 0;
    for (int s = 0; s != SLOTS; ++s)
        visible |= (LOAD(birth[s], RELAXED) <= time && LOAD(death[s], RELAXED) > time) << s;
    return visible;
}
static void* search_once(void* unused) {
    (void)unused;
    const int after = LOAD(told, memory_order_acquire);
    const int time = now();
    assert(time >= after);
    look(0, time);
    return 0;
}
// The same, if an update or a get has returned: where all searches are too many.
static void* search_later(void* unused) {
    return LOAD(told, memory_order_acquire) == 0 ? 0 : search_once(unused);
}
// If there was a search, and no slot is used again after it was published.
static void check_search(void) {
    if (seen_time[0] == 0)
        return;
    assert(seen[0] == visible_by_stamps(seen_time[0]));
    for (int s = 0; s != SLOTS; ++s)
        assert(!(seen[0] >> s & 1) || seen_row[0][s] == row[s]);
}
#endif
// An update or a get has returned, which knew of that time.
static void tell(int time) {
    STORE(told, time, memory_order_release);
}

// Three threads, or two.
static void run(void* (*a)(void*), void* (*b)(void*), void* (*c)(void*)) {
    pthread_t first, second, third;
    pthread_create(&first, 0, a, 0);
    pthread_create(&second, 0, b, 0);
    if (c)
        pthread_create(&third, 0, c, 0);
    pthread_join(first, 0);
    pthread_join(second, 0);
    if (c)
        pthread_join(third, 0);
}
