// LockFreeHotVectorIndex: a vector index in which nobody waits for anybody, and search is an atomic snapshot.
//
// The composition; start reading here. Two journeys:
//
//   write:  id + vector -> directory (BucketTable: id -> entry) -> slot (SlotStore: row, norm, versions) -> retire
//   query:  vector -> announced time -> scan of the slots visible at that time -> top-k -> ids
//
// This file is the door: what users call, with an explicit handle and without one. The write journey, and the parts,
// are IndexCore; the query journey is IndexSnapshot. Slots carry birth and death times on a global clock. A search sees
// what was alive at the one time that it has read and announced. So search, add, remove, get and contains are
// linearizable together.
//
// Memory. A search is not pinned: it keeps what lived at its time, and nothing else. So with R searches or snapshots
// that never end, what waits to be used again is at most
//   2 * (slots and entries that were there at their R times) + what was retired in the last few epochs,
// however many updates follow. The factor is for what was kept for searches that have ended since; it is 1 after
// drain(). What is kept belongs to nobody: whoever updates, gets or searches looks at it again. For what was retired in
// the last few epochs see "Memory" in Collector: it counts in bytes. The epoch moves on unless a thread stands still
// within add, remove, get, contains or access: that one keeps all that is retired later.
//
// Linearization: add and remove at the clock tick that stamped their slot; search at its load of the clock; get and
// contains at their read of `current`, or at the stamp of what they found there, whichever is later.
//
// Progress: search is wait-free (bounded by the slots at its start, and the threads), all others are lock-free.
#pragma once

#include <hotindex/backend/production.hpp>
#include <hotindex/backend/traits.hpp>
#include <hotindex/lock_free_index/index_core.hpp>
#include <hotindex/lock_free_index/index_snapshot.hpp>
#include <hotindex/threads/this_thread.hpp>
#include <hotindex/vector_index.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace hotindex {

/// See VectorIndex for the contract. B and Traits: backend and tunables. IdType: std::string or std::uint64_t.
template <class B = ProductionBackend, class Traits = DefaultTraits, class IdType = std::string>
class BasicLockFreeHotVectorIndex {
    using Core = IndexCore<B, Traits, IdType>;
    using View = IdView<IdType>;
    using Present = typename Core::Present;

  public:
    using Domain = typename Core::Domain;
    using Handle = typename Domain::Handle;
    using Guard = typename Domain::Guard;
    using Snapshot = IndexSnapshot<B, Traits, IdType>;
    using Id = IdType;
    using Match = BasicMatch<Id>;
    using IdPredicate = BasicIdPredicate<Id>;

    /// Throws InvalidArgument for bad options, std::bad_alloc.
    explicit BasicLockFreeHotVectorIndex(IndexOptions options) : core_((check::options(options), std::move(options))) {}
    BasicLockFreeHotVectorIndex(const BasicLockFreeHotVectorIndex&) = delete;
    BasicLockFreeHotVectorIndex& operator=(const BasicLockFreeHotVectorIndex&) = delete;

    /// A handle for the explicit variants. Used by one thread at a time; ends before the index.
    [[nodiscard]] Handle join() const { return Handle(*core_.domain); }

    // ---- updates ----

    AddOutcome add_vector(const Handle& me, View id, std::span<const float> vector) {
        check::id(id);
        const float inverse_norm = check::vector(vector, core_.options, "vector");
        return core_.add(me, id, vector, inverse_norm);
    }
    bool remove_vector(const Handle& me, View id) { return core_.remove(me, id); }
    /// Each by itself, in order; pinned anew for each.
    std::size_t remove_batch(const Handle& me, std::span<const View> ids) {
        std::size_t removed = 0;
        for (const View id : ids)
            removed += core_.remove(me, id) ? 1u : 0u;
        return removed;
    }
    /// Each by itself. Copies the ids first: throws std::bad_alloc, before the first removal.
    std::size_t clear(const Handle& me) {
        std::vector<Id> ids;
        for_each(me, [&ids](View id, std::span<const float>) { ids.emplace_back(id); });
        std::size_t removed = 0;
        for (const Id& id : ids)
            removed += core_.remove(me, id) ? 1u : 0u;
        return removed;
    }
    /// As add_vector(), but a vector that is there is overwritten. While it runs, nobody adds, removes, gets or
    /// searches, and no snapshot is held; whoever does so later knows that it is over.
    AddOutcome unguarded_add_vector(const Handle& me, View id, std::span<const float> vector) {
        check::id(id);
        const float inverse_norm = check::vector(vector, core_.options, "vector");
        return core_.unguarded_overwrite(me, id, vector, inverse_norm) ? AddOutcome::replaced
                                                                       : core_.add(me, id, vector, inverse_norm);
    }

