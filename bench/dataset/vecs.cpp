// fvecs, bvecs, ivecs: the formats of the TEXMEX corpus (http://corpus-texmex.irisa.fr). No file header; each row is a
// little-endian int32 dimension, the same in all rows, then so many float32, uint8 or int32.
#include "dataset/vecs.hpp"

#include "dataset/stream.hpp"

#include <hotindex/vector_index.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace hotindex::bench {

namespace {

constexpr std::size_t prefix = sizeof(std::uint32_t);

[[nodiscard]] std::uint32_t swapped(std::uint32_t value) noexcept {
    return (value >> 24) | ((value >> 8) & 0xFF00u) | ((value << 8) & 0xFF0000u) | (value << 24);
}

[[nodiscard]] std::uint32_t checked_dimension(const ByteStream& stream) {
    if (stream.head().size() < prefix)
        stream.fail_cut_off(0, fmt::format("the file has only {} bytes", stream.head().size()));
    const auto dimension = decode<std::uint32_t>(stream.head().data(), std::endian::little);
    if (dimension >= 1 && dimension <= max_dimension)
        return dimension;
    const std::uint32_t other = swapped(dimension);
    const auto hint =
        other >= 1 && other <= max_dimension ? fmt::format(" (as a big-endian number it would be {})", other) : "";
    stream.fail(
        0, fmt::format("row 0 has dimension {}{}", static_cast<std::int32_t>(dimension), hint),
        fmt::format("dimensions 1 to {} are supported, little-endian; otherwise the file is damaged or of another "
                    "format",
                    max_dimension));
}

/// Stored: the type in the file; Value: the type in the matrix.
template <class Stored, class Value>
[[nodiscard]] Matrix<Value> read_vecs(const std::filesystem::path& file, const ReadOptions& options) {
    check_options(options);
    ByteStream stream(file);
    const std::uint32_t dimension = checked_dimension(stream);
    const std::size_t row_bytes = prefix + dimension * sizeof(Stored);
    const std::uint64_t wanted = options.max_rows.value_or(~std::size_t{0});
    const std::uint64_t affordable = options.max_bytes / sizeof(Value) / dimension;

    Matrix<Value> matrix;
    matrix.columns = dimension;
    if (const auto there = stream.remaining()) {
        const std::uint64_t rows = std::min(wanted, *there / row_bytes);
        matrix.values.reserve(static_cast<std::size_t>(std::min(rows, affordable)) * dimension);
    }

    stream.expect(row_bytes, "row 0");
    std::vector<std::byte> bytes(row_bytes);
    while (true) {
        const std::uint64_t start = stream.offset();
        const std::size_t got = stream.read_up_to(bytes);
        if (got == 0)
            break;
        if (matrix.rows == wanted) {
            matrix.cut = true;
            break;
        }
        if (got >= prefix) {
            const auto own = decode<std::uint32_t>(bytes.data(), std::endian::little);
            if (own != dimension)
                stream.fail(start,
                            fmt::format("row {} has dimension {}, row 0 has {}", matrix.rows,
                                        static_cast<std::int32_t>(own), dimension),
                            "all rows must have the same dimension: the file is damaged or of another format");
        }
        if (got != row_bytes)
            stream.fail_cut_off(
                start, fmt::format("row {} is cut off: {} of {} bytes are there", matrix.rows, got, row_bytes));
        if (matrix.rows == affordable)
            stream.fail(start,
                        fmt::format("more than {} rows of {} values need more than {} bytes of memory", matrix.rows,
                                    dimension, options.max_bytes),
                        fewer_rows_remedy);
        for (std::uint32_t i = 0; i != dimension; ++i) {
            const std::size_t at = prefix + i * sizeof(Stored);
            const auto value = decode<Stored>(bytes.data() + at, std::endian::little);
            if constexpr (std::is_floating_point_v<Stored>) {
                if (!std::isfinite(value))
                    stream.fail(start + at, not_finite(static_cast<double>(value), matrix.rows, i), not_finite_remedy);
            }
            matrix.values.push_back(static_cast<Value>(value));
        }
        ++matrix.rows;
    }
    return matrix;
}

} // namespace

Matrix<float> read_fvecs(const std::filesystem::path& file, const ReadOptions& options) {
    return read_vecs<float, float>(file, options);
}

Matrix<float> read_bvecs(const std::filesystem::path& file, const ReadOptions& options) {
    return read_vecs<std::uint8_t, float>(file, options);
}

Matrix<std::int32_t> read_ivecs(const std::filesystem::path& file, const ReadOptions& options) {
    return read_vecs<std::int32_t, std::int32_t>(file, options);
}

} // namespace hotindex::bench
