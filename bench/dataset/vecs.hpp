// fvecs, bvecs, ivecs: the formats of the TEXMEX corpus.
#pragma once

#include "dataset/matrix.hpp"

#include <cstdint>
#include <filesystem>

namespace hotindex::bench {

/// DatasetError for a bad file, InvalidArgument for bad options.
[[nodiscard]] Matrix<float> read_fvecs(const std::filesystem::path& file, const ReadOptions& options = {});
[[nodiscard]] Matrix<float> read_bvecs(const std::filesystem::path& file, const ReadOptions& options = {});
[[nodiscard]] Matrix<std::int32_t> read_ivecs(const std::filesystem::path& file, const ReadOptions& options = {});

} // namespace hotindex::bench
