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
    static constexpr std::uint64_t bags_per_pass = 4;
    /// In so many pins one looks for bags, so that readers empty what writers left behind.
    static constexpr std::uint32_t pins_per_look = 256;
    /// Who has something in its bag and has not pinned for so many epochs rests: somebody else takes the bag.
    static constexpr std::uint64_t idle_epochs = 64;
    /// Epochs whose bags are kept apart.
    static constexpr std::uint64_t limbo_epochs = 8;
    /// Bags that a limbo begins with (a power of two).
    static constexpr std::uint32_t first_cells = 16;
    /// Participants that share a word (at most 64).
    static constexpr std::uint32_t participants_per_group = 64;
    /// As how many retires a slot counts: slots in limbo lengthen every scan, so they are to come back soon.
    static constexpr std::uint32_t slot_retire_weight = 8;
    /// So many slots more than are in use are expected to be enough, with limbo and what threads keep ready; what lies
    /// beyond is moved back.
    static constexpr std::uint32_t spare_slots = 128;
    /// Adds of one thread between two looks for slots to move back.
    static constexpr std::uint32_t adds_per_stray_look = 16;
    /// Blocks that such a look goes through.
    static constexpr std::uint32_t blocks_per_stray_look = 8;
    /// Free blocks a thread keeps for itself; half of them move to or from the shared depot at once.
    static constexpr std::uint32_t cache_capacity = 64;
    /// Cells of a depot: how many threads can exchange batches without meeting.
    static constexpr std::uint32_t depot_cells = 32;
    /// Blocks in a slab of a memory pool: what a pool grows by, and what one thread may hold unused.
    static constexpr std::size_t slab_blocks = 256;
    /// Fresh indices (slots, records) that a thread takes at once, so that neighbours in memory have one writer.
    /// Divides first_segment.
    static constexpr std::uint32_t fresh_indices = 16;
    /// Items in the first segment of a segmented array (a power of two); each further one doubles the total.
    static constexpr std::uint32_t first_segment = 256;
    /// Numbers that share a word of an IndexSet (a power of two, at most 64).
    static constexpr std::uint32_t set_width = 64;
    /// Words that an IndexSet begins with on each level (a power of two).
    static constexpr std::uint32_t set_first_words = 2;
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
    /// Access records looked at in one automatic tier-management step.
    static constexpr std::uint32_t tier_sweep = 256;
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
    static constexpr std::uint64_t idle_epochs = 3;
    static constexpr std::uint64_t limbo_epochs = 4;
    static constexpr std::uint32_t first_cells = 2;
    static constexpr std::uint32_t participants_per_group = 2;
    static constexpr std::uint32_t slot_retire_weight = 1;
    static constexpr std::uint32_t spare_slots = 1;
    static constexpr std::uint32_t adds_per_stray_look = 1;
    static constexpr std::uint32_t blocks_per_stray_look = 1;
    static constexpr std::uint32_t cache_capacity = 2;
    static constexpr std::uint32_t depot_cells = 1;
    static constexpr std::size_t slab_blocks = 2;
    static constexpr std::uint32_t fresh_indices = 1;
    static constexpr std::uint32_t first_segment = 2;
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
};

} // namespace hotindex
