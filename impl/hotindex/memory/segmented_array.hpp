// SegmentedArray: an array that grows without moving its elements and without locks.
//
// Segments of doubling size hang in a directory of fixed length; an element's place follows from its index by a bit
// count. Invariant: a segment stays where it is from its CAS to the destruction. Linearization: growth at the CAS.
// Progress: at() wait-free; grow_to() lock-free. Threads that meet at a border each make the segment, and all but one
// give theirs back; nothing of it was touched, so that costs a system call where the segment is large.
#pragma once

#include <hotindex/backend/backend.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace hotindex {

/// Places in segments of doubling size: 0 and 1 hold `first` items each, every further one as many as all before it.
template <std::uint32_t First>
struct Doubling {
    static_assert(std::has_single_bit(First));
    [[nodiscard]] static constexpr std::uint32_t segment_of(std::uint32_t i) noexcept {
        return static_cast<std::uint32_t>(std::bit_width(i / First));
    }
    [[nodiscard]] static constexpr std::uint32_t begin(std::uint32_t segment) noexcept {
        return segment == 0 ? 0 : First << (segment - 1);
    }
    [[nodiscard]] static constexpr std::uint32_t size(std::uint32_t segment) noexcept {
        return segment == 0 ? First : First << (segment - 1);
    }
};

/// T: default-constructible, noexcept, all zeroes then. First: elements of the first segment. Indices below max_size.
template <class B, class Traits, class T, std::uint32_t First = Traits::first_segment>
class SegmentedArray {
    using Place = Doubling<First>;

  public:
    static constexpr std::uint32_t max_size = std::uint32_t{1} << Traits::index_bits;

    SegmentedArray() {
        for (auto& s : segments_)
            s.store(nullptr, B::relaxed()); // relaxed: construction overlaps with nothing
    }
    SegmentedArray(const SegmentedArray&) = delete;
    SegmentedArray& operator=(const SegmentedArray&) = delete;
    ~SegmentedArray() {
        for (std::uint32_t s = 0; s != segments_.size(); ++s)
            if (T* const segment = segments_[s].load(B::relaxed())) // relaxed: destruction overlaps with nothing
                B::destroy_zeroed_array(segment, Place::size(s));
    }

    /// The element, or nullptr where the array has not grown to.
    [[nodiscard]] T* find(std::uint32_t i) const {
        const std::uint32_t s = segment_of(i);
        // [segment] acquire-load; synchronizes-with the release-CAS in grow_to()
        T* const segment = segments_[s].load(B::acquire(edge::segment));
        return segment == nullptr ? nullptr : segment + (i - Place::begin(s));
    }
    /// The element; grow_to(i) was called before.
    [[nodiscard, gnu::always_inline]] T& at(std::uint32_t i) const {
        const std::uint32_t s = segment_of(i);
        // [segment] acquire-load; synchronizes-with the release-CAS in grow_to()
        return segments_[s].load(B::acquire(edge::segment))[i - Place::begin(s)];
    }

    /// Makes room for element i. Throws std::bad_alloc.
    void grow_to(std::uint32_t i) {
        auto& cell = segments_[Place::segment_of(i)];
        // relaxed: that it is there is enough; find() reads it with acquire
        if (cell.load(B::relaxed()) != nullptr)
            return;
        const std::uint32_t n = Place::size(Place::segment_of(i));
        T* const fresh = B::template make_zeroed_array<T>(n);
        T* none = nullptr;
        // [segment] release-CAS; synchronizes-with the acquire-loads of segments_; publishes: the elements
        // relaxed on failure: the other thread's segment is read through the cell again
        if (!cell.compare_exchange_strong(none, fresh, B::release(edge::segment), B::relaxed()))
            B::destroy_zeroed_array(fresh, n);
    }

    /// Makes room for elements 0 to i. Throws std::bad_alloc; some of the room may have been made then.
    void grow_through(std::uint32_t i) {
        for (std::uint32_t s = 0; s <= Place::segment_of(i); ++s)
            grow_to(Place::begin(s));
    }

  private:
    /// Few have more than one, so this is often all there is.
    [[nodiscard]] static constexpr std::uint32_t segment_of(std::uint32_t i) noexcept {
        return i < First ? 0 : Place::segment_of(i);
    }

    std::array<typename B::template atomic<T*>, Place::segment_of(max_size - 1) + 1> segments_;
};

} // namespace hotindex
