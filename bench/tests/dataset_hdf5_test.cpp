// HDF5 as ann-benchmarks writes it.
#include "dataset/matrix_file.hpp"
#include "hdf5_file.hpp"

#include <atomic>
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace hotindex::bench {
namespace {

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
    CHECK(angular.ground_truth->ids ==
          std::vector<std::int32_t>{1, 2}); // row 0 is zero: what is left of {0, 1}, {2, 1}
    CHECK(angular.ground_truth->scores == Floats{0.75F, 0});
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
               Catch::Matchers::StartsWith("at byte ") &&
                   Catch::Matchers::ContainsSubstring("in 'train' row 1 has nan at position 1; give finite"));
    CHECK(with([](const Hdf5File& f) {
              f.table<double>("train", {1, 2}, {1, 1e300}, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, true);
          }) == "in 'train' row 0 has inf at position 1 as a float32; give finite numbers within the range of float32 "
                "(remove or "
                "replace such rows)");
    CHECK(with([](const Hdf5File& f) { f.floats("train", {1'000'000'000, 2}, {}); }) ==
          "'train' announces 1000000000 rows of 8 bytes, but the file stores 0 bytes of it" + again);
    CHECK(with([](const Hdf5File& f) { f.floats("train", {1'000'000'000'000'000, 1'000'000}, {}); }) ==
          "'train' announces 1000000000000000 rows of 4000000 bytes, but the file stores 0 bytes of it" + again);
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
               Catch::Matchers::StartsWith("the file cannot be opened as HDF5 (HDF5 library: truncated file"));
    for (std::size_t size = 0; size < whole.size(); size += 61) {
        CAPTURE(size);
        CHECK_THAT(loading(write(folder / "b.hdf5", whole.substr(0, size))), Catch::Matchers::EndsWith("get it again"));
    }
    CHECK(loading(write_gzip(folder / "c.hdf5.gz", whole)) ==
          "this HDF5 file is compressed as a whole; decompress it first (gunzip)");
    CHECK(loading(write(folder / "d.hdf5", "no HDF5 at all")) ==
          "the file cannot be opened as HDF5 (HDF5 library: file signature not found)" + again);
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

} // namespace
} // namespace hotindex::bench
