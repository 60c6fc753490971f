// read_heavy, exchange, rapid_grow: mixes of operations on keys.
#pragma once

#include "dataset/random.hpp"
#include "harness/measure.hpp"
#include "workloads/checks.hpp"
#include "workloads/key_mix.hpp"
#include "workloads/keyed.hpp"
#include "workloads/keyed_index.hpp"
#include "workloads/workload.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace hotindex::bench {

/// read_heavy and exchange: half of the keys are there at the start, and about half at any time.
template <class Keyed>
class MixWorkload {
  public:
    using Lane = Steps;
    static constexpr std::uint64_t period = 1;

    MixWorkload(const Mix& mix, std::shared_ptr<const KeySet> keys, const MakeKeyed<Keyed>& make)
        : mix_(mix), keys_(std::move(keys)), keyed_(make()) {
        fill(*keyed_, 0, keys_->present_at_start());
    }
    Lane lane(std::size_t, Random random) const { return {*keys_, mix_, random}; }
    Tally run(Lane& steps, std::uint64_t operations) { return perform(*keyed_, steps, operations); }
    [[nodiscard]] std::optional<std::string> fault(std::int64_t growth, bool) const {
        return size_fault(keyed_->size(), keys_->present_at_start(), growth);
    }

  private:
    Mix mix_;
    std::shared_ptr<const KeySet> keys_;
    std::unique_ptr<Keyed> keyed_;
};

/// rapid_grow: each round begins with nothing and ends, after 1.5 n operations, with about n of the 2n keys (uniform).
template <class Keyed>
class GrowWorkload {
  public:
    using Lane = Steps;
    static constexpr std::uint64_t period = 1;

    GrowWorkload(const Mix& mix, std::shared_ptr<const KeySet> keys, MakeKeyed<Keyed> make, std::size_t threads)
        : mix_(mix), keys_(std::move(keys)), make_(std::move(make)), threads_(threads) {}
    Lane lane(std::size_t, Random random) const { return {*keys_, mix_, random}; }
    void start_round() {
        keyed_.reset();
        keyed_ = make_();
    }
    [[nodiscard]] std::uint64_t round_operations() const {
        return std::max<std::uint64_t>(1, keys_->present_at_start() * 3 / 2 / threads_);
    }
    Tally run(Lane& steps, std::uint64_t operations) { return perform(*keyed_, steps, operations); }
    [[nodiscard]] std::optional<std::string> fault(std::int64_t growth, bool) const {
        return size_fault(keyed_->size(), 0, growth);
    }

  private:
    Mix mix_;
    std::shared_ptr<const KeySet> keys_;
    MakeKeyed<Keyed> make_;
    std::size_t threads_;
    std::unique_ptr<Keyed> keyed_;
};

/// `name` is complete but for what Google Benchmark appends. `make(keys)` gives an empty structure.
template <class Keyed, class Make>
void add_mix(const Settings& settings, const std::string& name, const Mix& mix, const std::shared_ptr<LazyKeys>& keys,
             const Make& make) {
    if (mix.name == rapid_grow.name)
        add_benchmark<GrowWorkload<Keyed>>(settings, name, [=](std::size_t threads) {
            const auto set = keys->get();
            return std::make_unique<GrowWorkload<Keyed>>(mix, set, [=] { return make(*set); }, threads);
        });
    else
        add_benchmark<MixWorkload<Keyed>>(settings, name, [=](std::size_t) {
            const auto set = keys->get();
            return std::make_unique<MixWorkload<Keyed>>(mix, set, [=] { return make(*set); });
        });
}

struct Mixes {
    static constexpr std::array help{
        WorkloadHelp{"read_heavy", "98% read, 1% insert, 1% remove"},
        WorkloadHelp{"exchange", "10% read, 40% insert, 40% remove, 10% update"},
        WorkloadHelp{
            "rapid_grow",
            "5% read, 80% insert, 5% remove, 10% update, from empty, 1.5 n operations a round\n"
            "these three draw from 2n keys (keys:uniform or keys:zipf, theta 0.99), of which n are present when "
            "the first two start. On an index insert and update are both add_vector, which inserts or replaces "
            "and never fails; a read is get_vector (read:get) or a search for the top 10 (read:search)"}};

    template <class Index>
    static void on_index(const IndexBench& bench) {
        const auto add = [&bench]<Read how>(std::string_view read, const Mix& mix,
                                            const std::shared_ptr<LazyKeys>& keys) {
            add_mix<KeyedIndex<Index, how>>(
                bench.plan.settings,
                fmt::format("{}/{}/read:{}/{}/dim:64", mix.name, bench.index, read, keys->parameters()), mix, keys,
                make_keyed<Index, how>(bench.inputs.small));
        };
        const Profile profile = bench.plan.profile;
        for (const Mix& mix : mixes)
            if (profile != Profile::quick || mix.name == read_heavy.name)
                for (const auto& keys : bench.inputs.drawn)
                    add.template operator()<Read::get>("get", mix, keys);
        if (profile == Profile::quick || profile == Profile::gate)
            return;
        add.template operator()<Read::search>("search", read_heavy, bench.inputs.few);
        if (profile == Profile::full)
            add.template operator()<Read::search>("search", exchange, bench.inputs.few);
    }

    template <class Map>
    static void on_map(const MapBench& bench) {
        using Keyed = KeyedMap<Map>;
        for (const Mix& mix : mixes)
            if (bench.plan.profile != Profile::quick || mix.name == read_heavy.name)
                for (const auto& keys : bench.inputs.drawn)
                    add_mix<Keyed>(bench.plan.settings,
                                   fmt::format("{}/{}/{}", mix.name, bench.map, keys->parameters()), mix, keys,
                                   [](const KeySet& set) { return std::make_unique<Keyed>(set); });
    }
};

} // namespace hotindex::bench
