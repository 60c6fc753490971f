// insert: adds to an index that starts empty.
#pragma once

#include "dataset/random.hpp"
#include "harness/measure.hpp"
#include "workloads/checks.hpp"
#include "workloads/inputs.hpp"
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
#include <vector>

namespace hotindex::bench {

inline constexpr std::size_t adds_per_thread = 10'000;

/// Every thread adds 10,000 ids of its own to an index that starts empty, without having been told how many will come.
template <class Index>
class InsertWorkload {
  public:
    struct Lane {
        std::size_t first_id;
        std::size_t first_row;
    };
    static constexpr std::uint64_t period = 1;

    InsertWorkload(std::shared_ptr<const Corpus> corpus, std::size_t threads)
        : corpus_(std::move(corpus)), ids_(ids_for(threads)) {}
    Lane lane(std::size_t thread, Random random) const {
        return {thread * adds_per_thread, static_cast<std::size_t>(random.below(corpus_->rows()))};
    }
    void start_round() {
        index_.reset();
        index_.emplace(corpus_->options());
    }
    static constexpr std::uint64_t round_operations() { return adds_per_thread; }
    Tally run(const Lane& lane, std::uint64_t operations) {
        Tally tally;
        std::size_t row = lane.first_row;
        for (std::uint64_t i = 0; i != operations; ++i) {
            const AddOutcome outcome = index_->add_vector((*ids_)[lane.first_id + i], corpus_->data.base_row(row));
            tally.succeeded += outcome == AddOutcome::inserted ? 1 : 0;
            tally.failed += outcome == AddOutcome::inserted ? 0 : 1;
            row = row + 1 == corpus_->rows() ? 0 : row + 1;
        }
        tally.growth = static_cast<std::int64_t>(tally.succeeded);
        return tally;
    }
    [[nodiscard]] std::optional<std::string> fault(std::int64_t growth, bool) const {
        if (static_cast<std::size_t>(growth) != ids_->size())
            return fmt::format("{} of {} adds inserted", growth, ids_->size());
        return size_fault(index_->size(), 0, growth);
    }

  private:
    static std::shared_ptr<const std::vector<std::string>> ids_for(std::size_t threads) {
        std::vector<std::string> ids;
        ids.reserve(threads * adds_per_thread);
        for (std::size_t i = 0; i != threads * adds_per_thread; ++i)
            ids.push_back(fmt::format("vector:{:08}", i));
        return std::make_shared<const std::vector<std::string>>(std::move(ids));
    }

    std::shared_ptr<const Corpus> corpus_;
    std::shared_ptr<const std::vector<std::string>> ids_;
    std::optional<Index> index_; // optional, not a pointer: an index need not be movable for that
};

struct Insert {
    static constexpr std::array help{
        WorkloadHelp{"insert", "10,000 adds of 128 floats a thread into an index that starts empty; ids differ"}};

    template <class Index>
    static void on_index(const IndexBench& bench) {
        if (bench.plan.profile == Profile::gate)
            return;
        add_benchmark<InsertWorkload<Index>>(bench.plan.settings,
                                             fmt::format("insert/{}/n:{}/dim:128", bench.index, adds_per_thread),
                                             [added = bench.inputs.added](std::size_t threads) {
                                                 return std::make_unique<InsertWorkload<Index>>(added->get(), threads);
                                             });
    }
};

} // namespace hotindex::bench
