// The mixes and the churn on the maps alone.
#include "workloads/key_workloads.hpp"
#include "workloads/locked_map.hpp"
#include "workloads/plan.hpp"

#include <hotindex/map/lock_free_hash_map.hpp>

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>

namespace hotindex::bench {
namespace {

constexpr std::size_t map_size = 100'000;
constexpr std::size_t gate_size = 2'000; ///< for the gate: what a core's own cache holds

struct Keys {
    std::shared_ptr<LazyKeys> uniform = std::make_shared<LazyKeys>(map_size, Distribution::uniform);
    std::shared_ptr<LazyKeys> zipf = std::make_shared<LazyKeys>(map_size, Distribution::zipf);
};

template <class Map>
void register_map(const Plan& plan, std::string_view map, const Keys& keys) {
    using Keyed = KeyedMap<Map>;
    const auto make = [](const KeySet& set) { return std::make_unique<Keyed>(set); };
    for (const Mix& mix : {read_heavy, exchange, rapid_grow}) {
        if (plan.profile == Profile::quick && mix.name != read_heavy.name)
            continue;
        for (const auto& drawn : {keys.uniform, keys.zipf})
            add_mix<Keyed>(plan.settings, fmt::format("{}/{}/{}", mix.name, map, drawn->parameters()), mix, drawn,
                           make);
    }
    if (plan.profile == Profile::full)
        add_churn<Keyed>(plan.settings, fmt::format("churn/{}/n:{}", map, map_size), keys.uniform, make);
}

} // namespace

void register_map_benchmarks(const Plan& plan) {
    if (plan.profile == Profile::gate) {
        using Keyed = KeyedMap<LockFreeHashMap<std::string, std::uint64_t>>;
        const auto few = std::make_shared<LazyKeys>(gate_size, Distribution::uniform);
        for (const Mix& mix : {read_heavy, exchange, rapid_grow})
            add_mix<Keyed>(plan.settings, fmt::format("{}/map_lock_free/{}", mix.name, few->parameters()), mix, few,
                           [](const KeySet& set) { return std::make_unique<Keyed>(set); });
        return;
    }
    const Keys keys;
    register_map<LockedMap<std::uint64_t, std::mutex>>(plan, "map_mutex", keys);
    register_map<LockedMap<std::uint64_t, std::shared_mutex>>(plan, "map_rwlock", keys);
    register_map<LockFreeHashMap<std::string, std::uint64_t>>(plan, "map_lock_free", keys);
}

} // namespace hotindex::bench
