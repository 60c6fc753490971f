// LockFreeHotVectorIndex: a vector index in which nobody waits for anybody, and search is an atomic snapshot.
//
// The composition; start reading here. Two journeys:
//
//   write:  id + vector -> directory (BucketTable: id -> entry) -> slot (SlotStore: row, norm, versions) -> retire
//   query:  vector -> announced time -> scan of the slots visible at that time -> top-k -> ids
//
// The directory's entry for an id holds one word, `current`: the slot with the id's present version, or that slot
// marked REMOVED. A replacement swings `current` to a new slot; a removal marks it and takes the entry out of the
// directory. Slots carry birth and death times on a global clock (see SlotStore), and search asks each slot whether it
// was alive at the one time that the search read from the clock and announced (see SnapshotTimes). So search, add,
// remove, get and contains are linearizable together; a search writes nothing that another thread writes or reads,
// except its announcement, its own counters, and, when it meets an update between publication and stamp, the few words
// that help that update along.
//
// Memory. A search is not pinned: it keeps what lived at its time, and nothing else. So with R searches or snapshots
// that never end, what waits to be used again is at most
//   2 * (slots and entries that were there at their R times) + what was retired in the last few epochs,
// however many updates follow; the factor is for what was kept for searches that have ended since, and is 1 after
// drain(). What is kept belongs to nobody: whoever updates, gets or searches looks at it again. For what was retired in
// the last few epochs see "Memory" in EpochDomain: it counts in bytes. The epoch moves on unless a thread stands still
// within add, remove, get, contains or access: that one keeps all that is retired later.
//
// Invariants, over those of the parts
//   X1  an entry that was marked REMOVED never has another current; it leaves the directory and does not come back.
//   X2  the current slot of an entry in the directory, and the victim of a marked one, is not retired.
//   X3  who swings `current` from a slot retires that slot; who unlinks an entry retires it with its victim.
//   X4  a slot is acted upon (superseded, removed, returned by get) only after finish(): see V1.
//   X5  an entry lives from before the birth of its first version to the death of its last; its Life says so.
// Linearization: add and remove at the clock tick that stamped their slot; search at its load of the clock; get and
// contains at their read of `current`, or at the stamp of what they found there, whichever is later.
// Progress: search is wait-free (bounded by the slots at its start), all others are lock-free. One search in
// Traits::pins_per_look also empties some of what others left in limbo, and hands over what its thread did: bounded, and
// lock-free (see EpochDomain).
// Strong guarantee: every allocation comes before the step that makes an operation visible; where cleaning up after a
// removal runs out of memory, the entry stays, marked, for the next operation on that id.
#pragma once

#include <hotindex/backend/production.hpp>
#include <hotindex/backend/this_thread.hpp>
#include <hotindex/backend/traits.hpp>
#include <hotindex/map/bucket_table.hpp>
#include <hotindex/map/hash.hpp>
#include <hotindex/memory/segmented_array.hpp>
#include <hotindex/monitor/lock_free_access_tracker.hpp>
#include <hotindex/monitor/lock_free_stats.hpp>
#include <hotindex/reclaim/epoch_domain.hpp>
#include <hotindex/search/scan.hpp>
#include <hotindex/search/similarity.hpp>
#include <hotindex/search/top_k.hpp>
#include <hotindex/store/slot_store.hpp>
#include <hotindex/vector_index.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hotindex {

/// See VectorIndex for the contract. B and Traits: backend and tunables.
template <class B = ProductionBackend, class Traits = DefaultTraits>
class BasicLockFreeHotVectorIndex {
    struct Local;
    struct Directed;
    using Key = std::string;
    using Entry = TableEntry<B, Local, Key, Directed>;
    using Directory = BucketTable<B, Traits, Local, Key, Directed, DefaultEqual<Key>>;
    using Slots = SlotStore<B, Traits, Local, Entry>;
    using Tracker = LockFreeAccessTracker<B, Traits>;
    using Stats = LockFreeStats<B>;

    static constexpr SlotId removed_mark = Slots::max_slots;

    /// What the directory holds for an id.
    struct Directed {
        Directed(SlotId s, RecordId r) : current(s), record(r) {}
        typename B::template atomic<SlotId> current; ///< a slot, or a slot | removed_mark
        const typename B::template var<RecordId> record;
    };

