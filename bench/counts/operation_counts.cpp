// What each operation costs, counted and not timed: shared-memory operations of the lock-free index by edge,
// allocations, and the bytes a vector takes.
//
// One thread, steady state (tables grown, caches warm), so the figures are the same on every run and every machine:
// with g++ and clang++, optimised or not, with AVX2 and AVX-512 alike. On other architectures than x86-64 the bytes may
// differ.
#include "command_line/command_line.hpp"
#include "counts/counted_allocations.hpp"
#include "counts/counted_operations.hpp"

#include <hotindex/backend/counting.hpp>
#include <hotindex/hot_vector_index.hpp>
#include <hotindex/lock_free_hot_vector_index.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hotindex::bench {
namespace {

using CountedIndex = BasicLockFreeHotVectorIndex<CountingBackend, DefaultTraits>;

constexpr int stored_vectors = 10'000; // for the bytes a vector takes

// ---- faults planted on request, so that whoever compares the figures can be shown to notice ----

constexpr std::array<std::string_view, 7> plant_kinds{"load",        "store",       "rmw",       "cas_failure",
                                                      "light_fence", "heavy_fence", "allocation"};

/// One more operation of a kind in every call of one operation.
struct Plant {
    std::string_view kind;
    std::string_view operation;

    void act() const {
        static CountingBackend::atomic<int> elsewhere{0};
        if (kind == "load")
            (void)elsewhere.load(CountingBackend::relaxed()); // relaxed: only counted
        else if (kind == "store")
            elsewhere.store(1, CountingBackend::relaxed()); // relaxed: only counted
        else if (kind == "rmw")
            elsewhere.fetch_add(1, CountingBackend::relaxed()); // relaxed: only counted
        else if (kind == "cas_failure") {
            int expected = -1;
            elsewhere.compare_exchange_strong(expected, -2, CountingBackend::relaxed(), // relaxed: only counted
                                              CountingBackend::relaxed());              // relaxed: only counted
        } else if (kind == "light_fence")
            CountingBackend::light_fence(edge::unnamed);
        else if (kind == "heavy_fence")
            CountingBackend::heavy_fence(edge::unnamed);
        else
            ::operator delete(::operator new(1)); // calls of the functions by name are not optimised away
    }
};

struct Options {
    std::optional<std::string> json;
    std::optional<Plant> plant;
};

Plant read_plant(std::string_view text) {
    const std::size_t at = text.find('@');
    const Plant plant{text.substr(0, at), at == std::string_view::npos ? "" : text.substr(at + 1)};
    const bool operation_known =
        std::ranges::any_of(counted_operations, [&](const CountedOperation& o) { return o.name == plant.operation; });
    if (std::ranges::find(plant_kinds, plant.kind) == plant_kinds.end() || !operation_known)
        throw command_line::BadFlag(
            fmt::format("--plant: '{}' is not KIND@OPERATION, such as rmw@search; see --help", text));
    return plant;
}

// ---- the figures ----

/// Totals over all calls of one operation.
struct Figures {
    std::string name;
    std::uint64_t calls = counted_repetitions;
    std::vector<std::pair<std::string, std::uint64_t>> totals; ///< key and total

