// The classic workloads on what ships, under every sanitizer: many threads, fixed amounts of work, and totals that must
// come out exactly. Vectors carry their own checksum (history.hpp), and their value says which id they belong to; so
// every row and every score that comes back is computed again.
#include "catch.hpp"
#include "checkers/history.hpp"

#include <hotindex/lock_free_hot_vector_index.hpp>
#include <hotindex/map/lock_free_hash_map.hpp>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace {
using namespace hotindex;
using namespace hotindex::stress;

/// Ten times as much when HOTINDEX_DEEP is set.
std::size_t scaled(std::size_t n) {
    return std::getenv("HOTINDEX_DEEP") != nullptr ? n * 10 : n;
}

/// work(thread) on n threads that begin together.
template <class Work>
void together(std::size_t n, Work work) {
    std::barrier begin(static_cast<std::ptrdiff_t>(n));
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t != n; ++t)
        threads.emplace_back([&, t] {
            begin.arrive_and_wait();
            work(t);
        });
    for (auto& t : threads)
        t.join();
}

IndexOptions inner_product(std::size_t dimension) {
    return IndexOptions{.dimension = dimension, .metric = Metric::inner_product};
}

/// Values of one id: id + 1, id + 1 + ids, id + 1 + 2 * ids, ...
struct Values {
    Id ids;
    [[nodiscard]] Value nth(Id id, std::size_t n) const {
        const std::size_t versions = (most_value - id - 1) / ids;
        return static_cast<Value>(id + 1 + n % versions * ids);
    }
    [[nodiscard]] bool belongs(Id id, Value value) const { return value != 0 && (value - 1) % ids == id; }

    /// Is every result an id once, with the score of a vector that is one of its own, in order?
    [[nodiscard]] bool are_right(const std::vector<Match>& matches, Query query, std::size_t dimension) const {
        std::set<std::string> seen;
        const Match* before = nullptr;
        for (const Match& m : matches) {
            const auto id = id_of_name(m.id);
            if (!id || !seen.insert(m.id).second)
                return false;
            if (query == Query::largest || query == Query::smallest) {
                const float one = score_of(query, 1, dimension);
                const auto value = static_cast<Value>(m.score / one);
                if (!belongs(*id, value) || score_of(query, value, dimension) != m.score)
                    return false;
            }
            if (before != nullptr && (before->score < m.score || (before->score == m.score && before->id >= m.id)))
                return false;
            before = &m;
        }
        return true;
    }
    [[nodiscard]] bool is_right(Id id, const std::optional<std::vector<float>>& row) const {
        return !row || belongs(id, value_of(*row).value_or(0));
    }
};

/// At rest: what is contained is got, found by a search for all, and counted, and nothing else is.
void audit(LockFreeHotVectorIndex& index, const Values& values, std::size_t expected) {
    const std::size_t dimension = index.options().dimension;
    const auto all = index.search(floats_of(Query::largest, dimension), values.ids + std::size_t{1});
    CHECK(values.are_right(all, Query::largest, dimension));
    CHECK(all.size() == expected);
    CHECK(index.size() == expected);
    std::set<std::string> found;
    for (const Match& m : all)
        found.insert(m.id);
    std::size_t wrong = 0;
    for (Id id = 0; id != values.ids; ++id) {
        const std::string name = name_of_id(id);
        const auto row = index.get_vector(name);
        wrong += index.contains(name) == found.contains(name) && row.has_value() == found.contains(name) &&
                         values.is_right(id, row)
                     ? 0u
                     : 1u;
    }
    CHECK(wrong == 0);
    CHECK(index.drain());
    CHECK(index.epoch_stats().limbo_objects == 0);
    CHECK(index.epoch_stats().pinned == 0);
}
} // namespace

