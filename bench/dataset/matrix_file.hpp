// The vectors of a file, whatever its format.
#pragma once

#include "dataset/format.hpp"
#include "dataset/matrix.hpp"

#include <filesystem>

namespace hotindex::bench {

/// By content first, then by extension; DatasetError with the supported formats and the nearest one if neither is
/// known.
[[nodiscard]] Format format_of(const std::filesystem::path& file);

/// The vectors of any supported file as float32 (of an HDF5 file: train).
[[nodiscard]] Matrix<float> read_matrix(const std::filesystem::path& file, const ReadOptions& options = {});
[[nodiscard]] Matrix<float> read_matrix(const std::filesystem::path& file, Format format,
                                        const ReadOptions& options = {});

} // namespace hotindex::bench
