// IDX and npy.
#include "dataset/idx.hpp"
#include "dataset/npy.hpp"
#include "dataset_files.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hotindex::bench {
namespace {

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
               Catch::Matchers::StartsWith("at byte 4: the rows have dimension 4294967295;"));
}

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
    CHECK(
        reading(npy<float>("<c8", "(1, 1)", {1})) ==
        "at byte 10: elements of type '<c8' are not supported; supported are bool, integers of 1 to 8 bytes, float16, "
        "bfloat16, float32 and float64: convert, for example numpy.save(path, x.astype('float32'))");
    CHECK_THAT(reading(npy<std::uint8_t>("|V1", "(1, 1)", {1})), // float8: which of several, NumPy does not say
               Catch::Matchers::ContainsSubstring("elements of type '|V1' are not supported"));
    CHECK(reading(npy<float>("<f4", "(4,)", {1, 2, 3, 4})) ==
          "at byte 60: the array has 1 dimension, vectors need 2 or more; reshape it to (rows, dimension)");
    CHECK_THAT(reading(npy<float>("<f4", "()", {1})), Catch::Matchers::ContainsSubstring("the array has 0 dimensions"));
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
          "at byte 60: the header announces 3 rows of 8 bytes, but only 20 bytes of data follow" + again +
              ", or read the rows that are there: --rows=2");
    CHECK_THAT(reading(npy<float>("<f4", "(1, 2)", {1, 2, 3})),
               Catch::Matchers::ContainsSubstring("there is more data"));
    CHECK_THAT(reading(npy<float>("<f4", "(0, 2)", {})), Catch::Matchers::ContainsSubstring("the file has no rows"));
    CHECK_THAT(reading(npy<float>("<f4", "(18446744073709551615, 1048576)", {})),
               Catch::Matchers::ContainsSubstring("announces 18446744073709551615 rows"));
    CHECK_THAT(reading(npy<float>("<f4", "(4611686018427387905, 4)", {1, 2, 3, 4})),
               Catch::Matchers::ContainsSubstring("announces 4611686018427387905 rows"));
    CHECK_THAT(reading(npy<float>("<f4", "(2, 18446744073709551615, 2)", {})),
               Catch::Matchers::ContainsSubstring("overflow 64 bits"));
}

/// The values as a file in Fortran order: the first index fastest.
template <class T>
std::string fortran(std::string_view descr, std::string_view shape, const std::vector<T>& values) {
    Bytes bytes;
    bytes.put_text(npy_header(fmt::format("{{'descr': '{}', 'fortran_order': True, 'shape': {}, }}", descr, shape)));
    for (const T value : values)
        bytes.put(value);
    return bytes.text;
}

TEST_CASE("npy in Fortran order is read like the same array in C order") {
    const TemporaryFolder folder;
    const auto a = read_npy(write(folder / "a.npy", fortran<float>("<f4", "(2, 3)", {0, 10, 1, 11, 2, 12})));
    CHECK(a.rows == 2);
    CHECK(a.columns == 3);
    CHECK(a.values == Floats{0, 1, 2, 10, 11, 12});
    CHECK(read_npy(write_gzip(folder / "a.npy.gz", fortran<float>("<f4", "(2, 3)", {0, 10, 1, 11, 2, 12}))).values ==
          a.values);
    // Two rows of 2 x 3 x 2; the value says its indices.
    std::vector<std::int16_t> cube;
    Floats expected;
    for (int l = 0; l != 2; ++l)
        for (int k = 0; k != 3; ++k)
            for (int j = 0; j != 2; ++j)
                for (int i = 0; i != 2; ++i)
                    cube.push_back(static_cast<std::int16_t>(1000 * i + 100 * j + 10 * k + l));
    for (int i = 0; i != 2; ++i)
        for (int j = 0; j != 2; ++j)
            for (int k = 0; k != 3; ++k)
                for (int l = 0; l != 2; ++l)
                    expected.push_back(static_cast<float>(1000 * i + 100 * j + 10 * k + l));
    CHECK(read_npy(write(folder / "b.npy", fortran("<i2", "(2, 2, 3, 2)", cube))).values == expected);
    const auto first = read_npy(folder / "b.npy", {.max_rows = 1});
    CHECK(first.cut);
    CHECK(first.values == Floats(expected.begin(), expected.begin() + 12));
}

