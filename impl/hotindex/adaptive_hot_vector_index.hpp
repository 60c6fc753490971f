// AdaptiveHotVectorIndex: the lock-free index, whose operations run one at a time while that is cheaper.
//
// Problem: a thread that is by itself pays for versions that nobody needs. Idea: the vectors stay where they are, and
// the way to them changes. In lock-free mode operations are those of LockFreeHotVectorIndex. In traditional mode each
// takes a mutex, is alone (ModeGate), and overwrites what it replaces: no new slot, no times, nothing to reclaim. So a
// change of mode moves nothing, loses nothing and doubles nothing.
//
// Replacing in place is all that traditional mode does differently. Whatever reads rows goes through the gate: add,
// remove (which may move a row), get, the searches, for_each. The others are the lock-free index's in either mode.
//
// A change stops nobody: an operation waits for the mutex, and so for the operations before it; a change holds the
// mutex for a heavy fence (a few us) and a look at each thread. Which mode it is decides ModePolicy, by who does how
// much and who waits: threads look once in mode_look_us. set_mode() overrides it.
//
// snapshot() copies the vectors, as the traditional index does: one that is held must not keep the index lock-free.
// Predicates and visitors may not call the index: in traditional mode they run behind the mutex.
//
// Linearization: in lock-free mode as LockFreeHotVectorIndex, in traditional mode anywhere inside the mutex. Both
// together: an operation alone comes after all that came through the gate before, and before all that come later (G1,
// G3). Progress: in lock-free mode as there, in traditional mode blocking. A thread that is stopped while it has the
// mutex stops the others, as in any traditional index; one that is stopped inside the gate does not.
// Strong guarantee: that of the lock-free index; replacing in place throws nothing.
#pragma once

#include <hotindex/adaptive/mode_gate.hpp>
#include <hotindex/adaptive/mode_policy.hpp>
#include <hotindex/backend/production.hpp>
#include <hotindex/backend/traits.hpp>
#include <hotindex/copied_state.hpp>
#include <hotindex/lock_free_hot_vector_index.hpp>
#include <hotindex/threads/counters.hpp>
#include <hotindex/threads/this_thread.hpp>
#include <hotindex/threads/thread_register.hpp>
#include <hotindex/vector_index.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace hotindex {

/// How an adaptive index has changed.
struct ModeStats {
    IndexMode wanted = IndexMode::automatic;              ///< as set_mode() has said last
    bool traditional = false;                             ///< do operations take the mutex now?
    bool alone = false;                                   ///< and has the last one from before ended?
    std::uint64_t looks = 0;                              ///< of the policy
    std::uint64_t in_place = 0;                           ///< adds that were alone
    std::array<std::uint64_t, switch_reasons> switches{}; ///< by SwitchReason
    [[nodiscard]] std::uint64_t switched(SwitchReason reason) const {
        return switches.at(static_cast<std::size_t>(reason));
    }
};

/// See VectorIndex for the contract. B and Traits: backend and tunables. Mutex: lock(), try_lock(), unlock().
/// IdType: std::string or std::uint64_t.
template <class B, class Traits, class Mutex, class IdType = std::string>
class BasicAdaptiveHotVectorIndex {
    using Index = BasicLockFreeHotVectorIndex<B, Traits, IdType>;
    using View = IdView<IdType>;
    using IndexHandle = typename Index::Handle;
    using Gate = ModeGate<B, Mutex>;
    using Passage = typename Gate::Passage;
    using Policy = ModePolicy<Traits>;

    /// What each thread owns.
    struct Local {
        using Owner = BasicAdaptiveHotVectorIndex;
        explicit Local(Owner& o) : owner(&o), passed_at_look(0u), replaced_at_look(0u) {}
        void leave() noexcept { handle.reset(); }
        /// Its way into the lock-free index. Throws std::bad_alloc at the first call.
        [[nodiscard]] const IndexHandle& join() {
            if (!handle) [[unlikely]]
                handle.emplace(owner->index_.join());
            return *handle;
        }
        Owner* owner;
        std::optional<IndexHandle> handle;
        typename Gate::Place place;
        OwnedCounter<B> passed;   ///< passages, by weight
        OwnedCounter<B> replaced; ///< vectors
        // Guarded by the mutex: what these were at the last look.
        mutable typename B::template var<std::uint64_t> passed_at_look;
        mutable typename B::template var<std::uint64_t> replaced_at_look;
    };
    using Threads = ThreadRegister<B, Traits, Local>;

