// IndexCore: the parts of the lock-free index, and the updates on them.
//
// The directory's entry for an id holds one word, `current`: the slot with the id's present version, or that slot
// marked REMOVED. A replacement swings `current` to a new slot. A removal marks it, and takes the entry out of the
// directory. Slots carry birth and death times on a global clock (see SlotStore).
//
// Invariants, over those of the parts
//   X1  an entry that was marked REMOVED never has another current; it leaves the directory and does not come back.
//   X2  while an entry is in the directory, the slot that its `current` names, marked or not, is not retired.
//   X3  who swings `current` to another slot retires the one that it named before; who takes a marked entry out of the
//       directory retires the entry and the slot that it names.
//   X4  a slot is acted upon (superseded, removed, returned by get) only after finish_birth(): see V1.
//   X5  an entry lives from before the birth of its first version to the death of its last; its EntryLife holds the
//       two times.
//
// Linearization: add and remove at the clock tick that stamped their slot.
//
// Progress: lock-free. Strong guarantee: every allocation comes before the step that makes an operation visible; where
// cleaning up after a removal runs out of memory, the entry stays, marked, for the next operation on that id.
#pragma once

#include <hotindex/id.hpp>
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
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <span>
#include <utility>

namespace hotindex {

template <class B, class Traits, class Id>
class IndexCore {
  public:
    struct Local;
    struct DirectoryValue;
    using Key = Id;
    using View = IdView<Id>;
    using Entry = TableEntry<B, Local, Key, DirectoryValue>;
    using Directory = BucketTable<B, Traits, Local, Key, DirectoryValue, DefaultEqual<Key>>;
    using Slots = SlotStore<B, Traits, Local, Entry>;
    using Tracker = LockFreeAccessTracker<B, Traits>;
    using Stats = LockFreeStats<B>;

    /// What the directory holds for an id.
    struct DirectoryValue {
        DirectoryValue(SlotId s, RecordId r) : current(s), record(r) {}
        typename B::template atomic<SlotId> current; ///< a slot, or a slot | removed_mark
        const typename B::template var<RecordId> record;
    };

    /// When an entry's versions live (X5). Kept by record, because an entry fills a cache line as it is.
    struct EntryLife {
        EntryLife() : born(0u), died(0u) {}
        typename B::template var<version::Word> born; ///< no later than the first birth
        typename B::template var<version::Word> died; ///< from before the entry is retired
    };