TEST_CASE("what is wrong in Fortran order is named by its row and column") {
    const TemporaryFolder folder;
    const auto refused = [](const fs::path& file, const ReadOptions& options = {}) {
        return message_of(file, [&] { static_cast<void>(read_npy(file, options)); });
    };
    const std::string good = fortran<float>("<f4", "(2, 3)", {0, 10, 1, 11, 2, 12});
    CHECK_THAT(refused(write(folder / "a.npy", fortran<float>("<f4", "(2, 3)", {0, 10, 1, NAN, 2, 12}))),
               Catch::Matchers::ContainsSubstring("row 1 has nan at position 1; give finite"));
    CHECK_THAT(
        refused(write(folder / "b.npy", good.substr(0, good.size() - 4))),
        Catch::Matchers::ContainsSubstring("announces 2 rows of 12 bytes, but only 20 bytes of data follow" + again));
    CHECK_THAT(refused(write_gzip(folder / "c.npy", good.substr(0, good.size() - 4))),
               Catch::Matchers::ContainsSubstring("the data ends in column 2 of 3" + again));
    CHECK_THAT(refused(write_gzip(folder / "d.npy", good + "x"), {.max_rows = 1}),
               Catch::Matchers::ContainsSubstring("there is more data after the last value"));
    CHECK_THAT(refused(write(folder / "e.npy", good), {.max_bytes = 47}), // twice 24 bytes
               Catch::Matchers::ContainsSubstring(
                   "2 rows of 3 floats, twice while Fortran order is turned round, need more than 47 bytes of memory"));
    CHECK(refused(folder / "e.npy", {.max_bytes = 48}) == "no error");
}

TEST_CASE("float16 and bfloat16 become the float32 they stand for") {
    const TemporaryFolder folder;
    const auto values = [&](std::string_view descr, const std::vector<std::uint16_t>& bits,
                            std::endian order = std::endian::little) {
        return read_npy(write(folder / "x.npy", npy(descr, fmt::format("(1, {})", bits.size()), bits, order))).values;
    };
    CHECK(values("<f2", {0x3C00, 0xC000, 0x7BFF, 0x0001, 0x03FF, 0x0400, 0x3555, 0x8000}) ==
          Floats{1, -2, 65504, 0x1p-24F, 1023 * 0x1p-24F, 0x1p-14F, 0x1.554p-2F, 0});
    CHECK(std::signbit(values("<f2", {0x8000, 0x8001})[0]));
    CHECK(values("<f2", {0x8001}) == Floats{-0x1p-24F});
    CHECK(values(">f2", {0x3C00, 0xC000}, std::endian::big) == Floats{1, -2});
    // ml_dtypes.bfloat16 as numpy.save writes it: two bytes without a name.
    for (const char* descr : {"<V2", "|V2", "bfloat16"})
        CHECK(values(descr, {0x3F80, 0xC000, 0x7F7F, 0x0001}) == Floats{1, -2, 0x1.FEp127F, 0x1p-133F});
    const auto refused = [&](std::string_view descr, std::uint16_t bits) {
        const auto file = write(folder / "x.npy", npy<std::uint16_t>(descr, "(1, 2)", {0, bits}));
        return message_of(file, [&] { static_cast<void>(read_npy(file)); });
    };
    CHECK_THAT(refused("<f2", 0x7C00), Catch::Matchers::ContainsSubstring("row 0 has inf at position 1;"));
    CHECK_THAT(refused("<f2", 0x7C01), Catch::Matchers::ContainsSubstring("row 0 has nan at position 1;"));
    CHECK_THAT(refused("<V2", 0xFF80), Catch::Matchers::ContainsSubstring("row 0 has -inf at position 1;"));
}

TEST_CASE("npy headers of Python 2, whose long integers end in L, are read") {
    const TemporaryFolder folder;
    const auto matrix = read_npy(write(folder / "py2long.npy", npy<float>("<f4", "(2L, 3L)", {0, 1, 2, 3, 4, 5})));
    CHECK(matrix.rows == 2);
    CHECK(matrix.columns == 3);
    CHECK(matrix.values == Floats{0, 1, 2, 3, 4, 5});
    for (const char* shape : {"(2LL, 3)", "(L, 3)", "(2 L, 3)", "(2l, 3)"})
        CHECK_THAT(loading(write(folder / "x.npy", npy<float>("<f4", shape, {0, 1, 2, 3, 4, 5}))),
                   Catch::Matchers::ContainsSubstring("the npy header"));
}

} // namespace
} // namespace hotindex::bench
