// hotindex_bench: every workload on every index over a ladder of threads. See --help, or options.cpp.
#include "command_line/command_line.hpp"
#include "dataset/dataset.hpp"
#include "dataset/error.hpp"
#include "dataset/load.hpp"
#include "harness/orderly_end.hpp"
#include "harness/table_reporter.hpp"
#include "options.hpp"
#include "workloads/plan.hpp"

#include <hotindex/elision/transactions.hpp>
#include <hotindex/vector_index.hpp>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <vector>

namespace hotindex::bench {
namespace {

std::shared_ptr<const Dataset> read_dataset(const Options& options) {
    const std::filesystem::path& file = *options.dataset;
    std::shared_ptr<Dataset> dataset;
    try {
        dataset = std::make_shared<Dataset>(
            load_dataset(file, {.max_rows = options.rows, .metric = options.metric, .default_metric = Metric::cosine}));
    } catch (const std::bad_alloc&) {
        throw DatasetError(file, std::nullopt, "its vectors do not fit into the memory there is",
                           "read only the first rows: --rows=N");
    }
    for (const std::string& note : dataset->notes)
        fmt::print(stderr, "hotindex_bench: note: {}\n", note);
    if (dataset->query_rows() == 0) // an HDF5 file with an empty table
        throw DatasetError(file, std::nullopt, "it has no queries", "give a file with vectors to ask for");
    return dataset;
}

void describe(const Options& options, const Plan& plan) {
    benchmark::AddCustomContext("denominator", denominator);
    benchmark::AddCustomContext("profile", plan.profile == Profile::quick  ? "quick"
                                           : plan.profile == Profile::full ? "full"
                                           : plan.profile == Profile::gate ? "gate"
                                                                           : "default");
    // The same vectors have the same words, also where the file that makes them has moved: scripts/gate compares only
    // runs whose words agree.
    benchmark::AddCustomContext("vectors", plan.dataset
                                               ? fmt::format("{}; by {}; checksum {:016x}", plan.dataset->source,
                                                             name_of(plan.dataset->metric.value_or(Metric::cosine)),
                                                             checksum(plan.dataset->base))
                                               : "generated: see bench/dataset.hpp, generate()");
    benchmark::AddCustomContext("elided", RestrictedTransactions::available()
                                              ? "this processor has transactions (RTM): sections of the elided index "
                                                "run as such"
                                              : "this processor has no transactions (RTM): the elided index is the "
                                                "mutex index, and the ratio shows what its fallback costs");
    benchmark::AddCustomContext("seed", fmt::format("{}", options.seed));
    benchmark::AddCustomContext("lap_seconds", fmt::format("{}", options.seconds));
    benchmark::AddCustomContext("pinned", options.pin ? "true" : "false");
}

/// What --memory prints.
void print_memory(Profile profile) {
    fmt::print("{{\"vectors\": {}, \"dimension\": {}, \"indexes\": [", memory_vectors, memory_dimension);
    const char* between = "";
    for (const VectorMemory& each : memory_of_indexes(profile)) {
        fmt::print("{}{{\"index\": \"{}\", \"resident\": {:.1f}, \"accounted\": {:.1f}}}", between, each.index,
                   each.resident, each.accounted);
        between = ", ";
    }
    fmt::print("]}}\n");
}

int run(std::span<const char* const> arguments) {
    const Options options = read_options(arguments);
    if (options.help) {
        fmt::print("{}", help_text());
        return 0;
    }
    if (options.memory) {
        print_memory(options.profile);
        return 0;
    }
    Plan plan;
    plan.profile = options.profile;
    plan.settings = {options.threads, options.seconds, options.seed, options.pin};
    if (options.dataset)
        plan.dataset = read_dataset(options);

    std::vector<std::string> words{"hotindex_bench"};
    words.insert(words.end(), options.google.begin(), options.google.end());
    std::vector<char*> pointers;
    pointers.reserve(words.size());
    for (std::string& word : words)
        pointers.push_back(word.data());
    int count = static_cast<int>(pointers.size());
    benchmark::Initialize(&count, pointers.data());
    if (count > 1) // it took the others out: it has said what it does not like about the value
        throw command_line::BadFlag(fmt::format("{}: Google Benchmark does not take this value", pointers[1]));

    register_index_benchmarks(plan);
    register_map_benchmarks(plan);
    describe(options, plan);
    OrderlyEnd end;
    benchmark::BenchmarkReporter* display = nullptr; // Google Benchmark's own
    if (options.own_table)
        display = end.whole(std::make_unique<TableReporter>(), "standard output");
    else if (options.display_json)
        display = end.whole(std::make_unique<benchmark::JSONReporter>(), "standard output");
    benchmark::BenchmarkReporter* file = nullptr;
    if (options.out_json) {
        file = end.whole(std::make_unique<benchmark::JSONReporter>(), "--benchmark_out");
        end.outlive_reader();
    }
    const std::size_t matched = benchmark::RunSpecifiedBenchmarks(display, file);
    benchmark::Shutdown();
    if (const std::string lost = end.lost(); !lost.empty()) {
        fmt::print(stderr, "hotindex_bench: {}\n", lost);
        return 1;
    }
    if (matched == 0) {
        fmt::print(stderr, "hotindex_bench: no benchmark matches; --benchmark_list_tests shows their names\n");
        return 1;
    }
    if (const int failed = failed_checks.load()) {
        fmt::print(stderr, "hotindex_bench: {} check{} failed, see above\n", failed, failed == 1 ? "" : "s");
        return 1;
    }
    return 0;
}

} // namespace
} // namespace hotindex::bench

int main(int argc, char** argv) {
    return hotindex::command_line::run_main("hotindex_bench", argc, argv, [](std::span<const char* const> arguments) {
        const int status = hotindex::bench::run(arguments);
        errno = 0;
        if ((std::fflush(stdout) != 0 || !std::cout.flush()) && status == 0) {
            fmt::print(stderr, "hotindex_bench: standard output: {}\n", std::generic_category().message(errno));
            return 1;
        }
        return status;
    });
}
