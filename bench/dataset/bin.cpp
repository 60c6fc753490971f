// fbin, f16bin, u8bin, i8bin, ibin: the formats of big-ann-benchmarks and cuVS. Little-endian: uint32 number of rows,
// uint32 dimension, then the rows.
#include "dataset/bin.hpp"

#include "dataset/block.hpp"

#include <hotindex/vector_index.hpp>

#include <fmt/format.h>

#include <array>

namespace hotindex::bench {

namespace {

[[nodiscard]] Element element_of(Format format) {
    switch (format) {
    case Format::fbin:
        return Element::f32;
    case Format::f16bin:
        return Element::f16;
    case Format::u8bin:
        return Element::u8;
    case Format::i8bin:
        return Element::i8;
    case Format::ibin:
        return Element::i32;
    default:
        throw InvalidArgument(
            fmt::format("read_bin does not read {}; give fbin, f16bin, u8bin, i8bin or ibin", name_of(format)));
    }
}

} // namespace

Matrix<float> read_bin(const std::filesystem::path& file, Format format, const ReadOptions& options) {
    const Element element = element_of(format);
    check_options(options);
    ByteStream stream(file);
    std::array<std::byte, 8> header{};
    stream.read(header, fmt::format("the {} header", name_of(format)));
    return read_block(stream,
                      {.element = element,
                       .order = std::endian::little,
                       .rows = decode<std::uint32_t>(header.data(), std::endian::little),
                       .columns = decode<std::uint32_t>(header.data() + 4, std::endian::little)},
                      0, options);
}

} // namespace hotindex::bench
