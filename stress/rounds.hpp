// Rounds: what the soak plays. A round is a kind and a seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hotindex::stress {

struct Failure {
    std::string text;
    std::string page; ///< HTML, or nothing
};
struct Outcome {
    std::uint64_t calls = 0;
    std::uint64_t limbo = 0; ///< before the drain
    std::optional<Failure> failure;
};

/// Off: only a sanitizer can find something.
inline bool checks = true;

struct Kind {
    std::string_view name;
    std::function<Outcome(std::uint64_t)> round;
    std::size_t share;    ///< rounds of it in each turn of the soak
    bool same_every_time; ///< with one seed
};

/// All of them.
const std::vector<Kind>& kinds();

} // namespace hotindex::stress
