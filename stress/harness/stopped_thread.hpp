// A thread that stops before one atomic operation of what it does, until it is let go.
#pragma once

#include "harness/schedule.hpp"
#include "harness/stress_backend.hpp"

#include <cstddef>
#include <optional>
#include <thread>
#include <utility>

namespace hotindex::stress {

/// While it lives, the listener hears the calling thread.
class Listening {
  public:
    explicit Listening(StepListener& listener) { step_listener = &listener; }
    Listening(const Listening&) = delete;
    Listening& operator=(const Listening&) = delete;
    ~Listening() { step_listener = nullptr; }
};

class StoppedThread {
  public:
    /// A new thread calls work(listener) and stops at step number `step`, from 0, that the listener hears there.
    /// Returns when the thread stands still, or has ended because there was no such step.
    template <class Work>
    StoppedThread(std::size_t step, Work work)
        : parker_(step), thread_([this, work = std::move(work)]() mutable {
              work(static_cast<StepListener&>(parker_));
              parker_.done();
          }) {
        where_ = parker_.wait();
    }
    StoppedThread(const StoppedThread&) = delete;
    StoppedThread& operator=(const StoppedThread&) = delete;
    /// Lets it go and waits for its end.
    ~StoppedThread() {
        parker_.let_go();
        thread_.join();
    }
    /// What it is about to do; nullopt when it has ended.
    [[nodiscard]] const std::optional<Step>& where() const noexcept { return where_; }

  private:
    class Parker final : public StepListener {
      public:
        explicit Parker(std::size_t at) : at_(at) {}
        void before(Step step) override {
            if (heard_++ != at_)
                return;
            where_ = step;
            arrived_.raise();
            let_go_.wait();
        }
        /// The thread has ended its work.
        void done() {
            if (heard_ <= at_)
                arrived_.raise();
        }
        /// Waits until the thread is parked or done; where it is parked.
        [[nodiscard]] std::optional<Step> wait() {
            arrived_.wait();
            return where_;
        }
        void let_go() { let_go_.raise(); }

      private:
        std::size_t at_;
        std::size_t heard_ = 0;
        std::optional<Step> where_;
        Signal arrived_;
        Signal let_go_;
    };

    std::optional<Step> where_;
    Parker parker_;
    std::thread thread_;
};

} // namespace hotindex::stress