    /// When an entry's versions live (X5). Kept by record, because an entry fills a cache line as it is.
    struct Life {
        Life() : born(0u), died(0u) {}
        typename B::template var<version::Word> born; ///< no later than the first birth
        typename B::template var<version::Word> died; ///< from before the entry is retired
    };

    /// What each participant owns.
    struct Local : TableLocal<B, Traits, Local, Key, Directed>, SlotLocal<B, Traits, Local, Entry> {
        using Owner = BasicLockFreeHotVectorIndex;
        explicit Local(Owner& o) : Local(o, o.next_hint()) {}
        Local(Owner& o, std::uint32_t hint)
            : TableLocal<B, Traits, Local, Key, Directed>(o.pools_), SlotLocal<B, Traits, Local, Entry>(o.slots_),
              tracker(hint), owner(&o) {}
        /// A thread takes part. Throws std::bad_alloc.
        void join() { SlotLocal<B, Traits, Local, Entry>::join(); }
        /// The thread has gone: nothing of the index stays with this participant.
        void leave() noexcept {
            TableLocal<B, Traits, Local, Key, Directed>::leave();
            SlotLocal<B, Traits, Local, Entry>::leave();
            owner->tracker_.leave(tracker);
            owner->stats_.leave(stats);
            owner->departed_.take_over(net_vectors);
            query.keep_at_most(0);
            top.keep_at_most(0);
            batch.keep_at_most(0);
        }
        /// Asked by the directory when no guard protects the entry any more.
        bool release(Entry& e) {
            const Life& life = owner->lives_.at(e.value.record.get());
            if (this->slots->watched(*this, life.born.get(), life.died.get()))
                return false;
            owner->tracker_.forget(tracker, e.value.record.get());
            return true;
        }

        typename Tracker::Local tracker;
        typename Stats::Shard stats;
        OwnedCounter<B> net_vectors; ///< inserted minus removed by this participant, modulo 2^64
        Owner* owner;
        // Memory that searches reuse.
        PreparedQuery query;
        TopK<SlotId> top;
        BatchScan<SlotId> batch;
        std::size_t rows_last_time = 0; ///< of the last search
    };

  public:
    using Domain = EpochDomain<B, Traits, Local>;
    using Handle = typename Domain::Handle;
    using Guard = typename Domain::Guard;

    /// One consistent state of the index, for any number of searches. While it lives, the vectors of that state stay in
    /// memory, whatever is replaced or removed. Belongs to the thread that took it, and ends before the handle does.
    class Snapshot {
      public:
        /// As the index's search, on this state.
        [[nodiscard]] std::vector<Match> search(std::span<const float> query, std::size_t k) const {
            return index_->search_at(*this, query, k, AllIds{});
        }
        [[nodiscard]] std::vector<Match> search(std::span<const float> query, std::size_t k,
                                                const IdPredicate& allowed) const {
            return index_->search_at(*this, query, k, allowed);
        }
        [[nodiscard]] std::vector<std::vector<Match>> search_batch(std::span<const float> queries,
                                                                   std::size_t k) const {
            return index_->search_batch_at(*this, queries, k);
        }
        /// Vectors in this state, counted now: O(slots).
        [[nodiscard]] std::size_t size() const {
            std::size_t n = 0;
            index_->slots_.scan(announcement_, count_,
                                [&n](SlotId, const float*, const float*, SlotId, std::uint64_t mask) {
                                    n += static_cast<std::size_t>(std::popcount(mask));
                                });
            return n;
        }
        /// The state's place in the order of all updates: the number of clock ticks before it.
        [[nodiscard]] std::uint64_t time() const noexcept { return announcement_.time(); }

      private:
        friend class BasicLockFreeHotVectorIndex;
        // In this order: the time is announced before the slots are counted.
        Snapshot(const BasicLockFreeHotVectorIndex& index, const Handle& me)
            : index_(&index), local_(&looked(index, me)), announcement_(index.slots_.announce(*local_)),
              count_(index.slots_.slot_count()) {
            B::took_place(time());
        }
        /// Searches do not pin: so that they, too, empty what others left behind.
        static Local& looked(const BasicLockFreeHotVectorIndex& index, const Handle& me) {
            index.domain_->look_now_and_then(me);
            return me.local();
        }
        const BasicLockFreeHotVectorIndex* index_;
        Local* local_;
        typename Slots::Announcement announcement_;
        SlotId count_;
    };

