// LockFreeHashMap: contract, growth, and what threads may see of each other.
#include "catch.hpp"

#include <hotindex/map/lock_free_hash_map.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {
using namespace hotindex;

template <class Hash = DefaultHash<std::string>, class Traits = DefaultTraits>
using StringMap = LockFreeHashMap<std::string, int, Hash, std::equal_to<>, ProductionBackend, Traits>;

struct OneBucketHash { // everything collides, tags included
    using is_transparent = void;
    std::size_t operator()(std::string_view) const noexcept { return 42; }
};

std::string key_of(int i) {
    return "key-" + std::to_string(i);
}

template <class Map>
void check_against_oracle(unsigned seed, int keys, int operations) {
    Map map;
    std::map<std::string, int> oracle;
    std::mt19937 random(seed);
    for (int i = 0; i != operations; ++i) {
        const std::string key = key_of(static_cast<int>(random() % static_cast<unsigned>(keys)));
        const auto there = oracle.find(key);
        switch (random() % 6) {
        case 0:
            REQUIRE(map.insert(key, i) == (there == oracle.end()));
            oracle.emplace(key, i);
            break;
        case 1: {
            const auto old = map.exchange(key, i);
            REQUIRE(old.has_value() == (there != oracle.end()));
            if (old)
                REQUIRE(*old == there->second);
            oracle[key] = i;
            break;
        }
        case 2:
            REQUIRE(map.erase(key) == (there != oracle.end()));
            oracle.erase(key);
            break;
        case 3:
            REQUIRE(map.update(key, [](int v) { return v + 1; }) == (there != oracle.end()));
            if (there != oracle.end())
                ++there->second;
            break;
        default: {
            const auto got = map.get(std::string_view(key));
            REQUIRE(got.has_value() == (there != oracle.end()));
            if (got)
                REQUIRE(*got == there->second);
            REQUIRE(map.contains(key) == got.has_value());
        }
        }
        REQUIRE(map.size() == oracle.size());
    }
    std::map<std::string, int> seen;
    map.for_each([&](const std::string& key, int value) { REQUIRE(seen.emplace(key, value).second); });
    CHECK(seen == oracle);
    map.clear();
    CHECK(map.empty());
    CHECK(map.drain());
}
} // namespace

