// What happens when memory runs out in a map: the hash map, the skip list, and the tree.
#include "catch.hpp"
#include "failing_allocations.hpp"

#include <hotindex/map/lock_free_btree.hpp>
#include <hotindex/map/lock_free_hash_map.hpp>
#include <hotindex/map/lock_free_skip_list.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace {
using namespace hotindex;
using namespace hotindex::tests;

struct OneBucketHash { // everything collides, tags included
    using is_transparent = void;
    std::size_t operator()(std::string_view) const noexcept { return 42; }
};
template <class Hash, class Traits>
using Map = LockFreeHashMap<std::string, std::string, Hash, std::equal_to<>, ProductionBackend, Traits>;
using PlainMap = Map<DefaultHash<std::string>, DefaultTraits>;
using CollidingMap = Map<OneBucketHash, DefaultTraits>;
using TinyMap = Map<DefaultHash<std::string>, TinyTraits>;
using TinyCollidingMap = Map<OneBucketHash, TinyTraits>;
template <class Traits>
using SkipList = LockFreeSkipList<std::string, std::string, DefaultLess<std::string>, ProductionBackend, Traits>;
using PlainSkipList = SkipList<DefaultTraits>;
using TinySkipList = SkipList<TinyTraits>;
template <class Traits>
using Tree = LockFreeBTree<std::string, std::string, DefaultLess<std::string>, ProductionBackend, Traits>;
using PlainTree = Tree<DefaultTraits>;
using TinyTree = Tree<TinyTraits>;
using MapModel = std::map<std::string, std::string, std::less<>>;

template <class M, class Say>
void check_map(const M& map, const MapModel& model, const std::vector<std::string>& keys, const Say& say) {
    say(map.size() == model.size(), "size differs");
    for (const std::string& key : keys) {
        const auto there = model.find(key);
        say(map.contains(key) == (there != model.end()), "contains differs for " + key);
        const auto got = map.get(key);
        say(there == model.end() ? !got.has_value() : got == there->second, "get differs for " + key);
    }
    MapModel seen;
    std::size_t visits = 0;
    map.for_each([&](const std::string& key, const std::string& value) {
        seen[key] = value;
        ++visits;
    });
    say(seen == model && visits == model.size(), "for_each differs");
}

template <class M>
struct MapSubject {
    explicit MapSubject(const std::vector<std::string>& there) {
        for (const std::string& key : there) {
            map.insert(key, key);
            model[key] = key;
        }
    }
    M map;
    MapModel model;
};

template <class M>
void fail_in_every_map_operation(Complaints& complaints, int size) {
    using S = MapSubject<M>;
    const std::vector<std::string> there = some_ids(size);
    const std::string& known = there[there.size() / 2];
    const std::string newcomer = "a key that is not yet there, and long";
    const std::string value = "a value that does not fit into a short string";
    std::vector<std::string> keys = there;
    keys.push_back(newcomer);
    const auto run = [&](const std::string& name, auto operation, auto change) {
        return fail_each_allocation(
            complaints, std::to_string(size).append(" keys, ").append(name), [&] { return std::make_unique<S>(there); },
            [&](S& s) { return operation(s.map); },
            [&](S& s, bool done, const auto& say) {
                if (done)
                    change(s.model);
                check_map(s.map, s.model, keys, say);
            },
            [&](S& s, const auto& say) {
                for (const std::string& key : keys)
                    say(s.map.erase(key) == (s.model.erase(key) == 1), "erase afterwards differs");
                for (const std::string& key : keys)
                    say(s.map.insert(key, value) && s.model.emplace(key, value).second, "insert afterwards differs");
                check_map(s.map, s.model, keys, say);
                s.map.clear();
                say(s.map.drain(), "something stays in limbo");
            });
    };
    const auto nothing = [](MapModel&) {};
    std::uint64_t failures = 0;
    failures += run(
        "insert", [&](M& map) { return map.insert(newcomer, value); },
        [&](MapModel& model) { model[newcomer] = value; });
    failures += run("insert of a known key", [&](M& map) { return !map.insert(known, value); }, nothing);
    failures += run(
        "insert_or_assign of a new key", [&](M& map) { return map.insert_or_assign(newcomer, value); },
        [&](MapModel& model) { model[newcomer] = value; });
    failures += run(
        "insert_or_assign of a known key", [&](M& map) { return !map.insert_or_assign(known, value); },
        [&](MapModel& model) { model[known] = value; });
    failures += run(
        "exchange of a new key", [&](M& map) { return !map.exchange(newcomer, value).has_value(); },
        [&](MapModel& model) { model[newcomer] = value; });
    failures += run(
        "exchange of a known key", [&](M& map) { return map.exchange(known, value) == known; },
        [&](MapModel& model) { model[known] = value; });
    failures += run(
        "update", [&](M& map) { return map.update(known, [&](const std::string& old) { return old + value; }); },
        [&](MapModel& model) { model[known] = known + value; });
    failures += run(
        "update of an unknown key",
        [&](M& map) { return !map.update(newcomer, [](const std::string& old) { return old; }); }, nothing);
    failures += run("erase", [&](M& map) { return map.erase(known); }, [&](MapModel& model) { model.erase(known); });
    failures += run("erase of an unknown key", [&](M& map) { return !map.erase(newcomer); }, nothing);
    failures += run("get", [&](M& map) { return map.get(known) == known; }, nothing);
    complaints.expect(failures > 20, "hardly any allocation failed: is operator new replaced?");
}

