// LockFreeHashMap: values that cannot be copied, and copies that throw.
#include "catch.hpp"

#include <hotindex/map/lock_free_hash_map.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace {
using namespace hotindex;

/// Cannot be moved but by a copy, and copy number `left` from now throws.
// NOLINTNEXTLINE(cppcoreguidelines-special-member-functions): to have no move constructor is its point
struct ThrowsWhenCopied {
    explicit ThrowsWhenCopied(int v) : value(v) {}
    ThrowsWhenCopied(const ThrowsWhenCopied& other) : value(other.value) {
        if (left >= 0 && left-- == 0)
            throw std::runtime_error("no copy");
    }
    ThrowsWhenCopied& operator=(const ThrowsWhenCopied&) = default;
    ~ThrowsWhenCopied() = default;
    int value;
    static inline int left = -1;
};

/// Calls change(map) with the first, second, ... copy throwing, until it gets through; how often it threw.
template <class Change>
int throw_in_turn(Change change) {
    for (int n = 0;; ++n) {
        LockFreeHashMap<int, ThrowsWhenCopied> map;
        map.insert(1, ThrowsWhenCopied(1));
        bool threw = false;
        ThrowsWhenCopied::left = n;
        try {
            change(map);
        } catch (const std::runtime_error&) {
            threw = true;
        }
        ThrowsWhenCopied::left = -1;
        CHECK(map.get(1)->value == (threw ? 1 : 9));
        CHECK(map.size() == 1);
        if (!threw)
            return n;
    }
}

/// Can be moved and not copied.
using Owned = std::unique_ptr<int>;
} // namespace

TEST_CASE("a copy that throws leaves the old value, whichever copy it is", "[map]") {
    CHECK(throw_in_turn([](auto& map) { map.insert_or_assign(1, ThrowsWhenCopied(9)); }) >= 1);
    const ThrowsWhenCopied nine(9);
    CHECK(throw_in_turn([&](auto& map) { map.insert_or_assign(1, nine); }) >= 2);
    CHECK(throw_in_turn([](auto& map) { map.update(1, [](const auto&) { return ThrowsWhenCopied(9); }); }) >= 1);
}

TEST_CASE("insert_or_assign says whether it inserted, exchange gives the old value", "[map]") {
    LockFreeHashMap<std::string, std::string> map;
    CHECK(map.insert_or_assign("a", "1"));
    CHECK_FALSE(map.insert_or_assign("a", "2"));
    CHECK(map.exchange("a", "3") == "2");
    CHECK(map.exchange("b", "4") == std::nullopt);
    CHECK(map.get("a") == "3");
    CHECK(map.size() == 2);
}

TEST_CASE("a map holds values that can only be moved", "[map]") {
    LockFreeHashMap<int, Owned> map;
    CHECK(map.insert(1, std::make_unique<int>(10)));
    Owned refused = std::make_unique<int>(11);
    CHECK_FALSE(map.insert(1, std::move(refused)));
    CHECK(refused != nullptr); // as std::map's try_emplace: what is not inserted is not moved from
    CHECK(map.insert_or_assign(2, std::make_unique<int>(20)));
    CHECK_FALSE(map.insert_or_assign(2, std::make_unique<int>(21)));
    CHECK(map.update(1, [](const Owned& old) { return std::make_unique<int>(*old + 1); }));
    CHECK_FALSE(map.update(3, [](const Owned& old) { return std::make_unique<int>(*old + 1); }));
    int seen = 0;
    CHECK(map.visit(1, [&](const Owned& value) { seen = *value; }));
    CHECK(seen == 11);
    CHECK(map.visit(2, [&](const Owned& value) { seen = *value; }));
    CHECK(seen == 21);
    CHECK_FALSE(map.visit(3, [&](const Owned&) { seen = 0; }));
    CHECK(seen == 21);
    int sum = 0;
    map.for_each([&](int key, const Owned& value) { sum += key * *value; });
    CHECK(sum == 11 + 42);
    CHECK(map.erase(1));
    CHECK_FALSE(map.contains(1));
    map.clear();
    CHECK(map.empty());
}

TEST_CASE("keys that can only be moved are inserted, found and erased", "[map]") {
    struct AddressHash {
        std::size_t operator()(const std::shared_ptr<int>& p) const { return std::hash<std::shared_ptr<int>>()(p); }
        std::size_t operator()(const Owned& p) const { return std::hash<Owned>()(p); }
        std::size_t operator()(const int* p) const { return std::hash<const int*>()(p); }
    };
    struct AddressEqual {
        bool operator()(const Owned& a, const Owned& b) const { return a == b; }
        bool operator()(const Owned& a, const int* b) const { return a.get() == b; }
    };
    LockFreeHashMap<Owned, int, AddressHash, AddressEqual> map;
    Owned key = std::make_unique<int>(1);
    const int* const where = key.get();
    CHECK(map.insert(std::move(key), 1));
    CHECK(map.get(where) == 1);
    CHECK(map.erase(where));
    CHECK(map.empty());
}

TEST_CASE("a visitor keeps what it looks at while others replace it", "[map][threads]") {
    LockFreeHashMap<int, Owned, DefaultHash<int>, std::equal_to<>, ProductionBackend, TinyTraits> map;
    map.insert(1, std::make_unique<int>(0));
    bool same = true;
    CHECK(map.visit(1, [&](const Owned& value) {
        const int before = *value;
        std::thread([&] {
            for (int i = 1; i <= 1000; ++i)
                map.insert_or_assign(1, std::make_unique<int>(i));
        }).join();
        same = *value == before;
    }));
    CHECK(same);
    int now = 0;
    map.visit(1, [&](const Owned& value) { now = *value; });
    CHECK(now == 1000);
    CHECK(map.drain());
}
