// Scores: kernels against a float64 oracle, and one result for all paths.
#include "catch.hpp"
#include "metric_oracle.hpp"
#include "metrics.hpp"
#include "rows.hpp"

#include <hotindex/search/similarity.hpp>
#include <hotindex/search/top_k.hpp>

#include <hwy/targets.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace {
using namespace hotindex;
using namespace hotindex::tests;

std::vector<std::size_t> all_dimensions() {
    std::vector<std::size_t> all;
    for (std::size_t d = 1; d <= 130; ++d)
        all.push_back(d);
    all.insert(all.end(), {784, 1536});
    return all;
}

struct Expected {
    double score;
    double tolerance; ///< 1e-6 of the sum of the absolute terms
};

Expected oracle(std::span<const float> a, std::span<const float> b, Metric metric) {
    const ExactScore exact = exact_score(a, b, metric);
    return {exact.value, 1e-6 * exact.terms};
}

/// The scores of the selected rows from score_rows_packed(), each at its row's place; 0 for the others.
std::vector<float> unpacked(const PreparedQuery& query, const Rows& rows, std::uint64_t mask) {
    float scores[64] = {};
    std::uint32_t numbers[packed_numbers];
    const kernel::Scored scored =
        score_rows_packed(query, rows.row(0), rows.inverse_norms.data(), 64, mask, scores, numbers);
    std::vector<float> all(64, 0.0F);
    for (std::size_t i = 0; i != (scored.packed ? scored.rows : 64); ++i) {
        const std::size_t row = scored.packed ? numbers[i] : i;
        if ((mask >> row & 1) != 0)
            all[row] = scores[i];
    }
    return all;
}

/// Restores the choice of the instruction set.
struct RestoreTargets {
    RestoreTargets() = default;
    RestoreTargets(const RestoreTargets&) = delete;
    RestoreTargets& operator=(const RestoreTargets&) = delete;
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

TEST_CASE("packed_scores_come_with_the_numbers_of_the_selected_rows_in_order") {
    const Rows rows(64, 20, 8);
    const PreparedQuery query(rows.vector(0), Metric::cosine);
    float scores[64];
    std::uint32_t numbers[packed_numbers];
    for (const std::uint64_t mask : {std::uint64_t{0x8000'0000'0000'0001}, std::uint64_t{0x5555'5555'5555'5555},
                                     std::uint64_t{0xFFFE'0000'7FFF'0000}, std::uint64_t{2}}) {
        const kernel::Scored scored =
            score_rows_packed(query, rows.row(0), rows.inverse_norms.data(), 64, mask, scores, numbers);
        REQUIRE(scored.packed);
        REQUIRE(scored.rows == static_cast<std::uint32_t>(std::popcount(mask)));
        std::uint32_t i = 0;
        for (std::uint64_t left = mask; left != 0; left &= left - 1)
            CHECK(numbers[i++] == static_cast<std::uint32_t>(std::countr_zero(left)));
    }
    // Nearly all of them, or the first ones, stay where they are; bits from the count up are ignored.
    for (const std::uint64_t mask : {~std::uint64_t{0}, ~std::uint64_t{1}, first_rows(5)})
        CHECK_FALSE(score_rows_packed(query, rows.row(0), rows.inverse_norms.data(), 64, mask, scores, numbers).packed);
    CHECK(score_rows_packed(query, rows.row(0), rows.inverse_norms.data(), 7, ~std::uint64_t{0} - 2, scores, numbers)
              .rows == 6);
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
                      // NOLINTNEXTLINE(misc-redundant-expression): each call draws another number
                      random() & random(), random(), random() | random()}) {
                    float scores[64] = {};
                    score_rows(query, rows.row(0), rows.inverse_norms.data(), 64, mask, scores);
                    compare(scores, mask);
                    score_rows(near, rows.row(0), rows.inverse_norms.data(), 64, mask, scores);
                    compare(scores, mask);
                    compare(unpacked(query, rows, mask).data(), mask);
                    compare(unpacked(near, rows, mask).data(), mask);
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
                std::vector<float> tile(std::size_t{5} * 64);
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
    CHECK(tested >= std::size(metrics) * 2 * 7); // two instruction sets at least
}

TEST_CASE("rows_outside_the_mask_are_not_read") {
    // Groups of 16: few rows, half, all but one, two; and the first row of all, and of a group, on either side of it.
    for (const std::uint64_t mask :
         {0x0123'FFEF'89AB'C001u, 0x0123'FFEF'89AB'C00Eu, 0x8000'0001'FFFE'FFFEu, 0xFFFE'0000'0000'0000u}) {
        Rows rows(64, 40, 3);
        const auto row = rows.vector(63);
        const std::vector<float> asked(row.begin(), row.end()); // no part of the rows that are spoilt below
        const PreparedQuery query(asked, Metric::cosine);
        float before[64] = {}, after[64] = {}; // what stands for rows of a group without any selected one, stays
        score_rows(query, rows.row(0), rows.inverse_norms.data(), 64, mask, before);
        const std::vector<float> packed = unpacked(query, rows, mask);
        for (std::size_t i = 0; i < 64; ++i)
            if ((mask >> i & 1) == 0) {
                std::fill_n(rows.at + i * rows.stride, rows.stride, std::numeric_limits<float>::quiet_NaN());
                rows.inverse_norms[i] = infinity;
            }
        score_rows(query, rows.row(0), rows.inverse_norms.data(), 64, mask, after);
        const std::vector<float> packed_after = unpacked(query, rows, mask);
        CAPTURE(mask);
        for (std::size_t i = 0; i < 64; ++i) {
            CHECK(((mask >> i & 1) == 0 || bits(before[i]) == bits(after[i])));
            CHECK(after[i] == after[i]);
            CHECK(bits(packed[i]) == bits(packed_after[i]));
        }
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
