// Search as an atomic snapshot, looked for where it would break: self-checking vectors, invariants over several ids
// that every atomic state obeys, thread churn, snapshots held across updates. The traditional indexes run the same
// tests: what they must obey, the lock-free one must.
//
// The invariants need no oracle and no clock:
//   torn vectors      all floats of a row are equal, so a row made of two versions gives itself away in its score
//   one writer an id  the writer adds versions 1, 2, 3, ... of its id; a reader never sees an older one than before
//   a token           exactly one of two ids is present at any time but for one instant between add and remove: a
//                     search sees the first, both, or the second, never none
#include "catch.hpp"

#include <hotindex/hot_vector_index.hpp>
#include <hotindex/lock_free_hot_vector_index.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <vector>

namespace {
using namespace hotindex;

using MutexIndex = HotVectorIndex<std::mutex>;
using RwLockIndex = HotVectorIndex<std::shared_mutex>;

/// Ten times as long when HOTINDEX_DEEP is set.
int scaled(int n) {
    return std::getenv("HOTINDEX_DEEP") != nullptr ? n * 10 : n;
}

constexpr std::size_t dimension = 32;
const std::vector<float> ones(dimension, 1.0F);

std::vector<float> nth_version(int v) {
    return std::vector<float>(dimension, static_cast<float>(v));
}
/// The version that a score against `ones` under inner product belongs to; -1 for a torn vector.
int version_of(float score) {
    const float v = score / static_cast<float>(dimension);
    return v == std::floor(v) ? static_cast<int>(v) : -1;
}

/// std::shared_mutex lets readers that overlap starve a writer for minutes (seen under ThreadSanitizer): with that lock
/// a reader that must not do so has to pause.
template <class Index>
void let_writers_in() {
    if constexpr (std::is_same_v<Index, RwLockIndex>)
        std::this_thread::sleep_for(std::chrono::microseconds(200));
}

template <class Work>
void on_threads(int n, Work work) {
    std::vector<std::thread> threads;
    for (int t = 0; t != n; ++t)
        threads.emplace_back([&work, t] { work(t); });
    for (auto& t : threads)
        t.join();
}
} // namespace

TEMPLATE_TEST_CASE("a reader sees whole vectors only, and the versions of an id in order", "[snapshot]", MutexIndex,
                   RwLockIndex, LockFreeHotVectorIndex) {
    TestType index(IndexOptions{.dimension = dimension, .metric = Metric::inner_product});
    constexpr int writers = 2;
    const int versions = scaled(3000);
    for (int w = 0; w != writers; ++w)
        index.add_vector("id-" + std::to_string(w), nth_version(1));
    std::atomic<int> running{writers};
    std::atomic<int> torn{0};
    std::atomic<int> backwards{0};
    std::atomic<int> missing{0};
    on_threads(writers + 2, [&](int t) {
        if (t < writers) {
            const std::string id = "id-" + std::to_string(t);
            for (int v = 2; v <= versions; ++v)
                index.add_vector(id, nth_version(v));
            --running;
            return;
        }
        std::map<std::string, int> newest;
        do {
            let_writers_in<TestType>();
            const auto matches = index.search(ones, 10);
            missing += matches.size() == writers ? 0 : 1;
            for (const Match& m : matches) {
                const int v = version_of(m.score);
                torn += v < 1 ? 1 : 0;
                int& seen = newest[m.id];
                backwards += v < seen ? 1 : 0;
                seen = std::max(seen, v);
            }
            const auto row = index.get_vector("id-0");
            torn += row && std::adjacent_find(row->begin(), row->end(), std::not_equal_to<>()) == row->end() ? 0 : 1;
            if (row) {
                int& seen = newest["id-0"];
                backwards += (*row)[0] < static_cast<float>(seen) ? 1 : 0;
                seen = std::max(seen, static_cast<int>((*row)[0]));
            }
        } while (running != 0);
    });
    CHECK(torn == 0);
    CHECK(backwards == 0);
    CHECK(missing == 0);
    CHECK(index.size() == writers);
}