  public:
    using Handle = typename Threads::Handle;
    using Id = IdType;
    using Match = BasicMatch<Id>;
    using IdPredicate = BasicIdPredicate<Id>;
    using Snapshot = CopiedState<Id>;

    /// Throws InvalidArgument for bad options, std::bad_alloc.
    explicit BasicAdaptiveHotVectorIndex(IndexOptions options)
        : index_(std::move(options)), next_look_(0), threads_(std::in_place, *this) {}
    BasicAdaptiveHotVectorIndex(const BasicAdaptiveHotVectorIndex&) = delete;
    BasicAdaptiveHotVectorIndex& operator=(const BasicAdaptiveHotVectorIndex&) = delete;

    /// A handle for the explicit variants. Used by one thread at a time; ends before the index.
    [[nodiscard]] Handle join() const { return Handle(*threads_); }

    AddOutcome add_vector(const Handle& me, View id, std::span<const float> vector) {
        const IndexHandle& mine = me.local().join();
        return pass(me, point, [&](const Passage& passage) {
            const AddOutcome outcome =
                passage.alone() ? index_.unguarded_add_vector(mine, id, vector) : index_.add_vector(mine, id, vector);
            if (outcome == AddOutcome::replaced) {
                me.local().replaced.add(1);
                if (passage.alone())
                    in_place_.add(1);
            }
            return outcome;
        });
    }
    bool remove_vector(const Handle& me, View id) {
        const IndexHandle& mine = me.local().join();
        return pass(me, point, [&](const Passage&) { return index_.remove_vector(mine, id); });
    }
    /// Each by itself, in order.
    std::size_t remove_batch(const Handle& me, std::span<const View> ids) {
        std::size_t removed = 0;
        for (const View id : ids)
            removed += remove_vector(me, id) ? 1u : 0u;
        return removed;
    }
    /// Each by itself.
    std::size_t clear(const Handle& me) {
        return passes(me, [&](const IndexHandle& mine) { return index_.clear(mine); });
    }

    [[nodiscard]] bool contains(const Handle& me, View id) const { return index_.contains(me.local().join(), id); }
    [[nodiscard]] std::optional<std::vector<float>> get_vector(const Handle& me, View id) const {
        const IndexHandle& mine = me.local().join();
        return pass(me, point, [&](const Passage&) { return index_.get_vector(mine, id); });
    }
    [[nodiscard]] std::vector<Match> search(const Handle& me, std::span<const float> query, std::size_t k) const {
        return passes(me, [&](const IndexHandle& mine) { return index_.search(mine, query, k); });
    }
    [[nodiscard]] std::vector<Match> search(const Handle& me, std::span<const float> query, std::size_t k,
                                            const IdPredicate& allowed) const {
        return passes(me, [&](const IndexHandle& mine) { return index_.search(mine, query, k, allowed); });
    }
    [[nodiscard]] std::vector<Match> search_radius(const Handle& me, std::span<const float> query, float radius,
                                                   std::size_t k = no_limit) const {
        return passes(me, [&](const IndexHandle& mine) { return index_.search_radius(mine, query, radius, k); });
    }
    [[nodiscard]] std::vector<Match> search_radius(const Handle& me, std::span<const float> query, float radius,
                                                   std::size_t k, const IdPredicate& allowed) const {
        return passes(me,
                      [&](const IndexHandle& mine) { return index_.search_radius(mine, query, radius, k, allowed); });
    }
    [[nodiscard]] std::vector<std::vector<Match>> search_batch(const Handle& me, std::span<const float> queries,
                                                               std::size_t k) const {
        return passes(me, [&](const IndexHandle& mine) { return index_.search_batch(mine, queries, k); });
    }
    [[nodiscard]] std::vector<std::vector<Match>> search_batch(const Handle& me, std::span<const float> queries,
                                                               std::size_t k, const IdPredicate& allowed) const {
        return passes(me, [&](const IndexHandle& mine) { return index_.search_batch(mine, queries, k, allowed); });
    }
    /// A copy: O(size * dimension), in time and memory.
    [[nodiscard]] Snapshot snapshot(const Handle& me) const {
        return passes(me, [&](const IndexHandle& mine) {
            Snapshot copy(options(), index_.size());
            index_.for_each(mine, [&copy](View id, std::span<const float> row) { copy.add(id, row.data()); });
            return copy;
        });
    }
    /// The gate stays as it is until visit has seen all, and in traditional mode others wait. For long visits take a
    /// snapshot().
    template <class Visit>
    void for_each(const Handle& me, Visit visit) const {
        passes(me, [&](const IndexHandle& mine) {
            index_.for_each(mine, std::ref(visit));
            return true;
        });
    }
    bool access(const Handle& me, View id) const { return index_.access(me.local().join(), id); }
    [[nodiscard]] std::optional<AccessStats> access_stats(const Handle& me, View id) const {
        return index_.access_stats(me.local().join(), id);
    }
    bool promote(const Handle& me, View id) const { return index_.promote(me.local().join(), id); }
    bool demote(const Handle& me, View id) const { return index_.demote(me.local().join(), id); }
    std::size_t manage_tiers(const Handle& me) const { return index_.manage_tiers(me.local().join()); }

