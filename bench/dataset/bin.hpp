// fbin, f16bin, u8bin, i8bin, ibin: the formats of big-ann-benchmarks.
#pragma once

#include "dataset/format.hpp"
#include "dataset/matrix.hpp"

#include <filesystem>

namespace hotindex::bench {

/// `format` is fbin, f16bin, u8bin, i8bin or ibin. DatasetError for a bad file, InvalidArgument for bad options.
[[nodiscard]] Matrix<float> read_bin(const std::filesystem::path& file, Format format, const ReadOptions& options = {});

} // namespace hotindex::bench