TEST_CASE("a map agrees with a sequential oracle", "[map]") {
    check_against_oracle<StringMap<>>(1, 300, 20'000);
    check_against_oracle<StringMap<DefaultHash<std::string>, TinyTraits>>(2, 100, 20'000);
}

TEST_CASE("a map with one hash value for all keys is slow and correct", "[map]") {
    check_against_oracle<StringMap<OneBucketHash>>(3, 60, 5'000);
    check_against_oracle<StringMap<OneBucketHash, TinyTraits>>(4, 60, 5'000);
}

TEST_CASE("a map takes any hash, equality, key and value", "[map]") {
    struct NoCaseHash {
        std::size_t operator()(const std::string& s) const {
            std::size_t h = 0;
            for (const char c : s)
                h = h * 31 + static_cast<std::size_t>(c | 32);
            return h;
        }
    };
    struct NoCaseEqual {
        bool operator()(const std::string& a, const std::string& b) const {
            return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                              [](char x, char y) { return (x | 32) == (y | 32); });
        }
    };
    LockFreeHashMap<std::string, std::vector<int>, NoCaseHash, NoCaseEqual> map;
    CHECK(map.insert("Alpha", std::vector<int>{1, 2}));
    CHECK_FALSE(map.insert("ALPHA", std::vector<int>{3}));
    CHECK(map.get(std::string("alpha")) == std::vector<int>{1, 2});
    LockFreeHashMap<std::uint64_t, std::string> numbers;
    for (std::uint64_t i = 0; i != 1000; ++i)
        CHECK(numbers.insert(i << 40, std::to_string(i)));
    CHECK(numbers.get(999ull << 40) == "999");
}

TEST_CASE("a map grows without losing or doubling anything", "[map]") {
    StringMap<> map;
    const std::size_t before = map.bucket_count();
    for (int i = 0; i != 20'000; ++i)
        REQUIRE(map.insert(key_of(i), i));
    CHECK(map.bucket_count() > before);
    for (int i = 0; i != 20'000; ++i)
        REQUIRE(map.get(key_of(i)) == i);
    CHECK(map.size() == 20'000);
    std::size_t visited = 0;
    map.for_each([&](const std::string&, int) { ++visited; });
    CHECK(visited == 20'000);
}

TEST_CASE("a map made for many entries does not grow on the way there", "[map]") {
    StringMap<> map(10'000);
    const std::size_t before = map.bucket_count();
    for (int i = 0; i != 10'000; ++i)
        map.insert(key_of(i), i);
    CHECK(map.bucket_count() == before);
}

TEST_CASE("what an update function throws changes nothing", "[map]") {
    StringMap<> map;
    map.insert("a", 1);
    CHECK_THROWS_AS(map.update("a", [](int) -> int { throw std::runtime_error("no"); }), std::runtime_error);
    CHECK(map.get("a") == 1);
    CHECK(map.update("a", [](int v) { return v + 1; }));
    CHECK(map.get("a") == 2);
}

TEST_CASE("of several threads that insert a key one succeeds, and its value stays", "[map][threads]") {
    StringMap<DefaultHash<std::string>, TinyTraits> map;
    constexpr int keys = 500;
    std::vector<std::atomic<int>> winners(keys);
    std::vector<std::thread> threads;
    for (int t = 1; t <= 4; ++t)
        threads.emplace_back([&, t] {
            for (int i = 0; i != keys; ++i)
                if (map.insert(key_of(i), t))
                    winners[static_cast<std::size_t>(i)] += t * 10 + 1; // ...1: one winner; the rest says who
        });
    for (auto& t : threads)
        t.join();
    for (int i = 0; i != keys; ++i) {
        CHECK(winners[static_cast<std::size_t>(i)] % 10 == 1);
        CHECK(map.get(key_of(i)) == winners[static_cast<std::size_t>(i)] / 10);
    }
}

TEST_CASE("concurrent updates of one key are all counted", "[map][threads]") {
    StringMap<DefaultHash<std::string>, TinyTraits> map;
    map.insert("counter", 0);
    std::atomic<int> missed{0};
    std::vector<std::thread> threads;
    for (int t = 0; t != 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i != 2000; ++i)
                missed += map.update("counter", [](int v) { return v + 1; }) ? 0 : 1;
        });
    for (auto& t : threads)
        t.join();
    CHECK(missed == 0);
    CHECK(map.get("counter") == 8000);
}

TEST_CASE("inserts and erases of the same keys balance, while the map grows", "[map][threads]") {
    StringMap<DefaultHash<std::string>, TinyTraits> map;
    constexpr int keys = 64;
    std::atomic<int> balance{0};
    std::vector<std::thread> threads;
    for (unsigned t = 0; t != 4; ++t)
        threads.emplace_back([&, t] {
            std::mt19937 random(t);
            int mine = 0;
            for (int i = 0; i != 4000; ++i) {
                const std::string key = key_of(static_cast<int>(random() % keys));
                if (random() % 2 == 0)
                    mine += map.insert(key, i) ? 1 : 0;
                else
                    mine -= map.erase(key) ? 1 : 0;
                if (i % 100 == 0)
                    map.insert("private-" + std::to_string(t) + "-" + std::to_string(i), i); // makes it grow
            }
            balance += mine + 40;
        });
    for (auto& t : threads)
        t.join();
    CHECK(map.size() == static_cast<std::size_t>(balance));
    std::size_t visited = 0;
    map.for_each([&](const std::string&, int) { ++visited; });
    CHECK(visited == map.size());
    CHECK(map.drain());
}

TEST_CASE("entries that stay are seen exactly once by every walk beside writers", "[map][threads]") {
    StringMap<DefaultHash<std::string>, TinyTraits> map;
    for (int i = 0; i != 100; ++i)
        map.insert(key_of(i), i);
    std::atomic<bool> stop{false};
    std::thread writer([&] {
        for (int i = 0; !stop; ++i) {
            map.insert("other-" + std::to_string(i), i);
            if (i % 3 == 0)
                map.erase("other-" + std::to_string(i / 2));
        }
    });
    for (int walk = 0; walk != 50; ++walk) {
        std::vector<int> times(100);
        map.for_each([&](const std::string& key, int value) {
            if (key[0] == 'k')
                ++times[static_cast<std::size_t>(value)];
        });
        CHECK(std::all_of(times.begin(), times.end(), [](int n) { return n == 1; }));
    }
    stop = true;
    writer.join();
}
