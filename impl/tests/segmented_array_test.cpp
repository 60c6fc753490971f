// SegmentedArray: growth, addresses that stay, and growth by many threads at once.
#include "catch.hpp"

#include <hotindex/backend/production.hpp>
#include <hotindex/backend/traits.hpp>
#include <hotindex/memory/segmented_array.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

namespace {
using namespace hotindex;

struct Counted { // knows how many of its kind there are
    static inline std::atomic<std::int64_t> alive{0};
    Counted() noexcept { ++alive; }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;
    ~Counted() { --alive; }
    std::atomic<std::uint64_t> value{7};
};

template <class Traits>
using Array = SegmentedArray<ProductionBackend, Traits, Counted>;
} // namespace

TEST_CASE("doubling places every index once, in order, without gaps", "[store]") {
    using Place = Doubling<4>;
    std::uint32_t segment = 0, within = 0;
    for (std::uint32_t i = 0; i != 5000; ++i) {
        if (within == Place::size(segment)) {
            ++segment;
            within = 0;
        }
        REQUIRE(Place::segment_of(i) == segment);
        REQUIRE(i - Place::begin(segment) == within);
        ++within;
    }
    CHECK(Place::size(0) == 4);
    CHECK(Place::size(1) == 4);
    CHECK(Place::size(2) == 8);
}

TEST_CASE("an array has what it has grown to and nothing else", "[store]") {
    Array<TinyTraits> array;
    CHECK(array.find(0) == nullptr);
    CHECK(array.find(Array<TinyTraits>::max_size - 1) == nullptr);
    array.grow_to(5); // the segment 4..7 alone
    CHECK(array.find(0) == nullptr);
    CHECK(array.find(2) == nullptr);
    CHECK(array.find(8) == nullptr);
    for (std::uint32_t i = 4; i != 8; ++i) {
        REQUIRE(array.find(i) == &array.at(i));
        CHECK(array.at(i).value == 7);
        CHECK(&array.at(i) == &array.at(4) + (i - 4));
    }
    array.grow_to(0);
    CHECK(array.find(1) != nullptr);
    CHECK(array.find(2) == nullptr);
}

TEST_CASE("growth moves no element, and the array takes all its elements along", "[store]") {
    const std::int64_t before = Counted::alive;
    {
        Array<TinyTraits> array;
        std::vector<Counted*> addresses;
        for (std::uint32_t i = 0; i != 3000; ++i) {
            array.grow_to(i);
            array.grow_to(i / 2); // there already: changes nothing
            addresses.push_back(&array.at(i));
            array.at(i).value = i;
        }
        for (std::uint32_t i = 0; i != 3000; ++i) {
            REQUIRE(&array.at(i) == addresses[i]);
            REQUIRE(array.at(i).value == i);
        }
        CHECK(Counted::alive - before == 4096);
    }
    CHECK(Counted::alive == before);
}

TEMPLATE_TEST_CASE("threads that grow at once share one set of elements", "[store]", TinyTraits, DefaultTraits) {
    constexpr std::uint32_t threads = 8, elements = 20'000;
    const std::int64_t before = Counted::alive;
    for (int round = 0; round != 5; ++round) {
        {
            Array<TestType> array;
            std::atomic<std::uint32_t> ready{0};
            std::atomic<std::uint64_t> moved{0};
            std::vector<std::vector<Counted*>> seen(threads);
            std::vector<std::thread> team;
            for (std::uint32_t t = 0; t != threads; ++t)
                team.emplace_back([&, t] {
                    ++ready;
                    while (ready != threads)
                        std::this_thread::yield();
                    for (std::uint32_t i = 0; i != elements; ++i) {
                        array.grow_to(i);
                        ++array.at(i).value;
                        seen[t].push_back(&array.at(i));
                    }
                    for (std::uint32_t i = 0; i != elements; ++i)
                        if (seen[t][i] != &array.at(i))
                            ++moved;
                });
            for (auto& t : team)
                t.join();
            CHECK(moved == 0);
            std::uint64_t lost = 0;
            for (std::uint32_t i = 0; i != elements; ++i)
                lost += array.at(i).value != 7 + threads;
            CHECK(lost == 0);
            for (std::uint32_t t = 1; t != threads; ++t)
                CHECK(seen[t] == seen[0]);
        }
        CHECK(Counted::alive == before); // segments made in vain are gone, too
    }
}