    void add(std::string key, std::uint64_t total) { totals.emplace_back(std::move(key), total); }
};

void add_counts(Figures& figures, std::string_view prefix, const OperationCounts& c) {
    const std::array<std::pair<std::string_view, std::uint64_t>, 6> all{{{"loads", c.loads},
                                                                         {"stores", c.stores},
                                                                         {"rmws", c.rmws},
                                                                         {"cas_failures", c.cas_failures},
                                                                         {"light_fences", c.light_fences},
                                                                         {"heavy_fences", c.heavy_fences}}};
    for (const auto& [key, total] : all)
        if (prefix.empty() || total != 0)
            figures.add(fmt::format("{}{}", prefix, key), total);
}

void print_row(std::string_view what, const OperationCounts& c) {
    const auto each = [](std::uint64_t n) { return static_cast<double>(n) / counted_repetitions; };
    fmt::print("{:<44} {:>9.2f} {:>9.2f} {:>9.2f} {:>9.2f} {:>9.2f} {:>9.3f}\n", what, each(c.loads), each(c.stores),
               each(c.rmws), each(c.cas_failures), each(c.light_fences), each(c.heavy_fences));
}

/// Counts the shared-memory operations of all calls of `operation`, in all and by edge, and prints the mean of one.
Figures count_shared_memory(CountedIndex& index, const CountedIndex::Handle& me, const CountedInputs& inputs,
                            const CountedOperation& operation, const std::optional<Plant>& plant) {
    const bool planted = plant && plant->operation == operation.name;
    call_counted(operation.name, index, inputs, -1, me); // warm-up
    Tally& tally = CountingBackend::tally();
    tally.reset();
    tally.record_writes = true;
    for (int i = 0; i != counted_repetitions; ++i) {
        call_counted(operation.name, index, inputs, i, me);
        if (planted && plant->kind != "allocation")
            plant->act();
    }
    tally.record_writes = false;
    const auto foreign = static_cast<std::uint64_t>(
        std::ranges::count_if(tally.writes, [&me](const void* address) { return !me.owns(address); }));
    Figures figures{.name = counted_name(operation.name, "lock_free"), .totals = {}};
    add_counts(figures, "", tally.total());
    figures.add("shared_writes", foreign);
    print_row(operation.title, tally.total());
    for (std::size_t e = 0; e != edge_count; ++e) {
        const OperationCounts& c = tally.by_edge[e];
        add_counts(figures, fmt::format("{}.", name_of(static_cast<edge>(e))), c);
        if (c.stores + c.rmws + c.cas_failures + c.light_fences + c.heavy_fences != 0)
            print_row(fmt::format("    {}", name_of(static_cast<edge>(e))), c);
    }
    fmt::print("    writes outside of the thread's own record: {:.2f}\n\n",
               static_cast<double>(foreign) / counted_repetitions);
    return figures;
}

/// Counts the allocations of all calls of every operation on an index as it is shipped.
template <class Index>
void count_allocations(std::string_view name, const CountedInputs& inputs, const std::optional<Plant>& plant,
                       std::vector<Figures>& all) {
    Index index(counted_options());
    fill_counted(index, inputs);
    for (const CountedOperation& operation : counted_operations) {
        const bool planted = plant && plant->operation == operation.name && plant->kind == "allocation";
        call_counted(operation.name, index, inputs, -1); // warm-up
        const Allocations before = allocations;
        for (int i = 0; i != counted_repetitions; ++i) {
            call_counted(operation.name, index, inputs, i);
            if (planted)
                plant->act();
        }
        const Allocations after = allocations;
        const std::string full = counted_name(operation.name, name);
        auto figures = std::ranges::find(all, full, &Figures::name);
        if (figures == all.end())
            figures = all.insert(all.end(), Figures{.name = full, .totals = {}});
        figures->add("allocations", after.made - before.made);
        figures->add("allocated_bytes", after.asked - before.asked);
        fmt::print("{:<44} {:>12.3f} {:>12.1f}\n", fmt::format("{}, {}", operation.title, name),
                   static_cast<double>(after.made - before.made) / counted_repetitions,
                   static_cast<double>(after.asked - before.asked) / counted_repetitions);
    }
}

/// What an index that was told nothing in advance holds after 10,000 adds.
template <class Index>
Figures count_bytes(std::string_view name) {
    const std::uint64_t before = allocations.live;
    // Not on the heap itself: a std::mutex is larger on some machines.
    Index index(IndexOptions{.dimension = counted_dimension});
    for (int i = 0; i != stored_vectors; ++i)
        index.add_vector(fmt::format("vector:{:08}", i), counted_vector(i));
    const std::uint64_t held = allocations.live - before;
    fmt::print("{:<44} {:>12.1f}\n", fmt::format("bytes a vector, {}", name),
               static_cast<double>(held) / stored_vectors);
    Figures figures{.name = fmt::format("memory/{}/n:{}/dim:{}", name, stored_vectors, counted_dimension),
                    .calls = stored_vectors,
                    .totals = {}};
    figures.add("bytes", held);
    return figures;
}

void write_json(const std::string& path, const std::vector<Figures>& all) {
    std::FILE* const file = std::fopen(path.c_str(), "w");
    if (file == nullptr)
        throw std::runtime_error(fmt::format("--json={}: cannot be opened for writing", path));
    fmt::print(file, "{{\n \"counts\": [\n");
    for (std::size_t i = 0; i != all.size(); ++i) {
        fmt::print(file, R"(  {{"name": "{}", "calls": {}, "totals": {{)", all[i].name, all[i].calls);
        for (std::size_t j = 0; j != all[i].totals.size(); ++j)
            fmt::print(file, "{}\"{}\": {}", j == 0 ? "" : ", ", all[i].totals[j].first, all[i].totals[j].second);
        fmt::print(file, "}}}}{}\n", i + 1 == all.size() ? "" : ",");
    }
    fmt::print(file, " ]\n}}\n");
    const bool wrong = std::ferror(file) != 0;
    if (std::fclose(file) != 0 || wrong)
        throw std::runtime_error(fmt::format("--json={}: could not be written", path));
}

void run(const Options& options) {
    const CountedInputs inputs;
    std::vector<Figures> all;
    {
        CountedIndex index(counted_options());
        fill_counted(index, inputs);
        const auto me = index.join();
        fmt::print("mean of {} operations, {} vectors of {} floats, one thread\n\n", counted_repetitions,
                   counted_vectors, counted_dimension);
        fmt::print("{:<44} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "operation / edge", "loads", "stores", "RMWs",
                   "failed", "light", "heavy");
        for (const CountedOperation& operation : counted_operations)
            all.push_back(count_shared_memory(index, me, inputs, operation, options.plant));
    }
    fmt::print("{:<44} {:>12} {:>12}\n", "operation, index", "allocations", "bytes");
    count_allocations<LockFreeHotVectorIndex>("lock_free", inputs, options.plant, all);
    count_allocations<HotVectorIndex<std::mutex>>("mutex", inputs, options.plant, all);
    fmt::print("\n{:<44} {:>12}\n", fmt::format("{} vectors of {} floats", stored_vectors, counted_dimension), "bytes");
    all.push_back(count_bytes<LockFreeHotVectorIndex>("lock_free"));
    all.push_back(count_bytes<HotVectorIndex<std::mutex>>("mutex"));
    if (options.json)
        write_json(*options.json, all);
}

int main_of(std::span<const char* const> arguments) {
    Options options;
    command_line::CommandLine line("operation_counts", "what operations cost, counted and not timed");
    line.add("--json=FILE", "write the figures to FILE too: totals over all calls, which are whole numbers",
             command_line::text(options.json));
    line.add("--plant=KIND@OPERATION",
             "one more in every call, to show that a comparison notices it\n"
             "KIND: load, store, rmw, cas_failure, light_fence, heavy_fence, allocation\n"
             "OPERATION: search, get, replace, insert, remove",
             [&options](const command_line::Given& given) { options.plant = read_plant(*given.value); });
    if (line.read(arguments))
        run(options);
    else
        fmt::print("{}", line.help());
    return 0;
}

} // namespace
} // namespace hotindex::bench

int main(int argc, char** argv) {
    return hotindex::command_line::run_main("operation_counts", argc, argv, hotindex::bench::main_of);
}
