// Searches that announce their times, and the reuse of slots: after snapshot_times.hpp, and SlotStore::reclaim(). See
// protocol.h.
//
// One searcher, one thread that uses slots again. A model defines before it includes this
//   LIVES          versions that there are one after the other, the first one included
//   SEARCHES       of the searcher, one after the other; 1 if it does not say
#pragma once

#define TIMES
#include "protocol.h"

#define UNDECIDED(n) (SPECIAL + (n))
#define IS_UNDECIDED(word) ((word) >= SPECIAL && (word) != NONE)
#define FENCE(order) atomic_thread_fence(order)

static atomic_int announced;

// ---- SnapshotTimes::Announcement ----

// The n-th one of the searcher. Returns its time.
static int begin_announcement(int n) {
    STORE(announced, UNDECIDED(n), ORDER_snapshot_end_Announcement_store);
    FENCE(ORDER_epoch_fence_Announcement_fence);
    int time = now();
    int found = UNDECIDED(n);
    if (!CAS(announced, &found, time, RELAXED))
        time = LOAD(announced, ORDER_snapshot_decided_Announcement_load);
    assert(IS_TIME(time));
    return time;
}
static void end_announcement(void) {
    STORE(announced, NONE, ORDER_snapshot_end_end_of_Announcement_store);
}

// ---- reuse ----

// announced_range(), of one announcement: its time, or NONE.
static int announced_time(void) {
    int found = LOAD(announced, ORDER_snapshot_end_announced_range_load);
    if (!IS_UNDECIDED(found))
        return found;
    const int time = now();
    if (CAS(announced, &found, time, ORDER_snapshot_decided_announced_range_cas))
        return time;
    FAILED(ORDER_snapshot_end_announced_range_cas_failure);
    return found;
}
// Does the search look at a time in [birth, death), or may it do so later? `range`: from announced_time(), which came
// after the heavy fence.
static int is_watched(int range, int born, int died) {
    if (!IS_TIME(range) || range >= died || range < born)
        return 0;
    const int time = LOAD(announced, ORDER_snapshot_end_watched_load);
    return time < died && time >= born;
}
// Dead, and out of its entry: may it be used again? The heavy fence is that of an advance of the epoch.
static int reclaim(int s) {
    FENCE(ORDER_epoch_fence_advance_fence);
    const int range = announced_time();
    return !is_watched(range, LOAD(birth[s], RELAXED), LOAD(death[s], RELAXED));
}

// ---- what must hold ----

// The versions that there are one after the other, each noted by who made it. Read when all threads have ended.
static int life_slot[LIVES + 1], life_birth[LIVES + 1];
static void note_life(int i, int s, int born) {
    life_slot[i] = s;
    life_birth[i] = born;
}
// When all threads have ended: each search saw the one version of its time, and its row.
static void check_looks(void) {
    for (int n = 0; n != SEARCHES; ++n)
        for (int i = 0; i != LIVES && life_birth[i] != 0; ++i)
            if (seen_time[n] != 0 && life_birth[i] <= seen_time[n] &&
                (life_birth[i + 1] == 0 || life_birth[i + 1] > seen_time[n])) {
                assert(seen[n] == 1 << life_slot[i]);
                assert(seen_row[n][life_slot[i]] == i + 1);
            }
}
// begin_present(), which is the first version; nothing is announced.
static void begin_present_announced(void) {
    begin_present(1);
    atomic_init(&announced, NONE);
    note_life(0, 0, 1);
}
#ifndef NOTE_STAMPS
static void* searches(void* unused) {
    (void)unused;
    for (int n = 0; n != SEARCHES; ++n) {
        const int after = LOAD(told, memory_order_acquire);
        const int time = begin_announcement(n);
        assert(time >= after && (n == 0 || time >= seen_time[n - 1]));
        look(n, time);
        end_announcement();
    }
    return 0;
}
#endif
