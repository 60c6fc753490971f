// The operations whose cost is counted and not timed: one thread, steady state, the same calls on every machine.
// operation_counts counts their shared-memory operations and allocations; instruction_driver runs them under valgrind.
#pragma once

#include <hotindex/vector_index.hpp>

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace hotindex::bench {

inline constexpr int counted_vectors = 1000;
inline constexpr int counted_repetitions = 1000;
inline constexpr std::size_t counted_dimension = 64;

[[nodiscard]] inline std::vector<float> counted_vector(int i) {
    std::vector<float> v(counted_dimension, 1.0F);
    v[static_cast<std::size_t>(i) % counted_dimension] = static_cast<float>(i + 2);
    return v;
}

[[nodiscard]] inline IndexOptions counted_options() {
    return IndexOptions{.dimension = counted_dimension, .expected_vectors = std::size_t{8} * counted_vectors};
}

struct CountedOperation {
    std::string_view name;  ///< as in the names of measures
    std::string_view title; ///< as in tables
};

/// In the order in which they run: what is inserted is removed again.
inline constexpr std::array<CountedOperation, 5> counted_operations{{
    {"search", "search, top 10"},
    {"get", "get_vector"},
    {"replace", "add_vector, replacing"},
    {"insert", "add_vector, inserting"},
    {"remove", "remove_vector"},
}};

/// The name of a measure: workload/index/parameters.
[[nodiscard]] inline std::string counted_name(std::string_view operation, std::string_view index) {
    return fmt::format("{}/{}/n:{}/dim:{}{}", operation, index, counted_vectors, counted_dimension,
                       operation == "search" ? "/k:10" : "");
}

/// Ids and vectors, made before anything is counted. Number -1 is the warm-up.
class CountedInputs {
  public:
    CountedInputs() {
        for (int i = -1; i != counted_vectors + counted_repetitions; ++i) {
            ids_.push_back(fmt::format("id-{}", i < 0 ? counted_vectors + counted_repetitions : i));
            vectors_.push_back(counted_vector(i < 0 ? 0 : i));
        }
    }
    [[nodiscard]] const std::string& id(int i) const { return ids_.at(static_cast<std::size_t>(i) + 1); }
    [[nodiscard]] const std::vector<float>& vector(int i) const { return vectors_.at(static_cast<std::size_t>(i) + 1); }

  private:
    std::vector<std::string> ids_;
    std::vector<std::vector<float>> vectors_;
};

/// Fills an index with what the operations find in it. What the filling retired is not theirs to reclaim.
template <class Index>
void fill_counted(Index& index, const CountedInputs& inputs) {
    for (int i = 0; i != counted_vectors; ++i)
        index.add_vector(inputs.id(i), inputs.vector(i));
    if constexpr (requires { index.drain(); })
        index.drain();
}

/// The i-th call of an operation; `who` is nothing or a thread's handle. Inserted ids are new ones, and removed again.
template <class Index, class... Who>
void call_counted(std::string_view operation, Index& index, const CountedInputs& inputs, int i, const Who&... who) {
    const int present = (i + counted_vectors) % counted_vectors;
    const std::string& fresh = inputs.id(i < 0 ? -1 : counted_vectors + i);
    if (operation == "search")
        (void)index.search(who..., inputs.vector(5), 10);
    else if (operation == "get")
        (void)index.get_vector(who..., inputs.id(present));
    else if (operation == "replace")
        index.add_vector(who..., inputs.id(present), inputs.vector(5));
    else if (operation == "insert")
        index.add_vector(who..., fresh, inputs.vector(5));
    else
        index.remove_vector(who..., fresh);
}

} // namespace hotindex::bench
