// What each thread of a scenario calls on a map, as data, and the check that an order explains all answers: for the
// models of the maps.
#pragma once

#include "history.hpp"
#include "model.hpp"

#include <array>
#include <cstddef>
#include <initializer_list>
#include <optional>
#include <span>

namespace hotindex::model {

struct Call {
    enum Kind { insert, assign, update, erase, get } kind = get;
    int key = 0;
    int value = 0;  ///< to put; for update: to add
    int answer = 0; ///< 1 or 0 for insert, update and erase; the old value for assign and get, 0 for none
};
struct Oracle {
    std::array<int, 8> value{}; ///< by key; 0: absent
    bool takes(const Call& c) {
        int& v = value[static_cast<std::size_t>(c.key)];
        const int old = v;
        switch (c.kind) {
        case Call::insert:
            v = old == 0 ? c.value : old;
            return c.answer == (old == 0 ? 1 : 0);
        case Call::assign:
            v = c.value;
            return c.answer == old;
        case Call::update:
            v = old == 0 ? 0 : old + c.value;
            return c.answer == (old == 0 ? 0 : 1);
        case Call::erase:
            v = 0;
            return c.answer == (old == 0 ? 0 : 1);
        default:
            return c.answer == old;
        }
    }
};
inline constexpr Call insert(int key, int value) {
    return {Call::insert, key, value, 0};
}
inline constexpr Call assign(int key, int value) {
    return {Call::assign, key, value, 0};
}
inline constexpr Call update(int key, int add) {
    return {Call::update, key, add, 0};
}
inline constexpr Call erase(int key) {
    return {Call::erase, key, 0, 0};
}
inline constexpr Call get(int key) {
    return {Call::get, key, 0, 0};
}

/// Calls of up to three threads, after those of `before`, which run alone.
struct Script {
    static constexpr std::size_t most = 6;
    struct Calls {
        std::array<Call, most> calls{};
        std::size_t size = 0;
        constexpr Calls() = default;
        constexpr Calls(std::initializer_list<Call> list) {
            for (const Call& c : list)
                calls[size++] = c;
        }
        [[nodiscard]] constexpr std::span<const Call> all() const { return {calls.data(), size}; }
    };
    Calls before;
    std::array<Calls, 3> threads{};
    [[nodiscard]] constexpr int count() const { return threads[2].size != 0 ? 3 : 2; }
};

template <const Script& S, class Map>
struct Scripted {
    static constexpr int threads = S.count();
    Map map;
    std::array<std::optional<typename Map::Handle>, static_cast<std::size_t>(threads)> handles;
    std::optional<History<Call, Oracle>> history;

    Scripted() {
        for (auto& h : handles)
            h.emplace(map.join());
        Oracle start;
        for (Call c : S.before.all()) {
            perform(*handles[0], c);
            start.takes(c);
        }
        history.emplace(start);
    }
    void thread(int i) {
        for (Call c : S.threads[static_cast<std::size_t>(i)].all())
            history->record([&] { return perform(*handles[static_cast<std::size_t>(i)], c); });
    }
    void after() {
        const auto& me = *handles[0];
        std::size_t there = 0;
        for (int key = 0; key != 8; ++key) {
            history_end(me, key);
            there += map.contains(me, key) ? 1 : 0;
        }
        history->check();
        std::size_t visited = 0;
        map.for_each(me, [&](int, int) { ++visited; });
        expect(visited == there, "for_each visits every entry once when nothing else runs");
        expect(map.size() == there, "the size is exact when nothing else runs");
        for (auto& h : handles)
            if (&h != &handles[0])
                h.reset();
        if constexpr (requires { map.bucket_count(me); })
            expect(map.bucket_count(me) >= 1, "there is a root table");
        expect(map.drain(me), "everything retired goes in the end");
    }
    /// The final state counts as answers too, of the keys that were used.
    void history_end(const typename Map::Handle& me, int key) {
        for (const auto& calls : S.threads)
            for (const Call& c : calls.all())
                if (c.key == key) {
                    history->record([&] { return perform(me, get(key)); });
                    return;
                }
    }
    Call perform(const typename Map::Handle& me, Call c) {
        switch (c.kind) {
        case Call::insert:
            c.answer = map.insert(me, c.key, c.value) ? 1 : 0;
            break;
        case Call::assign:
            c.answer = map.exchange(me, c.key, c.value).value_or(0);
            break;
        case Call::update:
            c.answer = map.update(me, c.key, [&](int old) { return old + c.value; }) ? 1 : 0;
            break;
        case Call::erase:
            c.answer = map.erase(me, c.key) ? 1 : 0;
            break;
        default:
            c.answer = map.get(me, c.key).value_or(0);
        }
        return c;
    }
};

} // namespace hotindex::model
