// churn: what is put in is taken out again.
#pragma once

#include "dataset/random.hpp"
#include "harness/measure.hpp"
#include "workloads/checks.hpp"
#include "workloads/key_mix.hpp"
#include "workloads/keyed.hpp"
#include "workloads/keyed_index.hpp"
#include "workloads/workload.hpp"

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace hotindex::bench {

/// churn: an insert and a remove by turns, nothing fails. Each thread has keys of its own in a ring, n / threads of
/// them present: it inserts the one before the present ones and removes the last of them.
template <class Keyed>
class ChurnWorkload {
  public:
    struct Lane {
        std::size_t begin; ///< of the thread's keys
        std::size_t keys;
        std::size_t present;
        std::size_t oldest = 0; ///< in the ring
    };
    static constexpr std::uint64_t period = 2;

    ChurnWorkload(std::shared_ptr<const KeySet> keys, const MakeKeyed<Keyed>& make, std::size_t threads)
        : keys_(std::move(keys)), each_(keys_->names().size() / threads), threads_(threads), keyed_(make()) {
        for (std::size_t t = 0; t != threads; ++t)
            fill(*keyed_, t * each_, t * each_ + each_ / 2);
    }
    Lane lane(std::size_t thread, Random) const { return {thread * each_, each_, each_ / 2}; }
    Tally run(Lane& lane, std::uint64_t operations) {
        Tally tally;
        for (std::uint64_t i = 0; i != operations; i += 2) {
            std::size_t next = lane.oldest + lane.present;
            next -= next < lane.keys ? 0 : lane.keys;
            const std::uint64_t done = (keyed_->insert(lane.begin + next, tally.growth) ? 1u : 0u) +
                                       (keyed_->remove(lane.begin + lane.oldest, tally.growth) ? 1u : 0u);
            lane.oldest = lane.oldest + 1 == lane.keys ? 0 : lane.oldest + 1;
            tally.succeeded += done;
            tally.failed += 2 - done;
        }
        return tally;
    }
    [[nodiscard]] std::optional<std::string> fault(std::int64_t growth, bool) const {
        if (growth != 0)
            return fmt::format("the size changed by {}", growth);
        return size_fault(keyed_->size(), each_ / 2 * threads_, growth);
    }

  private:
    std::shared_ptr<const KeySet> keys_;
    std::size_t each_;
    std::size_t threads_;
    std::unique_ptr<Keyed> keyed_;
};

template <class Keyed, class Make>
void add_churn(const Settings& settings, const std::string& name, const std::shared_ptr<LazyKeys>& keys,
               const Make& make) {
    add_benchmark<ChurnWorkload<Keyed>>(settings, name, [=](std::size_t threads) {
        const auto set = keys->get();
        return std::make_unique<ChurnWorkload<Keyed>>(set, [=] { return make(*set); }, threads);
    });
}

struct Churn {
    static constexpr std::array help{WorkloadHelp{
        "churn", "insert and remove by turns, each thread on keys of its own, n present (counted as two operations)"}};

    template <class Index>
    static void on_index(const IndexBench& bench) {
        if (bench.plan.profile == Profile::quick)
            return;
        const auto keys = bench.inputs.drawn.front();
        add_churn<KeyedIndex<Index, Read::get>>(bench.plan.settings,
                                                fmt::format("churn/{}/n:{}/dim:64", bench.index, keys->n()), keys,
                                                make_keyed<Index, Read::get>(bench.inputs.small));
    }

    template <class Map>
    static void on_map(const MapBench& bench) {
        if (bench.plan.profile != Profile::full)
            return;
        using Keyed = KeyedMap<Map>;
        const auto keys = bench.inputs.drawn.front();
        add_churn<Keyed>(bench.plan.settings, fmt::format("churn/{}/n:{}", bench.map, keys->n()), keys,
                         [](const KeySet& set) { return std::make_unique<Keyed>(set); });
    }
};

} // namespace hotindex::bench
