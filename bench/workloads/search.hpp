// search: nothing but searches.
#pragma once

#include "dataset/random.hpp"
#include "harness/measure.hpp"
#include "workloads/searched.hpp"
#include "workloads/workload.hpp"

#include <hotindex/vector_index.hpp>

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace hotindex::bench {

/// search, and tax: the same with other options.
template <class Index>
class SearchWorkload {
  public:
    using Lane = Queries;
    static constexpr std::uint64_t period = 1;

    SearchWorkload(std::shared_ptr<const Corpus> corpus, std::size_t k, const IndexOptions& options)
        : searched_(std::move(corpus), k, options) {}
    Lane lane(std::size_t, Random random) const { return Queries(searched_.corpus(), random); }
    Tally run(Lane& queries, std::uint64_t operations) {
        Tally tally;
        for (std::uint64_t i = 0; i != operations; ++i)
            tally.succeeded += searched_.search(queries.next()) ? 1 : 0;
        tally.failed = operations - tally.succeeded;
        return tally;
    }
    [[nodiscard]] std::optional<std::string> fault(std::int64_t growth, bool thorough) const {
        return searched_.fault(growth, thorough, true);
    }

  private:
    Searched<Index> searched_;
};

struct Search {
    static constexpr std::array help{WorkloadHelp{"search", "top 10 over 1,000 vectors of 64 floats"}};

    template <class Index>
    static void on_index(const IndexBench& bench) {
        const auto corpus = bench.inputs.searched;
        add_benchmark<SearchWorkload<Index>>(
            bench.plan.settings, fmt::format("search/{}/{}/k:10", bench.index, corpus->parameters()),
            [corpus](std::size_t) {
                return std::make_unique<SearchWorkload<Index>>(corpus->get(), 10, corpus->get()->options());
            });
    }
};

} // namespace hotindex::bench
