// Versions in slots: what a search sees of each, whoever stops in the middle of an update, and when a slot comes again.
#include "bare_store.hpp"
#include "catch.hpp"
#include "tests/interruption.hpp"

#include <hotindex/backend/traits.hpp>
#include <hotindex/store/slot_store.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <semaphore>
#include <thread>
#include <utility>
#include <vector>

namespace {
using namespace hotindex;
using namespace hotindex::tests;
using version::Word;

template <class Traits>
using Store = BareStore<StressBackend, Traits>;
using TinyStore = Store<TinyTraits>;
using Slots = std::vector<SlotId>;
using Values = std::vector<float>;
constexpr std::size_t stride = 16;

/// Slots in groups of their own at first.
struct ApartTraits : TinyTraits {
    static constexpr std::uint32_t first_segment = 1;
};

/// An update of few steps has fewer than that.
constexpr std::size_t too_many = 100;

/// The slots that are visible at the view's time.
template <class Store, class View>
Slots seen_at(Store& store, const View& view) {
    Slots slots;
    store.slots.scan(view, store.slots.slot_count(),
                     [&](SlotId first, const float*, const float*, SlotId, std::uint64_t mask) {
                         for (; mask != 0; mask &= mask - 1)
                             slots.push_back(first + static_cast<SlotId>(std::countr_zero(mask)));
                     });
    return slots;
}

/// What their rows begin with, in ascending order; each row's norm must be its own.
template <class Store, class View>
Values values_at(Store& store, const View& view) {
    Values values;
    store.slots.scan(view, store.slots.slot_count(),
                     [&](SlotId, const float* rows, const float* norms, SlotId, std::uint64_t mask) {
                         for (; mask != 0; mask &= mask - 1) {
                             const auto i = static_cast<std::size_t>(std::countr_zero(mask));
                             CHECK(norms[i] == 1 / rows[i * stride]);
                             values.push_back(rows[i * stride]);
                         }
                     });
    std::sort(values.begin(), values.end());
    return values;
}

/// The store's own checks of its invariants.
bool invariants_hold() {
    return stress::broken_invariant.exchange(nullptr) == nullptr;
}
} // namespace

TEMPLATE_TEST_CASE("a search sees what was there at its time, whatever becomes of the slots", "[slots]", DefaultTraits,
                   TinyTraits) {
    struct Held {
        typename Store<TestType>::Slots::View view;
        Values there;
    };
    std::mt19937 random(5);
    Store<TestType> store(stride);
    const typename Store<TestType>::Handle me(store.domain), searcher(store.domain);
    std::vector<std::pair<SlotId, float>> there;
    std::vector<std::optional<Held>> held(10);
    float next = 1;
    for (int step = 0; step != 1500; ++step) {
        const std::size_t some = there.empty() ? 0 : random() % there.size();
        const auto what = random() % 100;
        if (there.empty() || what < 40) {
            there.emplace_back(store.add(me, next), next);
            ++next;
        } else if (what < 60) {
            there[some] = {store.replace(me, there[some].first, next), next};
            ++next;
        } else if (what < 97) {
            store.remove(me, there[some].first);
            there.erase(there.begin() + static_cast<std::ptrdiff_t>(some));
        } else { // whole blocks are dead then
            for (const auto& [slot, value] : there)
                store.remove(me, slot);
            there.clear();
        }
        if (step % 50 == 0)
            store.trim(me);
        auto& h = held[random() % held.size()];
        h.reset();
        h.emplace(Held{store.slots.view(searcher.local()), {}});
        for (const auto& [slot, value] : there)
            h->there.push_back(value);
        std::sort(h->there.begin(), h->there.end());
        for (const auto& each : held)
            if (each)
                REQUIRE(values_at(store, each->view) == each->there);
    }
    CHECK(invariants_hold());
}