TEST_CASE("10 threads insert, get, update and get 1,000 keys of a map each", "[workload]") {
    LockFreeHashMap<std::string, std::string> map;
    std::atomic<std::size_t> wrong{0};
    const std::size_t turns = scaled(1000);
    together(10, [&](std::size_t t) {
        for (std::size_t i = 0; i != turns; ++i) {
            const std::string key = std::to_string(t) + "-" + std::to_string(i);
            wrong += map.insert(key, key + "!") ? 0u : 1u;
            wrong += map.get(key) == key + "!" ? 0u : 1u;
            wrong += map.update(key, [](const std::string& old) { return old + "?"; }) ? 0u : 1u;
            wrong += map.get(key) == key + "!?" ? 0u : 1u;
            wrong += map.insert("shared", key) && t + i == 0 && map.size() == 0 ? 1u : 0u;
            wrong += map.get("shared").has_value() ? 0u : 1u;
        }
    });
    CHECK(wrong == 0);
    CHECK(map.size() == 10 * turns + 1);
    CHECK(map.drain());
}

TEST_CASE("8 threads insert and remove 500 vectors each at the same time", "[workload]") {
    LockFreeHotVectorIndex index(inner_product(16));
    const std::size_t turns = scaled(500);
    const Values values{static_cast<Id>(8 * turns)};
    std::atomic<std::size_t> wrong{0};
    together(8, [&](std::size_t t) {
        const auto id_of = [&](std::size_t i) { return static_cast<Id>(t * turns + i); };
        for (std::size_t i = 0; i != turns; ++i) {
            const Id id = id_of(i);
            wrong += index.add_vector(name_of_id(id), row_of(values.nth(id, 0), 16)) == AddOutcome::inserted ? 0u : 1u;
            if (i % 2 == 1) // the one before it goes again
                wrong += index.remove_vector(name_of_id(id_of(i - 1))) ? 0u : 1u;
            wrong += index.contains(name_of_id(id)) ? 0u : 1u;
        }
    });
    CHECK(wrong == 0);
    audit(index, values, 8 * turns / 2);
}

TEST_CASE("8 threads add 200 vectors of 128 floats each", "[workload]") {
    LockFreeHotVectorIndex index(inner_product(128));
    const std::size_t turns = scaled(200);
    const Values values{static_cast<Id>(8 * turns)};
    together(8, [&](std::size_t t) {
        for (std::size_t i = 0; i != turns; ++i) {
            const auto id = static_cast<Id>(t * turns + i);
            index.add_vector(name_of_id(id), row_of(values.nth(id, i), 128));
        }
    });
    audit(index, values, 8 * turns);
}

TEST_CASE("8 threads mix 500 adds, removes, gets and searches each", "[workload]") {
    constexpr std::size_t dimension = 32;
    LockFreeHotVectorIndex index(inner_product(dimension));
    const Values values{64};
    std::atomic<std::size_t> wrong{0};
    std::atomic<std::int64_t> balance{0};
    together(8, [&](std::size_t t) {
        std::mt19937 random(static_cast<unsigned>(t));
        for (std::size_t i = 0; i != scaled(500); ++i) {
            const auto id = static_cast<Id>(random() % values.ids);
            const std::string name = name_of_id(id);
            const auto query = static_cast<Query>(random() % query_count);
            switch (random() % 5) {
            case 0:
            case 1:
                balance += index.add_vector(name, row_of(values.nth(id, i * 8 + t), dimension)) == AddOutcome::inserted;
                break;
            case 2:
                balance -= index.remove_vector(name) ? 1 : 0;
                break;
            case 3:
                wrong += values.is_right(id, index.get_vector(name)) ? 0u : 1u;
                break;
            default:
                wrong +=
                    values.are_right(index.search(floats_of(query, dimension), 1 + random() % 80), query, dimension)
                        ? 0u
                        : 1u;
            }
        }
    });
    CHECK(wrong == 0);
    audit(index, values, static_cast<std::size_t>(balance));
}

