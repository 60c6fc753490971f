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

/// The slots that are visible at the announced time.
template <class Store, class Announcement>
Slots seen_at(Store& store, const Announcement& announcement) {
    Slots slots;
    store.slots.scan(announcement, store.slots.slot_count(),
                     [&](SlotId first, const float*, const float*, SlotId, std::uint64_t mask) {
                         for (; mask != 0; mask &= mask - 1)
                             slots.push_back(first + static_cast<SlotId>(std::countr_zero(mask)));
                     });
    return slots;
}

/// What their rows begin with, in ascending order; each row's norm must be its own.
template <class Store, class Announcement>
Values values_at(Store& store, const Announcement& announcement) {
    Values values;
    store.slots.scan(announcement, store.slots.slot_count(),
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
        typename Store<TestType>::Slots::Announcement announcement;
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
        h.emplace(Held{store.slots.announce(searcher.local()), {}});
        for (const auto& [slot, value] : there)
            h->there.push_back(value);
        std::sort(h->there.begin(), h->there.end());
        for (const auto& each : held)
            if (each)
                REQUIRE(values_at(store, each->announcement) == each->there);
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
        const auto before = store.slots.announce(searcher.local());
        const SlotId fresh = store.publish(me, 2, old);
        stopped = abandon(at, [&] { store.slots.finish_birth(fresh, true); });
        const auto during = store.slots.announce(searcher.local());
        const Slots answer = seen_at(store, during);
        INFO("stopped before operation " << at);
        CHECK(seen_at(store, before) == Slots{old});
        const Word birth = store.slots.finish_birth(fresh, true);
        CHECK(answer == Slots{birth <= during.time() ? fresh : old});
        CHECK(seen_at(store, during) == answer);
        CHECK(seen_at(store, before) == Slots{old});
        CHECK(seen_at(store, store.slots.announce(searcher.local())) == Slots{fresh});
        store.slots.complete_replacement(fresh, old, birth);
        CHECK(seen_at(store, store.slots.announce(searcher.local())) == Slots{fresh});
        CHECK(seen_at(store, before) == Slots{old});
        CHECK(store.slots.death_time(TinyStore::Guard(me), old) == birth);
        CHECK(store.slots.finish_birth(fresh, true) == birth);
        CHECK(invariants_hold());
    }
    CHECK(at > 5); // it has as many steps at least
}

