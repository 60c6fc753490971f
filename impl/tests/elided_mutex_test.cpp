// ElidedMutex on transactions in software, which abort at any step of a section that a test names: what runs, how often,
// and what the lock learns. Which interleavings are right is checked in relacy/elided_model.cpp, and the index behind it
// in stress/.
#include "catch.hpp"

#include <hotindex/backend/production.hpp>
#include <hotindex/backend/traits.hpp>
#include <hotindex/elision/elided_mutex.hpp>
#include <hotindex/elision/transactions.hpp>
#include <hotindex/hot_vector_index.hpp>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace {
using namespace hotindex;
using Status = TransactionStatus;

/// What a section writes: one thread at a time.
struct Cells {
    std::array<int, 3> value{};
};

/// Transactions of one thread at a time: they keep what is written until they commit, and throw where the processor
/// would go back to begin().
class Scripted {
  public:
    struct RolledBack {
        Status status;
    };
    template <class B>
    class word {
      public:
        explicit word(std::uint32_t value) : value_(value) {}
        [[nodiscard]] std::uint32_t load(typename B::order) const {
            step();
            return value_;
        }
        void store(std::uint32_t value, typename B::order) { value_ = value; }
        std::uint32_t exchange(std::uint32_t value, typename B::order) { return std::exchange(value_, value); }

      private:
        std::uint32_t value_;
    };

    static bool available() { return there; }
    static Status begin() {
        ++begun;
        if (pending != Status::in_transaction)
            return Status(std::exchange(pending, Status::in_transaction));
        REQUIRE_FALSE(runs);
        at = 0;
        if (const std::uint32_t bits = asked(); bits != Status::in_transaction)
            return Status(bits);
        runs = true;
        written = committed;
        return Status(Status::in_transaction);
    }
    static void commit() {
        step();
        REQUIRE(runs);
        runs = false;
        committed = written;
        ++commits;
    }
    static void abort_because_held() {
        REQUIRE(runs);
        runs = false;
        pending = Status::lock_held;
        --begun; // begin() returns for a second time
    }
    /// What a section does: in a transaction it can be its last step.
    static void write(std::size_t cell, int value) {
        step();
        (runs ? written : committed).value[cell] = value;
    }
    [[nodiscard]] static int read(std::size_t cell) {
        step();
        return (runs ? written : committed).value[cell];
    }

    /// `script(step)`: why the running transaction ends at its step of that number; in_transaction: it does not.
    static void begin_test(std::function<std::uint32_t(int step)> asks) {
        script = std::move(asks);
        there = true;
        runs = false;
        pending = Status::in_transaction;
        begun = commits = 0;
        committed = {};
    }
    static inline bool there = true;
    static inline int begun = 0;
    static inline int commits = 0;
    static inline Cells committed;

  private:
    static std::uint32_t asked() { return script ? script(at++) : Status::in_transaction; }
    static void step() {
        if (!runs)
            return;
        if (const std::uint32_t bits = asked(); bits != Status::in_transaction) {
            runs = false;
            throw RolledBack{Status(bits)};
        }
    }
    static inline std::function<std::uint32_t(int)> script;
    static inline bool runs = false;
    static inline int at = 0;
    static inline std::uint32_t pending = Status::in_transaction;
    static inline Cells written;
};

using Mutex = BasicElidedMutex<ProductionBackend, DefaultTraits, Scripted>;
using Traits = DefaultTraits;
constexpr std::uint32_t goes_on = Status::in_transaction;
constexpr std::uint32_t in_the_way = Status::conflict | Status::retry;

/// Runs a section as a processor does: where a transaction is rolled back, begin() returns again.
template <class M, class Section>
void run(M& mutex, Section section) {
    if (!mutex.elides()) {
        const std::unique_lock lock(mutex);
        section();
        return;
    }
    auto mine = mutex.acquisition();
    for (;;) {
        try {
            mutex.lock(mine);
            section();
            mutex.unlock();
            return;
        } catch (const Scripted::RolledBack& back) {
            mutex.aborted(mine, back.status);
        }
    }
}
void add_one_to_each() {
    for (std::size_t c = 0; c != 3; ++c)
        Scripted::write(c, Scripted::read(c) + 1);
}
/// Sections that end in this way, or commit.
void many(Mutex& mutex, int sections) {
    for (int i = 0; i != sections; ++i)
        run(mutex, add_one_to_each);
}
std::uint64_t all_aborts(const ElisionStats& s) {
    std::uint64_t n = 0;
    for (const std::uint64_t of_reason : s.aborts)
        n += of_reason;
    return n;
}
} // namespace

