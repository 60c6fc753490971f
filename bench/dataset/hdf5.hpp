// HDF5 files as ann-benchmarks writes them. For the dataset loader only.
#pragma once

#include "dataset/matrix.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace hotindex::bench {

struct Hdf5Contents {
    Matrix<float> train;
    std::optional<Matrix<float>> test;
    std::optional<Matrix<std::int64_t>> neighbors; ///< row numbers of train
    std::optional<Matrix<float>> distances;
};

/// The file's attribute `distance`: "angular", "euclidean", ... Read by itself, because sets and bits, which cannot be
/// read, are named there.
[[nodiscard]] std::optional<std::string> read_hdf5_distance(const std::filesystem::path& file);

/// Everything (`whole`), or only train. `options` bounds the rows of train, `test_options` the rows of the others.
[[nodiscard]] Hdf5Contents read_hdf5(const std::filesystem::path& file, const ReadOptions& options,
                                     const ReadOptions& test_options, bool whole);

} // namespace hotindex::bench
