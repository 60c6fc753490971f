#include "measures/garbage.hpp"

#include "harness/stopped_thread.hpp"

#include <hotindex/backend/traits.hpp>

#include <algorithm>
#include <memory>
#include <random>
#include <utility>

namespace hotindex::stress {

namespace {

Call call_of(Operation operation, Id id, Value value = 0) {
    Call call;
    call.operation = operation;
    call.id = id;
    call.value = value;
    return call;
}

/// One thread that updates, and the state that follows from what it did.
class Updater {
  public:
    Updater(Subject& subject, std::size_t vectors) : session_(subject.join()), state_(vectors, 0) {
        for (Id id = 0; id != vectors; ++id)
            add(id);
    }
    /// Nine in ten replace; the others remove, and put back what the one before removed.
    void update() {
        if (removed_) {
            add(std::exchange(hole_, 0));
            removed_ = false;
            return;
        }
        const auto id = static_cast<Id>(random_() % state_.size());
        if (random_() % 10 != 0)
            return add(id);
        Call call = call_of(Operation::remove, id);
        session_->perform(call);
        state_[id] = 0;
        hole_ = id;
        removed_ = true;
    }
    [[nodiscard]] const std::vector<Value>& state() const noexcept { return state_; }
    [[nodiscard]] std::size_t present() const {
        return state_.size() - static_cast<std::size_t>(std::count(state_.begin(), state_.end(), Value{0}));
    }
    [[nodiscard]] bool drain() { return session_->drain(); }

  private:
    void add(Id id) {
        value_ = value_ % most_value + 1;
        Call call = call_of(Operation::add, id, value_);
        session_->perform(call);
        state_[id] = value_;
    }

    std::unique_ptr<Session> session_;
    std::vector<Value> state_;
    std::mt19937 random_{1};
    Value value_ = 0;
    Id hole_ = 0;
    bool removed_ = false;
};

/// A thread that stops inside a call, and what that call must answer when it goes on.
struct Stop {
    Stop(Subject& subject, const GarbagePlan& plan, const Updater& updater)
        : state(updater.state()), present(updater.present()), call(call_of(plan.inside, 0)) {
        call.most = static_cast<std::uint32_t>(plan.vectors);
        thread = std::make_unique<StoppedThread>(plan.step, [this, &subject](StepListener& listener) {
            const auto session = subject.join();
            const Listening listening(listener);
            session->perform(call);
        });
    }
    std::vector<Value> state;
    std::size_t present;
    Call call;
    std::unique_ptr<StoppedThread> thread;
};

/// What one thread that updates leaves in limbo: of three epochs, and in its open bag; the retires' weights come to no
/// more than one advance in each.
constexpr std::size_t last_epochs = std::size_t{4} * DefaultTraits::retires_per_advance;

} // namespace

GarbageRun measure_garbage(const GarbagePlan& plan, const std::function<void(const GarbageSample&)>& each) {
    GarbageRun run;
    const auto subject = make_shipped_subject(history_options(plan.dimension));
    Updater updater(*subject, plan.vectors);
    std::vector<std::unique_ptr<Stop>> stops;
    const auto sample = [&](std::size_t updates) {
        GarbageSample s{.updates = updates, .stopped = stops.size(), .limbo = subject->epoch_stats()};
        for (const auto& stop : stops)
            s.seen += 2 * stop->present;
        s.bound = 2 * s.seen + last_epochs;
        // After the searches have ended, what was kept for them goes as the updates go on.
        if (stops.empty() && !run.samples.empty())
            s.bound += 2 * run.samples.back().seen;
        run.over += s.limbo.limbo_objects > s.bound ? 1 : 0;
        run.samples.push_back(s);
        if (each)
            each(s);
    };
    const auto go_on = [&] {
        for (const auto& stop : stops) {
            stop->thread.reset();
            if (plan.inside == Operation::search) // a get may take place after it has gone on
                run.wrong +=
                    stop->call.found == best_of(stop->state, stop->call.query, plan.vectors, plan.dimension) ? 0 : 1;
        }
        stops.clear();
    };
    std::size_t stopped = 0;
    for (std::size_t i = 0; i != plan.updates; ++i) {
        while (stopped != plan.stopped && i >= stopped * plan.updates / (2 * plan.stopped)) {
            stops.push_back(std::make_unique<Stop>(*subject, plan, updater));
            run.missed += stops.back()->thread->where() ? 0 : 1;
            ++stopped;
        }
        if (i % std::max<std::size_t>(1, plan.updates / plan.samples) == 0)
            sample(i);
        if (i == plan.updates / 10 * 9)
            go_on();
        updater.update();
    }
    sample(plan.updates);
    go_on();
    run.drained = updater.drain() && subject->epoch_stats().limbo_objects == 0;
    GarbageSample last{.updates = plan.updates, .limbo = subject->epoch_stats()};
    run.samples.push_back(last);
    if (each)
        each(last);
    return run;
}

} // namespace hotindex::stress
