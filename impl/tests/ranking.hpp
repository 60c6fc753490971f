// Which slots are the best, found by sorting all of them; and ids that decide ties.
#pragma once

#include <hotindex/search/top_k.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hotindex::tests {

/// Ids in the order of slots reversed: slot 0 has the greatest.
inline std::string id_of_slot(std::size_t slot) {
    std::string digits = std::to_string(99'999 - slot);
    return std::string(5 - digits.size(), '0') + digits;
}

struct Ids {
    explicit Ids(std::size_t n) {
        for (std::size_t i = 0; i < n; ++i)
            ids.push_back(id_of_slot(i));
    }
    std::string_view operator()(std::uint32_t slot) const { return ids[slot]; }
    std::vector<std::string> ids;
};

inline std::vector<std::uint32_t> slots_of(std::span<const TopK<>::Entry> entries) {
    std::vector<std::uint32_t> slots;
    for (const auto& e : entries)
        slots.push_back(e.slot);
    return slots;
}

/// What a TopK must hold after all of `scores` (slot i has score i).
inline std::vector<std::uint32_t> best_by_sorting(const std::vector<float>& scores, std::size_t k, Metric metric,
                                                  const Ids& ids) {
    std::vector<std::uint32_t> slots(scores.size());
    for (std::uint32_t i = 0; i < slots.size(); ++i)
        slots[i] = i;
    std::sort(slots.begin(), slots.end(), [&](std::uint32_t a, std::uint32_t b) {
        if (scores[a] != scores[b])
            return higher_is_better(metric) ? scores[a] > scores[b] : scores[a] < scores[b];
        return ids(a) < ids(b);
    });
    slots.resize(std::min(k, slots.size()));
    return slots;
}

} // namespace hotindex::tests