TEMPLATE_TEST_CASE("a token that moves from id to id is never missing from a search", "[snapshot]", MutexIndex,
                   RwLockIndex, LockFreeHotVectorIndex) {
    TestType index(IndexOptions{.dimension = dimension, .metric = Metric::inner_product});
    index.add_vector("token-0", ones);
    for (int i = 0; i != 200; ++i) // company, so that a scan takes a while
        index.add_vector("still-" + std::to_string(i), nth_version(-1));
    std::atomic<bool> stop{false};
    std::atomic<int> lost{0};
    std::atomic<int> crowded{0};
    on_threads(3, [&](int t) {
        if (t == 0) {
            for (int i = 1; i != scaled(2000); ++i) {
                index.add_vector("token-" + std::to_string(i % 5), ones);
                index.remove_vector("token-" + std::to_string((i + 4) % 5));
            }
            stop = true;
            return;
        }
        while (!stop) {
            let_writers_in<TestType>();
            const auto matches = index.search(ones, 3);
            const auto tokens =
                std::count_if(matches.begin(), matches.end(), [](const Match& m) { return m.id[0] == 't'; });
            lost += tokens == 0 ? 1 : 0;
            crowded += tokens > 2 ? 1 : 0;
        }
    });
    CHECK(lost == 0);
    CHECK(crowded == 0);
}

TEMPLATE_TEST_CASE("no id comes twice in a result, and at the end every id is found by its own vector", "[snapshot]",
                   MutexIndex, RwLockIndex, LockFreeHotVectorIndex) {
    TestType index(
        IndexOptions{.dimension = dimension, .metric = Metric::squared_euclidean, .tracking = Tracking::exact});
    constexpr unsigned ids = 40;
    std::atomic<int> doubled{0};
    std::atomic<int> balance{0};
    on_threads(4, [&](int t) {
        std::mt19937 random(static_cast<unsigned>(t));
        for (int i = 0; i != scaled(1500); ++i) {
            const auto n = static_cast<unsigned>(random() % ids);
            const std::string id = "id-" + std::to_string(n);
            switch (random() % 4) {
            case 0:
            case 1:
                balance += index.add_vector(id, nth_version(static_cast<int>(n))) == AddOutcome::inserted ? 1 : 0;
                break;
            case 2:
                balance -= index.remove_vector(id) ? 1 : 0;
                break;
            default: {
                std::set<std::string> seen;
                for (const Match& m : index.search(nth_version(static_cast<int>(n)), ids))
                    doubled += seen.insert(m.id).second ? 0 : 1;
            }
            }
        }
    });
    CHECK(doubled == 0);
    CHECK(static_cast<int>(index.size()) == balance);
    for (unsigned n = 0; n != ids; ++n) {
        const std::string id = "id-" + std::to_string(n);
        const auto nearest = index.search(nth_version(static_cast<int>(n)), 1);
        CHECK((!nearest.empty() && nearest[0].id == id && nearest[0].score == 0) == index.contains(id));
        CHECK(index.get_vector(id).has_value() == index.contains(id));
    }
}

TEMPLATE_TEST_CASE("what several threads clear and remove in batches goes once each", "[snapshot]", MutexIndex,
                   RwLockIndex, LockFreeHotVectorIndex) {
    TestType index(IndexOptions{.dimension = dimension, .metric = Metric::inner_product});
    std::atomic<int> balance{0};
    std::atomic<int> stayed{0};
    on_threads(4, [&](int t) {
        const std::string own = "own-" + std::to_string(t);
        for (int i = 0; i != scaled(300); ++i) {
            for (int n = 0; n != 5; ++n)
                balance += index.add_vector("id-" + std::to_string((i + n) % 20), ones) == AddOutcome::inserted ? 1 : 0;
            balance += index.add_vector(own, ones) == AddOutcome::inserted ? 1 : 0; // others may only remove it
            std::size_t removed = 0;
            if (i % 8 == t) {
                removed = index.clear();
            } else {
                const std::vector<std::string_view> some{"id-3", own, "id-7", "id-3"};
                removed = index.remove_batch(some);
            }
            balance -= static_cast<int>(removed);
            stayed += index.contains(own) ? 1 : 0;
        }
    });
    CHECK(stayed == 0);
    CHECK(static_cast<int>(index.size()) == balance);
    CHECK(static_cast<int>(index.snapshot().size()) == balance);
    CHECK(static_cast<int>(index.clear()) == balance);
    CHECK(index.empty());
}

