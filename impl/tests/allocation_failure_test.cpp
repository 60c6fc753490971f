// What happens when memory runs out: in the indexes and when they are saved, and that the tests would notice. Maps: allocation_failure_map_test.cpp.
#include "catch.hpp"
#include "failing_allocations.hpp"
#include "saved_bytes.hpp"
#include "scratch_folder.hpp"

#include <hotindex/hot_vector_index.hpp>
#include <hotindex/lock_free_hot_vector_index.hpp>
#include <hotindex/storage/saved_index.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace {
using namespace hotindex;
using namespace hotindex::tests;
using namespace std::chrono_literals;
using Vector = std::vector<float>;
using Model = std::map<std::string, Vector, std::less<>>;

IndexOptions options_of(std::size_t expected = 0) {
    IndexOptions options;
    options.dimension = 3;
    options.metric = Metric::inner_product; // whole numbers: exact scores
    options.expected_vectors = expected;
    options.tracking = Tracking::exact;
    options.tiers.hot_accesses = 2;
    options.tiers.manage_every = 0ms;
    return options;
}

Vector vector_of(int i) {
    return {static_cast<float>(i + 1), static_cast<float>(i % 7), 1};
}
float score_of(const Vector& v, const Vector& query) {
    return v[0] * query[0] + v[1] * query[1] + v[2] * query[2];
}

template <class Index, class Say>
void check_index(const Index& index, const Model& model, const std::vector<std::string>& ids, const Say& say) {
    const Vector query{1, 2, -3};
    std::vector<Match> expected;
    for (const auto& [id, v] : model)
        expected.push_back({id, score_of(v, query)});
    std::stable_sort(expected.begin(), expected.end(),
                     [](const Match& a, const Match& b) { return a.score > b.score; });
    say(index.size() == model.size(), "size differs");
    say(index.get_stats().vectors == model.size(), "stats.vectors differs");
    for (const std::string& id : ids) {
        const auto there = model.find(id);
        say(index.contains(id) == (there != model.end()), "contains differs for " + id);
        const auto got = index.get_vector(id);
        say(there == model.end() ? !got.has_value() : got == there->second, "get differs for " + id);
        say(index.access_stats(id).has_value() == (there != model.end()), "access_stats differs for " + id);
    }
    if constexpr (requires { index.join(); })
        say(index.changes_in_flight() == 0, "a change is in flight");
    say(index.search(query, model.size() + 1) == expected, "search differs");
    say(index.search_batch(query, model.size() + 1) == std::vector<std::vector<Match>>{expected}, "batch differs");
    // What a call without memory has left with the thread is no harm to a larger batch than it was made for.
    Vector queries;
    for (int i = 0; i != 9; ++i)
        queries.insert(queries.end(), query.begin(), query.end());
    say(index.search_batch(queries, model.size() + 1) == std::vector<std::vector<Match>>(9, expected),
        "a larger batch differs");
}

/// What an operation must not change when it throws, besides the vectors.
template <class Index>
std::vector<std::uint64_t> counters_of(const Index& index, const std::vector<std::string>& ids) {
    const IndexStats s = index.get_stats();
    std::vector<std::uint64_t> counters{s.queries, s.similarity_computations, s.promotions, s.demotions};
    for (const std::string& id : ids)
        if (const auto a = index.access_stats(id)) {
            counters.push_back(a->count);
            counters.push_back(static_cast<std::uint64_t>(a->tier));
        }
    return counters;
}

template <class Index>
struct Subject {
    Subject(const std::vector<std::string>& there, std::size_t expected) : index(options_of(expected)) {
        for (std::size_t i = 0; i != there.size(); ++i) {
            const Vector v = vector_of(static_cast<int>(i));
            index.add_vector(there[i], v);
            model[there[i]] = v;
        }
    }
    Index index;
    Model model;
    std::vector<std::uint64_t> counters;
};

