// What differs between Google Benchmark 1.7 and what came after, in this one place. `Run` is
// benchmark::BenchmarkReporter::Run, a parameter so that both can be tested with either installed.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace hotindex::bench {

/// Why the run counts for nothing: error_occurred and error_message in 1.7, skipped and skip_message since 1.8. Nothing
/// when it did not fail.
template <class Run>
[[nodiscard]] std::optional<std::string> failure_of(const Run& run) {
    if constexpr (requires { run.error_occurred; })
        return run.error_occurred ? std::optional(run.error_message) : std::nullopt;
    else // an enumeration whose zero is "not skipped"
        return static_cast<bool>(run.skipped) ? std::optional(run.skip_message) : std::nullopt;
}

/// What follows the number in --benchmark_min_time: since 1.8 a number alone is complained about once a benchmark, and
/// 1.7 does not know units.
template <class Run>
constexpr std::string_view seconds_suffix = requires(const Run& run) { run.skipped; } ? "s" : "";

} // namespace hotindex::bench
