// SpinLock: what std::mutex is to the structures that take one.
#pragma once

#include "checker_backend.hpp"

namespace hotindex::model {

class SpinLock {
    using B = CheckerBackend;

  public:
    SpinLock() : held_(0) {}
    void lock() {
        while (!try_lock())
            B::pause();
    }
    [[nodiscard]] bool try_lock() { return held_.exchange(1, B::acquire(edge::unnamed)) == 0; }
    void unlock() { held_.store(0, B::release(edge::unnamed)); }

  private:
    B::atomic<int> held_;
};

} // namespace hotindex::model
