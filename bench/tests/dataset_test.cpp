#include "dataset.hpp"
#include "random.hpp"

#include <fmt/format.h>
#include <hdf5.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <catch.hpp>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <new>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

// The largest block asked of operator new: a reader must not trust a header with an allocation. AddressSanitizer brings
// its own operator new, so there nothing is measured (and the checks of it say nothing); every other build measures.
#if defined(__SANITIZE_ADDRESS__)
#define HOTINDEX_OWN_NEW 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HOTINDEX_OWN_NEW 0
#endif
#endif
#ifndef HOTINDEX_OWN_NEW
#define HOTINDEX_OWN_NEW 1
#endif

namespace {
std::atomic<std::size_t> largest_allocation{0};
}

#if HOTINDEX_OWN_NEW
// Not inlined, or g++ takes free() for a mismatch.
[[gnu::noinline]] void* operator new(std::size_t size) {
    std::size_t largest = largest_allocation.load(std::memory_order_relaxed); // relaxed: a statistic
    while (size > largest && !largest_allocation.compare_exchange_weak(largest, size, std::memory_order_relaxed)) {
    }
    if (void* block = std::malloc(size == 0 ? 1 : size))
        return block;
    throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* block) noexcept {
    std::free(block);
}
[[gnu::noinline]] void operator delete(void* block, std::size_t) noexcept {
    std::free(block);
}
#endif

