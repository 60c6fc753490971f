// HotVectorIndex: the traditional index, one lock around plain data, as fast as that can honestly be made.
//
// The rows are DenseRows. What does not need the lock is done outside of it: checking arguments, padding and
// normalising the row or query, making the memory for results. With std::shared_mutex readers share the lock. The
// kernels, top-k, statistics and access tracking are those of the lock-free index, so that the two differ in
// synchronization alone.
//
// Memory follows the size, see DenseRows. The access records (40 bytes each) stay as many as there were vectors at
// most.
//
// Linearization: inside the critical section. Progress: blocking.
// Strong guarantee: everything that can throw comes before the first change.
#pragma once

#include <hotindex/backend/production.hpp>
#include <hotindex/backend/traits.hpp>
#include <hotindex/copied_state.hpp>
#include <hotindex/dense_rows.hpp>
#include <hotindex/id.hpp>
#include <hotindex/monitor/lock_free_access_tracker.hpp>
#include <hotindex/monitor/lock_free_stats.hpp>
#include <hotindex/search/scan.hpp>
#include <hotindex/search/similarity.hpp>
#include <hotindex/search/top_k.hpp>
#include <hotindex/threads/this_thread.hpp>
#include <hotindex/threads/thread_register.hpp>
#include <hotindex/vector_index.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace hotindex {

/// See VectorIndex for the contract. Mutex: std::mutex, std::shared_mutex, ElidedMutex (elision/elided_mutex.hpp), or
/// another one with lock(), unlock() and try_lock(). IdType: std::string or std::uint64_t.
template <class Mutex = std::mutex, class IdType = std::string>
class HotVectorIndex {
    using View = IdView<IdType>;
    using Tracker = LockFreeAccessTracker<ProductionBackend, DefaultTraits>;
    using Stats = LockFreeStats<ProductionBackend>;
    using Rows = DenseRows<IdType>;
    using Row = typename Rows::Row;

    /// What each thread owns: its counters, and memory that its calls reuse outside the lock.
    struct Local {
        using Owner = HotVectorIndex;
        explicit Local(Owner& o)
            : tracker(o.hints_.fetch_add(1, std::memory_order_relaxed)), owner(&o) {} // relaxed: any number will do
        /// The thread has gone: what it counted goes to the totals.
        void leave() noexcept {
            owner->tracker_.leave(tracker);
            owner->stats_.leave(stats);
            prepared.keep_at_most(0);
            top.keep_at_most(0);
            batch.keep_at_most(0);
        }
        Tracker::Local tracker;
        Stats::Shard stats;
        HotVectorIndex* owner;
        PreparedQuery prepared;
        TopK<Row> top;
        BatchScan<Row> batch;
        std::size_t rows_last_time = 0; ///< of the last search: the size is not known outside of the lock
    };
    using Threads = ThreadRegister<ProductionBackend, DefaultTraits, Local>;

  public:
    using Id = IdType;
    using Match = BasicMatch<Id>;
    using IdPredicate = BasicIdPredicate<Id>;
    using Snapshot = CopiedState<Id>;

    /// Throws InvalidArgument for bad options, std::bad_alloc.
    explicit HotVectorIndex(IndexOptions options)
        : options_((check::options(options), std::move(options))), tracker_(options_), threads_(std::in_place, *this),
          rows_(row_stride(options_.dimension), options_.expected_vectors) {}
    HotVectorIndex(const HotVectorIndex&) = delete;
    HotVectorIndex& operator=(const HotVectorIndex&) = delete;
    ~HotVectorIndex() = default;

    AddOutcome add_vector(View id, std::span<const float> vector) {
        check::id(id);
        const float inverse_norm = check::vector(vector, options_, "vector");
        Local& local = self();
        const ScratchBound bound(DefaultTraits::kept_scratch / 4, local.prepared);
        local.prepared.assign(vector, options_.metric, PreparedQuery::any_number, inverse_norm); // padded
        const AddOutcome outcome = add_prepared(local, id);
        maintain(local);
        return outcome;
    }