TEMPLATE_TEST_CASE("threads come and go, and nothing of theirs is lost", "[snapshot]", MutexIndex, RwLockIndex,
                   LockFreeHotVectorIndex) {
    TestType index(IndexOptions{.dimension = dimension, .metric = Metric::inner_product, .tracking = Tracking::exact});
    index.add_vector("shared", ones);
    const int generations = scaled(30);
    for (int g = 0; g != generations; ++g)
        on_threads(4, [&](int t) {
            index.add_vector("id-" + std::to_string(g) + "-" + std::to_string(t), nth_version(-1));
            (void)index.search(ones, 1);
            index.access("shared");
        });
    CHECK(index.size() == static_cast<std::size_t>(generations) * 4 + 1);
    CHECK(index.get_stats().queries == static_cast<std::uint64_t>(generations) * 4);
    CHECK(index.access_stats("shared")->count == static_cast<std::uint64_t>(generations) * 8);
}

TEST_CASE("a snapshot answers from one state however long it is held", "[snapshot]") {
    LockFreeHotVectorIndex index(IndexOptions{.dimension = dimension, .metric = Metric::inner_product});
    for (int i = 0; i != 50; ++i)
        index.add_vector("id-" + std::to_string(i), nth_version(i));
    constexpr int rounds = 20;
    // While a snapshot is held nothing that was retired after it is recycled, so the slots that a scan passes grow with
    // the updates made meanwhile. The writers may be one allowance ahead of the rounds: without a bound, a slow scan
    // makes slots, and slots make a slow scan.
    const int updates_per_round = scaled(500);
    std::atomic<int> rounds_begun{0};
    std::atomic<int> different{0};
    on_threads(3, [&](int t) {
        if (t == 0) {
            for (int round = 0; round != rounds; ++round) {
                const auto snapshot = index.snapshot();
                ++rounds_begun;
                const auto first = snapshot.search(ones, 100);
                const std::size_t size = snapshot.size();
                different += size == first.size() ? 0 : 1;
                for (int i = 0; i != scaled(10); ++i) {
                    different += snapshot.search(ones, 100) == first ? 0 : 1;
                    std::vector<float> two(ones);
                    two.insert(two.end(), ones.begin(), ones.end());
                    for (const auto& answer : snapshot.search_batch(two, 100))
                        different += answer == first ? 0 : 1;
                }
            }
            return;
        }
        std::mt19937 random(static_cast<unsigned>(t));
        for (int i = 0; i != rounds * updates_per_round; ++i) {
            while (i >= rounds_begun * updates_per_round)
                std::this_thread::yield();
            const std::string id = "id-" + std::to_string(random() % 60);
            if (random() % 3 == 0)
                index.remove_vector(id);
            else
                index.add_vector(id, nth_version(i % 1000));
        }
    });
    CHECK(different == 0);
    CHECK(index.drain());
    CHECK(index.epoch_stats().limbo_objects == 0);
}

/// What a writer does to its ids, step by step. So of its ids every state at one instant shows what there is after some
/// step, and the newest version tells which.
struct Script {
    static constexpr int ids = 16;
    static constexpr int id_of(int step) { return step * 7 % ids; }
    static constexpr bool removes(int step) {
        return step % 3 == 0;
    } // all others add: the step's number is the version

    /// Is this, id -> version, the state after `steps` steps?
    static bool is_after(int steps, const std::map<int, int>& state) {
        std::map<int, int> expected;
        for (int step = std::max(1, steps - ids + 1); step <= steps; ++step)
            if (!removes(step))
                expected[id_of(step)] = step;
        return state == expected;
    }
    static bool is_one(const std::map<int, int>& state) {
        int newest = 0;
        for (const auto& [id, version] : state)
            newest = std::max(newest, version);
        return is_after(newest, state) || (removes(newest + 1) && is_after(newest + 1, state));
    }
};

