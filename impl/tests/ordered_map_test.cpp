// The ordered maps, LockFreeSkipList and LockFreeBTree: contract, order, visits, values and keys whose copies throw;
// heights of towers, and keys that a tree has to tell apart.
#include "catch.hpp"

#include <hotindex/map/lock_free_btree.hpp>
#include <hotindex/map/lock_free_skip_list.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {
using namespace hotindex;

template <class Traits = DefaultTraits>
using StringList = LockFreeSkipList<std::string, int, DefaultLess<std::string>, ProductionBackend, Traits>;
template <class Traits = DefaultTraits>
using StringTree = LockFreeBTree<std::string, int, DefaultLess<std::string>, ProductionBackend, Traits>;
using Oracle = std::map<std::string, int, std::less<>>;
using Pairs = std::vector<std::pair<std::string, int>>;

std::string key_of(std::uint64_t i) {
    return "key-" + std::to_string(i);
}
std::optional<std::pair<std::string, int>> at(const Oracle& oracle, Oracle::const_iterator i) {
    return i == oracle.end() ? std::nullopt : std::optional(std::pair<std::string, int>(*i));
}
std::optional<std::pair<std::string, int>> before(const Oracle& oracle, Oracle::const_iterator i) {
    return i == oracle.begin() ? std::nullopt : std::optional(std::pair<std::string, int>(*std::prev(i)));
}

template <class Map>
void check_order(const Map& map, const Oracle& oracle, const std::string& from, const std::string& to) {
    REQUIRE(map.first() == at(oracle, oracle.begin()));
    REQUIRE(map.last() == before(oracle, oracle.end()));
    REQUIRE(map.lower_bound(from) == at(oracle, oracle.lower_bound(from)));
    REQUIRE(map.upper_bound(std::string_view(from)) == at(oracle, oracle.upper_bound(from)));
    REQUIRE(map.last_before(from) == before(oracle, oracle.lower_bound(from)));
    Pairs seen;
    const auto see = [&seen](const std::string& key, int value) { seen.emplace_back(key, value); };
    const auto is = [&seen](auto begin, auto end) {
        const bool equal = seen == Pairs(begin, end);
        seen.clear();
        return equal;
    };
    const auto first = oracle.lower_bound(from);
    const auto last = from < to ? oracle.lower_bound(to) : first;
    map.for_each_in_range(from, to, see);
    REQUIRE(is(first, last));
    map.for_each_in_range_backwards(from, to, see);
    REQUIRE(is(std::reverse_iterator(last), std::reverse_iterator(first)));
    map.for_each(see);
    REQUIRE(is(oracle.begin(), oracle.end()));
    map.for_each_backwards(see);
    REQUIRE(is(oracle.rbegin(), oracle.rend()));
    const std::string prefix = from.substr(0, from.size() - 1);
    const auto begin = oracle.lower_bound(prefix);
    const auto end = std::find_if_not(begin, oracle.end(), [&](const auto& e) { return e.first.starts_with(prefix); });
    map.for_each_with_prefix(prefix, see);
    REQUIRE(is(begin, end));
    map.for_each_with_prefix_backwards(prefix, see);
    REQUIRE(is(std::reverse_iterator(end), std::reverse_iterator(begin)));
}

template <class Map>
void check_against_oracle(unsigned seed, unsigned keys, int operations) {
    Map map;
    Oracle oracle;
    std::mt19937 random(seed);
    for (int i = 0; i != operations; ++i) {
        const std::string key = key_of(random() % keys);
        const auto there = oracle.find(key);
        const bool is_there = there != oracle.end();
        switch (random() % 7) {
        case 0:
            REQUIRE(map.insert(key, i) == !is_there);
            oracle.emplace(key, i);
            break;
        case 1:
            REQUIRE(map.exchange(key, i) == (is_there ? std::optional(there->second) : std::nullopt));
            oracle[key] = i;
            break;
        case 2:
            REQUIRE(map.insert_or_assign(key, i) == !is_there);
            oracle[key] = i;
            break;
        case 3:
        case 4:
            REQUIRE(map.erase(std::string_view(key)) == is_there);
            oracle.erase(key);
            break;
        case 5:
            REQUIRE(map.update(key, [](int v) { return v + 1; }) == is_there);
            if (is_there)
                ++there->second;
            break;
        default:
            REQUIRE(map.get(key) == (is_there ? std::optional(there->second) : std::nullopt));
            REQUIRE(map.contains(key.c_str()) == is_there);
        }
        REQUIRE(map.size() == oracle.size());
        if (i % 97 == 0)
            check_order(map, oracle, key, key_of(random() % keys));
    }
    map.clear();
    CHECK(map.empty());
    CHECK(map.first() == std::nullopt);
    CHECK(map.last() == std::nullopt);
    CHECK(map.drain());
}
} // namespace