    // ---- the same for the calling thread, which joins at its first call (that may throw std::bad_alloc) ----

    AddOutcome add_vector(View id, std::span<const float> vector) { return add_vector(self(), id, vector); }
    bool remove_vector(View id) { return remove_vector(self(), id); }
    std::size_t remove_batch(std::span<const View> ids) { return remove_batch(self(), ids); }
    std::size_t clear() { return clear(self()); }
    [[nodiscard]] bool contains(View id) const { return contains(self(), id); }
    [[nodiscard]] std::optional<std::vector<float>> get_vector(View id) const { return get_vector(self(), id); }
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
    [[nodiscard]] Snapshot snapshot() const { return snapshot(self()); }
    template <class Visit>
    void for_each(Visit visit) const {
        for_each(self(), std::move(visit));
    }
    bool access(View id) const { return access(self(), id); }
    [[nodiscard]] std::optional<AccessStats> access_stats(View id) const { return access_stats(self(), id); }
    bool promote(View id) const { return promote(self(), id); }
    bool demote(View id) const { return demote(self(), id); }
    std::size_t manage_tiers() const { return manage_tiers(self()); }

    // ---- the whole ----

    [[nodiscard]] std::size_t size() const { return index_.size(); }
    [[nodiscard]] bool empty() const { return index_.empty(); }
    [[nodiscard]] const IndexOptions& options() const noexcept { return index_.options(); }
    [[nodiscard]] IndexStats get_stats() const { return index_.get_stats(); }
    [[nodiscard]] MemoryUsage memory_usage() const { return index_.memory_usage(self().local().join()); }
    void reset_stats() { index_.reset_stats(); }

    /// traditional and lock_free override what the policy finds; automatic leaves the mode as it is to the policy. Waits
    /// for the mutex, and for nobody else.
    void set_mode(IndexMode mode) {
        const std::unique_lock lock(gate_.mutex());
        wanted_ = mode;
        policy_.begin_again();
        if (mode == IndexMode::traditional)
            change(true, SwitchReason::by_hand);
        else if (mode == IndexMode::lock_free)
            change(false, SwitchReason::by_hand);
    }
    /// Waits for the mutex.
    [[nodiscard]] ModeStats mode_stats() const {
        const std::unique_lock lock(gate_.mutex());
        ModeStats s;
        s.wanted = wanted_;
        s.traditional = !gate_.is_open();
        s.alone = gate_.is_closed();
        s.looks = looks_;
        s.in_place = in_place_.read();
        s.switches = switches_;
        return s;
    }
    /// As LockFreeHotVectorIndex, in either mode.
    bool drain(const Handle& me) { return index_.drain(me.local().join()); }
    bool drain() { return drain(self()); }
    [[nodiscard]] EpochStats epoch_stats() const { return index_.epoch_stats(); }
    [[nodiscard]] std::uint64_t changes_in_flight() const { return index_.changes_in_flight(); }

  private:
    [[nodiscard]] const Handle& self() const { return ThisThread<Threads>::handle(threads_); }
    /// What an operation weighs, about as the time that it takes.
    static constexpr std::uint64_t point = 1;
    static constexpr std::uint64_t whole = Traits::mode_look_passages / 4;

