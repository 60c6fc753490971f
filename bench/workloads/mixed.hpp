// mixed: searches and adds by turns.
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

/// mixed: two searches, then an add, and so on. The adds replace vectors at random, so that the size, and with it the
/// cost of a search, stays the same.
template <class Index>
class MixedWorkload {
  public:
    struct Lane {
        Queries queries;
        Replacements replacements;
    };
    static constexpr std::uint64_t period = 3;

    MixedWorkload(std::shared_ptr<const Corpus> corpus, std::size_t k, const IndexOptions& options)
        : searched_(std::move(corpus), k, options) {}
    Lane lane(std::size_t, Random random) const {
        return {Queries(searched_.corpus(), random), Replacements(searched_.corpus(), random)};
    }
    Tally run(Lane& lane, std::uint64_t operations) {
        Tally tally;
        for (std::uint64_t i = 0; i != operations; i += 3) {
            tally.succeeded += searched_.search(lane.queries.next()) ? 1 : 0;
            tally.succeeded += searched_.search(lane.queries.next()) ? 1 : 0;
            tally.succeeded += lane.replacements.next(searched_.index(), searched_.corpus()) ? 1 : 0;
        }
        tally.failed = operations - tally.succeeded;
        return tally;
    }
    [[nodiscard]] std::optional<std::string> fault(std::int64_t growth, bool thorough) const {
        return searched_.fault(growth, thorough, false);
    }

  private:
    Searched<Index> searched_;
};

struct Mixed {
    static constexpr std::array help{WorkloadHelp{
        "mixed", "two searches for the top 5 to one add, 1,000 vectors of 64 floats; the adds replace vectors "
                 "drawn at random, so that the size stays 1,000"}};

    template <class Index>
    static void on_index(const IndexBench& bench) {
        const auto corpus = bench.inputs.searched;
        add_benchmark<MixedWorkload<Index>>(
            bench.plan.settings, fmt::format("mixed/{}/{}/k:5", bench.index, corpus->parameters()),
            [corpus](std::size_t) {
                return std::make_unique<MixedWorkload<Index>>(corpus->get(), 5, corpus->get()->options());
            });
    }
};

} // namespace hotindex::bench
