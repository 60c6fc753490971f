// An id is replaced again and again, in slots that are used again unless a search looks at their last lives; beside a
// search, or two in turn.
#ifndef LIVES
#define LIVES 3
#endif
#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef LAST // the slot of the fourth version
#define LAST 1
#endif
#define UPDATERS 1
#include "times.h"

static void* update(void* unused) {
    (void)unused;
    for (int i = 1; i != LIVES; ++i) {
        const int s = i == 3 ? LAST : i % 2;
        if (IS_TIME(LOAD(birth[s], RELAXED)) && !reclaim(s))
            break;
        note_life(i, s, add(0, s, i + 1));
    }
    return 0;
}
int main(void) {
    begin_present_announced();
    run(update, searches, 0);
    check_quiet();
    check_looks();
    return 0;
}
