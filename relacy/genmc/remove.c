// A removal with its unlinking, beside a search, and beside who finds the entry marked: a get, a removal, or an add of
// the id (SECOND), which unlinks the entry, too.
#if SECOND == 3
#define SLOTS 2
#else
#define SLOTS 1
#endif
#define UPDATERS 2
#include "protocol.h"

#ifndef ALONE // without a search
#define ALONE 0
#endif

static int removed;
static void* remove_it(void* unused) {
    (void)unused;
    removed = remove_id(0);
    return 0;
}
static void* second(void* unused) {
    (void)unused;
#if SECOND == 1
    if (get() == NO_SLOT)
        tell(LOAD(death[0], RELAXED));
#elif SECOND == 2
    if (remove_id(1) == 0)
        tell(LOAD(death[0], RELAXED));
#else
    tell(add(1, 1, 2));
#endif
    return 0;
}
#if SECOND == 3
#define search search_later
#else
#define search search_once
#endif
int main(void) {
    begin_present(1);
    run(remove_it, second, ALONE ? 0 : search);
    check_quiet();
    check_search();
    return 0;
}
