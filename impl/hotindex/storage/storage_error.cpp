#include <hotindex/storage/storage_error.hpp>

#include <fmt/format.h>

#include <string>

namespace hotindex {

namespace {
std::string in_words(const std::optional<ByteRange>& bytes) {
    if (!bytes)
        return {};
    if (bytes->first == bytes->last)
        return fmt::format("byte {}: ", bytes->first);
    return fmt::format("bytes {} to {}: ", bytes->first, bytes->last);
}
} // namespace

StorageError::StorageError(const std::filesystem::path& path, std::optional<ByteRange> bytes, std::string_view reason,
                           std::string_view remedy)
    : std::runtime_error(fmt::format("{}: {}{}; {}", path.string(), in_words(bytes), reason, remedy)), path_(path),
      bytes_(bytes) {}

} // namespace hotindex
