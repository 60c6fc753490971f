// The workloads on keys, on every map.
#include "workloads/list.hpp"
#include "workloads/locked_map.hpp"

#include <hotindex/map/lock_free_hash_map.hpp>

#include <cstdint>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>

namespace hotindex::bench {
namespace {

template <class Map, class... Workload>
void add_all(const MapBench& bench, Workloads<Workload...>) {
    (Workload::template on_map<Map>(bench), ...);
}

} // namespace

void register_map_benchmarks(const Plan& plan) {
    const MapInputs inputs(plan);
    const auto add = [&]<class Map>(std::string_view name) {
        add_all<Map>(MapBench{plan, name, inputs}, MapWorkloads());
    };
    if (plan.profile != Profile::gate) {
        add.template operator()<LockedMap<std::uint64_t, std::mutex>>("map_mutex");
        add.template operator()<LockedMap<std::uint64_t, std::shared_mutex>>("map_rwlock");
    }
    add.template operator()<LockFreeHashMap<std::string, std::uint64_t>>("map_lock_free");
}

} // namespace hotindex::bench