TEST_CASE("4 writers and 6 readers do 1,000 operations each", "[workload]") {
    constexpr std::size_t dimension = 32;
    LockFreeHotVectorIndex index(inner_product(dimension));
    const Values values{40};
    for (Id id = 0; id != values.ids; ++id)
        index.add_vector(name_of_id(id), row_of(values.nth(id, 0), dimension));
    std::atomic<std::size_t> wrong{0};
    together(10, [&](std::size_t t) {
        std::mt19937 random(static_cast<unsigned>(t));
        for (std::size_t i = 0; i != scaled(1000); ++i) {
            const auto id = static_cast<Id>(random() % values.ids);
            if (t < 4) { // every id is always there
                wrong += index.add_vector(name_of_id(id), row_of(values.nth(id, i * 4 + t), dimension)) ==
                                 AddOutcome::replaced
                             ? 0u
                             : 1u;
            } else if (i % 2 == 0) {
                const auto matches = index.search(floats_of(Query::largest, dimension), values.ids);
                wrong += matches.size() == values.ids && values.are_right(matches, Query::largest, dimension) ? 0u : 1u;
            } else {
                const auto row = index.get_vector(name_of_id(id));
                wrong += row && values.is_right(id, row) ? 0u : 1u;
            }
        }
    });
    CHECK(wrong == 0);
    audit(index, values, values.ids);
}

TEST_CASE("10 threads make 1,000 accesses and queries each, and all are counted", "[workload]") {
    IndexOptions options = inner_product(16);
    options.tracking = Tracking::exact;
    LockFreeHotVectorIndex index(options);
    const Values values{5};
    for (Id id = 0; id != values.ids; ++id)
        index.add_vector(name_of_id(id), row_of(values.nth(id, 0), 16));
    const std::size_t turns = scaled(1000);
    together(10, [&](std::size_t t) {
        for (std::size_t i = 0; i != turns; ++i) {
            index.access(name_of_id(static_cast<Id>((t + i) % values.ids)));
            if (i % 4 == 0)
                (void)index.search(floats_of(Query::largest, 16), values.ids);
        }
    });
    std::uint64_t sum = 0;
    for (Id id = 0; id != values.ids; ++id) {
        const std::uint64_t count = index.access_stats(name_of_id(id))->count;
        CHECK(count == 10 * turns / values.ids + 10 * turns / 4);
        sum += count;
    }
    CHECK(sum == 10 * turns + 10 * turns / 4 * values.ids);
    const IndexStats stats = index.get_stats();
    CHECK(stats.queries == 10 * turns / 4);
    CHECK(stats.similarity_computations == 10 * turns / 4 * values.ids);
    CHECK(stats.vectors == values.ids);
}

TEST_CASE("a storm on one id: inserts and removals balance, and nothing else is ever seen", "[workload]") {
    constexpr std::size_t dimension = 16;
    LockFreeHotVectorIndex index(inner_product(dimension));
    const Values values{1};
    std::atomic<std::size_t> wrong{0};
    std::atomic<std::int64_t> balance{0};
    together(8, [&](std::size_t t) {
        std::mt19937 random(static_cast<unsigned>(t));
        for (std::size_t i = 0; i != scaled(1500); ++i) {
            switch (random() % 4) {
            case 0:
                balance += index.add_vector(name_of_id(0), row_of(values.nth(0, i), dimension)) == AddOutcome::inserted;
                break;
            case 1:
                balance -= index.remove_vector(name_of_id(0)) ? 1 : 0;
                break;
            case 2:
                wrong += values.is_right(0, index.get_vector(name_of_id(0))) ? 0u : 1u;
                break;
            default:
                const auto matches = index.search(floats_of(Query::smallest, dimension), 3);
                wrong += matches.size() <= 1 && values.are_right(matches, Query::smallest, dimension) ? 0u : 1u;
            }
        }
    });
    CHECK(wrong == 0);
    CHECK((balance == 0 || balance == 1));
    audit(index, values, static_cast<std::size_t>(balance));
}

TEST_CASE("a storm of growth: more threads than processors, from nothing to thousands", "[workload]") {
    constexpr std::size_t threads = 24;
    const std::size_t turns = scaled(150);
    LockFreeHotVectorIndex index(inner_product(4));
    LockFreeHashMap<std::string, std::size_t> map;
    const Values values{static_cast<Id>(threads * turns)};
    std::atomic<std::size_t> wrong{0};
    together(threads, [&](std::size_t t) {
        for (std::size_t i = 0; i != turns; ++i) {
            const auto id = static_cast<Id>(t * turns + i);
            index.add_vector(name_of_id(id), row_of(values.nth(id, 0), 4));
            map.insert(name_of_id(id), std::size_t{id});
            // Whatever grows meanwhile, what this thread has put in is there.
            const auto earlier = static_cast<Id>(t * turns + i / 2);
            wrong += index.contains(name_of_id(earlier)) && map.get(name_of_id(earlier)) == earlier ? 0u : 1u;
        }
    });
    CHECK(wrong == 0);
    CHECK(map.size() == threads * turns);
    std::size_t seen = 0;
    map.for_each([&seen](const std::string&, std::size_t) { ++seen; });
    CHECK(seen == threads * turns);
    audit(index, values, threads * turns);
}

