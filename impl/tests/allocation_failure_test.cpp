// What happens when memory runs out: every allocation of every operation fails once, and nothing may be half done.
//
// This binary has its own operator new, and its own mmap, with a countdown for each thread: the n-th allocation after
// arming fails (and, in a second round, all that follow it). An operation is run with n = 1, 2, ... until it no longer
// meets the failure. Each time it must either throw and leave everything as it was, or be complete; the same call must
// work afterwards; and in the end every block must have been given back.
//
// Catch2's assertions stay on the main thread: the experiments run on threads of their own (a thread's first call
// allocates more) and report through Complaints.
#include "catch.hpp"

#include <hotindex/hot_vector_index.hpp>
#include <hotindex/lock_free_hot_vector_index.hpp>
#include <hotindex/map/lock_free_hash_map.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <cerrno>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace {
/// The calling thread's countdown.
struct Failure {
    std::uint64_t left = 0; ///< allocations until the one that fails; 0: none will
    bool persistent = false;
    bool met = false; ///< the failure happened
};
constinit thread_local Failure failure;
std::atomic<std::int64_t> live_blocks{0};
std::atomic<std::int64_t> mapped_bytes{0};
std::atomic<std::uint64_t> failed_mappings{0};

bool fails_now() noexcept {
    if (failure.left == 0 || --failure.left != 0)
        return false;
    failure.met = true;
    if (failure.persistent)
        failure.left = 1;
    return true;
}

void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
    if (fails_now())
        return nullptr;
    bytes = std::max<std::size_t>(bytes, 1);
    void* const memory = alignment <= alignof(std::max_align_t)
                             ? std::malloc(bytes)
                             : std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
    if (memory != nullptr)
        live_blocks.fetch_add(1, std::memory_order_relaxed);
    return memory;
}
void* allocate_or_throw(std::size_t bytes, std::size_t alignment) {
    void* const memory = allocate(bytes, alignment);
    if (memory == nullptr)
        throw std::bad_alloc();
    return memory;
}
void release(void* memory) noexcept {
    if (memory == nullptr)
        return;
    live_blocks.fetch_sub(1, std::memory_order_relaxed);
    std::free(memory);
}
} // namespace

