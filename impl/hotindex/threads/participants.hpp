// Participants: per-thread records that are found without locks, and cost nothing when their threads have left.
//
// Records hang in groups. One word of a group says which of its records are claimed. Whoever looks at all participants
// looks at claimed records only: a record whose thread has left costs a bit in a word. A thread claims the lowest
// vacant record, so a burst of threads leaves no trail: those that come later lie at the front.
//
// Invariants, with every operation complete
//   C1  a record's bit is set from the CAS of its claim to its release; between them the record belongs to one thread.
//   C2  a record is made by the first thread that claims it, and stays at its address until the structure ends.
//   C3  groups are never taken out. A group's `next` and a record's index never change once they are set.
//   C4  who finds a bit clear sees everything that the record's last owner did before its release. (Say an advance of
//       the epoch: it does not look whether such a record is pinned, and must know that the reads under its last pin
//       are over.)
// Linearization: claim at its CAS, release at its addition.
// Progress: claim is lock-free (a CAS fails only because another one succeeded), release is wait-free, a walk is
// wait-free (bounded by the groups, and the records claimed, when it comes there).
#pragma once

#include <hotindex/backend/backend.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace hotindex {

template <class B, class Traits, class Local>
class Participants {
    struct Group;
    static constexpr std::uint32_t width = Traits::participants_per_group;

  public:
    class Record {
      public:
        template <class... Args>
        explicit Record(Group& group, std::uint32_t i, Args&&... args)
            : index(i), group_(&group), local(std::forward<Args>(args)...) {}
        const typename B::template var<std::uint32_t> index; ///< small and dense: 0, 1, 2, ...

      private:
        friend class Participants;
        Group* const group_;

      public:
        alignas(isolation) Local local;
    };

    Participants() : first_(0u), leaves_begun_(0), leaves_done_(0) {}
    Participants(const Participants&) = delete;
    Participants& operator=(const Participants&) = delete;

    /// No record may be in use.
    ~Participants() {
        destroy_records(first_);
        // relaxed: destruction overlaps with nothing
        for (Group* g = first_.next.load(B::relaxed()); g != nullptr;) {
            destroy_records(*g);
            Group* const next = g->next.load(B::relaxed()); // relaxed: as above
            B::destroy(g);
            g = next;
        }
    }

    /// A record for the caller alone, until release(). Arguments go to the Local of a new record; a record that was
    /// left keeps its own. Throws std::bad_alloc; nothing is lost then.
    template <class... Args>
    [[nodiscard]] Record& claim(Args&&... args) {
        for (Group* g = &first_;; g = &behind(*g)) {
            // relaxed: a first guess, the CAS decides
            Word seen = g->claimed.load(B::relaxed());
            while (seen != all) {
                const Word bit = ~seen & (seen + 1); // the lowest that is clear
                // [participant_claim] acquire-CAS; synchronizes-with the release-RMW in vacate()
                // relaxed on failure: another guess
                if (g->claimed.compare_exchange_weak(seen, seen | bit, B::acquire(edge::participant_claim),
                                                     B::relaxed()))
                    return own(*g, static_cast<std::uint32_t>(std::countr_zero(bit)), std::forward<Args>(args)...);
            }
        }
    }

    /// Gives the record back, with what is still in it.
    void release(Record& r) noexcept { vacate(*r.group_, r.index.get() % width); }

    /// Calls visit(Record&) for every record that is claimed. What it may read of one is what that record offers to
    /// other threads.
    template <class Visit>
    void for_each(Visit visit) const {
        all_of([&visit](Record& r) {
            visit(r);
            return true;
        });
    }

    /// As for_each, until visit returns false; false then.
    template <class Visit>
    bool all_of(Visit visit) const {
        for (const Group* g = &first_; g != nullptr; g = after(*g))
            // [participant_claim] acquire-load; synchronizes-with the release-RMW in vacate() (C4)
            for (Word left = g->claimed.load(B::acquire(edge::participant_claim)); left != 0; left &= left - 1)
                // [participant_link] acquire-load; synchronizes-with the release-store in own(). nullptr: its owner is
                // about to make it
                if (Record* const r = g->records[static_cast<std::size_t>(std::countr_zero(left))].load(
                        B::acquire(edge::participant_link));
                    r != nullptr && !visit(*r))
                    return false;
        return true;
    }

