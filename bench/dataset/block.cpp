#include "dataset/block.hpp"

#include <hotindex/vector_index.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

namespace hotindex::bench {

namespace {

constexpr std::size_t chunk_bytes = std::size_t{1} << 20;

/// IEEE 754 binary16: 1 sign bit, 5 exponent bits, 10 fraction bits.
struct Float16 {
    std::uint16_t bits;
};
/// The upper half of a float32.
struct BFloat16 {
    std::uint16_t bits;
};

[[nodiscard]] float to_number(Float16 value) noexcept {
    const std::uint32_t sign = (value.bits & 0x8000u) << 16;
    const std::uint32_t exponent = value.bits >> 10 & 0x1Fu;
    const std::uint32_t fraction = value.bits & 0x3FFu;
    if (exponent == 0) { // zero, or a subnormal number: fraction x 2^-24, exact in float32
        const float magnitude = static_cast<float>(fraction) * 0x1p-24F;
        return sign == 0 ? magnitude : -magnitude;
    }
    const std::uint32_t wider = exponent == 0x1F ? 0xFFu : exponent + (127 - 15);
    return std::bit_cast<float>(sign | wider << 23 | fraction << 13);
}

[[nodiscard]] float to_number(BFloat16 value) noexcept {
    return std::bit_cast<float>(std::uint32_t{value.bits} << 16);
}

template <class T>
requires std::is_arithmetic_v<T>
[[nodiscard]] T to_number(T value) noexcept {
    return value;
}

/// Calls `use` with a value of the element's type.
template <class Use>
auto with_type_of(Element element, Use use) {
    switch (element) {
    case Element::u8:
        return use(std::uint8_t{});
    case Element::i8:
        return use(std::int8_t{});
    case Element::u16:
        return use(std::uint16_t{});
    case Element::i16:
        return use(std::int16_t{});
    case Element::u32:
        return use(std::uint32_t{});
    case Element::i32:
        return use(std::int32_t{});
    case Element::u64:
        return use(std::uint64_t{});
    case Element::i64:
        return use(std::int64_t{});
    case Element::f16:
        return use(Float16{});
    case Element::bf16:
        return use(BFloat16{});
    case Element::f32:
        return use(float{});
    case Element::f64:
        break;
    }
    return use(double{});
}

/// Where in the array the n-th value of the file belongs.
class Places {
  public:
    struct Place {
        std::uint64_t row;
        std::uint64_t column;
    };

    explicit Places(const Block& block) : block_(block) {}

    [[nodiscard]] Place operator()(std::uint64_t n) const noexcept {
        if (block_.fortran.empty())
            return {n / block_.columns, n % block_.columns};
        return {n % block_.rows, column(n / block_.rows)};
    }

    /// In Fortran order the n-th column of the file; here the last index is the fastest, there the second.
    [[nodiscard]] std::uint64_t column(std::uint64_t n) const noexcept {
        std::uint64_t result = 0;
        for (const std::uint64_t size : block_.fortran) {
            result = result * size + n % size;
            n /= size;
        }
        return result;
    }