TEST_CASE("an ordered map agrees with std::map, order included", "[ordered_map]") {
    check_against_oracle<StringList<>>(1, 300, 10'000);
    check_against_oracle<StringList<TinyTraits>>(2, 100, 10'000);
    check_against_oracle<StringTree<>>(1, 300, 10'000);
    check_against_oracle<StringTree<TinyTraits>>(2, 100, 10'000);
}

using FallingList = LockFreeSkipList<int, std::vector<int>, std::greater<>>;
using FallingTree = LockFreeBTree<int, std::vector<int>, std::greater<>>;
TEMPLATE_TEST_CASE("an ordered map takes any order, key and value", "[ordered_map]", FallingList, FallingTree) {
    TestType falling;
    for (const int i : {3, 1, 2})
        CHECK(falling.insert(i, std::vector<int>(static_cast<std::size_t>(i))));
    std::vector<int> keys;
    falling.for_each([&keys](int key, const std::vector<int>& value) {
        CHECK(value.size() == static_cast<std::size_t>(key));
        keys.push_back(key);
    });
    CHECK(keys == std::vector<int>{3, 2, 1});
    CHECK(falling.lower_bound(2)->first == 2);
    CHECK(falling.upper_bound(2)->first == 1);
    CHECK(falling.last_before(2)->first == 3);
}

TEMPLATE_TEST_CASE("a visitor that returns false ends its visit", "[ordered_map]", StringList<>, StringTree<>) {
    TestType map;
    for (unsigned i = 0; i != 10; ++i)
        map.insert(key_of(i), static_cast<int>(i));
    std::size_t seen = 0;
    map.for_each([&seen](const std::string&, int) { return ++seen != 3; });
    CHECK(seen == 3);
    map.for_each_backwards([&seen](const std::string&, int) { return ++seen != 7; });
    CHECK(seen == 7);
}

TEMPLATE_TEST_CASE("a visitor may change the map that it visits", "[ordered_map]", StringList<TinyTraits>,
                   StringTree<TinyTraits>) {
    TestType map;
    for (unsigned i = 100; i != 200; ++i)
        map.insert(key_of(i), 1);
    std::size_t seen = 0;
    map.for_each([&](const std::string& key, int) {
        ++seen;
        map.erase(key);
        map.insert("zzz", 2); // comes last
    });
    CHECK(seen == 101);
    CHECK(map.size() == 1); // itself, again
    CHECK(map.drain());
}

TEMPLATE_TEST_CASE("prefixes that end with the highest character have an end too", "[ordered_map]", StringList<>,
                   StringTree<>, StringTree<TinyTraits>) {
    TestType map;
    const Pairs all{{"a\xff", 1},
                    {"a\xff\xff", 2},
                    {"a\xff\xff"
                     "b",
                     3},
                    {"b", 4},
                    {"\xff\xff", 5},
                    {"\xff\xff\xff", 6}};
    for (const auto& [key, value] : all)
        map.insert(key, value);
    const auto sum = [&map](std::string_view prefix) {
        std::pair<int, int> sums;
        map.for_each_with_prefix(prefix, [&](const std::string&, int v) { sums.first = sums.first * 10 + v; });
        map.for_each_with_prefix_backwards(prefix,
                                           [&](const std::string&, int v) { sums.second = sums.second * 10 + v; });
        return sums;
    };
    CHECK(sum("a\xff\xff") == std::pair(23, 32));
    CHECK(sum("\xff\xff") == std::pair(56, 65));
    CHECK(sum("") == std::pair(123456, 654321));
    CHECK(sum("c") == std::pair(0, 0));
}

TEST_CASE("every fourth tower reaches the next level, the same ones for the same seed", "[ordered_map]") {
    struct Local : SkipListLocal<ProductionBackend, DefaultTraits, Local, int, int> {
        explicit Local(Pools& p) : SkipListLocal<ProductionBackend, DefaultTraits, Local, int, int>(p) {}
    };
    const auto heights_of = [](std::uint64_t seed) {
        Local::Pools pools(seed);
        Local local(pools);
        std::vector<std::uint32_t> heights(100'000);
        for (auto& h : heights)
            h = local.draw_height();
        return heights;
    };
    const auto heights = heights_of(1);
    std::array<double, 18> reach{};
    for (const std::uint32_t h : heights) {
        REQUIRE((h >= 1 && h <= DefaultTraits::most_levels));
        for (std::uint32_t level = 1; level <= h; ++level)
            reach[level] += 1;
    }
    for (std::uint32_t level = 1; level != 5; ++level) {
        CHECK(reach[level + 1] / reach[level] > 0.2);
        CHECK(reach[level + 1] / reach[level] < 0.3);
    }
    CHECK(heights_of(1) == heights);
    CHECK(heights_of(2) != heights);
}

TEMPLATE_TEST_CASE("what an erase and an assignment take out goes back, in bytes", "[ordered_map]", StringList<>,
                   StringTree<>) {
    TestType map;
    for (unsigned i = 0; i != 5000; ++i)
        map.insert(key_of(i), 1);
    CHECK(map.drain());
    CHECK(map.epoch_stats().limbo_bytes == 0);
    map.insert_or_assign(key_of(0), 2);
    const std::uint64_t a_value = map.epoch_stats().limbo_bytes;
    CHECK(a_value > 0);
    map.erase(key_of(0));
    CHECK(map.epoch_stats().limbo_bytes >= 2 * a_value + sizeof(std::string));
    const std::uint64_t full = map.pool_stats().bytes;
    map.clear();
    CHECK(map.drain());
    CHECK(map.epoch_stats().limbo_bytes == 0);
    CHECK(map.pool_stats().bytes < full / 4);
}

namespace {
/// A copy of one, and a comparison, throw when `left` has been counted down.
struct Fragile {
    explicit Fragile(int v) : value(v) {}
    Fragile(const Fragile& other) : value(other.value) { count(); }
    Fragile(Fragile&&) noexcept = default;
    Fragile& operator=(const Fragile&) = default;
    Fragile& operator=(Fragile&&) noexcept = default;
    ~Fragile() = default;
    int value;
    static void count() {
        if (left >= 0 && left-- == 0)
            throw std::runtime_error("not this time");
    }
    static inline int left = -1;
};
struct FragileLess {
    bool operator()(const Fragile& a, const Fragile& b) const {
        Fragile::count();
        return a.value < b.value;
    }
};
using FragileList = LockFreeSkipList<Fragile, Fragile, FragileLess, ProductionBackend, TinyTraits>;
using FragileTree = LockFreeBTree<Fragile, Fragile, FragileLess, ProductionBackend, TinyTraits>;

template <class Map>
std::map<int, int> content_of(const Map& map) {
    std::map<int, int> content;
    map.for_each([&content](const Fragile& key, const Fragile& value) { content[key.value] = value.value; });
    return content;
}
/// Calls change(map) with the first, second, ... copy or comparison throwing until it gets through; how often it threw.
template <class Map, class Change>
int throw_in_turn(Change change, const std::map<int, int>& after) {
    for (int n = 0;; ++n) {
        Map map;
        for (int i = 0; i != 6; ++i)
            map.insert(Fragile(i), Fragile(i));
        const auto there = content_of(map);
        bool threw = false;
        Fragile::left = n;
        try {
            change(map);
        } catch (const std::runtime_error&) {
            threw = true;
        }
        Fragile::left = -1;
        CHECK(content_of(map) == (threw ? there : after));
        CHECK(map.size() == (threw ? there : after).size());
        map.insert(Fragile(9), Fragile(9)); // whatever was left behind is in nobody's way
        CHECK(map.erase(Fragile(9)));
        map.clear();
        CHECK(map.empty());
        CHECK(map.drain());
        if (!threw)
            return n;
    }
}
} // namespace

TEMPLATE_TEST_CASE("a copy or a comparison that throws changes nothing, whichever it is", "[ordered_map]", FragileList,
                   FragileTree) {
    using Map = TestType;
    const Fragile three(3);
    const Fragile seven(7);
    const auto with = [](int key, int value) {
        std::map<int, int> content{{0, 0}, {1, 1}, {2, 2}, {3, 3}, {4, 4}, {5, 5}};
        content[key] = value;
        return content;
    };
    CHECK(throw_in_turn<Map>([&](Map& map) { map.insert(seven, seven); }, with(7, 7)) > 2);
    CHECK(throw_in_turn<Map>([&](Map& map) { map.insert_or_assign(three, seven); }, with(3, 7)) > 2);
    CHECK(throw_in_turn<Map>([&](Map& map) { map.insert_or_assign(seven, three); }, with(7, 3)) > 2);
    CHECK(throw_in_turn<Map>([&](Map& map) { map.exchange(three, seven); }, with(3, 7)) > 2);
    CHECK(throw_in_turn<Map>([&](Map& map) { map.update(three, [&](const Fragile&) { return seven; }); }, with(3, 7)) >
          2);
    auto without = with(0, 0);
    without.erase(3);
    // An erase that has taken the value does not fail any more: its walk that unlinks the element gives up instead.
    CHECK(throw_in_turn<Map>([&](Map& map) { map.erase(three); }, without) > 2);
}

TEST_CASE("a skip list holds keys and values that can only be moved", "[ordered_map]") {
    using Owned = std::unique_ptr<int>;
    struct ByValue {
        bool operator()(const Owned& a, const Owned& b) const { return *a < *b; }
        bool operator()(const Owned& a, int b) const { return *a < b; }
        bool operator()(int a, const Owned& b) const { return a < *b; }
    };
    LockFreeSkipList<Owned, Owned, ByValue, ProductionBackend, TinyTraits> map;
    for (int i = 0; i != 20; ++i)
        CHECK(map.insert(std::make_unique<int>(i), std::make_unique<int>(10 * i)));
    Owned key = std::make_unique<int>(3);
    Owned refused = std::make_unique<int>(11);
    CHECK_FALSE(map.insert(std::move(key), std::move(refused)));
    CHECK((key != nullptr && refused != nullptr)); // as std::map's try_emplace: what is not inserted is not moved from
    CHECK_FALSE(map.insert_or_assign(std::move(key), std::make_unique<int>(33)));
    CHECK(map.update(4, [](const Owned& old) { return std::make_unique<int>(*old + 1); }));
    int sum = 0;
    map.for_each_in_range(3, 6, [&sum](const Owned& k, const Owned& v) { sum += *k * *v; });
    CHECK(sum == 3 * 33 + 4 * 41 + 5 * 50);
    map.for_each_in_range_backwards(3, 6, [&sum](const Owned&, const Owned& v) { sum -= *v; });
    CHECK(sum == 3 * 33 + 4 * 41 + 5 * 50 - 33 - 41 - 50);
    CHECK(map.erase(3));
    CHECK_FALSE(map.visit(3, [](const Owned&) {}));
    map.clear();
    CHECK(map.empty());
}

TEST_CASE("a tree tells strings apart that have much in common", "[ordered_map]") {
    StringTree<TinyTraits> map;
    Oracle oracle;
    const std::string much(1000, 'x');
    const std::array<std::string, 4> beginnings{"", much, std::string("\0\0\0\0\0\0\0\0\0", 9),
                                                "\xff\xff\xff\xff\xff\xff\xff\xff"};
    const std::array<std::string, 6> ends{"", std::string(1, '\0'), std::string(9, '\0'), "a", "\x80", "ab" + much};
    int n = 0;
    for (const std::string& beginning : beginnings)
        for (const std::string& middle : ends)
            for (const std::string& end : ends) {
                CHECK(map.insert(beginning + middle + end, n) == oracle.emplace(beginning + middle + end, n).second);
                ++n;
            }
    for (const auto& [key, value] : oracle) {
        CHECK(map.get(key) == value);
        CHECK(map.upper_bound(key) == at(oracle, oracle.upper_bound(key)));
        CHECK(map.last_before(key) == before(oracle, oracle.lower_bound(key)));
    }
    for (const std::string& key : {much, much + "b", std::string("x"), std::string("\xff")})
        check_order(map, oracle, key + "?", key + "x");
    while (!oracle.empty()) {
        const auto there = std::next(oracle.begin(), static_cast<std::ptrdiff_t>(oracle.size() / 2));
        CHECK(map.erase(there->first));
        oracle.erase(there);
        CHECK(map.size() == oracle.size());
    }
    CHECK(map.first() == std::nullopt);
}

TEST_CASE("a tree orders integers to their limits", "[ordered_map]") {
    const auto ordered = []<class Int>(Int) {
        LockFreeBTree<Int, int, DefaultLess<Int>, ProductionBackend, TinyTraits> map;
        std::map<Int, int> oracle;
        for (const Int base : {std::numeric_limits<Int>::min(), std::numeric_limits<Int>::max(), Int{0}})
            for (int i = -4; i != 5; ++i)
                oracle[static_cast<Int>(static_cast<std::uint64_t>(base) + static_cast<std::uint64_t>(i))] = i;
        for (const auto& [key, value] : oracle)
            map.insert(key, value);
        std::vector<std::pair<Int, int>> seen;
        map.for_each([&seen](Int key, int value) { seen.emplace_back(key, value); });
        CHECK(seen == std::vector<std::pair<Int, int>>(oracle.begin(), oracle.end()));
        CHECK(map.last()->first == std::numeric_limits<Int>::max());
        CHECK(map.upper_bound(std::numeric_limits<Int>::max()) == std::nullopt);
    };
    ordered(std::int64_t{});
    ordered(std::uint64_t{});
    ordered(std::int8_t{});
}

TEST_CASE("a tree gives its nodes back as it empties, and is full when keys ascend", "[ordered_map]") {
    StringTree<> map;
    for (int i = 10'000; i != 30'000; ++i)
        map.insert(std::to_string(i), i);
    CHECK(map.drain());
    const std::uint64_t full = map.pool_stats().bytes;
    // An entry, a box, and its share of a leaf: 64, 24 and 17 bytes; blocks of leaves that were replaced; and a little
    // for what leads there.
    CHECK(full < std::uint64_t{20'000} * 140);
    for (int i = 10'000; i != 30'000; ++i)
        if (i < 19'900 || i >= 20'100)
            map.erase(std::to_string(i));
    CHECK(map.drain());
    CHECK(map.size() == 200);
    CHECK(map.pool_stats().bytes < full / 10);
    int i = 19'900;
    map.for_each([&i](const std::string& key, int value) {
        CHECK(key == std::to_string(value));
        CHECK(value == i++);
    });
    CHECK(i == 20'100);
}

TEMPLATE_TEST_CASE("concurrent updates of one key of an ordered map are all counted", "[ordered_map][threads]",
                   StringList<TinyTraits>, StringTree<TinyTraits>) {
    TestType map;
    map.insert("counter", 0);
    std::vector<std::thread> threads;
    for (int t = 0; t != 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i != 1000; ++i)
                map.update("counter", [](int v) { return v + 1; });
        });
    for (auto& t : threads)
        t.join();
    CHECK(map.get("counter") == 4000);
}

TEMPLATE_TEST_CASE("a visit does not hold the epoch for longer than its section", "[ordered_map][threads]",
                   StringList<>, StringTree<>) {
    TestType map;
    for (unsigned i = 0; i != 1000; ++i)
        map.insert(key_of(i), 0);
    std::size_t seen = 0;
    std::uint64_t advanced = 0;
    map.for_each([&](const std::string&, int) {
        if (++seen % 100 == 0)
            std::thread([&] {
                for (int i = 0; i != 600; ++i)
                    map.insert_or_assign("key-5", i);
            }).join();
        advanced = map.epoch_stats().epochs_advanced;
    });
    CHECK(seen == 1000);
    CHECK(advanced > 5); // a pin throughout would have allowed one
}
