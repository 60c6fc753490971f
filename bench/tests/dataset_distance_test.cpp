// What HDF5 files say they are compared by, and what keeps an undamaged one from being read.
#include "dataset/metrics.hpp"
#include "hdf5_file.hpp"

#include <fcntl.h>
#include <string>
#include <sys/file.h>
#include <unistd.h>
#include <vector>

namespace hotindex::bench {
namespace {

TEST_CASE("every name in use for a distance is known") {
    const TemporaryFolder folder;
    const auto metric = [&](const std::string& name) {
        return load_dataset(write_hdf5(folder / "a.hdf5", name)).metric;
    };
    for (const char* name : {"angular", "cosine", "Cosine", "COSINE", "normalized"})
        CHECK(metric(name) == Metric::cosine);
    for (const char* name : {"euclidean", "Euclidean", "l2", "L2", "sqeuclidean", "squared_euclidean"})
        CHECK(metric(name) == Metric::squared_euclidean);
    for (const char* name : {"ip", "IP", "dot", "Dot", "inner_product", "inner product", "dot-product"})
        CHECK(metric(name) == Metric::inner_product);
    CHECK_FALSE(metric_named("manhattan"));
    CHECK_FALSE(metric_named(""));
}

TEST_CASE("files may call every metric what the library calls it") {
    for (const MetricFacts& each : metric_facts)
        CHECK(metric_named(each.name) == each.metric);
    CHECK(metrics_in_words() == "cosine, inner_product or squared_euclidean");
    CHECK(metrics_in_words("--metric=", Metric::cosine) == "--metric=inner_product or --metric=squared_euclidean");
}

TEST_CASE("an inner product file gives ids, but no scores: writers differ in their sign") {
    const TemporaryFolder folder;
    const auto data = load_dataset(write_hdf5(folder / "d_ip.hdf5", "ip"));
    CHECK(data.metric == Metric::inner_product);
    REQUIRE(data.ground_truth);
    CHECK(data.ground_truth->ids == std::vector<std::int32_t>{0, 1, 2, 1});
    CHECK(data.ground_truth->scores.empty());
    CHECK(data.notes.empty());
}

TEST_CASE("a distance that an index does not offer is refused with the reason, unless another is chosen") {
    const TemporaryFolder folder;
    CHECK(loading(write_hdf5(folder / "a.hdf5", "hamming")) ==
          "the attribute 'distance' is 'hamming', which counts the bits that differ; an index compares vectors of "
          "numbers; --metric=squared_euclidean counts the same on vectors of 0 and 1");
    CHECK(loading(write_hdf5(folder / "b.hdf5", "chebyshev")) ==
          "the attribute 'distance' is 'chebyshev'; say by what to compare: --metric=cosine, --metric=inner_product or "
          "--metric=squared_euclidean");
    {
        const Hdf5File sets(folder / "c.hdf5"); // as ann-benchmarks writes sets: one row of numbers, sizes elsewhere
        sets.ids("train", {4}, {1, 2, 3, 4});
        sets.text("distance", "jaccard", true);
    }
    CHECK(loading(folder / "c.hdf5") ==
          "the attribute 'distance' is 'jaccard', which compares sets; an index compares vectors of numbers; give a "
          "file made for angular, cosine, euclidean, l2, ip, dot or inner_product");
    const auto chosen = load_dataset(folder / "b.hdf5", {.metric = Metric::inner_product});
    CHECK(chosen.metric == Metric::inner_product);
    CHECK_FALSE(chosen.ground_truth);
    CHECK(chosen.notes == std::vector{(folder / "b.hdf5").string() + ": the ground truth is left out: it was made with "
                                                                     "the distance chebyshev, and the metric is "
                                                                     "inner_product"});
}

TEST_CASE("bits are read as 0 and 1, and their ground truth holds under squared Euclidean distance") {
    const TemporaryFolder folder;
    {
        const Hdf5File hdf5(folder / "a.hdf5");
        hdf5.bits("train", {2, 3}, {0, 1, 1, 1, 0, 0});
        hdf5.bits("test", {1, 3}, {0, 1, 0});
        hdf5.ids("neighbors", {1, 2}, {0, 1});
        hdf5.text("distance", "hamming", true);
    }
    const auto data = load_dataset(folder / "a.hdf5", {.metric = Metric::squared_euclidean});
    CHECK(data.base == Floats{0, 1, 1, 1, 0, 0});
    CHECK(data.queries == Floats{0, 1, 0});
    REQUIRE(data.ground_truth);
    CHECK(data.ground_truth->ids == std::vector<std::int32_t>{0, 1});
}

TEST_CASE("the chosen metric goes before the file's, and a default comes after it") {
    const TemporaryFolder folder;
    const auto file = write_hdf5(folder / "a.hdf5", "euclidean");
    const auto same = load_dataset(file, {.metric = Metric::squared_euclidean});
    CHECK(same.ground_truth);
    const auto other = load_dataset(file, {.metric = Metric::inner_product, .default_metric = Metric::cosine});
    CHECK(other.metric == Metric::inner_product);
    CHECK_FALSE(other.ground_truth);
    CHECK(load_dataset(file, {.default_metric = Metric::cosine}).metric == Metric::squared_euclidean);
    const auto silent = write_hdf5(folder / "b.hdf5", "");
    CHECK(load_dataset(silent, {.default_metric = Metric::inner_product}).metric == Metric::inner_product);
    CHECK(load_dataset(silent, {.metric = Metric::inner_product}).ground_truth);
}

TEST_CASE("a filter that the HDF5 library lacks is named, and the file not called damaged") {
    const TemporaryFolder folder;
    const auto with = [&](H5Z_filter_t filter) {
        {
            const Hdf5File hdf5(folder / "a.hdf5");
            hdf5.filtered("train", {2, 2}, {1, 2, 3, 4}, filter);
        }
        return loading(folder / "a.hdf5");
    };
    const std::string remedy = "which this HDF5 library does not have; name the folder that has the filter in the "
                               "environment variable HDF5_PLUGIN_PATH, or write the file again with gzip, in h5py: "
                               "create_dataset(name, data=x, compression='gzip')";
    CHECK(with(32000) == "'train' is compressed by the filter lzf (number 32000), " + remedy);
    CHECK(with(32015) == "'train' is compressed by the filter zstd (number 32015), " + remedy);
    CHECK(with(40001) == "'train' is compressed by the filter without a name (number 40001), " + remedy);
}

TEST_CASE("a file that another program holds open for writing is said to be held, not damaged") {
    const TemporaryFolder folder;
    const auto file = write_hdf5(folder / "a.hdf5");
    const int held = open(file.c_str(), O_RDWR | O_CLOEXEC);
    REQUIRE(held >= 0);
    REQUIRE(flock(held, LOCK_EX) == 0);
    CHECK_THAT(loading(file),
               Catch::Matchers::StartsWith("another program has the file open for writing (HDF5 library: ") &&
                   Catch::Matchers::EndsWith("); close it there; if nothing writes to it, set the environment variable "
                                             "HDF5_USE_FILE_LOCKING=FALSE"));
    REQUIRE(flock(held, LOCK_UN) == 0);
    close(held);
    CHECK(load_dataset(file).base_rows() == 3);
}

TEST_CASE("a file whose writer has died is said to be marked, not damaged") {
    const TemporaryFolder folder;
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
    const hid_t id = H5Fcreate((folder / "a.hdf5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access);
    REQUIRE(id >= 0);
    H5Fflush(id, H5F_SCOPE_GLOBAL);
    const auto copy = write(folder / "b.hdf5", content_of(folder / "a.hdf5")); // as it is while it is open
    H5Fclose(id);
    H5Pclose(access);
    CHECK_THAT(
        loading(copy),
        Catch::Matchers::StartsWith("the file says that a program is writing to it (HDF5 library: ") &&
            Catch::Matchers::EndsWith("); close it there; if that program has died, h5clear -s FILE removes the mark"));
}

} // namespace
} // namespace hotindex::bench
