#include "dataset/ground_truth.hpp"

#include "dataset/error.hpp"
#include "dataset/vecs.hpp"

#include <fmt/format.h>

#include <utility>

namespace hotindex::bench {

void check_ground_truth(const GroundTruth& truth, std::size_t base_rows, std::size_t query_rows,
                        const std::filesystem::path& file) {
    if (truth.queries != query_rows)
        throw DatasetError(
            file, std::nullopt,
            fmt::format("the ground truth is for {} queries, the dataset has {}", truth.queries, query_rows),
            "give the ground truth of these queries");
    for (std::size_t i = 0; i != truth.ids.size(); ++i)
        if (truth.ids[i] < 0 || static_cast<std::size_t>(truth.ids[i]) >= base_rows)
            throw DatasetError(
                file, std::nullopt,
                fmt::format("the ground truth of query {} names row {} at position {}, but the base has {} "
                            "rows",
                            i / truth.k, truth.ids[i], i % truth.k, base_rows),
                "give the ground truth of this base");
}

GroundTruth load_ground_truth(const std::filesystem::path& ids, const std::optional<std::filesystem::path>& scores,
                              const ReadOptions& options) {
    GroundTruth truth;
    auto id_rows = read_ivecs(ids, options);
    truth.queries = id_rows.rows;
    truth.k = id_rows.columns;
    truth.ids = std::move(id_rows.values);
    for (std::size_t i = 0; i != truth.ids.size(); ++i)
        if (truth.ids[i] < 0)
            throw DatasetError(
                ids, (i / truth.k) * 4 * (truth.k + 1) + 4 * (i % truth.k + 1),
                fmt::format("row {} has the id {} at position {}", i / truth.k, truth.ids[i], i % truth.k),
                "ids are row numbers, 0 or more");
    if (scores) {
        auto score_rows = read_fvecs(*scores, options);
        if (score_rows.rows != truth.queries || score_rows.columns != truth.k)
            throw DatasetError(*scores, std::nullopt,
                               fmt::format("there are {} rows of {} scores for {} rows of {} ids in {}",
                                           score_rows.rows, score_rows.columns, truth.queries, truth.k, ids.string()),
                               "give the two files of one ground truth");
        truth.scores = std::move(score_rows.values);
    }
    return truth;
}

} // namespace hotindex::bench
