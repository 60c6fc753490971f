#include "harness/random_calls.hpp"

#include <algorithm>
#include <iterator>
#include <memory>
#include <numeric>
#include <random>
#include <thread>
#include <utility>
#include <vector>

namespace hotindex::stress {

namespace {

/// One thread of a play.
class Player {
  public:
    Player(Subject& subject, const Plan& plan, std::size_t thread, Lane& lane)
        : subject_(subject), plan_(plan), thread_(thread), lane_(lane), random_(plan.seed * 7919 + thread),
          adds_(plan.ids, 0) {}

    void run() {
        session_ = subject_.join();
        for (std::size_t i = 0; i != plan_.calls; ++i) {
            if (plan_.calls_of_a_session != 0 && i % plan_.calls_of_a_session == plan_.calls_of_a_session - 1) {
                drop();
                session_.reset();
                session_ = subject_.join();
            }
            one_call();
        }
        drop();
        session_.reset();
    }

  private:
    std::uint64_t draw(std::uint64_t below) { return random_() % below; }

    void one_call() {
        if (held_ != nullptr && draw(4) == 0)
            drop();
        Call call;
        std::uint64_t at = draw(std::accumulate(plan_.weights.begin(), plan_.weights.end(), std::uint64_t{0}));
        std::size_t operation = 0;
        while (at >= plan_.weights[operation])
            at -= plan_.weights[operation++];
        call.operation = static_cast<Operation>(operation);
        call.id = static_cast<Id>(draw(plan_.ids));
        if (call.operation == Operation::add)
            call.value = static_cast<Value>(adds_[call.id]++ * (plan_.threads + 1) + thread_ + 2);
        if (call.operation == Operation::search)
            return search(call);
        noted(std::move(call), [this](Call& c) { session_->perform(c); });
    }

    void search(Call call) {
        call.id = 0;
        call.query = static_cast<Query>(draw(query_count));
        call.most = draw(2) == 0 ? plan_.ids + 1 : static_cast<std::uint32_t>(1 + draw(plan_.most));
        const std::uint64_t way = plan_.batches_and_snapshots && subject_.has_versions() ? draw(4) : 3;
        if (way == 0)
            return batch(std::move(call));
        if (way == 1 && held_ == nullptr) {
            // Every search on it is a call that began before the snapshot was taken and ended after.
            held_since_ = fenced_clock();
            held_from_tick_ = tick();
            held_ = session_->hold();
            held_until_tick_ = tick();
            held_until_ = fenced_clock();
        }
        if (held_ == nullptr)
            return noted(std::move(call), [this](Call& c) { session_->perform(c); });
        call.thread = static_cast<std::uint32_t>(thread_);
        held_->perform(call);
        call.begin = held_since_;
        call.end = held_until_;
        call.first_tick = held_from_tick_;
        call.last_tick = held_until_tick_;
        lane_.calls().push_back(std::move(call));
    }

    void batch(Call call) {
        std::vector<Call> calls(1 + draw(3), call);
        for (Call& c : calls) {
            c.query = static_cast<Query>(draw(query_count));
            c.thread = static_cast<std::uint32_t>(thread_);
        }
        const std::uint64_t begin = fenced_clock();
        const std::uint64_t first = tick();
        session_->perform_batch(calls);
        const std::uint64_t last = tick();
        const std::uint64_t end = fenced_clock();
        for (Call& c : calls) {
            c.begin = begin, c.end = end, c.first_tick = first, c.last_tick = last;
            lane_.calls().push_back(std::move(c));
        }
    }

    template <class Work>
    void noted(Call call, Work work) {
        lane_.record(std::move(call), [&](Call& c) {
            c.first_tick = tick();
            work(c);
            c.last_tick = tick();
        });
    }

    std::uint64_t tick() {
        if (!plan_.ticks)
            return 0;
        StepListener* const listener = std::exchange(step_listener, nullptr); // this load is no step of the index
        const std::uint64_t now = session_->tick();
        step_listener = listener;
        return now;
    }
    void drop() { held_.reset(); }

    Subject& subject_;
    const Plan& plan_;
    std::size_t thread_;
    Lane& lane_;
    std::mt19937_64 random_;
    std::vector<std::uint64_t> adds_; ///< of each id by this thread
    std::unique_ptr<Session> session_;
    std::unique_ptr<HeldSnapshot> held_;
    std::uint64_t held_since_ = 0;
    std::uint64_t held_until_ = 0;
    std::uint64_t held_from_tick_ = 0;
    std::uint64_t held_until_tick_ = 0;
};

} // namespace

PlanWithStops plan_with_stops(std::uint64_t seed) {
    std::mt19937_64 random(seed);
    Plan plan;
    plan.seed = seed;
    plan.threads = 2 + random() % 2;
    plan.calls = 30;
    plan.ids = static_cast<Id>(1 + random() % 3);
    plan.present = plan.ids;
    constexpr std::array<std::uint32_t, operation_count> mixes[] = {{4, 3, 2, 1, 3}, {4, 1, 4, 0, 0}, {4, 2, 0, 0, 3}};
    plan.weights = mixes[random() % std::size(mixes)];
    constexpr edge usual[] = {edge::entry_current, edge::slot_birth,       edge::slot_death, edge::version_clock,
                              edge::snapshot_end,  edge::snapshot_decided, edge::epoch_pin,  edge::unnamed};
    const bool anywhere = random() % 4 == 0;
    std::vector<StoppingPlace> places;
    for (int i = 0; i != 2; ++i)
        places.push_back({anywhere ? static_cast<edge>(random() % edge_count) : usual[random() % std::size(usual)],
                          static_cast<StoppingPlace::Which>(random() % 3)});
    return {plan, places};
}

History play(Subject& subject, const Plan& plan, Schedule* schedule) {
    History history;
    history.dimension = subject.dimension();
    history.start.assign(plan.ids, 0);
    Recorder recorder(plan.threads + 1);
    Lane& last_lane = recorder.lane(plan.threads);
    {
        const auto session = subject.join();
        for (Id id = 0; id != std::min<std::size_t>(plan.present, plan.ids); ++id) {
            Call call;
            call.id = id;
            call.operation = Operation::add;
            call.value = history.start[id] = 1;
            session->perform(call);
        }
    }
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t != plan.threads; ++t)
        threads.emplace_back([&, t] {
            Player player(subject, plan, t, recorder.lane(t));
            if (schedule != nullptr)
                schedule->enter(t);
            player.run();
            if (schedule != nullptr)
                schedule->leave(t);
        });
    for (auto& t : threads)
        t.join();
    const auto session = subject.join();
    const auto look = [&](Call call) {
        last_lane.record(std::move(call), [&](Call& c) {
            c.first_tick = session->tick();
            session->perform(c);
            c.last_tick = session->tick();
        });
    };
    for (Id id = 0; id != plan.ids; ++id) {
        Call call;
        call.id = id;
        look(call);
    }
    if (plan.weights[static_cast<std::size_t>(Operation::search)] != 0) {
        Call call;
        call.operation = Operation::search;
        call.most = plan.ids + 1;
        look(call);
    }
    history.calls = recorder.take();
    return history;
}

} // namespace hotindex::stress
