// Who looks for a version that lies too high moves it: one that has just been inserted, beside a search; one that a get
// finds meanwhile (READ); or one in a slot that was used before (OVERLIVED).
#ifdef OVERLIVED
#define SLOTS 3
#else
#define SLOTS 2
#endif
#define UPDATERS 2
#include "protocol.h"

static atomic_int pinned; // who moves
static void* other(void* unused) {
    (void)unused;
#if defined(OVERLIVED)
    add(0, 1, 2);
    // The grace period, as far as it matters here.
    atomic_thread_fence(ORDER_epoch_fence_advance_fence);
    if (LOAD(pinned, ORDER_epoch_unpin_advance_load) == 0)
        add(0, 0, 1);
#elif defined(READ)
    const int s = get();
    assert(row[s] == 1);
    if (s == 1)
        tell(LOAD(birth[1], RELAXED));
#else
    add(0, 0, 1);
#endif
    return 0;
}
static void* move(void* unused) {
    (void)unused;
    STORE(pinned, 1, ORDER_epoch_pin_pin_store);
#ifdef OVERLIVED
    atomic_thread_fence(ORDER_epoch_fence_pin_fence);
#endif
    move_one(1, 0, SLOTS - 1);
    STORE(pinned, 0, ORDER_epoch_unpin_unpin_store);
    return 0;
}
int main(void) {
#if defined(OVERLIVED) || defined(READ)
    begin_present(1);
#else
    begin_empty();
#endif
#ifdef OVERLIVED
    run(other, move, 0);
    check_quiet();
#else
    run(other, move, search_once);
    check_quiet();
    check_search();
#endif
    return 0;
}