TEST_CASE("a replacement that stops anywhere leaves one of the two to be seen at every time", "[slots]") {
    std::size_t at = 1;
    for (bool stopped = true; stopped; ++at) {
        REQUIRE(at != too_many);
        TinyStore store(stride);
        const TinyStore::Handle me(store.domain), searcher(store.domain);
        const SlotId old = store.add(me);
        const auto before = store.slots.view(searcher.local());
        const SlotId fresh = store.publish(me, 2, old);
        stopped = abandon(at, [&] { store.finish_birth(fresh); });
        const auto during = store.slots.view(searcher.local());
        const Slots answer = seen_at(store, during);
        INFO("stopped before operation " << at);
        CHECK(seen_at(store, before) == Slots{old});
        const Word birth = store.finish_birth(fresh);
        CHECK(answer == Slots{birth <= during.time() ? fresh : old});
        CHECK(seen_at(store, during) == answer);
        CHECK(seen_at(store, before) == Slots{old});
        CHECK(seen_at(store, store.slots.view(searcher.local())) == Slots{fresh});
        CHECK(store.born(me, fresh, old) == birth);
        CHECK(seen_at(store, store.slots.view(searcher.local())) == Slots{fresh});
        CHECK(seen_at(store, before) == Slots{old});
        CHECK(store.slots.death_time(TinyStore::Guard(me), store.slots.at(old)) == birth);
        CHECK(store.finish_birth(fresh) == birth);
        CHECK(invariants_hold());
    }
    CHECK(at > 4); // it has as many steps at least
}

TEST_CASE("a removal that stops anywhere is done by who comes next, at one time for all", "[slots]") {
    std::size_t at = 1;
    for (bool stopped = true; stopped; ++at) {
        REQUIRE(at != too_many);
        TinyStore store(stride);
        const TinyStore::Handle me(store.domain), searcher(store.domain);
        const SlotId s = store.add(me);
        const auto before = store.slots.view(searcher.local());
        store.announce(me, {no_slot, s});
        stopped = abandon(at, [&] { store.finish_death(s); });
        const auto during = store.slots.view(searcher.local());
        const Slots answer = seen_at(store, during);
        INFO("stopped before operation " << at);
        const Word death = store.finish_death(s);
        CHECK(version::is_timestamp(death));
        CHECK(answer == (death <= during.time() ? Slots{} : Slots{s}));
        CHECK(seen_at(store, during) == answer);
        CHECK(seen_at(store, before) == Slots{s});
        CHECK(seen_at(store, store.slots.view(searcher.local())).empty());
        CHECK(store.slots.complete_death(me.local(), store.slots.at(s)) == death);
        CHECK(seen_at(store, store.slots.view(searcher.local())).empty());
        CHECK(seen_at(store, before) == Slots{s});
        CHECK(store.finish_death(s) == death);
        CHECK(store.slots.death_time(TinyStore::Guard(me), store.slots.at(s)) == death);
    }
    CHECK(at > 3);
}

TEMPLATE_TEST_CASE("a search that meets a stamp on its way helps, and does not see it later", "[slots]", DefaultTraits,
                   TinyTraits) {
    const bool removal = GENERATE(false, true);
    std::size_t met = 0;
    std::size_t at = 1;
    for (bool stopped = true; stopped; ++at) {
        REQUIRE(at != too_many);
        Store<TestType> store(stride);
        const typename Store<TestType>::Handle me(store.domain), searcher(store.domain);
        for (float value = 10; value != 16; ++value)
            store.add(me, value);
        const SlotId old = store.add(me, 1);
        const SlotId fresh = removal ? store.begin(me, 2) : store.publish(me, 2, old);
        if (removal)
            store.announce(me, {no_slot, old});
        const auto update = [&] { return removal ? store.finish_death(old) : store.finish_birth(fresh); };
        stopped = abandon(at, [&] { update(); });
        std::optional<typename Store<TestType>::Slots::View> during;
        Values answer;
        Word stamp = 0;
        {
            // It has its time from the clock already.
            const Before between(Step::compare_exchange, removal ? edge::slot_death : edge::slot_birth, [&] {
                during.emplace(store.slots.view(searcher.local()));
                answer = values_at(store, *during);
            });
            stamp = update();
            if (!between.happened())
                continue;
        }
        ++met;
        INFO("stopped before operation " << at);
        Values expected{10, 11, 12, 13, 14, 15};
        if (stamp > during->time())
            expected.insert(expected.begin(), 1);
        else if (!removal)
            expected.insert(expected.begin(), 2);
        CHECK(answer == expected);
        CHECK(values_at(store, *during) == expected);
    }
    CHECK(met >= 1);
}