    /// Throws InvalidArgument for bad options, std::bad_alloc.
    explicit BasicLockFreeHotVectorIndex(IndexOptions options)
        : options_((check::options(options), std::move(options))), hints_(0u), slots_(row_stride(options_.dimension)),
          tracker_(options_), domain_(std::in_place, *this), directory_(*domain_, pools_, options_.expected_vectors) {}
    BasicLockFreeHotVectorIndex(const BasicLockFreeHotVectorIndex&) = delete;
    BasicLockFreeHotVectorIndex& operator=(const BasicLockFreeHotVectorIndex&) = delete;
    ~BasicLockFreeHotVectorIndex() {
        domain_.close();
        domain_->unguarded_reclaim_all();
    }

    /// A handle for the explicit variants. Used by one thread at a time; ends before the index.
    [[nodiscard]] Handle join() const { return Handle(*domain_); }

    // ---- updates ----

    AddOutcome add_vector(const Handle& me, std::string_view id, std::span<const float> vector) {
        check::id(id);
        const float inverse_norm = check::vector(vector, options_, "vector");
        const std::uint64_t hash = hash_of(id);
        NewSlot slot(slots_, me.local(), slots_.acquire(me.local())); // not pinned yet: it may have to make a segment
        write_row(slot.id(), vector, inverse_norm);
        const Guard guard(me);
        for (;;) {
            Entry* e = directory_.find(guard, hash, id);
            if (e == nullptr) {
                NewEntry fresh(*this, guard, hash, id, slot.id());
                slots_.aim(slot.id(), fresh.get(), no_slot);
                e = fresh.insert();
                if (e == nullptr) {
                    B::took_place(slots_.finish(slot.publish(), true));
                    guard.local().net_vectors.add(1);
                    move_stray(guard, false);
                    maintain(guard.local());
                    return AddOutcome::inserted;
                }
            }
            // [entry_current] acquire-load; synchronizes-with the release-CASes of current
            SlotId old = e->value.current.load(B::acquire(edge::entry_current));
            if ((old & removed_mark) != 0) {
                finish_remove(guard, *e, old & ~removed_mark);
                continue;
            }
            slots_.finish(old, true); // X4
            slots_.aim(slot.id(), e, old);
            // [entry_current] release-CAS; synchronizes-with the acquire-loads of current; publishes: the slot
            // relaxed on failure: read again above
            if (!e->value.current.compare_exchange_strong(old, slot.id(), B::release(edge::entry_current),
                                                          B::relaxed()))
                continue;
            B::took_place(slots_.finish(slot.publish(), true));
            slots_.retire(guard, old);
            move_stray(guard, false);
            maintain(guard.local());
            return AddOutcome::replaced;
        }
    }

    bool remove_vector(const Handle& me, std::string_view id) {
        const Guard guard(me);
        Entry* const e = directory_.find(guard, hash_of(id), id);
        if (e == nullptr)
            return false;
        // [entry_current] acquire-load; synchronizes-with the release-CASes of current
        SlotId old = e->value.current.load(B::acquire(edge::entry_current));
        for (;;) {
            if ((old & removed_mark) != 0) {
                slots_.bury(old & ~removed_mark); // "not there" is true once the removal has its time
                return false;
            }
            slots_.finish(old, true); // X4
            // [entry_current] release-CAS; synchronizes-with the acquire-loads of current; publishes: that the slot is
            // stamped and its predecessor settled. Who buries it for this thread uses its slot again, and a search that
            // still found the predecessor linked to it would ask the next life there
            // [entry_current] acquire on failure: the slot found is finished next
            if (e->value.current.compare_exchange_strong(old, old | removed_mark, B::release(edge::entry_current),
                                                         B::acquire(edge::entry_current)))
                break;
        }
        guard.local().net_vectors.add(~std::uint64_t{0});
        try {
            finish_remove(guard, *e, old);
        } catch (const std::bad_alloc&) {
            // The removal is done; the marked entry is left to the next add_vector of this id.
        }
        move_stray(guard, true);
        maintain(guard.local());
        return true;
    }

