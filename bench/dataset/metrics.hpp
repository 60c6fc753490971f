// The metrics of the library as files and command lines speak of them: the one place in bench that knows their names.
#pragma once

#include <hotindex/vector_index.hpp>

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace hotindex::bench {

/// "cosine, inner_product or squared_euclidean", each after `prefix`; without the one that is `left_out`.
[[nodiscard]] std::string metrics_in_words(std::string_view prefix = "", std::optional<Metric> left_out = std::nullopt);

/// By the names that files have for it, in any case: "cosine", "angular", "euclidean", "l2", "ip", "dot", ...; nothing
/// for what the index does not offer.
[[nodiscard]] std::optional<Metric> metric_named(std::string_view name);

/// What Match::score should be, by its definition and in double precision. Vectors of the same length.
[[nodiscard]] double exact_score(Metric metric, std::span<const float> a, std::span<const float> b);

} // namespace hotindex::bench
