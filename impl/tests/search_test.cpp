// The search room: kernels against a float64 oracle, one result for all paths, the order of TopK, and the scan.
#include "catch.hpp"

#include <hotindex/search/scan.hpp>
#include <hotindex/search/similarity.hpp>
#include <hotindex/search/top_k.hpp>

#include <hwy/targets.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace {
using namespace hotindex;

constexpr Metric metrics[] = {Metric::cosine, Metric::inner_product, Metric::squared_euclidean};
constexpr float infinity = std::numeric_limits<float>::infinity();

std::vector<std::size_t> all_dimensions() {
    std::vector<std::size_t> all;
    for (std::size_t d = 1; d <= 130; ++d)
        all.push_back(d);
    all.insert(all.end(), {784, 1536});
    return all;
}

/// Rows as an index stores them. Padding is zero; every row is filled.
struct Rows {
    Rows(std::size_t n, std::size_t d, unsigned seed) : count(n), dimension(d), stride(row_stride(d)) {
        std::mt19937 random(seed);
        std::normal_distribution<float> normal;
        at = floats.reserve(n * stride);
        std::fill_n(at, n * stride, 0.0F);
        for (std::size_t i = 0; i < n; ++i) {
            for (std::size_t e = 0; e < d; ++e)
                at[i * stride + e] = normal(random);
            inverse_norms.push_back(inverse_norm(row(i), stride));
        }
    }
    [[nodiscard]] const float* row(std::size_t i) const { return at + i * stride; }
    [[nodiscard]] std::span<const float> vector(std::size_t i) const { return {row(i), dimension}; }

    std::size_t count, dimension, stride;
    kernel::AlignedFloats floats;
    float* at;
    std::vector<float> inverse_norms;
};

struct Expected {
    double score;
    double tolerance; ///< 1e-6 of the sum of the absolute terms
};

Expected oracle(std::span<const float> a, std::span<const float> b, Metric metric) {
    double dot = 0, size = 0, distance = 0, aa = 0, bb = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const double x = a[i], y = b[i];
        dot += x * y;
        size += std::abs(x * y);
        distance += (x - y) * (x - y);
        aa += x * x;
        bb += y * y;
    }
    if (metric == Metric::squared_euclidean)
        return {distance, 1e-6 * distance};
    if (metric == Metric::inner_product)
        return {dot, 1e-6 * size};
    return {dot / std::sqrt(aa * bb), 1e-6};
}

std::uint32_t bits(float x) {
    return std::bit_cast<std::uint32_t>(x);
}

float score_alone(const PreparedQuery& query, const Rows& rows, std::size_t i) {
    float scores[64];
    score_rows(query, rows.row(i), rows.inverse_norms.data() + i, 1, 1, scores);
    return scores[0];
}

/// Ids in the order of slots reversed: slot 0 has the greatest.
std::string id_of_slot(std::size_t slot) {
    std::string digits = std::to_string(99'999 - slot);
    return std::string(5 - digits.size(), '0') + digits;
}

struct Ids {
    explicit Ids(std::size_t n) {
        for (std::size_t i = 0; i < n; ++i)
            ids.push_back(id_of_slot(i));
    }
    std::string_view operator()(std::uint32_t slot) const { return ids[slot]; }
    std::vector<std::string> ids;
};

std::string_view no_id_is_needed(std::uint32_t) {
    throw std::logic_error("the id was asked for without a tie");
}

std::vector<std::uint32_t> slots_of(std::span<const TopK<>::Entry> entries) {
    std::vector<std::uint32_t> slots;
    for (const auto& e : entries)
        slots.push_back(e.slot);
    return slots;
}

/// What a TopK must hold after all of `scores` (slot i has score i).
std::vector<std::uint32_t> best_by_sorting(const std::vector<float>& scores, std::size_t k, Metric metric,
                                           const Ids& ids) {
    std::vector<std::uint32_t> slots(scores.size());
    for (std::uint32_t i = 0; i < slots.size(); ++i)
        slots[i] = i;
    std::sort(slots.begin(), slots.end(), [&](std::uint32_t a, std::uint32_t b) {
        if (scores[a] != scores[b])
            return higher_is_better(metric) ? scores[a] > scores[b] : scores[a] < scores[b];
        return ids(a) < ids(b);
    });
    slots.resize(std::min(k, slots.size()));
    return slots;
}

/// Blocks of at most `length` rows, masks from a callable of the first row.
template <class Mask>
auto blocks_of(const Rows& rows, std::size_t length, Mask mask) {
    return [&rows, length, mask](auto use) {
        for (std::size_t i = 0; i < rows.count; i += length)
            use(RowBlock<std::uint32_t>{static_cast<std::uint32_t>(i), rows.row(i), rows.inverse_norms.data() + i,
                                        std::min(length, rows.count - i), mask(i)});
    };
}
std::uint64_t all_rows(std::size_t) {
    return ~std::uint64_t{0};
}

/// Restores the choice of the instruction set.
struct RestoreTargets {
    ~RestoreTargets() { hwy::SetSupportedTargetsForTest(0); }
};
} // namespace

