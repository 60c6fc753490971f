// Every tunable of the library in one place. DefaultTraits is what ships; TinyTraits makes each limit so small that a
// model checker reaches it within a few steps.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hotindex {

struct DefaultTraits {
    /// Retires between two attempts to advance the epoch. An attempt costs one heavy fence (about 0.4 us alone, a few
    /// us with other threads running) and a look at every participant.
    static constexpr std::uint32_t retires_per_advance = 256;
    /// The same in bytes: large objects count.
    static constexpr std::uint64_t bytes_per_advance = 256 << 10;
    /// A thread that has tried so often in one epoch (each bytes_per_advance bytes count as one) yields before it goes
    /// on, until the epoch moves, or so many times in one epoch, and then once for each try. 0: never.
    static constexpr std::uint64_t tries_per_epoch = 4;
    static constexpr std::uint32_t yields_per_epoch = 64;
    /// A participant hands over what it retired when it is so many objects or so many bytes, or when an advance is due.
    static constexpr std::uint64_t bag_objects = 64;
    static constexpr std::uint64_t bag_bytes = 64 << 10;
    /// For each bag that a participant hands over, it empties at most so many that are old enough, and one of those
    /// that refused.
    static constexpr std::uint64_t bags_per_pass = 16;
    /// In so many pins one looks for bags, so that readers empty what writers left behind.
    static constexpr std::uint32_t pins_per_look = 256;
    /// After so many looks of one thread at one epoch, it tries to advance: nobody else seems to. So a heavy fence is a
    /// small part of what reading costs. The look of a search, which takes longer than a fence, counts as all of them.
    static constexpr std::uint32_t looks_per_advance = 32;
    /// Who has something in its bag and has not pinned for so many epochs rests: somebody else takes the bag.
    static constexpr std::uint64_t idle_epochs = 64;
    /// Epochs whose bags are kept apart.
    static constexpr std::uint64_t limbo_epochs = 8;
    /// Bags that a limbo begins with (a power of two).
    static constexpr std::uint32_t first_bags = 16;
    /// Participants that share a word (at most 64).
    static constexpr std::uint32_t participants_per_group = 64;
    /// As how many retires a slot counts: slots in limbo lengthen every scan, so they are to come back soon.
    static constexpr std::uint32_t slot_retire_weight = 8;
    /// All slots in use, a sixteenth more and this many should lie below all others; what lies above is moved there.
    static constexpr std::uint32_t spare_slots = 128;
    /// Updates of one thread between two looks for slots to move.
    static constexpr std::uint32_t updates_per_look = 16;
    /// Blocks that such a look goes through.
    static constexpr std::uint32_t blocks_per_look = 8;
    /// Bytes of rows in a segment of slots, unless it is one of the first: a huge page.
    static constexpr std::size_t segment_bytes = std::size_t{2} << 20;
    /// Slots in a segment at most.
    static constexpr std::size_t max_segment = 32768;
    /// Bytes of rows in free slots that a thread holds ready at most (or one row).
    static constexpr std::size_t ready_bytes = std::size_t{64} << 10;
    /// Segments that a directory of segments begins with (a power of two).
    static constexpr std::uint32_t first_directory = 16;
    /// Free numbers of an IndexPool that a thread keeps for itself; half of them move to the shared set at once.
    static constexpr std::uint32_t cache_capacity = 64;
    /// Free blocks of a MemoryPool that a thread keeps for itself, so that what a grace period gives back at once stays
    /// with the thread; and their bytes, where blocks are large.
    static constexpr std::uint32_t pool_cache = 256;
    static constexpr std::size_t pool_cache_bytes = std::size_t{32} << 10;
    /// Bytes of a slab of a memory pool: what a pool grows by, and what goes back to the system at once. Slabs of large
    /// objects are larger.
    static constexpr std::size_t slab_bytes = std::size_t{16} << 10;
    /// Blocks in a slab at most.
    static constexpr std::size_t slab_blocks = 4096;
    /// Bytes and slabs (a power of two, at most 64) that are allocated at once, at most.
    static constexpr std::size_t chunk_bytes = std::size_t{1} << 20;
    static constexpr std::size_t chunk_slabs = 64;
    /// Every slab is looked at in this many spills of caches, in more where a pool has many slabs; and the slabs that
    /// one spill looks at, at most. A slab that was free at two looks is closed.
    static constexpr std::uint32_t gives_per_look_around = 64;
    static constexpr std::uint32_t most_slabs_per_look = 8;
    /// Fresh indices (slots, records) that a thread takes at once, so that neighbours in memory have one writer.
    /// Divides first_segment.
    static constexpr std::uint32_t fresh_indices = 16;
    /// Items in the first segment of a segmented array (a power of two); each further one doubles the total.
    static constexpr std::uint32_t first_segment = 256;
    /// A segmented array has at most 2^index_bits items.
    static constexpr std::uint32_t index_bits = 31;
    /// Numbers that share a word of an IndexSet (a power of two, at most 64).
    static constexpr std::uint32_t set_width = 64;
    /// Words that an IndexSet begins with on each level (a power of two).
    static constexpr std::uint32_t set_first_words = 8;
    /// Buckets of a new hash table (a power of two).
    static constexpr std::size_t first_buckets = 64;
    /// A table grows when it holds more than this many entries per 100 buckets.
    static constexpr std::size_t load_percent = 75;
    /// A full table of so many buckets is followed by one of this many times the size (a power of two): small tables
    /// grow fast, because every growth touches every entry.
    static constexpr std::size_t growth_factor(std::size_t buckets) noexcept { return buckets < (1u << 18) ? 4 : 2; }
    /// Inserts of one thread between two looks at the load (fewer in small tables).
    static constexpr std::uint32_t inserts_per_load_check = 64;
    /// Buckets a thread moves at once while a table grows.
    static constexpr std::size_t buckets_per_help = 32;
    /// Accesses gathered by a thread before they are written back to their records (a power of two).
    static constexpr std::size_t tracked_cells = 256;
    /// One access in so many is counted under Tracking::sampled, with that weight.
    static constexpr std::uint32_t tracking_sample_period = 16;
    /// Access records looked at in one automatic tier-management step (a power of two).
    static constexpr std::uint32_t tier_sweep = 256;
    /// Cells of participants looked at in such a step, where there are no more participants than that.
    static constexpr std::size_t tier_sweep_cells = 1024;
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
    static constexpr std::uint64_t idle_epochs = 3;
    static constexpr std::uint64_t limbo_epochs = 4;
    static constexpr std::uint32_t first_bags = 2;
    static constexpr std::uint32_t participants_per_group = 2;
    static constexpr std::uint32_t slot_retire_weight = 1;
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
    static constexpr std::size_t tracked_cells = 2;
    static constexpr std::uint32_t tracking_sample_period = 2;
    static constexpr std::uint32_t tier_sweep = 2;
    static constexpr std::size_t tier_sweep_cells = 2;
    static constexpr std::size_t kept_scratch = 256;
};

} // namespace hotindex
