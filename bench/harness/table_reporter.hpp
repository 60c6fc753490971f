// One line for each benchmark: the median of the repetitions, and how far they are apart.
#pragma once

#include <benchmark/benchmark.h>

#include <cstddef>
#include <vector>

namespace hotindex::bench {

class TableReporter : public benchmark::BenchmarkReporter {
  public:
    bool ReportContext(const Context& context) override;
    void ReportRuns(const std::vector<Run>& runs) override;

  private:
    std::size_t width_ = 0;
};

} // namespace hotindex::bench
