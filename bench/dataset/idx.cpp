// IDX, the format of MNIST (http://yann.lecun.com/exdb/mnist): two zero bytes, a type code, the number of dimensions,
// then each dimension's size as a big-endian uint32, then the values, big-endian, last dimension fastest.
#include "dataset/idx.hpp"

#include "dataset/block.hpp"

#include <fmt/format.h>

#include <array>
#include <vector>

namespace hotindex::bench {

namespace {

[[nodiscard]] std::optional<Element> element_of(std::byte code) noexcept {
    switch (std::to_integer<unsigned>(code)) {
    case 0x08:
        return Element::u8;
    case 0x09:
        return Element::i8;
    case 0x0B:
        return Element::i16;
    case 0x0C:
        return Element::i32;
    case 0x0D:
        return Element::f32;
    case 0x0E:
        return Element::f64;
    default:
        return std::nullopt;
    }
}

} // namespace

Matrix<float> read_idx(const std::filesystem::path& file, const ReadOptions& options) {
    check_options(options);
    ByteStream stream(file);
    std::array<std::byte, 4> magic{};
    stream.read(magic, "the IDX header");
    if (magic[0] != std::byte{0} || magic[1] != std::byte{0})
        stream.fail(0,
                    fmt::format("an IDX file begins with two zero bytes, this one with {:02x} {:02x}",
                                std::to_integer<unsigned>(magic[0]), std::to_integer<unsigned>(magic[1])),
                    "the file is damaged or of another format");
    const auto element = element_of(magic[2]);
    if (!element)
        stream.fail(2, fmt::format("unknown IDX type code 0x{:02x}", std::to_integer<unsigned>(magic[2])),
                    "known are 08 (uint8), 09 (int8), 0b (int16), 0c (int32), 0d (float32), 0e (float64)");
    const auto dimensions = std::to_integer<std::size_t>(magic[3]);
    if (dimensions < 2)
        stream.fail(
            3,
            fmt::format("the array has {} dimension{}, vectors need 2 or more", dimensions, dimensions == 1 ? "" : "s"),
            "give the file with the vectors (of MNIST the images, not the labels)");
    std::vector<std::uint64_t> sizes(dimensions);
    for (auto& size : sizes) {
        std::array<std::byte, 4> bytes{};
        stream.read(bytes, "the IDX header");
        size = decode<std::uint32_t>(bytes.data(), std::endian::big);
    }
    const auto columns = product(std::span(sizes).subspan(1));
    if (!columns)
        stream.fail(8, "the sizes of the dimensions overflow 64 bits", "the header is damaged: get the file again");
    return read_block(stream, {.element = *element, .order = std::endian::big, .rows = sizes[0], .columns = *columns},
                      4, options);
}

} // namespace hotindex::bench
