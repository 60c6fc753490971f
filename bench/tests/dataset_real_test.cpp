// Real files, where their folder is there.
#include "catch.hpp"
#include "dataset/load.hpp"
#include "dataset/metrics.hpp"

#include <hotindex/search/top_k.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hotindex::bench {
namespace {

namespace fs = std::filesystem;

/// A file of the folder with real vectors, or nothing and a warning that the test is skipped.
std::optional<fs::path> real_file(std::string_view name) {
    const char* folder = std::getenv("HOTINDEX_TEST_DATA");
    fs::path file = fs::path(folder != nullptr ? folder : HOTINDEX_DEFAULT_TEST_DATA) / name;
    if (fs::exists(file))
        return file;
    WARN("SKIPPED: there is no " << file.string() << "; set HOTINDEX_TEST_DATA to the folder that has it");
    return std::nullopt;
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
            all.push_back(exact_score(metric, data.query_row(query), data.base_row(row)));
        const auto truth = data.ground_truth->ids_of(query);
        const auto truth_scores = data.ground_truth->scores_of(query);
        bool same = true;
        for (std::size_t rank = 0; rank != truth.size(); ++rank)
            same = same && all[static_cast<std::size_t>(truth[rank])] ==
                               Catch::Approx(static_cast<double>(truth_scores[rank])).epsilon(1e-6);
        CHECK(same); // each listed id has the listed score
        std::sort(all.begin(), all.end());
        if (higher_is_better(metric))
            std::reverse(all.begin(), all.end());
        for (std::size_t rank = 0; rank != truth.size(); ++rank)
            same = same && all[rank] == Catch::Approx(static_cast<double>(truth_scores[rank])).epsilon(1e-6);
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
        CHECK(sum == Catch::Approx(1).epsilon(1e-3));
    }
}

} // namespace
} // namespace hotindex::bench
