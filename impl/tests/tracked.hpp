// A tracker with participants of its own, for tests of the tracker as a unit; and a team of threads.
#pragma once

#include <hotindex/backend/production.hpp>
#include <hotindex/backend/traits.hpp>
#include <hotindex/monitor/lock_free_access_tracker.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace hotindex {

inline constexpr std::size_t team_size = 10;

/// Runs work(thread) on team_size threads that begin together.
template <class Work>
void in_team(Work work) {
    std::atomic<std::size_t> ready{0};
    std::vector<std::thread> team;
    for (std::size_t t = 0; t != team_size; ++t)
        team.emplace_back([&, t] {
            ++ready;
            while (ready != team_size)
                std::this_thread::yield();
            work(t);
        });
    for (auto& t : team)
        t.join();
}

/// Options under which tiers are managed by hand only.
inline IndexOptions tracked(Tracking tracking, TierThresholds tiers = {}) {
    tiers.manage_every = std::chrono::milliseconds(0);
    return IndexOptions{.dimension = 1, .metric = Metric::inner_product, .tracking = tracking, .tiers = tiers};
}

template <class Traits = DefaultTraits, class B = ProductionBackend>
struct Tracked {
    using Tracker = LockFreeAccessTracker<B, Traits>;
    using Local = typename Tracker::Local;

    explicit Tracked(IndexOptions options, std::size_t participants = 1) : begin(B::read_clock_ms()), tracker(options) {
        join(participants);
    }
    void join(std::size_t participants) {
        for (std::size_t i = 0; i != participants; ++i)
            locals.push_back(std::make_unique<Local>(static_cast<std::uint32_t>(locals.size())));
    }
    [[nodiscard]] auto visit() const {
        return [this](auto&& v) {
            for (const auto& local : locals)
                v(static_cast<const Local&>(*local));
        };
    }
    [[nodiscard]] AccessStats stats(RecordId id) const { return tracker.stats(id, visit()); }
    TierMoves manage(std::int64_t now) { return tracker.manage_tiers(now, visit()); }
    TierMoves tick(std::int64_t now) { return tracker.tick(now, visit()); }
    Local& local(std::size_t i = 0) { return *locals[i]; }

    std::int64_t begin; ///< not later than the tracker's own begin
    Tracker tracker;
    std::vector<std::unique_ptr<Local>> locals;
};

} // namespace hotindex
