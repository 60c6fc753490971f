// The id is replaced; somebody else updates another id, and then looks for the first one. If its update is the later one,
// by the clock, it finds the new version.
#define SLOTS 3
#define UPDATERS 1
#include "protocol.h"

static int other_time, found;
static void* update(void* unused) {
    (void)unused;
    add(0, 1, 2);
    return 0;
}
// Of that update of slot 2, which has an entry that is not in the model, only the stamp.
static void* update_other(void* unused) {
    (void)unused;
    take_ready(2);
    begin_version(2, 3);
    other_time = finish_birth(2);
    found = get();
    assert(row[found] == found + 1);
    return 0;
}
int main(void) {
    begin_present(1);
    run(update, update_other, 0);
    assert(found == 1 || other_time < LOAD(birth[1], RELAXED));
    return 0;
}
