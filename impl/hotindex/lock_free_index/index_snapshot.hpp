// IndexSnapshot: one consistent state of the lock-free index, the searches in it, and all of its vectors.
//
// A snapshot reads the clock once, announces that time (see SnapshotTimes), and decides which of the slots that are
// changing then are visible at that time (see AnnouncedChanges). Of all others their groups tell (see SlotGroup). So of
// what other threads read or write it writes three things only: its announcement, its own counters, and, where it meets
// an update between publication and stamp, that stamp.
//
// for_each() passes over the slots once, as a search does, and shows those that are visible at the snapshot's time T.
// That is the state at T exactly, each id once:
//   - a slot's answer for T stays the same while T is announced, and it keeps row and entry (SlotGroup, V3, V7). So it
//     does not matter when the pass comes by, nor how long visit() takes;
//   - the versions of one id have lives that do not overlap: the birth of a replacement is the death of what it
//     replaced, and an entry dies before another one of that id is in the directory (finish_remove). So at most one of
//     them contains T;
//   - what lived at T was in a slot below the number that the snapshot counted after it had read T.
// It is not pinned, takes nothing but what the snapshot keeps anyway, and writes nothing.
//
// get_vector() first asks the directory, pinned. What an id has now is what it had at T if it was born by then: a
// version that is current after T was read dies later than T, because the CAS that replaces or removes it comes before
// the tick for it. What the directory does not have it did not have at T either if the clock still says T: removal
// makes the clock tick before it can be seen. Otherwise the id has changed since T, and its slot is looked for.
//
// Linearization: at the load of the clock whose value became the snapshot's time.
//
// Progress: wait-free, bounded by the slots at its start and the participants that update; get_vector() as the index's
// own, and the same bound. One snapshot in
// Traits::pins_per_look also empties some of what others left in limbo, and hands over its thread's open bag: bounded,
// and lock-free (see Collector).
//
// Memory: a snapshot is not pinned, but while get_vector() copies a row. It keeps what lived at its time, and nothing
// else.
#pragma once

#include <hotindex/lock_free_index/index_core.hpp>
#include <hotindex/search/scan.hpp>
#include <hotindex/search/top_k.hpp>
#include <hotindex/vector_index.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace hotindex {

/// See IndexState for the contract. One consistent state of the index, for any number of searches. While it lives, the
/// vectors of that state stay in memory, whatever is replaced or removed. Belongs to the thread that took it, and ends
/// before the handle does.
template <class B, class Traits, class IdType>
class IndexSnapshot {
    using Core = IndexCore<B, Traits, IdType>;
    using Local = typename Core::Local;
    using Guard = typename Core::Guard;
    using Slots = typename Core::Slots;
    using Stats = typename Core::Stats;

  public:
    using Id = IdType;
    using Match = BasicMatch<Id>;
    using IdPredicate = BasicIdPredicate<Id>;

    /// Throws std::bad_alloc.
    // In this order: the time is announced before the slots are counted.
    IndexSnapshot(Core& core, const typename Core::Handle& me)
        : core_(&core), place_(me.place()), local_(&looked(core, me)), view_(core.slots.view(*local_)),
          count_(core.slots.slot_count()) {
        B::took_place(time());
    }

    /// As the index's search, on this state.
    [[nodiscard]] std::vector<Match> search(std::span<const float> query, std::size_t k) const {
        return search_allowed(query, worst_score(core_->options.metric), k, AllIds{});
    }
    [[nodiscard]] std::vector<Match> search(std::span<const float> query, std::size_t k,
                                            const IdPredicate& allowed) const {
        return search_allowed(query, worst_score(core_->options.metric), k, allowed);
    }
    [[nodiscard]] std::vector<Match> search_radius(std::span<const float> query, float radius,
                                                   std::size_t k = no_limit) const {
        check::radius(radius);
        return search_allowed(query, radius, k, AllIds{});
    }
    [[nodiscard]] std::vector<Match> search_radius(std::span<const float> query, float radius, std::size_t k,
                                                   const IdPredicate& allowed) const {
        check::radius(radius);
        return search_allowed(query, radius, k, allowed);
    }
    [[nodiscard]] std::vector<std::vector<Match>> search_batch(std::span<const float> queries, std::size_t k) const {
        return search_batch_allowed(queries, k, AllIds{});
    }
    [[nodiscard]] std::vector<std::vector<Match>> search_batch(std::span<const float> queries, std::size_t k,
                                                               const IdPredicate& allowed) const {
        return search_batch_allowed(queries, k, allowed);
    }