    // ---- reads ----

    [[nodiscard]] bool contains(const Handle& me, std::string_view id) const {
        const Guard guard(me);
        return present(guard, id).has_value();
    }

    [[nodiscard]] std::optional<std::vector<float>> get_vector(const Handle& me, std::string_view id) const {
        const Guard guard(me);
        const std::optional<Present> found = present(guard, id);
        if (!found)
            return std::nullopt;
        const float* const row = slots_.row(guard, found->slot);
        std::vector<float> copy(row, row + options_.dimension);
        count_access(guard, *found->entry);
        return copy;
    }

    [[nodiscard]] Snapshot snapshot(const Handle& me) const { return Snapshot(*this, me); }

    [[nodiscard]] std::vector<Match> search(const Handle& me, std::span<const float> query, std::size_t k) const {
        return Snapshot(*this, me).search(query, k);
    }
    [[nodiscard]] std::vector<Match> search(const Handle& me, std::span<const float> query, std::size_t k,
                                            const IdPredicate& allowed) const {
        return Snapshot(*this, me).search(query, k, allowed);
    }
    [[nodiscard]] std::vector<std::vector<Match>> search_batch(const Handle& me, std::span<const float> queries,
                                                               std::size_t k) const {
        return Snapshot(*this, me).search_batch(queries, k);
    }

    // ---- accesses and tiers ----

    bool access(const Handle& me, std::string_view id) const {
        const Guard guard(me);
        const std::optional<Present> found = present(guard, id);
        if (found)
            count_access(guard, *found->entry);
        return found.has_value();
    }
    [[nodiscard]] std::optional<AccessStats> access_stats(const Handle& me, std::string_view id) const {
        const Guard guard(me);
        const std::optional<Present> found = present(guard, id);
        if (!found)
            return std::nullopt;
        return tracker_.stats(found->entry->value.record.get(), tracker_locals());
    }
    bool promote(const Handle& me, std::string_view id) const {
        const Guard guard(me);
        const std::optional<Present> found = present(guard, id);
        if (!found || !tracker_.promote(found->entry->value.record.get()))
            return false;
        guard.local().stats.promoted(1);
        return true;
    }
    bool demote(const Handle& me, std::string_view id) const {
        const Guard guard(me);
        const std::optional<Present> found = present(guard, id);
        if (!found || !tracker_.demote(found->entry->value.record.get()))
            return false;
        guard.local().stats.demoted(1);
        return true;
    }

    /// Reassigns all tiers now; returns how many changed. O(largest size so far + threads). Not pinned: access records
    /// stay where they are, and a change of tier does nothing to a record's next life.
    std::size_t manage_tiers(const Handle& me) const {
        const TierMoves moves = tracker_.manage_tiers(B::read_clock_ms(), tracker_locals());
        count_moves(me.local(), moves);
        return static_cast<std::size_t>(moves.promotions + moves.demotions);
    }

    // ---- the same for the calling thread, which joins at its first call (that may throw std::bad_alloc) ----

    AddOutcome add_vector(std::string_view id, std::span<const float> vector) { return add_vector(self(), id, vector); }
    bool remove_vector(std::string_view id) { return remove_vector(self(), id); }
    [[nodiscard]] bool contains(std::string_view id) const { return contains(self(), id); }
    [[nodiscard]] std::optional<std::vector<float>> get_vector(std::string_view id) const {
        return get_vector(self(), id);
    }
    [[nodiscard]] Snapshot snapshot() const { return snapshot(self()); }
    [[nodiscard]] std::vector<Match> search(std::span<const float> query, std::size_t k) const {
        return search(self(), query, k);
    }
    [[nodiscard]] std::vector<Match> search(std::span<const float> query, std::size_t k,
                                            const IdPredicate& allowed) const {
        return search(self(), query, k, allowed);
    }
    [[nodiscard]] std::vector<std::vector<Match>> search_batch(std::span<const float> queries, std::size_t k) const {
        return search_batch(self(), queries, k);
    }
    bool access(std::string_view id) const { return access(self(), id); }
    [[nodiscard]] std::optional<AccessStats> access_stats(std::string_view id) const {
        return access_stats(self(), id);
    }
    bool promote(std::string_view id) const { return promote(self(), id); }
    bool demote(std::string_view id) const { return demote(self(), id); }
    std::size_t manage_tiers() const { return manage_tiers(self()); }
    [[nodiscard]] IndexStats get_stats() const {
        IndexStats s = stats_.total(stats_shards());
        s.vectors = size();
        return s;
    }
    void reset_stats() { stats_.reset(stats_shards()); }

