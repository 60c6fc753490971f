// What the dataset tests have in common: files made byte by byte, and what the readers say about them.
#pragma once

#include "catch.hpp"
#include "dataset/error.hpp"
#include "dataset/load.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace hotindex::bench {

namespace fs = std::filesystem;

/// A folder of its own, removed at the end of the test.
class TemporaryFolder {
  public:
    TemporaryFolder() {
        std::string name = (fs::temp_directory_path() / "hotindex-dataset-XXXXXX").string();
        if (mkdtemp(name.data()) == nullptr)
            throw std::runtime_error("no temporary folder: " + name);
        path_ = name;
    }
    ~TemporaryFolder() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    [[nodiscard]] fs::path operator/(std::string_view name) const { return path_ / name; }

  private:
    fs::path path_;
};

/// Builds a file's bytes.
class Bytes {
  public:
    template <class T>
    Bytes& put(T value, std::endian order = std::endian::little) {
        auto bytes = std::bit_cast<std::array<char, sizeof(T)>>(value);
        if (order != std::endian::native)
            std::reverse(bytes.begin(), bytes.end());
        text.append(bytes.data(), bytes.size());
        return *this;
    }
    Bytes& put_text(std::string_view added) {
        text += added;
        return *this;
    }

    std::string text;
};

inline fs::path write(const fs::path& file, std::string_view content) {
    std::ofstream(file, std::ios::binary) << content;
    return file;
}

inline fs::path write_gzip(const fs::path& file, std::string_view content) {
    gzFile handle = gzopen(file.c_str(), "wb");
    REQUIRE(handle != nullptr);
    REQUIRE(gzwrite(handle, content.data(), static_cast<unsigned>(content.size())) == static_cast<int>(content.size()));
    REQUIRE(gzclose(handle) == Z_OK);
    return file;
}

inline std::string content_of(const fs::path& file) {
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
}

/// rows x columns values of a TEXMEX file: row r has the values 10 r, 10 r + 1, ...
template <class T>
std::string vecs(std::size_t rows, std::size_t columns) {
    Bytes bytes;
    for (std::size_t r = 0; r != rows; ++r) {
        bytes.put(static_cast<std::int32_t>(columns));
        for (std::size_t c = 0; c != columns; ++c)
            bytes.put(static_cast<T>(10 * r + c));
    }
    return bytes.text;
}

template <class T>
std::string idx(unsigned char code, const std::vector<std::uint32_t>& sizes, const std::vector<T>& values) {
    Bytes bytes;
    bytes.put<std::uint16_t>(0).put(code).put(static_cast<unsigned char>(sizes.size()));
    for (const auto size : sizes)
        bytes.put(size, std::endian::big);
    for (const auto value : values)
        bytes.put(value, std::endian::big);
    return bytes.text;
}

/// fbin, u8bin, ... with the rows and columns that the header is to announce.
template <class T>
std::string bin(std::uint32_t rows, std::uint32_t columns, const std::vector<T>& values) {
    Bytes bytes;
    bytes.put(rows).put(columns);
    for (const auto value : values)
        bytes.put(value);
    return bytes.text;
}

inline std::string npy_header(std::string_view dictionary, char major = 1) {
    Bytes bytes;
    bytes.put_text("\x93NUMPY").put(major).put('\0');
    if (major == 1)
        bytes.put(static_cast<std::uint16_t>(dictionary.size()));
    else
        bytes.put(static_cast<std::uint32_t>(dictionary.size()));
    return bytes.put_text(dictionary).text;
}

template <class T>
std::string npy(std::string_view descr, std::string_view shape, const std::vector<T>& values,
                std::endian order = std::endian::little, char major = 1) {
    Bytes bytes;
    bytes.put_text(npy_header(
        fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}          \n", descr, shape), major));
    for (const auto value : values)
        bytes.put(value, order);
    return bytes.text;
}

/// What the DatasetError says after the file's name, or what happened instead.
inline std::string message_of(const fs::path& file, const std::function<void()>& read) {
    try {
        read();
    } catch (const DatasetError& error) {
        CHECK(error.file() == file);
        const std::string text = error.what();
        const std::string start = file.string() + ": ";
        return text.starts_with(start) ? text.substr(start.size()) : "not of this file: " + text;
    } catch (const std::exception& error) {
        return std::string("another exception: ") + error.what();
    }
    return "no error";
}

inline std::string loading(const fs::path& file) {
    return message_of(file, [&] { static_cast<void>(load_dataset(file)); });
}

inline const std::string again = "; the file is incomplete or damaged: get it again";

using Floats = std::vector<float>;

} // namespace hotindex::bench
