// Bounded garbage: what waits to be used again while searches stand still for ever is what they see, and little else.
#include "catch.hpp"
#include "checkers/history.hpp"
#include "harness/stopped_thread.hpp"
#include "harness/subject.hpp"
#include "measures/garbage.hpp"

#include <hotindex/lock_free_hot_vector_index.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace {
using namespace hotindex;
using namespace hotindex::stress;

void perform(Session& session, Operation operation, Id id, Value value = 0) {
    Call call;
    call.operation = operation;
    call.id = id;
    call.value = value;
    session.perform(call);
}
} // namespace

TEST_CASE("searches that stand still keep what they see, however many updates follow", "[garbage]") {
    for (const std::size_t stopped : {0u, 1u, 4u}) {
        const GarbageRun run = measure_garbage({.vectors = 200, .dimension = 8, .stopped = stopped, .updates = 20'000});
        CHECK(run.missed == 0);
        CHECK(run.over == 0);
        CHECK(run.wrong == 0);
        CHECK(run.drained);
        // They do keep it: at their end nearly all that they see has been replaced.
        std::size_t kept = 0;
        for (const GarbageSample& s : run.samples)
            kept = std::max<std::size_t>(kept, s.limbo.kept_objects);
        CHECK(kept >= stopped * 200);
    }
}

TEST_CASE("the same measurement refuses a thread that stands still while it is pinned", "[garbage]") {
    const GarbageRun run = measure_garbage(
        {.vectors = 200, .dimension = 8, .stopped = 1, .inside = Operation::get, .step = 5, .updates = 20'000});
    CHECK(run.missed == 0);
    CHECK(run.over > 10);
    CHECK(run.wrong == 0);
    CHECK(run.drained); // it has gone on
}

TEST_CASE("several threads update beside snapshots: after a drain nothing waits but what these see", "[garbage]") {
    constexpr std::size_t dimension = 4;
    constexpr Id ids = 100;
    LockFreeHotVectorIndex index(IndexOptions{.dimension = dimension, .metric = Metric::inner_product});
    for (Id id = 0; id != ids; ++id)
        index.add_vector(name_of_id(id), row_of(id + 1, dimension));
    const auto update = [&index](Id thread) {
        for (std::size_t i = 0; i != 4000; ++i) {
            const auto id = static_cast<Id>((i * 7 + thread) % ids);
            if (i % 6 == 0)
                (void)index.remove_vector(name_of_id(id));
            else
                index.add_vector(name_of_id(id), row_of(static_cast<Value>(1000 + i), dimension));
            if (i % 50 == 0)
                (void)index.snapshot().size(); // a short one, beside those that stay
        }
    };
    {
        std::vector<LockFreeHotVectorIndex::Snapshot> held;
        std::size_t seen = 0;
        for (int round = 0; round != 3; ++round) {
            held.push_back(index.snapshot());
            seen += 2 * held.back().size();
            std::vector<std::thread> threads; // they end, and what they kept finds another owner
            for (Id t = 0; t != 3; ++t)
                threads.emplace_back(update, t);
            for (auto& t : threads)
                t.join();
            CHECK_FALSE(index.drain());
            CHECK(index.epoch_stats().limbo_objects <= seen);
        }
        CHECK(index.open_snapshots() == 3);
    }
    CHECK(index.drain());
    CHECK(index.epoch_stats().limbo_objects == 0);
}

TEST_CASE("a search may stand still before any of its steps", "[garbage]") {
    constexpr std::size_t dimension = 4;
    constexpr Id ids = 7;
    bool stops = true;
    std::size_t answered_from_then = 0;
    for (std::size_t step = 0; stops; ++step) {
        const auto subject = make_tiny_subject(history_options(dimension));
        const auto session = subject->join();
        std::vector<Value> state;
        for (Id id = 0; id != ids; ++id) {
            perform(*session, Operation::add, id, id + 1);
            state.push_back(id + 1);
        }
        const std::uint64_t tick = session->tick();
        Call search;
        search.operation = Operation::search;
        search.most = ids;
        {
            const StoppedThread thread(step, [&](StepListener& listener) {
                const auto own = subject->join();
                const Listening listening(listener);
                own->perform(search);
            });
            stops = thread.where().has_value();
            std::size_t most = 0;
            for (Value i = 0; i != 300; ++i) {
                const Id id = i % ids;
                if (i % 5 == 0)
                    perform(*session, Operation::remove, id);
                perform(*session, Operation::add, id, 100 + i);
                most = std::max<std::size_t>(most, subject->epoch_stats().limbo_objects);
            }
            // An update retires three objects at most (slot, entry, block), and every retire tries to advance: what
            // waits is of the last four epochs, and of a remove and an add in each.
            CHECK(most <= 2 * (2 * ids) + 4 * 2 * 3);
        }
        if (search.stamp == tick) { // it had announced its time
            CHECK(search.found == best_of(state, search.query, ids, dimension));
            ++answered_from_then;
        }
        CHECK(session->drain());
        REQUIRE(step < 1000);
    }
    CHECK(answered_from_then > 20);
}
