// The command line of hotindex_bench, as far as it is about datasets; and how a failed run is told from a good one.
#include "catch.hpp"
#include "command_line/command_line.hpp"
#include "harness/google_benchmark_versions.hpp"
#include "options.hpp"

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <string>
#include <vector>

namespace hotindex::bench {
namespace {

Options reading(const std::vector<const char*>& arguments) {
    return read_options(arguments);
}

TEST_CASE("a metric and a number of rows are taken for a dataset") {
    const Options plain = reading({"--dataset=a.fvecs"});
    CHECK_FALSE(plain.metric);
    CHECK_FALSE(plain.rows);
    const Options given = reading({"--dataset=a.fvecs", "--metric=inner_product", "--rows=1000"});
    CHECK(given.metric == Metric::inner_product);
    CHECK(given.rows == 1000u);
    CHECK(reading({"--metric=cosine", "--dataset=a"}).metric == Metric::cosine);
    CHECK(reading({"--metric=squared_euclidean", "--dataset=a"}).metric == Metric::squared_euclidean);
    CHECK_THAT(help_text(),
               Catch::Matchers::ContainsSubstring("--metric=NAME") && Catch::Matchers::ContainsSubstring("--rows=N"));
}

TEST_CASE("metrics and rows that cannot be used are refused with what can") {
    CHECK_THROWS_WITH(
        reading({"--dataset=a", "--metric=angular"}),
        "--metric: 'angular' is not one of cosine, inner_product, squared_euclidean; did you mean cosine?");
    CHECK_THROWS_WITH(reading({"--dataset=a", "--metric=cosin"}),
                      "--metric: 'cosin' is not one of cosine, inner_product, squared_euclidean; did you mean cosine?");
    CHECK_THROWS_WITH(reading({"--dataset=a", "--metric=jaccard"}),
                      "--metric: 'jaccard' is not one of cosine, inner_product, squared_euclidean");
    CHECK_THROWS_WITH(reading({"--dataset=a", "--rows=1"}), "--rows: '1' is not a number of 2 or more");
    CHECK_THROWS_AS(reading({"--dataset=a", "--rows=many"}), command_line::BadFlag);
    CHECK_THROWS_WITH(reading({"--metric=cosine"}),
                      "--metric is about the vectors of a file: give --dataset=FILE, too");
    CHECK_THROWS_WITH(reading({"--rows=10"}), "--rows is about the vectors of a file: give --dataset=FILE, too");
}

TEST_CASE("flags of Google Benchmark are passed on in their order, and say who reports") {
    const Options plain = reading({});
    CHECK(plain.own_table);
    CHECK_FALSE(plain.out_json);
    const Options given = reading({"--benchmark_filter", "search", "--benchmark_list_tests", "--benchmark_out=a.json"});
    CHECK(std::vector(given.google.end() - 3, given.google.end()) ==
          std::vector<std::string>{"--benchmark_filter=search", "--benchmark_list_tests", "--benchmark_out=a.json"});
    CHECK(given.own_table);
    CHECK(given.out_json);
    CHECK_FALSE(reading({"--benchmark_out=a.csv", "--benchmark_out_format=csv"}).out_json);
    CHECK_FALSE(reading({"--benchmark_out="}).out_json);
    CHECK(reading({"--benchmark_format=json"}).display_json);
    CHECK_FALSE(reading({"--benchmark_color=false"}).own_table);
    CHECK_THROWS_WITH(reading({"--benchmark_format=jason"}),
                      "--benchmark_format: 'jason' is not one of console, json, csv; did you mean json?");
    CHECK_THROWS_WITH(reading({"--benchmark_filtre=search"}),
                      "unknown flag --benchmark_filtre; did you mean --benchmark_filter?");
}

TEST_CASE("profiles exclude each other, and full has longer laps unless the time is given") {
    CHECK(reading({"--full", "--full"}).profile == Profile::full);
    CHECK_THROWS_WITH(reading({"--quick", "--gate"}), "--quick, --full and --gate exclude each other");
    CHECK(reading({}).seconds == 0.1);
    CHECK(reading({"--full"}).seconds == 0.5);
    CHECK(reading({"--full", "--benchmark_min_time=0.25"}).seconds == 0.25);
}

TEST_CASE("a least time may have the unit that Google Benchmark gives it") {
    CHECK(reading({"--benchmark_min_time=0.5s"}).seconds == 0.5);
    CHECK(reading({"--benchmark_min_time", "2s"}).seconds == 2);
    CHECK_THROWS_WITH(reading({"--benchmark_min_time=100x"}),
                      Catch::Matchers::ContainsSubstring("'100x' is a number of iterations"));
    CHECK_THROWS_WITH(reading({"--benchmark_min_time=s"}),
                      "--benchmark_min_time: '' is not a number from 0.001 to 1000");
    CHECK_THROWS_AS(reading({"--benchmark_min_time=1ms"}), command_line::BadFlag);
}

TEST_CASE("every workload is in the help") {
    for (const WorkloadHelp& workload : workload_help())
        CHECK_THAT(help_text(), Catch::Matchers::ContainsSubstring(fmt::format("  {} ", workload.name)));
}

/// A run as Google Benchmark 1.7 describes it.
struct RunBefore18 {
    bool error_occurred = false;
    std::string error_message;
};

/// And since 1.8.
enum Skipped { not_skipped = 0, skipped_with_message, skipped_with_error };
struct RunSince18 {
    Skipped skipped = not_skipped;
    std::string skip_message;
};

TEST_CASE("a failed run is recognised in Google Benchmark 1.7 and in what came after") {
    CHECK_FALSE(failure_of(RunBefore18{}));
    CHECK(failure_of(RunBefore18{true, "wrong size"}) == "wrong size");
    CHECK_FALSE(failure_of(RunSince18{}));
    CHECK(failure_of(RunSince18{skipped_with_error, "wrong size"}) == "wrong size");
    CHECK(failure_of(RunSince18{skipped_with_message, "not here"}) == "not here");
    CHECK_FALSE(failure_of(benchmark::BenchmarkReporter::Run{})); // the one that is installed
}

TEST_CASE("a least time has a unit where Google Benchmark knows units") {
    CHECK(seconds_suffix<RunBefore18>.empty());
    CHECK(seconds_suffix<RunSince18> == "s");
    CHECK(reading({}).google.front() ==
          fmt::format("--benchmark_min_time=0.000001{}", seconds_suffix<benchmark::BenchmarkReporter::Run>));
}

} // namespace
} // namespace hotindex::bench
