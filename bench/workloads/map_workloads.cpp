// The workloads on keys, on every map.
#include "workloads/list.hpp"
#include "workloads/locked_map.hpp"

#include <hotindex/map/lock_free_btree.hpp>
#include <hotindex/map/lock_free_hash_map.hpp>
#include <hotindex/map/lock_free_skip_list.hpp>

#ifdef HOTINDEX_HAS_ABSL
#include <absl/container/btree_map.h>
#endif

#include <cstdint>
#include <functional>
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
    if (plan.profile != Profile::standard && plan.profile != Profile::full)
        return;
    // The mixes on so many more maps would make the standard run a third longer.
    const auto add_ordered = [&]<class Map>(std::string_view name) {
        const MapBench bench{plan, name, inputs};
        if (plan.profile == Profile::full)
            add_all<Map>(bench, MapWorkloads());
        add_all<Map>(bench, OrderedMapWorkloads());
    };
    add_ordered.template operator()<LockedMap<std::uint64_t, std::mutex, TreeMap<std::uint64_t>>>("map_tree_mutex");
    add_ordered.template operator()<LockedMap<std::uint64_t, std::shared_mutex, TreeMap<std::uint64_t>>>(
        "map_tree_rwlock");
#ifdef HOTINDEX_HAS_ABSL
    using AbslTree = absl::btree_map<std::string, std::uint64_t, std::less<>>;
    add_ordered.template operator()<LockedMap<std::uint64_t, std::mutex, AbslTree>>("map_absl_mutex");
    add_ordered.template operator()<LockedMap<std::uint64_t, std::shared_mutex, AbslTree>>("map_absl_rwlock");
#endif
    add_ordered.template operator()<LockFreeSkipList<std::string, std::uint64_t>>("map_skip_list");
    add_ordered.template operator()<LockFreeBTree<std::string, std::uint64_t>>("map_btree");
}

} // namespace hotindex::bench