    // ---- reads ----

    [[nodiscard]] bool contains(const Handle& me, View id) const {
        const Guard guard(me);
        return core_.present(guard, id).has_value();
    }

    [[nodiscard]] std::optional<std::vector<float>> get_vector(const Handle& me, View id) const {
        const Guard guard(me);
        const std::optional<Present> found = core_.present(guard, id);
        if (!found)
            return std::nullopt;
        const float* const row = core_.slots.row(guard, found->slot);
        std::vector<float> copy(row, row + core_.options.dimension);
        core_.count_access(guard, *found->entry);
        return copy;
    }

    [[nodiscard]] Snapshot snapshot(const Handle& me) const { return Snapshot(core_, me); }

    [[nodiscard]] std::vector<Match> search(const Handle& me, std::span<const float> query, std::size_t k) const {
        return snapshot(me).search(query, k);
    }
    [[nodiscard]] std::vector<Match> search(const Handle& me, std::span<const float> query, std::size_t k,
                                            const IdPredicate& allowed) const {
        return snapshot(me).search(query, k, allowed);
    }
    [[nodiscard]] std::vector<Match> search_radius(const Handle& me, std::span<const float> query, float radius,
                                                   std::size_t k = no_limit) const {
        return snapshot(me).search_radius(query, radius, k);
    }
    [[nodiscard]] std::vector<Match> search_radius(const Handle& me, std::span<const float> query, float radius,
                                                   std::size_t k, const IdPredicate& allowed) const {
        return snapshot(me).search_radius(query, radius, k, allowed);
    }
    [[nodiscard]] std::vector<std::vector<Match>> search_batch(const Handle& me, std::span<const float> queries,
                                                               std::size_t k) const {
        return snapshot(me).search_batch(queries, k);
    }
    [[nodiscard]] std::vector<std::vector<Match>> search_batch(const Handle& me, std::span<const float> queries,
                                                               std::size_t k, const IdPredicate& allowed) const {
        return snapshot(me).search_batch(queries, k, allowed);
    }

    /// snapshot().for_each(visit): of the state at one instant, while others go on. visit may use the index.
    template <class Visit>
    void for_each(const Handle& me, Visit visit) const {
        snapshot(me).for_each(std::move(visit));
    }

    // ---- accesses and tiers ----

    bool access(const Handle& me, View id) const {
        const Guard guard(me);
        const std::optional<Present> found = core_.present(guard, id);
        if (found)
            core_.count_access(guard, *found->entry);
        return found.has_value();
    }
    [[nodiscard]] std::optional<AccessStats> access_stats(const Handle& me, View id) const {
        const Guard guard(me);
        const std::optional<Present> found = core_.present(guard, id);
        if (!found)
            return std::nullopt;
        return core_.tracker.stats(found->entry->value.record.get(), core_.tracker_locals());
    }
    bool promote(const Handle& me, View id) const {
        const Guard guard(me);
        const std::optional<Present> found = core_.present(guard, id);
        if (!found || !core_.tracker.promote(found->entry->value.record.get()))
            return false;
        guard.local().stats.promoted(1);
        return true;
    }
    bool demote(const Handle& me, View id) const {
        const Guard guard(me);
        const std::optional<Present> found = core_.present(guard, id);
        if (!found || !core_.tracker.demote(found->entry->value.record.get()))
            return false;
        guard.local().stats.demoted(1);
        return true;
    }

    /// Reassigns all tiers now; returns how many changed. O(largest size so far + threads). Not pinned: access records
    /// stay where they are, and a change of tier does nothing to a record's next life.
    std::size_t manage_tiers(const Handle& me) const {
        const TierMoves moves = core_.tracker.manage_tiers(B::read_clock_ms(), core_.tracker_locals());
        core_.count_moves(me.local(), moves);
        return static_cast<std::size_t>(moves.promotions + moves.demotions);
    }

    // ---- the same for the calling thread, which joins at its first call (that may throw std::bad_alloc) ----

