// Allocations that fail when a test says so: every allocation of every operation fails once, and nothing may be half
// done.
//
// A binary that is linked with failing_allocations.cpp has its own operator new, and its own mmap, with a countdown for
// each thread: the n-th allocation after arming fails (and, in a second round, all that follow it). An operation is run
// with n = 1, 2, ... until it no longer meets the failure. Each time it must either throw and leave everything as it
// was, or be complete; the same call must work afterwards; and in the end every block must have been given back.
//
// Catch2's assertions stay on the main thread: the experiments run on threads of their own (a thread's first call
// allocates more) and report through Complaints.
#pragma once

#include "catch.hpp"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <new>
#include <string>
#include <thread>
#include <vector>

namespace hotindex::tests {

/// The calling thread's countdown.
struct Failure {
    std::uint64_t left = 0; ///< allocations until the one that fails; 0: none will
    bool persistent = false;
    bool met = false; ///< the failure happened
};
extern constinit thread_local Failure failure;
inline std::atomic<std::int64_t> live_blocks{0};
inline std::atomic<std::int64_t> mapped_bytes{0};
inline std::atomic<std::uint64_t> failed_mappings{0};

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

inline constexpr std::uint64_t too_many = 100'000;

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

inline std::string long_id(int i) {
    return std::string("an id of more than fifteen characters, ").append(std::to_string(i));
}

inline std::vector<std::string> some_ids(int n) {
    std::vector<std::string> ids;
    for (int i = 0; i != n; ++i)
        ids.push_back(i % 2 == 0 ? long_id(i) : std::to_string(i));
    return ids;
}

} // namespace hotindex::tests
