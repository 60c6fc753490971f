// Which benchmarks there are, by profile.
#pragma once

#include "dataset/dataset.hpp"
#include "harness/measure.hpp"

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

/// A workload in the help.
struct WorkloadHelp {
    std::string_view name;
    std::string_view text;
};

/// In the order in which they are registered.
[[nodiscard]] std::vector<WorkloadHelp> workload_help();

} // namespace hotindex::bench