template <class Index>
void fail_in_every_operation(Complaints& complaints, const std::string& what, const std::vector<std::string>& there,
                             const std::string& newcomer, std::size_t expected = 0) {
    using S = Subject<Index>;
    std::vector<std::string> ids = there;
    ids.push_back(newcomer);
    const std::string& known = there[there.size() / 2];
    const Vector other{-5, 4, 3}, query{1, 2, -3};
    const Vector queries{1, 2, -3, 0, 1, 0, 2, 2, 2};

    const auto run = [&](const std::string& name, auto operation, auto change) {
        std::uint64_t failures = fail_each_allocation(
            complaints, what + name, [&] { return std::make_unique<S>(there, expected); },
            [&](S& s) { return operation(s.index); },
            [&](S& s, bool done, const auto& say) {
                if (done)
                    change(s.model);
                else if (s.counters.empty()) // the check before the operation
                    ;
                else
                    say(counters_of(s.index, ids) == s.counters, "a failed operation was counted");
                check_index(s.index, s.model, ids, say);
                s.counters = counters_of(s.index, ids);
            },
            [&](S& s, const auto& say) {
                // Everything goes, comes again and is as always.
                for (const std::string& id : ids)
                    say(s.index.remove_vector(id) == (s.model.erase(id) == 1), "remove afterwards differs");
                check_index(s.index, s.model, ids, say);
                for (const std::string& id : ids) {
                    say(s.index.add_vector(id, other) == AddOutcome::inserted, "add afterwards did not insert");
                    s.model[id] = other;
                }
                check_index(s.index, s.model, ids, say);
            });
        return failures;
    };
    const auto nothing = [](Model&) {};

    std::uint64_t failures = 0;
    failures += run(
        "add of a new id", [&](Index& index) { return index.add_vector(newcomer, other) == AddOutcome::inserted; },
        [&](Model& model) { model[newcomer] = other; });
    failures += run(
        "add of a known id", [&](Index& index) { return index.add_vector(known, other) == AddOutcome::replaced; },
        [&](Model& model) { model[known] = other; });
    failures += run(
        "remove", [&](Index& index) { return index.remove_vector(known); }, [&](Model& model) { model.erase(known); });
    failures += run("remove of an unknown id", [&](Index& index) { return !index.remove_vector(newcomer); }, nothing);
    failures += run("contains", [&](Index& index) { return index.contains(known); }, nothing);
    failures += run("get", [&](Index& index) { return index.get_vector(known).has_value(); }, nothing);
    failures += run(
        "search", [&](Index& index) { return index.search(query, 4).size() == std::min<std::size_t>(4, there.size()); },
        nothing);
    failures += run(
        "search with a predicate",
        [&](Index& index) {
            return index.search(query, 4, [&](std::string_view id) { return id == known; }).size() == 1;
        },
        nothing);
    failures += run(
        "batch", [&](Index& index) { return index.search_batch(queries, 100).at(2).size() == there.size(); }, nothing);
    failures += run(
        "search within a radius",
        [&](Index& index) {
            return index.search_radius(query, worst_score(index.options().metric)).size() == there.size();
        },
        nothing);
    failures += run(
        "snapshot",
        [&](Index& index) {
            const auto state = index.snapshot();
            return state.size() == there.size() && state.get_vector(known).has_value();
        },
        nothing);
    if (there.size() < 20) // it copies every id
        failures += run(
            "clear", [&](Index& index) { return index.clear() == there.size(); }, [&](Model& model) { model.clear(); });
    if constexpr (BatchIndex<Index>)
        failures += run(
            "add of a batch",
            [&](Index& index) {
                const std::vector<std::string_view> both{newcomer, "another newcomer, of a long name"};
                return !index.add_batch(both, Vector{1, 2, 3, 4, 5, 6}).has_value();
            },
            [&](Model& model) {
                model[newcomer] = Vector{1, 2, 3};
                model["another newcomer, of a long name"] = Vector{4, 5, 6};
            });
    failures += run("access", [&](Index& index) { return index.access(known); }, nothing);
    failures += run("access_stats", [&](Index& index) { return index.access_stats(known).has_value(); }, nothing);
    failures += run("promote", [&](Index& index) { return index.promote(known); }, nothing);
    failures += run("demote", [&](Index& index) { return index.demote(known); }, nothing);
    failures += run("manage_tiers", [&](Index& index) { return index.manage_tiers() == there.size(); }, nothing);
    complaints.expect(failures > 50, what + "hardly any allocation failed: is operator new replaced?");
}

