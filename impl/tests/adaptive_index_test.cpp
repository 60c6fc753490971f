// The adaptive index: when it changes its mode, and that a change loses and doubles nothing and waits for nobody. Which
// interleavings are right is checked in relacy/adaptive_model.cpp, and whole histories in stress/.
#include "catch.hpp"
#include "every_index.hpp"

#include <hotindex/adaptive/mode_policy.hpp>
#include <hotindex/adaptive_hot_vector_index.hpp>
#include <hotindex/backend/production.hpp>
#include <hotindex/backend/traits.hpp>
#include <hotindex/hot_vector_index.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {
using namespace hotindex;
using namespace hotindex::tests;

/// Looks whenever a thread has passed often enough, whatever the time.
struct EagerTraits : DefaultTraits {
    static constexpr std::int64_t mode_look_us = 0;
};
using Index = BasicAdaptiveHotVectorIndex<ProductionBackend, EagerTraits, std::mutex>;
using Policy = ModePolicy<DefaultTraits>;
using Advice = Policy::Advice;

Policy::Seen by_one_thread() {
    return {.passages = 1000, .busiest = 990, .replaced = 500};
}
Policy::Seen by_two_threads() {
    return {.passages = 1000, .busiest = 980, .replaced = 500};
}
Policy::Seen behind(std::uint64_t waited, bool closed = true) {
    return {.passages = 1000,
            .busiest = 500,
            .replaced = 500,
            .behind = 1000,
            .waited = waited,
            .us = 5000,
            .open = false,
            .closed = closed};
}
/// Looks until the advice is another than to stay; how many.
std::uint32_t looks_until(Policy& policy, const Policy::Seen& seen, SwitchReason reason, std::uint32_t most = 1000) {
    for (std::uint32_t n = 1; n <= most; ++n)
        if (const auto [advice, why] = policy.look(seen); advice != Advice::stay) {
            CHECK(why == reason);
            CHECK((advice == Advice::close) == (reason == SwitchReason::one_thread));
            return n;
        }
    return 0;
}
Vector row_of(int value) {
    return {static_cast<float>(value), 1, 2};
}
std::uint64_t all_switches(const ModeStats& stats) {
    std::uint64_t n = 0;
    for (const std::uint64_t of_reason : stats.switches)
        n += of_reason;
    return n;
}
} // namespace

TEST_CASE("one thread that does nearly everything leads to traditional mode, after a few looks", "[adaptive]") {
    Policy policy;
    for (std::uint32_t i = 1; i != DefaultTraits::mode_calm_looks; ++i)
        CHECK(policy.look(by_one_thread()).advice == Advice::stay);
    CHECK(policy.look(by_two_threads()).advice == Advice::stay); // from the beginning again
    CHECK(looks_until(policy, by_one_thread(), SwitchReason::one_thread) == DefaultTraits::mode_calm_looks);
    Policy idle;
    CHECK(looks_until(idle, {}, SwitchReason::one_thread) == 0);
    Policy crowded;
    CHECK(looks_until(crowded, by_two_threads(), SwitchReason::one_thread) == 0);
    Policy reader;
    Policy::Seen reads = by_one_thread();
    reads.replaced = reads.passages / DefaultTraits::mode_replaced - 1;
    CHECK(looks_until(reader, reads, SwitchReason::one_thread) == 0);
}

TEST_CASE("threads that wait for the mutex lead to lock-free mode", "[adaptive]") {
    Policy policy;
    CHECK(looks_until(policy, behind(1000 / DefaultTraits::mode_waits - 1), SwitchReason::waits) == 0);
    CHECK(looks_until(policy, behind(1000 / DefaultTraits::mode_waits + 1), SwitchReason::waits) ==
          DefaultTraits::mode_busy_looks);
    Policy few_that_take_long;
    Policy::Seen long_waits = behind(1);
    long_waits.waited_us = long_waits.us / static_cast<std::int64_t>(DefaultTraits::mode_waits) - 1;
    CHECK(looks_until(few_that_take_long, long_waits, SwitchReason::waits) == 0);
    long_waits.waited_us += 2;
    CHECK(looks_until(few_that_take_long, long_waits, SwitchReason::waits) == DefaultTraits::mode_busy_looks);
}