// clang-format off
void* operator new(std::size_t n) { return allocate_or_throw(n, 0); }
void* operator new[](std::size_t n) { return allocate_or_throw(n, 0); }
void* operator new(std::size_t n, std::align_val_t a) { return allocate_or_throw(n, static_cast<std::size_t>(a)); }
void* operator new[](std::size_t n, std::align_val_t a) { return allocate_or_throw(n, static_cast<std::size_t>(a)); }
void* operator new(std::size_t n, const std::nothrow_t&) noexcept { return allocate(n, 0); }
void* operator new[](std::size_t n, const std::nothrow_t&) noexcept { return allocate(n, 0); }
void* operator new(std::size_t n, std::align_val_t a, const std::nothrow_t&) noexcept { return allocate(n, static_cast<std::size_t>(a)); }
void* operator new[](std::size_t n, std::align_val_t a, const std::nothrow_t&) noexcept { return allocate(n, static_cast<std::size_t>(a)); }
void operator delete(void* p) noexcept { release(p); }
void operator delete[](void* p) noexcept { release(p); }
void operator delete(void* p, std::size_t) noexcept { release(p); }
void operator delete[](void* p, std::size_t) noexcept { release(p); }
void operator delete(void* p, std::align_val_t) noexcept { release(p); }
void operator delete[](void* p, std::align_val_t) noexcept { release(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { release(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { release(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { release(p); }
void operator delete[](void* p, const std::nothrow_t&) noexcept { release(p); }
void operator delete(void* p, std::align_val_t, const std::nothrow_t&) noexcept { release(p); }
void operator delete[](void* p, std::align_val_t, const std::nothrow_t&) noexcept { release(p); }
// clang-format on

#if defined(__linux__)
extern "C" void* mmap(void* addr, std::size_t len, int prot, int flags, int fd, off_t offset) noexcept {
    if (fails_now()) {
        failed_mappings.fetch_add(1, std::memory_order_relaxed);
        errno = ENOMEM;
        return MAP_FAILED;
    }
    const long mapped = syscall(SYS_mmap, addr, len, prot, flags, fd, offset);
    if (mapped == -1)
        return MAP_FAILED;
    mapped_bytes.fetch_add(static_cast<std::int64_t>(len), std::memory_order_relaxed);
    return reinterpret_cast<void*>(mapped);
}
extern "C" int munmap(void* addr, std::size_t len) noexcept {
    const long answer = syscall(SYS_munmap, addr, len);
    if (answer == 0)
        mapped_bytes.fetch_sub(static_cast<std::int64_t>(len), std::memory_order_relaxed);
    return static_cast<int>(answer);
}
#endif

namespace {
using namespace hotindex;
using namespace std::chrono_literals;
using Vector = std::vector<float>;
using Model = std::map<std::string, Vector, std::less<>>;

// ---- the experiment ----

/// What went wrong, from any thread.
class Complaints {
  public:
    void expect(bool fine, const std::string& what) {
        const std::lock_guard lock(mutex_);
        ++checked_;
        if (!fine && all_.size() < 5)
            all_.push_back(what);
    }
    [[nodiscard]] const std::vector<std::string>& all() const { return all_; }
    [[nodiscard]] std::uint64_t checked() const { return checked_; }

  private:
    std::mutex mutex_;
    std::vector<std::string> all_;
    std::uint64_t checked_ = 0;
};

enum class End { complete, threw };
struct Attempt {
    End end = End::complete;
    bool met = false;   ///< an allocation failed
    bool right = false; ///< what the operation returned was what it should; when complete
};

/// Runs the operation with the n-th allocation failing; it returns whether its result is right.
template <class Operation>
Attempt attempt(std::uint64_t n, bool persistent, Operation& operation) {
    Attempt a;
    failure = {n, persistent, false};
    try {
        a.right = operation();
    } catch (const std::bad_alloc&) {
        a.end = End::threw;
    }
    a.met = failure.met;
    failure = {};
    return a;
}

template <class Work>
void on_a_thread(Work work) {
    std::thread(work).join();
}

/// Runs work(complaints) on a thread of its own, asserts that nobody complained and that no block was left behind.
template <class Work>
void experiment(Work work) {
    Complaints complaints;
    on_a_thread([&] { work(complaints); }); // whatever allocates once in a process has now done so
    CHECK(complaints.all() == std::vector<std::string>{});
    CHECK(complaints.checked() > 0);
    std::int64_t leaked = 0;
    std::int64_t left_mapped = 0;
    {
        Complaints again;
        const std::int64_t before = live_blocks;
        const std::int64_t mapped_before = mapped_bytes;
        on_a_thread([&] { work(again); });
        if (again.all().empty()) {
            leaked = live_blocks - before;
            left_mapped = mapped_bytes - mapped_before;
        }
    }
    CHECK(leaked == 0);
    CHECK(left_mapped == 0);
}

constexpr std::uint64_t too_many = 100'000;

/// Fails every allocation of the operation once, each time on a new subject, and says how often it did.
///
/// make() makes the subject; operation(subject) returns whether its result is right; check(subject, done, say) says
/// what is wrong with a subject on which the operation was or was not done; use(subject, say) ends the subject's life
/// by using it.
template <class Make, class Operation, class Check, class Use>
std::uint64_t fail_each_allocation(Complaints& complaints, const std::string& name, Make make, Operation operation,
                                   Check check, Use use) {
    std::uint64_t failures = 0;
    for (const bool fresh_thread : {false, true})
        for (const bool persistent : {false, true})
            for (std::uint64_t n = 1; n != too_many; ++n) {
                const std::string where = name + (fresh_thread ? " on a fresh thread" : "") +
                                          (persistent ? ", from allocation " : ", at allocation ") + std::to_string(n) +
                                          ": ";
                const auto say = [&](bool fine, const std::string& what) { complaints.expect(fine, where + what); };
                const auto subject = make();
                const auto on_this = [&] { return operation(*subject); };
                const auto try_it = [&](std::uint64_t at) {
                    Attempt a;
                    if (fresh_thread)
                        on_a_thread([&] { a = attempt(at, persistent, on_this); });
                    else
                        a = attempt(at, persistent, on_this);
                    return a;
                };
                check(*subject, false, say);
                const Attempt first = try_it(n);
                failures += first.met ? 1 : 0;
                check(*subject, first.end == End::complete, say);
                if (first.end == End::threw) {
                    say(first.met, "threw std::bad_alloc by itself");
                    const Attempt second = try_it(0);
                    say(second.end == End::complete && second.right, "the same call did not work afterwards");
                    check(*subject, true, say);
                } else {
                    say(first.right, "wrong result");
                }
                use(*subject, say);
                if (!first.met)
                    break;
            }
    return failures;
}

// ---- indexes ----

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

std::string long_id(int i) {
    return std::string("an id of more than fifteen characters, ").append(std::to_string(i));
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
    say(index.search(query, model.size() + 1) == expected, "search differs");
    say(index.search_batch(query, model.size() + 1) == std::vector<std::vector<Match>>{expected}, "batch differs");
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
    const std::string known = there[there.size() / 2];
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
    failures += run("access", [&](Index& index) { return index.access(known); }, nothing);
    failures += run("access_stats", [&](Index& index) { return index.access_stats(known).has_value(); }, nothing);
    failures += run("promote", [&](Index& index) { return index.promote(known); }, nothing);
    failures += run("demote", [&](Index& index) { return index.demote(known); }, nothing);
    failures += run("manage_tiers", [&](Index& index) { return index.manage_tiers() == there.size(); }, nothing);
    complaints.expect(failures > 50, what + "hardly any allocation failed: is operator new replaced?");
}

std::vector<std::string> some_ids(int n) {
    std::vector<std::string> ids;
    for (int i = 0; i != n; ++i)
        ids.push_back(i % 2 == 0 ? long_id(i) : std::to_string(i));
    return ids;
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

// ---- maps ----

struct OneBucketHash { // everything collides, tags included
    using is_transparent = void;
    std::size_t operator()(std::string_view) const noexcept { return 42; }
};
template <class Hash, class Traits>
using Map = LockFreeHashMap<std::string, std::string, Hash, std::equal_to<>, ProductionBackend, Traits>;
using PlainMap = Map<DefaultHash<std::string>, DefaultTraits>;
using CollidingMap = Map<OneBucketHash, DefaultTraits>;
using TinyMap = Map<DefaultHash<std::string>, TinyTraits>;
using TinyCollidingMap = Map<OneBucketHash, TinyTraits>;
using MapModel = std::map<std::string, std::string, std::less<>>;

template <class M, class Say>
void check_map(const M& map, const MapModel& model, const std::vector<std::string>& keys, const Say& say) {
    say(map.size() == model.size(), "size differs");
    for (const std::string& key : keys) {
        const auto there = model.find(key);
        say(map.contains(key) == (there != model.end()), "contains differs for " + key);
        const auto got = map.get(key);
        say(there == model.end() ? !got.has_value() : got == there->second, "get differs for " + key);
    }
    MapModel seen;
    std::size_t visits = 0;
    map.for_each([&](const std::string& key, const std::string& value) {
        seen[key] = value;
        ++visits;
    });
    say(seen == model && visits == model.size(), "for_each differs");
}

template <class M>
struct MapSubject {
    explicit MapSubject(const std::vector<std::string>& there) {
        for (const std::string& key : there) {
            map.insert(key, key);
            model[key] = key;
        }
    }
    M map;
    MapModel model;
};

template <class M>
void fail_in_every_map_operation(Complaints& complaints, int size) {
    using S = MapSubject<M>;
    const std::vector<std::string> there = some_ids(size);
    const std::string newcomer = "a key that is not yet there, and long", known = there[there.size() / 2];
    const std::string value = "a value that does not fit into a short string";
    std::vector<std::string> keys = there;
    keys.push_back(newcomer);
    const auto run = [&](const std::string& name, auto operation, auto change) {
        return fail_each_allocation(
            complaints, std::to_string(size).append(" keys, ").append(name), [&] { return std::make_unique<S>(there); },
            [&](S& s) { return operation(s.map); },
            [&](S& s, bool done, const auto& say) {
                if (done)
                    change(s.model);
                check_map(s.map, s.model, keys, say);
            },
            [&](S& s, const auto& say) {
                for (const std::string& key : keys)
                    say(s.map.erase(key) == (s.model.erase(key) == 1), "erase afterwards differs");
                for (const std::string& key : keys)
                    say(s.map.insert(key, value) && s.model.emplace(key, value).second, "insert afterwards differs");
                check_map(s.map, s.model, keys, say);
                s.map.clear();
                say(s.map.drain(), "something stays in limbo");
            });
    };
    const auto nothing = [](MapModel&) {};
    std::uint64_t failures = 0;
    failures += run(
        "insert", [&](M& map) { return map.insert(newcomer, value); },
        [&](MapModel& model) { model[newcomer] = value; });
    failures += run("insert of a known key", [&](M& map) { return !map.insert(known, value); }, nothing);
    failures += run(
        "insert_or_assign of a new key", [&](M& map) { return map.insert_or_assign(newcomer, value); },
        [&](MapModel& model) { model[newcomer] = value; });
    failures += run(
        "insert_or_assign of a known key", [&](M& map) { return !map.insert_or_assign(known, value); },
        [&](MapModel& model) { model[known] = value; });
    failures += run(
        "exchange of a new key", [&](M& map) { return !map.exchange(newcomer, value).has_value(); },
        [&](MapModel& model) { model[newcomer] = value; });
    failures += run(
        "exchange of a known key", [&](M& map) { return map.exchange(known, value) == known; },
        [&](MapModel& model) { model[known] = value; });
    failures += run(
        "update", [&](M& map) { return map.update(known, [&](const std::string& old) { return old + value; }); },
        [&](MapModel& model) { model[known] = known + value; });
    failures += run(
        "update of an unknown key",
        [&](M& map) { return !map.update(newcomer, [](const std::string& old) { return old; }); }, nothing);
    failures += run("erase", [&](M& map) { return map.erase(known); }, [&](MapModel& model) { model.erase(known); });
    failures += run("erase of an unknown key", [&](M& map) { return !map.erase(newcomer); }, nothing);
    failures += run("get", [&](M& map) { return map.get(known) == known; }, nothing);
    complaints.expect(failures > 20, "hardly any allocation failed: is operator new replaced?");
}

template <class M>
void fail_all_along_a_map(Complaints& complaints, int n) {
    M map;
    MapModel model;
    std::vector<std::string> keys;
    const auto say = [&](bool fine, const std::string& what) {
        complaints.expect(
            fine, std::string("all along, ").append(std::to_string(keys.size())).append(" keys: ").append(what));
    };
    const auto insist = [&](auto operation, const std::string& key) {
        for (std::uint64_t fail_at = 1; fail_at != too_many; ++fail_at) {
            const Attempt a = attempt(fail_at, false, operation);
            if (a.end == End::complete) {
                say(a.right, "wrong result");
                return;
            }
            const auto there = model.find(key);
            const auto got = map.get(key);
            say(map.size() == model.size() && (there == model.end() ? !got.has_value() : got == there->second),
                "a failed call changed something");
        }
    };
    for (int i = 0; i != n; ++i) {
        const std::string key = i % 3 == 0 ? std::to_string(i) : long_id(i);
        keys.push_back(key);
        insist([&] { return map.insert(key, key); }, key);
        model[key] = key;
    }
    check_map(map, model, keys, say);
    const std::string value = "a value that does not fit into a short string";
    for (std::size_t i = 0; i != keys.size(); ++i) {
        const std::string& key = keys[i];
        if (i % 3 == 0) {
            insist([&] { return map.exchange(key, value) == key; }, key);
            model[key] = value;
        } else if (i % 3 == 1) {
            insist([&] { return map.update(key, [&](const std::string& old) { return old + value; }); }, key);
            model[key] = key + value;
        } else {
            insist([&] { return map.erase(key); }, key);
            model.erase(key);
        }
    }
    check_map(map, model, keys, say);
}
} // namespace

TEST_CASE("the countdown fails the allocation it was told to, on its thread alone", "[allocation]") {
    const auto three = [] {
        for (int i = 0; i != 3; ++i)
            (void)std::make_unique<std::vector<int>>(i + 1);
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
        complaints.expect(failures >= 4u * 5u, "not every allocation failed: " + std::to_string(failures));
        Subject<TestType> subject(ids, 0);
        for (std::size_t i = 0; i != ids.size(); ++i) {
            const auto removal = [&] { return subject.index.remove_vector(ids[i]); };
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

TEMPLATE_TEST_CASE("a map operation that runs out of memory changes nothing, or is done", "[allocation]", PlainMap,
                   CollidingMap, TinyMap, TinyCollidingMap) {
    experiment([](Complaints& complaints) {
        for (const int size : {1, 2, 3, 8, 20})
            fail_in_every_map_operation<TestType>(complaints, size);
    });
}

TEMPLATE_TEST_CASE("a map that runs out of memory at every step grows nevertheless", "[allocation]", PlainMap,
                   CollidingMap, TinyMap) {
    experiment([](Complaints& complaints) {
        fail_all_along_a_map<TestType>(complaints, std::is_same_v<TestType, CollidingMap> ? 200 : 2000);
    });
}
