#include "measures/progress.hpp"

#include "checkers/linearizability.hpp"
#include "harness/stopped_thread.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <random>
#include <thread>
#include <tuple>
#include <utility>

namespace hotindex::stress {

namespace {

constexpr std::size_t dimension = 4;
constexpr Id ids = 6; // 0 to 2 are there at the start
constexpr std::uint64_t allowance = 1'000'000;
constexpr std::uint64_t allowance_of_a_lock =
    1000; // attempts, with a yield between them: whoever holds it stands still

struct NoProgress {};

/// Counts the steps of a call and ends it when they are too many.
class Allowance final : public StepListener {
  public:
    void before(Step step) override {
        ++steps_;
        if (step.kind == Step::lock && steps_ > allowance_of_a_lock)
            throw NoProgress(); // the wait for a mutex: nothing has been done yet
        if (steps_ <= allowance)
            return;
        fmt::print(stderr, "no progress: {} steps in one call, now a {} on {}\n", steps_, name_of(step.kind),
                   name_of(step.named));
        std::fflush(stderr);
        std::_Exit(ControlledSchedule::no_progress_status);
    }
    std::uint64_t restart() { return std::exchange(steps_, 0); }

  private:
    std::uint64_t steps_ = 0;
};

Call call_of(Operation operation, Id id, Value value = 0) {
    Call call;
    call.operation = operation;
    call.id = operation == Operation::search ? 0 : id;
    call.value = value;
    call.most = ids + 1;
    return call;
}

/// What the stopping thread does. `calls` are put into the history.
struct Victim {
    const char* name;
    std::vector<Call> calls;
    enum Way : std::uint8_t { alone, batch, snapshot, joining } way = alone;
};

std::vector<Victim> victims() {
    return {
        {"add that inserts", {call_of(Operation::add, 3, 1001)}},
        {"add that replaces", {call_of(Operation::add, 0, 1001)}},
        {"add after a remove", {call_of(Operation::remove, 1), call_of(Operation::add, 1, 1001)}},
        {"remove", {call_of(Operation::remove, 0)}},
        {"remove of nothing", {call_of(Operation::remove, 4)}},
        {"get", {call_of(Operation::get, 0)}},
        {"contains", {call_of(Operation::contains, 0)}},
        {"search", {call_of(Operation::search, 0)}},
        {"search_batch", {call_of(Operation::search, 0), call_of(Operation::search, 0)}, Victim::batch},
        {"search on a snapshot", {call_of(Operation::search, 0)}, Victim::snapshot},
        {"a thread that joins, adds and leaves", {call_of(Operation::add, 0, 1001)}, Victim::joining},
    };
}

void run_victim(Subject& subject, Session* session, const Victim& victim, Lane& lane) {
    switch (victim.way) {
    case Victim::alone:
        for (const Call& call : victim.calls)
            lane.record(call, [&](Call& c) { session->perform(c); });
        return;
    case Victim::joining: {
        const auto own = subject.join();
        for (const Call& call : victim.calls)
            lane.record(call, [&](Call& c) { own->perform(c); });
        return;
    }
    case Victim::batch: {
        std::vector<Call> calls = victim.calls;
        lane.record(calls[0], [&](Call& c) {
            session->perform_batch(calls);
            c.found = calls[0].found;
        });
        return;
    }
    case Victim::snapshot:
        lane.record(victim.calls[0], [&](Call& c) {
            if (const auto held = session->hold())
                held->perform(c);
            else
                session->perform(c);
        });
        return;
    }
}

/// A thread that stops at one step of its operation.
class Stopped : public StoppedThread {
  public:
    Stopped(Subject& subject, const Victim& victim, Lane& lane, std::size_t step)
        : StoppedThread(step, [&subject, &victim, &lane](StepListener& listener) {
              const auto session = victim.way == Victim::joining ? nullptr : subject.join();
              const Listening listening(listener);
              run_victim(subject, session.get(), victim, lane);
          }) {}
};

/// Calls of every kind, on the ids of the stopped thread and on others.
void others(Subject& subject, std::size_t rounds, Lane& lane, Stop& stop) {
    Allowance steps;
    const auto session = subject.join();
    const Listening listening(steps);
    Value value = 2000;
    const auto perform = [&](const Call& call) {
        steps.restart();
        lane.record(call, [&](Call& c) { session->perform(c); });
        stop.most_steps = std::max(stop.most_steps, steps.restart());
        ++stop.completed;
    };
    try {
        for (std::size_t round = 0; round != rounds; ++round)
            for (const Id id : {Id{0}, Id{1}, Id{3}, Id{4}, static_cast<Id>(round % ids)}) {
                perform(call_of(Operation::get, id));
                perform(call_of(Operation::add, id, ++value));
                perform(call_of(Operation::contains, id));
                perform(call_of(Operation::search, id));
                perform(call_of(Operation::add, id, ++value));
                perform(call_of(Operation::remove, id));
                perform(call_of(Operation::remove, id));
                perform(call_of(Operation::get, id));
            }
    } catch (const NoProgress&) {
        stop.blocked = true;
    }
}

std::unique_ptr<Subject> prepared(std::unique_ptr<Subject> (*make)(IndexOptions), History& history) {
    auto subject = make(history_options(dimension));
    history.dimension = dimension;
    history.start.assign(ids, 0);
    const auto session = subject->join();
    for (Id id = 0; id != 3; ++id) {
        Call call = call_of(Operation::add, id, id + 1);
        session->perform(call);
        history.start[id] = id + 1;
    }
    return subject;
}

} // namespace

std::size_t ProgressReport::blocked() const {
    return static_cast<std::size_t>(std::count_if(stops.begin(), stops.end(), [](const Stop& s) { return s.blocked; }));
}
std::size_t ProgressReport::wrong() const {
    return static_cast<std::size_t>(std::count_if(stops.begin(), stops.end(), [](const Stop& s) { return s.wrong; }));
}
std::uint64_t ProgressReport::completed() const {
    std::uint64_t sum = 0;
    for (const Stop& s : stops)
        sum += s.completed;
    return sum;
}
std::uint64_t ProgressReport::most_steps() const {
    std::uint64_t most = 0;
    for (const Stop& s : stops)
        most = std::max(most, s.most_steps);
    return most;
}

ProgressReport certify_progress(std::unique_ptr<Subject> (*make)(IndexOptions), std::size_t rounds,
                                std::uint64_t second_seed) {
    ProgressReport report;
    std::mt19937_64 random(second_seed);
    const std::vector<Victim> all = victims();
    for (const Victim& victim : all) {
        for (std::size_t step = 0;; ++step) {
            History history;
            const auto subject = prepared(make, history);
            Recorder recorder(3);
            Stop stop;
            stop.operation = victim.name;
            stop.step = step;
            bool parked = false;
            {
                const Stopped stopped(*subject, victim, recorder.lane(1), step);
                parked = stopped.where().has_value();
                stop.before = stopped.where().value_or(Step{});
                std::optional<Stopped> second;
                if (second_seed != 0)
                    second.emplace(*subject, all[random() % all.size()], recorder.lane(2), random() % 60);
                if (parked)
                    others(*subject, rounds, recorder.lane(0), stop);
            }
            if (!parked)
                break; // the operation has no such step
            history.calls = recorder.take();
            const Verdict verdict = check_linearizable(history);
            stop.wrong = verdict.kind != Verdict::linearizable;
            if (stop.wrong)
                fmt::print(stderr, "{}\n", stress::report(history, verdict));
            report.stops.push_back(std::move(stop));
        }
    }
    return report;
}

std::uint64_t steps_of_a_disturbed_search(std::size_t vectors, std::size_t updates, std::size_t most,
                                          bool on_snapshot) {
    /// Completes updates in the name of another participant before each step of its thread.
    class Disturber final : public StepListener {
      public:
        Disturber(Session& others, std::size_t among, std::size_t each, std::size_t all)
            : other_(others), vectors_(among), updates_(each), left_(all) {}
        void before(Step) override {
            ++steps;
            step_listener = nullptr;
            for (std::size_t i = 0; i != updates_ && left_ != 0; ++i, --left_) {
                const auto id = static_cast<Id>(next_++ % vectors_);
                Call call = call_of(next_ % 3 == 0 ? Operation::remove : Operation::add, id, 1);
                other_.perform(call);
            }
            step_listener = this;
        }
        std::uint64_t steps = 0;

      private:
        Session& other_;
        std::size_t vectors_;
        std::size_t updates_;
        std::size_t left_;
        std::uint64_t next_ = 0;
    };
    const auto subject = make_tiny_subject(history_options(dimension));
    const auto session = subject->join();
    const auto other = subject->join();
    for (std::size_t i = 0; i != vectors; ++i) {
        Call call = call_of(Operation::add, static_cast<Id>(i), static_cast<Value>(i + 1));
        other->perform(call);
    }
    Disturber disturber(*other, vectors, updates, most);
    Call search = call_of(Operation::search, 0);
    const auto held = on_snapshot ? session->hold() : nullptr;
    const Listening listening(disturber);
    if (on_snapshot)
        held->perform(search);
    else
        session->perform(search);
    return disturber.steps;
}

std::string table_of(const ProgressReport& report) {
    struct Row {
        std::size_t stops = 0;
        std::uint64_t completed = 0;
        std::uint64_t most_steps = 0;
        std::size_t blocked = 0;
    };
    std::map<std::tuple<std::string, Step::Kind, edge>, Row> rows;
    for (const Stop& s : report.stops) {
        Row& row = rows[{s.operation, s.before.kind, s.before.named}];
        ++row.stops;
        row.completed += s.completed;
        row.most_steps = std::max(row.most_steps, s.most_steps);
        row.blocked += s.blocked ? 1 : 0;
    }
    std::string text = "| stopped in | before | stops | calls completed by others | most steps of one | blocked |\n"
                       "|---|---|--:|--:|--:|--:|\n";
    for (const auto& [key, row] : rows) {
        const auto& [operation, kind, named] = key;
        const std::string where = kind == Step::lock       ? "lock"
                                  : named == edge::unnamed ? fmt::format("{}, relaxed", name_of(kind))
                                                           : fmt::format("{} on {}", name_of(kind), name_of(named));
        text += fmt::format("| {} | {} | {} | {} | {} | {} |\n", operation, where, row.stops, row.completed,
                            row.most_steps, row.blocked);
    }
    text += fmt::format("| **all** | | **{}** | **{}** | **{}** | **{}** |\n", report.stops.size(), report.completed(),
                        report.most_steps(), report.blocked());
    return text;
}

} // namespace hotindex::stress