template <class M>
void fail_all_along_a_map(Complaints& complaints, int n) {
    M map;
    MapModel model;
    std::vector<std::string> keys;
    const auto say = [&](bool fine, const std::string& what) {
        complaints.expect(
            fine, std::string("all along, ").append(std::to_string(keys.size())).append(" keys: ").append(what));
    };
    const auto insist = [&](auto operation, const std::string& key) {
        for (std::uint64_t fail_at = 1; fail_at != too_many; ++fail_at) {
            const Attempt a = attempt(fail_at, false, operation);
            if (a.end == End::complete) {
                say(a.right, "wrong result");
                return;
            }
            const auto there = model.find(key);
            const auto got = map.get(key);
            say(map.size() == model.size() && (there == model.end() ? !got.has_value() : got == there->second),
                "a failed call changed something");
        }
    };
    for (int i = 0; i != n; ++i) {
        const std::string key = i % 3 == 0 ? std::to_string(i) : long_id(i);
        keys.push_back(key);
        insist([&] { return map.insert(key, key); }, key);
        model[key] = key;
    }
    check_map(map, model, keys, say);
    const std::string value = "a value that does not fit into a short string";
    for (std::size_t i = 0; i != keys.size(); ++i) {
        const std::string& key = keys[i];
        if (i % 3 == 0) {
            insist([&] { return map.exchange(key, value) == key; }, key);
            model[key] = value;
        } else if (i % 3 == 1) {
            insist([&] { return map.update(key, [&](const std::string& old) { return old + value; }); }, key);
            model[key] = key + value;
        } else {
            insist([&] { return map.erase(key); }, key);
            model.erase(key);
        }
    }
    check_map(map, model, keys, say);
}
} // namespace

TEMPLATE_TEST_CASE("a map operation that runs out of memory changes nothing, or is done", "[allocation]", PlainMap,
                   CollidingMap, TinyMap, TinyCollidingMap, PlainSkipList, TinySkipList, PlainTree, TinyTree) {
    experiment([](Complaints& complaints) {
        for (const int size : {1, 2, 3, 8, 20})
            fail_in_every_map_operation<TestType>(complaints, size);
    });
}

TEMPLATE_TEST_CASE("a map that runs out of memory at every step grows nevertheless", "[allocation]", PlainMap,
                   CollidingMap, TinyMap, PlainSkipList, TinySkipList, PlainTree, TinyTree) {
    experiment([](Complaints& complaints) {
        fail_all_along_a_map<TestType>(complaints, std::is_same_v<TestType, CollidingMap> ? 200 : 2000);
    });
}
