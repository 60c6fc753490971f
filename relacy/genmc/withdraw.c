// A move against a removal of what it moves: it withdraws its change and gives its slot back, which the remover takes to
// insert the id anew, beside a search.
#define SLOTS 2
#define UPDATERS 2
#include "protocol.h"

#ifndef ALONE // without a search
#define ALONE 0
#endif

static void* move(void* unused) {
    (void)unused;
    move_one(0, 0, 1);
    return 0;
}
static void* update(void* unused) {
    (void)unused;
    if (remove_id(1) != 0 && take_free(1))
        add(1, 1, 2);
    return 0;
}
int main(void) {
    begin_present(1);
    run(move, update, ALONE ? 0 : search_once);
    check_quiet();
    check_search();
    return 0;
}
