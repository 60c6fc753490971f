// What is wrong with a dataset file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string_view>

namespace hotindex::bench {

/// A file that cannot be used. The message has the file, the byte (where one is to blame), the reason and the remedy:
/// "x.fvecs: at byte 516: row 1 has dimension 7, row 0 has 128; ...".
class DatasetError : public std::runtime_error {
  public:
    /// `whence` follows the offset in the message, for example " of the decompressed data".
    DatasetError(const std::filesystem::path& file, std::optional<std::uint64_t> offset, std::string_view reason,
                 std::string_view remedy, std::string_view whence = {});

    [[nodiscard]] const std::filesystem::path& file() const noexcept { return file_; }
    /// Byte in the file, in the decompressed data if it is compressed.
    [[nodiscard]] std::optional<std::uint64_t> offset() const noexcept { return offset_; }

  private:
    std::filesystem::path file_;
    std::optional<std::uint64_t> offset_;
};

inline constexpr std::string_view again_remedy = "the file is incomplete or damaged: get it again";
inline constexpr std::string_view fewer_rows_remedy = "read only the first rows: --rows=N";

/// What is wrong with a path before a byte of it was read: nothing there, a directory, a pipe, no permission.
void check_is_file(const std::filesystem::path& file);

} // namespace hotindex::bench
