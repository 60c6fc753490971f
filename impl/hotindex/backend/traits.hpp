// Every tunable of the library in one place. DefaultTraits is what ships; TinyTraits makes each limit so small that a
// model checker reaches it within a few steps. The words are those of the glossary in impl/README.md.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace hotindex {

struct DefaultTraits {
    // ---- threads ----

    /// Participants that share a word of bits: at most 64.
    static constexpr std::uint32_t participants_per_group = 64;

    // ---- reclamation: when the epoch advances ----

    /// A thread tries to advance the epoch once in so many retires. A try costs one heavy fence (about 0.4 us alone, a
    /// few us beside other threads) and a look at every participant.
    static constexpr std::uint32_t retires_per_advance = 256;
    /// It also tries when it has retired so many bytes.
    static constexpr std::uint64_t bytes_per_advance = 256 << 10;
    /// After so many tries in one epoch a thread begins to yield. A try after N times bytes_per_advance counts as N.
    static constexpr std::uint64_t tries_per_epoch = 4;
    /// A thread yields at most so often in one epoch, and after that once for each try. 0: it never yields.
    static constexpr std::uint32_t yields_per_epoch = 64;

    // ---- reclamation: who empties limbo ----

    /// A thread hands its open bag over when it holds so many objects ...
    static constexpr std::uint64_t bag_objects = 64;
    /// ... or so many bytes, or when a try to advance is due.
    static constexpr std::uint64_t bag_bytes = 64 << 10;
    /// For each bag that a thread hands over, it empties at most so many old ones; and of those with refused objects as
    /// many as hold bag_objects.
    static constexpr std::uint64_t bags_per_pass = 16;
    /// A thread looks for old bags once in so many pins. So readers empty what writers left behind.
    static constexpr std::uint32_t pins_per_look = 256;
    /// After so many looks at one epoch a thread tries to advance it, because nobody else seems to. So heavy fences are
    /// a small part of what reading costs. A search counts as looks_per_advance looks at once: it takes longer than a
    /// fence.
    static constexpr std::uint32_t looks_per_advance = 32;
    /// A thread rests when its open bag is so many epochs old and it is not pinned. Others take the bag then.
    static constexpr std::uint64_t rest_epochs = 64;
    /// Sets of waiting bags; a bag lies in the set of its epoch, modulo this. At least 4.
    static constexpr std::uint64_t limbo_epochs = 8;
    /// Bags that a limbo begins with (a power of two).
    static constexpr std::uint32_t first_bags = 16;

    // ---- slots ----

    /// A retired slot counts as so many retires: slots in limbo lengthen every scan, so they are to come back soon.
    static constexpr std::uint32_t slot_retire_weight = 8;
    /// A thread reads the time once in so many slots that it retires. 0: never.
    static constexpr std::uint32_t slots_per_timer = 4;
    /// Where these took less than so many microseconds, the thread is fast: it uses the slots again that it reclaims.
    static constexpr std::int64_t fast_us = 16;
    /// Slots of its own that a fast thread has at hand, at most.
    static constexpr std::uint32_t slots_at_hand = 32;
    /// A thread that is not fast, and has not made the epoch advance like that for so many microseconds, does so when
    /// it retires a slot. So its slots come back at once, and what that costs others does not depend on how often it
    /// updates.
    static constexpr std::int64_t slot_wait_us = 500;
    /// The compact part of the store has room for the slots in use, a sixteenth more, and so many. A vector that lies
    /// above it is moved down.
    static constexpr std::uint32_t spare_slots = 128;
    /// A thread looks for a vector to move once in so many updates.
    static constexpr std::uint32_t updates_per_look = 32;
    /// Such a look goes through so many blocks.
    static constexpr std::uint32_t blocks_per_look = 8;
    /// Bytes of rows in a segment: a huge page. The first segments are smaller.
    static constexpr std::size_t segment_bytes = std::size_t{2} << 20;
    /// Slots in a segment, at most.
    static constexpr std::size_t max_segment = 32768;
    /// A thread holds free slots ready, at most so many bytes of rows, or one row.
    static constexpr std::size_t ready_bytes = std::size_t{64} << 10;
    /// Segments for which a store has room in its table at first (a power of two).
    static constexpr std::uint32_t first_directory = 16;

    // ---- numbers: index sets, index pools, segmented arrays ----

    /// Fresh numbers (of slots, of records) that a thread takes at once, so that neighbours in memory have one writer.
    /// Divides first_segment.
    static constexpr std::uint32_t fresh_indices = 16;
    /// Free numbers of an IndexPool that a thread keeps for itself, at most. Half of them go to the others at once.
    static constexpr std::uint32_t cache_capacity = 64;
    /// Numbers that share a word of an IndexSet (a power of two, at most 64).
    static constexpr std::uint32_t set_width = 64;
    /// Words that an IndexSet begins with on each level (a power of two).
    static constexpr std::uint32_t set_first_words = 8;
    /// Items in the first segment of a segmented array (a power of two); each further segment doubles the total.
    static constexpr std::uint32_t first_segment = 256;
    /// A segmented array has at most 2^index_bits items.
    static constexpr std::uint32_t index_bits = 31;

