// What each operation of the lock-free index costs in shared memory: a table by edge, counted and not timed.
//
// One thread, steady state (tables grown, caches warm), so the figures are the same on every run and every machine.
#include <hotindex/backend/counting.hpp>
#include <hotindex/lock_free_hot_vector_index.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace {
using namespace hotindex;
using CountedIndex = BasicLockFreeHotVectorIndex<CountingBackend, DefaultTraits>;

constexpr int vectors = 1000;
constexpr int repetitions = 1000;
constexpr std::size_t dimension = 64;

std::vector<float> vector_of(int i) {
    std::vector<float> v(dimension, 1.0F);
    v[static_cast<std::size_t>(i) % dimension] = static_cast<float>(i + 2);
    return v;
}

std::string id_of(int i) {
    return fmt::format("id-{}", i);
}

void print_row(std::string_view what, const OperationCounts& c) {
    const auto each = [](std::uint64_t n) { return static_cast<double>(n) / repetitions; };
    fmt::print("{:<44} {:>9.2f} {:>9.2f} {:>9.2f} {:>9.2f} {:>9.2f} {:>9.3f}\n", what, each(c.loads), each(c.stores),
               each(c.rmws), each(c.cas_failures), each(c.light_fences), each(c.heavy_fences));
}

/// Counts `operation(i)` for i in [0, repetitions) and prints the mean of one, in all and by edge.
void report(const CountedIndex::Handle& me, std::string_view name, const std::function<void(int)>& operation) {
    operation(-1); // warm-up
    Tally& tally = CountingBackend::tally();
    tally.reset();
    tally.record_writes = true;
    for (int i = 0; i != repetitions; ++i)
        operation(i);
    tally.record_writes = false;
    const auto foreign = std::count_if(tally.writes.begin(), tally.writes.end(),
                                       [&me](const void* address) { return !me.owns(address); });
    print_row(name, tally.total());
    for (std::size_t e = 0; e != edge_count; ++e) {
        const OperationCounts& c = tally.by_edge[e];
        if (c.stores + c.rmws + c.cas_failures + c.light_fences + c.heavy_fences != 0)
            print_row(fmt::format("    {}", name_of(static_cast<edge>(e))), c);
    }
    fmt::print("    writes outside of the thread's own record: {:.2f}\n\n", static_cast<double>(foreign) / repetitions);
}
} // namespace

int main(int argc, char**) {
    if (argc > 1) {
        fmt::print(stderr,
                   "operation_counts: takes no arguments; it prints shared-memory operations per index operation\n");
        return 2;
    }
    CountedIndex index(IndexOptions{.dimension = dimension, .expected_vectors = std::size_t{8} * vectors});
    for (int i = 0; i != vectors; ++i)
        index.add_vector(id_of(i), vector_of(i));
    const auto me = index.join();
    const auto query = vector_of(5);

    fmt::print("mean of {} operations, {} vectors of {} floats, one thread\n\n", repetitions, vectors, dimension);
    fmt::print("{:<44} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "operation / edge", "loads", "stores", "RMWs", "failed",
               "light", "heavy");
    report(me, "search, top 10", [&](int) { (void)index.search(me, query, 10); });
    report(me, "get_vector", [&](int i) { (void)index.get_vector(me, id_of((i + vectors) % vectors)); });
    report(me, "add_vector, replacing", [&](int i) { index.add_vector(me, id_of((i + vectors) % vectors), query); });
    report(me, "add_vector, inserting", [&](int i) { index.add_vector(me, id_of(vectors + i), query); });
    report(me, "remove_vector", [&](int i) { index.remove_vector(me, id_of(vectors + i)); });
    return 0;
}