TEMPLATE_TEST_CASE("a visit shows exactly the state at one instant, beside writers", "[snapshot]", MutexIndex,
                   RwLockIndex, LockFreeHotVectorIndex) {
    TestType index(IndexOptions{.dimension = dimension, .metric = Metric::inner_product});
    constexpr int writers = 2;
    constexpr int readers = 2;
    std::atomic<int> reading{readers};
    std::array<int, writers> steps{};
    std::atomic<int> torn{0};
    std::atomic<int> doubled{0};
    std::atomic<int> mixed{0};
    std::atomic<int> changed{0};
    using States = std::array<std::map<int, int>, writers>;
    const auto shown_by = [&](const auto& shows) {
        States states;
        shows.for_each([&](std::string_view id, std::span<const float> row) { // "0-12": of writer 0
            torn += std::adjacent_find(row.begin(), row.end(), std::not_equal_to<>()) == row.end() ? 0 : 1;
            std::map<int, int>& state = states[static_cast<std::size_t>(id[0] - '0')];
            const bool first = state.emplace(std::stoi(std::string(id.substr(2))), static_cast<int>(row[0])).second;
            doubled += first ? 0 : 1;
        });
        for (const auto& state : states)
            mixed += Script::is_one(state) ? 0 : 1;
        return states;
    };
    on_threads(writers + readers, [&](int t) {
        const auto name = [](int writer, int id) { return std::to_string(writer) + "-" + std::to_string(id); };
        if (t < writers) {
            int& step = steps[static_cast<std::size_t>(t)];
            while (reading != 0) // the version stays a float's integer: for minutes
                if (++step; Script::removes(step))
                    index.remove_vector(name(t, Script::id_of(step)));
                else
                    index.add_vector(name(t, Script::id_of(step)), nth_version(step));
            return;
        }
        for (int round = 0; round != scaled(300); ++round) {
            let_writers_in<TestType>();
            (void)shown_by(index);
            const auto snapshot = index.snapshot();
            const States states = shown_by(snapshot);
            std::this_thread::yield();
            changed += shown_by(snapshot) == states ? 0 : 1;
            changed += snapshot.size() == states[0].size() + states[1].size() ? 0 : 1;
            for (int w = 0; w != writers; ++w)
                for (int id = 0; id != Script::ids; ++id) {
                    const auto there = states[static_cast<std::size_t>(w)].find(id);
                    const auto row = snapshot.get_vector(name(w, id));
                    const int version = there == states[static_cast<std::size_t>(w)].end() ? 0 : there->second;
                    changed += (row ? static_cast<int>((*row)[0]) : 0) == version ? 0 : 1;
                }
        }
        --reading;
    });
    CHECK(torn == 0);
    CHECK(doubled == 0);
    CHECK(mixed == 0);
    CHECK(changed == 0);
    const States states = shown_by(index);
    for (std::size_t w = 0; w != writers; ++w)
        CHECK(Script::is_after(steps[w], states[w]));
}

TEST_CASE("several searches on one snapshot agree with each other and with a batch", "[snapshot]") {
    LockFreeHotVectorIndex index(IndexOptions{.dimension = 2, .metric = Metric::squared_euclidean});
    index.add_vector("a", std::vector<float>{0, 0});
    const auto before = index.snapshot();
    index.add_vector("a", std::vector<float>{5, 5});
    index.add_vector("b", std::vector<float>{1, 1});
    const auto after = index.snapshot();
    index.remove_vector("a");
    CHECK(before.search(std::vector<float>{0, 0}, 5) == std::vector<Match>{{"a", 0}});
    CHECK(after.search(std::vector<float>{0, 0}, 5) == std::vector<Match>{{"b", 2}, {"a", 50}});
    CHECK(index.search(std::vector<float>{0, 0}, 5) == std::vector<Match>{{"b", 2}});
    CHECK(before.size() == 1);
    CHECK(after.size() == 2);
    CHECK(before.time() < after.time());
    CHECK(after.search(std::vector<float>{0, 0}, 5, [](std::string_view id) { return id != "b"; }) ==
          std::vector<Match>{{"a", 50}});
}
