// fbin, f16bin, u8bin, i8bin and ibin: the formats of big-ann-benchmarks.
#include "dataset/bin.hpp"
#include "dataset/matrix_file.hpp"
#include "dataset_files.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace hotindex::bench {
namespace {

TEST_CASE("the formats of big-ann-benchmarks are read as written") {
    const TemporaryFolder folder;
    const auto floats = read_matrix(write(folder / "a.fbin", bin<float>(2, 3, {0, 1.5F, -2, 10, 11, 12})));
    CHECK(floats.rows == 2);
    CHECK(floats.columns == 3);
    CHECK_FALSE(floats.cut);
    CHECK(floats.values == Floats{0, 1.5F, -2, 10, 11, 12});
    CHECK(read_matrix(write(folder / "a.u8bin", bin<std::uint8_t>(2, 2, {0, 127, 128, 255}))).values ==
          Floats{0, 127, 128, 255});
    CHECK(read_matrix(write(folder / "a.i8bin", bin<std::int8_t>(2, 2, {0, 127, -128, -1}))).values ==
          Floats{0, 127, -128, -1});
    CHECK(read_matrix(write(folder / "a.ibin", bin<std::int32_t>(1, 2, {-70000, 70000}))).values ==
          Floats{-70000, 70000});
    CHECK(read_matrix(write(folder / "a.f16bin", bin<std::uint16_t>(1, 2, {0x3C00, 0xC000}))).values == Floats{1, -2});
    CHECK(read_matrix(write_gzip(folder / "b.fbin.gz", bin<float>(1, 2, {1, 2}))).values == Floats{1, 2});
    const auto data = load_dataset(write(folder / "base.10M.fbin", bin<float>(20, 2, Floats(40, 1))));
    CHECK(data.name == "base.10M");
    CHECK(data.dimension == 2);
    CHECK(data.base_rows() == 18);
    CHECK(data.source == "base.10M.fbin (fbin): 20 rows of 2; the last 2 split off as queries");
}

TEST_CASE("the first rows of a large file, named .crop_nb_N, keep their format") {
    const TemporaryFolder folder;
    const auto file = folder / "base.1B.u8bin.crop_nb_10000000";
    CHECK(format_of(write(file, bin<std::uint8_t>(3, 2, {0, 1, 2, 3, 4, 5}))) == Format::u8bin);
    // Cut to size by hand: the header still announces a thousand million rows.
    write(file, bin<std::uint8_t>(1'000'000'000, 2, {0, 1, 2, 3, 4, 5}));
    CHECK(loading(file) ==
          "at byte 0: the header announces 1000000000 rows of 2 bytes, but only 6 bytes of data follow" + again +
              ", or read the rows that are there: --rows=3");
    const auto there = read_matrix(file, {.max_rows = 3});
    CHECK(there.values == Floats{0, 1, 2, 3, 4, 5});
    CHECK(there.cut);
    CHECK_THAT(message_of(file, [&] { static_cast<void>(read_matrix(file, {.max_rows = 4})); }),
               Catch::Matchers::ContainsSubstring("announces 1000000000 rows"));
}

TEST_CASE("malformed files of big-ann-benchmarks are refused with the reason") {
    const TemporaryFolder folder;
    CHECK(loading(write(folder / "a.fbin", "1234567")) ==
          "at byte 0: the fbin header is cut off: 7 of 8 bytes are there" + again);
    CHECK_THAT(loading(write(folder / "b.u8bin", bin<std::uint8_t>(2, 0, {}))),
               Catch::Matchers::StartsWith("at byte 0: the rows have dimension 0; "));
    CHECK(loading(write(folder / "c.u8bin", bin<std::uint8_t>(0, 2, {}))) ==
          "at byte 0: the file has no rows; give a file with at least one vector");
    CHECK(loading(write(folder / "d.u8bin", bin<std::uint8_t>(1, 2, {1, 2, 3}))) ==
          "at byte 10: there is more data after the last value that the header announces; the header or the file is "
          "damaged: get it again");
    CHECK_THAT(loading(write(folder / "e.fbin", bin<float>(2, 1, {1, NAN}))),
               Catch::Matchers::StartsWith("at byte 12: row 1 has nan at position 0; "));
    CHECK_THROWS_WITH(read_bin(folder / "e.fbin", Format::npy),
                      "read_bin does not read npy; give fbin, f16bin, u8bin, i8bin or ibin");
}

TEST_CASE("a number of rows that looks like an IDX header does not make a file of big-ann-benchmarks one") {
    const TemporaryFolder folder;
    const std::uint32_t rows = 0x03080000; // bytes 00 00 08 03: MNIST's images begin so
    CHECK(format_of(write(folder / "a.u8bin", bin<std::uint8_t>(rows, 1, {1}))) == Format::u8bin);
    CHECK(format_of(write(folder / "a.bin2", bin<std::uint8_t>(rows, 1, {1}))) == Format::idx);
    CHECK(format_of(write(folder / "b.fbin", npy<float>("<f4", "(1, 1)", {1}))) == Format::npy);
}

} // namespace
} // namespace hotindex::bench
