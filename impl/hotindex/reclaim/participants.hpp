// Participants: a list of per-thread records that grows without locks and is never shortened.
//
// A thread claims a record, owns it until it gives it back, and a later thread takes over a record that was given back,
// with everything in it. So the number of records is the largest number of threads that were ever there at once,
// counters in records of ended threads stay counted, and what an ended thread left behind (limbo, cached blocks) finds
// an owner.
//
// Invariants: a linked record stays linked and at its address until the list is destroyed; `next` and `index` never
// change after linking; `claimed` is 1 from the winning CAS until its owner's release.
// Linearization: claim at the CAS of `claimed`, or of `head_` for a new record; release at the store.
// Progress: claim is lock-free (a CAS fails only because another one succeeded), release is wait-free, for_each is
// wait-free (bounded by the records linked when it starts).
#pragma once

#include <hotindex/backend/backend.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace hotindex {

template <class B, class Local>
class Participants {
  public:
    struct Record {
        template <class... Args>
        explicit Record(Args&&... args) : claimed(1), next(nullptr), index(0), local(std::forward<Args>(args)...) {}

        alignas(isolation) typename B::template atomic<std::uint32_t> claimed;
        typename B::template var<Record*> next;
        typename B::template var<std::uint32_t> index; ///< 0, 1, ... in the order of linking
        alignas(isolation) Local local;
    };

    Participants() : head_(nullptr) {}
    Participants(const Participants&) = delete;
    Participants& operator=(const Participants&) = delete;

    /// No record may be in use.
    ~Participants() {
        // relaxed: destruction overlaps with nothing
        for (Record* r = head_.load(B::relaxed()); r != nullptr;) {
            Record* const next = r->next.get();
            B::destroy(r);
            r = next;
        }
    }

    /// A record for the caller alone, until release(). Arguments go to the Local of a new record; a record taken over
    /// keeps its own. Throws std::bad_alloc.
    template <class... Args>
    [[nodiscard]] Record& claim(Args&&... args) {
        // [participant_link] acquire-load; synchronizes-with the release-CAS below
        for (Record* r = head_.load(B::acquire(edge::participant_link)); r != nullptr; r = r->next.get())
            if (try_claim(*r))
                return *r;
        Record* const fresh = B::template make<Record>(std::forward<Args>(args)...);
        // [participant_link] acquire-load; synchronizes-with the release-CAS below: the head's index is read
        Record* head = head_.load(B::acquire(edge::participant_link));
        do {
            fresh->next.set(head);
            fresh->index.set(head != nullptr ? head->index.get() + 1 : 0);
            // [participant_link] release-CAS; synchronizes-with every acquire-load of head_; publishes: the record
            // [participant_link] acquire on failure: the new head's index is read
        } while (!head_.compare_exchange_weak(head, fresh, B::release(edge::participant_link),
                                              B::acquire(edge::participant_link)));
        return *fresh;
    }

    /// Takes over this very record if nobody owns it.
    [[nodiscard]] bool try_claim(Record& r) {
        // relaxed: only a hint, the CAS decides
        if (r.claimed.load(B::relaxed()) != 0)
            return false;
        std::uint32_t vacant = 0;
        // [participant_claim] acquire-CAS; synchronizes-with the release-store in release()
        // relaxed on failure: nothing of the record is read then
        return r.claimed.compare_exchange_strong(vacant, 1, B::acquire(edge::participant_claim), B::relaxed());
    }

    /// Gives the record back with everything in it.
    void release(Record& r) noexcept {
        // [participant_claim] release-store; synchronizes-with the acquire-CAS in try_claim(); publishes: the record
        r.claimed.store(0, B::release(edge::participant_claim));
    }

    /// Calls visit(Record&) for every linked record, owned or not. What it may read of a record is what that record
    /// offers to other threads.
    template <class Visit>
    void for_each(Visit visit) const {
        // [participant_link] acquire-load; synchronizes-with the release-CAS in claim()
        for (Record* r = head_.load(B::acquire(edge::participant_link)); r != nullptr; r = r->next.get())
            visit(*r);
    }

    /// As for_each, until visit returns false; false then.
    template <class Visit>
    bool all_of(Visit visit) const {
        // [participant_link] acquire-load; synchronizes-with the release-CAS in claim()
        for (Record* r = head_.load(B::acquire(edge::participant_link)); r != nullptr; r = r->next.get())
            if (!visit(*r))
                return false;
        return true;
    }

  private:
    typename B::template atomic<Record*> head_;
};

/// A counter with one writing thread and any number of readers: no read-modify-write, no lost update.
template <class B>
class OwnedCounter {
  public:
    OwnedCounter() : value_(0) {}
    /// Owner only. Negative differences wrap around and cancel out in sums.
    void add(std::uint64_t n) noexcept {
        // relaxed: only the owner writes; readers want a recent value, and an exact one only at quiescence
        value_.store(value_.load(B::relaxed()) + n, B::relaxed());
    }
    [[nodiscard]] std::uint64_t read() const noexcept {
        // relaxed: see add()
        return value_.load(B::relaxed());
    }

  private:
    typename B::template atomic<std::uint64_t> value_;
};

} // namespace hotindex