  private:
    const Block& block_;
};

/// The first `total` values of the block, in the order of the file: each goes to `take` with its number.
template <class T, class Take>
void read_values(ByteStream& stream, const Block& block, std::uint64_t total, Take take) {
    const Places place(block);
    std::vector<std::byte> chunk;
    for (std::uint64_t done = 0; done != total;) {
        const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(total - done, chunk_bytes / sizeof(T)));
        const std::uint64_t start = stream.offset();
        chunk.resize(count * sizeof(T));
        const std::size_t got = stream.read_up_to(chunk);
        if (got != chunk.size()) {
            const std::uint64_t n = done + got / sizeof(T);
            stream.fail_cut_off(start + got,
                                block.fortran.empty()
                                    ? fmt::format("the data ends in row {} of {}", n / block.columns, block.rows)
                                    : fmt::format("the data ends in column {} of {}", n / block.rows, block.columns));
        }
        for (std::size_t i = 0; i != count; ++i) {
            const auto value = to_number(decode<T>(chunk.data() + i * sizeof(T), block.order));
            using Number = std::remove_const_t<decltype(value)>;
            if constexpr (std::is_floating_point_v<Number>) {
                // Converting a double beyond the range of float is undefined, so look first.
                if (!(std::fabs(value) <= static_cast<Number>(std::numeric_limits<float>::max()))) {
                    const auto [row, column] = place(done + i);
                    stream.fail(start + i * sizeof(T), not_finite(static_cast<double>(value), row, column),
                                not_finite_remedy);
                }
            }
            take(done + i, static_cast<float>(value));
        }
        done += count;
    }
}

/// The rows to read. Compares what the header announces with what the file holds, and then with max_bytes.
[[nodiscard]] std::uint64_t checked_rows(const ByteStream& stream, const Block& block, std::uint64_t header,
                                         const ReadOptions& options) {
    if (block.columns == 0 || block.columns > max_dimension)
        stream.fail(
            header, fmt::format("the rows have dimension {}", block.columns),
            fmt::format("dimensions 1 to {} are supported; if that is not the dimension, the file is damaged or of "
                        "another format",
                        max_dimension));
    if (block.rows == 0)
        stream.fail(header, "the file has no rows", "give a file with at least one vector");
    const bool fortran = !block.fortran.empty();
    const std::uint64_t wanted = options.max_rows ? std::min<std::uint64_t>(block.rows, *options.max_rows) : block.rows;
    const std::uint64_t row_bytes =
        block.columns * with_type_of(block.element, [](auto type) { return std::uint64_t{sizeof(type)}; });
    // Divide, do not multiply: the number of rows is the file's word.
    const std::uint64_t there = stream.most_remaining() / row_bytes;
    if (there < (fortran ? block.rows : wanted)) {
        const bool usable = there >= 2 && !fortran && !stream.compressed();
        stream.fail(header,
                    fmt::format("the header announces {} rows of {} bytes, but {}", block.rows, row_bytes,
                                stream.what_remains()),
                    usable ? fmt::format("{}, or read the rows that are there: --rows={}", again_remedy, there)
                           : std::string(again_remedy));
    }
    if (const auto exact = stream.remaining(); exact && there >= block.rows && *exact != block.rows * row_bytes)
        stream.fail(stream.offset() + block.rows * row_bytes,
                    "there is more data after the last value that the header announces",
                    "the header or the file is damaged: get it again");
    if (wanted > options.max_bytes / sizeof(float) / block.columns / (fortran ? 2 : 1))
        stream.fail(header,
                    fmt::format("{} rows of {} floats{} need more than {} bytes of memory", wanted, block.columns,
                                fortran ? ", twice while Fortran order is turned round," : "", options.max_bytes),
                    fewer_rows_remedy);
    return wanted;
}

} // namespace

Matrix<float> read_block(ByteStream& stream, const Block& block, std::uint64_t header, const ReadOptions& options) {
    Matrix<float> matrix;
    matrix.rows = static_cast<std::size_t>(checked_rows(stream, block, header, options));
    matrix.columns = static_cast<std::size_t>(block.columns);
    matrix.cut = matrix.rows < block.rows;
    const bool fortran = !block.fortran.empty();
    std::vector<float> values; // grows as it is read where the file's size is not known
    if (!stream.compressed())
        values.reserve(matrix.rows * matrix.columns);
    with_type_of(block.element, [&]<class T>(T) {
        if (fortran)
            read_values<T>(stream, block, block.rows * block.columns, [&](std::uint64_t n, float value) {
                if (n % block.rows < matrix.rows)
                    values.push_back(value);
            });
        else
            read_values<T>(stream, block, matrix.rows * matrix.columns,
                           [&](std::uint64_t, float value) { values.push_back(value); });
    });
    if (fortran || !matrix.cut)
        stream.expect_end();
    if (!fortran) {
        matrix.values = std::move(values);
        return matrix;
    }
    const Places place(block);
    matrix.values.resize(values.size());
    for (std::size_t n = 0; n != matrix.columns; ++n) {
        const auto column = static_cast<std::size_t>(place.column(n));
        for (std::size_t row = 0; row != matrix.rows; ++row)
            matrix.values[row * matrix.columns + column] = values[n * matrix.rows + row];
    }
    return matrix;
}

std::optional<std::uint64_t> product(std::span<const std::uint64_t> sizes) {
    std::uint64_t result = 1;
    for (const std::uint64_t size : sizes) {
        if (size != 0 && result > std::numeric_limits<std::uint64_t>::max() / size)
            return std::nullopt;
        result *= size;
    }
    return result;
}

} // namespace hotindex::bench
