// Must not compile: USE asks for a copy of what cannot be copied. CMakeLists.txt says which message is expected.
#include <hotindex/map/lock_free_hash_map.hpp>

#include <memory>

struct MoveMayThrow {
    MoveMayThrow() = default;
    MoveMayThrow(const MoveMayThrow&) {} // no move constructor: moving copies
};

int main() {
    hotindex::LockFreeHashMap<int, std::unique_ptr<int>> owned;
    hotindex::LockFreeHashMap<int, MoveMayThrow> fragile;
    hotindex::LockFreeHashMap<std::unique_ptr<int>, int> owned_keys;
    (void)USE;
}
