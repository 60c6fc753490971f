// Mutants: one order weakened, or one planted bug switched on. A scenario must fail then.
//
// Each mutant has a window: the scenario and the search that kill it within `window_executions`, by name in
// windows.txt. Wider searches look at those whose window does not; finding looks for the best window of each.
#pragma once

#include "report.hpp"
#include "search.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace hotindex::model {

inline constexpr std::uint64_t window_executions = 2000;

struct MutantOptions {
    enum class Ask : std::uint8_t {
        windows, ///< of each mutant its window; those that have it in another model are left out
        wide,    ///< longer and longer searches of all scenarios that meet the mutant
        find,    ///< which scenario and search kill it soonest and most often
    } ask = Ask::windows;
    std::string windows;            ///< the file windows.txt
    std::vector<std::string> names; ///< these only; empty: all
    bool deep = false;              ///< wide: ten times as wide
    unsigned jobs = 1;              ///< processes at a time
};

/// Asks, prints a table, reports. `all`: the scenarios of this model. Returns the exit status.
int run_mutants(const std::vector<Scenario>& all, const MutantOptions& options, Report& report);

/// Puts the mutant of that name in force; false: there is none of that name that the scenarios `all` meet.
[[nodiscard]] bool apply_mutant(const std::vector<Scenario>& all, const std::string& name);

/// The sites met so far, for scripts.
void report_sites(Report& report);

} // namespace hotindex::model
