// Searches: plays many executions of one scenario until one fails or there have been enough. What decides is always the
// number of executions, never the time, so that a verdict is the same on every machine.
#pragma once

#include "model.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hotindex::model {

struct Search {
    enum class Kind : std::uint8_t { random, bounded, full } kind = Kind::random;
    unsigned bound = 0;
    std::uint64_t executions = 0; ///< 0: as many as there are
    std::uint64_t first = 1;      ///< random only: the first seed
};

/// "random", "bound 2" or "full".
[[nodiscard]] std::string name_of(const Search& s);
/// The search of that name, of so many executions; nullopt: there is none.
[[nodiscard]] std::optional<Search> search_named(std::string_view name, std::uint64_t most);
/// What --replay takes: "random:SEED", "bound:N:EXECUTION" or "full:EXECUTION".
[[nodiscard]] std::string replay_of(const Search& how, std::uint64_t at);
/// The search whose last execution is the one that --replay asks for; nullopt: no such text.
[[nodiscard]] std::optional<Search> replay_named(const std::string& text);

struct Outcome {
    bool passed = false;
    bool complete = false; ///< a tree search that came to its end
    std::uint64_t executions = 0;
    double seconds = 0;
    rl::test_result_e result{};
    std::uint64_t failed_at = 0; ///< seed or number of the failing execution
};

/// `with_trace`: the last execution is traced.
Outcome search(const Scenario& scenario, const Search& how, bool with_trace = false);

/// Makes a crash of the code under test a failure of its execution. For main().
void catch_crashes();

} // namespace hotindex::model
