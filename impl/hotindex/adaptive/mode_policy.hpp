// ModePolicy: when an adaptive index changes between its two ways, from what threads did since the last look.
//
// Alone behind a mutex, what is replaced is overwritten, which is cheaper; all else costs the mutex. Beside each other
// operations are faster as soon as two threads have something to do. So:
//   to traditional   one thread has done nearly everything, and replaces vectors: at calm_looks looks in turn
//   to lock-free     operations wait for the mutex, many of them or for long: at mode_busy_looks looks in turn
//   to lock-free     nothing is replaced any more: at calm_looks looks in turn
//   to lock-free     an operation that came through the open gate does not end: mode_patient_looks looks
// Hysteresis. A change to traditional that was taken back for its waits doubles calm_looks, up to mode_most_calm_looks;
// one that has lasted for so many looks halves it. So a load that misleads the first rule costs less and less, and a new
// one is known for what it is within mode_most_calm_looks * mode_look_us (0.64 s).
//
// Not thread-safe: its owner looks from one thread at a time.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace hotindex {

/// How an adaptive index is to run: as the policy finds, or as its user says.
enum class IndexMode : std::uint8_t { automatic, traditional, lock_free };

/// Why an adaptive index has changed its mode.
enum class SwitchReason : std::uint8_t {
    by_hand,    ///< set_mode()
    one_thread, ///< to traditional: one thread does nearly everything, and replaces vectors
    waits,      ///< to lock-free: operations wait for the mutex
    reads,      ///< to lock-free: nothing is replaced any more
    straggler,  ///< to lock-free: an operation from before does not end, so nobody would ever be alone
};
inline constexpr std::size_t switch_reasons = 5;

[[nodiscard]] constexpr std::string_view name_of(SwitchReason reason) noexcept {
    constexpr std::array<std::string_view, switch_reasons> names{"by hand", "one thread", "waits", "reads",
                                                                 "straggler"};
    return names[static_cast<std::size_t>(reason)];
}

template <class Traits>
class ModePolicy {
  public:
    /// Since the last look.
    struct Seen {
        std::uint64_t passages = 0; ///< by weight: see AdaptiveHotVectorIndex
        std::uint64_t busiest = 0;  ///< of these, by the thread that has most
        std::uint64_t replaced = 0; ///< vectors
        std::uint64_t behind = 0;   ///< operations behind the mutex ...
        std::uint64_t waited = 0;   ///< ... that found it locked ...
        std::int64_t waited_us = 0; ///< ... and waited so long, together
        std::int64_t us = 0;        ///< since the last look
        bool open = true;           ///< the gate's phase now
        bool closed = false;
    };
    enum class Advice : std::uint8_t { stay, close, open };
    struct Answer {
        Advice advice = Advice::stay;
        SwitchReason reason = SwitchReason::by_hand;
    };

    [[nodiscard]] Answer look(const Seen& seen) {
        ++since_change_;
        if (seen.open) {
            const bool calm = (seen.passages - seen.busiest) * Traits::mode_share < seen.passages &&
                              seen.replaced * Traits::mode_replaced >= seen.passages;
            in_turn_ = calm ? in_turn_ + 1 : 0;
            return in_turn_ >= calm_looks_ ? change(Advice::close, SwitchReason::one_thread) : Answer{};
        }
        if (!seen.closed && since_change_ >= Traits::mode_patient_looks) {
            calm_looks_ = Traits::mode_most_calm_looks;
            return change(Advice::open, SwitchReason::straggler);
        }
        if (since_change_ % Traits::mode_most_calm_looks == 0)
            calm_looks_ = std::max(calm_looks_ / 2, Traits::mode_calm_looks);
        const bool busy =
            seen.waited != 0 && (seen.waited * Traits::mode_waits >= seen.behind ||
                                 seen.waited_us * static_cast<std::int64_t>(Traits::mode_waits) >= seen.us);
        in_turn_ = busy ? in_turn_ + 1 : 0;
        // A quarter of what leads here: so a load on the brink stays where it is.
        reads_in_turn_ = seen.replaced * Traits::mode_replaced * 4 < seen.passages ? reads_in_turn_ + 1 : 0;
        if (reads_in_turn_ >= calm_looks_)
            return change(Advice::open, SwitchReason::reads);
        if (in_turn_ < Traits::mode_busy_looks)
            return {};
        if (since_change_ < Traits::mode_most_calm_looks)
            calm_looks_ = std::min(calm_looks_ * 2, Traits::mode_most_calm_looks);
        return change(Advice::open, SwitchReason::waits);
    }
    /// The mode was set by hand.
    void begin_again() noexcept { in_turn_ = reads_in_turn_ = since_change_ = 0; }

  private:
    Answer change(Advice advice, SwitchReason reason) noexcept {
        begin_again();
        return {advice, reason};
    }
    std::uint32_t calm_looks_ = Traits::mode_calm_looks;
    std::uint32_t in_turn_ = 0; ///< looks that spoke for a change, for one thread or for waits
    std::uint32_t reads_in_turn_ = 0;
    std::uint32_t since_change_ = 0;
};

} // namespace hotindex
