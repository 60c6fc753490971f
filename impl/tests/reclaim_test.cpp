// Participants and the epoch domain.
#include "catch.hpp"

#include <hotindex/backend/counting.hpp>
#include <hotindex/backend/production.hpp>
#include <hotindex/backend/traits.hpp>
#include <hotindex/reclaim/epoch_domain.hpp>
#include <hotindex/threads/participants.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <set>
#include <thread>
#include <vector>

namespace {
using namespace hotindex;

struct Freed { // what the domain's participants own: a counter of what they reclaimed
    struct Owner {
        std::atomic<int> reclaimed{0};
    };
    explicit Freed(Owner& o) : owner(&o) {}
    Owner* owner;
};
using Domain = EpochDomain<ProductionBackend, TinyTraits, Freed>;
using LazyDomain = EpochDomain<ProductionBackend, DefaultTraits, Freed>;

template <class D>
struct Object : D::Retired {
    std::atomic<std::uint64_t> alive{0x600D};
    static std::size_t reclaim(typename D::Retired* r, Freed& local) {
        auto* const o = static_cast<Object*>(r);
        o->alive = 0xDEAD;
        ++local.owner->reclaimed;
        delete o;
        return sizeof(Object);
    }
};

template <class D>
void retire_one(const typename D::Handle& handle) {
    const typename D::Guard guard(handle);
    guard.retire(new Object<D>, Object<D>::reclaim, sizeof(Object<D>));
}
} // namespace

TEST_CASE("a retired object outlives the guard that could see it", "[reclaim]") {
    Freed::Owner owner;
    Domain domain(owner);
    Domain::Handle reader(domain);
    Domain::Handle writer(domain);
    {
        const Domain::Guard guard(reader);
        retire_one<Domain>(writer);
        for (int i = 0; i != 10; ++i)
            CHECK_FALSE(domain.drain(writer));
        CHECK(owner.reclaimed == 0);
        CHECK(domain.stats().pinned == 1);
        CHECK(domain.stats().limbo_objects == 1);
        CHECK(domain.stats().limbo_bytes == sizeof(Object<Domain>));
    }
    CHECK(domain.drain(writer));
    CHECK(owner.reclaimed == 1);
    CHECK(domain.stats().limbo_bytes == 0);
    CHECK(domain.stats().epochs_advanced >= 3);
}

TEST_CASE("guards nest, and only the outermost one ends the read section", "[reclaim]") {
    Freed::Owner owner;
    Domain domain(owner);
    Domain::Handle reader(domain);
    Domain::Handle writer(domain);
    {
        const Domain::Guard outer(reader);
        {
            const Domain::Guard inner(reader);
        }
        retire_one<Domain>(writer);
        CHECK_FALSE(domain.drain(writer));
    }
    CHECK(domain.drain(writer));
}

TEST_CASE("limbo of a participant that left is collected by others", "[reclaim]") {
    Freed::Owner owner;
    LazyDomain domain(owner);
    const LazyDomain::Handle stays(domain);
    {
        const LazyDomain::Handle leaves(domain);
        for (int i = 0; i != 10; ++i)
            retire_one<LazyDomain>(leaves);
    }
    CHECK(domain.stats().limbo_objects == 10);
    CHECK(domain.drain(stays));
    CHECK(owner.reclaimed == 10);
}

TEST_CASE("records of ended participants are reused, so their number is that of threads at once", "[reclaim]") {
    Freed::Owner owner;
    Domain domain(owner);
    for (int i = 0; i != 100; ++i) {
        const Domain::Handle a(domain);
        const Domain::Handle b(domain);
        CHECK(a.index() + b.index() == 1);
        CHECK(domain.stats().participants == 2);
    }
    CHECK(domain.stats().participants == 0);
}

TEST_CASE("a thousand participants that have left cost an advance as much as none", "[reclaim][counting]") {
    using Counted = EpochDomain<CountingBackend, DefaultTraits, NoLocal>;
    const auto loads_of_an_advance = [](int were_there) {
        NoLocal::Owner owner;
        Counted domain(owner);
        {
            std::vector<Counted::Handle> crowd;
            for (int i = 0; i != were_there; ++i)
                crowd.emplace_back(domain);
        }
        const Counted::Handle handle(domain);
        Tally& tally = CountingBackend::tally();
        tally.reset();
        CHECK(domain.try_advance());
        return tally.total().loads;
    };
    // Two looks at each word of 64 participants, and at the link to the next one.
    CHECK(loads_of_an_advance(1000) <= loads_of_an_advance(1) + std::uint64_t{2} * 2 * (1000 / 64 + 1));
}

