// Epochs: a slot is used again when the epoch has advanced three times since its retirement, beside a get that is pinned
// while it reads the row, and another thread that advances the epoch, too. After epochs.hpp.
#define SLOTS 2
#define UPDATERS 1
#include "protocol.h"

enum { READER, UPDATER, PARTICIPANTS, FIRST = 3 };
static atomic_int epoch, pinned[PARTICIPANTS];

static int pin(int me) {
    const int guess = LOAD(epoch, RELAXED);
    STORE(pinned[me], guess << 1 | 1, ORDER_epoch_pin_pin_store);
    atomic_thread_fence(ORDER_epoch_fence_pin_fence);
    return LOAD(epoch, ORDER_epoch_advance_pin_load);
}
static void unpin(int me) {
    STORE(pinned[me], 0, ORDER_epoch_unpin_unpin_store);
}
static void advance(void) {
    int e = LOAD(epoch, RELAXED);
    atomic_thread_fence(ORDER_epoch_fence_advance_fence);
    for (int i = 0; i != PARTICIPANTS; ++i) {
        const int word = LOAD(pinned[i], ORDER_epoch_unpin_advance_load);
        if ((word & 1) && word >> 1 != e)
            return;
    }
    CAS(epoch, &e, e + 1, ORDER_epoch_advance_advance_cas);
}

static void* read_it(void* unused) {
    (void)unused;
    for (int i = 0; i != PINS; ++i) {
        pin(READER);
        const int s = get();
        assert(row[s] == s + 1);
        unpin(READER);
    }
    return 0;
}
static void* update(void* unused) {
    (void)unused;
    const int retired = pin(UPDATER);
    add(0, 1, 2);
    unpin(UPDATER);
    for (int i = 0; i != OWN_ADVANCES; ++i)
        advance();
    if (LOAD(epoch, ORDER_epoch_advance_old_enough_load) - 3 >= retired) {
        take_ready(0);
        begin_version(0, 9);
    }
    return 0;
}
static void* help_on(void* unused) {
    (void)unused;
    for (int i = 0; i != 3 - OWN_ADVANCES; ++i)
        advance();
    return 0;
}
int main(void) {
    begin_present(1);
    atomic_init(&epoch, FIRST);
    for (int i = 0; i != PARTICIPANTS; ++i)
        atomic_init(&pinned[i], 0);
    run(read_it, update, OWN_ADVANCES == 3 ? 0 : help_on);
    return 0;
}