    /// See BatchIndex.
    std::optional<std::size_t> add_batch(std::span<const View> ids, std::span<const float> vectors) {
        const std::vector<float> inverse_norms = check::new_vectors(ids, vectors, options_);
        Local& local = self();
        const ScratchBound bound(DefaultTraits::kept_scratch / 4, local.prepared);
        const std::optional<std::size_t> taken = add_new(local, ids, vectors, inverse_norms);
        maintain(local);
        return taken;
    }

    bool remove_vector(View id) {
        Local& local = self();
        bool removed = false;
        {
            const std::unique_lock lock(mutex_);
            removed = remove_row(local, id);
        }
        if (removed)
            maintain(local);
        return removed;
    }

    /// In one step.
    std::size_t remove_batch(std::span<const View> ids) {
        Local& local = self();
        std::size_t removed = 0;
        {
            const std::unique_lock lock(mutex_);
            for (const View id : ids)
                removed += remove_row(local, id) ? 1u : 0u;
        }
        if (removed != 0)
            maintain(local);
        return removed;
    }
    /// In one step.
    std::size_t clear() {
        Local& local = self();
        const std::unique_lock lock(mutex_);
        const std::size_t removed = rows_.size();
        for (Row row = 0; row != removed; ++row)
            tracker_.forget(local.tracker, rows_.record(row));
        rows_.clear();
        return removed;
    }

    [[nodiscard]] bool contains(View id) const {
        const ReadLock lock(mutex_);
        return rows_.find(id).has_value();
    }

    [[nodiscard]] std::optional<std::vector<float>> get_vector(View id) const {
        Local& local = self();
        std::vector<float> copy(options_.dimension);
        const ReadLock lock(mutex_);
        const std::optional<Row> there = rows_.find(id);
        if (!there)
            return std::nullopt;
        std::memcpy(copy.data(), rows_.row(*there), copy.size() * sizeof(float));
        count_access(local, *there);
        return copy;
    }

    [[nodiscard]] std::vector<Match> search(std::span<const float> query, std::size_t k) const {
        return search_with(query, worst_score(options_.metric), k, AllIds{});
    }
    [[nodiscard]] std::vector<Match> search(std::span<const float> query, std::size_t k,
                                            const IdPredicate& allowed) const {
        return search_with(query, worst_score(options_.metric), k, allowed);
    }
    [[nodiscard]] std::vector<Match> search_radius(std::span<const float> query, float radius,
                                                   std::size_t k = no_limit) const {
        check::radius(radius);
        return search_with(query, radius, k, AllIds{});
    }
    [[nodiscard]] std::vector<Match> search_radius(std::span<const float> query, float radius, std::size_t k,
                                                   const IdPredicate& allowed) const {
        check::radius(radius);
        return search_with(query, radius, k, allowed);
    }

    [[nodiscard]] std::vector<std::vector<Match>> search_batch(std::span<const float> queries, std::size_t k) const {
        return search_batch_with(queries, k, AllIds{});
    }
    [[nodiscard]] std::vector<std::vector<Match>> search_batch(std::span<const float> queries, std::size_t k,
                                                               const IdPredicate& allowed) const {
        return search_batch_with(queries, k, allowed);
    }

    /// A copy of all vectors, made under the lock: O(size * dimension), in time and memory.
    [[nodiscard]] Snapshot snapshot() const {
        const ReadLock lock(mutex_);
        Snapshot copy(options_, rows_.size());
        for_each_row([&copy](View id, std::span<const float> row) { copy.add(id, row.data()); });
        return copy;
    }

    /// Calls visit(id, std::span<const float> vector) under the lock: writers wait until it has seen
    /// all. For long visits take a snapshot().
    template <class Visit>
    void for_each(Visit visit) const {
        const ReadLock lock(mutex_);
        for_each_row(visit);
    }

    bool access(View id) const {
        Local& local = self();
        return with_row(id,
                        [&](Row row) {
                            count_access(local, row);
                            return true;
                        })
            .value_or(false);
    }
    [[nodiscard]] std::optional<AccessStats> access_stats(View id) const {
        return with_row(id, [&](Row row) { return tracker_.stats(rows_.record(row), tracker_locals()); });
    }
    bool promote(View id) const {
        Local& local = self();
        const bool moved = with_row(id, [&](Row row) { return tracker_.promote(rows_.record(row)); }).value_or(false);
        local.stats.promoted(moved ? 1 : 0);
        return moved;
    }
    bool demote(View id) const {
        Local& local = self();
        const bool moved = with_row(id, [&](Row row) { return tracker_.demote(rows_.record(row)); }).value_or(false);
        local.stats.demoted(moved ? 1 : 0);
        return moved;
    }
    std::size_t manage_tiers() const {
        Local& local = self();
        const TierMoves moves = tracker_.manage_tiers(now(), tracker_locals());
        count_moves(local, moves);
        return static_cast<std::size_t>(moves.promotions + moves.demotions);
    }

