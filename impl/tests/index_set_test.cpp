// IndexSet: what was put is taken once, lowest first, by any number of threads.
#include "catch.hpp"

#include <hotindex/backend/production.hpp>
#include <hotindex/backend/traits.hpp>
#include <hotindex/memory/index_set.hpp>

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

namespace {
using namespace hotindex;

template <class Traits>
using Set = IndexSet<ProductionBackend, Traits>;

template <class Traits>
std::vector<std::uint32_t> take_everything(Set<Traits>& set, std::uint32_t at_once) {
    std::vector<std::uint32_t> taken;
    while (const auto batch = set.take(at_once))
        for (std::uint64_t mask = batch->mask; mask != 0; mask &= mask - 1)
            taken.push_back(batch->first + static_cast<std::uint32_t>(std::countr_zero(mask)));
    return taken;
}

template <class Traits>
void fill(Set<Traits>& set, std::uint32_t n) {
    for (std::uint32_t i = 0; i != n; ++i) {
        set.grow_to(i);
        set.put(i);
    }
}
} // namespace

TEMPLATE_TEST_CASE("numbers are taken lowest first, each of them once", "[memory]", DefaultTraits, TinyTraits) {
    const std::uint32_t n = 1000;
    const std::uint32_t at_once = GENERATE(1u, 2u, 16u, 64u);
    Set<TestType> set;
    CHECK_FALSE(set.take(at_once));
    fill(set, n);
    std::vector<std::uint32_t> expected(n);
    for (std::uint32_t i = 0; i != n; ++i)
        expected[i] = i;
    CHECK(take_everything(set, at_once) == expected);
    CHECK_FALSE(set.take(at_once));
    set.put(700);
    set.put(3);
    CHECK(take_everything(set, at_once) == std::vector<std::uint32_t>{3, 700});
}

TEST_CASE("a take ends at its word", "[memory]") {
    Set<DefaultTraits> set;
    fill(set, 130);
    CHECK(set.take(64)->mask == ~std::uint64_t{0});
    CHECK(set.take(3)->mask == 7);
    const auto rest = set.take(64);
    CHECK(rest->first == 64);
    CHECK(rest->mask == ~std::uint64_t{7});
    const auto last = set.take(64);
    CHECK(last->first == 128);
    CHECK(last->mask == 3);
}

TEST_CASE("exactly those numbers are taken, or none", "[memory]") {
    Set<DefaultTraits> set;
    fill(set, 64);
    CHECK(set.take_all({0, 0xF0}));
    CHECK_FALSE(set.take_all({0, 0x1F}));
    CHECK(set.peek(0) == ~std::uint64_t{0xF0});
    CHECK(set.take_all({0, ~std::uint64_t{0xF0}}));
    CHECK_FALSE(set.take(1));
    set.put({0, 0x30});
    CHECK(set.take(64)->mask == 0x30);
}

TEST_CASE("the lowest word with a number is known", "[memory]") {
    Set<DefaultTraits> set;
    CHECK_FALSE(set.lowest());
    set.grow_to(1'000'000);
    for (const std::uint32_t i : {900'000u, 5'000u, 130u}) {
        set.grow_to(i);
        set.put(i);
        CHECK(set.lowest() == i / 64 * 64);
    }
    CHECK(set.peek(130) == std::uint64_t{1} << 2);
    CHECK(set.peek(3) == 0);
    CHECK(set.peek(2'000'000'000) == 0);
}

TEMPLATE_TEST_CASE("a number has one owner at a time, and none is lost", "[memory]", DefaultTraits, TinyTraits) {
    const std::uint32_t n = 700;
    const int threads = 4;
    Set<TestType> set;
    fill(set, n);
    std::vector<std::atomic<int>> owners(n);
    std::atomic<bool> shared{false};
    std::vector<std::thread> all;
    for (int t = 0; t != threads; ++t)
        all.emplace_back([&, t] {
            std::vector<typename Set<TestType>::Batch> mine;
            std::uint64_t random = static_cast<std::uint64_t>(t) + 1;
            for (int round = 0; round != 20'000; ++round) {
                random = random * 6364136223846793005u + 1442695040888963407u;
                if ((random >> 33) % 3 != 0 && mine.size() < 40) {
                    if (const auto batch = set.take(1 + static_cast<std::uint32_t>(random >> 40) % 20)) {
                        for (std::uint64_t m = batch->mask; m != 0; m &= m - 1)
                            if (owners[batch->first + static_cast<std::uint32_t>(std::countr_zero(m))].exchange(t + 1))
                                shared = true;
                        mine.push_back(*batch);
                    }
                } else if (!mine.empty()) {
                    std::swap(mine[(random >> 36) % mine.size()], mine.back());
                    for (std::uint64_t m = mine.back().mask; m != 0; m &= m - 1)
                        owners[mine.back().first + static_cast<std::uint32_t>(std::countr_zero(m))] = 0;
                    set.put(mine.back());
                    mine.pop_back();
                }
            }
            for (const auto& batch : mine) {
                for (std::uint64_t m = batch.mask; m != 0; m &= m - 1)
                    owners[batch.first + static_cast<std::uint32_t>(std::countr_zero(m))] = 0;
                set.put(batch);
            }
        });
    for (auto& t : all)
        t.join();
    CHECK_FALSE(shared);
    CHECK(take_everything(set, 64).size() == n);
}
