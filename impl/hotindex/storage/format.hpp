// The format of a saved state, byte by byte. Version 1.
//
// Numbers are little endian, floats are IEEE 754 binary32. A header, then blocks until the file ends:
//
//   header, 64 bytes                         block, from a byte that is a multiple of 4
//    0   8  89 48 49 58 0d 0a 1a 0a           0       4  n, the vectors in it: 1 or more
//    8   4  version: 1                        4       4  i, the bytes of their ids together
//   12   4  d, the dimension                  8       8  how many vectors come before it in the file
//   16   8  vectors in the file              16     4dn  the vectors, d floats each, one after the other
//   24   8  bytes in the file                        4n  the length of each id, in bytes: 1 or more
//   32  24  the metric's name, then zeros             i  the ids, one after the other
//   56   4  what ids are: 0 strings, 1 integers    0..3  zeros, up to a multiple of 4
//   60   4  CRC-32 of bytes 0 to 59                   4  CRC-32 of the block up to here
//
// CRC-32 is that of zlib, gzip and PNG; in Python: zlib.crc32. A block has at most block_bytes bytes before its
// checksum, or one vector. An integer is an id of 8 bytes. No id is there twice; vectors are what add_vector accepts.
// They are in no particular order.
//
// Why so. The first eight bytes are those of PNG with other letters: what turns line ends or drops the eighth bit shows
// in them. Whatever is cut off, appended, overwritten or exchanged is noticed, and where: by the sizes in the header,
// the numbers in the blocks, a checksum for every megabyte. A reader needs memory for one block, and knows before it
// takes any that the file has the bytes. The metric stands there by its name, so that its number may change.
#pragma once

#include <hotindex/search/metric.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace hotindex::format {

inline constexpr std::array<unsigned char, 8> magic{0x89, 'H', 'I', 'X', '\r', '\n', 0x1a, '\n'};
inline constexpr std::uint32_t version = 1;
inline constexpr std::size_t header_bytes = 64;
inline constexpr std::size_t metric_bytes = 24;
inline constexpr std::size_t block_head_bytes = 16;
inline constexpr std::size_t checksum_bytes = 4;
inline constexpr std::uint64_t block_bytes = 1u << 20;

/// Where the header's fields begin.
namespace at {
inline constexpr std::size_t version = 8, dimension = 12, vectors = 16, bytes = 24, metric = 32, ids = 56,
                             checksum = 60;
}

/// What ids are; in the file by its number.
enum class Ids : std::uint32_t { strings = 0, integers = 1 };
[[nodiscard]] constexpr std::string_view name_of(Ids ids) noexcept {
    return ids == Ids::integers ? "integers" : "strings";
}
/// How an id lies in a file.
template <class Id>
struct StoredId;
template <>
struct StoredId<std::string> {
    static constexpr Ids kind = Ids::strings;
    [[nodiscard]] static std::string_view to_bytes(std::string_view id) noexcept { return id; }
    [[nodiscard]] static std::string_view from_bytes(std::string_view bytes) noexcept { return bytes; }
};
template <>
struct StoredId<std::uint64_t> {
    static constexpr Ids kind = Ids::integers;
    [[nodiscard]] static std::string to_bytes(std::uint64_t id) {
        return {reinterpret_cast<const char*>(&id), sizeof id};
    }
    /// Of 8 bytes.
    [[nodiscard]] static std::uint64_t from_bytes(std::string_view bytes) noexcept {
        std::uint64_t id = 0;
        std::memcpy(&id, bytes.data(), sizeof id);
        return id;
    }
};

/// What the header says.
struct Header {
    std::uint32_t dimension = 0;
    Metric metric = Metric::cosine;
    Ids ids = Ids::strings;
    std::uint64_t vectors = 0;
    std::uint64_t bytes = 0; ///< of the whole file
};

using HeaderBytes = std::array<std::byte, header_bytes>;
[[nodiscard]] HeaderBytes encode(const Header& header);

/// What a block begins with.
struct BlockHead {
    std::uint32_t vectors = 0;
    std::uint32_t id_bytes = 0;
    std::uint64_t before = 0; ///< vectors in earlier blocks
};
static_assert(sizeof(BlockHead) == block_head_bytes);

/// Zeros after so many bytes of ids.
[[nodiscard]] constexpr std::uint64_t padding(std::uint64_t id_bytes) noexcept {
    return (4 - id_bytes % 4) % 4;
}
/// Bytes of a block before its checksum. vectors and id_bytes below 2^32, dimension at most max_dimension.
[[nodiscard]] constexpr std::uint64_t body_bytes(std::uint64_t vectors, std::uint64_t id_bytes,
                                                 std::uint64_t dimension) noexcept {
    return block_head_bytes + vectors * (dimension + 1) * 4 + id_bytes + padding(id_bytes);
}

/// Of these bytes; `before` is that of the bytes before them.
[[nodiscard]] std::uint32_t checksum(std::span<const std::byte> bytes, std::uint32_t before = 0) noexcept;

} // namespace hotindex::format
