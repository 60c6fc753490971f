// SlotSegment: where slots lie in memory.
//
// Slots are numbered 0, 1, 2, ... and lie in segments. Each has its rows, norms, groups, entries and version words in
// arrays of their own, so that a scan reads what it needs as streams. The first segment is small and further ones
// double the total, until a segment's rows fill a huge page; from there on all are of that size. So a small index costs
// little, a large one grows by a few megabytes at a time whatever its size, and a segment in which nothing lives can be
// given back alone.
#pragma once

#include <hotindex/backend/backend.hpp>
#include <hotindex/reclaim/epoch_domain.hpp>
#include <hotindex/store/slot_groups.hpp>
#include <hotindex/store/version_clock.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace hotindex {

using SlotId = std::uint32_t;
inline constexpr SlotId no_slot = ~SlotId{0};

/// Slots that a scan looks at together, and that share a bit mask: four groups, or less where a segment is smaller.
inline constexpr SlotId groups_per_block = 4;
inline constexpr SlotId slots_per_block = groups_per_block * slots_per_group;
[[nodiscard]] constexpr std::uint64_t first_slots(SlotId n) noexcept {
    return n >= slots_per_block ? ~std::uint64_t{0} : (std::uint64_t{1} << n) - 1;
}

/// Which segment a slot lies in. All sizes are powers of two, and every segment begins at a multiple of its size.
template <class Traits>
class SlotGeometry {
  public:
    static constexpr SlotId max_slots = SlotId{1} << 31;

    explicit constexpr SlotGeometry(std::size_t row_bytes) noexcept
        : most_log_(log2(std::clamp<std::size_t>(Traits::segment_bytes / row_bytes, 1, Traits::max_segment))),
          first_log_(std::min(most_log_, log2(Traits::first_segment))), doubling_(most_log_ - first_log_) {}

    [[nodiscard]] constexpr std::uint32_t segment_of(SlotId s) const noexcept {
        return s >> most_log_ == 0 ? static_cast<std::uint32_t>(std::bit_width(s >> first_log_))
                                   : doubling_ + (s >> most_log_);
    }
    [[nodiscard]] constexpr SlotId begin(std::uint32_t segment) const noexcept {
        if (segment > doubling_)
            return (segment - doubling_) << most_log_;
        return segment == 0 ? 0 : SlotId{1} << (first_log_ + segment - 1);
    }
    [[nodiscard]] constexpr SlotId size(std::uint32_t segment) const noexcept {
        if (segment > doubling_)
            return SlotId{1} << most_log_;
        return SlotId{1} << (segment == 0 ? first_log_ : first_log_ + segment - 1);
    }
    /// The slots below lie in the first segments, which have together a quarter of the largest one's size.
    [[nodiscard]] constexpr SlotId small_part() const noexcept { return (SlotId{1} << most_log_) / 4; }
    /// Segments that all slots together have.
    [[nodiscard]] constexpr std::uint32_t count() const noexcept { return segment_of(max_slots - 1) + 1; }

  private:
    static constexpr unsigned log2(std::size_t n) noexcept { return static_cast<unsigned>(std::bit_width(n)) - 1; }
    unsigned most_log_;  ///< of the largest segment's size
    unsigned first_log_; ///< of the first segment's size
    unsigned doubling_;  ///< segments after the first one until the largest size is reached
};

/// Where a slot lies: found once, it is there for every step of an update. No segment: nowhere.
template <class Segment>
struct SlotRef {
    Segment* segment = nullptr;
    SlotId offset = 0;

    [[nodiscard]] explicit operator bool() const noexcept { return segment != nullptr; }
    [[nodiscard]] SlotId id() const noexcept { return segment->first + offset; }
    [[nodiscard]] auto& words() const noexcept { return segment->words[offset]; }
    [[nodiscard]] auto& rest() const noexcept { return segment->rests[offset]; }
    [[nodiscard]] auto& group() const noexcept { return segment->group_of(offset); }
    /// Its bit there.
    [[nodiscard]] std::uint64_t bit() const noexcept { return std::uint64_t{1} << offset % slots_per_group; }
};

/// `Local`: the domain's, see EpochDomain.
template <class B, class Local, class Entry>
struct SlotSegment : Retirable<B, Local> {
    using Words = VersionWords<B>;
    using Group = SlotGroup<B>;
    using EntryPointer = typename B::template var<Entry*>;

    /// What a scan does not need.
    struct Rest : Retirable<B, Local> {
        explicit Rest(SlotId s) : self(s) {}
        VersionMarks<B> marks;
        const typename B::template var<SlotId> self;
    };

    /// A fixed number of objects.
    template <class T>
    class Objects {
      public:
        /// Each is made from what argument() says for it, in order. Throws std::bad_alloc.
        template <class Argument>
        Objects(SlotId n, Argument argument)
            : n_(n), first_(B::template make_array<T>(
                         n, [&argument](void* at) { B::template construct_at<T>(at, argument()); })) {}
        explicit Objects(SlotId n)
            : n_(n), first_(B::template make_array<T>(n, [](void* at) { B::template construct_at<T>(at); })) {}
        Objects(const Objects&) = delete;
        Objects& operator=(const Objects&) = delete;
        ~Objects() { B::destroy_array(first_, n_); }
        [[nodiscard]] T& operator[](SlotId i) const noexcept { return first_[i]; }

      private:
        SlotId n_;
        T* first_;
    };

    /// Throws std::bad_alloc.
    SlotSegment(SlotId first_slot, SlotId n, std::size_t stride)
        : first(first_slot), count(n), made(0u), released(0u), rows(n, stride), inverse_norms(n, 1),
          groups(group_count(n)), entries(n, [] { return nullptr; }), words(n),
          rests(n, [next = first_slot]() mutable { return next++; }) {}
    SlotSegment(const SlotSegment&) = delete;
    SlotSegment& operator=(const SlotSegment&) = delete;

    /// A segment is smaller than a group, or consists of whole groups.
    static constexpr SlotId group_count(SlotId n) noexcept { return (n + slots_per_group - 1) / slots_per_group; }
    [[nodiscard]] Group& group_of(SlotId offset) const noexcept { return groups[offset / slots_per_group]; }
    /// Of a segment of n slots.
    [[nodiscard]] static constexpr std::size_t bytes_of(SlotId n, std::size_t stride) noexcept {
        return n * (stride * sizeof(float) + sizeof(float) + sizeof(EntryPointer) + sizeof(Words) + sizeof(Rest)) +
               group_count(n) * sizeof(Group);
    }
    [[nodiscard]] std::size_t bytes(std::size_t stride) const noexcept { return bytes_of(count, stride); }

    const SlotId first;
    const SlotId count;
    typename B::template var<version::Word> made;     ///< the clock then: earlier searches do not look into it
    typename B::template var<version::Word> released; ///< when it was taken out of the store; later searches miss it
    typename B::template array<float> rows;
    typename B::template array<float> inverse_norms;
    Objects<Group> groups;
    Objects<EntryPointer> entries;
    Objects<Words> words;
    Objects<Rest> rests;
};

} // namespace hotindex
