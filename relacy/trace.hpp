// Trace: what a failing execution did, step by step, as a person wants to read it. Recorded only while a failure that
// is already known is played again.
#pragma once

#include "sites.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <source_location>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace hotindex::model {

/// Where a step stands in the source.
struct Place {
    Place(const std::source_location& at) : file(at.file_name()), line(at.line()) {} // NOLINT: either is a place
    Place(const Site& site) : file(site.file), line(site.line) {}                    // NOLINT
    const char* file;
    std::uint32_t line;
};

class Trace {
  public:
    struct Step {
        int thread;
        std::string what; ///< "load -> 5 (stale; the newest is 7)"
        std::string_view file;
        std::uint32_t line;
        std::string order; ///< "epoch_pin release", or nothing for plain data
    };
    bool on = false; ///< steps are kept
    void clear() {
        steps_.clear();
        begin_ = 0;
    }
    /// The construction is over: what comes now is interleaved.
    void threads_start() { begin_ = steps_.size(); }
    void add(int thread, std::string what, const Site& site);
    void add(int thread, std::string what, const Place& at);
    /// A table: one row a step, one column a thread, with the source line of each step; without the construction.
    [[nodiscard]] std::string table(int threads) const;
    [[nodiscard]] bool empty() const noexcept { return steps_.empty(); }

  private:
    std::vector<Step> steps_;
    std::size_t begin_ = 0;
};
extern Trace trace;

[[nodiscard]] inline bool tracing() {
    return trace.on;
}

/// A value, for a step of the trace.
template <class T>
[[nodiscard]] std::string in_words(const T& value) {
    if constexpr (std::is_pointer_v<T>)
        return value == nullptr ? "null" : fmt::format("{}", fmt::ptr(value));
    else if constexpr (std::is_same_v<T, std::uint64_t>)
        return value > 0xFFFF'FFFF ? fmt::format("{:#x}", value) : fmt::format("{}", value);
    else if constexpr (std::is_arithmetic_v<T>)
        return fmt::format("{}", value);
    else
        return "...";
}

} // namespace hotindex::model
