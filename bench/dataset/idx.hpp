// IDX: the format of MNIST.
#pragma once

#include "dataset/matrix.hpp"

#include <filesystem>

namespace hotindex::bench {

/// DatasetError for a bad file, InvalidArgument for bad options.
[[nodiscard]] Matrix<float> read_idx(const std::filesystem::path& file, const ReadOptions& options = {});

} // namespace hotindex::bench