    /// What each participant owns.
    struct Local : TableLocal<B, Traits, Local, Key, DirectoryValue>, SlotLocal<B, Traits, Local, Entry> {
        using Owner = IndexCore;
        explicit Local(Owner& o) : Local(o, o.next_hint()) {}
        Local(Owner& o, std::uint32_t hint)
            : TableLocal<B, Traits, Local, Key, DirectoryValue>(o.pools), SlotLocal<B, Traits, Local, Entry>(o.slots),
              tracker(hint), owner(&o) {}
        /// A thread takes part. Throws std::bad_alloc.
        void join() { SlotLocal<B, Traits, Local, Entry>::join(); }
        /// The thread has gone: nothing of the index stays with this participant.
        void leave() noexcept {
            TableLocal<B, Traits, Local, Key, DirectoryValue>::leave();
            SlotLocal<B, Traits, Local, Entry>::leave();
            owner->tracker.leave(tracker);
            owner->stats.leave(stats);
            owner->departed.take_over(net_vectors);
            query.keep_at_most(0);
            top.keep_at_most(0);
            batch.keep_at_most(0);
        }
        /// Asked by the directory when no guard protects the entry any more.
        bool release(Entry& e) {
            const EntryLife& life = owner->lives.at(e.value.record.get());
            if (this->slots->watched(*this, life.born.get(), life.died.get()))
                return false;
            owner->tracker.forget(tracker, e.value.record.get());
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

    using Domain = EpochDomain<B, Traits, Local>;
    using Handle = typename Domain::Handle;
    using Guard = typename Domain::Guard;

    /// An id that is in the index, with a finished version.
    struct Present {
        Entry* entry;
        typename Slots::Slot slot;
    };

    /// `o` has been checked. Throws std::bad_alloc.
    explicit IndexCore(IndexOptions o)
        : options(std::move(o)), hints(0u), slots(row_stride(options.dimension)), tracker(options),
          domain(std::in_place, *this), directory(*domain, pools, options.expected_vectors) {}
    IndexCore(const IndexCore&) = delete;
    IndexCore& operator=(const IndexCore&) = delete;
    ~IndexCore() {
        domain.close();
        domain->unguarded_reclaim_all();
    }

    /// `vector` has been checked; the rest as VectorIndex says.
    AddOutcome add(const Handle& me, View id, std::span<const float> vector, float inverse_norm) {
        const std::uint64_t hash = hash_of(id);
        slots.join_changes(me.local());
        NewSlot slot(slots, me.local(), slots.acquire(me.local())); // not pinned yet: it may have to make a segment
        write_row(*slot, vector, inverse_norm);
        const Guard guard(me);
        Change change(slots, me.local());
        for (;;) {
            Entry* e = directory.find(guard, hash, id);
            if (e == nullptr) {
                NewEntry fresh(*this, guard, hash, id, slot->id());
                slots.set_entry(*slot, fresh.get());
                change.announce({slot->id(), no_slot});
                e = fresh.insert();
                if (e == nullptr) {
                    change.publish();
                    B::took_place(slots.complete_birth(me.local(), slot.publish()));
                    guard.local().net_vectors.add(1);
                    move_now_and_then(guard, false);
                    maintain(guard.local());
                    return AddOutcome::inserted;
                }
            }
            // [entry_current] acquire-load; synchronizes-with the release-CASes of current
            SlotId current = e->value.current.load(B::acquire(edge::entry_current));
            const Slot old = slots.at(current & ~removed_mark);
            if ((current & removed_mark) != 0) {
                finish_remove(guard, *e, old);
                continue;
            }
            slots.finish_birth(old); // X4
            slots.set_entry(*slot, e);
            change.announce({slot->id(), current});
            // [entry_current] release-CAS; synchronizes-with the acquire-loads of current; publishes: the slot,
            // and that the change is announced
            // relaxed on failure: read again above
            if (!e->value.current.compare_exchange_strong(current, slot->id(), B::release(edge::entry_current),
                                                          B::relaxed()))
                continue;
            change.publish();
            B::took_place(slots.complete_replacement(me.local(), slot.publish(), old));
            slots.retire(guard, old);
            move_now_and_then(guard, false);
            maintain(guard.local());
            return AddOutcome::replaced;
        }
    }

    /// Overwrites the vector of an id that is there; false if it is not. Nobody else reads rows, and no snapshot is
    /// held. The version stays: to later searches it always was what it is now.
    bool unguarded_overwrite(const Handle& me, View id, std::span<const float> vector, float inverse_norm) {
        const Guard guard(me);
        const std::optional<Present> found = present(guard, id);
        if (!found)
            return false;
        slots.unguarded_overwrite(found->slot, vector, inverse_norm);
        maintain(guard.local());
        return true;
    }

    bool remove(const Handle& me, View id) {
        slots.join_changes(me.local());
        const Guard guard(me);
        Entry* const e = directory.find(guard, hash_of(id), id);
        if (e == nullptr)
            return false;
        // [entry_current] acquire-load; synchronizes-with the release-CASes of current
        SlotId current = e->value.current.load(B::acquire(edge::entry_current));
        Slot old;
        Change change(slots, me.local());
        for (;;) {
            old = slots.at(current & ~removed_mark);
            if ((current & removed_mark) != 0) {
                slots.finish_death(old); // "not there" is true once the removal has its time
                return false;
            }
            slots.finish_birth(old); // X4
            change.announce({no_slot, current});
            // [entry_current] release-CAS; synchronizes-with the acquire-loads of current; publishes: that the death is
            // announced (A1 of AnnouncedChanges)
            // [entry_current] acquire on failure: the slot found is finished next
            if (e->value.current.compare_exchange_strong(current, current | removed_mark,
                                                         B::release(edge::entry_current),
                                                         B::acquire(edge::entry_current))) {
                change.publish();
                B::took_place(slots.complete_death(me.local(), old));
                break;
            }
        }
        guard.local().net_vectors.add(~std::uint64_t{0});
        try {
            unlink(guard, *e, old);
        } catch (const std::bad_alloc&) {
            // The removal is done; the marked entry is left to the next add_vector of this id.
        }
        move_now_and_then(guard, true);
        maintain(guard.local());
        return true;
    }

    /// The entry and slot of an id that is in the index, finished; nullopt for one that is not, for certain.
    [[nodiscard]] std::optional<Present> present(const Guard& guard, View id) {
        Entry* const e = directory.find(guard, hash_of(id), id);
        if (e == nullptr)
            return std::nullopt;
        // [entry_current] acquire-load; synchronizes-with the release-CASes of current
        const SlotId current = e->value.current.load(B::acquire(edge::entry_current));
        const Slot slot = slots.at(current & ~removed_mark);
        if ((current & removed_mark) != 0) {
            slots.finish_death(slot);
            return std::nullopt;
        }
        slots.finish_birth(slot); // X4
        return Present{e, slot};
    }

    /// What the directory finds an id by.
    [[nodiscard]] static std::uint64_t hash_of(View id) { return mix(DefaultHash<Id>()(id)); }

    // ---- accesses and tiers ----

    void count_access(const Guard& guard, const Entry& e) {
        if (options.tracking != Tracking::off)
            tracker.access(guard.local().tracker, e.value.record.get(), B::read_clock_ms());
    }

    /// Automatic tier management, when it is due.
    void maintain(Local& local) {
        if (options.tracking != Tracking::off)
            count_moves(local, tracker.tick(B::read_clock_ms(), tracker_locals()));
    }
    static void count_moves(Local& local, const TierMoves& moves) {
        local.stats.promoted(moves.promotions);
        local.stats.demoted(moves.demotions);
    }

    [[nodiscard]] auto tracker_locals() const {
        return [this](auto&& visit) { domain->for_each_local([&visit](const Local& local) { visit(local.tracker); }); };
    }
    [[nodiscard]] auto stats_shards() const {
        return [this](auto&& visit) { domain->for_each_local([&visit](const Local& local) { visit(local.stats); }); };
    }

    /// `id_bytes`: of ids that do not lie in their entries.
    [[nodiscard]] MemoryUsage memory_usage(const Handle& me, std::uint64_t id_bytes) const {
        MemoryUsage usage;
        usage.rows = slots.row_bytes();
        usage.bookkeeping = slots.bytes() - std::min(slots.bytes(), usage.rows);
        usage.ids = pools.stats().bytes + id_bytes;
        usage.table = directory.bucket_bytes(Guard(me));
        usage.records = tracker.records() * (Tracker::record_bytes + sizeof(EntryLife));
        usage.limbo = domain->stats().limbo_bytes;
        return usage;
    }

    // ---- the parts ----

    const IndexOptions options;
    typename B::template atomic<std::uint32_t> hints;
    typename Directory::Pools pools;
    Slots slots;
    Tracker tracker;
    SegmentedArray<B, Traits, EntryLife> lives; ///< by RecordId
    Stats stats;
    DepartedCounter<B> departed; ///< net_vectors of participants that have left
    typename B::template anchored<Domain> domain;
    Directory directory;

  private:
    using Slot = typename Slots::Slot;
    static constexpr SlotId removed_mark = Slots::max_slots;

    /// A slot that belongs to the caller until it is published.
    class NewSlot {
      public:
        NewSlot(Slots& all, Local& mine, Slot slot) noexcept : slots_(all), local_(mine), slot_(slot) {}
        NewSlot(const NewSlot&) = delete;
        NewSlot& operator=(const NewSlot&) = delete;
        ~NewSlot() {
            if (slot_)
                slots_.discard(local_, slot_);
        }
        [[nodiscard]] const Slot& operator*() const noexcept { return slot_; }
        [[nodiscard]] const Slot* operator->() const noexcept { return &slot_; }
        /// It is published.
        Slot publish() noexcept { return std::exchange(slot_, Slot{}); }

      private:
        Slots& slots_;
        Local& local_;
        Slot slot_;
    };

    /// A change of slots, announced before each attempt to publish it, and withdrawn at the end if none was successful.
    /// It ends before a slot that was to be born is discarded (A3 of AnnouncedChanges).
    class Change {
      public:
        Change(Slots& all, Local& mine) noexcept : slots_(all), local_(mine) {}
        Change(const Change&) = delete;
        Change& operator=(const Change&) = delete;
        ~Change() {
            if (announced_)
                slots_.withdraw_change(local_);
        }
        void announce(SlotChange c) {
            slots_.announce_change(local_, c);
            announced_ = true;
        }
        /// It is published: to be completed.
        void publish() noexcept { announced_ = false; }

      private:
        Slots& slots_;
        Local& local_;
        bool announced_ = false;
    };

    /// A directory entry, with its access record, that belongs to the caller until it is inserted.
    class NewEntry {
      public:
        NewEntry(IndexCore& core, const Guard& guard, std::uint64_t hash, View id, SlotId slot)
            : core_(core), guard_(guard), record_(core.tracker.track(guard.local().tracker, B::read_clock_ms())) {
            try {
                core.lives.grow_to(record_);
                core.lives.at(record_).born.set(core.slots.now() + 1);
                entry_ = core.directory.make_entry(guard, hash, id, slot, record_);
            } catch (...) {
                core.tracker.forget(guard.local().tracker, record_);
                throw;
            }
        }
        NewEntry(const NewEntry&) = delete;
        NewEntry& operator=(const NewEntry&) = delete;
        ~NewEntry() {
            if (entry_ == nullptr)
                return;
            core_.tracker.forget(guard_.local().tracker, record_);
            core_.directory.destroy_unpublished(guard_, entry_);
        }
        [[nodiscard]] Entry* get() const noexcept { return entry_; }
        /// nullptr when inserted, else the entry that has the id.
        [[nodiscard]] Entry* insert() {
            Entry* const there = core_.directory.insert(guard_, entry_);
            if (there != entry_)
                return there;
            entry_ = nullptr;
            return nullptr;
        }

      private:
        IndexCore& core_;
        const Guard& guard_;
        RecordId record_;
        Entry* entry_ = nullptr;
    };

    // relaxed: any spread of the numbers will do
    [[nodiscard]] std::uint32_t next_hint() { return hints.fetch_add(1, B::relaxed()); }

    void write_row(Slot slot, std::span<const float> vector, float inverse_norm) {
        float* const row = slots.row_of_new(slot);
        std::fill(std::copy(vector.begin(), vector.end(), row), row + slots.stride(), 0.0F);
        slots.begin_version(slot, inverse_norm);
    }

    void move_now_and_then(const Guard& guard, bool after_removal) {
        if (slots.move_is_due(guard)) [[unlikely]]
            move_one(guard, after_removal);
    }
    /// Replaces a vector that lies far out by itself, further in, if there is one: see Compaction. To everybody else it
    /// is an add of the vector that is there anyway.
    // Not inlined: what is seldom needs registers that every update would save.
    [[gnu::noinline]] void move_one(const Guard& guard, bool after_removal) {
        const SlotId number = slots.slot_to_move(guard, after_removal);
        if (number == no_slot)
            return;
        NewSlot slot(slots, guard.local(), slots.try_acquire(guard.local()));
        if (!*slot || !slots.is_compact(guard, slot->id()))
            return;
        const Slot far = slots.at(number);
        std::copy_n(slots.row(guard, far), slots.stride(), slots.row_of_new(*slot));
        slots.begin_version(*slot, slots.inverse_norm(guard, far));
        Entry* const e = slots.entry(guard, far);
        Change change(slots, guard.local());
        // relaxed: only a hint, the CAS decides
        if (SlotId current = e->value.current.load(B::relaxed()); current == number) {
            slots.finish_birth(far); // X4
            slots.set_entry(*slot, e);
            change.announce({slot->id(), number});
            // [entry_current] release-CAS; synchronizes-with the acquire-loads of current; publishes: the slot,
            // and that the change is announced
            // relaxed on failure: somebody else has replaced or removed it
            if (e->value.current.compare_exchange_strong(current, slot->id(), B::release(edge::entry_current),
                                                         B::relaxed())) {
                change.publish();
                slots.complete_replacement(guard.local(), slot.publish(), far);
                slots.retire(guard, far);
            }
        }
    }

    /// Stamps a removal that another thread has begun, and unlinks its entry. That thread completes it. Throws
    /// std::bad_alloc only before the entry is out of the directory.
    void finish_remove(const Guard& guard, Entry& e, Slot victim) {
        B::took_place(slots.finish_death(victim));
        unlink(guard, e, victim);
    }
    /// Takes an entry whose removal is stamped out of the directory, whoever began it. Throws as finish_remove().
    void unlink(const Guard& guard, Entry& e, Slot victim) {
        if (directory.unlink(guard, &e)) { // X3
            lives.at(e.value.record.get()).died.set(slots.death_time(guard, victim));
            directory.retire(guard, &e);
            slots.retire(guard, victim);
        }
    }
};

} // namespace hotindex
