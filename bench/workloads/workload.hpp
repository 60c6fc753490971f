// What a workload is to the lists in list.hpp. One is
//
//   struct Search {
//       static constexpr std::array help{WorkloadHelp{"search", "top 10 over 1,000 vectors of 64 floats"}};
//       template <class Index>
//       static void on_index(const IndexBench& bench); // add_benchmark() for the profiles in which it takes part
//       template <class Map>
//       static void on_map(const MapBench& bench);     // if it is in MapWorkloads or OrderedMapWorkloads
//   };
//
// and what is measured, the class that it gives to add_benchmark(), is described above Measured in measure.hpp.
#pragma once

#include "workloads/inputs.hpp"
#include "workloads/plan.hpp"

#include <string_view>

namespace hotindex::bench {

/// One index, under this name in benchmark names.
struct IndexBench {
    const Plan& plan;
    std::string_view index;
    const IndexInputs& inputs;
};

/// One map.
struct MapBench {
    const Plan& plan;
    std::string_view map;
    const MapInputs& inputs;
};

} // namespace hotindex::bench
