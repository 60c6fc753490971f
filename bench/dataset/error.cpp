#include "dataset/error.hpp"

#include <fmt/format.h>

#include <system_error>

namespace hotindex::bench {

DatasetError::DatasetError(const std::filesystem::path& file, std::optional<std::uint64_t> offset,
                           std::string_view reason, std::string_view remedy, std::string_view whence)
    : std::runtime_error(offset
                             ? fmt::format("{}: at byte {}{}: {}; {}", file.string(), *offset, whence, reason, remedy)
                             : fmt::format("{}: {}; {}", file.string(), reason, remedy)),
      file_(file), offset_(offset) {}

void check_is_file(const std::filesystem::path& file) {
    namespace fs = std::filesystem;
    std::error_code error;
    const auto refuse = [&](std::string_view reason, std::string_view remedy) {
        throw DatasetError(file, std::nullopt, reason, remedy);
    };
    switch (fs::status(file, error).type()) {
    case fs::file_type::regular:
        return;
    case fs::file_type::not_found:
        if (std::error_code ignored; fs::is_symlink(fs::symlink_status(file, ignored)))
            refuse("this link points to nothing", "check where it points");
        refuse("there is no such file", "check the path");
        return;
    case fs::file_type::directory:
        refuse("this is a directory", "give one of the files in it");
        return;
    case fs::file_type::fifo:
        refuse("this is a pipe, and a dataset is read more than once", "save what it delivers to a file first");
        return;
    case fs::file_type::none:
        refuse(fmt::format("the file cannot be looked at ({})", error.message()), "check the folders' permissions");
        return;
    default:
        refuse("this is a device or a socket", "give the path of a file");
    }
}

} // namespace hotindex::bench
