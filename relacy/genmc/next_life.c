// A search has found a replacement announced. When it asks the new version, that has been replaced, and its slot is in
// its next life, published and about to be stamped. The search stamps that; who is told finds the change announced.
#define SLOTS 3
#define UPDATERS 1
#define LIVES 4
#define SEARCHES 2
#define NOTE_STAMPS
#include "times.h"

static void* update(void* unused) {
    (void)unused;
    note_life(1, 1, add(0, 1, 2));
    note_life(2, 2, add(0, 2, 3));
    if (reclaim(1))
        note_life(3, 1, add(0, 1, 4));
    return 0;
}
static void* search(void* unused) {
    (void)unused;
    look(0, begin_announcement(0));
    if (stamped_life == 2)
        tell(stamped);
    end_announcement();
    return 0;
}
// The last version stays: this search need not announce its time.
static void* search_later(void* unused) {
    (void)unused;
    const int after = LOAD(told, memory_order_acquire);
    if (after == 0)
        return 0;
    const int time = now();
    assert(time >= after);
    look(1, time);
    return 0;
}
int main(void) {
    begin_present_announced();
    run(update, search, search_later);
    check_quiet();
    check_looks();
    return 0;
}
