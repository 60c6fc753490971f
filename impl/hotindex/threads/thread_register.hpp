// ThreadRegister: a Local for each thread that takes part, and nothing else. For structures that need no reclamation.
//
// Its interface is the part of EpochDomain's that ThisThread and the statistics use.
#pragma once

#include <hotindex/backend/backend.hpp>
#include <hotindex/threads/participants.hpp>

#include <utility>

namespace hotindex {

/// `LocalType` is what each thread owns. It is constructed from an Owner&, goes from thread to thread, and has
///   leave()  noexcept: the thread has gone. The owner's totals take over what was counted
template <class B, class Traits, class LocalType>
class ThreadRegister {
  public:
    using Local = LocalType;
    using Owner = typename Local::Owner;

  private:
    using List = Participants<B, Traits, Local>;
    using Record = typename List::Record;

  public:
    /// A thread's place in the register. Used by one thread at a time. It must not outlive the register.
    class Handle {
      public:
        /// Throws std::bad_alloc, and what Local's constructor throws.
        explicit Handle(ThreadRegister& threads)
            : threads_(&threads), record_(&threads.participants_.claim(threads.owner_)) {}
        Handle(Handle&& other) noexcept : threads_(other.threads_), record_(std::exchange(other.record_, nullptr)) {}
        Handle& operator=(Handle&&) = delete;
        Handle(const Handle&) = delete;
        Handle& operator=(const Handle&) = delete;
        ~Handle() {
            if (record_ == nullptr)
                return;
            threads_->participants_.while_leaving([this] { local().leave(); });
            threads_->participants_.release(*record_);
        }
        [[nodiscard]] Local& local() const noexcept { return record_->local; }

      private:
        ThreadRegister* threads_;
        Record* record_;
    };

    explicit ThreadRegister(Owner& owner) : owner_(owner) {}
    ThreadRegister(const ThreadRegister&) = delete;
    ThreadRegister& operator=(const ThreadRegister&) = delete;

    /// Calls visit(const Local&) for every thread that is there now.
    template <class Visit>
    void for_each_local(Visit visit) const {
        participants_.for_each([&visit](const Record& r) { visit(r.local); });
    }

  private:
    Owner& owner_;
    List participants_;
};

} // namespace hotindex
