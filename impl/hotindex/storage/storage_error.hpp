// What is wrong with a saved file, or with the place where it is to be.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string_view>

namespace hotindex {

/// Bytes of a file, the last one included.
struct ByteRange {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

/// A file that cannot be saved or loaded. The message has the path, the bytes (where some are to blame), the reason and
/// the remedy: "x.hix: bytes 64 to 1087: their checksum is 1a2b3c4d, the file says 99aabbcc; ...".
class StorageError : public std::runtime_error {
  public:
    StorageError(const std::filesystem::path& path, std::optional<ByteRange> bytes, std::string_view reason,
                 std::string_view remedy);

    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
    /// The bytes that are wrong; nothing where it is the path, or what the system says of it.
    [[nodiscard]] std::optional<ByteRange> bytes() const noexcept { return bytes_; }

  private:
    std::filesystem::path path_;
    std::optional<ByteRange> bytes_;
};

} // namespace hotindex
