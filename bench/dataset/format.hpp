// The formats of dataset files.
#pragma once

#include <cstdint>
#include <string_view>

namespace hotindex::bench {

enum class Format : std::uint8_t { fvecs, bvecs, ivecs, fbin, f16bin, u8bin, i8bin, ibin, idx, npy, hdf5 };

/// "fvecs", "fbin", ..., "IDX", "npy", "HDF5".
[[nodiscard]] std::string_view name_of(Format format) noexcept;

} // namespace hotindex::bench
