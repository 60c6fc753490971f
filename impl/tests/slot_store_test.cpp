// Slots: where they lie, which one comes next, and what is given back; steps and bytes are counted, not timed.
#include "bare_store.hpp"
#include "catch.hpp"

#include <hotindex/backend/counting.hpp>
#include <hotindex/backend/production.hpp>
#include <hotindex/backend/traits.hpp>
#include <hotindex/lock_free_hot_vector_index.hpp>
#include <hotindex/store/slot_store.hpp>

#include <algorithm>
#include <barrier>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace {
using namespace hotindex;
using B = CountingBackend;

using Store = tests::BareStore<B, DefaultTraits>;
using Domain = Store::Domain;

template <class Work>
std::uint64_t operations_of(Work work) {
    B::tally().reset();
    work();
    const OperationCounts sum = B::tally().total();
    return sum.loads + sum.stores + sum.rmws + sum.cas_failures;
}

std::string id_of(std::size_t i) {
    return std::string("k").append(std::to_string(i));
}
} // namespace

TEST_CASE("every slot has one place, in segments of powers of two that begin at multiples of their size", "[slots]") {
    const std::size_t row_bytes = GENERATE(as<std::size_t>(), 4, 64, 256, 6144, 65536, 1 << 20, 1 << 22, 1 << 26);
    const SlotGeometry<DefaultTraits> geometry(row_bytes);
    SlotId next = 0;
    for (std::uint32_t n = 0; n != 200; ++n) {
        REQUIRE(geometry.begin(n) == next);
        const SlotId size = geometry.size(n);
        REQUIRE(std::has_single_bit(size));
        REQUIRE(next % size == 0);
        REQUIRE((size == 1 || size * row_bytes <= DefaultTraits::segment_bytes));
        REQUIRE(geometry.segment_of(next) == n);
        REQUIRE(geometry.segment_of(next + size - 1) == n);
        next += size;
    }
    CHECK(geometry.begin(geometry.count() - 1) + geometry.size(geometry.count() - 1) == geometry.max_slots);
}

TEST_CASE("the lowest free slots are used first", "[slots]") {
    Store store(16);
    const Domain::Handle me(store.domain);
    for (SlotId i = 0; i != 1000; ++i)
        REQUIRE(store.add(me) == i);
    for (const SlotId s : {700u, 13u, 350u})
        store.remove(me, s);
    store.domain.drain(me);
    for (SlotId i = 1000; i % DefaultTraits::fresh_indices != 0; ++i)
        REQUIRE(store.add(me) == i); // what it holds ready
    CHECK(store.add(me) == 13);
    CHECK(store.add(me) == 350);
    CHECK(store.add(me) == 700);
}