TEST_CASE("a search that helps late does not stamp the slot's next life", "[slots]") {
    std::size_t met = 0;
    std::size_t at = 1;
    for (bool stopped = true; stopped; ++at) {
        REQUIRE(at != too_many);
        TinyStore store(stride);
        const TinyStore::Handle me(store.domain), searcher(store.domain), other(store.domain);
        const SlotId s = store.publish(me);
        stopped = abandon(at, [&] { store.finish_birth(s); });
        std::optional<TinyStore::Slots::View> between_lives;
        const Before late(Step::compare_exchange, edge::slot_birth, [&] {
            store.born(me, s);
            store.remove(me, s);
            store.domain.drain(me);
            between_lives.emplace(store.slots.view(other.local()));
            REQUIRE(store.publish(me, 2) == s);
            (void)abandon(at, [&] { store.finish_birth(s); });
        });
        const auto early = store.slots.view(searcher.local());
        if (!late.happened())
            continue; // it met no birth that it had to stamp
        ++met;
        CHECK(seen_at(store, early).empty());
        CHECK(seen_at(store, *between_lives).empty());
        CHECK(store.born(me, s) > between_lives->time());
        CHECK(seen_at(store, *between_lives).empty());
        CHECK(seen_at(store, early).empty());
        CHECK(values_at(store, store.slots.view(searcher.local())) == Values{2});
    }
    CHECK(met > 0);
}

TEST_CASE("a search that helps a removal late does not take the slot's next death for it", "[slots][threads]") {
    TinyStore store(stride);
    const TinyStore::Handle me(store.domain), searcher(store.domain);
    const SlotId s = store.add(me);
    store.announce(me, {no_slot, s});
    REQUIRE(abandon_before(Step::fetch_add, edge::version_clock, [&] { (void)store.finish_death(s); }));
    // Another search helps the removal as well, and has a time for it from the clock.
    std::binary_semaphore has_a_time(0), goes_on(0);
    std::thread other([&] {
        const TinyStore::Handle handle(store.domain);
        const Before between(Step::compare_exchange, edge::slot_death, [&] {
            has_a_time.release();
            goes_on.acquire();
        });
        (void)store.slots.view(handle.local());
        has_a_time.release();
    });
    has_a_time.acquire();
    const Before between(Step::compare_exchange, edge::slot_death, [&] {
        goes_on.release();
        other.join();
        {
            const TinyStore::Guard guard(me);
            store.slots.complete_death(me.local(), store.slots.at(s));
            store.slots.retire(guard, store.slots.at(s));
        }
        store.domain.drain(me);
        CHECK(store.add(me, 2) == s);
        store.remove(me, s);
    });
    const auto late = store.slots.view(searcher.local());
    CHECK(seen_at(store, late).empty());
    CHECK(between.happened());
    if (other.joinable()) {
        goes_on.release();
        other.join();
    }
}