TEST_CASE("a section takes place once at whatever step its transactions are aborted, and how often", "[elision]") {
    constexpr int steps = 10; // begin, the word, six accesses, the word again, commit
    for (const std::uint32_t why :
         {in_the_way, Status::retry, Status::capacity, Status::conflict, Status::nested, 0u,
          Status::capacity | Status::retry, Status::explicitly | 7u << 24, Status::lock_held | Status::nested})
        for (int step = 0; step != steps; ++step)
            for (int times = 0; times != 8; ++times) {
                int left = times;
                Scripted::begin_test([&](int at) { return at == step && left-- > 0 ? why : goes_on; });
                Mutex mutex;
                run(mutex, add_one_to_each);
                CHECK(Scripted::committed.value == std::array{1, 1, 1});
                const bool hopeless = !Status(why).may_succeed();
                const int tries = hopeless ? 1 : static_cast<int>(Traits::elision_tries);
                const ElisionStats stats = mutex.stats();
                CHECK(all_aborts(stats) == static_cast<std::uint64_t>(std::min(times, tries)));
                CHECK(stats.aborted(Status(why).reason()) == all_aborts(stats));
                CHECK(stats.behind == (times >= tries ? 1 : 0));
                CHECK(stats.commits == 1 - stats.behind);
                CHECK(Scripted::commits == static_cast<int>(stats.commits));
                // The lock is free afterwards: the next section is a transaction again, or goes behind the mutex.
                left = 0;
                run(mutex, add_one_to_each);
                CHECK(Scripted::committed.value == std::array{2, 2, 2});
                CHECK(mutex.stats().commits + mutex.stats().behind == 2);
            }
}

TEST_CASE("what a status says of an abort is what the processor's manual says", "[elision]") {
    CHECK(Status(Status::in_transaction).started());
    for (const std::uint32_t bits : {0u, Status::lock_held, in_the_way})
        CHECK_FALSE(Status(bits).started());
    CHECK(Status(Status::lock_held).reason() == AbortReason::lock_held);
    CHECK(Status(Status::lock_held).may_succeed());
    CHECK(Status(Status::lock_held | Status::nested).reason() == AbortReason::other); // another lock was held
    CHECK(Status(Status::explicitly | 1u << 24).reason() == AbortReason::other);
    CHECK_FALSE(Status(Status::explicitly | 1u << 24).may_succeed());
    CHECK(Status(Status::capacity | Status::conflict).reason() == AbortReason::capacity);
    CHECK(Status(in_the_way).reason() == AbortReason::conflict);
    CHECK(Status(Status::retry).reason() == AbortReason::other);
    CHECK(Status(Status::retry).may_succeed());
    CHECK_FALSE(Status(0).may_succeed());
    CHECK(name_of(AbortReason::lock_held) == "lock held");
}

TEST_CASE("a transaction beside a held lock is aborted, and its thread waits behind the mutex", "[elision]") {
    Scripted::begin_test([](int) { return 0u; }); // the first section does not fit
    Mutex mutex;
    run(mutex, [&] {
        CHECK(mutex.stats().behind == 1);
        Scripted::begin_test(nullptr);
        CHECK_FALSE(mutex.try_lock()); // one transaction, then the mutex
        CHECK(Scripted::begun == 1);
        CHECK(mutex.stats().aborted(AbortReason::lock_held) == 1);
    });
    CHECK(mutex.try_lock());
    CHECK(Scripted::begun == 2);
    mutex.unlock();
    CHECK(Scripted::commits == 1);
    CHECK(mutex.stats().behind == 1);
}

TEST_CASE("try_lock takes the mutex where no transaction commits", "[elision]") {
    Scripted::begin_test([](int) { return in_the_way; });
    Mutex mutex;
    REQUIRE(mutex.try_lock());
    CHECK(Scripted::begun == 1);
    CHECK(mutex.stats().behind == 1);
    mutex.unlock();
    CHECK(Scripted::commits == 0);
}

TEST_CASE("a lock whose sections never fit nearly stops trying, and is back soon when they do", "[elision]") {
    Scripted::begin_test([](int step) { return step == 4 ? Status::capacity : goes_on; });
    Mutex mutex;
    constexpr int sections = 100'000;
    many(mutex, sections);
    CHECK(mutex.stats().behind == sections);
    // Once in longest_rest sections; before that rests of 16, 32, ..., and the first lessons.
    CHECK(Scripted::begun <= sections / static_cast<int>(Traits::elision_longest_rest) + 20);
    CHECK(Scripted::begun >= sections / static_cast<int>(Traits::elision_longest_rest) - 1);
    CHECK(mutex.stats().untried == sections - static_cast<std::uint64_t>(Scripted::begun));
    CHECK(Scripted::committed.value[0] == sections);

    Scripted::begin_test(nullptr);
    const std::uint64_t until = Traits::elision_longest_rest;
    many(mutex, static_cast<int>(until) + 1);
    CHECK(Scripted::begun >= 1);
    const ElisionStats back = mutex.stats();
    many(mutex, 1000);
    CHECK(mutex.stats().behind == back.behind);
    // Its credit is full again: a section has all tries, and a rest would be short.
    Scripted::begin_test([](int) { return in_the_way; });
    many(mutex, 1);
    CHECK(Scripted::begun == static_cast<int>(Traits::elision_tries));
}