TEST_CASE("threads are created and end throughout, and every id left is found by its own vector", "[workload]") {
    constexpr std::size_t dimension = 8;
    LockFreeHotVectorIndex index(IndexOptions{.dimension = dimension, .metric = Metric::squared_euclidean});
    const Values values{300};
    std::atomic<std::int64_t> balance{0};
    std::atomic<std::size_t> wrong{0};
    together(3, [&](std::size_t t) {
        std::mt19937 random(static_cast<unsigned>(t));
        for (std::size_t life = 0; life != scaled(60); ++life)
            std::thread([&, seed = random()] {
                std::mt19937 mine(static_cast<unsigned>(seed));
                for (int i = 0; i != 20; ++i) {
                    const auto id = static_cast<Id>(mine() % values.ids);
                    if (mine() % 3 == 0)
                        balance -= index.remove_vector(name_of_id(id)) ? 1 : 0;
                    else
                        balance += index.add_vector(name_of_id(id), row_of(values.nth(id, mine() % 500), dimension)) ==
                                   AddOutcome::inserted;
                }
                for (const Match& m : index.search(row_of(values.nth(7, 1), dimension), 5))
                    wrong += m.score >= 0 && id_of_name(m.id) ? 0u : 1u;
            }).join();
    });
    CHECK(wrong == 0);
    CHECK(static_cast<std::int64_t>(index.size()) == balance);
    // The audit: reachable through the directory and through the scan, or through neither.
    std::size_t there = 0;
    for (Id id = 0; id != values.ids; ++id) {
        const auto row = index.get_vector(name_of_id(id));
        if (!row) {
            CHECK_FALSE(index.contains(name_of_id(id)));
            continue;
        }
        ++there;
        const auto nearest = index.search(*row, 1);
        REQUIRE(nearest.size() == 1);
        CHECK(nearest[0].id == name_of_id(id)); // values, and so rows, differ from id to id
        CHECK(nearest[0].score == 0);
    }
    CHECK(static_cast<std::int64_t>(there) == balance);
    CHECK(index.epoch_stats().participants < 3 * scaled(60)); // records of ended threads are used again
}

TEST_CASE("a snapshot is held across as many updates as there are, and answers as at first", "[workload]") {
    constexpr std::size_t dimension = 4;
    LockFreeHotVectorIndex index(inner_product(dimension));
    const Values values{20};
    for (Id id = 0; id != values.ids; ++id)
        index.add_vector(name_of_id(id), row_of(values.nth(id, 0), dimension));
    const std::size_t updates = scaled(10'000) * (scaled(1) == 1 ? 1 : 10); // deep: millions
    {
        const auto snapshot = index.snapshot();
        const auto first = snapshot.search(floats_of(Query::largest, dimension), values.ids);
        CHECK(first.size() == values.ids);
        together(2, [&](std::size_t t) {
            for (std::size_t i = 1; i <= updates; ++i) {
                const auto id = static_cast<Id>((i * 7 + t) % values.ids);
                if (i % 5 == 0)
                    index.remove_vector(name_of_id(id));
                else
                    index.add_vector(name_of_id(id), row_of(values.nth(id, i), dimension));
            }
        });
        CHECK(snapshot.search(floats_of(Query::largest, dimension), values.ids) == first);
        CHECK(snapshot.size() == values.ids);
        // What it holds back is at most what it sees: a slot and an entry for each vector.
        CHECK_FALSE(index.drain());
        CHECK(index.epoch_stats().limbo_objects <= 2 * std::size_t{values.ids});
    }
    CHECK(index.drain());
    audit(index, values, index.size());
}