    /// As the index's get_vector, from this state, but not counted as an access. O(dimension) where the id has not
    /// changed since, else O(slots). Throws std::bad_alloc.
    [[nodiscard]] std::optional<std::vector<float>> get_vector(IdView<Id> id) const {
        {
            const Guard guard(place_);
            const auto now = core_->present(guard, id);
            if (now && core_->slots.birth_time(guard, now->slot) <= time())
                return copy_of(core_->slots.row(guard, now->slot));
            if (core_->slots.now() == time())
                return std::nullopt;
        }
        const float* found = nullptr;
        const std::uint64_t hash = Core::hash_of(id);
        for_each_visible([&](SlotId slot, const float* row) {
            if (found != nullptr)
                return;
            const auto& entry = *core_->slots.entry(view_, slot);
            if (entry.hash.get() == hash && entry.key.get() == id)
                found = row;
        });
        return found == nullptr ? std::nullopt : std::optional(copy_of(found));
    }

    /// Calls visit(id, std::span<const float> vector) for each vector of this state, in no particular
    /// order. Both last as long as the snapshot. visit may use the index, and this snapshot; what it throws ends the
    /// visit. O(slots). Counts no access.
    template <class Visit>
    void for_each(Visit visit) const {
        const std::size_t dimension = core_->options.dimension;
        const auto id_of = ids();
        for_each_visible(
            [&](SlotId slot, const float* row) { visit(id_of(slot), std::span<const float>(row, dimension)); });
    }

    /// Vectors in this state, counted now: O(slots).
    [[nodiscard]] std::size_t size() const {
        std::size_t n = 0;
        core_->slots.scan(view_, count_, [&n](SlotId, const float*, const float*, SlotId, std::uint64_t mask) {
            n += static_cast<std::size_t>(std::popcount(mask));
        });
        return n;
    }
    [[nodiscard]] bool empty() const { return size() == 0; }
    [[nodiscard]] const IndexOptions& options() const noexcept { return core_->options; }
    /// The state's place in the order of all updates: the number of clock ticks before it.
    [[nodiscard]] std::uint64_t time() const noexcept { return view_.time(); }

  private:
    /// Searches do not pin: so that they, too, empty what others left behind.
    static Local& looked(Core& core, const typename Core::Handle& me) {
        core.domain->look_now_and_then(me);
        return me.local();
    }

    template <class Allowed>
    [[nodiscard]] std::vector<std::vector<Match>> search_batch_allowed(std::span<const float> queries, std::size_t k,
                                                                       const Allowed& allowed) const {
        const IndexOptions& options = core_->options;
        check::batch(queries, options);
        const typename Stats::Timer timer(options.stats);
        auto& batch = local_->batch;
        const ScratchBound bound(Traits::kept_scratch / 2, batch);
        batch.prepare(queries, options.dimension, k, options.metric);
        const auto id_of = ids();
        const std::size_t scored = batch.scan(blocks(), id_of, allowed);
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

    template <class Allowed>
    [[nodiscard]] std::vector<Match> search_allowed(std::span<const float> query, float radius, std::size_t k,
                                                    const Allowed& allowed) const {
        const IndexOptions& options = core_->options;
        const float inverse_norm = check::vector(query, options, "query");
        Local& local = *local_;
        const typename Stats::Timer timer(options.stats);
        const ScratchBound bound(Traits::kept_scratch / 4, local.query, local.top);
        local.query.assign(query, options.metric, local.rows_last_time, inverse_norm);
        local.top.reset(k, options.metric, radius);
        const auto id_of = ids();
        const std::size_t scored = scan_rows(local.query, blocks(), local.top, id_of, allowed);
        std::vector<Match> matches = matches_of(local.top, id_of);
        count_accesses(local.top, id_of);
        local.rows_last_time = scored;
        local.stats.answered(timer, 1, scored);
        core_->maintain(local);
        return matches;
    }

    /// use(slot, its row) for each slot that is visible.
    template <class Use>
    void for_each_visible(Use use) const {
        const std::size_t stride = core_->slots.stride();
        core_->slots.scan(view_, count_,
                          [&](SlotId first, const float* rows, const float*, SlotId, std::uint64_t mask) {
                              for (; mask != 0; mask &= mask - 1) {
                                  const auto i = static_cast<SlotId>(std::countr_zero(mask));
                                  use(first + i, rows + i * stride);
                              }
                          });
    }
    [[nodiscard]] std::vector<float> copy_of(const float* row) const {
        return std::vector<float>(row, row + core_->options.dimension);
    }

    [[nodiscard]] auto ids() const {
        return [this](SlotId slot) { return IdView<Id>(core_->slots.entry(view_, slot)->key.get()); };
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
            matches.push_back({Id(id_of(found.slot)), found.score});
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
    typename Core::Domain::Place place_;
    Local* local_;
    typename Slots::View view_;
    SlotId count_;
};

} // namespace hotindex