TEST_CASE("a removal that stops anywhere is done by who comes next, at one time for all", "[slots]") {
    std::size_t at = 1;
    for (bool stopped = true; stopped; ++at) {
        REQUIRE(at != too_many);
        TinyStore store(stride);
        const TinyStore::Handle me(store.domain), searcher(store.domain);
        const SlotId s = store.add(me);
        const auto before = store.slots.announce(searcher.local());
        store.slots.announce_change(s);
        stopped = abandon(at, [&] { store.slots.finish_death(s); });
        const auto during = store.slots.announce(searcher.local());
        const Slots answer = seen_at(store, during);
        INFO("stopped before operation " << at);
        const Word death = store.slots.finish_death(s);
        CHECK(version::is_timestamp(death));
        CHECK(answer == (death <= during.time() ? Slots{} : Slots{s}));
        CHECK(seen_at(store, during) == answer);
        CHECK(seen_at(store, before) == Slots{s});
        CHECK(seen_at(store, store.slots.announce(searcher.local())).empty());
        store.slots.complete_death(s, death);
        CHECK(seen_at(store, store.slots.announce(searcher.local())).empty());
        CHECK(seen_at(store, before) == Slots{s});
        CHECK(store.slots.finish_death(s) == death);
        CHECK(store.slots.death_time(TinyStore::Guard(me), s) == death);
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
        for (float value = 10; value != 16; ++value) // eight slots are looked at together
            store.add(me, value);
        const SlotId old = store.add(me, 1);
        const SlotId fresh = removal ? store.begin(me, 2) : store.publish(me, 2, old);
        if (removal)
            store.slots.announce_change(old);
        const auto update = [&] {
            return removal ? store.slots.finish_death(old) : store.slots.finish_birth(fresh, true);
        };
        stopped = abandon(at, [&] { update(); });
        std::optional<typename Store<TestType>::Slots::Announcement> during;
        Values answer;
        Word stamp = 0;
        {
            // It has its time from the clock already, where it stopped behind its first mark.
            const Before between(Step::compare_exchange, removal ? edge::slot_death : edge::slot_birth, [&] {
                during.emplace(store.slots.announce(searcher.local()));
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
    CHECK(met >= 2);
}

TEST_CASE("a search that helps late does not stamp the slot's next life", "[slots]") {
    std::size_t met = 0;
    std::size_t at = 1;
    for (bool stopped = true; stopped; ++at) {
        REQUIRE(at != too_many);
        TinyStore store(stride);
        const TinyStore::Handle me(store.domain), searcher(store.domain);
        const auto early = store.slots.announce(searcher.local());
        const SlotId s = store.publish(me);
        stopped = abandon(at, [&] { store.slots.finish_birth(s, true); });
        std::optional<TinyStore::Slots::Announcement> between_lives;
        {
            const Before late(Step::compare_exchange, edge::slot_birth, [&] {
                store.born(s);
                store.remove(me, s);
                store.domain.drain(me);
                between_lives.emplace(store.slots.announce(searcher.local()));
                REQUIRE(store.publish(me, 2) == s);
                (void)abandon(at, [&] { store.slots.finish_birth(s, true); });
            });
            CHECK(seen_at(store, early).empty());
            if (!late.happened())
                continue; // it met no birth without a stamp
        }
        ++met;
        CHECK(seen_at(store, *between_lives).empty());
        CHECK(store.born(s) > between_lives->time());
        CHECK(seen_at(store, *between_lives).empty());
        CHECK(values_at(store, store.slots.announce(searcher.local())) == Values{2});
    }
    CHECK(met > 0);
}

TEST_CASE("a search that helps a removal late does not take the slot's next death for it", "[slots][threads]") {
    TinyStore store(stride);
    const TinyStore::Handle me(store.domain), searcher(store.domain);
    const SlotId s = store.add(me);
    store.slots.announce_change(s);
    REQUIRE(abandon_before(Step::fetch_add, edge::version_clock, [&] { (void)store.slots.finish_death(s); }));
    // Another search helps the removal as well, and has a time for it from the clock.
    std::binary_semaphore has_a_time(0), goes_on(0);
    std::thread other([&] {
        const TinyStore::Handle handle(store.domain);
        const auto early = store.slots.announce(handle.local());
        const Before between(Step::compare_exchange, edge::slot_death, [&] {
            has_a_time.release();
            goes_on.acquire();
        });
        (void)seen_at(store, early);
        has_a_time.release();
    });
    has_a_time.acquire();
    const auto late = store.slots.announce(searcher.local());
    const Before between(Step::compare_exchange, edge::slot_death, [&] {
        goes_on.release();
        other.join();
        store.remove(me, s);
        store.domain.drain(me);
        CHECK(store.add(me, 2) == s);
        store.remove(me, s);
    });
    CHECK(seen_at(store, late).empty());
    CHECK(between.happened());
    if (other.joinable()) {
        goes_on.release();
        other.join();
    }
}

TEST_CASE("a slot that goes on to its next life is not seen by a search that is later than its last one", "[slots]") {
    TinyStore store(stride);
    const TinyStore::Handle me(store.domain), searcher(store.domain);
    const SlotId s = store.add(me);
    const SlotId stays = store.add(me); // so that the block is looked at
    store.remove(me, s);
    store.domain.drain(me);
    const auto announcement = store.slots.announce(searcher.local());
    SECTION("before each step of that") {
        std::size_t wrong = 0;
        const BeforeEach each([&] { wrong += seen_at(store, announcement) == Slots{stays} ? 0 : 1; });
        CHECK(store.add(me, 2) == s);
        CHECK(wrong == 0);
    }
    SECTION("while the search reads its words") {
        store.slots.announce_change(stays); // so that it does
        const edge named = GENERATE(edge::slot_birth, edge::slot_death);
        const Before between(Step::load, named, [&] { CHECK(store.begin(me, 2) == s); });
        CHECK(seen_at(store, announcement) == Slots{stays});
        CHECK(between.happened());
    }
}

TEST_CASE("a removed version is seen at the times of its life, before each step of its way to limbo", "[slots]") {
    TinyStore store(stride);
    const TinyStore::Handle me(store.domain), searcher(store.domain);
    const SlotId s = store.add(me);
    const auto announcement = store.slots.announce(searcher.local());
    std::size_t steps = 0;
    std::size_t unseen = 0;
    {
        const BeforeEach each([&] {
            ++steps;
            unseen += seen_at(store, announcement) == Slots{s} ? 0 : 1;
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
    const auto early = store.slots.announce(searcher.local());
    std::size_t steps = 0;
    std::size_t wrong = 0;
    Values last{1};
    {
        const BeforeEach each([&] {
            ++steps;
            const Values now = values_at(store, store.slots.announce(searcher.local()));
            wrong += now.size() == 1 && now >= last && values_at(store, early) == Values{1} ? 0 : 1;
            last = now;
        });
        store.replace(me, old, 2);
    }
    CHECK(steps > 10);
    CHECK(wrong == 0);
    CHECK(last == Values{2});
    for (std::uint32_t n = 0; n != store.slots.segment_count(); ++n)
        CHECK(store.slots.changes_in_flight(typename Store<TestType>::Guard(me), n) == 0);
}

TEST_CASE("a search asks the slots of a group only while a change is in flight there, or came later", "[slots]") {
    TinyStore store(stride);
    const TinyStore::Handle me(store.domain), searcher(store.domain);
    const auto asks = [&](const auto& announcement) {
        const Before asked(Step::load, edge::slot_birth, [] {});
        (void)seen_at(store, announcement);
        return asked.happened();
    };
    const SlotId first = store.add(me);
    const SlotId second = store.add(me);
    {
        const auto now = store.slots.announce(searcher.local());
        CHECK_FALSE(asks(now));
        store.slots.announce_change(first);
        CHECK(asks(now));
        store.slots.withdraw_change(first);
        CHECK_FALSE(asks(now));
        store.remove(me, second);
        CHECK(asks(now));
        CHECK(seen_at(store, now) == Slots{first, second});
    }
    CHECK_FALSE(asks(store.slots.announce(searcher.local())));
}

TEST_CASE("whatever the order in which births and deaths are complete, a group shows them when all are", "[slots]") {
    struct Change {
        std::uint32_t slot;
        bool birth;
        Word time;
    };
    // Two lives of slot 0, and one each of the last slot and of slot 7, which goes on living.
    std::vector<Change> changes{{0, true, 1},  {0, false, 3},  {0, true, 4}, {0, false, 9},
                                {31, true, 2}, {31, false, 5}, {7, true, 6}};
    std::sort(changes.begin(), changes.end(), [](const Change& a, const Change& b) { return a.time < b.time; });
    std::size_t inexact = 0;
    do {
        SlotGroup<StressBackend> group;
        for (std::size_t i = 0; i != changes.size(); ++i)
            group.announce();
        for (const Change& c : changes) {
            inexact += group.look(100).exact ? 0 : 1;
            if (c.birth)
                group.complete_birth(c.slot, c.time);
            else
                group.complete_death(c.slot, c.time);
        }
        REQUIRE(group.look(9).exact);
        REQUIRE(group.look(9).visible == std::uint32_t{1} << 7);
        REQUIRE_FALSE(group.look(8).exact);
        REQUIRE(group.in_flight() == 0);
    } while (std::next_permutation(changes.begin(), changes.end(),
                                   [](const Change& a, const Change& b) { return a.time < b.time; }));
    CHECK(inexact == 5040 * 7);
}

TEST_CASE("a replacement within a group is one step there, and what is withdrawn was never there", "[slots]") {
    SlotGroup<StressBackend> group;
    group.announce();
    group.complete_birth(31, 1);
    group.announce();
    group.announce();
    CHECK(group.in_flight() == 2);
    CHECK_FALSE(group.look(1).exact);
    group.complete_replacement(0, 31, 2);
    CHECK(group.look(2).visible == 1);
    group.announce();
    group.withdraw();
    CHECK(group.look(2).exact);
    CHECK(group.look(2).visible == 1);
    CHECK_FALSE(group.seems_empty());
    group.announce();
    group.complete_death(0, 3);
    CHECK(group.seems_empty());
    CHECK_FALSE(group.look(2).exact);
}

TEST_CASE("who finishes again what was finished long ago changes nothing", "[slots]") {
    TinyStore store(stride);
    const TinyStore::Handle me(store.domain), searcher(store.domain);
    const SlotId old = store.add(me, 1);
    const SlotId fresh = store.replace(me, old, 2);
    const Word birth = store.slots.finish_birth(fresh, true);
    store.domain.drain(me);
    REQUIRE(store.add(me, 3) == old);
    CHECK(store.slots.finish_birth(fresh, true) == birth);
    CHECK(values_at(store, store.slots.announce(searcher.local())) == Values{2, 3});
    CHECK(invariants_hold());
}

TEST_CASE("a slot comes again when no search looks at its life, and not before", "[slots]") {
    TinyStore store(stride);
    const TinyStore::Handle me(store.domain), searcher(store.domain);
    const auto early = store.slots.announce(searcher.local());
    const SlotId s = store.add(me, 1);
    auto during = std::optional(store.slots.announce(searcher.local()));
    store.remove(me, s);
    const auto late = store.slots.announce(searcher.local());
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
    CHECK(seen_at(store, store.slots.announce(searcher.local())) == Slots{stays});
    if (announced)
        store.slots.withdraw_change(s);
    CHECK(seen_at(store, store.slots.announce(searcher.local())) == Slots{stays});
    store.slots.discard(me.local(), s);
    const auto announcement = store.slots.announce(searcher.local());
    CHECK(seen_at(store, announcement) == Slots{stays});
    CHECK(store.add(me) == s);
    CHECK(seen_at(store, announcement) == Slots{stays});
}

TEST_CASE("a slot gives back its row, its norm and its entry", "[slots]") {
    TinyStore store(stride);
    const TinyStore::Handle me(store.domain);
    NoEntry entries[3];
    Slots slots;
    for (std::size_t i = 0; i != 3; ++i) {
        slots.push_back(store.publish(me, static_cast<float>(i + 1)));
        store.slots.set_entry(slots[i], &entries[i], no_slot);
        store.born(slots[i]);
    }
    const TinyStore::Guard guard(me);
    const auto announcement = store.slots.announce(me.local());
    for (std::size_t i = 0; i != 3; ++i) {
        CHECK(store.slots.row(guard, slots[i])[0] == static_cast<float>(i + 1));
        CHECK(store.slots.inverse_norm(guard, slots[i]) == 1 / static_cast<float>(i + 1));
        CHECK(store.slots.entry(guard, slots[i]) == &entries[i]);
        CHECK(store.slots.entry(announcement, slots[i]) == &entries[i]);
    }
}
