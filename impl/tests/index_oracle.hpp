// What an index must answer, found naively; and what it means that two answers are the same.
#pragma once

#include "every_index.hpp"
#include "metric_oracle.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace hotindex::tests {

inline Vector random_vector(std::mt19937& random, std::size_t dimension) {
    std::normal_distribution<float> normal;
    Vector v(dimension);
    for (float& x : v)
        x = normal(random);
    return v;
}

inline bool same_bits(float a, float b) {
    return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}
inline bool same_bits(const Vector& a, const Vector& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](float x, float y) { return same_bits(x, y); });
}
/// Equal, score by score in all bits, id by id.
inline bool same_bits(const std::vector<Match>& a, const std::vector<Match>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const Match& x, const Match& y) { return x.id == y.id && same_bits(x.score, y.score); });
}

/// What of these, best first, is not worse than the radius.
inline std::vector<Match> within(std::vector<Match> matches, float radius, Metric metric) {
    std::erase_if(matches,
                  [&](const Match& m) { return higher_is_better(metric) ? m.score < radius : m.score > radius; });
    return matches;
}

/// The naive index: a sorted map and double precision.
struct Oracle {
    struct Score {
        double value;
        double tolerance;
    };
    static Score score(const Vector& a, std::span<const float> b, Metric metric) {
        const ExactScore exact = exact_score(a, b, metric);
        return {exact.value, (needs_norm(metric) ? 2e-6 : 1e-6) * (exact.terms + 1e-30)}; // norms are rounded, too
    }

    /// Why `matches` is not the answer to this query; empty if it is one.
    [[nodiscard]] std::string objection(const std::vector<Match>& matches, std::span<const float> query, std::size_t k,
                                        Metric metric, const IdPredicate& allowed = {}) const {
        std::size_t candidates = 0;
        for (const auto& [id, vector] : vectors)
            candidates += !allowed || allowed(id);
        if (matches.size() != std::min(k, candidates))
            return "wrong number of matches";
        const double sign = higher_is_better(metric) ? 1 : -1; // higher is better from here on
        std::set<std::string> answered;
        for (std::size_t i = 0; i != matches.size(); ++i) {
            const auto there = vectors.find(matches[i].id);
            if (there == vectors.end() || (allowed && !allowed(matches[i].id)))
                return "answered an id that is not there: " + matches[i].id;
            if (!answered.insert(matches[i].id).second)
                return "answered twice: " + matches[i].id;
            const Score expected = score(there->second, query, metric);
            if (std::abs(expected.value - matches[i].score) > expected.tolerance)
                return "wrong score for " + matches[i].id;
            if (i == 0)
                continue;
            const double before = sign * matches[i - 1].score, now = sign * matches[i].score;
            if (before < now || (matches[i - 1].score == matches[i].score && matches[i - 1].id >= matches[i].id))
                return "wrong order at " + matches[i].id;
        }
        if (matches.empty())
            return {};
        const double worst = sign * matches.back().score;
        for (const auto& [id, vector] : vectors) {
            if (answered.contains(id) || (allowed && !allowed(id)))
                continue;
            const Score missed = score(vector, query, metric);
            if (sign * missed.value - 2 * missed.tolerance > worst)
                return "missed " + id;
        }
        return {};
    }

    std::map<std::string, Vector, std::less<>> vectors;
};

} // namespace hotindex::tests
