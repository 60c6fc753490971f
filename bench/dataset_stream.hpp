// The bytes of a dataset file, plain or gzip, and how numbers are taken from them. Shared by the format readers only.
#pragma once

#include "dataset.hpp"

#include <zlib.h>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

namespace hotindex::bench {

/// A file read from front to back through zlib, which passes uncompressed files through. Offsets count decompressed
/// bytes. Errors are DatasetError.
class ByteStream {
  public:
    explicit ByteStream(std::filesystem::path file);

    [[nodiscard]] const std::filesystem::path& file() const noexcept { return file_; }
    [[nodiscard]] bool compressed() const noexcept { return compressed_; }
    [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }
    /// Bytes from here to the end; not known of a compressed file.
    [[nodiscard]] std::optional<std::uint64_t> remaining() const noexcept;
    /// The first bytes of the content (fewer if the file is shorter); reading is not affected.
    [[nodiscard]] std::span<const std::byte> head() const noexcept { return {head_.data(), head_size_}; }

    /// Reads until `target` is full or the data ends; returns the bytes read.
    std::size_t read_up_to(std::span<std::byte> target);
    /// Reads all of `target`; `what` is named when the data ends before.
    void read(std::span<std::byte> target, std::string_view what);
    /// Refuses data after the end of what the header announced. Reading to the end also verifies a gzip file's
    /// checksum.
    void expect_end();

    [[noreturn]] void fail(std::uint64_t offset, std::string_view reason, std::string_view remedy) const;
    [[noreturn]] void fail_cut_off(std::uint64_t offset, std::string_view reason) const;

  private:
    struct Close {
        void operator()(gzFile_s* handle) const noexcept { gzclose_r(handle); }
    };

    std::filesystem::path file_;
    std::uint64_t size_ = 0; ///< on disk
    std::unique_ptr<gzFile_s, Close> handle_;
    std::uint64_t offset_ = 0;
    std::array<std::byte, 8> head_{};
    std::size_t head_size_ = 0;
    bool compressed_ = false;
};

/// The number stored at `bytes` (sizeof(T) of them) in the given byte order.
template <class T>
[[nodiscard]] T decode(const std::byte* bytes, std::endian order) noexcept {
    std::array<std::byte, sizeof(T)> native;
    for (std::size_t i = 0; i != sizeof(T); ++i)
        native[i] = bytes[order == std::endian::native ? i : sizeof(T) - 1 - i];
    return std::bit_cast<T>(native);
}

/// Number types found in files.
enum class Element : std::uint8_t { u8, i8, u16, i16, u32, i32, u64, i64, f32, f64 };

/// rows x columns numbers of one type, one after the other from the stream's offset to its end.
struct Block {
    Element element = Element::f32;
    std::endian order = std::endian::little;
    std::uint64_t rows = 0;
    std::uint64_t columns = 0;
};

/// Checks max_rows; InvalidArgument.
void check_options(const ReadOptions& options);

/// rows x columns x 4 bytes must not overflow nor exceed max_bytes; columns must be 1 to max_dimension, rows at
/// least 1. `offset` is where the sizes stand in the file.
void check_shape(const ByteStream& stream, std::uint64_t offset, std::uint64_t rows, std::uint64_t columns,
                 const ReadOptions& options);

/// The block as floats, checked against the data that is there. `header` is the offset of the header's sizes.
[[nodiscard]] Matrix<float> read_block(ByteStream& stream, const Block& block, std::uint64_t header,
                                       const ReadOptions& options);

/// Multiplies the sizes of an array's dimensions from `first` on; nothing if the product does not fit 64 bits.
[[nodiscard]] std::optional<std::uint64_t> product(std::span<const std::uint64_t> sizes);

/// Reason and remedy for a value that is not finite.
[[nodiscard]] std::string not_finite(double value, std::uint64_t row, std::uint64_t column);
inline constexpr std::string_view not_finite_remedy =
    "give finite numbers within the range of float32 (remove or replace such rows)";
inline constexpr std::string_view again_remedy = "the file is incomplete or damaged: get it again";

} // namespace hotindex::bench
