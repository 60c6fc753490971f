#include "harness/schedule.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <utility>

namespace hotindex::stress {

// ---- disturbed ----

struct DisturbedSchedule::Disturber final : StepListener {
    Disturber(std::uint64_t seed, std::uint32_t one_in) : random(seed), yield_one_in(one_in) {}
    void before(Step) override {
        ++steps;
        const std::uint64_t drawn = random();
        if (drawn % yield_one_in != 0)
            return;
        // Where other programs keep the processors busy, a yield takes milliseconds, and they disturb enough by
        // themselves: on average a disturbance is to take no longer than this.
        constexpr std::chrono::microseconds usual(100);
        if (owed >= usual) {
            owed -= usual;
            return;
        }
        const auto begin = std::chrono::steady_clock::now();
        if (drawn / yield_one_in % 16 == 0)
            std::this_thread::sleep_for(std::chrono::microseconds(20));
        else
            std::this_thread::yield();
        owed += std::chrono::steady_clock::now() - begin;
    }
    std::mt19937_64 random;
    std::uint32_t yield_one_in;
    std::uint64_t steps = 0;
    std::chrono::steady_clock::duration owed{0};
};

DisturbedSchedule::DisturbedSchedule(std::size_t threads, std::uint64_t seed, std::uint32_t yield_one_in) {
    for (std::size_t t = 0; t != threads; ++t)
        disturbers_.push_back(std::make_unique<Disturber>(seed * 1'000'003 + t, yield_one_in));
}
DisturbedSchedule::~DisturbedSchedule() = default;
void DisturbedSchedule::enter(std::size_t thread) {
    step_listener = disturbers_[thread].get();
}
void DisturbedSchedule::leave(std::size_t) {
    step_listener = nullptr;
}
std::uint64_t DisturbedSchedule::steps() const {
    std::uint64_t sum = 0;
    for (const auto& d : disturbers_)
        sum += d->steps;
    return sum;
}

// ---- controlled ----

struct ControlledSchedule::Worker final : StepListener {
    Worker(ControlledSchedule& s, std::size_t n) : schedule(s), number(n) {}
    void before(Step step) override {
        const bool here = std::ranges::any_of(schedule.places_, [step](const auto& p) { return p.includes(step); });
        const bool was = std::exchange(was_there, here);
        schedule.decide(number, false, here || was);
    }
    ControlledSchedule& schedule;
    std::size_t number;
    std::int64_t priority = 0;
    bool was_there = false;         ///< the step before was at a stopping place
    std::uint64_t asleep_until = 0; ///< a step
    bool running = true;            ///< has not left
    Signal turn;
};

ControlledSchedule::ControlledSchedule(std::size_t threads, std::uint64_t seed, std::uint64_t expected_steps,
                                       std::vector<StoppingPlace> places)
    : random_(seed * 0x9E37'79B9'7F4A'7C15u + 1), places_(std::move(places)), grain_(0), missing_(threads) {
    constexpr std::uint32_t grains[] = {2, 8, 32, 128, 0, 0, 0, 0};
    grain_ = grains[random_() % 8];
    if (!places_.empty()) {
        constexpr std::uint32_t rates[] = {2, 4, 16, 64};
        grain_ = 0;
        stop_one_in_ = rates[random_() % 4];
    }
    std::vector<std::int64_t> priorities;
    for (std::size_t t = 0; t != threads; ++t) {
        workers_.push_back(std::make_unique<Worker>(*this, t));
        priorities.push_back(static_cast<std::int64_t>(t) + 1);
    }
    for (std::size_t t = threads; t > 1; --t)
        std::swap(priorities[t - 1], priorities[random_() % t]);
    for (std::size_t t = 0; t != threads; ++t)
        workers_[t]->priority = priorities[t];
    const std::uint64_t changes = 1 + random_() % 6;
    for (std::uint64_t i = 0; i != changes; ++i)
        changes_.push_back(random_() % expected_steps);
}
ControlledSchedule::~ControlledSchedule() = default;

void ControlledSchedule::enter(std::size_t thread) {
    if (missing_.fetch_sub(1) == 1)
        workers_[random_() % workers_.size()]->turn.raise();
    workers_[thread]->turn.wait();
    step_listener = workers_[thread].get();
}

void ControlledSchedule::leave(std::size_t thread) {
    step_listener = nullptr;
    workers_[thread]->running = false;
    decide(thread, true, false);
}

std::size_t ControlledSchedule::awake(std::size_t me) {
    std::vector<std::size_t> awake;
    std::size_t next = me;
    for (std::size_t t = 0; t != workers_.size(); ++t) {
        const Worker& w = *workers_[t];
        if (w.running && w.asleep_until <= steps_)
            awake.push_back(t);
        if (w.running && (!workers_[next]->running || w.asleep_until < workers_[next]->asleep_until))
            next = t;
    }
    return awake.empty() ? next : awake[random_() % awake.size()];
}

std::size_t ControlledSchedule::choose(std::size_t me, bool ends, bool may_stop) {
    if (grain_ != 0) {
        if (!ends && random_() % grain_ != 0)
            return me;
        return awake(me);
    }
    if (!places_.empty()) {
        if (may_stop && random_() % stop_one_in_ == 0)
            workers_[me]->asleep_until = steps_ + (std::uint64_t{1} << random_() % 12);
        return ends || workers_[me]->asleep_until > steps_ ? awake(me) : me;
    }
    if (std::find(changes_.begin(), changes_.end(), steps_) != changes_.end())
        workers_[me]->priority = --lowest_;
    std::size_t best = me;
    for (std::size_t t = 0; t != workers_.size(); ++t)
        if (workers_[t]->running && (!workers_[best]->running || workers_[t]->priority > workers_[best]->priority))
            best = t;
    return best;
}

void ControlledSchedule::decide(std::size_t me, bool ends, bool may_stop) {
    constexpr std::uint64_t most_steps = 20'000'000;
    ++steps_;
    fingerprint_ = (fingerprint_ ^ me) * 0x100'0000'01B3u;
    if (steps_ > most_steps) {
        fmt::print(stderr, "no progress: {} steps\n", steps_);
        std::fflush(stderr);
        std::_Exit(no_progress_status);
    }
    const std::size_t next = choose(me, ends, may_stop);
    if (next == me)
        return;
    workers_[next]->turn.raise();
    if (!ends)
        workers_[me]->turn.wait();
}

} // namespace hotindex::stress