TEST_CASE("a_row_stride_is_the_dimension_rounded_up_to_sixteen_floats") {
    CHECK(row_stride(1) == 16);
    CHECK(row_stride(16) == 16);
    CHECK(row_stride(17) == 32);
    CHECK(row_stride(1536) == 1536);
    CHECK(first_rows(0) == 0);
    CHECK(first_rows(3) == 7);
    CHECK(first_rows(64) == ~std::uint64_t{0});
}

TEST_CASE("scores_agree_with_a_float64_oracle_in_every_dimension_and_metric") {
    for (const std::size_t d : all_dimensions()) {
        const Rows rows(70, d, static_cast<unsigned>(d));
        const auto query = rows.vector(64);
        for (const Metric metric : metrics) {
            const PreparedQuery prepared(query, metric);
            float scores[64];
            score_rows(prepared, rows.row(0), rows.inverse_norms.data(), 64, ~std::uint64_t{0}, scores);
            bool agree = true;
            for (std::size_t i = 0; i < 64; ++i) {
                const Expected e = oracle(rows.vector(i), query, metric);
                agree = agree && std::abs(static_cast<double>(scores[i]) - e.score) <= e.tolerance;
            }
            INFO("dimension " << d << ", " << name_of(metric));
            CHECK(agree);
        }
    }
}

TEST_CASE("a_pair_has_the_same_score_to_the_last_bit_on_every_path") {
    std::mt19937_64 random(7);
    for (const std::size_t d : all_dimensions()) {
        const Rows rows(64, d, static_cast<unsigned>(1000 + d));
        const Rows queries(6, d, static_cast<unsigned>(2000 + d));
        std::vector<float> flat;
        for (std::size_t j = 0; j < queries.count; ++j)
            flat.insert(flat.end(), queries.vector(j).begin(), queries.vector(j).end());
        for (const Metric metric : metrics) {
            const PreparedBatch batch(flat, d, metric);
            REQUIRE(batch.size() == queries.count);
            bool same = true;
            for (std::size_t j = 0; j < queries.count; ++j) {
                const PreparedQuery query(queries.vector(j), metric);
                const PreparedQuery near(queries.vector(j), metric, 64); // read in the pattern for cached rows
                float alone[64];
                for (std::size_t i = 0; i < 64; ++i)
                    alone[i] = score_alone(query, rows, i);
                const auto compare = [&](const float* scores, std::uint64_t mask) {
                    for (std::size_t i = 0; i < 64; ++i)
                        same = same && ((mask >> i & 1) == 0 || bits(scores[i]) == bits(alone[i]));
                };
                for (const std::uint64_t mask :
                     {~std::uint64_t{0}, first_rows(4), first_rows(17), first_rows(63), std::uint64_t{1} << 63,
                      random() & random(), random(), random() | random()}) {
                    float scores[64] = {};
                    score_rows(query, rows.row(0), rows.inverse_norms.data(), 64, mask, scores);
                    compare(scores, mask);
                    score_rows(near, rows.row(0), rows.inverse_norms.data(), 64, mask, scores);
                    compare(scores, mask);
                    float tile[6 * 64] = {};
                    score_batch(batch, 0, 6, rows.row(0), rows.inverse_norms.data(), 64, mask, tile);
                    compare(tile + j * 64, mask);
                    score_batch(batch, j, 1, rows.row(0), rows.inverse_norms.data(), 64, mask, tile);
                    compare(tile, mask);
                }
            }
            INFO("dimension " << d << ", " << name_of(metric));
            CHECK(same);
        }
    }
}

