#include "dataset/direction.hpp"

#include "dataset/error.hpp"
#include "dataset/metrics.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace hotindex::bench {

namespace {

struct LeftOut {
    std::vector<std::size_t> zero;         ///< rows of zeros
    std::vector<std::size_t> out_of_range; ///< rows whose norm is too small or too large for float arithmetic

    [[nodiscard]] std::size_t count() const noexcept { return zero.size() + out_of_range.size(); }
};

/// Takes the rows out of `values` that an index under cosine refuses, and says which were kept.
[[nodiscard]] LeftOut take_out(std::vector<float>& values, std::size_t dimension, std::vector<std::size_t>& kept) {
    IndexOptions index;
    index.dimension = dimension;
    index.metric = Metric::cosine;
    LeftOut left_out;
    for (std::size_t row = 0; row != values.size() / dimension; ++row) {
        const auto vector = std::span<const float>(values).subspan(row * dimension, dimension);
        if (std::ranges::all_of(vector, [](float v) { return v == 0; })) {
            left_out.zero.push_back(row);
            continue;
        }
        try {
            check::vector(vector, index, "vector"); // the index's own word on what has a direction
            kept.push_back(row);
        } catch (const InvalidArgument&) {
            left_out.out_of_range.push_back(row);
        }
    }
    if (left_out.count() == 0)
        return left_out;
    for (std::size_t i = 0; i != kept.size(); ++i)
        std::copy_n(values.begin() + static_cast<std::ptrdiff_t>(kept[i] * dimension), dimension,
                    values.begin() + static_cast<std::ptrdiff_t>(i * dimension));
    values.resize(kept.size() * dimension);
    return left_out;
}

/// "a.hdf5: row 17 of 'train' is all zeros, which have no direction to compare by cosine: left out".
void note(Dataset& dataset, const std::filesystem::path& file, std::string_view table, std::size_t first,
          const std::vector<std::size_t>& rows, std::string_view one, std::string_view several) {
    if (rows.empty())
        return;
    constexpr std::size_t named = 10;
    std::vector<std::size_t> shown(rows.begin(),
                                   rows.begin() + static_cast<std::ptrdiff_t>(std::min(named, rows.size())));
    for (std::size_t& row : shown)
        row += first;
    dataset.notes.push_back(
        rows.size() == 1 ? fmt::format("{}: row {} of {} {}: left out", file.string(), shown.front(), table, one)
                         : fmt::format("{}: {} rows of {} {}: left out ({}{})", file.string(), rows.size(), table,
                                       several, fmt::join(shown, ", "), rows.size() > named ? ", ..." : ""));
}

void note(Dataset& dataset, const std::filesystem::path& file, std::string_view table, std::size_t first,
          const LeftOut& rows) {
    note(dataset, file, table, first, rows.zero, "is all zeros, which have no cosine similarity",
         "are all zeros, which have no cosine similarity");
    note(dataset, file, table, first, rows.out_of_range,
         "has a norm beyond float arithmetic, and so no cosine similarity",
         "have norms beyond float arithmetic, and so no cosine similarity");
}

/// Queries of the truth that remain, and of their ids those of rows that remain: the best of what is there, in order.
/// All lists keep the length of the shortest.
void adjust(GroundTruth& truth, const std::vector<std::size_t>& kept_queries, std::vector<std::size_t> left_out_rows) {
    std::ranges::sort(left_out_rows);
    const auto gone = [&](std::int32_t id) {
        return std::ranges::binary_search(left_out_rows, static_cast<std::size_t>(id));
    };
    std::vector<std::vector<std::size_t>> lists; // positions in the truth
    std::size_t k = truth.k;
    for (const std::size_t query : kept_queries) {
        std::vector<std::size_t> list;
        for (std::size_t at = query * truth.k; at != (query + 1) * truth.k; ++at)
            if (!gone(truth.ids[at]))
                list.push_back(at);
        k = std::min(k, list.size());
        lists.push_back(std::move(list));
    }
    GroundTruth adjusted;
    adjusted.queries = lists.size();
    adjusted.k = k;
    for (const auto& list : lists)
        for (std::size_t rank = 0; rank != k; ++rank) {
            adjusted.ids.push_back(truth.ids[list[rank]]);
            if (!truth.scores.empty())
                adjusted.scores.push_back(truth.scores[list[rank]]);
        }
    truth = std::move(adjusted);
}

void refuse_nothing_left(const std::filesystem::path& file, std::string_view table, const LeftOut& rows,
                         std::string_view remedy) {
    throw DatasetError(
        file, std::nullopt,
        fmt::format("no row of {} ({} rows) has a cosine similarity: {}", table, rows.count(),
                    rows.out_of_range.empty() ? "all are zeros" : "their norms are 0 or beyond float arithmetic"),
        remedy);
}

} // namespace

void leave_out_rows_without_direction(Dataset& dataset, const Origin& origin) {
    std::vector<std::size_t> kept_rows;
    std::vector<std::size_t> kept_queries;
    const std::size_t rows = dataset.base_rows();
    const std::size_t queries = dataset.query_rows();
    LeftOut base = take_out(dataset.base, dataset.dimension, kept_rows);
    const LeftOut asked = take_out(dataset.queries, dataset.dimension, kept_queries);
    const std::string another_metric =
        fmt::format("compare by another metric: {}", metrics_in_words("--metric=", Metric::cosine));
    if (kept_rows.empty() && rows != 0)
        refuse_nothing_left(origin.base_file, origin.base_table, base, another_metric);
    if (kept_queries.empty() && queries != 0)
        refuse_nothing_left(
            origin.query_file, origin.query_table, asked,
            origin.first_query == 0
                ? std::string_view(another_metric)
                : "they are the file's last rows: leave its end out with --rows=N, or give another --metric");
    if (base.count() + asked.count() == 0)
        return;
    note(dataset, origin.base_file, origin.base_table, 0, base);
    note(dataset, origin.query_file, origin.query_table, origin.first_query, asked);
    dataset.source += fmt::format("; without a direction and left out: {} of the base, {} of the queries", base.count(),
                                  asked.count());
    if (base.count() != 0)
        dataset.file_rows = std::move(kept_rows);
    if (!dataset.ground_truth)
        return;
    base.zero.insert(base.zero.end(), base.out_of_range.begin(), base.out_of_range.end());
    const std::size_t k = dataset.ground_truth->k;
    adjust(*dataset.ground_truth, kept_queries, std::move(base.zero));
    if (dataset.ground_truth->k == 0)
        dataset.ground_truth.reset();
    if (const std::size_t left = dataset.ground_truth ? dataset.ground_truth->k : 0; left != k)
        dataset.notes.push_back(
            fmt::format("{}: the ground truth names rows that are left out: {} of {} ids a query remain",
                        origin.base_file.string(), left, k));
}

} // namespace hotindex::bench
