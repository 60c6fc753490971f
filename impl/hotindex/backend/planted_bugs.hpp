// Planted bugs: changes to the algorithms that look harmless and are not, each behind `B::planted(bug::name)`.
//
// The production backend answers false at compile time, so they cost nothing and are not in the program. The checker
// switches one on at a time, and a model must fail: a check that has never failed proves nothing. Names in capitals are
// those of the protocol's first model.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace hotindex {

// clang-format off
#define HOTINDEX_PLANTED_BUGS(X)                                                                                         \
    X(pin_once,               "pin does not look at the epoch again after its fence")                                    \
    X(free_one_early,         "limbo is freed two epochs after it was retired, not three")                               \
    X(advance_blindly,        "the epoch advances without a look at who is pinned")                                      \
    X(trust_place,            "a bag is collected for the set that it lies in, whatever its own epoch")                  \
    X(trust_old_look,         "a pass asks what was refused after its look at who is searching")                         \
    X(take_pinned,            "the open bag of another participant is taken although that one is pinned")                \
    X(fill_taken,             "a participant fills its open bag although another thread is taking it")                   \
    X(clear_blindly,          "who finds a word of an index set empty clears its bit without another look")              \
    X(open_by_store,          "a slab is opened by a store: two threads may have it")                                    \
    X(close_unowned,          "a slab is closed although somebody has some of its blocks")                               \
    X(free_entry_at_once,     "NOEBR_ENTRY: an unlinked entry is used again without a grace period")                     \
    X(free_block_at_once,     "a replaced bucket block is used again without a grace period")                            \
    X(move_unfrozen,          "a bucket is moved while it can still be changed")                                         \
    X(fill_over,              "a late mover fills a new bucket again")                                                   \
    X(trust_untouched,        "a reader takes an untouched new bucket for an empty one")                                 \
    X(promote_early,          "the next table becomes the root after the first moved bucket")                            \
    X(late_write_back,        "accesses of a record's earlier life are counted for the present one")                     \
    X(link_always,            "ORIG_HELP: finish links the predecessor whatever the birth is")                           \
    X(birth_then_death,       "BIRTH_THEN_DEATH: search reads a slot's birth before its death")                          \
    X(alive_before_vacant,    "DEATH_FIRST: a new slot is ALIVE before it is VACANT")                                    \
    X(skip_unstamped,         "SEARCH_NO_UNST: search skips UNSTAMPED without helping")                                  \
    X(stamp_before_link,      "STAMP_BEFORE_LINK: a slot is stamped before its predecessor is linked")                   \
    X(link_after_unstamped,   "LINK_AFTER_UNST: a slot is UNSTAMPED before its predecessor is linked")                   \
    X(stamp_pending,          "NO_UNST: PENDING becomes a timestamp without UNSTAMPED in between")                       \
    X(stamp_alive,            "NO_DEADU: ALIVE becomes a timestamp without DEAD_UNSTAMPED in between")                   \
    X(supersede_unsettled,    "SKIP_5D: a slot is superseded before its predecessor's LINK is settled")                  \
    X(date_late,              "a slot is marked idle before the time of its death is there to see")                      \
    X(undated,                "a slot is marked idle without the time of its death")                                     \
    X(plain_unborn,           "eight slots are taken for plain whatever their births are")                               \
    X(eight_unhelped,         "a search of eight slots does not help the unfinished ones among them")                    \
    X(time_per_slot,          "T_PER_SLOT: search reads the clock for every slot")                                       \
    X(time_before_open,       "T_BEFORE_PIN: search reads the clock before it opens its announcement")                   \
    X(decide_by_store,        "a search stores its time although another thread may have decided it")                    \
    X(open_again,             "all announcements are open in the same way: a late CAS decides the next one")             \
    X(leave_open,             "who wants slots again takes an open announcement for none")                               \
    X(watch_nothing,          "slots and entries are used again without a look at the announced times")                  \
    X(entry_unwatched,        "an entry is used again although a search looks at one of its versions")                   \
    X(same_life,              "stamps do not name the life that they are for")                                           \
    X(any_life,               "a death that comes back from stamping is taken for the life's that was to be stamped")    \
    X(count_before_time,      "HW_BEFORE_T: search counts the slots before it reads the clock")                          \
    X(free_slot_at_once,      "NOEBR_SLOT: a slot is used again without a grace period")                                 \
    X(release_in_use,         "a segment of slots is given back although not all of them are free")                     \
    X(release_stale,          "a segment is retired that was there before its slots were taken")                        \
    X(release_undated,        "a segment of slots is given back although a search may be looking into it")              \
    X(get_unfinished,         "GET_NOHELP: get returns a version that has no stamp yet")                                 \
    X(miss_unburied,          "GET_REMOVED_NOHELP: get misses a vector whose removal has no stamp yet")                  \
    X(remove_false_unburied,  "REMOVE_FALSE_NOHELP: remove finds nothing while the other removal has no stamp yet")      \
    X(add_over_unburied,      "REPLACE_UNSTAMPED: add unlinks a removed entry whose removal has no stamp yet")           \
    X(supersede_unfinished,   "NO_HELP_SUPERSEDE: add supersedes a version that has no stamp yet")                       \
    X(remove_unfinished,      "REMOVE_NO_HELP: remove marks a version that has no stamp yet")                            \
    X(retire_before_stamp,    "RETIRE_EARLY: a replaced slot is retired before its successor is stamped")                \
    X(retire_before_unlink,   "RETIRE_BEFORE_UNLINK: a removed slot is retired before its entry is unlinked")            \
    X(unlink_before_stamp,    "UNLINK_FIRST: an entry is unlinked before its removal has a stamp")                       \
    X(unlink_by_key,          "UNLINK_BY_KEY: a removal unlinks whatever entry the id has now")                          \
    X(stamp_by_store,         "STAMP_STORE: stamps are stored, not CASed")                                               \
    X(link_unstamped_visible, "LINK_UNST_VISIBLE: search takes a slot for visible whose successor is UNSTAMPED")         \
    X(link_pending_dead,      "LINK_PENDING_DEAD: search takes a slot for dead whose successor is PENDING")              \
    X(dead_unstamped_visible, "DEADU_VISIBLE: search takes a DEAD_UNSTAMPED slot for visible without stamping it")       \
    X(death_inclusive,        "DEATH_LE: a version is still visible at the time of its death")                           \
    X(birth_exclusive,        "STRICT_BIRTH: a version is not yet visible at the time of its birth")                     \
    X(stale_predecessor,      "STALE_PRED: the predecessor of an earlier attempt is kept")                               \
    X(keep_for_ever,          "what a search once kept is never asked for again")                                        \
    X(forget_table,           "a table that was outgrown is never freed")                                                \
    X(wait_for_remover,       "add does not help a removal, it waits for whoever began it")
