// Whether a structure holds and answers what it must, asked after the lap.
#pragma once

#include "dataset/metrics.hpp"
#include "workloads/inputs.hpp"

#include <hotindex/search/top_k.hpp>
#include <hotindex/vector_index.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace hotindex::bench {

/// Every workload's check: what the operations said must be what the structure says.
[[nodiscard]] inline std::optional<std::string> size_fault(std::size_t size, std::size_t before, std::int64_t growth) {
    const std::int64_t expected = static_cast<std::int64_t>(before) + growth;
    if (static_cast<std::int64_t>(size) == expected)
        return std::nullopt;
    return fmt::format("size is {}; {} at the start and {:+} by what the operations answered make {}", size, before,
                       growth, expected);
}

/// Asks a quiet index a few of the queries and compares with sums in double precision over what the index itself holds;
/// ties within rounding may come in any order. Returns what is wrong.
template <class Index>
std::optional<std::string> answer_fault(const Index& index, const Corpus& corpus, std::size_t k, bool holds_base) {
    constexpr std::size_t asked = 4;
    const std::size_t queries = std::min(asked, corpus.data.query_rows());
    std::vector<std::vector<double>> scores(queries, std::vector<double>(corpus.rows()));
    for (std::size_t row = 0; row != corpus.rows(); ++row) {
        const auto held = index.get_vector(corpus.ids[row]);
        if (!held)
            return fmt::format("{} is not in the index", corpus.ids[row]);
        if (holds_base && !std::ranges::equal(*held, corpus.data.base_row(row)))
            return fmt::format("{} is not the vector that was added", corpus.ids[row]);
        for (std::size_t q = 0; q != queries; ++q)
            scores[q][row] = exact_score(corpus.metric, corpus.data.query_row(q), *held);
    }
    for (std::size_t q = 0; q != queries; ++q) {
        const std::vector<Match> matches = index.search(corpus.data.query_row(q), k);
        std::vector<double> best = scores[q];
        if (higher_is_better(corpus.metric))
            std::ranges::sort(best, std::greater<>());
        else
            std::ranges::sort(best);
        if (matches.size() != std::min(k, best.size()))
            return fmt::format("query {}: {} results instead of {}", q, matches.size(), std::min(k, best.size()));
        std::set<std::string_view> seen;
        for (std::size_t i = 0; i != matches.size(); ++i) {
            const auto id = std::ranges::lower_bound(corpus.ids, matches[i].id);
            const auto row = static_cast<std::size_t>(id - corpus.ids.begin());
            const double rounding = 1e-4 * std::max(1.0, std::abs(best[i]));
            if (id == corpus.ids.end() || *id != matches[i].id || !seen.insert(*id).second)
                return fmt::format("query {}: result {} is '{}', which nobody added or which came twice", q, i,
                                   matches[i].id);
            if (std::abs(static_cast<double>(matches[i].score) - best[i]) > rounding ||
                std::abs(scores[q][row] - best[i]) > rounding)
                return fmt::format("query {}: result {} has score {}, vector {} has {}, the right one {}", q, i,
                                   matches[i].score, matches[i].id, scores[q][row], best[i]);
        }
    }
    return std::nullopt;
}

} // namespace hotindex::bench