/// Ids that fall into one bucket of a table of DefaultTraits::first_buckets, however that takes its bits.
std::vector<std::string> colliding_ids(std::size_t n) {
    std::vector<std::string> ids;
    for (int i = 0; ids.size() != n; ++i) {
        const std::uint64_t h = mix(DefaultHash<std::string>()(long_id(i)));
        if ((h & (DefaultTraits::first_buckets - 1)) == 0 && h >> 60 == 0)
            ids.push_back(long_id(i));
    }
    return ids;
}

/// Adds n vectors, then replaces and removes them, with every allocation of every call failing once before the call
/// succeeds: growth fails at every point.
template <class Index>
void fail_all_along(Complaints& complaints, int n) {
    Index index(options_of());
    Model model;
    std::vector<std::string> ids;
    std::uint64_t failures = 0;
    const auto say = [&](bool fine, const std::string& what) {
        complaints.expect(fine,
                          std::string("all along, ").append(std::to_string(ids.size())).append(" ids: ").append(what));
    };
    const auto insist = [&](auto operation, auto unchanged) {
        for (std::uint64_t fail_at = 1; fail_at != too_many; ++fail_at) {
            const Attempt a = attempt(fail_at, false, operation);
            failures += a.met ? 1 : 0;
            if (a.end == End::complete) {
                say(a.right, "wrong result");
                return;
            }
            say(unchanged(), "a failed call changed something");
        }
    };
    const auto state_is = [&](const std::string& id, const std::optional<Vector>& v) {
        return index.size() == model.size() && index.contains(id) == v.has_value() && index.get_vector(id) == v;
    };
    for (int i = 0; i != n; ++i) {
        const std::string id = i % 3 == 0 ? std::to_string(i) : long_id(i);
        const Vector v = vector_of(i);
        ids.push_back(id);
        insist([&] { return index.add_vector(id, v) == AddOutcome::inserted; },
               [&] { return state_is(id, std::nullopt); });
        model[id] = v;
        if (i % 97 == 0)
            check_index(index, model, ids, say);
    }
    check_index(index, model, ids, say);
    for (int i = 0; i != n; ++i) {
        const std::string& id = ids[static_cast<std::size_t>(i)];
        const Vector v = vector_of(i + 1);
        const Vector old = model[id];
        if (i % 2 == 0) {
            insist([&] { return index.add_vector(id, v) == AddOutcome::replaced; }, [&] { return state_is(id, old); });
            model[id] = v;
        } else {
            insist([&] { return index.remove_vector(id); }, [&] { return state_is(id, old); });
            model.erase(id);
            say(state_is(id, std::nullopt), "removed, but there");
        }
        if (i % 97 == 0)
            check_index(index, model, ids, say);
    }
    check_index(index, model, ids, say);
    say(failures > 10, "hardly any allocation failed");
}

using TinyLockFreeIndex = BasicLockFreeHotVectorIndex<ProductionBackend, TinyTraits>;

} // namespace

TEST_CASE("the countdown fails the allocation it was told to, on its thread alone", "[allocation]") {
    const void* volatile seen = nullptr; // clang leaves out an allocation that nobody looks at, as any compiler may
    const auto three = [&seen] {
        for (int i = 0; i != 3; ++i) {
            const auto made = std::make_unique<std::vector<int>>(i + 1);
            seen = made.get();
            seen = made->data();
        }
        return true;
    };
    for (const bool persistent : {false, true})
        for (std::uint64_t n = 1; n <= 6; ++n) {
            const Attempt a = attempt(n, persistent, three);
            CHECK((a.end == End::threw && a.met));
        }
    const Attempt beyond = attempt(7, false, three);
    CHECK((beyond.end == End::complete && !beyond.met && beyond.right));
    failure = {1, true, false};
    bool others_can = false;
    {
        const Failure armed = std::exchange(failure, {});
        std::thread other([&] { others_can = three(); });
        failure = armed;
        other.join();
        failure = {};
    }
    CHECK(others_can);
}