    // ---- the whole ----

    /// Exact when no operation is running, otherwise off by at most the operations that are running. O(threads).
    [[nodiscard]] std::size_t size() const {
        const std::uint64_t sum =
            domain_->total(departed_, [](const Local& local) { return local.net_vectors.read(); });
        return static_cast<std::int64_t>(sum) < 0 ? 0 : static_cast<std::size_t>(sum);
    }
    [[nodiscard]] bool empty() const { return size() == 0; }
    [[nodiscard]] const IndexOptions& options() const noexcept { return options_; }
    [[nodiscard]] EpochStats epoch_stats() const { return domain_->stats(); }
    /// Searches that are running, and snapshots that there are.
    [[nodiscard]] std::uint64_t open_snapshots() const { return slots_.announced(); }
    /// The clock ticks so far: no snapshot taken from now on has an earlier time.
    [[nodiscard]] std::uint64_t time() const { return slots_.now(); }
    /// Bytes that rows and their versions take, in use or not. They shrink when vectors are removed.
    [[nodiscard]] std::uint64_t slot_bytes() const { return slots_.bytes(); }
    /// Reclaims what can be reclaimed now, and gives memory back; true if nothing is left in limbo. The caller holds no
    /// snapshot.
    bool drain(const Handle& me) {
        domain_->drain(me);
        for (std::uint32_t n = slots_.segment_count(); n != 0; --n)
            slots_.trim(Guard(me), n - 1); // pinned anew for each
        const bool empty = domain_->drain(me);
        me.local().flush_blocks();
        pools_.trim();
        return empty;
    }
    bool drain() { return drain(self()); }

  private:
    struct Present {
        Entry* entry;
        SlotId slot;
    };

    /// A slot that belongs to the caller until it is published.
    class NewSlot {
      public:
        NewSlot(Slots& slots, Local& local, SlotId slot) noexcept : slots_(slots), local_(local), slot_(slot) {}
        NewSlot(const NewSlot&) = delete;
        NewSlot& operator=(const NewSlot&) = delete;
        ~NewSlot() {
            if (slot_ != no_slot)
                slots_.discard(local_, slot_);
        }
        [[nodiscard]] SlotId id() const noexcept { return slot_; }
        SlotId publish() noexcept { return std::exchange(slot_, no_slot); }

      private:
        Slots& slots_;
        Local& local_;
        SlotId slot_;
    };

    /// A directory entry, with its access record, that belongs to the caller until it is inserted.
    class NewEntry {
      public:
        NewEntry(BasicLockFreeHotVectorIndex& index, const Guard& guard, std::uint64_t hash, std::string_view id,
                 SlotId slot)
            : index_(index), guard_(guard), record_(index.tracker_.track(guard.local().tracker, B::read_clock_ms())) {
            try {
                index.lives_.grow_to(record_);
                index.lives_.at(record_).born.set(index.slots_.now() + 1);
                entry_ = index.directory_.make_entry(guard, hash, id, slot, record_);
            } catch (...) {
                index.tracker_.forget(guard.local().tracker, record_);
                throw;
            }
        }
        NewEntry(const NewEntry&) = delete;
        NewEntry& operator=(const NewEntry&) = delete;
        ~NewEntry() {
            if (entry_ == nullptr)
                return;
            index_.tracker_.forget(guard_.local().tracker, record_);
            index_.directory_.destroy_unpublished(guard_, entry_);
        }
        [[nodiscard]] Entry* get() const noexcept { return entry_; }
        /// nullptr when inserted, else the entry that has the id.
        [[nodiscard]] Entry* insert() {
            Entry* const there = index_.directory_.insert(guard_, entry_);
            if (there != entry_)
                return there;
            entry_ = nullptr;
            return nullptr;
        }

