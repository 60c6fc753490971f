// Which format a file has, limits, queries split off, ground truth, and damage.
#include "dataset/matrix_file.hpp"
#include "dataset/random.hpp"
#include "dataset/vecs.hpp"
#include "hdf5_file.hpp"
#include "largest_allocation.hpp"

#include <cstdint>
#include <string>
#include <sys/stat.h>
#include <utility>
#include <vector>

namespace hotindex::bench {
namespace {

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
    const std::string supported = "; supported are .fvecs, .bvecs, .ivecs, .fbin, .f16bin, .u8bin, .i8bin, .ibin, "
                                  ".idx, .npy, .hdf5, .h5 (all but HDF5 also with .gz)";
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
    CHECK(loading(folder / "") == "this is a directory; give one of the files in it");
    REQUIRE(mkfifo((folder / "pipe.fvecs").c_str(), 0600) == 0);
    CHECK(loading(folder / "pipe.fvecs") ==
          "this is a pipe, and a dataset is read more than once; save what it delivers to a file first");
    CHECK(loading("/dev/null") == "this is a device or a socket; give the path of a file");
    fs::create_symlink("nothing", folder / "link.fvecs");
    CHECK(loading(folder / "link.fvecs") == "this link points to nothing; check where it points");
    CHECK(loading(write(folder / "file", "x") / "below.fvecs") == "there is no such file; check the path");
    CHECK(loading(folder / std::string(300, 'x')) ==
          "the file cannot be looked at (File name too long); check the folders' permissions");
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
    check(read_matrix(write(folder / "a.u8bin", bin<std::uint8_t>(3, 2, {0, 1, 10, 11, 20, 21})), two));
    check(read_matrix(write(folder / "f.npy", npy_header("{'descr': '|u1', 'fortran_order': True, 'shape': (3, 2)}") +
                                                  std::string("\x00\x0a\x14\x01\x0b\x15", 6)),
                      two));
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
    const std::string remedy = "read only the first rows: --rows=N";
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
    CHECK_THAT(loading(write(folder / "one.fvecs", vecs<float>(1, 2))),
               Catch::Matchers::ContainsSubstring("1 of its 1 rows"));
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
    CHECK_THROWS_WITH(load_dataset(base, options), Catch::Matchers::ContainsSubstring("max_rows leaves rows of"));
    options.max_rows.reset();
    options.query_file.reset(); // one split-off query, two answers
    CHECK(message_of(ids, [&] { static_cast<void>(load_dataset(base, options)); }) ==
          "the ground truth is for 2 queries, the dataset has 1; give the ground truth of these queries");
    options.ground_truth_ids.reset();
    CHECK_THROWS_WITH(load_dataset(base, options), "ground_truth_scores is given without ground_truth_ids; give both");
    const auto narrow = write(folder / "narrow.fvecs", vecs<float>(1, 1));
    CHECK_THAT(message_of(narrow, [&] { static_cast<void>(load_dataset(base, {.query_file = narrow})); }),
               Catch::Matchers::StartsWith("the queries have dimension 1, the vectors in "));
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

TEST_CASE("no damage to a file does more than a DatasetError, and none reserves memory it did not fill") {
    const TemporaryFolder folder;
    write_gzip(folder / "packed", vecs<float>(20, 4));
    const std::vector<std::pair<std::string, std::string>> seeds{
        {"a.fvecs", vecs<float>(20, 4)},
        {"a.bvecs", vecs<std::uint8_t>(20, 4)},
        {"a.ivecs", vecs<std::int32_t>(20, 4)},
        {"a.fvecs.gz", content_of(folder / "packed")},
        {"a.fbin", bin<float>(4, 2, {0, 1, 2, 3, 4, 5, 6, 7})},
        {"a.idx", idx<std::uint8_t>(8, {2, 2, 2}, {0, 1, 2, 3, 4, 5, 6, 7})},
        {"a.npy", npy<float>("<f4", "(4, 2)", {0, 1, 2, 3, 4, 5, 6, 7})},
        {"b.npy", npy_header("{'descr': '<f4', 'fortran_order': True, 'shape': (4L, 2, 1)}") +
                      vecs<float>(2, 3)}, // 32 bytes of values
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

} // namespace
} // namespace hotindex::bench
