// The scan: the rows in its masks, a predicate, and several queries at once.
#include "catch.hpp"
#include "metrics.hpp"
#include "ranking.hpp"
#include "rows.hpp"

#include <hotindex/search/scan.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace {
using namespace hotindex;
using namespace hotindex::tests;

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
} // namespace

TEST_CASE("a_scan_finds_what_sorting_all_scores_finds") {
    const Rows rows(1000, 24, 12);
    const Ids ids(1000);
    for (const Metric metric : metrics) {
        const PreparedQuery query(rows.vector(5), metric, rows.count);
        std::vector<float> scores;
        scores.reserve(rows.count);
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
    scores.reserve(rows.count);
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
