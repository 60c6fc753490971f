// tax: what statistics and the access tracker cost a search.
#pragma once

#include "harness/measure.hpp"
#include "workloads/search.hpp"
#include "workloads/workload.hpp"

#include <hotindex/vector_index.hpp>

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <memory>
#include <string_view>

namespace hotindex::bench {

struct Tax {
    static constexpr std::array help{
        WorkloadHelp{"tax", "as search, with the tracker off, sampled, exact and the statistics off, on"}};

    template <class Index>
    static void on_index(const IndexBench& bench) {
        if (bench.plan.profile == Profile::quick || bench.plan.profile == Profile::gate)
            return;
        const auto corpus = bench.inputs.small;
        for (const Tracking tracking : {Tracking::off, Tracking::sampled, Tracking::exact})
            for (const bool stats : {false, true}) {
                const std::string_view tracked = tracking == Tracking::off       ? "off"
                                                 : tracking == Tracking::sampled ? "sampled"
                                                                                 : "exact";
                add_benchmark<SearchWorkload<Index>>(bench.plan.settings,
                                                     fmt::format("tax/{}/tracking:{}/stats:{}/{}/k:10", bench.index,
                                                                 tracked, stats ? "on" : "off", corpus->parameters()),
                                                     [corpus, tracking, stats](std::size_t) {
                                                         IndexOptions options = corpus->get()->options();
                                                         options.tracking = tracking;
                                                         options.stats = stats;
                                                         return std::make_unique<SearchWorkload<Index>>(corpus->get(),
                                                                                                        10, options);
                                                     });
            }
    }
};

} // namespace hotindex::bench
