// The traditional index, as what a progress check must refuse and the other checks must accept.
#include "harness/subject_of.hpp"

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
} // namespace

std::unique_ptr<Subject> make_locked_subject(IndexOptions options) {
    return std::make_unique<IndexSubject<HotVectorIndex<HeardMutex>>>(std::move(options));
}

} // namespace hotindex::stress