TEST_CASE("a free slot is found in as many steps among a million as among a thousand", "[slots]") {
    const auto steps_among = [](SlotId used) {
        Store store(1);
        const Domain::Handle me(store.domain);
        while (store.add(me) != used)
            ;
        std::uint64_t most = 0;
        for (int i = 0; i != 100; ++i)
            most = std::max(most,
                            operations_of([&] { store.slots.discard(me.local(), store.slots.acquire(me.local())); }));
        return most;
    };
    const std::uint64_t few = steps_among(1'000);
    CHECK(few < 40);
    CHECK(steps_among(1'000'000) <= few + 8); // a word more on the way for every 262,144 slots
}

TEST_CASE("a large row takes room for one, not for a segment of them", "[slots]") {
    const std::size_t dimension = std::size_t{1} << 20;
    LockFreeHotVectorIndex index({.dimension = dimension});
    const std::vector<float> row(dimension, 1.0F);
    index.add_vector("a", row);
    CHECK(index.slot_bytes() < 2 * dimension * sizeof(float));
    for (int i = 0; i != 50; ++i)
        index.add_vector("a", row);
    CHECK(index.slot_bytes() < 20 * dimension * sizeof(float));
}

TEST_CASE("threads at a segment's border make one segment each at most, of a bounded size", "[slots]") {
    const int threads = 8;
    const SlotId border = SlotId{1} << 17;
    Store store(1);
    {
        const Domain::Handle me(store.domain);
        while (store.add(me) + 1 != border - DefaultTraits::fresh_indices)
            ;
    }
    const std::uint64_t before = store.slots.bytes();
    std::barrier at_once(threads);
    std::vector<std::thread> all;
    for (int t = 0; t != threads; ++t)
        all.emplace_back([&] {
            const Domain::Handle me(store.domain);
            at_once.arrive_and_wait();
            for (int i = 0; i != 100; ++i)
                store.add(me);
        });
    for (auto& t : all)
        t.join();
    const std::uint64_t segment = SlotSegment<B, Store::Local, tests::NoEntry>::bytes_of(DefaultTraits::max_segment, 1);
    CHECK(store.slots.bytes() <= before + threads * segment);
}

TEST_CASE("empty segments are given back, and made again", "[slots]") {
    Store store(16);
    const Domain::Handle me(store.domain);
    const std::uint64_t one = [&] {
        store.add(me);
        return store.slots.bytes();
    }();
    const SlotId many = 200'000;
    for (int round = 0; round != 2; ++round) {
        std::vector<SlotId> slots;
        while (slots.size() != many)
            slots.push_back(store.add(me));
        CHECK(store.slots.bytes() > std::uint64_t{many} * 64);
        for (const SlotId s : slots)
            store.remove(me, s);
        store.trim(me);
        CHECK(store.slots.bytes() <= 3 * one);
    }
}

TEST_CASE("a segment stays while a search of an earlier time may be looking into it", "[slots]") {
    Store store(16);
    const Domain::Handle me(store.domain), searcher(store.domain);
    std::vector<SlotId> slots;
    while (slots.size() != 10'000)
        slots.push_back(store.add(me));
    auto announcement = std::optional(store.slots.view(searcher.local()));
    for (const SlotId s : slots)
        store.remove(me, s);
    store.trim(me);
    std::size_t seen = 0;
    store.slots.scan(*announcement, store.slots.slot_count(),
                     [&](SlotId, const float* rows, const float*, SlotId, std::uint64_t mask) {
                         seen += static_cast<std::size_t>(std::popcount(mask));
                         CHECK(rows[static_cast<std::size_t>(std::countr_zero(mask)) * 16] == 1.0F);
                     });
    CHECK(seen == slots.size());
    announcement.reset();
    store.trim(me);
    CHECK(store.slots.bytes() < std::uint64_t{1000} * 64 * 3);
}

TEST_CASE("a segment that was made after a search's time does not stay for it", "[slots]") {
    Store store(16);
    const Domain::Handle me(store.domain), searcher(store.domain);
    const SlotId first = store.add(me);
    const auto announcement = store.slots.view(searcher.local());
    for (int round = 0; round != 3; ++round) {
        std::vector<SlotId> slots;
        while (slots.size() != 10'000)
            slots.push_back(store.add(me));
        for (const SlotId s : slots)
            store.remove(me, s);
        store.trim(me);
        CHECK(store.domain.stats().limbo_objects == 0);
    }
    std::size_t seen = 0;
    store.slots.scan(announcement, store.slots.slot_count(),
                     [&](SlotId begin, const float*, const float*, SlotId, std::uint64_t mask) {
                         CHECK((begin == 0 && mask == std::uint64_t{1} << first));
                         ++seen;
                     });
    CHECK(seen == 1);
}

/// Every thread is fast, however slow the machine.
struct FastTraits : DefaultTraits {
    static constexpr std::int64_t fast_us = std::int64_t{1} << 60;
};
using FastIndex = BasicLockFreeHotVectorIndex<ProductionBackend, FastTraits>;

void replace(FastIndex& index, const FastIndex::Handle& me, std::size_t n, std::size_t times) {
    const std::vector<float> row(64, 1.0F);
    for (std::size_t i = 0; i != times; ++i)
        index.add_vector(me, id_of(i * 7919 % n), row);
}

TEST_CASE("slots that a fast thread has at hand are its own until it leaves", "[slots]") {
    const std::vector<float> row(64, 1.0F);
    const bool leaves = GENERATE(true, false);
    FastIndex index({.dimension = 64, .metric = Metric::inner_product});
    const auto stays = index.join();
    for (std::size_t i = 0; i != 200; ++i)
        index.add_vector(stays, id_of(i), row);
    std::optional fast(index.join());
    replace(index, *fast, 200, 10'000);
    if (leaves)
        fast.reset();
    index.drain(stays);
    const std::uint64_t bytes = index.slot_bytes();
    std::size_t fit = 0;
    for (; index.slot_bytes() == bytes; ++fit)
        index.add_vector(stays, id_of(200 + fit), row);
    --fit; // the last one did not
    if (leaves) {
        CHECK(fit == 256 - 200);
    } else {
        CHECK(fit < 256 - 200);
        CHECK(fit >= 256 - 200 - FastTraits::slots_at_hand - FastTraits::fresh_indices);
    }
}

TEST_CASE("a fast thread that rests keeps the first segments, and no large one", "[slots]") {
    const std::vector<float> row(64, 1.0F);
    FastIndex index({.dimension = 64, .metric = Metric::inner_product});
    const auto me = index.join();
    const auto rests = index.join();
    const std::size_t many = 9'000, few = 4;
    for (std::size_t i = 0; i != many; ++i)
        index.add_vector(me, id_of(i), row);
    CHECK(index.slot_bytes() > 5'000'000);
    replace(index, rests, many, 30'000);
    for (std::size_t i = few; i != many; ++i)
        index.remove_vector(me, id_of(i));
    index.drain(me);
    replace(index, me, few, 2'000);
    index.drain(me);
    CHECK(index.slot_bytes() < 1'000'000);
}

TEST_CASE("where adds and removals take turns, vectors are moved together nevertheless", "[slots]") {
    const std::vector<float> row(64, 1.0F);
    LockFreeHotVectorIndex index({.dimension = 64, .metric = Metric::inner_product});
    const auto me = index.join();
    const std::size_t many = 20'000, gone = 8'000;
    for (std::size_t i = 0; i != many; ++i)
        index.add_vector(me, id_of(i), row);
    const std::uint64_t full = index.slot_bytes();
    for (std::size_t i = 0; i != gone; ++i)
        index.remove_vector(me, id_of(i));
    CHECK(index.slot_bytes() == full); // half of the slots would do: that is not enough to hurry
    for (std::size_t i = 0; i != 60'000; ++i) {
        index.add_vector(me, id_of(many), row);
        index.remove_vector(me, id_of(many));
    }
    index.drain(me);
    CHECK(index.slot_bytes() < full);
}

TEST_CASE("after mass removal a search looks at what is there, and the memory is given back", "[slots]") {
    BasicLockFreeHotVectorIndex<B> index({.dimension = 16, .metric = Metric::inner_product});
    const auto me = index.join();
    const std::vector<float> row(16, 1.0F);
    const auto search = [&] { return operations_of([&] { (void)index.search(me, row, 3); }); };
    const std::size_t many = 100'000, few = 100;
    for (std::size_t i = 0; i != few; ++i)
        index.add_vector(me, id_of(i * (many / few)), row);
    const std::uint64_t fresh = search();
    for (std::size_t i = 0; i != many; ++i)
        index.add_vector(me, id_of(i), row);
    const std::uint64_t full = index.slot_bytes();
    for (std::size_t i = 0; i != many; ++i)
        if (i % (many / few) != 0)
            index.remove_vector(me, id_of(i));
    CHECK(index.size() == few);
    CHECK(index.search(me, row, many).size() == few);
    CHECK(search() < 4 * fresh);
    CHECK(index.slot_bytes() < full / 10);
    index.drain(me);
    CHECK(search() < 3 * fresh);
    CHECK(index.slot_bytes() < full / 20);
}
