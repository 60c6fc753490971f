// The named edges: every synchronizes-with edge of the library, listed once, with what it publishes.
//
// An operation asks its backend for a memory order through one of these names, for example
// `word.load(B::acquire(edge::bucket))`. The comment above each end names the partner. The production backend turns the
// name into a constant std::memory_order; the counting backend tallies operations by it; the checker can weaken one
// edge at a time and so prove that it is needed. Relaxed operations carry no edge but a comment with their reason.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace hotindex {

// clang-format off
#define HOTINDEX_EDGES(X)                                                                                               \
    X(participant_claim,    "a vacated participant record: all its uses, to its next owner and to who looks past it") \
    X(participant_link,     "a new participant record, or group of them, initialised")                                   \
    X(limbo_taken,          "an open bag that another thread has taken, to its owner; a record to who finishes its leave") \
    X(epoch_pin,            "an unpin to the scan that sees the re-pin instead (C++20 release sequences)")               \
    X(epoch_unpin,          "all reads made under a guard, to whoever frees what they read")                             \
    X(epoch_advance,        "every unpin that an advance has seen, to every later pin and advance")                      \
    X(epoch_fence,          "store-load order between a pin, or an announced time, and the scan of an advance")          \
    X(index_set,            "a free number, with all uses of what it stands for before it was given back")               \
    X(index_set_summary,    "the numbers in a word, to whoever looks for some, or clears the word's bit")                \
    X(pool_chunk,           "a chunk of slabs that was just allocated, to whoever opens one of them")                    \
    X(segment,              "a new segment of an array or of slots, initialised")                                           \
    X(bucket,               "a hash bucket's content: entries and nodes, initialised")                                   \
    X(bucket_freeze,        "the last content of a bucket to whoever moves it to the next table")                        \
    X(bucket_moved,         "the two new buckets to whoever sees the old one as moved")                                  \
    X(table_next,           "a next table, initialised with untouched buckets")                                          \
    X(table_root,           "a table whose buckets hold everything that the one before held")                            \
    X(table_progress,       "buckets moved by others to whoever sees that all are moved")                                \
    X(tower_link,           "a tower of a skip list, initialised, and linked on the levels below; what is behind one unlinked")  \
    X(tower_mark,           "that a tower is marked on all levels above, to whoever unlinks it")                         \
    X(tower_built,          "on which levels a tower is linked, to whoever marks it")                                    \
    X(tower_value,          "a value of a skip list, and what came before its end")                                      \
    X(tower_unlinked,       "every unlinking of a tower, to whoever retires it")                                         \
    X(tree_child,           "a node or leaf of a tree, with all below; what came before an entry was taken out")         \
    X(tree_value,           "a value of a tree's entry, and what came before its end")                                   \
    X(entry_current,        "a slot: row, norm, entry; the removal of an entry; announced changes")        \
    X(change_end,           "a change that is complete: in the groups, and in the death of what was replaced")          \
    X(slot_mark,            "that a change is announced, to a search that stamps it")                                    \
    X(slot_birth,           "the time of a version's birth; PENDING publishes that the slot's last life is over")        \
    X(slot_death,           "the time of a version's death; ALIVE publishes PENDING")                                    \
    X(snapshot_end,         "all reads of what lived at an announced time, to whoever uses those slots again")           \
    X(snapshot_decided,     "the clock, to a search whose time another thread has read for it")                          \
    X(version_clock,        "every version stamped up to a time, to the snapshot that takes that time")                  \
    X(gate_fence,           "store-load order between who comes through an open gate, and who closes it")               \
    X(gate_inside,          "all that an operation did inside an open gate, to who finds that nobody is inside")         \
    X(gate_open,            "all that was done alone behind a closed gate, to who comes through it next")                \
    X(elided_word,          "sections behind a mutex, to transactions that find it free; those, to who takes it")         \
    X(access_record,        "a vector's access record, initialised for its next life")
// clang-format on

enum class edge : std::uint8_t {
#define HOTINDEX_EDGE_ENUMERATOR(name, publishes) name,
    HOTINDEX_EDGES(HOTINDEX_EDGE_ENUMERATOR)
#undef HOTINDEX_EDGE_ENUMERATOR
        unnamed ///< relaxed operations
};

inline constexpr std::size_t edge_count = static_cast<std::size_t>(edge::unnamed) + 1;

/// The enumerator's name, for ledgers and tables.
[[nodiscard]] constexpr std::string_view name_of(edge e) noexcept {
    constexpr std::array<std::string_view, edge_count> names{
#define HOTINDEX_EDGE_NAME(name, publishes) #name,
        HOTINDEX_EDGES(HOTINDEX_EDGE_NAME)
#undef HOTINDEX_EDGE_NAME
            "unnamed"};
    return names[static_cast<std::size_t>(e)];
}

/// What the edge publishes, in words.
[[nodiscard]] constexpr std::string_view publishes(edge e) noexcept {
    constexpr std::array<std::string_view, edge_count> texts{
#define HOTINDEX_EDGE_TEXT(name, publishes) publishes,
        HOTINDEX_EDGES(HOTINDEX_EDGE_TEXT)
#undef HOTINDEX_EDGE_TEXT
            "nothing"};
    return texts[static_cast<std::size_t>(e)];
}

} // namespace hotindex
