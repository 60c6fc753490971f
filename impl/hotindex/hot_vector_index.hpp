// HotVectorIndex: the traditional index, one lock around plain data, as fast as that can honestly be made.
//
// Rows lie one after the other (dense: a removal moves the last row into the gap), a hash map leads from id to row.
// What does not need the lock is done outside of it: checking arguments, padding and normalising the row or query,
// making the memory for results. With std::shared_mutex readers share the lock. The kernels, top-k, statistics and
// access tracking are those of the lock-free index, so that the two differ in synchronization alone.
//
// Memory follows the size: room doubles when it is full, and halves when three quarters of it are empty, down to what
// was reserved. So each add or remove moves a few rows on average, and none does so twice in a row. The access records
// (40 bytes each) stay as many as there were vectors at most.
//
// Invariants (under the lock)
//   M1  rows_[0, size) are the vectors; ids_[r] and records_[r] belong to row r; positions_ maps ids_[r] to r.
//   M2  the lists have room for capacity_ rows.
// Linearization: inside the critical section. Progress: blocking.
// Strong guarantee: everything that can throw comes before the first change. Halving comes after a removal that is
// complete, and is left to a later one where memory is short.
#pragma once

#include <hotindex/backend/production.hpp>
#include <hotindex/backend/traits.hpp>
#include <hotindex/copied_state.hpp>
#include <hotindex/map/hash.hpp>
#include <hotindex/monitor/lock_free_access_tracker.hpp>
#include <hotindex/monitor/lock_free_stats.hpp>
#include <hotindex/search/scan.hpp>
#include <hotindex/search/similarity.hpp>
#include <hotindex/search/top_k.hpp>
#include <hotindex/threads/this_thread.hpp>
#include <hotindex/threads/thread_register.hpp>
#include <hotindex/vector_index.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace hotindex {

/// See VectorIndex for the contract. Mutex: std::mutex or std::shared_mutex.
template <class Mutex = std::mutex>
class HotVectorIndex {
    using Tracker = LockFreeAccessTracker<ProductionBackend, DefaultTraits>;
    using Stats = LockFreeStats<ProductionBackend>;
    using Row = std::uint32_t;

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
    using Snapshot = CopiedState;

    /// Throws InvalidArgument for bad options, std::bad_alloc.
    explicit HotVectorIndex(IndexOptions options)
        : options_((check::options(options), std::move(options))), stride_(row_stride(options_.dimension)),
          tracker_(options_), threads_(std::in_place, *this) {
        if (options_.expected_vectors != 0) {
            reserve_rows(options_.expected_vectors);
            positions_.reserve(options_.expected_vectors);
        }
    }
    HotVectorIndex(const HotVectorIndex&) = delete;
    HotVectorIndex& operator=(const HotVectorIndex&) = delete;
    ~HotVectorIndex() = default;

    AddOutcome add_vector(std::string_view id, std::span<const float> vector) {
        check::id(id);
        const float inverse_norm = check::vector(vector, options_, "vector");
        Local& local = self();
        const ScratchBound bound(DefaultTraits::kept_scratch / 4, local.prepared);
        local.prepared.assign(vector, options_.metric, PreparedQuery::any_number, inverse_norm); // padded
        const AddOutcome outcome = add_prepared(local, id);
        maintain(local);
        return outcome;
    }

    bool remove_vector(std::string_view id) {
        Local& local = self();
        const bool removed = remove_row(local, id);
        if (removed)
            maintain(local);
        return removed;
    }

    [[nodiscard]] bool contains(std::string_view id) const {
        const ReadLock lock(mutex_);
        return positions_.find(id) != positions_.end();
    }

    [[nodiscard]] std::optional<std::vector<float>> get_vector(std::string_view id) const {
        Local& local = self();
        std::vector<float> copy(options_.dimension);
        const ReadLock lock(mutex_);
        const auto there = positions_.find(id);
        if (there == positions_.end())
            return std::nullopt;
        std::memcpy(copy.data(), rows_.get() + there->second * stride_, copy.size() * sizeof(float));
        count_access(local, there->second);
        return copy;
    }

    [[nodiscard]] std::vector<Match> search(std::span<const float> query, std::size_t k) const {
        return search_with(query, k, AllIds{});
    }
    [[nodiscard]] std::vector<Match> search(std::span<const float> query, std::size_t k,
                                            const IdPredicate& allowed) const {
        return search_with(query, k, allowed);
    }

    [[nodiscard]] std::vector<std::vector<Match>> search_batch(std::span<const float> queries, std::size_t k) const {
        check::batch(queries, options_);
        Local& local = self();
        const Stats::Timer timer(options_.stats);
        const ScratchBound bound(DefaultTraits::kept_scratch / 2, local.batch);
        local.batch.prepare(queries, options_.dimension, k, options_.metric);
        std::vector<std::vector<Match>> answers(local.batch.size());
        std::size_t scored = 0;
        {
            const ReadLock lock(mutex_);
            scored = local.batch.scan(blocks(), ids());
            for (std::size_t i = 0; i != answers.size(); ++i)
                answers[i] = matches_of(local.batch.top(i));
            for (std::size_t i = 0; i != answers.size(); ++i) // when nothing can throw any more
                count_accesses(local, local.batch.top(i));
        }
        maintain(local);
        local.stats.answered(timer, answers.size(), scored);
        return answers;
    }

