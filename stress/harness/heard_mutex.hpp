// HeardMutex: a mutex whose waiting a StepListener hears.
#pragma once

#include "harness/stress_backend.hpp"

#include <mutex>
#include <thread>

namespace hotindex::stress {

/// One step for each attempt, and one before it is given back.
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

} // namespace hotindex::stress
