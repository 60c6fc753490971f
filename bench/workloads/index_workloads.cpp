// Every workload on every index.
#include "workloads/list.hpp"

#include <hotindex/hot_vector_index.hpp>
#include <hotindex/lock_free_hot_vector_index.hpp>

#include <mutex>
#include <shared_mutex>
#include <string_view>
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

} // namespace

void register_index_benchmarks(const Plan& plan) {
    const IndexInputs inputs(plan);
    const auto add = [&]<class Index>(std::string_view name) {
        add_all<Index>(IndexBench{plan, name, inputs}, IndexWorkloads());
    };
    add.template operator()<HotVectorIndex<std::mutex>>("mutex");
    if (plan.profile != Profile::gate)
        add.template operator()<HotVectorIndex<std::shared_mutex>>("rwlock");
    add.template operator()<LockFreeHotVectorIndex>("lock_free");
}

std::vector<WorkloadHelp> workload_help() {
    return help_of(AllWorkloads());
}

} // namespace hotindex::bench