TEST_CASE("a replacement that is completed while a search asks about it is seen once", "[slots]") {
    TinyStore store(stride);
    const TinyStore::Handle me(store.domain), searcher(store.domain);
    const SlotId old = store.add(me, 1);
    const SlotId fresh = store.publish(me, 2, old);
    store.finish_birth(fresh);
    const Before between(Step::load, edge::slot_death, [&] {
        const TinyStore::Guard guard(me);
        store.born(me, fresh, old);
        store.slots.retire(guard, store.slots.at(old));
    });
    const auto view = store.slots.view(searcher.local());
    CHECK(between.happened());
    CHECK(seen_at(store, view) == Slots{fresh});
}

TEST_CASE("a slot that goes on to its next life is not seen by a search that is later than its last one", "[slots]") {
    TinyStore store(stride);
    const TinyStore::Handle me(store.domain), searcher(store.domain);
    const SlotId s = store.add(me);
    const SlotId stays = store.add(me); // so that the block is looked at
    const SlotId goes = store.add(me);
    store.remove(me, s);
    store.domain.drain(me);
    const auto view = store.slots.view(searcher.local());
    SECTION("before each step of that") {
        std::size_t wrong = 0;
        const BeforeEach each([&] { wrong += seen_at(store, view) == Slots{stays, goes} ? 0 : 1; });
        CHECK(store.add(me, 2) == s);
        CHECK(wrong == 0);
    }
    SECTION("while the search reads its words") {
        store.remove(me, goes); // later than the search, so that it does
        const int step = GENERATE(range(1, 14));
        int at = 0;
        Slots seen;
        {
            const BeforeEach each([&] {
                if (++at == step)
                    CHECK(store.begin(me, 2) == s);
            });
            seen = seen_at(store, view);
        }
        CHECK(seen == Slots{stays, goes});
        CHECK(at >= step);
    }
}

TEST_CASE("a removed version is seen at the times of its life, before each step of its way to limbo", "[slots]") {
    TinyStore store(stride);
    const TinyStore::Handle me(store.domain), searcher(store.domain);
    const SlotId s = store.add(me);
    const auto view = store.slots.view(searcher.local());
    std::size_t steps = 0;
    std::size_t unseen = 0;
    {
        const BeforeEach each([&] {
            ++steps;
            unseen += seen_at(store, view) == Slots{s} ? 0 : 1;
        });
        store.remove(me, s);
    }
    CHECK(steps > 5);
    CHECK(unseen == 0);
}

TEMPLATE_TEST_CASE("a replacement shows one of the two before each of its steps, in one group or in two", "[slots]",
                   TinyTraits, ApartTraits) {
    Store<TestType> store(stride);
    const typename Store<TestType>::Handle me(store.domain), searcher(store.domain);
    const SlotId old = store.add(me, 1);
    const auto early = store.slots.view(searcher.local());
    std::size_t steps = 0;
    std::size_t wrong = 0;
    Values last{1};
    {
        const BeforeEach each([&] {
            ++steps;
            const Values now = values_at(store, store.slots.view(searcher.local()));
            wrong += now.size() == 1 && now >= last && values_at(store, early) == Values{1} ? 0 : 1;
            last = now;
        });
        store.replace(me, old, 2);
    }
    CHECK(steps > 10);
    CHECK(wrong == 0);
    CHECK(last == Values{2});
    CHECK(store.slots.changes_announced() == 0);
}

TEST_CASE("a search asks slots only where a change is announced, or came later", "[slots]") {
    TinyStore store(stride);
    const TinyStore::Handle me(store.domain), searcher(store.domain);
    const auto asks = [&](auto&& act) {
        const Before asked(Step::load, edge::slot_death, [] {});
        act();
        return asked.happened();
    };
    const auto view = [&] { (void)store.slots.view(searcher.local()); };
    const SlotId first = store.add(me);
    const SlotId second = store.add(me);
    CHECK_FALSE(asks(view));
    store.announce(me, {no_slot, first});
    CHECK(asks(view));
    {
        const auto now = store.slots.view(searcher.local());
        CHECK_FALSE(asks([&] { CHECK(seen_at(store, now) == Slots{first, second}); }));
    }
    store.slots.withdraw_change(me.local());
    CHECK_FALSE(asks(view));
    {
        const auto now = store.slots.view(searcher.local());
        CHECK_FALSE(asks([&] { (void)seen_at(store, now); }));
        store.remove(me, second);
        CHECK(asks([&] { CHECK(seen_at(store, now) == Slots{first, second}); }));
    }
    const auto later = store.slots.view(searcher.local());
    CHECK_FALSE(asks([&] { CHECK(seen_at(store, later) == Slots{first}); }));
}

