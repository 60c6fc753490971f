// Anchor: what a structure and the threads that have joined it know of each other, so that either may end first.
//
// A structure owns its domain and gives all of it back when it ends, whoever has used it and whether or not those
// threads live on. A thread that ends gives its record back to the domain, if there still is one. The two exclude each
// other by a critical section in the anchor, a small block that outlives both: it is freed by whoever knows it last.
//
// The critical section is no part of any operation: a thread passes it when it ends, a structure when it ends. Inside,
// a thread gives a record back or a structure sets a flag: a few instructions, no memory is freed. Who waits for it
// waits for another thread to end or for nobody.
//
// Fork: the holder's process is in the lock, so a child whose parent's thread was inside takes it over.
//
// Invariant: a closed anchor stays closed, and its domain is not touched through it any more.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <new>
#include <unistd.h>
#include <utility>

namespace hotindex {

class Anchor {
  public:
    Anchor() = default;
    Anchor(const Anchor&) = delete;
    Anchor& operator=(const Anchor&) = delete;

    /// The structure ends: no thread gives anything back to its domain after this. Waits for those that are about to.
    void close() noexcept {
        enter();
        closed_.store(true, std::memory_order_release);
        leave();
    }
    /// A thread ends: give_back() runs unless the structure has ended. It is short and throws nothing.
    template <class GiveBack>
    void unless_closed(GiveBack give_back) noexcept {
        if (is_closed())
            return;
        enter();
        if (!is_closed())
            give_back();
        leave();
    }
    [[nodiscard]] bool is_closed() const noexcept { return closed_.load(std::memory_order_acquire); }

    /// One more knows the anchor, until drop().
    void share() noexcept { known_by_.fetch_add(1, std::memory_order_relaxed); } // relaxed: the caller knows it already
    void drop() noexcept {
        if (known_by_.fetch_sub(1, std::memory_order_acq_rel) == 1)
            delete this;
    }

  private:
    ~Anchor() = default;

    void enter() noexcept {
        const auto me = static_cast<std::int64_t>(getpid());
        for (int tries = 0;; ++tries) {
            std::int64_t holder = nobody;
            // relaxed on failure: nothing is done with the value but to compare it
            if (holder_.compare_exchange_strong(holder, me, std::memory_order_acquire, std::memory_order_relaxed))
                return;
            // Of another process: a thread that was inside when this process was forked off. It does not exist here.
            if (holder != me &&
                holder_.compare_exchange_strong(holder, me, std::memory_order_acquire, std::memory_order_relaxed))
                return;
            if (tries >= 64) // the holder waits for a core, which it must get even if its priority is lower
                usleep(50);
        }
    }
    void leave() noexcept { holder_.store(nobody, std::memory_order_release); }

    static constexpr std::int64_t nobody = 0;
    std::atomic<std::int64_t> holder_{nobody}; ///< the process whose thread is inside
    std::atomic<std::uint32_t> known_by_{1};   ///< the structure, and threads that have joined
    std::atomic<bool> closed_{false};
};

/// A domain that belongs to one structure, with its anchor.
template <class Domain>
class Anchored {
  public:
    /// Throws std::bad_alloc, and what the domain's constructor throws.
    template <class... Args>
    explicit Anchored(std::in_place_t, Args&&... args)
        : domain_(std::make_unique<Domain>(std::forward<Args>(args)...)), anchor_(new Anchor) {}
    Anchored(const Anchored&) = delete;
    Anchored& operator=(const Anchored&) = delete;
    ~Anchored() {
        close();
        domain_.reset();
        anchor_->drop();
    }
    /// The structure's end begins: threads that end from now on leave the domain alone. A structure that reclaims in
    /// its destructor calls this first.
    void close() noexcept {
        if (!anchor_->is_closed())
            anchor_->close();
    }
    [[nodiscard]] Domain* operator->() const noexcept { return domain_.get(); }
    [[nodiscard]] Domain& operator*() const noexcept { return *domain_; }
    [[nodiscard]] Anchor* anchor() const noexcept { return anchor_; }

  private:
    std::unique_ptr<Domain> domain_;
    Anchor* anchor_;
};

} // namespace hotindex