    [[nodiscard]] std::size_t size() const {
        const ReadLock lock(mutex_);
        return rows_.size();
    }
    [[nodiscard]] bool empty() const { return size() == 0; }
    [[nodiscard]] const IndexOptions& options() const noexcept { return options_; }
    [[nodiscard]] IndexStats get_stats() const {
        IndexStats s = stats_.total(stats_shards());
        s.vectors = size();
        return s;
    }
    void reset_stats() { stats_.reset(stats_shards()); }
    /// O(size), under the lock. Of the hash table's nodes, what the usual standard libraries take. Nothing is in limbo.
    [[nodiscard]] MemoryUsage memory_usage() const {
        MemoryUsage usage;
        usage.records = tracker_.records() * Tracker::record_bytes;
        const ReadLock lock(mutex_);
        rows_.count(usage);
        return usage;
    }
    /// The lock, for its statistics.
    [[nodiscard]] const Mutex& mutex() const noexcept { return mutex_; }

  private:
    using ReadLock =
        std::conditional_t<std::is_same_v<Mutex, std::shared_mutex>, std::shared_lock<Mutex>, std::unique_lock<Mutex>>;

    AddOutcome add_prepared(Local& local, View id) {
        const std::unique_lock lock(mutex_);
        if (const std::optional<Row> there = rows_.find(id)) {
            rows_.replace(*there, local.prepared);
            return AddOutcome::replaced;
        }
        rows_.reserve(rows_.size() + 1);
        add_row(local, id);
        return AddOutcome::inserted;
    }
    std::optional<std::size_t> add_new(Local& local, std::span<const View> ids, std::span<const float> vectors,
                                       std::span<const float> inverse_norms) {
        const std::unique_lock lock(mutex_);
        for (std::size_t i = 0; i != ids.size(); ++i)
            if (rows_.find(ids[i]))
                return i;
        rows_.reserve(rows_.size() + ids.size());
        std::size_t added = 0;
        try {
            for (; added != ids.size(); ++added) {
                local.prepared.assign(vectors.subspan(added * options_.dimension, options_.dimension), options_.metric,
                                      PreparedQuery::any_number, inverse_norms[added]);
                add_row(local, ids[added]);
            }
        } catch (...) {
            while (added != 0)
                remove_row(local, ids[--added]);
            throw;
        }
        return std::nullopt;
    }

    /// An id that is not there, with the vector in local.prepared, under the lock; after rows_.reserve().
    void add_row(Local& local, View id) {
        const RecordId record = tracker_.track(local.tracker, now());
        try {
            rows_.add(id, record, local.prepared);
        } catch (...) {
            tracker_.forget(local.tracker, record);
            throw;
        }
    }

    /// Under the lock.
    bool remove_row(Local& local, View id) {
        const std::optional<RecordId> record = rows_.remove(id);
        if (record)
            tracker_.forget(local.tracker, *record);
        return record.has_value();
    }

    /// Under the lock.
    template <class Visit>
    void for_each_row(Visit&& visit) const {
        for (Row row = 0; row != rows_.size(); ++row)
            visit(rows_.id(row), std::span<const float>(rows_.row(row), options_.dimension));
    }

    template <class Use>
    [[nodiscard]] auto with_row(View id, Use use) const -> std::optional<decltype(use(Row{}))> {
        const ReadLock lock(mutex_);
        const std::optional<Row> there = rows_.find(id);
        if (!there)
            return std::nullopt;
        return use(*there);
    }

