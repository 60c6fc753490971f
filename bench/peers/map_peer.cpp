// peer_map: LockFreeHashMap against tbb::concurrent_hash_map and std::unordered_map behind a mutex, in one interleaved
// run.
//
// The mixes read_heavy and rapid_grow of hotindex_bench (bench/workloads/key_mix.hpp), string keys drawn uniformly. In every
// repetition each map is measured once, on the same steps, and who goes first rotates; a ratio compares maps within a
// repetition. Every thread does the same number of operations; the clock runs from the first thread's begin to the last
// one's end; threads exist before it starts, maps are filled before and destroyed after. Rates count attempted
// operations. All maps hash with std::hash<std::string_view>, are asked by string_view and copy a key only to insert
// it. After every lap the map's size must be what its answers add up to.
#include "command_line/command_line.hpp"
#include "harness/crew.hpp"
#include "workloads/key_mix.hpp"
#include "workloads/locked_map.hpp"

#include <hotindex/map/lock_free_hash_map.hpp>

#include <fmt/format.h>
#include <tbb/concurrent_hash_map.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace hotindex::bench {
namespace {

struct Options {
    std::size_t repetitions = 7;
    std::vector<std::size_t> threads{1, 2, 4, 8};
    std::size_t keys = 100'000;
    std::size_t operations = 1'500'000;
    std::uint64_t seed = 1;
    bool pin = false;
    bool check = false;
};

command_line::CommandLine command_line_of(Options& options) {
    using namespace command_line;
    CommandLine line("peer_map", "LockFreeHashMap against tbb::concurrent_hash_map and a map behind a mutex");
    line.add("--repetitions=N", "default 7", number(options.repetitions, 1, 10'000));
    line.add("--threads=LIST", "default 1,2,4,8", ascending(options.threads, 1024));
    line.add("--keys=N", "default 100000", number(options.keys, 1, 100'000'000));
    line.add("--operations=N",
             "of one lap, over all threads (default 1500000); rapid_grow does them in rounds of 1.5 times --keys",
             number(options.operations, 1, 1'000'000'000));
    line.add("--seed=N", "default 1", number(options.seed, 0));
    line.add("--pin", "thread i runs on the i-th usable processor only, modulo their number", yes(options.pin));
    line.add("--check", "exit status 1 if a floor at 2 threads does not hold", yes(options.check));
    return line;
}

/// TBB's map with the members of LockFreeHashMap.
class TbbMap {
  public:
    bool insert(std::string_view key, std::uint64_t value) {
        return map_.insert(Map::value_type(std::string(key), value));
    }
    [[nodiscard]] std::optional<std::uint64_t> get(std::string_view key) const {
        Map::const_accessor there;
        return map_.find(there, key) ? std::optional(there->second) : std::nullopt;
    }
    template <class Compute>
    bool update(std::string_view key, Compute compute) {
        Map::accessor there;
        if (!map_.find(there, key))
            return false;
        there->second = compute(there->second);
        return true;
    }
    bool erase(std::string_view key) { return map_.erase(key); }
    [[nodiscard]] std::size_t size() const { return map_.size(); }

  private:
    struct HashCompare {
        using is_transparent = void;
        [[nodiscard]] std::size_t hash(std::string_view s) const { return std::hash<std::string_view>()(s); }
        [[nodiscard]] bool equal(std::string_view a, std::string_view b) const { return a == b; }
    };
    using Map = tbb::concurrent_hash_map<std::string, std::uint64_t, HashCompare>;

    mutable Map map_; // its find by another type than the key's is not const
};

struct Load {
    const Mix& mix;
    const KeySet& keys;
    std::size_t threads;
    std::size_t operations; ///< of one lap
    std::uint64_t seed;
    bool pin;
};

struct Rate {
    double operations; ///< a second
    double processors; ///< that the threads had, on the average
};

/// One map, one lap or as many rounds as make one.
template <class Map>
Rate measure(const Load& load) {
    const bool grows = load.mix.name == rapid_grow.name;
    const std::size_t n = load.keys.present_at_start();
    const std::size_t rounds = grows ? std::max<std::size_t>(1, load.operations / (n * 3 / 2 + 1)) : 1;
    const std::size_t each = std::max<std::size_t>(1, (grows ? n * 3 / 2 : load.operations) / load.threads);

    Crew crew(load.threads);
    std::optional<KeyedMap<Map>> map;
    std::size_t before = 0;
    double seconds = 0;
    double processor_seconds = 0;
    std::int64_t growth = 0;
    std::string fault;
    const auto prepare = [&] {
        map.reset();
        map.emplace(load.keys);
        growth = 0;
        for (before = 0; !grows && before != n; ++before)
            map->insert(before, growth);
        growth = 0;
    };
    const auto count_in = [&](const CrewLap& lap, bool timed) {
        seconds += timed ? lap.seconds : 0;
        processor_seconds += timed ? lap.processor_seconds : 0;
        growth += lap.tally.growth;
        const std::int64_t expected = static_cast<std::int64_t>(before) + growth;
        if (static_cast<std::int64_t>(map->size()) != expected)
            fault = fmt::format("size is {} instead of {}", map->size(), expected);
    };
    const auto work = [&](std::size_t me) {
        const Pinned pinned(load.pin, me);
        Steps steps(load.keys, load.mix, Random(load.seed, me));
        const auto lap = [&](std::size_t operations, bool timed) {
            crew.lap(me).time([&] { return perform(*map, steps, operations); });
            crew.alone(me, [&] { count_in(crew.sum(), timed); });
        };
        // Warm-up: a tenth of the lap on the same map, or a whole round.
        crew.alone(me, prepare);
        lap(grows ? each : each / 10 + 1, false);
        for (std::size_t round = 0; round != rounds; ++round) {
            if (grows)
                crew.alone(me, prepare);
            lap(each, true);
        }
    };
    std::vector<std::thread> others;
    for (std::size_t t = 1; t != load.threads; ++t)
        others.emplace_back(work, t);
    work(0);
    for (std::thread& thread : others)
        thread.join();
    if (!fault.empty())
        throw std::logic_error(fmt::format("{}, {} threads: {}", load.mix.name, load.threads, fault));
    return {static_cast<double>(rounds * each * load.threads) / seconds, processor_seconds / seconds};
}

double median(std::vector<double> values) {
    std::ranges::sort(values);
    return (values[values.size() / 2] + values[(values.size() - 1) / 2]) / 2;
}

std::string range(const std::vector<double>& values, double unit) {
    return fmt::format("{:.2f} to {:.2f}", std::ranges::min(values) / unit, std::ranges::max(values) / unit);
}

struct Contender {
    std::string_view name;
    Rate (*measure)(const Load&);
};

/// What LockFreeHashMap must reach at 2 threads, as a multiple of the contender.
struct Floor {
    std::string_view mix;
    std::string_view contender;
    double ratio;
};

constexpr std::array contenders{
    Contender{"LockFreeHashMap", &measure<LockFreeHashMap<std::string, std::uint64_t>>},
    Contender{"tbb::concurrent_hash_map", &measure<TbbMap>},
    Contender{"std::unordered_map + mutex", &measure<LockedMap<std::uint64_t, std::mutex>>},
};
constexpr std::array floors{
    Floor{"read_heavy", contenders[1].name, 1},
    Floor{"rapid_grow", contenders[1].name, 1},
    Floor{"read_heavy", contenders[2].name, 3},
};

/// false if a floor does not hold.
bool compare(const Options& options, const KeySet& keys, const Mix& mix, std::size_t threads) {
    std::array<std::vector<double>, contenders.size()> rates;
    std::array<std::vector<double>, contenders.size()> processors;
    for (std::size_t repetition = 0; repetition != options.repetitions; ++repetition)
        for (std::size_t i = 0; i != contenders.size(); ++i) {
            const std::size_t turn = (repetition + i) % contenders.size();
            const Rate rate = contenders[turn].measure(
                {mix, keys, threads, options.operations, options.seed + repetition, options.pin});
            rates[turn].push_back(rate.operations);
            processors[turn].push_back(rate.processors);
        }
    bool hold = true;
    for (std::size_t i = 0; i != contenders.size(); ++i) {
        fmt::print("{:<11}{:>2}  {:<27}{:>6.2f}  {:>14}  {:>5.2f}", mix.name, threads, contenders[i].name,
                   median(rates[i]) / 1e6, range(rates[i], 1e6), median(processors[i]));
        std::vector<double> ratios;
        for (std::size_t repetition = 0; repetition != options.repetitions; ++repetition)
            ratios.push_back(rates[0][repetition] / rates[i][repetition]);
        if (i != 0)
            fmt::print("  x{:<5.2f}{:>14}", median(ratios), range(ratios, 1));
        for (const Floor& floor : floors)
            if (threads == 2 && floor.mix == mix.name && floor.contender == contenders[i].name) {
                const bool holds = median(ratios) >= floor.ratio;
                fmt::print("  floor x{}: {}", floor.ratio, holds ? "holds" : "MISSED");
                hold = hold && holds;
            }
        fmt::print("\n");
    }
    std::fflush(stdout);
    return hold;
}

int run(std::span<const char* const> arguments) {
    Options options;
    const command_line::CommandLine line = command_line_of(options);
    if (!line.read(arguments)) {
        fmt::print("{}", line.help());
        return 0;
    }
    const KeySet keys(options.keys, Distribution::uniform);
    fmt::print(
        "{} keys of 14 characters out of {}, uniform; {} repetitions; million attempted operations a second, all "
        "threads together: median, range; LockFreeHashMap's ratio to it: median, range\n",
        options.keys, 2 * options.keys, options.repetitions);
    bool hold = true;
    for (const Mix& mix : {read_heavy, rapid_grow})
        for (const std::size_t threads : options.threads)
            hold = compare(options, keys, mix, threads) && hold;
    return options.check && !hold ? 1 : 0;
}

} // namespace
} // namespace hotindex::bench

int main(int argc, char** argv) {
    return hotindex::command_line::run_main("peer_map", argc, argv, hotindex::bench::run);
}
