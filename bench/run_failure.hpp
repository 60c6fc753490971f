// Why a benchmark's run counts for nothing, in Google Benchmark 1.7 (error_occurred, error_message) and since 1.8
// (skipped, skip_message).
#pragma once

#include <optional>
#include <string>

namespace hotindex::bench {

/// `Run` is benchmark::BenchmarkReporter::Run. Nothing when it did not fail.
template <class Run>
[[nodiscard]] std::optional<std::string> failure_of(const Run& run) {
    if constexpr (requires { run.error_occurred; })
        return run.error_occurred ? std::optional(run.error_message) : std::nullopt;
    else // an enumeration whose zero is "not skipped"
        return static_cast<bool>(run.skipped) ? std::optional(run.skip_message) : std::nullopt;
}

} // namespace hotindex::bench