namespace hotindex::bench {
namespace {

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

fs::path write(const fs::path& file, std::string_view content) {
    std::ofstream(file, std::ios::binary) << content;
    return file;
}

fs::path write_gzip(const fs::path& file, std::string_view content) {
    gzFile handle = gzopen(file.c_str(), "wb");
    REQUIRE(handle != nullptr);
    REQUIRE(gzwrite(handle, content.data(), static_cast<unsigned>(content.size())) == static_cast<int>(content.size()));
    REQUIRE(gzclose(handle) == Z_OK);
    return file;
}

std::string content_of(const fs::path& file) {
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

std::string npy_header(std::string_view dictionary, char major = 1) {
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
std::string message_of(const fs::path& file, const std::function<void()>& read) {
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

std::string loading(const fs::path& file) {
    return message_of(file, [&] { static_cast<void>(load_dataset(file)); });
}

const std::string again = "; the file is incomplete or damaged: get it again";

using Floats = std::vector<float>;

// ---------------------------------------------------------------------------------------------------- TEXMEX

TEST_CASE("fvecs, bvecs and ivecs are read as written") {
    const TemporaryFolder folder;
    const auto f = read_fvecs(write(folder / "a.fvecs", vecs<float>(3, 2)));
    CHECK(f.rows == 3);
    CHECK(f.columns == 2);
    CHECK_FALSE(f.cut);
    CHECK(f.values == Floats{0, 1, 10, 11, 20, 21});
    CHECK(std::vector<float>(f.row(1).begin(), f.row(1).end()) == Floats{10, 11});

    const auto b = read_bvecs(write(folder / "a.bvecs", vecs<std::uint8_t>(26, 3)));
    CHECK(b.rows == 26);
    CHECK(b.values[25 * 3 + 2] == 252);

    const auto i = read_ivecs(write(folder / "a.ivecs", vecs<std::int32_t>(2, 2)));
    CHECK(i.values == std::vector<std::int32_t>{0, 1, 10, 11});
    CHECK(read_matrix(folder / "a.ivecs").values == Floats{0, 1, 10, 11});
}

TEST_CASE("bytes above 127 and negative numbers keep their sign") {
    const TemporaryFolder folder;
    CHECK(read_bvecs(write(folder / "a.bvecs", Bytes().put(1).put<std::uint8_t>(255).text)).values == Floats{255});
    CHECK(read_ivecs(write(folder / "a.ivecs", Bytes().put(1).put(-7).text)).values == std::vector<std::int32_t>{-7});
}

TEST_CASE("a row of another dimension is named with its byte") {
    const TemporaryFolder folder;
    auto text = vecs<float>(1, 128) + vecs<float>(1, 7);
    const auto file = write(folder / "x.fvecs", text);
    CHECK(loading(file) ==
          "at byte 516: row 1 has dimension 7, row 0 has 128; all rows must have the same dimension: the "
          "file is damaged or of another format");
}

TEST_CASE("a row that is cut off is named with its byte") {
    const TemporaryFolder folder;
    const auto whole = vecs<float>(2, 3);
    CHECK(loading(write(folder / "a.fvecs", whole.substr(0, 30))) ==
          "at byte 16: row 1 is cut off: 14 of 16 bytes are there" + again);
    CHECK(loading(write(folder / "b.fvecs", whole.substr(0, 18))) ==
          "at byte 16: row 1 is cut off: 2 of 16 bytes are there" + again);
    CHECK(loading(write(folder / "c.fvecs", whole.substr(0, 3))) == "at byte 0: the file has only 3 bytes" + again);
    CHECK(loading(write(folder / "d.fvecs", whole.substr(0, 4))) ==
          "at byte 0: row 0 is cut off: 4 of 16 bytes are there" + again);
}

TEST_CASE("dimensions of zero, below zero or absurd are refused") {
    const TemporaryFolder folder;
    const std::string remedy =
        "; dimensions 1 to 1048576 are supported, little-endian; otherwise the file is damaged or of "
        "another format";
    CHECK(loading(write(folder / "a.fvecs", Bytes().put(0).put(0).text)) ==
          "at byte 0: row 0 has dimension 0" + remedy);
    CHECK(loading(write(folder / "b.fvecs", Bytes().put(-1).put(0).text)) ==
          "at byte 0: row 0 has dimension -1" + remedy);
    CHECK(loading(write(folder / "c.bvecs", Bytes().put(0x7FFF'FFFF).put(0).text)) ==
          "at byte 0: row 0 has dimension 2147483647" + remedy);
    CHECK(loading(write(folder / "d.fvecs", Bytes().put(128, std::endian::big).put(0).text)) ==
          "at byte 0: row 0 has dimension -2147483648 (as a big-endian number it would be 128)" + remedy);
}

TEST_CASE("NaN and infinity are reported with row, position and byte") {
    const TemporaryFolder folder;
    const std::string remedy = "; give finite numbers within the range of float32 (remove or replace such rows)";
    const auto nan = std::numeric_limits<float>::quiet_NaN();
    const auto infinity = std::numeric_limits<double>::infinity();
    CHECK(loading(write(folder / "a.fvecs", Bytes().put(2).put(1.0F).put(2.0F).put(2).put(3.0F).put(nan).text)) ==
          "at byte 20: row 1 has nan at position 1" + remedy);
    CHECK(loading(write(folder / "b.npy", npy<double>("<f8", "(1, 2)", {1, -infinity}))) ==
          "at byte 88: row 0 has -inf at position 1" + remedy);
    CHECK(loading(write(folder / "c.npy", npy<double>("<f8", "(1, 2)", {1e300, 1}))) ==
          "at byte 80: row 0 has 1e+300 at position 0, which is beyond the range of float32" + remedy);
    CHECK(loading(write(folder / "d.idx", idx<float>(0x0D, {1, 2}, {0, nan}))) ==
          "at byte 16: row 0 has nan at position 1" + remedy);
}

// ---------------------------------------------------------------------------------------------------- gzip

TEST_CASE("gzip is read like the plain file, whatever its name") {
    const TemporaryFolder folder;
    const auto plain = read_fvecs(write(folder / "a.fvecs", vecs<float>(1000, 16)));
    CHECK(read_matrix(write_gzip(folder / "a.fvecs.gz", vecs<float>(1000, 16))).values == plain.values);
    CHECK(read_matrix(write_gzip(folder / "b.fvecs", vecs<float>(1000, 16))).values == plain.values);
    CHECK(read_matrix(write(folder / "c.fvecs.gz", vecs<float>(1000, 16))).values == plain.values);
    CHECK(read_matrix(write_gzip(folder / "x.npy.gz", npy<float>("<f4", "(2, 2)", {1, 2, 3, 4}))).values ==
          Floats{1, 2, 3, 4});
    CHECK(read_matrix(write_gzip(folder / "x.gz", idx<std::uint8_t>(8, {2, 2}, {1, 2, 3, 4}))).values ==
          Floats{1, 2, 3, 4});
}

TEST_CASE("errors in compressed data count decompressed bytes") {
    const TemporaryFolder folder;
    CHECK(loading(write_gzip(folder / "a.fvecs.gz", vecs<float>(1, 128) + vecs<float>(1, 7))) ==
          "at byte 516 of the decompressed data: row 1 has dimension 7, row 0 has 128; all rows must have the same "
          "dimension: the file is damaged or of another format");
}

TEST_CASE("a gzip file that is cut off or damaged is refused") {
    const TemporaryFolder folder;
    write_gzip(folder / "whole.gz", vecs<float>(1000, 16));
    auto packed = content_of(folder / "whole.gz");
    CHECK_THAT(loading(write(folder / "a.fvecs.gz", packed.substr(0, packed.size() / 2))),
               Catch::Contains("the gzip data cannot be read (the data ends inside the gzip stream)" + again));
    CHECK_THAT(loading(write(folder / "b.fvecs.gz", packed.substr(0, packed.size() - 5))),
               Catch::Contains("the gzip data cannot be read (the data ends inside the gzip stream)" + again));
    packed[packed.size() - 6] = static_cast<char>(packed[packed.size() - 6] ^ 1); // the checksum
    CHECK_THAT(loading(write(folder / "c.fvecs.gz", packed)),
               Catch::Contains("the gzip data cannot be read (incorrect data check)" + again));
    CHECK(loading(write_gzip(folder / "d.fvecs.gz", "")) ==
          "at byte 0 of the decompressed data: the compressed file has no content" + again);
}

TEST_CASE("the allocation check notices a large block") {
    largest_allocation = 0;
    {
        const std::vector<char> block(3u << 20, 'x');
        CHECK(block.back() == 'x');
    }
    CHECK(largest_allocation == (HOTINDEX_OWN_NEW == 1 ? 3u << 20 : 0u));
}

TEST_CASE("a header inside gzip cannot make the reader reserve memory") {
    const TemporaryFolder folder;
    const auto a = write_gzip(folder / "a.idx.gz", idx<std::uint8_t>(8, {3'000'000'000u, 2}, {1, 2, 3}));
    const auto b = write_gzip(folder / "b.npy.gz", npy<float>("<f4", "(8000000000, 2)", {1, 2, 3}));
    const auto c = write(folder / "c.idx", idx<std::uint8_t>(8, {3'000'000'000u, 2}, {1, 2, 3}));
    largest_allocation = 0;
    CHECK(loading(a) == "at byte 15 of the decompressed data: the data ends in row 1 of 3000000000" + again);
    CHECK(loading(b) == "at byte 101 of the decompressed data: the data ends in row 1 of 8000000000" + again);
    CHECK(loading(c) ==
          "at byte 4: the header announces 3000000000 rows of 2 bytes, but only 3 bytes of data follow" + again);
    CHECK(largest_allocation < 2u << 20);
}

// ---------------------------------------------------------------------------------------------------- IDX

TEST_CASE("IDX of every type is read, images as rows of their pixels") {
    const TemporaryFolder folder;
    const auto images =
        read_idx(write(folder / "x-idx3-ubyte", idx<std::uint8_t>(8, {2, 2, 2}, {0, 1, 2, 3, 252, 253, 254, 255})));
    CHECK(images.rows == 2);
    CHECK(images.columns == 4);
    CHECK(images.values == Floats{0, 1, 2, 3, 252, 253, 254, 255});
    CHECK(read_idx(write(folder / "a", idx<std::int8_t>(0x09, {1, 2}, {-128, 127}))).values == Floats{-128, 127});
    CHECK(read_idx(write(folder / "b", idx<std::int16_t>(0x0B, {1, 2}, {-300, 300}))).values == Floats{-300, 300});
    CHECK(read_idx(write(folder / "c", idx<std::int32_t>(0x0C, {1, 2}, {-70000, 7}))).values == Floats{-70000, 7});
    CHECK(read_idx(write(folder / "d", idx<float>(0x0D, {1, 2}, {0.5F, -1.5F}))).values == Floats{0.5F, -1.5F});
    CHECK(read_idx(write(folder / "e", idx<double>(0x0E, {1, 2}, {0.1, -1.5}))).values == Floats{0.1F, -1.5F});
}

TEST_CASE("malformed IDX files are refused with the reason") {
    const TemporaryFolder folder;
    const auto reading = [](const fs::path& file) {
        return message_of(file, [&] { static_cast<void>(read_idx(file)); });
    };
    const std::string other = "; the file is damaged or of another format";
    CHECK(reading(write(folder / "a.idx", "\x01\x02\x08\x03 and more")) ==
          "at byte 0: an IDX file begins with two zero bytes, this one with 01 02" + other);
    CHECK(
        reading(write(folder / "b.idx", idx<std::uint8_t>(0x0A, {1, 1}, {1}))) ==
        "at byte 2: unknown IDX type code 0x0a; known are 08 (uint8), 09 (int8), 0b (int16), 0c (int32), 0d (float32), "
        "0e (float64)");
    CHECK(reading(write(folder / "labels-idx1-ubyte", idx<std::uint8_t>(8, {3}, {1, 2, 3}))) ==
          "at byte 3: the array has 1 dimension, vectors need 2 or more; give the file with the vectors (of MNIST the "
          "images, not the labels)");
    CHECK(reading(write(folder / "c.idx", idx<std::uint8_t>(8, {3, 4}, {}).substr(0, 10))) ==
          "at byte 8: the IDX header is cut off: 2 of 4 bytes are there" + again);
    CHECK(reading(write(folder / "d.idx", idx<std::uint8_t>(8, {2, 2}, {1, 2, 3}))) ==
          "at byte 4: the header announces 2 rows of 2 bytes, but only 3 bytes of data follow" + again);
    CHECK(reading(write(folder / "e.idx", idx<std::uint8_t>(8, {2, 2}, {1, 2, 3, 4, 5}))) ==
          "at byte 16: there is more data after the last value that the header announces; the header or the file is "
          "damaged: get it again");
    CHECK(reading(write_gzip(folder / "f.idx", idx<std::uint8_t>(8, {2, 2}, {1, 2, 3, 4, 5}))) ==
          "at byte 16 of the decompressed data: there is more data after the last value that the header announces; the "
          "header or the file is damaged: get it again");
    CHECK(reading(write(folder / "g.idx", idx<std::uint8_t>(8, {2, 0}, {}))) ==
          "at byte 4: the rows have dimension 0; dimensions 1 to 1048576 are supported; if that is not the dimension, "
          "the "
          "file is damaged or of another format");
    CHECK(reading(write(folder / "h.idx", idx<std::uint8_t>(8, {0, 2}, {}))) ==
          "at byte 4: the file has no rows; give a file with at least one vector");
    CHECK(reading(write(folder / "i.idx", idx<std::uint8_t>(8, {2, 0xFFFFFFFF, 0xFFFFFFFF, 2}, {1}))) ==
          "at byte 8: the sizes of the dimensions overflow 64 bits; the header is damaged: get the file again");
    CHECK_THAT(reading(write(folder / "j.idx", idx<std::uint8_t>(8, {2, 0xFFFFFFFF}, {1}))),
               Catch::StartsWith("at byte 4: the rows have dimension 4294967295;"));
}

// ---------------------------------------------------------------------------------------------------- npy

TEST_CASE("npy written byte by byte is read: versions, types, byte orders") {
    const TemporaryFolder folder;
    const auto values = [&](const std::string& content) { return read_npy(write(folder / "x.npy", content)).values; };
    CHECK(values(npy<float>("<f4", "(2, 2)", {1, 2, 3, 4.5F})) == Floats{1, 2, 3, 4.5F});
    CHECK(values(npy<float>(">f4", "(1, 2)", {1, -2}, std::endian::big)) == Floats{1, -2});
    CHECK(values(npy<double>("<f8", "(1, 2)", {0.1, 2})) == Floats{0.1F, 2});
    CHECK(values(npy<std::uint8_t>("|u1", "(1, 2)", {0, 255})) == Floats{0, 255});
    CHECK(values(npy<std::uint8_t>("|b1", "(1, 2)", {0, 1})) == Floats{0, 1});
    CHECK(values(npy<std::int8_t>("|i1", "(1, 2)", {-1, 1})) == Floats{-1, 1});
    CHECK(values(npy<std::uint16_t>("<u2", "(1, 1)", {65535})) == Floats{65535});
    CHECK(values(npy<std::int16_t>(">i2", "(1, 1)", {-2}, std::endian::big)) == Floats{-2});
    CHECK(values(npy<std::uint32_t>("<u4", "(1, 1)", {16777217})) == Floats{16777216}); // rounded
    CHECK(values(npy<std::int32_t>("<i4", "(1, 1)", {-5})) == Floats{-5});
    CHECK(values(npy<std::uint64_t>("<u8", "(1, 1)", {1ull << 63})) == Floats{0x1p63F});
    CHECK(values(npy<std::int64_t>("<i8", "(1, 1)", {-9})) == Floats{-9});
    CHECK(values(npy<float>("<f4", "(1, 2)", {1, 2}, std::endian::little, 2)) == Floats{1, 2});
    CHECK(values(npy<float>("<f4", "(1, 2)", {1, 2}, std::endian::little, 3)) == Floats{1, 2});
    const auto cube = read_npy(write(folder / "x.npy", npy<float>("<f4", "(2, 1, 2)", {1, 2, 3, 4})));
    CHECK(cube.rows == 2);
    CHECK(cube.columns == 2);
    // another order of keys, double quotes, no trailing commas
    CHECK(values(npy_header(R"({"shape":(1,1),"fortran_order":False,"descr":"|u1"})") + "\x07") == Floats{7});
}

TEST_CASE("malformed npy files are refused with the reason") {
    const TemporaryFolder folder;
    const auto reading = [&](const std::string& content) {
        const auto file = write(folder / "x.npy", content);
        return message_of(file, [&] { static_cast<void>(read_npy(file)); });
    };
    const std::string rewrite = "; write the file with numpy.save, or get it again";
    CHECK(reading("\x93NUMPX and some more text") == "at byte 5: an npy file begins with \"\\x93NUMPY\", this one "
                                                     "does not; the file is damaged or of another format");
    CHECK(reading("\x93NUM") == "at byte 0: the npy header is cut off: 4 of 8 bytes are there" + again);
    CHECK(reading(npy_header("{}", 4)) == "at byte 6: npy version 4 is not known; write the file as version 1, 2 or 3");
    CHECK(reading(std::string("\x93NUMPY\x02\0\xff\xff\xff\xff", 12)) ==
          "at byte 8: the npy header is 4294967295 bytes long; at most 1048576 bytes are read: the file is damaged, "
          "get it "
          "again");
    CHECK(reading(npy<float>("<f4", "(1, 1)", {1}).substr(0, 30)) ==
          "at byte 10: the npy header is cut off: 20 of 70 bytes are there" + again);
    CHECK(reading(npy<float>("<f2", "(1, 1)", {1})) ==
          "at byte 10: elements of type '<f2' are not supported; supported are bool, integers of 1 to 8 bytes, float32 "
          "and "
          "float64: convert, for example numpy.save(path, x.astype('float32'))");
    CHECK(reading(npy<float>("<f4", "(4,)", {1, 2, 3, 4})) ==
          "at byte 60: the array has 1 dimension, vectors need 2 or more; reshape it to (rows, dimension)");
    CHECK_THAT(reading(npy<float>("<f4", "()", {1})), Catch::Contains("the array has 0 dimensions"));
    CHECK(reading(npy_header("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2)}") + std::string(16, '\0')) ==
          "at byte 10: the array is in Fortran order (column after column); write it row after row: numpy.save(path, "
          "numpy.ascontiguousarray(x))");
    CHECK(reading(npy_header("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (2, 2)}")) ==
          "at byte 20: the array has structured elements; give a plain array of numbers, for example numpy.save(path, "
          "x.astype('float32'))");
    CHECK(reading(npy_header("{'descr': '<f4', 'fortran_order': False}")) ==
          "at byte 10: the npy header lacks the key 'shape'" + rewrite);
    CHECK(reading(npy_header("{'descr': '<f4', 'descr': '<f4'}")) ==
          "at byte 27: the npy header has twice the key 'descr'" + rewrite);
    CHECK(reading(npy_header("{'colour': 'red'}")) ==
          "at byte 11: the npy header has the unknown key 'colour'" + rewrite);
    CHECK(reading(npy_header("[1, 2]")) ==
          "at byte 10: the npy header is not a dictionary as NumPy writes it ('{' expected)" + rewrite);
    CHECK(reading(npy_header("{'descr': 'oh")) == "at byte 20: the npy header has a string without end" + rewrite);
    CHECK(reading(npy_header("{'fortran_order': Maybe}")) ==
          "at byte 28: the npy header's fortran_order is neither True nor False" + rewrite);
    CHECK(reading(npy_header("{'shape': (-1, 2)}")) ==
          "at byte 21: the npy header's shape is not a tuple of sizes (an integer expected)" + rewrite);
    CHECK(reading(npy_header("{'shape': (99999999999999999999, 2)}")) ==
          "at byte 21: the npy header's shape has a size beyond 64 bits" + rewrite);
    CHECK(reading(npy_header("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)} {}")) ==
          "at byte 68: the npy header has text after its dictionary" + rewrite);
    CHECK(reading(npy<float>("<f4", "(3, 2)", {1, 2, 3, 4, 5})) ==
          "at byte 60: the header announces 3 rows of 8 bytes, but only 20 bytes of data follow" + again);
    CHECK_THAT(reading(npy<float>("<f4", "(1, 2)", {1, 2, 3})), Catch::Contains("there is more data"));
    CHECK_THAT(reading(npy<float>("<f4", "(0, 2)", {})), Catch::Contains("the file has no rows"));
    CHECK_THAT(reading(npy<float>("<f4", "(18446744073709551615, 1048576)", {})), Catch::Contains("bytes of memory"));
    CHECK_THAT(reading(npy<float>("<f4", "(4611686018427387905, 4)", {1, 2, 3, 4})),
               Catch::Contains("bytes of memory"));
    CHECK_THAT(reading(npy<float>("<f4", "(2, 18446744073709551615, 2)", {})), Catch::Contains("overflow 64 bits"));
}

// ---------------------------------------------------------------------------------------------------- HDF5

class Hdf5File {
  public:
    explicit Hdf5File(const fs::path& file) : id_(H5Fcreate(file.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT)) {
        REQUIRE(id_ >= 0);
    }
    ~Hdf5File() { H5Fclose(id_); }
    Hdf5File(const Hdf5File&) = delete;
    Hdf5File& operator=(const Hdf5File&) = delete;

    /// Values may be empty: then nothing is written and the sizes stand alone.
    template <class T>
    void table(const char* name, std::vector<hsize_t> sizes, const std::vector<T>& values, hid_t stored, hid_t native,
               bool compressed = false) const {
        const hid_t space = H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr);
        const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
        if (compressed) {
            H5Pset_chunk(properties, static_cast<int>(sizes.size()), sizes.data());
            H5Pset_deflate(properties, 6);
        }
        const hid_t set = H5Dcreate2(id_, name, stored, space, H5P_DEFAULT, properties, H5P_DEFAULT);
        REQUIRE(set >= 0);
        if (!values.empty())
            REQUIRE(H5Dwrite(set, native, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0);
        H5Dclose(set);
        H5Pclose(properties);
        H5Sclose(space);
    }
    void floats(const char* name, std::vector<hsize_t> sizes, const Floats& values, bool compressed = false) const {
        table(name, std::move(sizes), values, H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, compressed);
    }
    void ids(const char* name, std::vector<hsize_t> sizes, const std::vector<int>& values) const {
        table(name, std::move(sizes), values, H5T_STD_I32LE, H5T_NATIVE_INT);
    }
    void text(const char* name, const std::string& value, bool variable) const {
        const hid_t type = H5Tcopy(H5T_C_S1);
        H5Tset_size(type, variable ? H5T_VARIABLE : value.size());
        if (!variable)
            H5Tset_strpad(type, H5T_STR_NULLPAD);
        const hid_t space = H5Screate(H5S_SCALAR);
        const hid_t attribute = H5Acreate2(id_, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
        const char* start = value.c_str();
        REQUIRE(H5Awrite(attribute, type, variable ? static_cast<const void*>(&start) : start) >= 0);
        H5Aclose(attribute);
        H5Sclose(space);
        H5Tclose(type);
    }

  private:
    hid_t id_;
};

/// Three vectors, two queries, two neighbours each, as ann-benchmarks writes them.
fs::path write_hdf5(const fs::path& file, const std::string& distance = "euclidean", bool variable = true,
                    bool compressed = false) {
    const Hdf5File hdf5(file);
    hdf5.floats("train", {3, 2}, {0, 0, 3, 4, 6, 8}, compressed);
    hdf5.floats("test", {2, 2}, {0, 1, 6, 7}, compressed);
    hdf5.ids("neighbors", {2, 2}, {0, 1, 2, 1});
    hdf5.floats("distances", {2, 2}, {0.5F, 0.25F, 1, 2});
    if (!distance.empty())
        hdf5.text("distance", distance, variable);
    return file;
}

TEST_CASE("an ann-benchmarks file gives base, queries, metric and ground truth") {
    const TemporaryFolder folder;
    const bool variable = GENERATE(true, false);
    const bool compressed = GENERATE(true, false);
    const auto data = load_dataset(write_hdf5(folder / "tiny-2-euclidean.hdf5", "euclidean", variable, compressed));
    CHECK(data.name == "tiny-2-euclidean");
    CHECK(data.dimension == 2);
    CHECK(data.base == Floats{0, 0, 3, 4, 6, 8});
    CHECK(data.queries == Floats{0, 1, 6, 7});
    CHECK(data.base_rows() == 3);
    CHECK(data.query_rows() == 2);
    CHECK(data.metric == Metric::squared_euclidean);
    REQUIRE(data.ground_truth);
    CHECK(data.ground_truth->queries == 2);
    CHECK(data.ground_truth->k == 2);
    CHECK(data.ground_truth->ids == std::vector<std::int32_t>{0, 1, 2, 1});
    CHECK(data.ground_truth->scores == Floats{0.25F, 0.0625F, 1, 4});
    CHECK(data.source == "tiny-2-euclidean.hdf5 (HDF5): 3 rows of 2; 2 queries from the same file");

    const auto angular = load_dataset(write_hdf5(folder / "b.h5", "angular", variable, compressed));
    CHECK(angular.metric == Metric::cosine);
    CHECK(angular.ground_truth->scores == Floats{0.5F, 0.75F, 0, -1});
}

TEST_CASE("limits on an HDF5 file keep the ground truth only while it holds") {
    const TemporaryFolder folder;
    const auto file = write_hdf5(folder / "a.hdf5");
    const auto fewer_queries = load_dataset(file, {.queries = 1});
    CHECK(fewer_queries.queries == Floats{0, 1});
    REQUIRE(fewer_queries.ground_truth);
    CHECK(fewer_queries.ground_truth->ids == std::vector<std::int32_t>{0, 1});
    const auto fewer_rows = load_dataset(file, {.max_rows = 2});
    CHECK(fewer_rows.base == Floats{0, 0, 3, 4});
    CHECK_FALSE(fewer_rows.ground_truth);
    CHECK(fewer_rows.source == "a.hdf5 (HDF5): the first 2 rows of 2; 2 queries from the same file");
    const auto none = load_dataset(file, {.queries = 0});
    CHECK(none.queries.empty());
    CHECK_FALSE(none.ground_truth);
}

TEST_CASE("HDF5 with doubles, integers, no attribute or no queries is read") {
    const TemporaryFolder folder;
    {
        const Hdf5File hdf5(folder / "a.hdf5");
        hdf5.table<double>("train", {2, 2}, {0.1, 2, 3, 4}, H5T_IEEE_F64BE, H5T_NATIVE_DOUBLE);
    }
    const auto data = load_dataset(folder / "a.hdf5");
    CHECK(data.base == Floats{0.1F, 2});
    CHECK(data.queries == Floats{3, 4});
    CHECK_FALSE(data.metric);
    {
        const Hdf5File hdf5(folder / "b.hdf5");
        hdf5.ids("train", {2, 2}, {1, 2, 3, 4});
    }
    CHECK(read_matrix(folder / "b.hdf5").values == Floats{1, 2, 3, 4});
    const auto without = load_dataset(write_hdf5(folder / "c.hdf5", ""));
    CHECK_FALSE(without.metric);
    REQUIRE(without.ground_truth);
    CHECK(without.ground_truth->scores.empty());
}

TEST_CASE("HDF5 files that do not fit are refused with the reason") {
    const TemporaryFolder folder;
    const auto with = [&](const std::function<void(const Hdf5File&)>& fill) {
        const auto file = folder / "x.hdf5";
        {
            const Hdf5File hdf5(file);
            fill(hdf5);
        }
        return loading(file);
    };
    CHECK(
        with([](const Hdf5File& f) { f.floats("vectors", {1, 2}, {1, 2}); }) ==
        "there is no dataset 'train'; the file has 'vectors'; give a file as ann-benchmarks writes them: train, test, "
        "neighbors, distances");
    CHECK(with([](const Hdf5File&) {}) ==
          "there is no dataset 'train'; the file has nothing; give a file as ann-benchmarks writes them: train, test, "
          "neighbors, distances");
    CHECK(with([](const Hdf5File& f) { f.floats("train", {4}, {1, 2, 3, 4}); }) ==
          "'train' has 1 dimension, not 2; give a file with dense vectors, one per row (sparse and set data is not "
          "supported)");
    CHECK(with([](const Hdf5File& f) { f.floats("train", {0, 4}, {}); }) ==
          "'train' has no rows; give a file with at least one vector");
    CHECK(with([](const Hdf5File& f) { f.floats("train", {4, 0}, {}); }) ==
          "the rows of 'train' have dimension 0; dimensions 1 to 1048576 are supported");
    CHECK(with([](const Hdf5File& f) {
              f.floats("train", {2, 2}, {1, 2, 3, 4});
              f.floats("test", {2, 1}, {1, 2});
          }) ==
          "the rows of 'test' have dimension 1, those of 'train' 2; both must have the same dimension: the file is "
          "damaged");
    CHECK_THAT(with([](const Hdf5File& f) { f.floats("train", {2, 2}, {1, 2, 3, NAN}); }),
               Catch::StartsWith("at byte ") && Catch::Contains("in 'train' row 1 has nan at position 1; give finite"));
    CHECK(with([](const Hdf5File& f) {
              f.table<double>("train", {1, 2}, {1, 1e300}, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, true);
          }) == "in 'train' row 0 has inf at position 1 as a float32; give finite numbers within the range of float32 "
                "(remove or "
                "replace such rows)");
    CHECK(with([](const Hdf5File& f) { f.floats("train", {1'000'000'000, 2}, {}); }) ==
          "'train' announces 1000000000 rows of 8 bytes, but the file stores 0 bytes of it" + again);
    CHECK(with([](const Hdf5File& f) { f.floats("train", {1'000'000'000'000'000, 1'000'000}, {}); }) ==
          "1000000000000000 rows of 1000000 values of 'train' need more than 68719476736 bytes of memory; read fewer "
          "rows "
          "(max_rows) or allow more memory (max_bytes)");
    CHECK(loading(write_hdf5(folder / "h.hdf5", "hamming")) ==
          "the attribute 'distance' is 'hamming'; supported are angular and euclidean: give a file made for one of "
          "these");
    CHECK(with([](const Hdf5File& f) {
              f.floats("train", {2, 1}, {1, 2});
              f.floats("test", {1, 1}, {1});
              f.ids("neighbors", {1, 1}, {2});
          }) ==
          "the ground truth of query 0 names row 2 at position 0, but the base has 2 rows; give the ground truth of "
          "this base");
    CHECK(with([](const Hdf5File& f) {
              f.floats("train", {2, 1}, {1, 2});
              f.floats("test", {1, 1}, {1});
              f.ids("neighbors", {1, 1}, {-1});
          }) == "'neighbors' names row -1" + again);
}

TEST_CASE("an HDF5 file that is cut off anywhere or compressed as a whole is refused") {
    const TemporaryFolder folder;
    const auto whole = content_of(write_hdf5(folder / "whole.hdf5", "angular", true, true));
    CHECK_THAT(loading(write(folder / "a.hdf5", whole.substr(0, whole.size() - 1))),
               Catch::StartsWith("the file cannot be opened as HDF5 (HDF5 library: truncated file"));
    for (std::size_t size = 0; size < whole.size(); size += 61) {
        CAPTURE(size);
        CHECK_THAT(loading(write(folder / "b.hdf5", whole.substr(0, size))), Catch::EndsWith("get it again"));
    }
    CHECK(loading(write_gzip(folder / "c.hdf5.gz", whole)) ==
          "this HDF5 file is compressed as a whole; decompress it first (gunzip)");
    CHECK(loading(write(folder / "d.hdf5", "no HDF5 at all")) ==
          "the file cannot be opened as HDF5 (HDF5 library: file signature not found)" + again);
}

// ---------------------------------------------------------------------------------------------------- formats

TEST_CASE("the format is taken from the content before the name") {
    const TemporaryFolder folder;
    CHECK(format_of(write(folder / "a.fvecs", npy<float>("<f4", "(1, 1)", {1}))) == Format::npy);
    CHECK(format_of(write(folder / "b", idx<std::uint8_t>(8, {1, 1}, {1}))) == Format::idx);
    CHECK(format_of(write_hdf5(folder / "c.dat")) == Format::hdf5);
    CHECK(format_of(write(folder / "D.FVECS", vecs<float>(1, 1))) == Format::fvecs);
    CHECK(format_of(write(folder / "e.bvecs", vecs<std::uint8_t>(1, 1))) == Format::bvecs);
    CHECK(format_of(write(folder / "f.ivecs", vecs<std::int32_t>(1, 1))) == Format::ivecs);
    CHECK(format_of(write(folder / "t10k-images-idx3-ubyte", "damaged")) == Format::idx);
    CHECK(format_of(write(folder / "t10k-images.idx3-ubyte.gz", "damaged")) == Format::idx);
    CHECK(name_of(Format::idx) == "IDX");
}

TEST_CASE("an unknown extension is answered with the supported ones and the nearest") {
    const TemporaryFolder folder;
    const std::string supported =
        "; supported are .fvecs, .bvecs, .ivecs, .idx, .npy, .hdf5, .h5 (all but HDF5 also with .gz)";
    CHECK(loading(write(folder / "x.fvec", vecs<float>(1, 1))) ==
          "the format is not known: extension '.fvec'" + supported + "; did you mean .fvecs?");
    CHECK(loading(write(folder / "x.hdf.gz", vecs<float>(1, 1))) ==
          "the format is not known: extension '.hdf'" + supported + "; did you mean .hdf5?");
    CHECK(loading(write(folder / "x.parquet", vecs<float>(1, 1))) ==
          "the format is not known: extension '.parquet'" + supported);
    CHECK(loading(write(folder / "x", vecs<float>(1, 1))) ==
          "the format is not known: the name has no extension" + supported);
}

TEST_CASE("a file that is not there, empty or no file is refused") {
    const TemporaryFolder folder;
    CHECK(loading(folder / "none.fvecs") == "there is no such file; check the path");
    CHECK(loading(write(folder / "empty.fvecs", "")) == "at byte 0: the file is empty" + again);
    CHECK(loading(folder / "") == "this is not a regular file; give the path of a file");
}

TEST_CASE("the error object carries file and byte") {
    const TemporaryFolder folder;
    const auto file = write(folder / "x.fvecs", vecs<float>(1, 128) + vecs<float>(1, 7));
    try {
        static_cast<void>(read_fvecs(file));
        FAIL("no error");
    } catch (const DatasetError& error) {
        CHECK(error.file() == file);
        CHECK(error.offset() == 516);
    }
}

// ---------------------------------------------------------------------------------------------------- limits and
// splits

TEST_CASE("max_rows reads only the first rows of every format") {
    const TemporaryFolder folder;
    const ReadOptions two{.max_rows = 2};
    const auto check = [](const Matrix<float>& matrix) {
        CHECK(matrix.rows == 2);
        CHECK(matrix.cut);
        CHECK(matrix.values == Floats{0, 1, 10, 11});
    };
    check(read_matrix(write(folder / "a.fvecs", vecs<float>(3, 2)), two));
    check(read_matrix(write(folder / "a.bvecs", vecs<std::uint8_t>(3, 2)), two));
    check(read_matrix(write(folder / "a.ivecs", vecs<std::int32_t>(3, 2)), two));
    check(read_matrix(write_gzip(folder / "b.fvecs.gz", vecs<float>(3, 2)), two));
    check(read_matrix(write(folder / "a.idx", idx<std::uint8_t>(8, {3, 2}, {0, 1, 10, 11, 20, 21})), two));
    check(read_matrix(write(folder / "a.npy", npy<float>("<f4", "(3, 2)", {0, 1, 10, 11, 20, 21})), two));
    check(read_matrix(write_gzip(folder / "b.npy", npy<float>("<f4", "(3, 2)", {0, 1, 10, 11, 20, 21})), two));
    {
        const Hdf5File hdf5(folder / "a.hdf5");
        hdf5.floats("train", {3, 2}, {0, 1, 10, 11, 20, 21});
    }
    check(read_matrix(folder / "a.hdf5", two));
    CHECK_FALSE(read_matrix(folder / "a.fvecs", {.max_rows = 3}).cut);
    CHECK_FALSE(read_matrix(folder / "a.fvecs", {.max_rows = 4}).cut);
    for (const char* name : {"a.fvecs", "a.idx", "a.npy", "a.hdf5"})
        CHECK_THROWS_WITH(read_matrix(folder / name, {.max_rows = 0}),
                          "max_rows is 0; give at least 1, or leave it unset to read all rows");
}

TEST_CASE("max_bytes bounds the memory of every format") {
    const TemporaryFolder folder;
    const auto refused = [](const fs::path& file) {
        return message_of(file, [&] { static_cast<void>(read_matrix(file, {.max_rows = {}, .max_bytes = 20})); });
    };
    const std::string remedy = "read fewer rows (max_rows) or allow more memory (max_bytes)";
    CHECK(refused(write(folder / "a.fvecs", vecs<float>(3, 2))) ==
          "at byte 24: more than 2 rows of 2 values need more than 20 bytes of memory; " + remedy);
    CHECK(refused(write(folder / "a.idx", idx<std::uint8_t>(8, {3, 2}, {0, 1, 10, 11, 20, 21}))) ==
          "at byte 4: 3 rows of 2 floats need more than 20 bytes of memory; " + remedy);
    CHECK(refused(write_hdf5(folder / "a.hdf5")) ==
          "3 rows of 2 values of 'train' need more than 20 bytes of memory; " + remedy);
    CHECK(read_matrix(folder / "a.fvecs", {.max_rows = 2, .max_bytes = 20}).rows == 2);
}

TEST_CASE("a file without queries gives its last rows as queries") {
    const TemporaryFolder folder;
    const auto file = write(folder / "small.fvecs", vecs<float>(30, 2));
    const auto tenth = load_dataset(file);
    CHECK(tenth.name == "small");
    CHECK(tenth.base_rows() == 27);
    CHECK(tenth.queries == Floats{270, 271, 280, 281, 290, 291});
    CHECK(tenth.base.back() == 261);
    CHECK(tenth.query_row(1)[0] == 280);
    CHECK(tenth.base_row(26)[1] == 261);
    CHECK(tenth.source == "small.fvecs (fvecs): 30 rows of 2; the last 3 split off as queries");
    CHECK(load_dataset(write(folder / "large.fvecs", vecs<float>(2000, 2))).query_rows() == 100);
    CHECK(load_dataset(write(folder / "two.fvecs", vecs<float>(2, 2))).query_rows() == 1);
    const auto limited = load_dataset(file, {.max_rows = 10, .queries = 4});
    CHECK(limited.base_rows() == 6);
    CHECK(limited.query_row(3)[0] == 90);
    const auto none = load_dataset(file, {.queries = 0});
    CHECK(none.base_rows() == 30);
    CHECK(none.queries.empty());
    CHECK(
        message_of(file, [&] { static_cast<void>(load_dataset(file, {.queries = 30})); }) ==
        "30 of its 30 rows cannot be split off as queries: no vector would remain; ask for fewer queries, for none, or "
        "give a query file");
    CHECK_THAT(loading(write(folder / "one.fvecs", vecs<float>(1, 2))), Catch::Contains("1 of its 1 rows"));
}

TEST_CASE("queries and ground truth may come from files of their own") {
    const TemporaryFolder folder;
    const auto base = write(folder / "base.fvecs", vecs<float>(5, 2));
    const auto queries = write(folder / "query.bvecs", vecs<std::uint8_t>(2, 2));
    const auto ids = write(folder / "truth.ivecs", Bytes().put(2).put(0).put(1).put(2).put(1).put(4).text);
    const auto scores =
        write(folder / "truth.fvecs", Bytes().put(2).put(0.0F).put(200.0F).put(2).put(0.0F).put(1.0F).text);
    LoadOptions options{.query_file = queries, .ground_truth_ids = ids, .ground_truth_scores = scores};
    const auto data = load_dataset(base, options);
    CHECK(data.base_rows() == 5);
    CHECK(data.queries == Floats{0, 1, 10, 11});
    REQUIRE(data.ground_truth);
    CHECK(data.ground_truth->ids_of(1)[1] == 4);
    CHECK(data.ground_truth->scores_of(0)[1] == 200);
    CHECK(data.source == "base.fvecs (fvecs): 5 rows of 2; 2 queries from query.bvecs");

    options.queries = 1; // the first query with the first answer
    const auto one = load_dataset(base, options);
    CHECK(one.query_rows() == 1);
    CHECK(one.ground_truth->queries == 1);

    options.queries.reset();
    options.max_rows = 4;
    CHECK_THROWS_WITH(load_dataset(base, options), Catch::Contains("max_rows leaves rows of"));
    options.max_rows.reset();
    options.query_file.reset(); // one split-off query, two answers
    CHECK(message_of(ids, [&] { static_cast<void>(load_dataset(base, options)); }) ==
          "the ground truth is for 2 queries, the dataset has 1; give the ground truth of these queries");
    options.ground_truth_ids.reset();
    CHECK_THROWS_WITH(load_dataset(base, options), "ground_truth_scores is given without ground_truth_ids; give both");
    const auto narrow = write(folder / "narrow.fvecs", vecs<float>(1, 1));
    CHECK_THAT(message_of(narrow, [&] { static_cast<void>(load_dataset(base, {.query_file = narrow})); }),
               Catch::StartsWith("the queries have dimension 1, the vectors in "));
}

TEST_CASE("ground truth pairs that do not fit are refused") {
    const TemporaryFolder folder;
    const auto ids = write(folder / "ids.ivecs", Bytes().put(2).put(0).put(1).put(2).put(1).put(-4).text);
    CHECK(message_of(ids, [&] { static_cast<void>(load_ground_truth(ids)); }) ==
          "at byte 20: row 1 has the id -4 at position 1; ids are row numbers, 0 or more");
    write(ids, Bytes().put(1).put(3).text);
    CHECK(load_ground_truth(ids).ids == std::vector<std::int32_t>{3});
    CHECK(load_ground_truth(ids).scores.empty());
    const auto scores = write(folder / "scores.fvecs", vecs<float>(1, 2));
    CHECK(message_of(scores, [&] { static_cast<void>(load_ground_truth(ids, scores)); }) ==
          "there are 1 rows of 2 scores for 1 rows of 1 ids in " + ids.string() +
              "; give the two files of one ground truth");
}

// ---------------------------------------------------------------------------------------------------- robustness

TEST_CASE("no damage to a file does more than a DatasetError, and none reserves memory it did not fill") {
    const TemporaryFolder folder;
    write_gzip(folder / "packed", vecs<float>(20, 4));
    const std::vector<std::pair<std::string, std::string>> seeds{
        {"a.fvecs", vecs<float>(20, 4)},
        {"a.bvecs", vecs<std::uint8_t>(20, 4)},
        {"a.ivecs", vecs<std::int32_t>(20, 4)},
        {"a.fvecs.gz", content_of(folder / "packed")},
        {"a.idx", idx<std::uint8_t>(8, {2, 2, 2}, {0, 1, 2, 3, 4, 5, 6, 7})},
        {"a.npy", npy<float>("<f4", "(4, 2)", {0, 1, 2, 3, 4, 5, 6, 7})},
    };
    Random random(11);
    largest_allocation = 0;
    std::size_t refused = 0;
    std::size_t accepted = 0;
    for (const auto& [name, content] : seeds) {
        for (int round = 0; round != 1000; ++round) {
            std::string damaged =
                content.substr(0, random.below(4) == 0 ? random.below(content.size()) : content.size());
            for (std::uint64_t flips = random.below(4); flips != 0 && !damaged.empty(); --flips)
                damaged[random.below(std::min<std::size_t>(damaged.size(), 100))] = static_cast<char>(random());
            const auto file = write(folder / name, damaged);
            try {
                static_cast<void>(load_dataset(file));
                ++accepted;
            } catch (const DatasetError& error) {
                if (error.file() != file)
                    FAIL(error.what());
                ++refused;
            }
        }
    }
    CHECK(refused > 1000);
    CHECK(accepted > 100);
    CHECK(largest_allocation < 16u << 20); // a row of the largest dimension, a chunk
}

TEST_CASE("HDF5 files may be loaded from several threads") {
    const TemporaryFolder folder;
    const auto file = write_hdf5(folder / "a.hdf5");
    std::atomic<int> good{0};
    std::vector<std::thread> threads;
    for (int t = 0; t != 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i != 20; ++i)
                good += load_dataset(file).base_rows() == 3 ? 1 : 0;
        });
    for (auto& thread : threads)
        thread.join();
    CHECK(good == 80);
}

// ---------------------------------------------------------------------------------------------------- generator

MixtureOptions small_mixture() {
    return {.rows = 1000, .queries = 10, .dimension = 32, .clusters = 10, .intrinsic_dimension = 4};
}

TEST_CASE("generated vectors are the same bytes everywhere") {
    const auto data = generate(small_mixture());
    CHECK(data.name == "mixture-32d-4i-10c-1000");
    CHECK(data.base_rows() == 1000);
    CHECK(data.query_rows() == 10);
    CHECK(checksum(data.base) == 0x47FF5E598E924084u);
    CHECK(checksum(data.queries) == 0xC81D28A1143E764Au);
}

TEST_CASE("the checksum is FNV-1a of the little-endian bytes") {
    CHECK(checksum({}) == 0xCBF29CE484222325u);
    const float value = std::bit_cast<float>(0x6F6F6F66u); // "fooo"
    std::uint64_t expected = 0xCBF29CE484222325u;
    for (const char byte : std::string_view("fooo"))
        expected = (expected ^ static_cast<unsigned char>(byte)) * 0x100000001B3u;
    CHECK(checksum({&value, 1}) == expected);
}

TEST_CASE("generated rows do not depend on how many are asked for") {
    auto options = small_mixture();
    const auto many = generate(options);
    options.rows = 100;
    options.queries = 3;
    const auto few = generate(options);
    CHECK(std::equal(few.base.begin(), few.base.end(), many.base.begin()));
    CHECK(std::equal(few.queries.begin(), few.queries.end(), many.queries.begin()));
    options.seed = 2;
    CHECK(generate(options).base != few.base);
}

/// The two-NN estimator of Facco, d'Errico, Rodriguez, Laio (Scientific Reports 7, 2017): the ratio of the distances to
/// the second and the first neighbour follows a Pareto law whose exponent is the intrinsic dimension.
double two_nn_dimension(const Dataset& data) {
    double logarithms = 0;
    for (std::size_t i = 0; i != data.base_rows(); ++i) {
        float first = std::numeric_limits<float>::infinity();
        float second = first;
        const float* a = data.base.data() + i * data.dimension;
        for (std::size_t j = 0; j != data.base_rows(); ++j) {
            if (j == i)
                continue;
            const float* b = data.base.data() + j * data.dimension;
            float squared = 0;
            for (std::size_t c = 0; c != data.dimension; ++c)
                squared += (a[c] - b[c]) * (a[c] - b[c]);
            second = std::min(second, std::max(first, squared));
            first = std::min(first, squared);
        }
        logarithms += 0.5 * std::log(static_cast<double>(second) / static_cast<double>(first));
    }
    return static_cast<double>(data.base_rows() - 1) / logarithms;
}

TEST_CASE("generated clusters have about the intrinsic dimension asked for") {
    MixtureOptions options{.rows = 1500, .queries = 0, .dimension = 64, .clusters = 3, .noise = 1e-4};
    options.intrinsic_dimension = 2;
    const double two = two_nn_dimension(generate(options));
    options.intrinsic_dimension = 8;
    const double eight = two_nn_dimension(generate(options));
    options.intrinsic_dimension = 32;
    const double many = two_nn_dimension(generate(options));
    CAPTURE(two, eight, many);
    CHECK((two > 1.7 && two < 2.3));
    CHECK((eight > 6 && eight < 9));
    CHECK((many > 14 && many < 32)); // 1500 points do not fill 32 dimensions: the estimator falls short, as is known
}

TEST_CASE("generated coordinates have the spread asked for") {
    MixtureOptions options{.rows = 20'000, .queries = 0, .dimension = 8, .clusters = 1, .intrinsic_dimension = 8};
    const auto deviation = [](const Dataset& data) { // root of the mean coordinate variance
        double total = 0;
        for (std::size_t c = 0; c != data.dimension; ++c) {
            double sum = 0;
            double squares = 0;
            for (std::size_t i = 0; i != data.base_rows(); ++i) {
                const auto value = static_cast<double>(data.base_row(i)[c]);
                sum += value;
                squares += value * value;
            }
            const auto n = static_cast<double>(data.base_rows());
            total += squares / n - (sum / n) * (sum / n);
        }
        return std::sqrt(total / static_cast<double>(data.dimension));
    };
    options.cluster_spread = 0;
    options.noise = 0.25;
    CHECK(deviation(generate(options)) == Approx(0.25).epsilon(0.02));
    options.noise = 0;
    options.cluster_spread = 2; // one random matrix: its own variance shows
    CHECK(deviation(generate(options)) == Approx(2).epsilon(0.25));
    options.cluster_spread = 0;
    options.center_spread = 3;
    options.clusters = 5000;
    CHECK(deviation(generate(options)) == Approx(3).epsilon(0.05));
}

TEST_CASE("generator options out of range are refused by name") {
    const auto refused = [](const std::function<void(MixtureOptions&)>& change) {
        auto options = small_mixture();
        change(options);
        try {
            static_cast<void>(generate(options));
        } catch (const InvalidArgument& error) {
            return std::string(error.what());
        }
        return std::string("no error");
    };
    CHECK(refused([](auto& o) { o.dimension = 0; }) ==
          "MixtureOptions.dimension is 0; give a number from 1 to 1048576");
    CHECK(refused([](auto& o) { o.rows = 0; }) == "MixtureOptions.rows is 0; give a number from 1 to 2147483648");
    CHECK(refused([](auto& o) { o.intrinsic_dimension = 33; }) ==
          "MixtureOptions.intrinsic_dimension is 33; give a number from 1 to 32");
    CHECK(refused([](auto& o) { o.clusters = 0; }) == "MixtureOptions.clusters is 0; give a number from 1 to 2097152");
    CHECK(refused([](auto& o) { o.noise = -1; }) == "MixtureOptions.noise is -1; give a number from 0 to 100");
    CHECK(refused([](auto& o) { o.cluster_spread = NAN; }) ==
          "MixtureOptions.cluster_spread is nan; give a number from 0 to 100");
}

// ---------------------------------------------------------------------------------------------------- real data

/// A file of the folder with real vectors, or nothing and a warning that the test is skipped.
std::optional<fs::path> real_file(std::string_view name) {
    const char* folder = std::getenv("HOTINDEX_TEST_DATA");
    fs::path file = fs::path(folder != nullptr ? folder : HOTINDEX_DEFAULT_TEST_DATA) / name;
    if (fs::exists(file))
        return file;
    WARN("SKIPPED: there is no " << file.string() << "; set HOTINDEX_TEST_DATA to the folder that has it");
    return std::nullopt;
}

double score(std::span<const float> a, std::span<const float> b, Metric metric) {
    double dot = 0;
    double aa = 0;
    double bb = 0;
    double squares = 0;
    for (std::size_t i = 0; i != a.size(); ++i) {
        const auto x = static_cast<double>(a[i]);
        const auto y = static_cast<double>(b[i]);
        dot += x * y;
        aa += x * x;
        bb += y * y;
        squares += (x - y) * (x - y);
    }
    return metric == Metric::cosine ? dot / std::sqrt(aa * bb) : squares;
}

TEST_CASE("MNIST with its ground truth is read and agrees with brute force") {
    const auto images = real_file("mnist-t10k-images-idx3-ubyte.gz");
    const Metric metric = GENERATE(Metric::cosine, Metric::squared_euclidean);
    const std::string stem = metric == Metric::cosine ? "mnist-t10k-cosine-top100" : "mnist-t10k-l2sq-top100";
    const auto ids = real_file(stem + ".ivecs");
    const auto scores = real_file(stem + "-scores.fvecs");
    if (!images || !ids || !scores)
        return;
    const auto data = load_dataset(*images, {.ground_truth_ids = ids, .ground_truth_scores = scores});
    CHECK(data.name == "mnist-t10k-images-idx3-ubyte");
    CHECK(data.dimension == 784);
    CHECK(data.base_rows() == 9900);
    CHECK(data.query_rows() == 100);
    CHECK(*std::max_element(data.base.begin(), data.base.end()) == 255);
    CHECK(*std::min_element(data.base.begin(), data.base.end()) == 0);
    REQUIRE(data.ground_truth);
    CHECK(data.ground_truth->k == 100);
    for (std::size_t query = 0; query < data.query_rows(); query += 20) {
        std::vector<double> all;
        for (std::size_t row = 0; row != data.base_rows(); ++row)
            all.push_back(score(data.query_row(query), data.base_row(row), metric));
        const auto truth = data.ground_truth->ids_of(query);
        const auto truth_scores = data.ground_truth->scores_of(query);
        bool same = true;
        for (std::size_t rank = 0; rank != truth.size(); ++rank)
            same = same && all[static_cast<std::size_t>(truth[rank])] ==
                               Approx(static_cast<double>(truth_scores[rank])).epsilon(1e-6);
        CHECK(same); // each listed id has the listed score
        std::sort(all.begin(), all.end());
        if (metric == Metric::cosine)
            std::reverse(all.begin(), all.end());
        for (std::size_t rank = 0; rank != truth.size(); ++rank)
            same = same && all[rank] == Approx(static_cast<double>(truth_scores[rank])).epsilon(1e-6);
        CHECK(same); // and no other vector has a better one
    }
}

TEST_CASE("the topic histograms of Wikipedia articles are read") {
    const auto file = real_file("wikipedia-lda-128d-1k.fvecs");
    if (!file)
        return;
    const auto data = load_dataset(*file);
    CHECK(data.dimension == 128);
    CHECK(data.base_rows() == 900);
    CHECK(data.query_rows() == 100);
    for (std::size_t row = 0; row < data.base_rows(); row += 100) {
        double sum = 0;
        for (const float share : data.base_row(row))
            sum += static_cast<double>(share);
        CHECK(sum == Approx(1).epsilon(1e-3));
    }
}

} // namespace
} // namespace hotindex::bench
