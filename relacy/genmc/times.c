// Slot 0 is replaced by slot 1, and then used again, unless a search looks at its life; beside a search, or two in turn,
// that announce their times. Or somebody else decides for the search (DECIDED), and has not changed anything itself.
#define SLOTS 2
#define UPDATERS 1
#define LIVES 2
#include "times.h"

static void* update(void* unused) {
    (void)unused;
    const int t = add(0, 1, 2);
    note_life(1, 1, t);
    tell(t);
#ifndef DECIDED
    if (reclaim(0)) {
        take_ready(0);
        begin_version(0, 9);
    }
#endif
    return 0;
}
#ifdef DECIDED
static void* decide(void* unused) {
    (void)unused;
    FENCE(ORDER_epoch_fence_advance_fence);
    announced_time();
    return 0;
}
#else
#define decide 0
#endif
int main(void) {
    begin_present_announced();
    run(update, searches, decide);
    check_looks();
    return 0;
}
