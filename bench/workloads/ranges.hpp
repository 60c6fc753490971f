// ranges: visits in order, beside inserts and removes.
#pragma once

#include "dataset/random.hpp"
#include "harness/measure.hpp"
#include "workloads/checks.hpp"
#include "workloads/key_mix.hpp"
#include "workloads/keyed.hpp"
#include "workloads/workload.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace hotindex::bench {

/// A map that knows ranges, seen by key numbers. Names of keys are in the order of their numbers.
template <class Map>
class OrderedKeyedMap {
  public:
    static constexpr std::size_t span = 64; ///< numbers in a range; about half of them are there

    explicit OrderedKeyedMap(const KeySet& keys) : keys_(&keys) {}

    /// Visits a range that begins at the key; true if its elements came in order.
    bool read(std::size_t key) const {
        const std::string* before = nullptr;
        bool ordered = true;
        std::string last; // a visitor may not keep what it is shown
        map_.for_each_in_range(keys_->names()[key], end_of_range(key), [&](const std::string& name, std::uint64_t) {
            ordered = ordered && (before == nullptr || *before < name);
            last = name;
            before = &last;
        });
        return ordered;
    }
    bool insert(std::size_t key, std::int64_t& growth) {
        const bool done = map_.insert(std::string_view(keys_->names()[key]), std::uint64_t{1});
        growth += done ? 1 : 0;
        return done;
    }
    bool remove(std::size_t key, std::int64_t& growth) {
        const bool done = map_.erase(std::string_view(keys_->names()[key]));
        growth -= done ? 1 : 0;
        return done;
    }
    bool update(std::size_t, std::int64_t&) { return false; } // the mix has none
    [[nodiscard]] std::size_t size() const { return map_.size(); }

  private:
    [[nodiscard]] std::string_view end_of_range(std::size_t key) const {
        const std::size_t end = key + span;
        return end < keys_->names().size() ? std::string_view(keys_->names()[end]) : std::string_view("key;");
    }
    const KeySet* keys_;
    Map map_;
};

struct Ranges {
    static constexpr Mix mix{"ranges", 80, 10, 10, 0};
    static constexpr std::array help{WorkloadHelp{
        "ranges", "80% visits of a range of about 32 keys, 10% insert, 10% remove; maps with an order only"}};

    template <class Map>
    static void on_map(const MapBench& bench) {
        using Keyed = OrderedKeyedMap<Map>;
        const auto keys = bench.inputs.drawn.front();
        add_mix<Keyed>(bench.plan.settings, fmt::format("ranges/{}/{}", bench.map, keys->parameters()), mix, keys,
                       [](const KeySet& set) { return std::make_unique<Keyed>(set); });
    }
};

} // namespace hotindex::bench
