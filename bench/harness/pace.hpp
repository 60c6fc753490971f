// Pace: so many operations a second, for a thread that works beside the ones that are measured.
#pragma once

#include "harness/crew.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <thread>

namespace hotindex::bench {

/// Says how many operations are due. Used by one thread. The thread sleeps a millisecond in between, as a server's
/// writer would wait for what comes next, and does at once what has become due: sleeps of a tenth of that took a quarter
/// of a processor here, a hundred times what the operations did.
class Pace {
  public:
    /// per_second: 0 means without pause.
    explicit Pace(double per_second) : per_second_(per_second), begin_(Clock::now()) {}

    /// Operations to be done now. Where none is due it sleeps once; then it may still be none. Who cannot keep up does
    /// not catch up later: at most a hundredth of a second's are due at once, and what was due before is forgiven.
    [[nodiscard]] std::uint64_t due() {
        if (per_second_ == 0)
            return 1;
        if (std::uint64_t n = overdue(); n != 0)
            return n;
        std::this_thread::sleep_for(nap);
        return overdue();
    }

  private:
    static constexpr std::chrono::milliseconds nap{1};
    static constexpr double forgiven = 10e-3; // seconds

    [[nodiscard]] double elapsed() const { return std::chrono::duration<double>(Clock::now() - begin_).count(); }
    [[nodiscard]] std::uint64_t overdue() {
        const auto should = static_cast<std::uint64_t>(elapsed() * per_second_);
        if (should <= done_)
            return 0;
        const auto most = static_cast<std::uint64_t>(std::max(1.0, forgiven * per_second_));
        const std::uint64_t n = std::min(should - done_, most);
        done_ = should;
        return n;
    }

    const double per_second_;
    const Clock::time_point begin_;
    std::uint64_t done_ = 0; ///< or forgiven
};

} // namespace hotindex::bench
