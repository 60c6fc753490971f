// Rows of zeros: under cosine they are left out, with a note, and the ground truth stays right.
#include "hdf5_file.hpp"

#include <hotindex/hot_vector_index.hpp>

#include <mutex>
#include <string>
#include <vector>

namespace hotindex::bench {
namespace {

constexpr const char* zeros = " is all zeros, which have no cosine similarity: left out";

/// Five rows, of which 1 and 3 are zeros; three queries, of which 1 is; the true neighbours by cosine and by angle.
fs::path write_with_zeros(const fs::path& file, const std::string& distance) {
    const Hdf5File hdf5(file);
    hdf5.floats("train", {5, 2}, {1, 0, 0, 0, 1, 1, 0, 0, 0, 1});
    hdf5.floats("test", {3, 2}, {2, 0, 0, 0, 0, 3});
    hdf5.ids("neighbors", {3, 3}, {0, 2, 1, 0, 1, 2, 4, 2, 0});
    hdf5.floats("distances", {3, 3}, {0, 0.25F, 1, 1, 1, 1, 0, 0.25F, 1});
    hdf5.text("distance", distance, true);
    return file;
}

TEST_CASE("under cosine, zero rows are left out with a note of file, table and row") {
    const TemporaryFolder folder;
    const auto file = write_with_zeros(folder / "a.hdf5", "angular");
    const auto data = load_dataset(file);
    CHECK(data.base == Floats{1, 0, 1, 1, 0, 1});
    CHECK(data.queries == Floats{2, 0, 0, 3});
    CHECK(data.notes ==
          std::vector<std::string>{
              file.string() + ": 2 rows of 'train' are all zeros, which have no cosine similarity: left out (1, 3)",
              file.string() + ": row 1 of 'test'" + zeros,
              file.string() + ": the ground truth names rows that are left out: 2 of 3 ids a query remain"});
    CHECK(data.source == "a.hdf5 (HDF5): 5 rows of 2; 3 queries from the same file; without a direction and left out: "
                         "2 of the base, 1 of the queries");
}

TEST_CASE("the ids of a ground truth stay the numbers of rows in the file when rows are left out") {
    const TemporaryFolder folder;
    const auto data = load_dataset(write_with_zeros(folder / "a.hdf5", "angular"));
    REQUIRE(data.ground_truth);
    CHECK(data.ground_truth->queries == 2);
    CHECK(data.ground_truth->k == 2);
    CHECK(data.ground_truth->ids == std::vector<std::int32_t>{0, 2, 4, 2});
    CHECK(data.ground_truth->scores == Floats{1, 0.75F, 1, 0.75F});
    CHECK(data.file_rows == std::vector<std::size_t>{0, 2, 4});
    // An index of what was kept, named by file_row(), answers with the truth's ids.
    HotVectorIndex<std::mutex> index({.dimension = 2});
    for (std::size_t i = 0; i != data.base_rows(); ++i)
        index.add_vector(std::to_string(data.file_row(i)), data.base_row(i));
    for (std::size_t query = 0; query != data.query_rows(); ++query) {
        const auto found = index.search(data.query_row(query), 2);
        REQUIRE(found.size() == 2);
        for (std::size_t rank = 0; rank != 2; ++rank)
            CHECK(found[rank].id == std::to_string(data.ground_truth->ids_of(query)[rank]));
    }
}

TEST_CASE("under other metrics zero rows stay") {
    const TemporaryFolder folder;
    const auto file = write_with_zeros(folder / "a.hdf5", "euclidean");
    const auto data = load_dataset(file);
    CHECK(data.base_rows() == 5);
    CHECK(data.query_rows() == 3);
    CHECK(data.notes.empty());
    CHECK(data.file_row(4) == 4);
    CHECK(data.ground_truth->k == 3);
    const auto angular = write_with_zeros(folder / "b.hdf5", "angular");
    CHECK(load_dataset(angular, {.metric = Metric::inner_product}).base_rows() == 5);
    CHECK(load_dataset(write(folder / "c.u8bin", bin<std::uint8_t>(2, 1, {0, 1}))).base_rows() == 1); // metric unknown
}

TEST_CASE("zero rows of a file without tables are named by their row in the file, queries split off among them") {
    const TemporaryFolder folder;
    std::vector<std::uint8_t> values(60, 1);
    values[4] = values[5] = 0;   // row 2
    values[56] = values[57] = 0; // row 28, of the queries 27 to 29
    const auto file = write(folder / "a-idx3-ubyte", idx<std::uint8_t>(8, {30, 1, 2}, values));
    const auto data = load_dataset(file, {.default_metric = Metric::cosine});
    CHECK(data.base_rows() == 26);
    CHECK(data.query_rows() == 2);
    CHECK(data.file_row(2) == 3);
    CHECK(data.notes == std::vector<std::string>{file.string() + ": row 2 of the vectors" + zeros,
                                                 file.string() + ": row 28 of the queries" + zeros});
    const auto queries = write(folder / "q.u8bin", bin<std::uint8_t>(2, 2, {0, 0, 1, 1}));
    const auto with = load_dataset(file, {.query_file = queries, .metric = Metric::cosine});
    CHECK(with.notes.back() == queries.string() + ": row 0 of the queries" + zeros);
}

TEST_CASE("a row whose norm is beyond float arithmetic is left out like a zero row, in words of its own") {
    const TemporaryFolder folder;
    const auto file = write(folder / "a.fbin", bin<float>(4, 2, {1, 1, 1e-30F, 0, 1e30F, 1e30F, 1, 2}));
    const auto data = load_dataset(file, {.queries = 1, .metric = Metric::cosine});
    CHECK(data.base == Floats{1, 1});
    CHECK(data.notes ==
          std::vector{file.string() + ": 2 rows of the vectors have norms beyond float arithmetic, and so "
                                      "no cosine similarity: left out (1, 2)"});
}

TEST_CASE("many rows that are left out are counted, and the first ten named") {
    const TemporaryFolder folder;
    std::vector<std::uint8_t> values(100, 0);
    values[0] = values[99] = 1;
    const auto file = write(folder / "a.u8bin", bin<std::uint8_t>(100, 1, values));
    CHECK(load_dataset(file, {.queries = 1, .metric = Metric::cosine}).notes ==
          std::vector{file.string() +
                      ": 98 rows of the vectors are all zeros, which have no cosine similarity: left out "
                      "(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ...)"});
}

TEST_CASE("a file of nothing but zeros is refused under cosine, with a metric that works") {
    const TemporaryFolder folder;
    const auto file =
        write(folder / "blank-idx3-ubyte", idx<std::uint8_t>(8, {20, 2, 3}, std::vector<std::uint8_t>(120)));
    const auto refused = [](const fs::path& path) {
        return message_of(path, [&] { static_cast<void>(load_dataset(path, {.default_metric = Metric::cosine})); });
    };
    CHECK(refused(file) ==
          "no row of the vectors (18 rows) has a cosine similarity: all are zeros; compare by another metric: "
          "--metric=inner_product or --metric=squared_euclidean");
    CHECK(load_dataset(file, {.metric = Metric::squared_euclidean}).base_rows() == 18);
    std::vector<std::uint8_t> padded(60, 1);
    std::fill(padded.begin() + 54, padded.end(), std::uint8_t{0});
    const auto tail = write(folder / "tail.u8bin", bin<std::uint8_t>(30, 2, padded));
    CHECK(refused(tail) == "no row of the queries (3 rows) has a cosine similarity: all are zeros; they are the file's "
                           "last rows: leave its end out with --rows=N, or give another --metric");
    CHECK(load_dataset(tail, {.max_rows = 27, .metric = Metric::cosine}).query_rows() == 2);
}

} // namespace
} // namespace hotindex::bench