    template <class Allowed>
    [[nodiscard]] std::vector<std::vector<Match>> search_batch_with(std::span<const float> queries, std::size_t k,
                                                                    const Allowed& allowed) const {
        check::batch(queries, options_);
        Local& local = self();
        const Stats::Timer timer(options_.stats);
        const ScratchBound bound(DefaultTraits::kept_scratch / 2, local.batch);
        local.batch.prepare(queries, options_.dimension, k, options_.metric);
        std::vector<std::vector<Match>> answers(local.batch.size());
        std::size_t scored = 0;
        {
            const ReadLock lock(mutex_);
            scored = local.batch.scan(blocks(), ids(), allowed);
            for (std::size_t i = 0; i != answers.size(); ++i)
                answers[i] = matches_of(local.batch.top(i));
            for (std::size_t i = 0; i != answers.size(); ++i) // when nothing can throw any more
                count_accesses(local, local.batch.top(i));
        }
        maintain(local);
        local.stats.answered(timer, answers.size(), scored);
        return answers;
    }

    template <class Allowed>
    [[nodiscard]] std::vector<Match> search_with(std::span<const float> query, float radius, std::size_t k,
                                                 const Allowed& allowed) const {
        const float inverse_norm = check::vector(query, options_, "query");
        Local& local = self();
        const Stats::Timer timer(options_.stats);
        const ScratchBound bound(DefaultTraits::kept_scratch / 4, local.prepared, local.top);
        local.prepared.assign(query, options_.metric, local.rows_last_time, inverse_norm);
        local.top.reset(k, options_.metric, radius);
        std::vector<Match> matches;
        std::size_t scored = 0;
        {
            const ReadLock lock(mutex_);
            scored = scan_rows(local.prepared, blocks(), local.top, ids(), allowed);
            matches = matches_of(local.top);
            count_accesses(local, local.top);
        }
        maintain(local);
        local.rows_last_time = scored;
        local.stats.answered(timer, 1, scored);
        return matches;
    }

    [[nodiscard]] auto ids() const {
        return [this](Row row) { return rows_.id(row); };
    }
    [[nodiscard]] auto blocks() const {
        return [this](auto&& use) { rows_.for_each_block(use); };
    }

    [[nodiscard]] std::vector<Match> matches_of(TopK<Row>& top) const {
        std::vector<Match> matches;
        matches.reserve(top.size());
        for (const auto& found : top.sorted(ids()))
            matches.push_back({Id(rows_.id(found.slot)), found.score});
        return matches;
    }

    /// Every result is an access. Apart from matches_of(), because a search that throws has counted none. Throws
    /// nothing.
    void count_accesses(Local& local, TopK<Row>& top) const {
        if (options_.tracking == Tracking::off)
            return;
        const std::int64_t at = now();
        for (const auto& found : top.sorted(ids()))
            tracker_.access(local.tracker, rows_.record(found.slot), at);
    }

    void count_access(Local& local, Row row) const {
        if (options_.tracking != Tracking::off)
            tracker_.access(local.tracker, rows_.record(row), now());
    }
    /// Automatic tier management, when it is due.
    void maintain(Local& local) const {
        if (options_.tracking != Tracking::off)
            count_moves(local, tracker_.tick(now(), tracker_locals()));
    }
    static void count_moves(Local& local, const TierMoves& moves) {
        local.stats.promoted(moves.promotions);
        local.stats.demoted(moves.demotions);
    }

    [[nodiscard]] static std::int64_t now() noexcept { return ProductionBackend::read_clock_ms(); }
    [[nodiscard]] Local& self() const { return ThisThread<Threads>::handle(threads_).local(); }
    [[nodiscard]] auto tracker_locals() const {
        return
            [this](auto&& visit) { threads_->for_each_local([&visit](const Local& local) { visit(local.tracker); }); };
    }
    [[nodiscard]] auto stats_shards() const {
        return [this](auto&& visit) { threads_->for_each_local([&visit](const Local& local) { visit(local.stats); }); };
    }

    const IndexOptions options_;
    std::atomic<std::uint32_t> hints_{0};
    mutable Tracker tracker_; // mutable: reads are counted
    Stats stats_;
    Anchored<Threads> threads_;

    mutable Mutex mutex_;
    Rows rows_; // guarded by mutex_
};

static_assert(BatchIndex<HotVectorIndex<std::mutex>>);
static_assert(BatchIndex<HotVectorIndex<std::shared_mutex>>);

} // namespace hotindex