      private:
        BasicLockFreeHotVectorIndex& index_;
        const Guard& guard_;
        RecordId record_;
        Entry* entry_ = nullptr;
    };

    [[nodiscard]] static std::uint64_t hash_of(std::string_view id) { return mix(DefaultHash<std::string>()(id)); }
    [[nodiscard]] const Handle& self() const { return ThisThread<Domain>::handle(domain_); }
    // relaxed: any spread of the numbers will do
    [[nodiscard]] std::uint32_t next_hint() { return hints_.fetch_add(1, B::relaxed()); }

    void write_row(SlotId slot, std::span<const float> vector, float inverse_norm) {
        float* const row = slots_.row_of_new(slot);
        std::fill(std::copy(vector.begin(), vector.end(), row), row + slots_.stride(), 0.0F);
        slots_.open(slot, inverse_norm);
    }

    /// Now and then, replaces a vector that lies far out by itself, further in: see SlotStore. To everybody else it is
    /// an add of the vector that is there anyway.
    void move_stray(const Guard& guard, bool after_removal) {
        const SlotId stray = slots_.stray(guard, after_removal);
        if (stray == no_slot)
            return;
        NewSlot slot(slots_, guard.local(), slots_.try_acquire(guard.local()));
        if (slot.id() == no_slot || !slots_.is_compact(guard, slot.id()))
            return;
        std::copy_n(slots_.row(guard, stray), slots_.stride(), slots_.row_of_new(slot.id()));
        slots_.open(slot.id(), slots_.inverse_norm(guard, stray));
        Entry* const e = slots_.entry(guard, stray);
        // relaxed: only a hint, the CAS decides; the slot was found finished
        if (SlotId old = e->value.current.load(B::relaxed()); old == stray) {
            slots_.finish(old, true); // X4: settles its predecessor
            slots_.aim(slot.id(), e, old);
            // [entry_current] release-CAS; synchronizes-with the acquire-loads of current; publishes: the slot
            // relaxed on failure: somebody else has replaced or removed it
            if (e->value.current.compare_exchange_strong(old, slot.id(), B::release(edge::entry_current),
                                                         B::relaxed())) {
                slots_.finish(slot.publish(), true);
                slots_.retire(guard, stray);
            }
        }
    }

    /// The entry and slot of an id that is in the index, finished; nullopt for one that is not, for certain.
    [[nodiscard]] std::optional<Present> present(const Guard& guard, std::string_view id) const {
        Entry* const e = directory_.find(guard, hash_of(id), id);
        if (e == nullptr)
            return std::nullopt;
        // [entry_current] acquire-load; synchronizes-with the release-CASes of current
        const SlotId slot = e->value.current.load(B::acquire(edge::entry_current));
        if ((slot & removed_mark) != 0) {
            slots_.bury(slot & ~removed_mark);
            return std::nullopt;
        }
        slots_.finish(slot, false); // X4
        return Present{e, slot};
    }

    /// Completes a removal, whoever began it. Throws std::bad_alloc only before the entry is out of the directory.
    void finish_remove(const Guard& guard, Entry& e, SlotId victim) {
        B::took_place(slots_.bury(victim));
        if (directory_.unlink(guard, &e)) { // X3
            lives_.at(e.value.record.get()).died.set(slots_.died(guard, victim));
            directory_.retire(guard, &e);
            slots_.retire(guard, victim);
        }
    }

    template <class Allowed>
    [[nodiscard]] std::vector<Match> search_at(const Snapshot& snapshot, std::span<const float> query, std::size_t k,
                                               const Allowed& allowed) const {
        const float inverse_norm = check::vector(query, options_, "query");
        Local& local = *snapshot.local_;
        const typename Stats::Timer timer(options_.stats);
        const ScratchBound bound(Traits::kept_scratch / 4, local.query, local.top);
        local.query.assign(query, options_.metric, local.rows_last_time, inverse_norm);
        local.top.reset(k, options_.metric);
        const auto id_of = ids(snapshot);
        const std::size_t scored = scan_rows(local.query, blocks(snapshot), local.top, id_of, allowed);
        std::vector<Match> matches = matches_of(local.top, id_of);
        count_accesses(snapshot, local.top, id_of);
        local.rows_last_time = scored;
        local.stats.answered(timer, 1, scored);
        maintain(local);
        return matches;
    }

