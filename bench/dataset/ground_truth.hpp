// Which rows answer which query.
#pragma once

#include "dataset/matrix.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

namespace hotindex::bench {

/// The exact answers to the queries: for each query the ids (row numbers of the base) of its k nearest, best first.
struct GroundTruth {
    std::size_t queries = 0;
    std::size_t k = 0;
    std::vector<std::int32_t> ids; ///< queries x k
    /// queries x k scores in the terms of Metric (see Match), or empty when not known. Of an HDF5 file they are
    /// computed from its distances: 1 - distance for angular, distance^2 for euclidean; of files with another name for
    /// their distance they are not known, because writers differ in sign and square.
    std::vector<float> scores;

    [[nodiscard]] std::span<const std::int32_t> ids_of(std::size_t query) const {
        return std::span<const std::int32_t>(ids).subspan(query * k, k);
    }
    [[nodiscard]] std::span<const float> scores_of(std::size_t query) const {
        return std::span<const float>(scores).subspan(query * k, k);
    }
};

/// A pair of files: ids (ivecs) and, if given, scores (fvecs) of the same shape. Ids are checked not to be negative.
[[nodiscard]] GroundTruth load_ground_truth(const std::filesystem::path& ids,
                                            const std::optional<std::filesystem::path>& scores = std::nullopt,
                                            const ReadOptions& options = {});

/// Refuses a ground truth whose ids are not rows of the base, or whose rows are not those of the queries.
void check_ground_truth(const GroundTruth& truth, std::size_t base_rows, std::size_t query_rows,
                        const std::filesystem::path& file);

} // namespace hotindex::bench
