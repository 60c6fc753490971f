// Vectors to index and to ask for.
#pragma once

#include "dataset/ground_truth.hpp"

#include <hotindex/vector_index.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace hotindex::bench {

struct Dataset {
    std::string name;           ///< short, for benchmark names: the file's name without extensions, or the generator's
    std::size_t dimension = 0;  ///< floats in a row
    std::vector<float> base;    ///< the vectors to index, row after row
    std::vector<float> queries; ///< the vectors to ask for, row after row; disjoint from the base rows
    std::optional<Metric> metric;            ///< what they are compared by, if anybody has said so
    std::optional<GroundTruth> ground_truth; ///< for these queries in this base
    std::string source;                      ///< where it comes from and what was done to it, in words
    std::vector<std::size_t> file_rows;      ///< when rows were left out: which row of the file each base row is
    std::vector<std::string> notes;          ///< what a user should know: file, table and row of what was left out

    [[nodiscard]] std::size_t base_rows() const noexcept { return dimension == 0 ? 0 : base.size() / dimension; }
    [[nodiscard]] std::size_t query_rows() const noexcept { return dimension == 0 ? 0 : queries.size() / dimension; }
    /// The number that a ground truth has for the i-th base row.
    [[nodiscard]] std::size_t file_row(std::size_t i) const { return file_rows.empty() ? i : file_rows[i]; }
    [[nodiscard]] std::span<const float> base_row(std::size_t i) const {
        return std::span<const float>(base).subspan(i * dimension, dimension);
    }
    [[nodiscard]] std::span<const float> query_row(std::size_t i) const {
        return std::span<const float>(queries).subspan(i * dimension, dimension);
    }
};

/// FNV-1a (64 bits) over the values as little-endian bytes: says in a result file which vectors were measured.
[[nodiscard]] std::uint64_t checksum(std::span<const float> values) noexcept;

} // namespace hotindex::bench
