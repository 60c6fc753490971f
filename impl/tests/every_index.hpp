// The indexes that a test of the contract is made for, how it asks for them, and what a refusal says.
#pragma once

#include "metrics.hpp"

#include <hotindex/hot_vector_index.hpp>
#include <hotindex/lock_free_hot_vector_index.hpp>

#include <fmt/format.h>

#include <chrono>
#include <cstddef>
#include <limits>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#define EVERY_INDEX HotVectorIndex<std::mutex>, HotVectorIndex<std::shared_mutex>, LockFreeHotVectorIndex

namespace hotindex::tests {

using Vector = std::vector<float>;
using Ids = std::vector<std::string>;

inline constexpr std::size_t all_of_them = std::numeric_limits<std::size_t>::max();

/// Tiers by hand only, so that no clock has a say.
inline IndexOptions options_of(std::size_t dimension, Metric metric = Metric::cosine,
                               Tracking tracking = Tracking::off) {
    IndexOptions options;
    options.dimension = dimension;
    options.metric = metric;
    options.tracking = tracking;
    options.tiers.manage_every = std::chrono::milliseconds(0);
    return options;
}

/// "text-7" and the like; appended to, since g++ 12 suspects an overlap in literal + std::to_string() (GCC bug 105651).
template <class Number>
std::string numbered(std::string text, Number n) {
    return text.append(std::to_string(n));
}

/// What a refusal says; empty when nothing was refused.
template <class Operation>
std::string refusal(Operation operation) {
    try {
        operation();
    } catch (const InvalidArgument& e) {
        return e.what();
    }
    return {};
}

/// Empty when the message has all these parts, else what is missing.
inline std::string lacks(const std::string& message, const std::vector<std::string>& parts) {
    for (const std::string& part : parts)
        if (message.find(part) == std::string::npos)
            return fmt::format(R"(no "{}" in "{}")", part, message);
    return {};
}

inline Ids ids_of(const std::vector<Match>& matches) {
    Ids ids;
    for (const Match& m : matches)
        ids.push_back(m.id);
    return ids;
}

} // namespace hotindex::tests
