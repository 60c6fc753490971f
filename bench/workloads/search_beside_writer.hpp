// search_beside_writer: searches while one more thread replaces vectors, at a given pace or without pause.
#pragma once

#include "dataset/random.hpp"
#include "harness/measure.hpp"
#include "harness/pace.hpp"
#include "workloads/searched.hpp"
#include "workloads/workload.hpp"

#include <hotindex/vector_index.hpp>

#include <fmt/format.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

namespace hotindex::bench {

/// search_beside_writer: only searches are counted and only searchers are `threads`. One more thread replaces vectors
/// from before the warm-up to after the lap: `writes` a second if it can, 0: as fast as it can. An index that keeps its
/// writer waiting looks fast beside one without pause; at a pace, what the writer reaches is shown beside the searches.
template <class Index>
class BesideWriterWorkload {
  public:
    using Lane = Queries;
    static constexpr std::uint64_t period = 1;

    BesideWriterWorkload(std::shared_ptr<const Corpus> corpus, std::size_t k, const IndexOptions& options,
                         const Settings& settings, std::size_t threads, double writes)
        : searched_(std::move(corpus), k, options),
          writer_([this, seed = settings.seed, pin = settings.pin, threads, writes] {
              const Pinned pinned(pin, threads);
              Random random(seed, threads);
              Replacements replacements(searched_.corpus(), random);
              Pace pace(writes);
              std::uint64_t done = 0;
              while (!stop_.load(std::memory_order_relaxed)) // relaxed: a flag that publishes nothing
                  for (std::uint64_t n = pace.due(); n != 0; --n)
                      if (replacements.next(searched_.index(), searched_.corpus()))
                          written_.store(++done, std::memory_order_relaxed); // relaxed: a count that publishes nothing
          }) {}
    BesideWriterWorkload(const BesideWriterWorkload&) = delete;
    BesideWriterWorkload& operator=(const BesideWriterWorkload&) = delete;
    ~BesideWriterWorkload() { stop(); }

    Lane lane(std::size_t, Random random) const { return Queries(searched_.corpus(), random); }
    Tally run(Lane& queries, std::uint64_t operations) {
        Tally tally;
        for (std::uint64_t i = 0; i != operations; ++i)
            tally.succeeded += searched_.search(queries.next()) ? 1 : 0;
        tally.failed = operations - tally.succeeded;
        return tally;
    }
    [[nodiscard]] std::uint64_t beside() const { return written_.load(std::memory_order_relaxed); } // relaxed: a count
    [[nodiscard]] std::optional<std::string> fault(std::int64_t growth, bool thorough) {
        stop();
        if (beside() == 0)
            return "the writer wrote nothing";
        return searched_.fault(growth, thorough, false);
    }

  private:
    void stop() {
        stop_.store(true, std::memory_order_relaxed); // relaxed: join() orders the rest
        if (writer_.joinable())
            writer_.join();
    }

    Searched<Index> searched_;
    alignas(128) std::atomic<std::uint64_t> written_{0};
    alignas(128) std::atomic<bool> stop_{false};
    std::thread writer_;
};

struct SearchBesideWriter {
    static constexpr std::array help{WorkloadHelp{
        "search_beside_writer", "as search, beside one more thread that replaces vectors: so many a second, "
                                "and without pause"}};
    static constexpr std::array<std::uint64_t, 4> paces{1'000, 10'000, 100'000, 1'000'000};

    template <class Index>
    static void on_index(const IndexBench& bench) {
        if (bench.plan.profile == Profile::quick || bench.plan.profile == Profile::gate)
            return;
        const Settings& settings = bench.plan.settings;
        const auto corpus = bench.inputs.searched;
        const std::string name = fmt::format("search_beside_writer/{}/{}/k:10", bench.index, corpus->parameters());
        const auto add = [&](const std::string& at, std::uint64_t writes) {
            add_benchmark<BesideWriterWorkload<Index>>(settings, at, [corpus, settings, writes](std::size_t threads) {
                return std::make_unique<BesideWriterWorkload<Index>>(corpus->get(), 10, corpus->get()->options(),
                                                                     settings, threads, static_cast<double>(writes));
            });
        };
        for (const std::uint64_t writes : paces)
            add(fmt::format("{}/writes:{}", name, writes), writes);
        add(name, 0);
    }
};

} // namespace hotindex::bench
