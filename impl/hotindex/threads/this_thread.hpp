// Which handle does the calling thread have in a structure? The one place with thread_locals.
//
// The algorithms take explicit handles; this layer makes the convenient signatures possible (`map.insert(key, value)`).
// A "domain" here is what hands out handles: an EpochDomain, or a ThreadRegister. A thread joins a domain at its first
// call, and leaves it when the thread ends, unless the structure ended first (see Anchor).
//
// A thread's memberships stand in a hash table, by the structures' anchors: a call takes as long with many structures
// as with one. An anchor in the table is not freed, so its address means one structure for as long as anybody remembers
// it. Anchors of structures that have ended leave the table when it is full, before it grows: a thread that goes on for
// ever holds at most twice as many as it ever had in use at once.
//
// The end of a thread. Destructors of other thread_local objects, and of statics on the thread that calls exit(), may
// use any structure that still lives. Therefore the table does not end with the thread's thread_local objects but
// later, as the value of a POSIX thread key; at exit() those do not end at all, and the table stays, reachable. Calls
// from destructors of other keys' values get a new table, which ends with the next round of destructors (POSIX
// promises PTHREAD_DESTRUCTOR_ITERATIONS of them, 4 at least).
//
// Modules. Everything here is hidden, so that a module has tables of its own: it can be unloaded, and modules with
// different copies of the library do not share a table by accident. While a thread lives that has used a structure
// through a module, the C library keeps the module loaded (the thread has a thread_local object to destroy in it).
#pragma once

#include <hotindex/backend/anchor.hpp>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cxxabi.h>
#include <memory>
#include <pthread.h>
#include <utility>

namespace hotindex {

/// One thread's place in one domain.
struct [[gnu::visibility("hidden")]] Membership {
    using End = void (*)(Membership*) noexcept;
    Membership(Anchor* a, End e) noexcept : anchor(a), end(e) {}
    Anchor* const anchor;
    const End end; ///< leaves the domain if it still is there, and frees the membership
};

/// The memberships of the calling thread: a hash table with linear probing. Nothing is taken out of it but when it is
/// built anew.
class [[gnu::visibility("hidden")]] Memberships {
  public:
    /// The calling thread's, made at the first call. Throws std::bad_alloc.
    [[nodiscard]] static Memberships& mine() {
        if (current == nullptr) [[unlikely]]
            make_current();
        return *current;
    }
    Memberships() = default;
    Memberships(const Memberships&) = delete;
    Memberships& operator=(const Memberships&) = delete;
    ~Memberships() {
        for (std::size_t i = 0; i != capacity_; ++i)
            if (slots_[i] != nullptr)
                slots_[i]->end(slots_[i]);
    }

    [[nodiscard]] Membership* find(const Anchor* anchor) const noexcept {
        if (capacity_ == 0)
            return nullptr;
        for (std::size_t i = place_of(anchor);; i = (i + 1) & (capacity_ - 1))
            if (slots_[i] == nullptr || slots_[i]->anchor == anchor)
                return slots_[i];
    }
    /// Room for one more. Ends the memberships in structures that have ended if there was none: O(1) amortised over
    /// the calls of insert(). Throws std::bad_alloc.
    void make_room() {
        if ((used_ + 1) * 2 <= capacity_)
            return;
        std::size_t open = 0;
        for (std::size_t i = 0; i != capacity_; ++i)
            open += slots_[i] != nullptr && !slots_[i]->anchor->is_closed() ? 1 : 0;
        const std::size_t wanted = std::bit_ceil((open + 2) * 4); // half of the room at least is free afterwards
        Memberships next;
        next.slots_ = std::make_unique<Membership*[]>(wanted);
        next.capacity_ = wanted;
        for (std::size_t i = 0; i != capacity_; ++i) {
            Membership* const m = std::exchange(slots_[i], nullptr);
            if (m == nullptr)
                continue;
            if (m->anchor->is_closed())
                m->end(m);
            else
                next.insert(m);
        }
        slots_.swap(next.slots_);
        std::swap(capacity_, next.capacity_);
        used_ = next.used_;
    }
    /// After make_room(). Takes the membership over.
    void insert(Membership* m) noexcept {
        std::size_t i = place_of(m->anchor);
        while (slots_[i] != nullptr)
            i = (i + 1) & (capacity_ - 1);
        slots_[i] = m;
        ++used_;
    }
    /// Memberships, those in structures that have ended included.
    [[nodiscard]] std::size_t size() const noexcept { return used_; }
    /// Places that the longest lookup of a member looks at, for tests. O(capacity).
    [[nodiscard]] std::size_t longest_walk() const noexcept {
        std::size_t longest = 0;
        for (std::size_t i = 0; i != capacity_; ++i)
            if (slots_[i] != nullptr)
                longest = std::max(longest, ((i - place_of(slots_[i]->anchor)) & (capacity_ - 1)) + 1);
        return longest;
    }