TEST_CASE("a thread that only reads goes back to lock-free mode", "[adaptive]") {
    Policy policy;
    Policy::Seen reads = behind(0);
    reads.replaced = reads.passages / DefaultTraits::mode_replaced / 4 + 1;
    CHECK(looks_until(policy, reads, SwitchReason::reads) == 0);
    reads.replaced = 0;
    CHECK(looks_until(policy, reads, SwitchReason::reads) == DefaultTraits::mode_calm_looks);
}

TEST_CASE("a load that misleads is followed more and more seldom, and forgiven in time", "[adaptive]") {
    Policy policy;
    std::uint32_t last = 0;
    for (int i = 0; i != 12; ++i) {
        const std::uint32_t looks = looks_until(policy, by_one_thread(), SwitchReason::one_thread);
        CHECK(looks >= last);
        CHECK(looks <= DefaultTraits::mode_most_calm_looks);
        last = looks;
        CHECK(looks_until(policy, behind(500), SwitchReason::waits) == DefaultTraits::mode_busy_looks);
    }
    CHECK(last == DefaultTraits::mode_most_calm_looks);
    // As long as the longest one is, that it settles within a second.
    CHECK(DefaultTraits::mode_most_calm_looks * DefaultTraits::mode_look_us < 1'000'000);
    CHECK(looks_until(policy, by_one_thread(), SwitchReason::one_thread) != 0);
    CHECK(looks_until(policy, behind(0), SwitchReason::waits, 10 * DefaultTraits::mode_most_calm_looks) == 0);
    CHECK(looks_until(policy, behind(500), SwitchReason::waits) != 0);
    CHECK(looks_until(policy, by_one_thread(), SwitchReason::one_thread) == DefaultTraits::mode_calm_looks);
}

TEST_CASE("an operation that never ends leads back to lock-free mode", "[adaptive]") {
    Policy policy;
    CHECK(looks_until(policy, by_one_thread(), SwitchReason::one_thread) == DefaultTraits::mode_calm_looks);
    CHECK(looks_until(policy, behind(0, false), SwitchReason::straggler) == DefaultTraits::mode_patient_looks);
    CHECK(looks_until(policy, by_one_thread(), SwitchReason::one_thread) == DefaultTraits::mode_most_calm_looks);
}

TEST_CASE("a thread by itself gets to overwrite, and its user can say otherwise", "[adaptive]") {
    Index index(options_of(3));
    CHECK_FALSE(index.mode_stats().traditional);
    constexpr int adds = 2 * EagerTraits::mode_look_passages * EagerTraits::mode_calm_looks;
    for (int i = 0; i != adds; ++i)
        index.add_vector("a", row_of(i));
    ModeStats stats = index.mode_stats();
    CHECK(stats.traditional);
    CHECK(stats.alone);
    CHECK(stats.switched(SwitchReason::one_thread) == 1);
    CHECK(stats.in_place > 0);
    CHECK(index.get_vector("a") == row_of(adds - 1));

    index.set_mode(IndexMode::lock_free);
    stats = index.mode_stats();
    CHECK_FALSE(stats.traditional);
    CHECK(stats.wanted == IndexMode::lock_free);
    CHECK(stats.switched(SwitchReason::by_hand) == 1);
    for (int i = 0; i != adds; ++i)
        index.add_vector("a", row_of(i));
    CHECK(index.mode_stats().in_place == stats.in_place);
    CHECK_FALSE(index.mode_stats().traditional);

    index.set_mode(IndexMode::traditional);
    CHECK(index.mode_stats().alone); // nobody is inside
    index.set_mode(IndexMode::traditional);
    CHECK(index.mode_stats().switched(SwitchReason::by_hand) == 2); // it was already
    index.set_mode(IndexMode::automatic);
    CHECK(index.mode_stats().traditional);
    CHECK(name_of(SwitchReason::one_thread) == "one thread");
}

