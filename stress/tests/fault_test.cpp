// Faults of the surroundings: user code that throws in the middle of an operation, and threads that end without
// tidying up. Nothing is lost, nothing leaks (LeakSanitizer looks at this binary too), everything stays exact. Memory
// that runs out has a binary of its own: impl/tests/allocation_failure_test.cpp.
#include "catch.hpp"
#include "checkers/history.hpp"

#include <hotindex/lock_free_hot_vector_index.hpp>
#include <hotindex/map/lock_free_hash_map.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {
using namespace hotindex;
using namespace hotindex::stress;

struct Thrown : std::runtime_error {
    Thrown() : std::runtime_error("thrown on purpose") {}
};

/// Throws at the n-th of the calls that are counted down on this thread; 0: never.
inline thread_local std::uint64_t until_throw = 0;
void count_down() {
    if (until_throw != 0 && --until_throw == 0)
        throw Thrown();
}

struct ThrowingHash {
    std::size_t operator()(const std::string& key) const {
        count_down();
        return std::hash<std::string>()(key) % 3; // few buckets: equality is asked
    }
};
struct ThrowingEqual {
    bool operator()(const std::string& a, const std::string& b) const {
        count_down();
        return a == b;
    }
};
/// Counts how many there are, and may throw when it is copied.
struct Fragile {
    explicit Fragile(int v) : value(v) { ++alive; }
    Fragile(const Fragile& other) : value(other.value) {
        count_down();
        ++alive;
    }
    Fragile(Fragile&& other) noexcept : value(other.value) { ++alive; }
    Fragile& operator=(const Fragile&) = default;
    Fragile& operator=(Fragile&&) = default;
    ~Fragile() { --alive; }
    int value;
    static inline std::atomic<std::int64_t> alive{0};
};
using FragileMap = LockFreeHashMap<std::string, Fragile, ThrowingHash, ThrowingEqual>;

/// Lets the work, which says whether its answer is right, fail at its first, second, ... call of user code until it
/// gets through. How often it failed; 0 for a wrong answer.
template <class Work, class After>
std::uint64_t fail_in_turn(Work work, After after) {
    for (std::uint64_t n = 1;; ++n) {
        until_throw = n;
        try {
            const bool right = work(); // not in a CHECK, which would catch what it throws
            until_throw = 0;
            return right ? n - 1 : 0;
        } catch (const Thrown&) {
            until_throw = 0;
            after();
        }
    }
}
} // namespace

TEST_CASE("hash, equality, copies and functions that throw leave a map as it was", "[fault]") {
    {
        FragileMap map;
        const auto key = [](int i) { return "key " + std::to_string(i); };
        for (int i = 0; i != 30; ++i)
            map.insert(key(i), Fragile(i));
        const auto intact = [&](std::size_t size) {
            CHECK(map.size() == size);
            for (int i = 0; i != 30; ++i)
                CHECK(map.get(key(i))->value == i);
        };
        const auto was = [&](int value) { return [&map, &key, value] { CHECK(map.get(key(30))->value == value); }; };
        CHECK(fail_in_turn([&] { return map.insert(key(30), Fragile(30)); },
                           [&] {
                               intact(30);
                               CHECK_FALSE(map.contains(key(30)));
                           }) >= 4);
        CHECK(fail_in_turn([&] { return map.exchange(key(30), Fragile(31))->value == 30; }, was(30)) >= 3);
        CHECK(fail_in_turn([&] { return !map.insert_or_assign(key(30), Fragile(31)); }, was(31)) >= 2);
        CHECK(fail_in_turn([&] { return map.get(key(30))->value == 31; }, was(31)) >= 3);
        const auto next = [](const Fragile& old) {
            count_down();
            return Fragile(old.value + 1);
        };
        CHECK(fail_in_turn([&] { return map.update(key(30), next); }, was(31)) >= 3);
        CHECK(fail_in_turn([&] { return map.erase(key(30)); },
                           [&] {
                               intact(31);
                               was(32)();
                           }) >= 2);
        const auto visit = [](const std::string&, const Fragile&) { count_down(); };
        CHECK(fail_in_turn(
                  [&] {
                      map.for_each(visit);
                      return true;
                  },
                  [&] { intact(30); }) == 30);
        intact(30);
        CHECK(map.drain());
        CHECK(map.epoch_stats().pinned == 0);
    }
    CHECK(Fragile::alive == 0);
}

TEST_CASE("user code that throws beside other threads costs them nothing", "[fault]") {
    {
        FragileMap map;
        std::atomic<int> inserted{0};
        std::atomic<int> failed{0};
        std::vector<std::thread> threads;
        for (int t = 0; t != 4; ++t)
            threads.emplace_back([&, t] {
                for (int i = 0; i != 300; ++i) {
                    const std::string key = std::to_string(i % 50);
                    until_throw = static_cast<std::uint64_t>((i + t) % 7);
                    try {
                        if (i % 3 == 0)
                            inserted -= map.erase(key) ? 1 : 0;
                        else
                            inserted += map.insert(key, Fragile(i)) ? 1 : 0;
                    } catch (const Thrown&) {
                        ++failed;
                    }
                    until_throw = 0;
                }
            });
        for (auto& t : threads)
            t.join();
        CHECK(failed > 0);
        std::size_t seen = 0;
        map.for_each([&seen](const std::string&, const Fragile&) { ++seen; });
        CHECK(map.size() == static_cast<std::size_t>(inserted));
        CHECK(seen == map.size());
        CHECK(map.drain());
    }
    CHECK(Fragile::alive == 0);
}

