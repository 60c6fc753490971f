// DecidedSlots: slots of which a search has found out apart whether they are visible at its time.
//
// It holds for the search's time whatever happens afterwards. Belongs to one thread.
#pragma once

#include <hotindex/store/slot_segment.hpp>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace hotindex {

class DecidedSlots {
    /// Some of the slots that a scan looks at together.
    struct Block {
        SlotId first;
        std::uint64_t decided; ///< bit i: slot first + i is one of them
        std::uint64_t visible; ///< and is visible
    };

  public:
    /// Slot first + i is visible, or not. `first`: the first slot of its block. Throws std::bad_alloc.
    void decide(SlotId first, SlotId i, bool visible) {
        auto at = std::lower_bound(blocks_.begin(), blocks_.end(), first,
                                   [](const Block& b, SlotId slot) { return b.first < slot; });
        if (at == blocks_.end() || at->first != first)
            at = blocks_.insert(at, Block{first, 0, 0});
        at->decided |= std::uint64_t{1} << i;
        at->visible |= std::uint64_t{visible} << i;
    }
    void clear() noexcept { blocks_.clear(); }
    void swap(DecidedSlots& other) noexcept { blocks_.swap(other.blocks_); }

    /// For one scan, whose blocks come in order.
    class Walk {
      public:
        explicit Walk(const DecidedSlots& all) noexcept : next_(all.blocks_.begin()), end_(all.blocks_.end()) {
            look();
        }
        /// The mask of the block that begins there, with what was decided in place of what it says of that.
        [[nodiscard, gnu::always_inline]] std::uint64_t corrected(SlotId first, std::uint64_t mask) noexcept {
            return first < next_first_ ? mask : at_or_behind(first, mask);
        }

      private:
        void look() noexcept { next_first_ = next_ == end_ ? no_slot : next_->first; }
        [[gnu::noinline]] std::uint64_t at_or_behind(SlotId first, std::uint64_t mask) noexcept {
            for (; next_first_ < first; look()) // in segments that nothing visible is in
                ++next_;
            if (next_first_ != first)
                return mask;
            mask = (mask & ~next_->decided) | next_->visible;
            ++next_;
            look();
            return mask;
        }
        std::vector<Block>::const_iterator next_;
        std::vector<Block>::const_iterator end_;
        SlotId next_first_ = no_slot; ///< of the next block in which something was decided
    };

  private:
    std::vector<Block> blocks_;
};

} // namespace hotindex
