// The bytes of a dataset file, plain or gzip, and how numbers are taken from them. For the format readers only.
#pragma once

#include "dataset/error.hpp"

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
#include <string>
#include <string_view>

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
    /// Bytes from here to the end at most: what a header announces is compared with it before memory is reserved.
    [[nodiscard]] std::uint64_t most_remaining() const noexcept;
    /// "only 12 bytes follow", "the 30 compressed bytes of the file hold at most 30960": most_remaining in words.
    [[nodiscard]] std::string what_remains() const;
    /// The first bytes of the content (fewer if the file is shorter); reading is not affected.
    [[nodiscard]] std::span<const std::byte> head() const noexcept { return {head_.data(), head_size_}; }

    /// Reads until `target` is full or the data ends; returns the bytes read.
    std::size_t read_up_to(std::span<std::byte> target);
    /// Reads all of `target`; `what` is named when the data ends before.
    void read(std::span<std::byte> target, std::string_view what);
    /// Refuses a file that cannot hold so many bytes from here on: ask before memory is reserved for them.
    void expect(std::uint64_t size, std::string_view what) const;
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

} // namespace hotindex::bench
