// IndexSnapshot: one consistent state of the lock-free index, and the searches in it.
//
// A snapshot reads the clock once, announces that time (see SnapshotTimes), and decides which of the slots that are
// changing then are visible at that time (see AnnouncedChanges). Of all others their groups tell (see SlotGroup). So of
// what other threads read or write it writes three things only: its announcement, its own counters, and, where it meets
// an update between publication and stamp, that stamp.
//
// Linearization: at the load of the clock whose value became the snapshot's time.
//
// Progress: wait-free, bounded by the slots at its start and the participants that update. One snapshot in
// Traits::pins_per_look also empties some of what others left in limbo, and hands over its thread's open bag: bounded,
// and lock-free (see Collector).
//
// Memory: a snapshot is not pinned. It keeps what lived at its time, and nothing else.
#pragma once

#include <hotindex/lock_free_index/index_core.hpp>
#include <hotindex/search/scan.hpp>
#include <hotindex/search/top_k.hpp>
#include <hotindex/vector_index.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hotindex {

/// One consistent state of the index, for any number of searches. While it lives, the vectors of that state stay in
/// memory, whatever is replaced or removed. Belongs to the thread that took it, and ends before the handle does.
template <class B, class Traits>
class IndexSnapshot {
    using Core = IndexCore<B, Traits>;
    using Local = typename Core::Local;
    using Slots = typename Core::Slots;
    using Stats = typename Core::Stats;

  public:
    /// Throws std::bad_alloc.
    // In this order: the time is announced before the slots are counted.
    IndexSnapshot(Core& core, const typename Core::Handle& me)
        : core_(&core), local_(&looked(core, me)), view_(core.slots.view(*local_)), count_(core.slots.slot_count()) {
        B::took_place(time());
    }

    /// As the index's search, on this state.
    [[nodiscard]] std::vector<Match> search(std::span<const float> query, std::size_t k) const {
        return search_allowed(query, k, AllIds{});
    }
    [[nodiscard]] std::vector<Match> search(std::span<const float> query, std::size_t k,
                                            const IdPredicate& allowed) const {
        return search_allowed(query, k, allowed);
    }
    [[nodiscard]] std::vector<std::vector<Match>> search_batch(std::span<const float> queries, std::size_t k) const {
        const IndexOptions& options = core_->options;
        check::batch(queries, options);
        const typename Stats::Timer timer(options.stats);
        auto& batch = local_->batch;
        const ScratchBound bound(Traits::kept_scratch / 2, batch);
        batch.prepare(queries, options.dimension, k, options.metric);
        const auto id_of = ids();
        const std::size_t scored = batch.scan(blocks(), id_of);
        std::vector<std::vector<Match>> answers;
        answers.reserve(batch.size());
        for (std::size_t i = 0; i != batch.size(); ++i)
            answers.push_back(matches_of(batch.top(i), id_of));
        for (std::size_t i = 0; i != batch.size(); ++i) // when nothing can throw any more
            count_accesses(batch.top(i), id_of);
        local_->stats.answered(timer, batch.size(), scored);
        core_->maintain(*local_);
        return answers;
    }

    /// Vectors in this state, counted now: O(slots).
    [[nodiscard]] std::size_t size() const {
        std::size_t n = 0;
        core_->slots.scan(view_, count_, [&n](SlotId, const float*, const float*, SlotId, std::uint64_t mask) {
            n += static_cast<std::size_t>(std::popcount(mask));
        });
        return n;
    }
    /// The state's place in the order of all updates: the number of clock ticks before it.
    [[nodiscard]] std::uint64_t time() const noexcept { return view_.time(); }

  private:
    /// Searches do not pin: so that they, too, empty what others left behind.
    static Local& looked(Core& core, const typename Core::Handle& me) {
        core.domain->look_now_and_then(me);
        return me.local();
    }

    template <class Allowed>
    [[nodiscard]] std::vector<Match> search_allowed(std::span<const float> query, std::size_t k,
                                                    const Allowed& allowed) const {
        const IndexOptions& options = core_->options;
        const float inverse_norm = check::vector(query, options, "query");
        Local& local = *local_;
        const typename Stats::Timer timer(options.stats);
        const ScratchBound bound(Traits::kept_scratch / 4, local.query, local.top);
        local.query.assign(query, options.metric, local.rows_last_time, inverse_norm);
        local.top.reset(k, options.metric);
        const auto id_of = ids();
        const std::size_t scored = scan_rows(local.query, blocks(), local.top, id_of, allowed);
        std::vector<Match> matches = matches_of(local.top, id_of);
        count_accesses(local.top, id_of);
        local.rows_last_time = scored;
        local.stats.answered(timer, 1, scored);
        core_->maintain(local);
        return matches;
    }

    [[nodiscard]] auto ids() const {
        return [this](SlotId slot) { return std::string_view(core_->slots.entry(view_, slot)->key.get()); };
    }

    /// The visible rows, as scan_rows wants them.
    [[nodiscard]] auto blocks() const {
        return [this](auto&& use) {
            core_->slots.scan(
                view_, count_,
                [&use](SlotId first, const float* rows, const float* inverse_norms, SlotId n, std::uint64_t mask) {
                    use(RowBlock<SlotId>{first, rows, inverse_norms, n, mask});
                });
        };
    }

    template <class IdOf>
    [[nodiscard]] std::vector<Match> matches_of(TopK<SlotId>& top, const IdOf& id_of) const {
        std::vector<Match> matches;
        matches.reserve(top.size());
        for (const auto& found : top.sorted(id_of))
            matches.push_back({std::string(id_of(found.slot)), found.score});
        return matches;
    }

    /// Every result is an access. Apart from matches_of(), because a search that throws has counted none. Throws
    /// nothing.
    template <class IdOf>
    void count_accesses(TopK<SlotId>& top, const IdOf& id_of) const {
        if (core_->options.tracking == Tracking::off)
            return;
        const std::int64_t now = B::read_clock_ms();
        for (const auto& found : top.sorted(id_of))
            core_->tracker.access(local_->tracker, core_->slots.entry(view_, found.slot)->value.record.get(), now);
    }

    Core* core_;
    Local* local_;
    typename Slots::View view_;
    SlotId count_;
};

} // namespace hotindex
