// The traditional index, as what a progress check must refuse and the other checks must accept; behind a mutex, and
// behind one that is elided by transactions in software.
#include "harness/serial_transactions.hpp"
#include "harness/subject_of.hpp"

#include <hotindex/backend/traits.hpp>
#include <hotindex/elision/elided_mutex.hpp>
#include <hotindex/hot_vector_index.hpp>

#include <mutex>
#include <thread>

namespace hotindex::stress {

namespace {
/// A mutex whose waiting a StepListener hears: one step for each attempt, and one before it is given back.
class HeardMutex {
  public:
    void lock() {
        StressBackend::hear(Step::lock, edge::unnamed);
        while (!mutex_.try_lock()) {
            StressBackend::hear(Step::lock, edge::unnamed);
            std::this_thread::yield();
        }
    }
    bool try_lock() { return mutex_.try_lock(); }
    void unlock() {
        StressBackend::hear(Step::store, edge::unnamed);
        mutex_.unlock();
    }

  private:
    std::mutex mutex_;
};
using HeardElidedMutex = BasicElidedMutex<StressBackend, TinyTraits, SerialTransactions<HeardMutex>, HeardMutex>;
} // namespace

std::unique_ptr<Subject> make_locked_subject(IndexOptions options) {
    return std::make_unique<IndexSubject<HotVectorIndex<HeardMutex>>>(std::move(options));
}

std::unique_ptr<Subject> make_elided_subject(IndexOptions options) {
    return std::make_unique<IndexSubject<HotVectorIndex<HeardElidedMutex>>>(std::move(options));
}

} // namespace hotindex::stress