    [[nodiscard]] std::vector<std::vector<Match>> search_batch_at(const Snapshot& snapshot,
                                                                  std::span<const float> queries, std::size_t k) const {
        check::batch(queries, options_);
        Local& local = *snapshot.local_;
        const typename Stats::Timer timer(options_.stats);
        const ScratchBound bound(Traits::kept_scratch / 2, local.batch);
        local.batch.prepare(queries, options_.dimension, k, options_.metric);
        const auto id_of = ids(snapshot);
        const std::size_t scored = local.batch.scan(blocks(snapshot), id_of);
        std::vector<std::vector<Match>> answers;
        answers.reserve(local.batch.size());
        for (std::size_t i = 0; i != local.batch.size(); ++i)
            answers.push_back(matches_of(local.batch.top(i), id_of));
        for (std::size_t i = 0; i != local.batch.size(); ++i) // when nothing can throw any more
            count_accesses(snapshot, local.batch.top(i), id_of);
        local.stats.answered(timer, local.batch.size(), scored);
        maintain(local);
        return answers;
    }

    [[nodiscard]] auto ids(const Snapshot& snapshot) const {
        return [this, &snapshot](SlotId slot) {
            return std::string_view(slots_.entry(snapshot.announcement_, slot)->key.get());
        };
    }

    /// The visible rows of a snapshot, as scan_rows wants them.
    [[nodiscard]] auto blocks(const Snapshot& snapshot) const {
        return [this, &snapshot](auto&& use) {
            slots_.scan(snapshot.announcement_, snapshot.count_,
                        [&use](SlotId first, const float* rows, const float* inverse_norms, SlotId n,
                               std::uint64_t mask) { use(RowBlock<SlotId>{first, rows, inverse_norms, n, mask}); });
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
    void count_accesses(const Snapshot& snapshot, TopK<SlotId>& top, const IdOf& id_of) const {
        if (options_.tracking == Tracking::off)
            return;
        const std::int64_t now = B::read_clock_ms();
        for (const auto& found : top.sorted(id_of))
            tracker_.access(snapshot.local_->tracker,
                            slots_.entry(snapshot.announcement_, found.slot)->value.record.get(), now);
    }

    void count_access(const Guard& guard, const Entry& e) const {
        if (options_.tracking != Tracking::off)
            tracker_.access(guard.local().tracker, e.value.record.get(), B::read_clock_ms());
    }

    /// Automatic tier management, when it is due.
    void maintain(Local& local) const {
        if (options_.tracking != Tracking::off)
            count_moves(local, tracker_.tick(B::read_clock_ms(), tracker_locals()));
    }
    static void count_moves(Local& local, const TierMoves& moves) {
        local.stats.promoted(moves.promotions);
        local.stats.demoted(moves.demotions);
    }

    [[nodiscard]] auto tracker_locals() const {
        return
            [this](auto&& visit) { domain_->for_each_local([&visit](const Local& local) { visit(local.tracker); }); };
    }
    [[nodiscard]] auto stats_shards() const {
        return [this](auto&& visit) { domain_->for_each_local([&visit](const Local& local) { visit(local.stats); }); };
    }

    const IndexOptions options_;
    typename B::template atomic<std::uint32_t> hints_;
    // mutable: reads help unfinished updates along and count; neither changes the state that anybody can observe.
    mutable typename Directory::Pools pools_;
    mutable Slots slots_;
    mutable Tracker tracker_;
    SegmentedArray<B, Traits, Life> lives_; ///< by RecordId
    Stats stats_;
    DepartedCounter<B> departed_; ///< net_vectors of participants that have left
    typename B::template anchored<Domain> domain_;
    Directory directory_;
};

/// The lock-free index as it ships.
using LockFreeHotVectorIndex = BasicLockFreeHotVectorIndex<>;
static_assert(VectorIndex<LockFreeHotVectorIndex>);

} // namespace hotindex