    /// A copy of all vectors, made under the lock: O(size * dimension), in time and memory.
    [[nodiscard]] Snapshot snapshot() const {
        const ReadLock lock(mutex_);
        Snapshot copy(options_, ids_.size());
        for_each_row([&copy](std::string_view id, std::span<const float> row) { copy.add(id, row.data()); });
        return copy;
    }

    /// Calls visit(std::string_view id, std::span<const float> vector) under the lock: writers wait until it has seen
    /// all. For long visits take a snapshot().
    template <class Visit>
    void for_each(Visit visit) const {
        const ReadLock lock(mutex_);
        for_each_row(visit);
    }

    bool access(std::string_view id) const {
        Local& local = self();
        return with_row(id,
                        [&](Row row) {
                            count_access(local, row);
                            return true;
                        })
            .value_or(false);
    }
    [[nodiscard]] std::optional<AccessStats> access_stats(std::string_view id) const {
        return with_row(id, [&](Row row) { return tracker_.stats(records_[row], tracker_locals()); });
    }
    bool promote(std::string_view id) const {
        Local& local = self();
        const bool moved = with_row(id, [&](Row row) { return tracker_.promote(records_[row]); }).value_or(false);
        local.stats.promoted(moved ? 1 : 0);
        return moved;
    }
    bool demote(std::string_view id) const {
        Local& local = self();
        const bool moved = with_row(id, [&](Row row) { return tracker_.demote(records_[row]); }).value_or(false);
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
        return ids_.size();
    }
    [[nodiscard]] bool empty() const { return size() == 0; }
    [[nodiscard]] const IndexOptions& options() const noexcept { return options_; }
    [[nodiscard]] IndexStats get_stats() const {
        IndexStats s = stats_.total(stats_shards());
        s.vectors = size();
        return s;
    }
    void reset_stats() { stats_.reset(stats_shards()); }

  private:
    using ReadLock =
        std::conditional_t<std::is_same_v<Mutex, std::shared_mutex>, std::shared_lock<Mutex>, std::unique_lock<Mutex>>;
    struct Free {
        std::size_t bytes = 0;
        void operator()(float* p) const noexcept { ArrayMemory::release(p, bytes); }
    };
    using Floats = std::unique_ptr<float, Free>;

    [[nodiscard]] static Floats uninitialised_floats(std::size_t n) {
        return Floats(static_cast<float*>(ArrayMemory::allocate(n * sizeof(float))), Free{n * sizeof(float)});
    }

    AddOutcome add_prepared(Local& local, std::string_view id) {
        const std::unique_lock lock(mutex_);
        const auto there = positions_.find(id);
        if (there != positions_.end()) {
            write_row(there->second, local.prepared);
            return AddOutcome::replaced;
        }
        const auto row = static_cast<Row>(ids_.size());
        reserve_rows(ids_.size() + 1);
        const RecordId record = tracker_.track(local.tracker, now());
        try {
            ids_.push_back(&positions_.emplace(id, row).first->first); // push_back does not allocate: reserved
        } catch (...) {
            tracker_.forget(local.tracker, record);
            throw;
        }
        records_.push_back(record); // reserved too
        write_row(row, local.prepared);
        return AddOutcome::inserted;
    }

    bool remove_row(Local& local, std::string_view id) {
        const std::unique_lock lock(mutex_);
        const auto there = positions_.find(id);
        if (there == positions_.end())
            return false;
        const Row row = there->second;
        const auto last = static_cast<Row>(ids_.size() - 1);
        tracker_.forget(local.tracker, records_[row]);
        positions_.erase(there);
        if (row != last) {
            std::memcpy(rows_.get() + row * stride_, rows_.get() + last * stride_, stride_ * sizeof(float));
            inverse_norms_[row] = inverse_norms_[last];
            records_[row] = records_[last];
            ids_[row] = ids_[last];
            positions_.find(*ids_[row])->second = row;
        }
        ids_.pop_back();
        records_.pop_back();
        give_room_back();
        return true;
    }

    /// Room that an index takes at once and keeps: 64 rows, or fewer of the kind that fill a megabyte sooner.
    [[nodiscard]] std::size_t fewest_rows() const noexcept {
        return std::clamp<std::size_t>((std::size_t{1} << 20) / (stride_ * sizeof(float)), 1, 64);
    }

    /// Room for n rows. Throws std::bad_alloc and changes nothing that can be seen.
    void reserve_rows(std::size_t n) {
        if (n > capacity_)
            set_capacity(std::max({n, capacity_ * 2, fewest_rows()}));
    }