    // ---- memory pools ----

    /// Free blocks of a MemoryPool that a thread keeps for itself: what a grace period gives back at once stays there.
    static constexpr std::uint32_t pool_cache = 256;
    /// Their bytes, at most, where blocks are large.
    static constexpr std::size_t pool_cache_bytes = std::size_t{32} << 10;
    /// Bytes of a slab: what a pool grows by, and what goes back to the system at once. Large blocks need larger ones.
    static constexpr std::size_t slab_bytes = std::size_t{16} << 10;
    /// Blocks in a slab, at most.
    static constexpr std::size_t slab_blocks = 4096;
    /// Bytes that a pool takes from the system at once, at most.
    static constexpr std::size_t chunk_bytes = std::size_t{1} << 20;
    /// Slabs that it takes at once, at most (a power of two, at most 64).
    static constexpr std::size_t chunk_slabs = 64;
    /// A thread that gives its surplus of blocks back looks at a few slabs. After so many gives all slabs have been
    /// looked at; in a large pool after more (most_slabs_per_look). A slab that was all free at two looks is closed.
    static constexpr std::uint32_t gives_per_look_around = 64;
    /// Slabs of one such look, at most.
    static constexpr std::uint32_t most_slabs_per_look = 8;

    // ---- the hash table ----

    /// Buckets of a new table (a power of two).
    static constexpr std::size_t first_buckets = 64;
    /// A table grows when it holds more entries than this for each 100 buckets.
    static constexpr std::size_t load_percent = 75;
    /// The next table has so many times the buckets of a full one (a power of two). Small tables grow fast, because
    /// every growth touches every entry.
    static constexpr std::size_t growth_factor(std::size_t buckets) noexcept { return buckets < (1u << 18) ? 4 : 2; }
    /// A thread looks at the load once in so many inserts, in small tables more often.
    static constexpr std::uint32_t inserts_per_load_check = 64;
    /// A thread that finds a table growing moves so many buckets.
    static constexpr std::size_t buckets_per_help = 32;

    // ---- the skip list ----

    /// Levels of a tower, at most: enough for 4^16 elements.
    static constexpr std::uint32_t most_levels = 16;
    /// The height of a tower, from random bits: every fourth tower reaches the next level.
    static constexpr std::uint32_t tower_height(std::uint64_t random) noexcept {
        return 1 + static_cast<std::uint32_t>(std::countr_zero(random | std::uint64_t{1} << 63)) / 2;
    }
    // ---- the tree ----

    /// Entries of a leaf, at most. An insert and an erase copy one. 30 fill 8 cache lines.
    static constexpr std::uint32_t leaf_entries = 30;
    /// Children of an inner node, at most. 20 fill 8 cache lines.
    static constexpr std::uint32_t node_children = 20;

    // ---- ordered maps ----

    /// A visit of many elements passes so many of them, then unpins and goes on from the last key.
    static constexpr std::uint32_t passed_per_pin = 128;

    // ---- the adaptive index ----

    /// A thread looks at the time once in so many operations; a search counts as a quarter of them.
    static constexpr std::uint64_t mode_look_passages = 64;
    /// Microseconds from one look at what all threads did to the next.
    static constexpr std::int64_t mode_look_us = 5000;
    /// One thread is by itself if the others together have less than one in so many operations ...
    static constexpr std::uint64_t mode_share = 64;
    /// ... and it replaces vectors if they are one in so many of its operations: ...
    static constexpr std::uint64_t mode_replaced = 256;
    /// ... at so many looks in turn; more after each time that this was in vain, ...
    static constexpr std::uint32_t mode_calm_looks = 4;
    /// ... up to so many.
    static constexpr std::uint32_t mode_most_calm_looks = 128;
    /// Threads are in each other's way if one operation in so many waits for the mutex, or together they wait one in so
    /// many microseconds, ...
    static constexpr std::uint64_t mode_waits = 16;
    /// ... at so many looks in turn.
    static constexpr std::uint32_t mode_busy_looks = 2;
    /// An operation that came through the gate is waited for so many looks.
    static constexpr std::uint32_t mode_patient_looks = 20;

    // ---- lock elision ----

    /// Transactions that one acquisition of an ElidedMutex tries, at most, before it takes the mutex.
    static constexpr std::uint32_t elision_tries = 5;
    /// A lock that has lost a try earns it back with so many commits.
    static constexpr std::uint32_t elision_commits_per_try = 16;
    /// A lock that has lost all takes the mutex at once for so many sections, then tries again. Twice as many each time
    /// that this is in vain ...
    static constexpr std::uint32_t elision_first_rest = 16;
    /// ... and so many at most.
    static constexpr std::uint32_t elision_longest_rest = 1024;
    /// Pauses for which an acquisition waits for a held lock before it takes the mutex.
    static constexpr std::uint32_t elision_pauses = 256;
    /// Places for counts of commits and aborts, which threads share by chance.
    static constexpr std::size_t elision_stripes = 4;

    // ---- access tracking ----

