// The indexes against ground truth on real vectors: exact means exact.
#include "catch.hpp"
#include "dataset/load.hpp"

#include <hotindex/hot_vector_index.hpp>
#include <hotindex/lock_free_hot_vector_index.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <string>
#include <vector>

namespace {
using namespace hotindex;
using MutexIndex = HotVectorIndex<std::mutex>;
using RwLockIndex = HotVectorIndex<std::shared_mutex>;

std::filesystem::path data_folder() {
    if (const char* folder = std::getenv("HOTINDEX_TEST_DATA"))
        return folder;
    return HOTINDEX_DEFAULT_TEST_DATA;
}

/// Scores in the truth are sums in double precision, ours in float: so far apart they may be and still be the same
/// score.
constexpr double relative_tolerance = 2e-6;

bool same_score(double a, double b) {
    return std::abs(a - b) <= relative_tolerance * std::max({1.0, std::abs(a), std::abs(b)});
}

/// The ids must be the truth's, in its order but for the order within a tie, and the scores the truth's scores.
void check_query(const bench::GroundTruth& truth, std::size_t query, const std::vector<Match>& matches) {
    REQUIRE(matches.size() <= truth.k);
    const auto ids = truth.ids_of(query);
    const auto scores = truth.scores_of(query);
    std::map<std::string, double> true_score;
    for (std::size_t i = 0; i != truth.k; ++i)
        true_score[std::to_string(ids[i])] = scores[i];
    std::size_t wrong = 0;
    for (std::size_t i = 0; i != matches.size(); ++i) {
        const auto there = true_score.find(matches[i].id);
        // An id outside of the list of 100 can only be a tie with the last one.
        const double its_score = there != true_score.end() ? there->second : scores[truth.k - 1];
        if (!same_score(its_score, scores[i]) || !same_score(matches[i].score, scores[i]))
            ++wrong;
    }
    INFO("query " << query);
    CHECK(wrong == 0);
}
} // namespace

// Under a sanitizer a few do: it looks at the code, which is the same for all of them, and takes a minute for all.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t queries_per_check = 25;
#else
constexpr std::size_t queries_per_check = 1;
#endif

TEMPLATE_TEST_CASE("the top 10 and top 100 of all MNIST queries are the ground truth", "[ground_truth]", MutexIndex,
                   RwLockIndex, LockFreeHotVectorIndex) {
    const auto images = data_folder() / "mnist-t10k-images-idx3-ubyte.gz";
    if (!std::filesystem::exists(images)) {
        WARN("SKIPPED: " << images.string() << " is not there; set HOTINDEX_TEST_DATA to its folder");
        return;
    }
    const bench::Dataset data = bench::load_dataset(images, {});
    REQUIRE(data.base.size() == 9900 * data.dimension);
    REQUIRE(data.queries.size() == 100 * data.dimension);
    for (const Metric metric : {Metric::cosine, Metric::squared_euclidean}) {
        const std::string name = metric == Metric::cosine ? "cosine" : "l2sq";
        const auto truth =
            bench::load_ground_truth(data_folder() / fmt::format("mnist-t10k-{}-top100.ivecs", name),
                                     data_folder() / fmt::format("mnist-t10k-{}-top100-scores.fvecs", name));
        REQUIRE(truth.queries == 100);
        REQUIRE(truth.k == 100);
        TestType index(IndexOptions{.dimension = data.dimension, .metric = metric});
        for (std::size_t i = 0; i != 9900; ++i)
            index.add_vector(std::to_string(i), data.base_row(i));
        const auto batch = index.search_batch(data.queries, 100);
        for (std::size_t q = 0; q != 100; q += queries_per_check) {
            const auto top_100 = index.search(data.query_row(q), 100);
            check_query(truth, q, top_100);
            check_query(truth, q, index.search(data.query_row(q), 10));
            CHECK(batch[q] == top_100);
        }
    }
}