    /// Runs hand_over(), in which somebody who leaves gives what it has counted to a DepartedCounter: see steadily().
    template <class HandOver>
    void while_leaving(HandOver hand_over) noexcept {
        leaves_begun_.fetch_add(1, B::relaxed()); // relaxed, both: see steadily()
        hand_over();
        leaves_done_.fetch_add(1, B::relaxed());
    }
    /// sum(), called while nobody leaves, if that happens within a few attempts. So what somebody has counted who
    /// leaves meanwhile is counted once, unless it is stopped in the middle of that.
    template <class Sum>
    [[nodiscard]] auto steadily(Sum sum) const {
        for (int attempt = 1;; ++attempt) {
            // relaxed, both: sums are exact when nobody joins or leaves, and then nothing has to be ordered
            const std::uint64_t done = leaves_done_.load(B::relaxed());
            const auto result = sum();
            if (leaves_begun_.load(B::relaxed()) == done || attempt == 8)
                return result;
        }
    }

    /// A record that was ever made, or nullptr. Nobody may be at work.
    [[nodiscard]] Record* unguarded_first() const {
        for (const Group* g = &first_; g != nullptr; g = after(*g))
            for (const auto& record : g->records)
                if (Record* const r = record.load(B::relaxed()); r != nullptr) // relaxed: nobody is at work
                    return r;
        return nullptr; // or the making of each has failed
    }

  private:
    using Word = std::uint64_t;
    static constexpr Word all = width == 64 ? ~Word{0} : (Word{1} << width) - 1;

    struct Group {
        explicit Group(std::uint32_t i) : claimed(0), next(nullptr), first(i) {
            for (auto& r : records)
                r.store(nullptr, B::relaxed()); // relaxed: construction overlaps with nothing
        }
        alignas(isolation) typename B::template atomic<Word> claimed; ///< bit i: record i belongs to somebody
        alignas(isolation) std::array<typename B::template atomic<Record*>, width> records;
        typename B::template atomic<Group*> next;
        const typename B::template var<std::uint32_t> first; ///< index of record 0
    };

    template <class... Args>
    Record& own(Group& g, std::uint32_t i, Args&&... args) {
        auto& cell = g.records[i];
        // relaxed: an earlier owner of the bit made it, or nobody has
        Record* r = cell.load(B::relaxed());
        if (r != nullptr)
            return *r;
        try {
            r = B::template make<Record>(g, g.first.get() + i, std::forward<Args>(args)...);
        } catch (...) {
            vacate(g, i);
            throw;
        }
        // [participant_link] release-store; synchronizes-with the acquire-load in all_of(); publishes: the record
        cell.store(r, B::release(edge::participant_link));
        return *r;
    }

    void vacate(Group& g, std::uint32_t i) noexcept {
        // [participant_claim] release-RMW; synchronizes-with the acquire-CAS in claim() and the acquire-load in
        // all_of(), also through other claims and releases, which continue its release sequence; publishes: all uses of
        // the record. The bit was set, so subtracting clears it
        g.claimed.fetch_add(~(Word{1} << i) + 1, B::release(edge::participant_claim));
    }

    [[nodiscard]] static Group* after(const Group& g) {
        // [participant_link] acquire-load; synchronizes-with the release-CAS in behind()
        return g.next.load(B::acquire(edge::participant_link));
    }
    /// The next group, made if there is none. Throws std::bad_alloc.
    Group& behind(Group& g) {
        if (Group* const next = after(g))
            return *next;
        Group* const fresh = B::template make<Group>(g.first.get() + width);
        Group* next = nullptr;
        // [participant_link] release-CAS; synchronizes-with the acquire-load in after(); publishes: the group
        // [participant_link] acquire on failure: the other thread's group is used
        if (g.next.compare_exchange_strong(next, fresh, B::release(edge::participant_link),
                                           B::acquire(edge::participant_link)))
            return *fresh;
        B::destroy(fresh);
        return *next;
    }

    void destroy_records(Group& g) {
        for (auto& cell : g.records)
            if (Record* const r = cell.load(B::relaxed())) // relaxed: destruction overlaps with nothing
                B::destroy(r);
    }

    Group first_;
    typename B::template atomic<std::uint64_t> leaves_begun_;
    typename B::template atomic<std::uint64_t> leaves_done_;
};

} // namespace hotindex