    AddOutcome add_vector(View id, std::span<const float> vector) { return add_vector(self(), id, vector); }
    bool remove_vector(View id) { return remove_vector(self(), id); }
    std::size_t remove_batch(std::span<const View> ids) { return remove_batch(self(), ids); }
    std::size_t clear() { return clear(self()); }
    [[nodiscard]] bool contains(View id) const { return contains(self(), id); }
    [[nodiscard]] std::optional<std::vector<float>> get_vector(View id) const { return get_vector(self(), id); }
    [[nodiscard]] Snapshot snapshot() const { return snapshot(self()); }
    [[nodiscard]] std::vector<Match> search(std::span<const float> query, std::size_t k) const {
        return search(self(), query, k);
    }
    [[nodiscard]] std::vector<Match> search(std::span<const float> query, std::size_t k,
                                            const IdPredicate& allowed) const {
        return search(self(), query, k, allowed);
    }
    [[nodiscard]] std::vector<Match> search_radius(std::span<const float> query, float radius,
                                                   std::size_t k = no_limit) const {
        return search_radius(self(), query, radius, k);
    }
    [[nodiscard]] std::vector<Match> search_radius(std::span<const float> query, float radius, std::size_t k,
                                                   const IdPredicate& allowed) const {
        return search_radius(self(), query, radius, k, allowed);
    }
    [[nodiscard]] std::vector<std::vector<Match>> search_batch(std::span<const float> queries, std::size_t k) const {
        return search_batch(self(), queries, k);
    }
    [[nodiscard]] std::vector<std::vector<Match>> search_batch(std::span<const float> queries, std::size_t k,
                                                               const IdPredicate& allowed) const {
        return search_batch(self(), queries, k, allowed);
    }
    template <class Visit>
    void for_each(Visit visit) const {
        for_each(self(), std::move(visit));
    }
    bool access(View id) const { return access(self(), id); }
    [[nodiscard]] std::optional<AccessStats> access_stats(View id) const { return access_stats(self(), id); }
    bool promote(View id) const { return promote(self(), id); }
    bool demote(View id) const { return demote(self(), id); }
    std::size_t manage_tiers() const { return manage_tiers(self()); }
    [[nodiscard]] IndexStats get_stats() const {
        IndexStats s = core_.stats.total(core_.stats_shards());
        s.vectors = size();
        return s;
    }
    void reset_stats() { core_.stats.reset(core_.stats_shards()); }

    // ---- the whole ----

    /// Exact when no operation is running, otherwise off by at most the operations that are running. O(threads).
    [[nodiscard]] std::size_t size() const {
        const std::uint64_t sum =
            core_.domain->total(core_.departed, [](const auto& local) { return local.net_vectors.read(); });
        return static_cast<std::int64_t>(sum) < 0 ? 0 : static_cast<std::size_t>(sum);
    }
    [[nodiscard]] bool empty() const { return size() == 0; }
    [[nodiscard]] const IndexOptions& options() const noexcept { return core_.options; }
    [[nodiscard]] EpochStats epoch_stats() const { return core_.domain->stats(); }
    /// Searches that are running, and snapshots that there are.
    [[nodiscard]] std::uint64_t open_snapshots() const { return core_.slots.announced(); }
    /// Updates at this moment that searches have to know of, because their changes are not complete: none when no
    /// operation is running, unless a thread ended in the middle of one.
    [[nodiscard]] std::uint64_t changes_in_flight() const { return core_.slots.changes_announced(); }
    /// The clock ticks so far: no snapshot taken from now on has an earlier time.
    [[nodiscard]] std::uint64_t time() const { return core_.slots.now(); }
    /// Bytes that rows and their versions take, in use or not. They shrink when vectors are removed.
    [[nodiscard]] std::uint64_t slot_bytes() const { return core_.slots.bytes(); }
    /// O(slots). Of ids, those of the present state are counted. While the directory grows, its new table is not.
    [[nodiscard]] MemoryUsage memory_usage(const Handle& me) const {
        std::uint64_t id_bytes = 0; // that do not lie in their entries
        for_each(me, [&id_bytes](View id, std::span<const float>) { id_bytes += IdTraits<Id>::bytes_outside(id); });
        return core_.memory_usage(me, id_bytes);
    }
    [[nodiscard]] MemoryUsage memory_usage() const { return memory_usage(self()); }
    /// Reclaims what can be reclaimed now, and gives memory back; true if nothing is left in limbo. The caller holds no
    /// snapshot.
    bool drain(const Handle& me) {
        core_.domain->drain(me);
        for (std::uint32_t n = core_.slots.segment_count(); n != 0; --n)
            core_.slots.trim(Guard(me), n - 1); // pinned anew for each
        const bool empty = core_.domain->drain(me);
        me.local().flush_blocks();
        core_.pools.trim();
        return empty;
    }
    bool drain() { return drain(self()); }

  private:
    [[nodiscard]] const Handle& self() const { return ThisThread<Domain>::handle(core_.domain); }

    // mutable: reads help unfinished updates along and count; neither changes the state that anybody can observe.
    mutable Core core_;
};

/// The lock-free index as it ships.
using LockFreeHotVectorIndex = BasicLockFreeHotVectorIndex<>;
static_assert(VectorIndex<LockFreeHotVectorIndex>);
/// The same with other ids: std::uint64_t.
template <class Id>
using LockFreeHotVectorIndexOf = BasicLockFreeHotVectorIndex<ProductionBackend, DefaultTraits, Id>;

} // namespace hotindex
