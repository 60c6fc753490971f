// The metrics, by the names that files have for them.
#pragma once

#include <hotindex/vector_index.hpp>

#include <optional>
#include <string_view>

namespace hotindex::bench {

/// By the names that files have for it, in any case: "cosine", "angular", "euclidean", "l2", "ip", "dot", ...; nothing
/// for what the index does not offer.
[[nodiscard]] std::optional<Metric> metric_named(std::string_view name);

} // namespace hotindex::bench
