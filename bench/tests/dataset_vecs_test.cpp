// fvecs, bvecs and ivecs; and gzip, which every format but HDF5 may come in.
#include "dataset/matrix_file.hpp"
#include "dataset/vecs.hpp"
#include "dataset_files.hpp"
#include "largest_allocation.hpp"

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace hotindex::bench {
namespace {

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
               Catch::Matchers::ContainsSubstring(
                   "the gzip data cannot be read (the data ends inside the gzip stream)" + again));
    CHECK_THAT(loading(write(folder / "b.fvecs.gz", packed.substr(0, packed.size() - 5))),
               Catch::Matchers::ContainsSubstring(
                   "the gzip data cannot be read (the data ends inside the gzip stream)" + again));
    packed[packed.size() - 6] = static_cast<char>(packed[packed.size() - 6] ^ 1); // the checksum
    CHECK_THAT(loading(write(folder / "c.fvecs.gz", packed)),
               Catch::Matchers::ContainsSubstring("the gzip data cannot be read (incorrect data check)" + again));
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

TEST_CASE("a header cannot make the reader reserve memory, in gzip neither") {
    const TemporaryFolder folder;
    const auto a = write_gzip(folder / "a.idx.gz", idx<std::uint8_t>(8, {3'000'000'000u, 2}, {1, 2, 3}));
    const auto b = write_gzip(folder / "b.npy.gz", npy<float>("<f4", "(8000000000, 2)", {1, 2, 3}));
    const auto c = write(folder / "c.idx", idx<std::uint8_t>(8, {3'000'000'000u, 2}, {1, 2, 3}));
    const auto d = write_gzip(folder / "d.u8bin.gz", bin<std::uint8_t>(10'000, 2, {1, 2, 3}));
    const auto e = write(folder / "e.u8bin", bin<std::uint8_t>(0xFFFF'FFFF, 1'048'576, {1, 2, 3}));
    const auto f = write(folder / "f.fvecs", Bytes().put(1'048'576).put(1.0F).text);
    const auto g = write_gzip(folder / "g.fvecs.gz", Bytes().put(1'048'576).put(1.0F).text);
    const auto h = write(folder / "h.npy", std::string("\x93NUMPY\x02\0\x00\x00\x0f\x00", 12));
    // As MNIST's header says it, but with four billion images; the file has 116 bytes.
    const auto i = write(folder / "big-idx3-ubyte",
                         idx<std::uint8_t>(8, {4'000'000'000u, 28, 28}, std::vector<std::uint8_t>(100)));
    largest_allocation = 0;
    CHECK_THAT(loading(a), Catch::Matchers::StartsWith("at byte 4 of the decompressed data: the header announces "
                                                       "3000000000 rows of 2 bytes, but the "));
    CHECK_THAT(loading(a), Catch::Matchers::ContainsSubstring(" compressed bytes of the file hold at most "));
    CHECK_THAT(loading(b), Catch::Matchers::StartsWith("at byte 60 of the decompressed data: the header announces "
                                                       "8000000000 rows of 8 bytes, but the "));
    CHECK(loading(c) ==
          "at byte 4: the header announces 3000000000 rows of 2 bytes, but only 3 bytes of data follow" + again);
    CHECK(loading(d) == "at byte 11 of the decompressed data: the data ends in row 1 of 10000" + again);
    CHECK(loading(e) ==
          "at byte 0: the header announces 4294967295 rows of 1048576 bytes, but only 3 bytes of data follow" + again);
    CHECK(loading(f) == "at byte 0: row 0 is cut off: 8 of 4194308 bytes are there" + again);
    CHECK_THAT(loading(g), Catch::Matchers::ContainsSubstring("row 0 has 4194308 bytes, but the "));
    CHECK(loading(h) == "at byte 12: the npy header is cut off: 0 of 983040 bytes are there" + again);
    CHECK(loading(i) ==
          "at byte 4: the header announces 4000000000 rows of 784 bytes, but only 100 bytes of data follow" + again);
    CHECK(largest_allocation < 300u << 10); // zlib's buffer
}

} // namespace
} // namespace hotindex::bench