// clang-format on

enum class bug : std::uint8_t {
    none,
#define HOTINDEX_BUG_ENUMERATOR(name, what) name,
    HOTINDEX_PLANTED_BUGS(HOTINDEX_BUG_ENUMERATOR)
#undef HOTINDEX_BUG_ENUMERATOR
        end
};

inline constexpr std::size_t bug_count = static_cast<std::size_t>(bug::end); ///< with bug::none

[[nodiscard]] constexpr std::string_view name_of(bug b) noexcept {
    constexpr std::array<std::string_view, bug_count> names{"none",
#define HOTINDEX_BUG_NAME(name, what) #name,
                                                            HOTINDEX_PLANTED_BUGS(HOTINDEX_BUG_NAME)
#undef HOTINDEX_BUG_NAME
    };
    return names[static_cast<std::size_t>(b)];
}

/// What is changed, in words.
[[nodiscard]] constexpr std::string_view what_is(bug b) noexcept {
    constexpr std::array<std::string_view, bug_count> texts{"nothing",
#define HOTINDEX_BUG_TEXT(name, what) what,
                                                            HOTINDEX_PLANTED_BUGS(HOTINDEX_BUG_TEXT)
#undef HOTINDEX_BUG_TEXT
    };
    return texts[static_cast<std::size_t>(b)];
}

} // namespace hotindex