TEST_CASE("conflicts cost one try after the other, and commits earn them back", "[elision]") {
    Scripted::begin_test([](int) { return in_the_way; });
    Mutex mutex;
    for (std::uint32_t tries = Traits::elision_tries; tries != 0; --tries) {
        Scripted::begun = 0;
        many(mutex, 1);
        CHECK(Scripted::begun == static_cast<int>(tries));
    }
    Scripted::begun = 0;
    many(mutex, static_cast<int>(Traits::elision_first_rest));
    CHECK(Scripted::begun == 0);
    many(mutex, 1);
    CHECK(Scripted::begun == 2);

    Scripted::begin_test(nullptr);
    Mutex other;
    many(other, 10);
    Scripted::begin_test([](int) { return in_the_way; });
    many(other, 2);
    Scripted::begin_test(nullptr);
    many(other, static_cast<int>(2 * Traits::elision_commits_per_try));
    Scripted::begin_test([](int) { return in_the_way; });
    many(other, 1);
    CHECK(Scripted::begun == static_cast<int>(Traits::elision_tries));
}

TEST_CASE("a lock that is held is not blamed on the sections", "[elision]") {
    Scripted::begin_test(nullptr);
    Mutex mutex;
    for (int i = 0; i != 100; ++i) {
        Scripted::begin_test([](int) { return Status::lock_held; });
        many(mutex, 1);
        CHECK(Scripted::begun == static_cast<int>(Traits::elision_tries));
    }
}

TEST_CASE("where the processor has no transactions, nothing is begun and nothing counted", "[elision]") {
    Scripted::begin_test(nullptr);
    Scripted::there = false;
    Mutex mutex;
    Scripted::there = true; // a lock does not change its mind
    many(mutex, 10);
    CHECK(mutex.try_lock());
    std::thread([&] { CHECK_FALSE(mutex.try_lock()); }).join();
    mutex.unlock();
    CHECK_FALSE(mutex.elides());
    CHECK(Scripted::begun == 0);
    CHECK(mutex.stats().behind == 0);
    CHECK_FALSE(mutex.stats().available);
    CHECK(Scripted::committed.value == std::array{10, 10, 10});
}

TEST_CASE("sections of several threads behind the lock of this processor exclude each other", "[elision]") {
    // With transactions where there are some, and the mutex elsewhere. What it is made of is told by stats().
    ElidedMutex mutex;
    std::condition_variable_any changed;
    std::uint64_t sum = 0;
    std::uint64_t twice = 0;
    constexpr int sections = 20'000;
    constexpr int team = 4;
    std::vector<std::thread> threads;
    for (int t = 0; t != team; ++t)
        threads.emplace_back([&, t] {
            for (int i = 0; i != sections; ++i) {
                const std::unique_lock lock(mutex);
                sum += static_cast<std::uint64_t>(t);
                twice = 2 * sum;
            }
            changed.notify_all();
        });
    {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return twice == 2 * sum && sum == std::uint64_t{sections} * (0 + 1 + 2 + 3); });
    }
    for (std::thread& thread : threads)
        thread.join();
    CHECK(sum == std::uint64_t{sections} * 6);
    const ElisionStats stats = mutex.stats();
    CHECK(stats.available == RestrictedTransactions::available());
    CHECK((stats.commits + stats.behind >= std::uint64_t{sections} * team) == stats.available);
}

TEST_CASE("an index behind an elided mutex tells what became of its sections", "[elision]") {
    static_assert(VectorIndex<HotVectorIndex<ElidedMutex>>);
    Scripted::begin_test(nullptr);
    HotVectorIndex<Mutex> index({.dimension = 2});
    CHECK(index.add_vector("a", std::vector<float>{1, 0}) == AddOutcome::inserted);
    CHECK(index.search(std::vector<float>{1, 1}, 3).size() == 1);
    CHECK(index.mutex().stats().commits == 2);
    Scripted::begin_test([](int step) { return step == 0 ? Status::capacity : goes_on; });
    CHECK(index.remove_vector("a"));
    CHECK(index.mutex().stats().behind == 1);
    CHECK(index.size() == 0);
}
