// Participants and the epoch domain.
#include "catch.hpp"

#include <hotindex/backend/counting.hpp>
#include <hotindex/backend/production.hpp>
#include <hotindex/backend/traits.hpp>
#include <hotindex/reclaim/epoch_domain.hpp>
#include <hotindex/reclaim/participants.hpp>

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
    }
    CHECK(domain.stats().participants == 2);
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
