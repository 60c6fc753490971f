// Which benchmarks there are, by profile.
#pragma once

#include "dataset/dataset.hpp"
#include "harness/measure.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace hotindex::bench {

enum class Profile : std::uint8_t {
    quick,    ///< the headline workloads and read_heavy
    standard, ///< every workload
    full,     ///< and more variants of some
    gate,     ///< what scripts/gate compares: small, so that neighbours in a shared cache disturb little
};

struct Plan {
    Settings settings;
    Profile profile = Profile::standard;
    std::shared_ptr<const Dataset> dataset; ///< for search, mixed and search_beside_writer; null: generated vectors
};

void register_index_benchmarks(const Plan& plan);
void register_map_benchmarks(const Plan& plan);

/// What a vector takes in an index, in bytes.
struct VectorMemory {
    std::string_view index;
    double resident;
    double accounted; ///< by memory_usage() of the index
};
inline constexpr std::size_t memory_vectors = 20'000;
inline constexpr std::size_t memory_dimension = 64;

/// With so many vectors of so many floats in each index, ids of 15 bytes. Without those for which it is not known. Call
/// it while the process has one thread.
[[nodiscard]] std::vector<VectorMemory> memory_of_indexes(Profile profile);

/// A workload in the help.
struct WorkloadHelp {
    std::string_view name;
    std::string_view text;
};

/// In the order in which they are registered.
[[nodiscard]] std::vector<WorkloadHelp> workload_help();

} // namespace hotindex::bench
