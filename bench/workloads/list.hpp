// The workloads, in the order of the benchmarks and of the help. To add one: a file as search.hpp, its include here, its
// name in a list. workload.hpp has the rules.
#pragma once

#include "workloads/churn.hpp"
#include "workloads/insert.hpp"
#include "workloads/mixed.hpp"
#include "workloads/mixes.hpp"
#include "workloads/ranges.hpp"
#include "workloads/search.hpp"
#include "workloads/search_beside_writer.hpp"
#include "workloads/tax.hpp"

namespace hotindex::bench {

template <class... Workload>
struct Workloads {};

using HeadlineWorkloads = Workloads<Insert, Search, Mixed>;
using IndexWorkloads = Workloads<Insert, Search, Mixed, Mixes, Churn, SearchBesideWriter, Tax>;
using MapWorkloads = Workloads<Mixes, Churn>;
using OrderedMapWorkloads = Workloads<Ranges>;
using AllWorkloads = Workloads<Insert, Search, Mixed, Mixes, Churn, Ranges, SearchBesideWriter, Tax>; // for the help

} // namespace hotindex::bench
