#include "harness/table_reporter.hpp"

#include "harness/google_benchmark_versions.hpp"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <string>

namespace hotindex::bench {
namespace {

std::string rate(double value) {
    return value >= 1e6   ? fmt::format("{:.3g} M/s", value / 1e6)
           : value >= 1e3 ? fmt::format("{:.3g} k/s", value / 1e3)
                          : fmt::format("{:.3g} /s", value);
}

double counter(const benchmark::BenchmarkReporter::Run& run, const char* name) {
    const auto found = run.counters.find(name);
    return found == run.counters.end() ? 0 : found->second.value;
}

} // namespace

bool TableReporter::ReportContext(const Context& context) {
    width_ = std::max<std::size_t>(context.name_field_width, 20);
    fmt::print(GetOutputStream(), "{:<{}}  {:>10}  {:>10} to {:<10}  {:>6}  {}\n", "benchmark", width_, "median ops",
               "least", "most", "failed", "repetitions");
    return true;
}

void TableReporter::ReportRuns(const std::vector<Run>& runs) {
    std::vector<double> ops;
    double attempted = 0;
    double failed = 0;
    for (const Run& run : runs) {
        if (run.run_type != Run::RT_Iteration)
            continue; // the aggregates: we have our own
        if (const auto failure = failure_of(run)) {
            fmt::print(GetOutputStream(), "{:<{}}  FAILED: {}\n", run.benchmark_name(), width_, *failure);
            continue;
        }
        ops.push_back(counter(run, "ops"));
        attempted += counter(run, "items_per_second");
        failed += counter(run, "failed");
    }
    if (!ops.empty()) {
        std::ranges::sort(ops);
        const double median = (ops[ops.size() / 2] + ops[(ops.size() - 1) / 2]) / 2;
        fmt::print(GetOutputStream(), "{:<{}}  {:>10}  {:>10} to {:<10}  {:>5.1f}%  {}\n", runs.front().run_name.str(),
                   width_, rate(median), rate(ops.front()), rate(ops.back()),
                   attempted > 0 ? 100 * failed / attempted : 0.0, ops.size());
    }
    GetOutputStream().flush();
}

} // namespace hotindex::bench
