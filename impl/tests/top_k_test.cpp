// The best k: their order, ties, and what is no number.
#include "catch.hpp"
#include "metrics.hpp"
#include "ranking.hpp"

#include <hotindex/search/top_k.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace {
using namespace hotindex;
using namespace hotindex::tests;

std::string_view no_id_is_needed(std::uint32_t) {
    throw std::logic_error("the id was asked for without a tie");
}
} // namespace

TEST_CASE("top_k_keeps_the_best_in_order_whatever_the_order_of_arrival") {
    std::mt19937 random(11);
    const Ids ids(500);
    for (const Metric metric : metrics)
        for (const int distinct : {3, 40, 1'000'000})
            for (const std::size_t k : {1u, 2u, 10u, 48u, 49u, 100u, 499u, 500u, 501u, 100'000u}) {
                std::vector<float> scores;
                scores.reserve(500);
                for (std::size_t i = 0; i < 500; ++i)
                    scores.push_back(static_cast<float>(random() % static_cast<unsigned>(distinct)) - 1.0F);
                const auto expected = best_by_sorting(scores, k, metric, ids);
                std::vector<std::uint32_t> order = slots_of({});
                for (std::uint32_t i = 0; i < 500; ++i)
                    order.push_back(i);
                TopK<> top;
                for (int round = 0; round < 3; ++round) {
                    top.reset(k, metric);
                    for (const std::uint32_t slot : order)
                        top.push(scores[slot], slot, ids);
                    INFO(name_of(metric) << ", k " << k << ", " << distinct << " distinct scores");
                    if (top.full())
                        CHECK(top.threshold() == scores[expected.back()]);
                    CHECK(slots_of(top.sorted(ids)) == expected);
                    std::shuffle(order.begin(), order.end(), random);
                }
            }
}

TEST_CASE("top_k_asks_for_ids_only_on_an_exact_tie") {
    TopK<> top(5, Metric::inner_product);
    for (std::uint32_t i = 0; i < 100; ++i)
        top.push(static_cast<float>(i * 37 % 100), i, no_id_is_needed);
    CHECK(top.sorted(no_id_is_needed)[0].score == 99.0F);
    CHECK_THROWS_AS(top.push(95.0F, 200, no_id_is_needed), std::logic_error);
}

TEST_CASE("with_a_bound_top_k_keeps_what_is_not_worse_and_no_more_than_k") {
    std::mt19937 random(12);
    const Ids ids(300);
    for (const Metric metric : metrics)
        for (const std::size_t k : {1u, 10u, 48u, 49u, 299u, 1000u})
            for (const float bound : {-1.0F, 7.0F, 19.0F, 20.0F, infinity, -infinity}) {
                TopK<> top;
                top.reset(k, metric, bound);
                CHECK(top.threshold() == bound);
                std::vector<float> scores;
                for (std::uint32_t i = 0; i < 300; ++i) {
                    scores.push_back(static_cast<float>(random() % 20));
                    top.push(scores[i], i, ids);
                }
                std::vector<std::uint32_t> expected = best_by_sorting(scores, k, metric, ids);
                std::erase_if(expected, [&](std::uint32_t slot) {
                    return higher_is_better(metric) ? scores[slot] < bound : scores[slot] > bound;
                });
                INFO(name_of(metric) << ", k " << k << ", bound " << bound);
                CHECK(slots_of(top.sorted(ids)) == expected);
            }
}

TEST_CASE("a_k_of_zero_takes_nothing") {
    TopK<> top(0, Metric::squared_euclidean);
    CHECK_FALSE(top.push(0.0F, 1, no_id_is_needed));
    CHECK_FALSE(top.push(infinity, 2, no_id_is_needed));
    CHECK(top.sorted(no_id_is_needed).empty());
}

TEST_CASE("a_huge_k_costs_no_memory_in_advance") {
    TopK<> top(std::numeric_limits<std::size_t>::max(), Metric::cosine);
    CHECK(top.push(0.5F, 1, no_id_is_needed));
    CHECK(top.push(0.75F, 2, no_id_is_needed));
    CHECK(slots_of(top.sorted(no_id_is_needed)) == std::vector<std::uint32_t>{2, 1});
}

TEST_CASE("a_score_that_is_not_a_number_ranks_last_and_is_reported_as_an_infinity") {
    const Ids ids(10);
    const float nan = std::numeric_limits<float>::quiet_NaN();
    for (const Metric metric : metrics) {
        const float worst = higher_is_better(metric) ? -infinity : infinity;
        TopK<> top(3, metric);
        top.push(nan, 0, ids);
        top.push(1.0F, 1, ids);
        top.push(worst, 2, ids); // a tie with slot 0; slot 2 has the smaller id
        SECTION("the worst of them is last") {
            CHECK(top.sorted(ids)[2].slot == 0);
            CHECK(top.sorted(ids)[2].score == worst);
        }
        SECTION("among them the smaller id comes first") {
            CHECK(top.push(nan, 9, ids)); // the smallest id yet
            CHECK_FALSE(top.push(nan, 1, ids));
            CHECK(slots_of(top.sorted(ids)) == std::vector<std::uint32_t>{1, 9, 2});
        }
    }
}
