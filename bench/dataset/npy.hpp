// npy: the format of NumPy.
#pragma once

#include "dataset/matrix.hpp"

#include <filesystem>

namespace hotindex::bench {

/// DatasetError for a bad file, InvalidArgument for bad options.
[[nodiscard]] Matrix<float> read_npy(const std::filesystem::path& file, const ReadOptions& options = {});

} // namespace hotindex::bench