    /// Halves the room when three quarters of it are empty. Where memory is short, everything stays.
    void give_room_back() noexcept {
        const std::size_t wanted = std::max({capacity_ / 2, options_.expected_vectors, fewest_rows()});
        if (wanted >= capacity_ || ids_.size() > capacity_ / 4)
            return;
        try {
            positions_.rehash(wanted); // first: alone it changes nothing but the table's own memory
            set_capacity(wanted);
        } catch (const std::bad_alloc&) {
            // A later removal tries again.
        }
    }

    /// Moves all rows to lists with room for n. Throws std::bad_alloc and changes nothing then.
    void set_capacity(std::size_t n) {
        Floats rows = uninitialised_floats(n * stride_); // first: where memory is short, nothing was done in vain
        std::vector<const std::string*> ids;
        std::vector<RecordId> records;
        std::vector<float> inverse_norms;
        ids.reserve(n);
        records.reserve(n);
        inverse_norms.resize(n);
        ids.assign(ids_.begin(), ids_.end());
        records.assign(records_.begin(), records_.end());
        std::copy_n(inverse_norms_.begin(), ids_.size(), inverse_norms.begin());
        if (!ids_.empty())
            std::memcpy(rows.get(), rows_.get(), ids_.size() * stride_ * sizeof(float));
        ids_.swap(ids);
        records_.swap(records);
        inverse_norms_.swap(inverse_norms);
        rows_ = std::move(rows);
        capacity_ = n;
    }

    void write_row(Row row, const PreparedQuery& prepared) noexcept {
        std::memcpy(rows_.get() + row * stride_, prepared.data(), stride_ * sizeof(float));
        inverse_norms_[row] = prepared.inverse_norm();
    }

    /// Under the lock.
    template <class Visit>
    void for_each_row(Visit&& visit) const {
        for (std::size_t row = 0; row != ids_.size(); ++row)
            visit(std::string_view(*ids_[row]),
                  std::span<const float>(rows_.get() + row * stride_, options_.dimension));
    }

    template <class Use>
    [[nodiscard]] auto with_row(std::string_view id, Use use) const -> std::optional<decltype(use(Row{}))> {
        const ReadLock lock(mutex_);
        const auto there = positions_.find(id);
        if (there == positions_.end())
            return std::nullopt;
        return use(there->second);
    }

    template <class Allowed>
    [[nodiscard]] std::vector<Match> search_with(std::span<const float> query, std::size_t k,
                                                 const Allowed& allowed) const {
        const float inverse_norm = check::vector(query, options_, "query");
        Local& local = self();
        const Stats::Timer timer(options_.stats);
        const ScratchBound bound(DefaultTraits::kept_scratch / 4, local.prepared, local.top);
        local.prepared.assign(query, options_.metric, local.rows_last_time, inverse_norm);
        local.top.reset(k, options_.metric);
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
        return [this](Row row) { return std::string_view(*ids_[row]); };
    }
    [[nodiscard]] auto blocks() const {
        return [this](auto&& use) {
            const std::size_t n = ids_.size();
            for (std::size_t first = 0; first < n; first += block_rows)
                use(RowBlock<Row>{static_cast<Row>(first), rows_.get() + first * stride_, inverse_norms_.data() + first,
                                  std::min(block_rows, n - first)});
        };
    }

    [[nodiscard]] std::vector<Match> matches_of(TopK<Row>& top) const {
        std::vector<Match> matches;
        matches.reserve(top.size());
        for (const auto& found : top.sorted(ids()))
            matches.push_back({*ids_[found.slot], found.score});
        return matches;
    }

    /// Every result is an access. Apart from matches_of(), because a search that throws has counted none. Throws
    /// nothing.
    void count_accesses(Local& local, TopK<Row>& top) const {
        if (options_.tracking == Tracking::off)
            return;
        const std::int64_t at = now();
        for (const auto& found : top.sorted(ids()))
            tracker_.access(local.tracker, records_[found.slot], at);
    }

    void count_access(Local& local, Row row) const {
        if (options_.tracking != Tracking::off)
            tracker_.access(local.tracker, records_[row], now());
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
    const std::size_t stride_;
    std::atomic<std::uint32_t> hints_{0};
    mutable Tracker tracker_; // mutable: reads are counted
    Stats stats_;
    Anchored<Threads> threads_;

    mutable Mutex mutex_;
    // Guarded by mutex_:
    std::unordered_map<std::string, Row, DefaultHash<std::string>, DefaultEqual<std::string>> positions_;
    std::vector<const std::string*> ids_; // the map's own keys, which stay where they are
    std::vector<RecordId> records_;
    Floats rows_; // capacity_ x stride_
    std::vector<float> inverse_norms_;
    std::size_t capacity_ = 0;
};

static_assert(VectorIndex<HotVectorIndex<std::mutex>>);
static_assert(VectorIndex<HotVectorIndex<std::shared_mutex>>);

} // namespace hotindex