    template <class Work>
    auto pass(const Handle& me, std::uint64_t weight, Work work) const {
        Local& local = me.local();
        const Passage passage(gate_, local.place, places());
        auto result = work(passage);
        if (passage.behind()) {
            behind_ += 1;
            waited_ += passage.waited() ? 1 : 0;
            waited_us_ += passage.waited_us();
        }
        const std::uint64_t passed = local.passed.read();
        local.passed.add(weight);
        if (passed / Traits::mode_look_passages != (passed + weight) / Traits::mode_look_passages) [[unlikely]]
            look_if_due(passage);
        return result;
    }

    /// A search, or what takes as long.
    template <class Work>
    auto passes(const Handle& me, Work work) const {
        const IndexHandle& mine = me.local().join();
        return pass(me, whole, [&](const Passage&) { return work(mine); });
    }

    // Not inlined: what is seldom needs registers that every operation would save.
    [[gnu::noinline]] void look_if_due(const Passage& passage) const {
        const std::int64_t now = B::read_timer_us();
        if (now < next_look_.load(B::relaxed())) // relaxed: a hint, the mutex decides who looks
            return;
        if (passage.behind())
            return look(now);
        const std::unique_lock lock(gate_.mutex(), std::try_to_lock);
        if (lock.owns_lock())
            look(now);
    }
    /// By the owner of the mutex.
    void look(std::int64_t now) const {
        if (now < next_look_.load(B::relaxed())) // relaxed, both: guarded by the mutex
            return;
        next_look_.store(now + Traits::mode_look_us, B::relaxed());
        typename Policy::Seen seen;
        threads_->for_each_local([&seen](const Local& local) {
            const std::uint64_t passed = local.passed.read();
            const std::uint64_t since = passed - local.passed_at_look.get();
            local.passed_at_look.set(passed);
            seen.passages += since;
            seen.busiest = std::max(seen.busiest, since);
            const std::uint64_t replaced = local.replaced.read();
            seen.replaced += replaced - local.replaced_at_look.get();
            local.replaced_at_look.set(replaced);
        });
        seen.behind = std::exchange(behind_, 0);
        seen.waited = std::exchange(waited_, 0);
        seen.waited_us = std::exchange(waited_us_, 0);
        seen.us = now - std::exchange(last_look_, now);
        seen.open = gate_.is_open();
        seen.closed = gate_.is_closed();
        ++looks_;
        const auto [advice, reason] = policy_.look(seen);
        if (wanted_ == IndexMode::automatic && advice != Policy::Advice::stay)
            change(advice == Policy::Advice::close, reason);
    }
    void change(bool to_traditional, SwitchReason reason) const {
        if (gate_.is_open() != to_traditional)
            return; // it is so already
        ++switches_[static_cast<std::size_t>(reason)];
        if (to_traditional)
            gate_.close(places());
        else
            gate_.open();
    }
    [[nodiscard]] auto places() const {
        return [this](auto&& visit) {
            bool all = true;
            threads_->for_each_local([&](const Local& local) { all = all && visit(local.place); });
            return all;
        };
    }

    // mutable: reads go through the gate, too, and count.
    mutable Index index_;
    mutable Gate gate_;
    // Guarded by the gate's mutex:
    mutable Policy policy_;
    IndexMode wanted_ = IndexMode::automatic;
    mutable std::uint64_t behind_ = 0; ///< operations since the last look
    mutable std::uint64_t waited_ = 0;
    mutable std::int64_t waited_us_ = 0;
    mutable std::int64_t last_look_ = 0;
    mutable std::uint64_t looks_ = 0;
    mutable OwnedCounter<B> in_place_;
    mutable std::array<std::uint64_t, switch_reasons> switches_{};
    // Written by the mutex's owner, read by everybody:
    alignas(isolation) mutable typename B::template atomic<std::int64_t> next_look_;
    typename B::template anchored<Threads> threads_; ///< ends first: its handles are the index's
};

/// The adaptive index as it ships.
using AdaptiveHotVectorIndex = BasicAdaptiveHotVectorIndex<ProductionBackend, DefaultTraits, std::mutex>;
static_assert(VectorIndex<AdaptiveHotVectorIndex>);

} // namespace hotindex