TEST_CASE("readers alone empty what writers have left behind", "[reclaim]") {
    Freed::Owner owner;
    LazyDomain domain(owner);
    const LazyDomain::Handle reader(domain);
    constexpr int objects = 10'000;
    {
        const LazyDomain::Handle writer(domain);
        const LazyDomain::Guard slow(reader); // nothing goes while the writer is there
        for (int i = 0; i != objects; ++i)
            retire_one<LazyDomain>(writer);
    }
    CHECK(domain.stats().limbo_objects > objects / 2);
    // Two bags of 64 for each 256 pins (see the memory bound), and a few looks that advance.
    constexpr int looks = objects / (2 * 64) + 5 * DefaultTraits::looks_per_advance;
    for (std::uint32_t i = 0; i != looks * DefaultTraits::pins_per_look; ++i)
        const LazyDomain::Guard guard(reader);
    CHECK(domain.stats().limbo_objects == 0);
    CHECK(owner.reclaimed == objects);
}

TEST_CASE("what a resting participant holds goes with the next drain, and in time without one", "[reclaim]") {
    Freed::Owner owner;
    LazyDomain domain(owner);
    const LazyDomain::Handle rests(domain);
    const LazyDomain::Handle works(domain);
    retire_one<LazyDomain>(rests);
    CHECK(domain.drain(works));
    CHECK(owner.reclaimed == 1);

    retire_one<LazyDomain>(rests);
    const auto epochs = DefaultTraits::rest_epochs + 8;
    for (std::uint64_t i = 0; i != epochs * DefaultTraits::retires_per_advance; ++i)
        retire_one<LazyDomain>(works);
    CHECK(domain.drain(works)); // so that all that is left is counted
    CHECK(owner.reclaimed == 2 + static_cast<int>(epochs * DefaultTraits::retires_per_advance));
    retire_one<LazyDomain>(rests);
    CHECK(domain.stats().limbo_objects == 1);
}

TEST_CASE("what a resting participant holds is taken over by whoever retires", "[reclaim]") {
    Freed::Owner owner;
    LazyDomain domain(owner);
    const LazyDomain::Handle rests(domain);
    const LazyDomain::Handle works(domain);
    static bool gone;
    gone = false;
    struct Last : LazyDomain::Retired {
        static std::size_t reclaim(LazyDomain::Retired* r, Freed&) {
            gone = true;
            delete static_cast<Last*>(r);
            return sizeof(Last);
        }
    };
    {
        const LazyDomain::Guard guard(rests);
        guard.retire(new Last, Last::reclaim, sizeof(Last));
    }
    const auto epochs = DefaultTraits::rest_epochs + 8;
    for (std::uint64_t i = 0; i != epochs * DefaultTraits::retires_per_advance; ++i)
        retire_one<LazyDomain>(works);
    CHECK(gone);
    CHECK(domain.drain(works));
}

TEST_CASE("large objects are counted in bytes: one thread keeps a few of them, not hundreds", "[reclaim]") {
    Freed::Owner owner;
    LazyDomain domain(owner);
    const LazyDomain::Handle handle(domain);
    constexpr std::size_t large = 4 << 20; // as told; it is not allocated
    struct Large : LazyDomain::Retired {
        static std::size_t reclaim(LazyDomain::Retired* r, Freed&) {
            delete static_cast<Large*>(r);
            return large;
        }
    };
    std::uint64_t most = 0;
    for (int i = 0; i != 1000; ++i) {
        {
            const LazyDomain::Guard guard(handle);
            guard.retire(new Large, Large::reclaim, large);
        }
        most = std::max(most, domain.stats().limbo_bytes);
    }
    CHECK(most <= 4 * large); // of three epochs, and the one that is being retired
    CHECK(domain.drain(handle));
}

TEST_CASE("what waited for a reader goes faster than it came, as soon as the reader has gone on", "[reclaim]") {
    Freed::Owner owner;
    LazyDomain domain(owner);
    const LazyDomain::Handle writer(domain);
    const LazyDomain::Handle reader(domain);
    constexpr int held = 100'000;
    {
        const LazyDomain::Guard slow(reader);
        for (int i = 0; i != held; ++i)
            retire_one<LazyDomain>(writer);
        CHECK(domain.stats().limbo_objects > held - 1000);
    }
    // For each bag that comes, two go: as much again is enough, and a few epochs.
    for (int i = 0; i != held + 4 * 256; ++i)
        retire_one<LazyDomain>(writer);
    CHECK(domain.stats().limbo_objects <= 4 * 256 + 64);
    CHECK(domain.drain(writer));
}