TEST_CASE("a predicate that throws ends its search and nothing else", "[fault]") {
    constexpr std::size_t dimension = 4;
    LockFreeHotVectorIndex index(
        IndexOptions{.dimension = dimension, .metric = Metric::inner_product, .tracking = Tracking::exact});
    for (Id id = 0; id != 100; ++id)
        index.add_vector(name_of_id(id), row_of(id + 1, dimension));
    const auto query = floats_of(Query::largest, dimension);
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t != 3; ++t)
        threads.emplace_back([&] {
            const std::uint64_t failures = fail_in_turn(
                [&] {
                    const auto matches = index.search(query, 5, [](std::string_view) {
                        count_down();
                        return true;
                    });
                    return matches.size() == 5 && matches[0].id == name_of_id(99);
                },
                [] {});
            wrong += failures >= 5 ? 0 : 1;
        });
    for (auto& t : threads)
        t.join();
    CHECK(wrong == 0);
    CHECK(index.epoch_stats().pinned == 0);
    CHECK(index.access_stats(name_of_id(99))->count == 3); // searches that threw have counted nothing
    CHECK(index.get_stats().queries == 3);
    CHECK(index.drain());
}

namespace {
/// An object that is never destroyed, as if its thread had been killed.
template <class T>
struct alignas(T) Grave {
    std::array<std::byte, sizeof(T)> memory;
    template <class... Args>
    void bury(Args&&... args) {
        ::new (static_cast<void*>(memory.data())) T(std::forward<Args>(args)...);
    }
};

constexpr std::size_t grave_dimension = 4;

void add_twenty(LockFreeHotVectorIndex& index) {
    for (Id id = 0; id != 20; ++id)
        index.add_vector(name_of_id(id), row_of(id + 1, grave_dimension));
}

/// Threads that come and go, and use the index as if nothing had happened; returns how many answers were wrong.
int life_goes_on(LockFreeHotVectorIndex& index, std::size_t vectors) {
    std::atomic<int> wrong{0};
    for (int generation = 0; generation != 5; ++generation) {
        std::vector<std::thread> threads;
        for (unsigned t = 0; t != 3; ++t)
            threads.emplace_back([&, t] {
                const Id id = 100 + t;
                for (Id i = 0; i != 100; ++i) {
                    index.add_vector(name_of_id(id), row_of(i + 1, grave_dimension));
                    const auto row = index.get_vector(name_of_id(id));
                    wrong += row && value_of(*row) == i + 1 ? 0 : 1;
                    wrong += index.search(floats_of(Query::largest, grave_dimension), 50).size() > vectors ? 0 : 1;
                }
                wrong += index.remove_vector(name_of_id(id)) ? 0 : 1;
            });
        for (auto& t : threads)
            t.join();
    }
    return wrong;
}
} // namespace

// LeakSanitizer says whether all of it was freed with the index.
TEST_CASE("a thread that ends with a snapshot keeps what that showed, and nothing else", "[fault]") {
    Grave<LockFreeHotVectorIndex::Snapshot> grave;
    LockFreeHotVectorIndex index(IndexOptions{.dimension = grave_dimension, .metric = Metric::inner_product});
    add_twenty(index);
    std::thread([&] {
        index.add_vector("of the dead thread", row_of(1000, grave_dimension));
        grave.bury(index.snapshot());
    }).join();
    CHECK(index.open_snapshots() == 1);
    CHECK(index.epoch_stats().pinned == 0);
    CHECK(life_goes_on(index, 20) == 0);
    CHECK(index.size() == 21);
    CHECK(index.search(floats_of(Query::largest, grave_dimension), 1)[0].id == "of the dead thread");
    CHECK(index.drain()); // whatever the others did: it shows nothing of it

    for (Id id = 0; id != 5; ++id)
        CHECK(index.remove_vector(name_of_id(id)));
    for (Id id = 5; id != 10; ++id)
        index.add_vector(name_of_id(id), row_of(id + 50, grave_dimension));
    CHECK_FALSE(index.drain());
    CHECK(index.epoch_stats().limbo_objects == 10 + 5); // slots, and the entries of those removed
}

TEST_CASE("a thread that ends while pinned loses nothing, and what it holds back goes with the index", "[fault]") {
    using Index = LockFreeHotVectorIndex;
    Grave<Index::Guard> grave;
    Index index(IndexOptions{.dimension = grave_dimension, .metric = Metric::inner_product});
    add_twenty(index);
    std::thread([&] {
        const Index::Handle handle = index.join();
        index.add_vector(handle, "of the dead thread", row_of(1000, grave_dimension));
        grave.bury(handle);
    }).join();
    CHECK(index.epoch_stats().pinned == 1);
    CHECK(index.contains("of the dead thread"));
    // Everything goes on; only nothing is reclaimed any more.
    CHECK(life_goes_on(index, 20) == 0);
    CHECK(index.size() == 21);
    CHECK(index.search(floats_of(Query::largest, grave_dimension), 1)[0].id == "of the dead thread");
    CHECK_FALSE(index.drain());
    CHECK(index.epoch_stats().limbo_objects >= 1000);
}
