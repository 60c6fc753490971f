// An insertion, found by a get or another insertion of the id, beside a search.
#ifdef RACE
#define SLOTS 2
#define UPDATERS 2
#else
#define SLOTS 1
#define UPDATERS 1
#endif
#include "protocol.h"

#ifndef ALONE // without a search
#define ALONE 0
#endif

static void* insert(void* unused) {
    (void)unused;
    add(0, 0, 1);
    return 0;
}
#ifdef RACE
static void* second(void* unused) {
    (void)unused;
    tell(add(1, 1, 2));
    return 0;
}
#else
static void* second(void* unused) {
    (void)unused;
    if (get() == 0) {
        assert(row[0] == 1);
        tell(LOAD(birth[0], RELAXED));
    }
    return 0;
}
#endif
#ifdef RACE
#define search search_later
#else
#define search search_once
#endif
int main(void) {
    begin_empty();
    run(insert, second, ALONE ? 0 : search);
    check_quiet();
    check_search();
    return 0;
}