TEMPLATE_TEST_CASE("a constructor that runs out of memory leaves nothing behind", "[allocation]",
                   HotVectorIndex<std::mutex>, HotVectorIndex<std::shared_mutex>, LockFreeHotVectorIndex,
                   TinyLockFreeIndex) {
    // So many rows are more than a huge page: those of an index behind a lock lie in one array, from the system
    // directly.
    constexpr bool maps = std::is_same_v<TestType, HotVectorIndex<std::mutex>> ||
                          std::is_same_v<TestType, HotVectorIndex<std::shared_mutex>>;
    constexpr std::size_t large = maps ? 200'000 : 1000;
    on_a_thread([] { TestType(options_of(0)).add_vector("a", vector_of(1)); }); // makes the page reserve, for good
    const std::uint64_t failed_before = failed_mappings;
    for (const std::size_t expected : {std::size_t{0}, std::size_t{1000}, large}) {
        std::uint64_t failures = 0;
        for (std::uint64_t n = 1; n != too_many; ++n) {
            const IndexOptions options = options_of(expected);
            const std::int64_t before = live_blocks;
            const std::int64_t mapped_before = mapped_bytes;
            bool usable = false;
            const auto construct = [&] {
                TestType index(options);
                failure = {0, false, failure.met}; // armed during construction only
                usable =
                    index.empty() && index.add_vector("a", vector_of(1)) == AddOutcome::inserted && index.size() == 1;
                return true;
            };
            Attempt a;
            on_a_thread([&] { a = attempt(n, false, construct); });
            const std::int64_t left = live_blocks - before;
            CHECK(left == 0);
            CHECK(mapped_bytes == mapped_before);
            failures += a.met ? 1 : 0;
            if (!a.met) {
                CHECK(usable);
                break;
            }
            CHECK((a.end == End::threw || usable));
        }
        CHECK(failures > 0);
    }
    CHECK((failed_mappings > failed_before) == maps);
}

TEMPLATE_TEST_CASE("an index operation that runs out of memory changes nothing, or is done", "[allocation]",
                   HotVectorIndex<std::mutex>, HotVectorIndex<std::shared_mutex>, LockFreeHotVectorIndex,
                   TinyLockFreeIndex) {
    experiment([](Complaints& complaints) {
        fail_in_every_operation<TestType>(complaints, "5 ids, ", some_ids(5), "one that is not yet there");
    });
}

TEMPLATE_TEST_CASE("an operation among colliding ids that runs out of memory changes nothing, or is done",
                   "[allocation]", HotVectorIndex<std::mutex>, LockFreeHotVectorIndex) {
    experiment([](Complaints& complaints) {
        std::vector<std::string> ids = colliding_ids(13);
        const std::string newcomer = ids.back();
        ids.pop_back();
        fail_in_every_operation<TestType>(complaints, "colliding ids, ", ids, newcomer);
    });
}

TEMPLATE_TEST_CASE("an operation on a table about to grow that runs out of memory changes nothing, or is done",
                   "[allocation]", HotVectorIndex<std::mutex>, LockFreeHotVectorIndex) {
    experiment([](Complaints& complaints) {
        for (const int n : {47, 48, 49, 64})
            fail_in_every_operation<TestType>(complaints, std::to_string(n).append(" ids, "), some_ids(n),
                                              "the next one in it");
    });
}

