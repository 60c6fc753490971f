#include "dataset/matrix_file.hpp"

#include "command_line/nearest.hpp"
#include "dataset/bin.hpp"
#include "dataset/error.hpp"
#include "dataset/hdf5.hpp"
#include "dataset/idx.hpp"
#include "dataset/npy.hpp"
#include "dataset/stream.hpp"
#include "dataset/vecs.hpp"

#include <hotindex/vector_index.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hotindex::bench {

namespace {

constexpr std::array<std::pair<std::string_view, Format>, 12> extensions{{{"fvecs", Format::fvecs},
                                                                          {"bvecs", Format::bvecs},
                                                                          {"ivecs", Format::ivecs},
                                                                          {"fbin", Format::fbin},
                                                                          {"f16bin", Format::f16bin},
                                                                          {"u8bin", Format::u8bin},
                                                                          {"i8bin", Format::i8bin},
                                                                          {"ibin", Format::ibin},
                                                                          {"idx", Format::idx},
                                                                          {"npy", Format::npy},
                                                                          {"hdf5", Format::hdf5},
                                                                          {"h5", Format::hdf5}}};

/// The file's name in lower case without a final .gz and a .crop_nb_10000000 before it.
[[nodiscard]] std::string plain_name(const std::filesystem::path& file) {
    std::string name = file.filename().string();
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    if (name.ends_with(".gz"))
        name.resize(name.size() - 3);
    if (const auto crop = name.rfind(".crop_nb_"); crop != std::string::npos && crop != 0)
        name.resize(crop);
    return name;
}

/// "images-idx3-ubyte", "images.idx3-ubyte": "idx" and a digit at the start of a word.
[[nodiscard]] bool is_idx_name(std::string_view name) {
    const auto at = name.rfind("idx");
    return at != std::string_view::npos && at != 0 && (name[at - 1] == '-' || name[at - 1] == '.') &&
           at + 3 < name.size() && name[at + 3] >= '0' && name[at + 3] <= '9';
}

[[nodiscard]] std::string extension_of(std::string_view plain_name) {
    const auto dot = plain_name.rfind('.');
    return dot == std::string_view::npos ? "" : std::string(plain_name.substr(dot + 1));
}

[[nodiscard]] Format format_by_name(const std::filesystem::path& file) {
    const std::string name = plain_name(file);
    const std::string extension = extension_of(name);
    for (const auto& [known, format] : extensions)
        if (known == extension)
            return format;
    if (is_idx_name(name))
        return Format::idx;
    std::vector<std::string_view> known;
    known.reserve(extensions.size());
    for (const auto& each : extensions)
        known.push_back(each.first);
    const auto meant = command_line::look_alike(extension, known);
    const std::string hint = meant ? fmt::format("; did you mean .{}?", *meant) : "";
    const std::string reason = extension.empty() ? std::string("the format is not known: the name has no extension")
                                                 : fmt::format("the format is not known: extension '.{}'", extension);
    throw DatasetError(file, std::nullopt, reason,
                       fmt::format("supported are .{} (all but HDF5 also with .gz){}", fmt::join(known, ", ."), hint));
}

[[nodiscard]] bool starts_with(std::span<const std::byte> head, std::string_view magic) {
    return head.size() >= magic.size() &&
           std::equal(magic.begin(), magic.end(), head.begin(),
                      [](char expected, std::byte found) { return static_cast<std::byte>(expected) == found; });
}

/// None of these beginnings is a possible fvecs dimension, so content goes before the name; the one of IDX is a
/// possible fbin number of rows (of 17 million and more).
[[nodiscard]] std::optional<Format> format_by_content(std::span<const std::byte> head) {
    using namespace std::string_view_literals;
    if (starts_with(head, "\x89HDF\r\n\x1a\n"sv))
        return Format::hdf5;
    if (starts_with(head, "\x93NUMPY"sv))
        return Format::npy;
    if (head.size() >= 4 && starts_with(head, "\0\0"sv) && head[3] != std::byte{0} && head[3] < std::byte{16}) {
        const auto code = std::to_integer<unsigned>(head[2]);
        if (code == 0x08 || code == 0x09 || (code >= 0x0B && code <= 0x0E))
            return Format::idx;
    }
    return std::nullopt;
}

[[nodiscard]] Matrix<float> to_float(Matrix<std::int32_t> integers) {
    Matrix<float> matrix;
    matrix.rows = integers.rows;
    matrix.columns = integers.columns;
    matrix.cut = integers.cut;
    matrix.values.assign(integers.values.begin(), integers.values.end());
    return matrix;
}

} // namespace

Format format_of(const std::filesystem::path& file) {
    const ByteStream stream(file);
    const auto format = format_by_content(stream.head());
    if (format == Format::hdf5 && stream.compressed())
        throw DatasetError(file, std::nullopt, "this HDF5 file is compressed as a whole",
                           "decompress it first (gunzip)");
    const std::string extension = extension_of(plain_name(file));
    if (format && !(format == Format::idx && extension.ends_with("bin")))
        return *format;
    return format_by_name(file);
}

Matrix<float> read_matrix(const std::filesystem::path& file, const ReadOptions& options) {
    return read_matrix(file, format_of(file), options);
}

Matrix<float> read_matrix(const std::filesystem::path& file, Format format, const ReadOptions& options) {
    switch (format) {
    case Format::fvecs:
        return read_fvecs(file, options);
    case Format::bvecs:
        return read_bvecs(file, options);
    case Format::ivecs:
        return to_float(read_ivecs(file, options));
    case Format::fbin:
    case Format::f16bin:
    case Format::u8bin:
    case Format::i8bin:
    case Format::ibin:
        return read_bin(file, format, options);
    case Format::idx:
        return read_idx(file, options);
    case Format::npy:
        return read_npy(file, options);
    case Format::hdf5:
        return read_hdf5(file, options, {}, false).train;
    }
    throw InvalidArgument(fmt::format("format {} is not known", static_cast<int>(format)));
}

} // namespace hotindex::bench
