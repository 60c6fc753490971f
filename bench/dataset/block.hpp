// A block of numbers of one type, as IDX, npy and the formats of big-ann-benchmarks have it after their header. For the
// format readers only.
#pragma once

#include "dataset/matrix.hpp"
#include "dataset/stream.hpp"

#include <bit>
#include <cstdint>
#include <optional>
#include <span>

namespace hotindex::bench {

/// Number types found in files.
enum class Element : std::uint8_t { u8, i8, u16, i16, u32, i32, u64, i64, f16, bf16, f32, f64 };

/// rows x columns numbers of one type, one after the other from the stream's offset to its end.
struct Block {
    Element element = Element::f32;
    std::endian order = std::endian::little;
    std::uint64_t rows = 0;
    std::uint64_t columns = 0;
    /// Not empty: Fortran order, the first index fastest; the sizes of all dimensions but the first.
    std::span<const std::uint64_t> fortran{};
};

/// The block as floats: columns 1 to max_dimension, rows at least 1, no more than the file holds, no more memory than
/// max_bytes, all checked before memory is reserved. `header` is the offset of the header's sizes. A file that ends
/// early is read when max_rows asks for no more than is there. Fortran order takes twice the memory while it is read.
[[nodiscard]] Matrix<float> read_block(ByteStream& stream, const Block& block, std::uint64_t header,
                                       const ReadOptions& options);

/// Of the sizes of an array's dimensions; nothing if it does not fit 64 bits.
[[nodiscard]] std::optional<std::uint64_t> product(std::span<const std::uint64_t> sizes);

} // namespace hotindex::bench