TEST_CASE("in any order of modes the index answers as the traditional one does, to the last bit", "[adaptive]") {
    const IndexOptions options = options_of(5, Metric::cosine);
    Index index(options);
    HotVectorIndex<std::mutex> other(options);
    std::mt19937 random(7);
    const auto row = [&] {
        Vector r(5);
        for (float& x : r)
            x = static_cast<float>(random() % 1000) - 500.5F;
        return r;
    };
    for (int i = 0; i != 4000; ++i) {
        if (random() % 16 == 0)
            index.set_mode(random() % 2 == 0 ? IndexMode::traditional : IndexMode::lock_free);
        const std::string id = numbered("v", random() % 60);
        switch (random() % 4) {
        case 0:
            REQUIRE(index.remove_vector(id) == other.remove_vector(id));
            break;
        case 1: {
            const Vector query = row();
            REQUIRE(index.search(query, 7) == other.search(query, 7));
            break;
        }
        default: {
            const Vector r = row();
            REQUIRE(index.add_vector(id, r) == other.add_vector(id, r));
            REQUIRE(index.get_vector(id) == r);
        }
        }
        REQUIRE(index.size() == other.size());
    }
    CHECK(index.mode_stats().in_place > 100);
}

TEST_CASE("a change of mode waits for no operation, and nobody overwrites beside one", "[adaptive]") {
    Index index(options_of(3));
    index.add_vector("a", row_of(1));
    std::atomic<bool> inside = false;
    std::atomic<bool> leave = false;
    std::thread searcher([&] {
        (void)index.search(row_of(1), 1, [&](std::string_view) {
            inside = true;
            while (!leave)
                std::this_thread::yield();
            return true;
        });
    });
    while (!inside)
        std::this_thread::yield();
    index.set_mode(IndexMode::traditional);
    CHECK(index.add_vector("a", row_of(2)) == AddOutcome::replaced);
    CHECK(index.get_vector("a") == row_of(2));
    CHECK(index.search(row_of(1), 1).size() == 1);
    ModeStats stats = index.mode_stats();
    CHECK(stats.traditional);
    CHECK_FALSE(stats.alone);
    CHECK(stats.in_place == 0);
    leave = true;
    searcher.join();
    index.add_vector("a", row_of(3));
    stats = index.mode_stats();
    CHECK(stats.alone);
    CHECK(stats.in_place == 1);
    CHECK(index.get_vector("a") == row_of(3));
}

TEST_CASE("thousands of changes lose and double nothing", "[adaptive]") {
    Index index(options_of(3, Metric::inner_product));
    constexpr int rounds = 1500;
    constexpr std::size_t team = 3;
    std::atomic<int> wrong = 0;
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t != team; ++t)
        threads.emplace_back([&, t] {
            const std::string mine = numbered("mine-", t);
            for (int i = 1; i <= rounds; ++i) {
                const Vector row = row_of(i);
                index.set_mode(i % 2 == 0 ? IndexMode::traditional : IndexMode::lock_free);
                const bool fresh = i % 10 == 1;
                wrong += index.add_vector(mine, row) == (fresh ? AddOutcome::inserted : AddOutcome::replaced) ? 0 : 1;
                wrong += index.get_vector(mine) == row ? 0 : 1;
                std::size_t found = 0;
                for (const Match& m : index.search(Vector{1, 0, 0}, 10))
                    if (m.id == mine) {
                        ++found;
                        wrong += m.score == row[0] ? 0 : 1;
                    }
                wrong += found == 1 ? 0 : 1;
                if (i % 10 == 0)
                    wrong += index.remove_vector(mine) ? 0 : 1;
            }
        });
    for (std::thread& thread : threads)
        thread.join();
    CHECK(wrong == 0);
    CHECK(index.size() == 0);
    CHECK(all_switches(index.mode_stats()) > 1000);
    CHECK(index.drain());
}

TEST_CASE("threads that have used an adaptive index end before it and after it", "[adaptive]") {
    std::atomic<bool> end = false;
    std::atomic<int> done = 0;
    std::thread later;
    {
        Index index(options_of(3));
        std::thread([&] {
            index.add_vector("a", row_of(1));
            index.remove_vector("a");
        }).join();
        later = std::thread([&] {
            index.add_vector("b", row_of(2));
            ++done;
            while (!end)
                std::this_thread::yield();
        });
        while (done == 0)
            std::this_thread::yield();
        // The thread that has ended has left nothing behind, and the next one takes its place over.
        std::thread([&] { index.add_vector("c", row_of(3)); }).join();
        index.set_mode(IndexMode::traditional);
        CHECK(index.mode_stats().alone);
        CHECK(index.size() == 2);
    }
    end = true;
    later.join();
}
