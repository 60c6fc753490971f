// LockFreeAccessTracker: how often and when each vector was accessed, and how hot that makes it.
//
// Every vector has a record: count, last access, creation, tier. The search path does not write to it. Each participant
// gathers its accesses in a small table of its own, direct-mapped by record; an access writes back what another record
// left in its cell, and nothing else. Reading a record adds the cells that all participants hold for it. Totals are
// therefore exact at quiescence without any flush, while a search over hot vectors writes only lines that are its own.
// A participant that leaves writes back what it holds: see leave().
//
// Automatic management sweeps over the records in steps. A step looks at a tile: `width` neighbouring cells of every
// participant, and the records that share these cells, Traits::tier_sweep in all. The more participants, the narrower
// the tile, so that a step looks at no more than Traits::tier_sweep_cells cells, or at one of each participant.
// A sweep that finds more participants than its width allows starts again with a narrower one.
//
// Records are reused. A record's generation is in every word that another thread may change late (count, last access,
// tier), and a write-back for a generation that is over is dropped.
//
// Invariants
//   A1  count and last of a record change by CAS on a word that carries the generation they belong to.
//   A2  a cell is written by its participant only; key first emptied, so that at quiescence a cell is either the
//       record's uncounted rest or nothing.
//   A3  a record is forgotten only when no operation can reach its vector any more (the index's grace period).
// Linearization: promote, demote, and each reassignment at their CAS of the tier; counts only at quiescence.
// Progress: access is lock-free (a write-back repeats only when another one succeeded), tick is bounded as said above,
// the rest lock-free. After 2^24 lives of one record a write-back that waited all that time would be counted for the
// wrong life.
#pragma once

#include <hotindex/backend/backend.hpp>
#include <hotindex/memory/memory_pool.hpp>
#include <hotindex/memory/segmented_array.hpp>
#include <hotindex/vector_index.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace hotindex {

using RecordId = std::uint32_t;

/// Tier changes.
struct TierMoves {
    std::uint64_t promotions = 0;
    std::uint64_t demotions = 0;
};

template <class B, class Traits>
class LockFreeAccessTracker {
    using Word = std::uint64_t;
    using Cell64 = typename B::template atomic<Word>;
    static constexpr unsigned value_bits = 40; // counts up to 10^12; milliseconds of 34 years
    static constexpr Word value_mask = (Word{1} << value_bits) - 1;
    static constexpr Word generation_mask = (Word{1} << (64 - value_bits)) - 1;

    /// A record's words. In each the top 24 bits are the generation.
    struct Record {
        Record() : count(0), last(0), state(0), created(0) {}
        Cell64 count;
        Cell64 last;    ///< milliseconds since the tracker's begin, plus 1; 0: never
        Cell64 state;   ///< live bit and tier
        Cell64 created; ///< milliseconds since the tracker's begin; no generation
    };
    static constexpr Word live_bit = 4;
    static constexpr Word tier_mask = 3;

    /// A participant's uncounted accesses to one record.
    struct Pending {
        Pending() : key(0), count(0), last(0) {}
        Cell64 key; ///< record + 1 in the low 40 bits, generation above; 0: nothing
        Cell64 count;
        Cell64 last;
    };