TEMPLATE_TEST_CASE("a removal that finds no memory to give room back is done all the same", "[allocation]",
                   HotVectorIndex<std::mutex>, HotVectorIndex<std::shared_mutex>) {
    experiment([](Complaints& complaints) {
        constexpr int full = 257; // room for 512
        constexpr int left = 129; // the next removal leaves a quarter of that
        std::vector<std::string> ids = some_ids(full);
        const std::uint64_t failures = fail_each_allocation(
            complaints, "removal to a quarter, ",
            [&] {
                auto subject = std::make_unique<Subject<TestType>>(ids, 0);
                for (int i = left; i != full; ++i) {
                    subject->index.remove_vector(ids[static_cast<std::size_t>(i)]);
                    subject->model.erase(ids[static_cast<std::size_t>(i)]);
                }
                return subject;
            },
            [&](Subject<TestType>& s) { return s.index.remove_vector(ids[0]); },
            [&](Subject<TestType>& s, bool done, const auto& say) {
                if (done)
                    s.model.erase(ids[0]);
                check_index(s.index, s.model, ids, say);
            },
            [&](Subject<TestType>& s, const auto& say) {
                // The next removal gives the room back, where this one could not; adding takes it again.
                say(s.index.remove_vector(ids[1]) && s.model.erase(ids[1]) == 1, "the removal after it differs");
                check_index(s.index, s.model, ids, say);
                for (std::size_t i = 0; i != ids.size(); ++i) {
                    const Vector v = vector_of(static_cast<int>(i) + 3);
                    say((s.index.add_vector(ids[i], v) == AddOutcome::replaced) == s.model.contains(ids[i]),
                        "add afterwards differs");
                    s.model[ids[i]] = v;
                }
                check_index(s.index, s.model, ids, say);
            });
        // The rows, three lists and the table, on a thread that is known and on one that joins first.
        complaints.expect(failures >= std::uint64_t{4} * 5, "not every allocation failed: " + std::to_string(failures));
        Subject<TestType> subject(ids, 0);
        for (const std::string& id : ids) {
            const auto removal = [&] { return subject.index.remove_vector(id); };
            complaints.expect(attempt(1, true, removal).end == End::complete, "a removal threw");
        }
        complaints.expect(subject.index.empty(), "a removal without memory removed nothing");
    });
}

TEMPLATE_TEST_CASE("an index that runs out of memory at every step grows nevertheless", "[allocation]",
                   HotVectorIndex<std::mutex>, HotVectorIndex<std::shared_mutex>, LockFreeHotVectorIndex,
                   TinyLockFreeIndex) {
    experiment([](Complaints& complaints) { fail_all_along<TestType>(complaints, 1500); });
}

TEST_CASE("a file is as it was where memory runs out while an index is saved, and nothing is half loaded",
          "[allocation]") {
    struct Subject {
        ScratchFolder folder;
        Undurable calls;
        PlainIndex before{options_of()}, after{options_of()};
    };
    experiment([](Complaints& complaints) {
        const auto make = [] {
            auto subject = std::make_unique<Subject>();
            subject->before.add_vector("a", vector_of(1));
            subject->after.add_vector(long_id(1), vector_of(2));
            (void)save(subject->before, subject->folder / "saved", subject->calls);
            return subject;
        };
        const auto saves = [](Subject& s) { return save(s.after, s.folder / "saved", s.calls).vectors == 1; };
        const auto loads = [](Subject& s) {
            return load<PlainIndex>(s.folder / "saved")->vectors() == s.before.vectors();
        };
        const auto check = [](Subject& s, bool done, const auto& say) {
            say(load<PlainIndex>(s.folder / "saved")->vectors() == (done ? s.after : s.before).vectors(),
                "file differs");
            say(!std::filesystem::exists(s.folder / "saved.saving"), "something is left beside it");
        };
        const auto check_unchanged = [&check](Subject& s, bool, const auto& say) { check(s, false, say); };
        const auto nothing = [](Subject&, const auto&) {};
        complaints.expect(fail_each_allocation(complaints, "save", make, saves, check, nothing) > 20, "few failures");
        complaints.expect(fail_each_allocation(complaints, "load", make, loads, check_unchanged, nothing) > 20,
                          "few failures");
    });
}
