// In the middle of an operation: what other threads do there, or that its thread stops there for ever. The operation's
// own thread does it, before the atomic operation that is named, so that nothing depends on timing.
#pragma once

#include "harness/stress_backend.hpp"

#include <cstddef>
#include <functional>
#include <utility>

namespace hotindex::tests {

using stress::Step;
using stress::StressBackend;

/// While it lives: calls `others` once, before the calling thread's first operation of that kind on that edge.
class Before final : public stress::StepListener {
  public:
    Before(Step::Kind kind, edge named, std::function<void()> others)
        : outer_(std::exchange(stress::step_listener, this)), kind_(kind), named_(named), others_(std::move(others)) {}
    Before(const Before&) = delete;
    Before& operator=(const Before&) = delete;
    ~Before() { stress::step_listener = outer_; }
    [[nodiscard]] bool happened() const noexcept { return happened_; }

    void before(Step step) override {
        if (happened_ || step.kind != kind_ || step.named != named_)
            return;
        happened_ = true;
        stress::step_listener = nullptr;
        others_();
        stress::step_listener = this;
    }

  private:
    stress::StepListener* outer_;
    Step::Kind kind_;
    edge named_;
    std::function<void()> others_;
    bool happened_ = false;
};

/// While it lives: calls `others` before each of the calling thread's atomic operations.
class BeforeEach final : public stress::StepListener {
  public:
    explicit BeforeEach(std::function<void()> others)
        : outer_(std::exchange(stress::step_listener, this)), others_(std::move(others)) {}
    BeforeEach(const BeforeEach&) = delete;
    BeforeEach& operator=(const BeforeEach&) = delete;
    ~BeforeEach() { stress::step_listener = outer_; }

    void before(Step) override {
        stress::step_listener = nullptr;
        others_();
        stress::step_listener = this;
    }

  private:
    stress::StepListener* outer_;
    std::function<void()> others_;
};

/// Ends the calling thread's work before its atomic operation number `at`, from 1.
class Abandoned final : public stress::StepListener {
  public:
    explicit Abandoned(std::size_t at) : outer_(std::exchange(stress::step_listener, this)), left_(at) {}
    Abandoned(const Abandoned&) = delete;
    Abandoned& operator=(const Abandoned&) = delete;
    ~Abandoned() { stress::step_listener = outer_; }

    struct Here {};
    void before(Step) override {
        if (--left_ == 0)
            throw Here{};
    }

  private:
    stress::StepListener* outer_;
    std::size_t left_;
};

/// Runs the work as a thread would that stops for ever before its atomic operation number `at`, from 1. False: it has
/// ended before that.
template <class Work>
[[nodiscard]] bool abandon(std::size_t at, Work work) {
    const Abandoned listener(at);
    try {
        work();
    } catch (Abandoned::Here) {
        return true;
    }
    return false;
}

/// The same, before the first operation of that kind on that edge.
template <class Work>
[[nodiscard]] bool abandon_before(Step::Kind kind, edge named, Work work) {
    const Before listener(kind, named, [] { throw Abandoned::Here{}; });
    try {
        work();
    } catch (Abandoned::Here) {
        return true;
    }
    return false;
}

} // namespace hotindex::tests
