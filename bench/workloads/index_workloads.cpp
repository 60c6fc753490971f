// Every workload on every index.
#include "dataset/random.hpp"
#include "harness/memory_use.hpp"
#include "workloads/list.hpp"

#include <hotindex/adaptive_hot_vector_index.hpp>
#include <hotindex/elision/elided_mutex.hpp>
#include <hotindex/hot_vector_index.hpp>
#include <hotindex/lock_free_hot_vector_index.hpp>

#include <fmt/format.h>

#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string_view>
#include <type_traits>
#include <vector>

namespace hotindex::bench {
namespace {

template <class Index, class... Workload>
void add_all(const IndexBench& bench, Workloads<Workload...>) {
    (Workload::template on_index<Index>(bench), ...);
}

template <class... Workload>
std::vector<WorkloadHelp> help_of(Workloads<Workload...>) {
    std::vector<WorkloadHelp> all;
    (all.insert(all.end(), Workload::help.begin(), Workload::help.end()), ...);
    return all;
}

/// An index that holds `memory_vectors` vectors, of which it was not told how many would come.
template <class Index>
Made filled() {
    IndexOptions options;
    options.dimension = memory_dimension;
    auto index = std::make_shared<Index>(options);
    Random random(1, 0);
    std::vector<float> row(memory_dimension);
    for (std::size_t i = 0; i != memory_vectors; ++i) {
        for (float& value : row)
            value = static_cast<float>(1 + random.below(1000));
        index->add_vector(fmt::format("vector:{:08}", i), row);
    }
    return {index, static_cast<double>(index->memory_usage().total())};
}

using Elided = HotVectorIndex<ElidedMutex>;

/// Calls add(the type, its name in benchmark names) for each index.
template <class Add>
void for_each_index(Profile profile, Add add) {
    add.template operator()<HotVectorIndex<std::mutex>>("mutex");
    if (profile != Profile::gate)
        add.template operator()<HotVectorIndex<std::shared_mutex>>("rwlock");
    if (profile == Profile::standard || profile == Profile::full)
        add.template operator()<Elided>("elided");
    add.template operator()<LockFreeHotVectorIndex>("lock_free");
    if (profile == Profile::standard || profile == Profile::full)
        add.template operator()<AdaptiveHotVectorIndex>("adaptive");
}

} // namespace

void register_index_benchmarks(const Plan& plan) {
    const IndexInputs inputs(plan);
    for_each_index(plan.profile, [&]<class Index>(std::string_view name) {
        const IndexBench bench{plan, name, inputs};
        // What is elided is seen there; everything else would make the standard run a quarter longer.
        if constexpr (std::is_same_v<Index, AdaptiveHotVectorIndex>)
            add_all<Index>(bench, HeadlineWorkloads());
        else if (std::is_same_v<Index, Elided> && plan.profile != Profile::full)
            add_all<Index>(bench, HeadlineWorkloads());
        else
            add_all<Index>(bench, IndexWorkloads());
    });
}

std::vector<VectorMemory> memory_of_indexes(Profile profile) {
    std::vector<VectorMemory> all;
    for_each_index(profile, [&]<class Index>(std::string_view name) {
        if (const std::optional<MemoryUse> use = memory_of(filled<Index>))
            all.push_back({name, use->resident / double{memory_vectors}, use->accounted / double{memory_vectors}});
    });
    return all;
}

std::vector<WorkloadHelp> workload_help() {
    return help_of(AllWorkloads());
}

} // namespace hotindex::bench