  public:
    /// What each participant owns.
    class Local {
      public:
        explicit Local(std::uint32_t hint) : random_(Word{0x9E37'79B9'7F4A'7C15u} * (hint + 1)) {}

      private:
        friend class LockFreeAccessTracker;
        typename IndexPool<B, Traits>::Cache cache_;
        std::array<Pending, Traits::tracked_cells> pending_;
        typename B::template var<Word> random_;
    };

    explicit LockFreeAccessTracker(const IndexOptions& options)
        : tracking_(options.tracking), tiers_(options.tiers), begin_(B::read_clock_ms()), indices_(Records::max_size),
          sweep_(0), due_(0) {}

    /// Records that were ever in use at once, and a few: their memory is kept. Bytes of one.
    [[nodiscard]] std::uint64_t records() const { return indices_.high_water(); }
    static constexpr std::size_t record_bytes = sizeof(Record);

    /// A record for a new vector: no accesses, warm. Throws std::bad_alloc. `now`: milliseconds since 1970, here and
    /// below.
    [[nodiscard]] RecordId track(Local& local, std::int64_t now) {
        const RecordId id = indices_.acquire(local.cache_, [this](RecordId first) { records_.grow_to(first); });
        Record& r = records_.at(id);
        // relaxed, all: nobody else changes the words of a record that is not live but late write-backs of earlier
        // lives, which are lost here on purpose; readers get the new life through the store of state
        const Word generation = (generation_of(r.state.load(B::relaxed())) + 1) & generation_mask;
        r.count.store(generation << value_bits, B::relaxed());
        r.last.store(generation << value_bits, B::relaxed());
        r.created.store(since_begin(now), B::relaxed());
        // [access_record] release-store; synchronizes-with the acquire-loads of state; publishes: the record's new life
        r.state.store(generation << value_bits | live_bit | static_cast<Word>(Tier::warm),
                      B::release(edge::access_record));
        return id;
    }

    /// Ends a record's life. No operation can reach its vector any more.
    void forget(Local& local, RecordId id) {
        Record& r = records_.at(id);
        // relaxed: only a tier change may come between, and the generation makes the next life's tier another word
        Word state = r.state.load(B::relaxed());
        while (!r.state.compare_exchange_weak(state, state & ~live_bit, B::relaxed(), B::relaxed())) {
        }
        indices_.release(local.cache_, id);
    }

    /// Gives back the free records that a participant keeps. Does not allocate.
    void flush_records(Local& local) noexcept { indices_.flush(local.cache_); }

    /// Counts an access, exactly or sampled, as the options say. Writes the participant's own lines, and a record only
    /// when the cell holds another one.
    void access(Local& local, RecordId id, std::int64_t now) {
        if (tracking_ == Tracking::off)
            return;
        Word weight = 1;
        if (tracking_ == Tracking::sampled) {
            if (draw(local) % Traits::tracking_sample_period != 0)
                return;
            weight = Traits::tracking_sample_period;
        }
        // relaxed: who counts an access has the id from whoever called track(), and knows the new life from there
        const Word key = key_of(id, generation_of(records_.at(id).state.load(B::relaxed())));
        Pending& p = local.pending_[cell_of(id)];
        const Word last = since_begin(now) + 1;
        // relaxed, all: only this participant writes the cell; others want it exact at quiescence only
        if (p.key.load(B::relaxed()) == key) {
            p.count.store(p.count.load(B::relaxed()) + weight, B::relaxed());
            p.last.store(last, B::relaxed());
            return;
        }
        write_back(p);
        p.count.store(weight, B::relaxed());
        p.last.store(last, B::relaxed());
        p.key.store(key, B::relaxed());
    }

    /// The participant leaves: what it holds goes to the records, so that nobody need look at it any more. Called by
    /// its owner. Lock-free, O(cells), throws nothing.
    void leave(Local& local) noexcept {
        for (Pending& p : local.pending_)
            write_back(p);
        indices_.flush(local.cache_);
    }

    /// `for_each_local(visit)` calls visit(const Local&) for every participant that has not left, here and below.
    template <class ForEachLocal>
    [[nodiscard]] AccessStats stats(RecordId id, ForEachLocal for_each_local) const {
        const Observed o = observe(id, for_each_local);
        AccessStats s;
        s.count = o.count;
        s.created = time_of(o.created);
        if (o.last != 0)
            s.last = time_of(o.last - 1);
        s.tier = static_cast<Tier>(o.state & tier_mask);
        return s;
    }

    /// One tier up (towards hot) or down; false at the end of the scale.
    bool promote(RecordId id) {
        return move_tier(records_.at(id), [](Word tier) { return tier == 0 ? tier : tier - 1; });
    }
    bool demote(RecordId id) {
        return move_tier(records_.at(id),
                         [](Word tier) { return tier == static_cast<Word>(Tier::cold) ? tier : tier + 1; });
    }

    /// Reassigns the tiers of all live records by the thresholds. Looks at every cell of every participant once, and at
    /// every record once: O(records + participants x cells), and what sorting the occupied cells takes. Throws
    /// std::bad_alloc before the first change.
    template <class ForEachLocal>
    TierMoves manage_tiers(std::int64_t now, ForEachLocal for_each_local) {
        const std::vector<Held> held = gather(for_each_local);
        auto next = held.begin();
        TierMoves moves;
        const RecordId end = indices_.high_water();
        for (RecordId id = 0; id < end; ++id) {
            Observed o = observe_record(id);
            const Word key = key_of(id, generation_of(o.state));
            Word gathered = 0;
            for (; next != held.end() && next->id == id; ++next) {
                if (next->key != key)
                    continue;
                // The first entry has the earliest count: what was written back since is in the others or in o.count.
                gathered = (gathered == 0 ? next->counted : gathered) + next->count;
                o.last = std::max(o.last, next->last);
            }
            o.count = std::max(o.count, gathered);
            assign_tier(id, o, now, moves);
        }
        return moves;
    }

    /// After an operation: when management is due, one step of it.
    template <class ForEachLocal>
    TierMoves tick(std::int64_t now, ForEachLocal for_each_local) {
        const auto every = static_cast<Word>(tiers_.manage_every.count());
        const Word at = since_begin(now);
        // relaxed: a race here only makes a sweep begin a little early or late
        if (every == 0 || at < due_.load(B::relaxed()))
            return {};
        // relaxed: steps are told apart by atomicity
        const Tile tile = tile_of(sweep_.fetch_add(1, B::relaxed()));
        const RecordId end = indices_.high_water();
        if (tile.group >= end) {
            std::size_t participants = 0;
            for_each_local([&participants](const Local&) { ++participants; });
            due_.store(at + every, B::relaxed()); // relaxed: as above; late comers find it due no more
            sweep_.store(first_step_for(participants), B::relaxed()); // relaxed: as above
            return {};
        }
        return tile.first() < end ? sweep(tile, end, now, for_each_local) : TierMoves{};
    }

  private:
    using Records = SegmentedArray<B, Traits, Record>;
    struct Observed {
        Word state = 0; ///< not live unless set
        Word count = 0;
        Word last = 0;
        Word created = 0;
    };

    /// What manage_tiers() has found in a cell.
    struct Held {
        RecordId id;
        Word key;
        Word counted; ///< the record's count, read before the cell
        Word count;
        Word last;
    };

    // ---- tiles: the records `group + row * tracked_cells + cell + i` for all rows and all i < width ----

    static_assert(std::has_single_bit(Traits::tier_sweep));
    static constexpr Word full_width = std::min<Word>(Traits::tracked_cells, Traits::tier_sweep);
    static constexpr unsigned step_bits = 56; ///< of a sweep's word; above: how often its width was halved

    struct Tile {
        Word group; ///< the first record of the group of tiles
        Word cell;
        Word width;
        Word rows;
        [[nodiscard]] Word first() const noexcept { return group + cell; }
        /// Calls use(n, id) for the records below `end`; n counts row by row.
        template <class Use>
        void for_each_record(RecordId end, Use use) const {
            for (Word row = 0; row != rows; ++row)
                for (Word i = 0; i != width; ++i) {
                    const Word id = first() + row * Traits::tracked_cells + i;
                    if (id >= end)
                        return;
                    use(row * width + i, static_cast<RecordId>(id));
                }
        }
    };

    [[nodiscard]] static Tile tile_of(Word word) noexcept {
        const Word step = word & ((Word{1} << step_bits) - 1);
        const Word width = full_width >> (word >> step_bits);
        const Word rows = Traits::tier_sweep / width;
        const Word tiles = Traits::tracked_cells / width; // in a group
        return {step / tiles * rows * Traits::tracked_cells, step % tiles * width, width, rows};
    }
    /// Nothing narrower is left, or so many participants may be looked at.
    [[nodiscard]] static bool fits(Word width, std::size_t participants) noexcept {
        return width == 1 || width * participants <= Traits::tier_sweep_cells;
    }
    /// The word of a sweep that begins beside so many participants.
    [[nodiscard]] static Word first_step_for(std::size_t participants) noexcept {
        Word halved = 0;
        while (!fits(full_width >> halved, participants)) // ends: at log2 of the full width, the width is 1
            ++halved;
        return halved << step_bits;
    }

    static_assert(std::has_single_bit(Traits::tracked_cells));
    [[nodiscard]] static std::size_t cell_of(RecordId id) noexcept { return id & (Traits::tracked_cells - 1); }
    [[nodiscard]] static Word generation_of(Word w) noexcept { return w >> value_bits; }
    [[nodiscard]] static Word key_of(RecordId id, Word generation) noexcept {
        return generation << value_bits | (Word{id} + 1);
    }
    [[nodiscard]] Word since_begin(std::int64_t now) const noexcept {
        return now <= begin_ ? 0 : std::min(static_cast<Word>(now - begin_), value_mask - 1);
    }
    [[nodiscard]] std::chrono::system_clock::time_point time_of(Word since) const {
        return std::chrono::system_clock::time_point(
            std::chrono::milliseconds(begin_ + static_cast<std::int64_t>(since)));
    }

    /// xorshift64 (Marsaglia 2003), the participant's own.
    static Word draw(Local& local) {
        Word x = local.random_.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        local.random_.set(x);
        return x >> 11;
    }

    /// Adds a cell's accesses to their record, unless that life is over, and empties the cell.
    void write_back(Pending& p) {
        // relaxed, all: only this participant writes the cell
        const Word key = p.key.load(B::relaxed());
        if (key == 0)
            return;
        const Word generation = generation_of(key);
        Record& r = records_.at(static_cast<RecordId>((key & value_mask) - 1));
        const Word count = p.count.load(B::relaxed());
        const Word last = p.last.load(B::relaxed());
        p.key.store(0, B::relaxed());
        // relaxed, both: the words carry nothing but themselves
        combine(r.count, generation, [count](Word old) { return std::min(old + count, value_mask); });
        combine(r.last, generation, [last](Word old) { return std::max(old, last); });
    }

    template <class Compute>
    static void combine(Cell64& cell, Word generation, Compute compute) {
        Word w = cell.load(B::relaxed()); // relaxed: see write_back()
        while (
            generation_of(w) == generation &&
            !cell.compare_exchange_weak(w, (w & ~value_mask) | compute(w & value_mask), B::relaxed(), B::relaxed())) {
        }
    }

    /// A record's own words, without what participants hold; not live where no thread has opened the segment yet.
    [[nodiscard]] Observed observe_record(RecordId id) const {
        const Record* const r = records_.find(id);
        if (r == nullptr)
            return {};
        // [access_record] acquire-load; synchronizes-with the release-store in track()
        const Word state = r->state.load(B::acquire(edge::access_record));
        // relaxed, all: exact at quiescence
        return {state, r->count.load(B::relaxed()) & value_mask, r->last.load(B::relaxed()) & value_mask,
                r->created.load(B::relaxed())};
    }

    static void add_to(Observed& o, const Pending& p) {
        // relaxed, both: exact at quiescence
        o.count += p.count.load(B::relaxed());
        o.last = std::max(o.last, p.last.load(B::relaxed()));
    }

    template <class ForEachLocal>
    [[nodiscard]] Observed observe(RecordId id, ForEachLocal& for_each_local) const {
        Observed o = observe_record(id);
        const Word key = key_of(id, generation_of(o.state));
        for_each_local([&](const Local& local) {
            const Pending& p = local.pending_[cell_of(id)];
            if (p.key.load(B::relaxed()) == key) // relaxed: exact at quiescence
                add_to(o, p);
        });
        return o;
    }

    /// All that participants hold for records that live, in the order of records.
    template <class ForEachLocal>
    [[nodiscard]] std::vector<Held> gather(ForEachLocal& for_each_local) const {
        std::vector<Held> held;
        for_each_local([&](const Local& local) {
            for (const Pending& p : local.pending_) {
                const Word key = p.key.load(B::relaxed()); // relaxed: exact at quiescence, all here
                if (key == 0)
                    continue;
                const auto id = static_cast<RecordId>((key & value_mask) - 1);
                const Record* const r = records_.find(id);
                if (r == nullptr)
                    continue; // its segment is not yet visible from here
                const Word counted = r->count.load(B::relaxed());
                const Held found{id, key, counted & value_mask, p.count.load(B::relaxed()), p.last.load(B::relaxed())};
                // relaxed: a cell whose key is another one by now has been written back
                if (generation_of(counted) == generation_of(key) && p.key.load(B::relaxed()) == key)
                    held.push_back(found);
            }
        });
        std::sort(held.begin(), held.end(),
                  [](const Held& a, const Held& b) { return a.id != b.id ? a.id < b.id : a.counted < b.counted; });
        return held;
    }

    template <class NewTier>
    static bool move_tier(Record& r, NewTier new_tier) {
        Word state = r.state.load(B::relaxed()); // relaxed: the tier is a value by itself
        for (;;) {
            const Word tier = new_tier(state & tier_mask);
            if (tier == (state & tier_mask))
                return false;
            // relaxed, both: as above; the release sequence of track() goes on
            if (r.state.compare_exchange_weak(state, (state & ~tier_mask) | tier, B::relaxed(), B::relaxed()))
                return true;
        }
    }

    /// One step: the live records of a tile below `end`.
    template <class ForEachLocal>
    TierMoves sweep(const Tile& tile, RecordId end, std::int64_t now, ForEachLocal& for_each_local) {
        std::array<Observed, Traits::tier_sweep> seen; // by row, then by cell
        tile.for_each_record(end, [&](Word n, RecordId id) { seen[n] = observe_record(id); });

        std::size_t participants = 0;
        for_each_local([&](const Local& local) {
            if (!fits(tile.width, ++participants))
                return;
            for (Word i = 0; i != tile.width; ++i) {
                const Pending& p = local.pending_[tile.cell + i];
                const Word key = p.key.load(B::relaxed()); // relaxed: exact at quiescence
                if (key == 0)
                    continue;
                const Word id = (key & value_mask) - 1;
                const Word row = (id - tile.first()) / Traits::tracked_cells; // huge for records before the tile
                if (row >= tile.rows)
                    continue;
                Observed& o = seen[row * tile.width + i];
                if (key == key_of(static_cast<RecordId>(id), generation_of(o.state)))
                    add_to(o, p);
            }
        });
        if (!fits(tile.width, participants)) {
            // relaxed: a race only makes a sweep begin a little early or late
            sweep_.store(first_step_for(participants), B::relaxed());
            return {};
        }

        TierMoves moves;
        tile.for_each_record(end, [&](Word n, RecordId id) { assign_tier(id, seen[n], now, moves); });
        return moves;
    }

    /// Gives a record that was seen alive the tier for what was seen, unless its tier or its life has changed since.
    void assign_tier(RecordId id, const Observed& o, std::int64_t now, TierMoves& moves) {
        if ((o.state & live_bit) == 0)
            return;
        const auto from = o.state & tier_mask;
        const auto to = static_cast<Word>(tier_for(o, since_begin(now)));
        Word expected = o.state;
        // relaxed, both: a tier that changed meanwhile stays as it was set
        if (to == from || !records_.at(id).state.compare_exchange_strong(expected, (o.state & ~tier_mask) | to,
                                                                         B::relaxed(), B::relaxed()))
            return;
        ++(to < from ? moves.promotions : moves.demotions);
    }

    [[nodiscard]] Tier tier_for(const Observed& o, Word now) const {
        const Word used = o.last == 0 ? o.created : o.last - 1;
        const Word idle = now - std::min(now, used);
        if (o.last != 0 && o.count >= tiers_.hot_accesses && idle <= static_cast<Word>(tiers_.hot_within.count()))
            return Tier::hot;
        return idle > static_cast<Word>(tiers_.cold_after.count()) ? Tier::cold : Tier::warm;
    }

    const Tracking tracking_;
    const TierThresholds tiers_;
    const std::int64_t begin_;
    IndexPool<B, Traits> indices_;
    Records records_;
    alignas(isolation) typename B::template atomic<Word> sweep_;
    alignas(isolation) typename B::template atomic<Word> due_; // read by every operation, written when a sweep ends
};

} // namespace hotindex