  private:
    [[nodiscard]] std::size_t place_of(const Anchor* anchor) const noexcept {
        const auto bits = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(anchor));
        return static_cast<std::size_t>(bits * 0x9E3779B97F4A7C15u >> 32) & (capacity_ - 1);
    }

    /// The last thread_local object of the thread to be destroyed, as far as this layer is concerned; it also keeps
    /// the module loaded. From here on the table is the key's.
    struct LastCall {
        LastCall() = default;
        LastCall(const LastCall&) = delete;
        LastCall& operator=(const LastCall&) = delete;
        ~LastCall() {
            after_last_call = true;
            if (current != nullptr)
                leave_to_key();
        }
    };

    static void make_current() {
        if (!after_last_call)
            (void)last_call();
        auto fresh = std::make_unique<Memberships>();
        current = fresh.release();
        if (after_last_call)
            leave_to_key();
    }
    static LastCall& last_call() {
        thread_local LastCall mine;
        return mine;
    }

    /// Deleted with the module, so that no destructor is called in a module that is gone.
    struct Key {
        Key() noexcept {
            if (pthread_key_create(&key, &Memberships::end_of_thread) == 0)
                key_exists.store(true, std::memory_order_relaxed); // relaxed: who uses the key has passed `made`
        }
        Key(const Key&) = delete;
        Key& operator=(const Key&) = delete;
        ~Key() {
            // relaxed: only the end of the process or module comes here, once
            if (key_exists.exchange(false, std::memory_order_relaxed))
                pthread_key_delete(key);
        }
    };
    static void leave_to_key() noexcept {
        static const Key made; // its guard publishes the key
        // relaxed: a call beside the key's end may still see it; the system then refuses it
        if (key_exists.load(std::memory_order_relaxed) && pthread_setspecific(key, current) == 0)
            return;
        // The process is at its end and has deleted the key, or other code holds all that the system has (1,024).
        // The last argument is an address in this module, which stays loaded until then.
        (void)abi::__cxa_thread_atexit(&Memberships::end_of_thread, current, &key);
    }
    static void end_of_thread(void* table) noexcept {
        current = nullptr;
        delete static_cast<Memberships*>(table);
    }

    static inline constinit thread_local Memberships* current = nullptr;
    static inline constinit thread_local bool after_last_call = false;
    static inline constinit std::atomic<bool> key_exists = false;
    static inline pthread_key_t key;

    std::unique_ptr<Membership*[]> slots_;
    std::size_t capacity_ = 0; ///< a power of two, or 0
    std::size_t used_ = 0;
};

template <class Domain>
class [[gnu::visibility("hidden")]] ThisThread {
  public:
    using Handle = typename Domain::Handle;

    /// The calling thread's handle; valid until the thread or the structure ends. Throws std::bad_alloc at the first
    /// call for a domain. O(1).
    [[nodiscard]] static const Handle& handle(const Anchored<Domain>& domain) {
        if (last_anchor == domain.anchor()) [[likely]]
            return *last_handle;
        return find_or_join(domain);
    }

  private:
    struct Joined : Membership {
        explicit Joined(const Anchored<Domain>& domain) : Membership(domain.anchor(), &Joined::leave), handle(*domain) {
            anchor->share();
        }
        Joined(const Joined&) = delete;
        Joined& operator=(const Joined&) = delete;
        ~Joined() {} // NOLINT(modernize-use-equals-default): the handle may have no domain to leave any more

        static void leave(Membership* m) noexcept {
            auto* const joined = static_cast<Joined*>(m);
            if (last_anchor == m->anchor)
                last_anchor = nullptr;
            m->anchor->unless_closed([joined] { joined->handle.~Handle(); });
            m->anchor->drop();
            delete joined;
        }
        union {
            Handle handle;
        };
    };

    // Not inlined: what is seldom needs registers that every call would save.
    [[gnu::noinline]] static const Handle& find_or_join(const Anchored<Domain>& domain) {
        Memberships& mine = Memberships::mine();
        Membership* m = mine.find(domain.anchor());
        if (m == nullptr) {
            mine.make_room();
            m = new Joined(domain);
            mine.insert(m);
        }
        last_anchor = m->anchor;
        last_handle = &static_cast<Joined*>(m)->handle;
        return *last_handle;
    }

    static inline constinit thread_local const Anchor* last_anchor = nullptr;
    static inline constinit thread_local const Handle* last_handle = nullptr;
};

} // namespace hotindex