TEST_CASE("every_instruction_set_agrees_with_the_oracle_and_those_with_fused_multiply_add_with_each_other") {
    const RestoreTargets restore;
    const std::int64_t supported = hwy::SupportedTargets();
    std::size_t tested = 0;
    for (const std::size_t d : {1UL, 15UL, 16UL, 17UL, 64UL, 100UL, 784UL}) {
        const Rows rows(64, d, 5);
        const Rows queries(5, d, 6);
        std::vector<float> flat;
        for (std::size_t j = 0; j < queries.count; ++j)
            flat.insert(flat.end(), queries.vector(j).begin(), queries.vector(j).end());
        for (const Metric metric : metrics) {
            std::vector<float> fused; // scores of the first target with fused multiply-add
            for (std::int64_t left = supported; left != 0; left &= left - 1) {
                // Only the lowest remaining bit and the worse targets: the lowest is the best.
                hwy::SetSupportedTargetsForTest(left);
                INFO("dimension " << d << ", " << name_of(metric) << ", " << kernel_target());
                if (std::string(kernel_target()) != hwy::TargetName(left & -left))
                    continue; // not built, a worse one serves
                ++tested;
                const PreparedBatch batch(flat, d, metric);
                std::vector<float> tile(5 * 64);
                score_batch(batch, 0, 5, rows.row(0), rows.inverse_norms.data(), 64, ~std::uint64_t{0}, tile.data());
                bool agree = true, same = true;
                for (std::size_t j = 0; j < 5; ++j) {
                    const PreparedQuery query(queries.vector(j), metric);
                    float scores[64], some[64];
                    score_rows(query, rows.row(0), rows.inverse_norms.data(), 64, ~std::uint64_t{0}, scores);
                    score_rows(query, rows.row(0), rows.inverse_norms.data(), 64, 0xF00F'1234'5678'9ABC, some);
                    for (std::size_t i = 0; i < 64; ++i) {
                        const Expected e = oracle(rows.vector(i), queries.vector(j), metric);
                        agree = agree && std::abs(static_cast<double>(scores[i]) - e.score) <= e.tolerance;
                        same = same && bits(scores[i]) == bits(tile[j * 64 + i]) &&
                               ((0xF00F'1234'5678'9ABC >> i & 1) == 0 || bits(some[i]) == bits(scores[i]));
                    }
                    CHECK(query.scores_not_worse(scores, scores[9]) == [&] {
                        std::uint64_t mask = 0;
                        for (std::size_t i = 0; i < 64; ++i)
                            if (higher_is_better(metric) ? scores[i] >= scores[9] : scores[i] <= scores[9])
                                mask |= std::uint64_t{1} << i;
                        return mask;
                    }());
                }
                CHECK(agree);
                CHECK(same);
                const std::string target = kernel_target();
                if (target == "AVX3" || target == "AVX2") {
                    if (fused.empty())
                        fused = tile;
                    CHECK(fused == tile);
                }
            }
        }
    }
    CHECK(tested >= 2 * 7 * std::size(metrics)); // two instruction sets at least
}

TEST_CASE("rows_outside_the_mask_are_not_read") {
    Rows rows(64, 40, 3);
    const PreparedQuery query(rows.vector(0), Metric::cosine);
    const std::uint64_t mask = 0x0123'FFEF'89AB'C001; // groups of 16: few rows, half, all but one, two
    float before[64], after[64];
    score_rows(query, rows.row(0), rows.inverse_norms.data(), 64, mask, before);
    for (std::size_t i = 0; i < 64; ++i)
        if ((mask >> i & 1) == 0) {
            std::fill_n(rows.at + i * rows.stride, rows.stride, std::numeric_limits<float>::quiet_NaN());
            rows.inverse_norms[i] = infinity;
        }
    score_rows(query, rows.row(0), rows.inverse_norms.data(), 64, mask, after);
    for (std::size_t i = 0; i < 64; ++i) {
        CHECK(((mask >> i & 1) == 0 || bits(before[i]) == bits(after[i])));
        CHECK(after[i] == after[i]);
    }
}

TEST_CASE("bits_at_or_above_the_count_are_ignored") {
    const Rows rows(8, 5, 4);
    const PreparedQuery query(rows.vector(0), Metric::inner_product);
    float all[64], eight[64];
    score_rows(query, rows.row(0), nullptr, 8, ~std::uint64_t{0}, all);
    score_rows(query, rows.row(0), nullptr, 8, 0xFF, eight);
    CHECK(std::equal(all, all + 8, eight, [](float a, float b) { return bits(a) == bits(b); }));
    float batched[64];
    std::fill_n(batched, 64, -7.0F);
    score_batch(PreparedBatch(rows.vector(0), 5, Metric::inner_product), 0, 1, rows.row(0), nullptr, 8,
                ~std::uint64_t{0}, batched);
    CHECK(batched[7] != -7.0F);
    CHECK(std::count(batched + 8, batched + 64, -7.0F) == 56);
}

TEST_CASE("the_inverse_norm_of_a_row_without_a_usable_norm_is_zero") {
    kernel::AlignedFloats floats;
    float* const row = floats.reserve(16);
    std::fill_n(row, 16, 0.0F);
    CHECK(inverse_norm(row, 16) == 0.0F);
    row[3] = 3.0F;
    row[9] = 4.0F;
    CHECK(inverse_norm(row, 16) == 0.2F);
    row[0] = 3e38F;
    CHECK(inverse_norm(row, 16) == 0.0F);
}

TEST_CASE("a_prepared_query_can_be_used_again_for_a_shorter_one") {
    const Rows rows(3, 33, 8);
    PreparedQuery query(rows.vector(0), Metric::inner_product);
    const float* const memory = query.data();
    const Rows shorter(3, 18, 9);
    query.assign(shorter.vector(1), Metric::inner_product);
    CHECK(query.data() == memory);
    CHECK(bits(score_alone(query, shorter, 2)) ==
          bits(score_alone(PreparedQuery(shorter.vector(1), Metric::inner_product), shorter, 2)));
}

TEST_CASE("top_k_keeps_the_best_in_order_whatever_the_order_of_arrival") {
    std::mt19937 random(11);
    const Ids ids(500);
    for (const Metric metric : metrics)
        for (const int distinct : {3, 40, 1'000'000})
            for (const std::size_t k : {1u, 2u, 10u, 48u, 49u, 100u, 499u, 500u, 501u, 100'000u}) {
                std::vector<float> scores;
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
        CHECK(top.sorted(ids)[2].slot == 0);
        CHECK(top.sorted(ids)[2].score == worst);
        CHECK(top.push(nan, 9, ids)); // the smallest id yet
        CHECK_FALSE(top.push(nan, 1, ids));
        CHECK(slots_of(top.sorted(ids)) == std::vector<std::uint32_t>{1, 9, 2});
    }
}

TEST_CASE("a_scan_finds_what_sorting_all_scores_finds") {
    const Rows rows(1000, 24, 12);
    const Ids ids(1000);
    for (const Metric metric : metrics) {
        const PreparedQuery query(rows.vector(5), metric, rows.count);
        std::vector<float> scores;
        for (std::size_t i = 0; i < rows.count; ++i)
            scores.push_back(score_alone(query, rows, i));
        TopK<> top;
        for (const std::size_t k : {1u, 10u, 60u, 2000u})
            for (const std::size_t length : {1u, 7u, 64u}) {
                top.reset(k, metric);
                CHECK(scan_rows(query, blocks_of(rows, length, all_rows), top, ids) == 1000);
                CHECK(slots_of(top.sorted(ids)) == best_by_sorting(scores, k, metric, ids));
            }
        top.reset(0, metric);
        CHECK(scan_rows(query, blocks_of(rows, 64, all_rows), top, ids) == 0);
        CHECK(top.size() == 0);
    }
}

TEST_CASE("a_scan_breaks_ties_of_equal_rows_by_ascending_id") {
    Rows rows(300, 10, 13);
    for (std::size_t i = 1; i < rows.count; ++i)
        std::copy_n(rows.row(0), rows.stride, rows.at + i * rows.stride);
    std::fill(rows.inverse_norms.begin(), rows.inverse_norms.end(), rows.inverse_norms[0]);
    const Ids ids(300);
    const Rows queries(1, 10, 14);
    for (const Metric metric : metrics) {
        TopK<> top(4, metric);
        scan_rows(PreparedQuery(queries.vector(0), metric), blocks_of(rows, 64, all_rows), top, ids);
        CHECK(slots_of(top.sorted(ids)) == std::vector<std::uint32_t>{299, 298, 297, 296});
    }
}

TEST_CASE("a_scan_sees_only_rows_in_the_masks_and_counts_them") {
    const Rows rows(400, 17, 15);
    const Ids ids(400);
    const auto odd = [](std::size_t) { return 0xAAAA'AAAA'AAAA'AAAA; };
    const PreparedQuery query(rows.vector(8), Metric::squared_euclidean);
    TopK<> top(1000, Metric::squared_euclidean);
    CHECK(scan_rows(query, blocks_of(rows, 64, odd), top, ids) == 200);
    CHECK(top.size() == 200);
    for (const std::uint32_t slot : slots_of(top.sorted(ids)))
        CHECK(slot % 2 == 1);
    top.reset(3, Metric::squared_euclidean);
    CHECK(scan_rows(query, blocks_of(rows, 64, [](std::size_t) { return std::uint64_t{0}; }), top, ids) == 0);
    CHECK(top.size() == 0);
}

TEST_CASE("a_predicate_restricts_a_scan_and_sees_no_row_that_cannot_enter") {
    const Rows rows(640, 20, 16);
    const Ids ids(640);
    const Metric metric = Metric::inner_product;
    const PreparedQuery query(rows.vector(3), metric);
    std::vector<float> scores;
    for (std::size_t i = 0; i < rows.count; ++i)
        scores.push_back(ids(static_cast<std::uint32_t>(i)).back() == '7' ? score_alone(query, rows, i) : -infinity);
    std::size_t asked = 0;
    TopK<> top(9, metric);
    const auto ends_in_7 = [&](std::string_view id) {
        ++asked;
        return id.back() == '7';
    };
    CHECK(scan_rows(query, blocks_of(rows, 64, all_rows), top, ids, ends_in_7) == 640);
    CHECK(slots_of(top.sorted(ids)) == best_by_sorting(scores, 9, metric, ids));
    CHECK(asked < 640);
}

TEST_CASE("what_a_predicate_throws_leaves_the_scan_and_the_top_k_can_be_used_again") {
    const Rows rows(100, 20, 17);
    const Ids ids(100);
    const PreparedQuery query(rows.vector(3), Metric::cosine);
    TopK<> top(5, Metric::cosine);
    const auto refuses = [](std::string_view) -> bool { throw std::runtime_error("no"); };
    CHECK_THROWS_AS(scan_rows(query, blocks_of(rows, 64, all_rows), top, ids, refuses), std::runtime_error);
    top.reset(5, Metric::cosine);
    scan_rows(query, blocks_of(rows, 64, all_rows), top, ids);
    CHECK(top.sorted(ids)[0].slot == 3);
}

TEST_CASE("a_batch_answers_each_query_as_a_single_scan_does") {
    const Rows rows(777, 31, 18);
    const Ids ids(777);
    const auto mask = [](std::size_t i) { return i % 128 == 0 ? ~std::uint64_t{0} : 0x0FF0'1234'FFFF'0001; };
    const auto some = [](std::string_view id) { return id.back() != '3'; };
    BatchScan<> batch;
    for (const Metric metric : metrics)
        for (const std::size_t n : {1u, 3u, 16u, 35u}) {
            const Rows queries(n, 31, static_cast<unsigned>(n));
            std::vector<float> flat;
            for (std::size_t j = 0; j < n; ++j)
                flat.insert(flat.end(), queries.vector(j).begin(), queries.vector(j).end());
            batch.prepare(flat, 31, 10, metric);
            const std::size_t scored = batch.scan(blocks_of(rows, 64, mask), ids, some);
            REQUIRE(batch.size() == n);
            for (std::size_t j = 0; j < n; ++j) {
                TopK<> top(10, metric);
                CHECK(scored == n * scan_rows(PreparedQuery(queries.vector(j), metric), blocks_of(rows, 64, mask), top,
                                              ids, some));
                const auto expected = top.sorted(ids);
                const auto got = batch.top(j).sorted(ids);
                CHECK(slots_of(got) == slots_of(expected));
                for (std::size_t i = 0; i < got.size() && i < expected.size(); ++i)
                    CHECK(bits(got[i].score) == bits(expected[i].score));
            }
        }
}

TEST_CASE("an_empty_batch_or_a_k_of_zero_scans_nothing") {
    const Rows rows(10, 4, 19);
    const Ids ids(10);
    BatchScan<> batch({}, 4, 10, Metric::cosine);
    CHECK(batch.scan(blocks_of(rows, 64, all_rows), ids) == 0);
    batch.prepare(rows.vector(0), 4, 0, Metric::cosine);
    CHECK(batch.scan(blocks_of(rows, 64, all_rows), ids) == 0);
    CHECK(batch.top(0).sorted(ids).empty());
}