TEST_CASE("4 to 64 threads on a few cores keep no more than the memory bound says", "[reclaim][threads]") {
    // Bytes are as told to retire(): rows of 64 bytes, and rows of a megabyte.
    for (const std::size_t bytes : {std::size_t{64}, std::size_t{1} << 20})
        for (const std::uint64_t team : {4u, 16u, 64u}) {
            Freed::Owner owner;
            LazyDomain domain(owner);
            static std::size_t told;
            told = bytes;
            struct Sized : LazyDomain::Retired {
                static std::size_t reclaim(LazyDomain::Retired* r, Freed&) {
                    delete static_cast<Sized*>(r);
                    return told;
                }
            };
            const std::uint64_t each = 20'000 / team;
            // `held`, seen from the threads: most that all have retired while one of them was pinned.
            std::atomic<std::uint64_t> retired{0};
            std::atomic<std::uint64_t> held{0};
            std::atomic<std::uint64_t> most{0};
            const auto raise = [](std::atomic<std::uint64_t>& to, std::uint64_t n) {
                for (std::uint64_t seen = to; seen < n && !to.compare_exchange_weak(seen, n);) {
                }
            };
            std::vector<std::thread> threads;
            for (std::uint64_t t = 0; t != team; ++t)
                threads.emplace_back([&] {
                    const LazyDomain::Handle handle(domain);
                    for (std::uint64_t i = 0; i != each; ++i) {
                        const std::uint64_t before = retired;
                        {
                            const LazyDomain::Guard guard(handle);
                            guard.retire(new Sized, Sized::reclaim, bytes);
                        }
                        raise(held, retired.fetch_add(1) + 1 - before);
                        if (i % 16 == 0)
                            raise(most, domain.stats().limbo_bytes);
                    }
                });
            for (auto& t : threads)
                t.join();
            const std::uint64_t bag = DefaultTraits::bag_bytes + bytes;
            const std::uint64_t between =
                std::min(DefaultTraits::bytes_per_advance, DefaultTraits::retires_per_advance * bytes) + bytes;
            CHECK(most <= team * (3 * bag + 3 * between) + 3 * held * bytes);
            const LazyDomain::Handle handle(domain);
            CHECK(domain.drain(handle));
            CHECK(domain.stats().limbo_bytes == 0);
        }
}

TEST_CASE("what refuses costs an update the same, however much of it there is", "[reclaim]") {
    Freed::Owner owner;
    LazyDomain domain(owner);
    const LazyDomain::Handle handle(domain);
    static std::uint64_t asked;
    static bool busy;
    asked = 0;
    busy = true;
    struct Busy : LazyDomain::Retired {
        static std::size_t reclaim(LazyDomain::Retired* r, Freed&) {
            ++asked;
            if (busy)
                return 0;
            delete static_cast<Busy*>(r);
            return sizeof(Busy);
        }
    };
    const auto asked_by = [&](std::uint64_t updates) {
        const std::uint64_t before = asked;
        for (std::uint64_t i = 0; i != updates; ++i) {
            const LazyDomain::Guard guard(handle);
            guard.retire(new Busy, Busy::reclaim, sizeof(Busy), 8); // as a slot
        }
        return asked - before;
    };
    for (int i = 0; i != 5; ++i)
        CHECK(asked_by(20'000) <= std::uint64_t{20'000} * 8);
    CHECK(domain.stats().kept_objects > 90'000);
    busy = false;
    CHECK(domain.drain(handle));
}

TEST_CASE("the destruction of a domain reclaims all limbo", "[reclaim]") {
    Freed::Owner owner;
    {
        LazyDomain domain(owner);
        const LazyDomain::Handle handle(domain);
        for (int i = 0; i != 5; ++i)
            retire_one<LazyDomain>(handle);
    }
    CHECK(owner.reclaimed == 5);
}

TEST_CASE("no reader ever sees a reclaimed object while threads come and go", "[reclaim][threads]") {
    Freed::Owner owner;
    constexpr int rounds = 40;
    std::atomic<int> made{1};
    {
        Domain domain(owner);
        std::atomic<Object<Domain>*> shared{new Object<Domain>};
        std::atomic<bool> bad{false};
        std::vector<std::thread> threads;
        for (int t = 0; t != 4; ++t)
            threads.emplace_back([&, t] {
                for (int round = 0; round != rounds; ++round) {
                    const Domain::Handle handle(domain);
                    for (int i = 0; i != 50; ++i) {
                        const Domain::Guard guard(handle);
                        if (t % 2 == 0) {
                            ++made;
                            auto* const old = shared.exchange(new Object<Domain>, std::memory_order_acq_rel);
                            guard.retire(old, Object<Domain>::reclaim, sizeof *old);
                        } else if (shared.load(std::memory_order_acquire)->alive != 0x600D) {
                            bad = true;
                        }
                    }
                }
            });
        for (auto& t : threads)
            t.join();
        CHECK_FALSE(bad);
        const Domain::Handle handle(domain);
        CHECK(domain.drain(handle));
        delete shared.load();
    }
    CHECK(owner.reclaimed == made - 1);
}

TEST_CASE("entering and leaving a read section writes the participant's own record only", "[reclaim][counting]") {
    using Counted = EpochDomain<CountingBackend, DefaultTraits, NoLocal>;
    NoLocal::Owner owner;
    Counted domain(owner);
    const Counted::Handle handle(domain);
    {
        const Counted::Guard warm_up(handle);
    }
    Tally& tally = CountingBackend::tally();
    tally.reset();
    tally.record_writes = true;
    {
        const Counted::Guard guard(handle);
    }
    tally.record_writes = false;
    CHECK(tally.of(edge::epoch_pin).stores == 1);
    CHECK(tally.of(edge::epoch_unpin).stores == 1);
    CHECK(tally.total().stores == 2);
    CHECK(tally.total().rmws == 0);
    CHECK(tally.total().heavy_fences == 0);
    CHECK(std::all_of(tally.writes.begin(), tally.writes.end(), [&](const void* p) { return handle.owns(p); }));
    tally.reset();
}
