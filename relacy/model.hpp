// Model: what a scenario has to offer, and how it is registered with the runner.
//
//   struct ReaderAgainstRetire {                            // constructed anew for each execution, by one thread:
//       static constexpr int threads = 2;                   //   a good place to play everything up to the window
//       void thread(int i) { ... }                          // runs interleaved; i = 0 ... threads - 1
//       void after() { ... }                                // optional: runs alone when all threads are done
//   };                                                      // destruction finds leaks
//   const Model<ReaderAgainstRetire>
//       reader_against_retire("reader_against_retire", "a node outlives the guard that saw it");
#pragma once

#include "checker_backend.hpp"
#include "staging.hpp"

#include <cstddef>
#include <cstdint>
#include <new>
#include <string_view>
#include <vector>

namespace hotindex::model {

/// Is this a model of the sources with planted bugs? Only those have mutants.
inline constinit bool sources_are_planted = false;
#ifdef HOTINDEX_PLANTED
inline const bool told_of_planted_sources = sources_are_planted = true;
#endif

/// How long a scenario is searched. Bounds are preemptions; 0 executions: not at all. The deep run searches each
/// scenario without a bound too. In its window every mutant and every planted bug fails within window_executions; the
/// quick run is not much longer.
struct Effort {
    unsigned bound = 1;            ///< of the quick search
    std::uint64_t bounded = 4'000; ///< executions after which the quick bounded search stops
    std::uint64_t random = 4'000;  ///< executions of the quick random search
    unsigned deep_bound = 3;       ///< of the deep one, which is stopped after 100 times as many executions
    std::uint64_t full = 0;        ///< executions after which a search without any bound on preemptions stops
};

/// Of a scenario that holds threads up in one window: a few schedules are all there are.
inline constexpr Effort staged{.bounded = 2500, .random = 2500};

/// The runner has room for a scenario of this size.
inline constexpr std::size_t scenario_bytes = std::size_t{1} << 21;

/// What a scenario's search has to end with. A scenario that must fail shows that the checker sees what it should.
enum class Expected : std::uint8_t { passes, fails };

struct Scenario {
    std::string_view name;
    std::string_view claim; ///< a sentence
    int threads;
    std::size_t size;
    void (*construct)(void*);
    void (*destroy)(void*);
    void (*thread)(void*, int);
    void (*after)(void*);
    Effort effort;
    Expected expected;
};

[[nodiscard]] inline std::vector<Scenario>& scenarios() {
    static std::vector<Scenario> all;
    return all;
}

template <class S>
class Model {
  public:
    Model(std::string_view name, std::string_view claim, Effort effort = {}, Expected expected = Expected::passes) {
        static_assert(S::threads >= 2 && S::threads <= max_threads);
        static_assert(alignof(S) <= 128 && sizeof(S) <= scenario_bytes);
        scenarios().push_back({name, claim, S::threads, sizeof(S), [](void* at) { ::new (at) S(); },
                               [](void* s) { static_cast<S*>(s)->~S(); },
                               [](void* s, int i) { static_cast<S*>(s)->thread(i); },
                               [](void* s) {
                                   if constexpr (requires(S& x) { x.after(); })
                                       static_cast<S*>(s)->after();
                               },
                               effort, expected});
    }
};

} // namespace hotindex::model