TEST_CASE("who finishes again what was finished long ago changes nothing", "[slots]") {
    TinyStore store(stride);
    const TinyStore::Handle me(store.domain), searcher(store.domain);
    const SlotId old = store.add(me, 1);
    const SlotId fresh = store.replace(me, old, 2);
    const Word birth = store.finish_birth(fresh);
    store.domain.drain(me);
    REQUIRE(store.add(me, 3) == old);
    CHECK(store.finish_birth(fresh) == birth);
    CHECK(values_at(store, store.slots.view(searcher.local())) == Values{2, 3});
    CHECK(invariants_hold());
}

TEST_CASE("a slot comes again when no search looks at its life, and not before", "[slots]") {
    TinyStore store(stride);
    const TinyStore::Handle me(store.domain), searcher(store.domain);
    const auto early = store.slots.view(searcher.local());
    const SlotId s = store.add(me, 1);
    auto during = std::optional(store.slots.view(searcher.local()));
    store.remove(me, s);
    const auto late = store.slots.view(searcher.local());
    store.domain.drain(me);
    CHECK(store.add(me, 2) != s);
    CHECK(values_at(store, *during) == Values{1});
    CHECK(store.slots.announced() == 3);
    during.reset();
    store.domain.drain(me);
    CHECK(store.add(me, 3) == s);
    CHECK(values_at(store, early).empty());
    CHECK(values_at(store, late).empty());
}

TEST_CASE("a slot that is discarded was never there, and comes again at once", "[slots]") {
    TinyStore store(stride);
    const TinyStore::Handle me(store.domain), searcher(store.domain);
    const SlotId stays = store.add(me); // so that the block is looked at
    const bool announced = GENERATE(false, true);
    const SlotId s = announced ? store.publish(me) : store.begin(me);
    CHECK(seen_at(store, store.slots.view(searcher.local())) == Slots{stays});
    if (announced)
        store.slots.withdraw_change(me.local());
    CHECK(seen_at(store, store.slots.view(searcher.local())) == Slots{stays});
    store.slots.discard(me.local(), store.slots.at(s));
    const auto view = store.slots.view(searcher.local());
    CHECK(seen_at(store, view) == Slots{stays});
    CHECK(store.add(me) == s);
    CHECK(seen_at(store, view) == Slots{stays});
}

TEST_CASE("a slot gives back its row, its norm and its entry", "[slots]") {
    TinyStore store(stride);
    const TinyStore::Handle me(store.domain);
    NoEntry entries[3];
    Slots slots;
    for (std::size_t i = 0; i != 3; ++i) {
        slots.push_back(store.publish(me, static_cast<float>(i + 1)));
        store.slots.set_entry(store.slots.at(slots[i]), &entries[i]);
        store.born(me, slots[i]);
    }
    const TinyStore::Guard guard(me);
    const auto view = store.slots.view(me.local());
    for (std::size_t i = 0; i != 3; ++i) {
        const auto slot = store.slots.at(slots[i]);
        CHECK(store.slots.row(guard, slot)[0] == static_cast<float>(i + 1));
        CHECK(store.slots.inverse_norm(guard, slot) == 1 / static_cast<float>(i + 1));
        CHECK(store.slots.entry(guard, slot) == &entries[i]);
        CHECK(store.slots.entry(view, slots[i]) == &entries[i]);
    }
}
