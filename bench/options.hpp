// The command line of hotindex_bench.
#pragma once

#include "workloads/plan.hpp"

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace hotindex::bench {

struct Options {
    bool help = false;
    bool memory = false; ///< only say how much memory a vector takes
    Profile profile = Profile::standard;
    std::vector<std::size_t> threads; ///< the ladder
    double seconds = 0.1;             ///< see Settings
    std::uint64_t seed = 1;
    bool pin = false;
    std::optional<std::filesystem::path> dataset;
    std::optional<Metric> metric;    ///< what the dataset is compared by, whatever its file says
    std::optional<std::size_t> rows; ///< only the first so many of the dataset
    std::vector<std::string> google; ///< what Google Benchmark is told: our defaults, then the flags that are its own
    bool own_table = true;           ///< no flag asks for one of Google Benchmark's reporters
    bool display_json = false;       ///< --benchmark_format=json
    bool out_json = false;           ///< --benchmark_out, in JSON
};

/// Throws command_line::BadFlag. `arguments` are those after the program's name.
[[nodiscard]] Options read_options(std::span<const char* const> arguments);

/// What --help prints.
[[nodiscard]] std::string help_text();

/// What is counted, in one sentence for the JSON context.
extern const char* const denominator;

} // namespace hotindex::bench
