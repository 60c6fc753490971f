// A replacement, beside a search: it sees one of the two versions, and the new one once it is told. It is helped by a
// get; or there is a second replacement (TWICE).
#ifdef TWICE
#define SLOTS 3
#define UPDATERS 2
#else
#define SLOTS 2
#define UPDATERS 1
#endif
#include "protocol.h"

#ifndef ALONE // without a search
#define ALONE 0
#endif

static void* update(void* unused) {
    (void)unused;
    add(0, 1, 2);
    return 0;
}
static void* second(void* unused) {
    (void)unused;
#ifdef TWICE
    tell(add(1, 2, 3));
#else
    const int s = get();
    assert(row[s] == s + 1);
    if (s == 1)
        tell(LOAD(birth[1], RELAXED));
#endif
    return 0;
}
#ifdef TWICE
#define search search_later
#else
#define search search_once
#endif
int main(void) {
    begin_present(1);
    run(update, second, ALONE ? 0 : search);
    check_quiet();
    check_search();
    assert(seen_time[0] == 0 || seen[0] == 1 || seen[0] == 2 || seen[0] == 4);
    return 0;
}