    /// Accesses that a thread gathers before it writes them to their records (a power of two).
    static constexpr std::size_t tracked_cells = 256;
    /// Tracking::sampled counts one access in so many, and with that weight.
    static constexpr std::uint32_t tracking_sample_period = 16;
    /// Access records that one automatic step of tier management looks at (a power of two).
    static constexpr std::uint32_t tier_sweep = 256;
    /// Gathered accesses that such a step looks at, unless there are more participants than that.
    static constexpr std::size_t tier_sweep_cells = 1024;

    // ---- searches ----

    /// Bytes that a thread keeps from one search to the next, at most: half of them for batches, a quarter each for the
    /// query and for the best k.
    static constexpr std::size_t kept_scratch = std::size_t{1} << 20;
};

struct TinyTraits {
    static constexpr std::uint32_t retires_per_advance = 1;
    static constexpr std::uint64_t bytes_per_advance = 1 << 20;
    static constexpr std::uint64_t tries_per_epoch = 4;
    static constexpr std::uint32_t yields_per_epoch = 0;
    static constexpr std::uint64_t bag_objects = 2;
    static constexpr std::uint64_t bag_bytes = 1 << 20;
    static constexpr std::uint64_t bags_per_pass = 2;
    static constexpr std::uint32_t pins_per_look = 64;
    static constexpr std::uint32_t looks_per_advance = 1;
    static constexpr std::uint64_t rest_epochs = 3;
    static constexpr std::uint64_t limbo_epochs = 4;
    static constexpr std::uint32_t first_bags = 2;
    static constexpr std::uint32_t participants_per_group = 2;
    static constexpr std::uint32_t slot_retire_weight = 1;
    static constexpr std::uint32_t slots_per_timer = 0;
    static constexpr std::int64_t fast_us = 0;
    static constexpr std::uint32_t slots_at_hand = 0;
    static constexpr std::int64_t slot_wait_us = 0;
    static constexpr std::uint32_t spare_slots = 1;
    static constexpr std::uint32_t updates_per_look = 1;
    static constexpr std::uint32_t blocks_per_look = 1;
    static constexpr std::size_t segment_bytes = 4096;
    static constexpr std::size_t max_segment = 4;
    static constexpr std::size_t ready_bytes = 4096;
    static constexpr std::uint32_t first_directory = 1;
    static constexpr std::uint32_t cache_capacity = 2;
    static constexpr std::uint32_t pool_cache = 2;
    static constexpr std::size_t pool_cache_bytes = std::size_t{32} << 10;
    static constexpr std::size_t slab_bytes = 1;
    static constexpr std::size_t slab_blocks = 2;
    static constexpr std::size_t chunk_bytes = std::size_t{1} << 20;
    static constexpr std::size_t chunk_slabs = 2;
    static constexpr std::uint32_t gives_per_look_around = 1;
    static constexpr std::uint32_t most_slabs_per_look = 1;
    static constexpr std::uint32_t fresh_indices = 1;
    static constexpr std::uint32_t first_segment = 2;
    static constexpr std::uint32_t index_bits = 16;
    static constexpr std::uint32_t set_width = 2;
    static constexpr std::uint32_t set_first_words = 1;
    static constexpr std::size_t first_buckets = 1;
    static constexpr std::size_t load_percent = 100;
    static constexpr std::size_t growth_factor(std::size_t) noexcept { return 2; }
    static constexpr std::uint32_t inserts_per_load_check = 1;
    static constexpr std::size_t buckets_per_help = 1;
    static constexpr std::uint32_t most_levels = 3;
    static constexpr std::uint32_t tower_height(std::uint64_t random) noexcept {
        return 1 + static_cast<std::uint32_t>(random % 3);
    }
    static constexpr std::uint32_t leaf_entries = 2;
    static constexpr std::uint32_t node_children = 3;
    static constexpr std::uint32_t passed_per_pin = 2;
    static constexpr std::uint64_t mode_look_passages = 4;
    static constexpr std::int64_t mode_look_us = 0;
    static constexpr std::uint64_t mode_share = 64;
    static constexpr std::uint64_t mode_replaced = 256;
    static constexpr std::uint32_t mode_calm_looks = 1;
    static constexpr std::uint32_t mode_most_calm_looks = 2;
    static constexpr std::uint64_t mode_waits = 16;
    static constexpr std::uint32_t mode_busy_looks = 1;
    static constexpr std::uint32_t mode_patient_looks = 2;
    static constexpr std::uint32_t elision_tries = 2;
    static constexpr std::uint32_t elision_commits_per_try = 1;
    static constexpr std::uint32_t elision_first_rest = 1;
    static constexpr std::uint32_t elision_longest_rest = 2;
    static constexpr std::uint32_t elision_pauses = 2;
    static constexpr std::size_t elision_stripes = 1;
    static constexpr std::size_t tracked_cells = 2;
    static constexpr std::uint32_t tracking_sample_period = 2;
    static constexpr std::uint32_t tier_sweep = 2;
    static constexpr std::size_t tier_sweep_cells = 2;
    static constexpr std::size_t kept_scratch = 256;
};

} // namespace hotindex
