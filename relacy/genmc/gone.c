// Who replaced slot 0 by slot 1 has not completed that when slot 1 is replaced itself. When it has, and is not pinned
// any more, both slots are free, and go on to their next lives, under a search that has found the first change announced.
// Who takes slot 1 has met no fence since: a fence would publish what its store has to.
#define SLOTS 3
#define UPDATERS 2
#define LIVES 3
#include "times.h"

static atomic_int pinned; // the first updater
static void* replace(void* unused) {
    (void)unused;
    note_life(1, 1, add(0, 1, 2));
    STORE(pinned, 0, ORDER_epoch_unpin_unpin_store);
    if (take_free(1))
        take_ready(1);
    return 0;
}
static void* replace_again(void* unused) {
    (void)unused;
    if (get() != 1)
        return 0;
    const int time = add(1, 2, 3);
    note_life(2, 2, time);
    tell(time);
    // The grace period, as far as it matters here: the one other updater has been seen unpinned.
    if (LOAD(pinned, ORDER_epoch_unpin_advance_load) != 0)
        return 0;
    if (reclaim(1))
        put_free(1);
    if (reclaim(0)) {
        take_ready(0);
        begin_version(0, 9);
    }
    return 0;
}
// Once the second replacement has returned: earlier searches are those of other models.
static void* search_later(void* unused) {
    return LOAD(told, memory_order_acquire) == 0 ? 0 : searches(unused);
}
int main(void) {
    begin_present_announced();
    atomic_init(&pinned, 1);
    run(replace, replace_again, search_later);
    check_looks();
    return 0;
}
