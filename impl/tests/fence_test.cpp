// The asymmetric fence on the running kernel: does it order, would the test notice if it did not, and what does a
// sandbox do to it?
#include "catch.hpp"
#include "child_program.hpp"
#include "store_buffering.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <string>

namespace {
using namespace hotindex;
using namespace hotindex::store_buffering;
using namespace std::chrono_literals;

constexpr const char* program = HOTINDEX_LIFETIMES_PROGRAM;

bool has(const tests::Ended& ended, const char* text) {
    return ended.output.find(text) != std::string::npos;
}
} // namespace

TEST_CASE("of a light and a heavy half, one side sees the other's write", "[fence][threads]") {
    const Seen seen = run<Shipped>(100'000, 10s);
    CHECK(seen.both_old == 0);
    CHECK(seen.rounds > 0);
}

TEST_CASE("of two heavy halves, one side sees the other's write", "[fence][threads]") {
    CHECK(run<BothHeavy>(50'000, 10s).both_old == 0);
}

#ifndef __SANITIZE_THREAD__ // ThreadSanitizer's own work on every atomic operation orders it, and hides what is missing
TEST_CASE("the litmus test notices a half that is missing", "[fence][threads]") {
    // What the heavy half without its membarrier would be, and the fallback without the light half's fence.
    const Seen seen = run<NothingOnTheFirstSide>(2'000'000'000, cores().size() >= 2 ? 100s : 1s, true);
    UNSCOPED_INFO(fmt::format("{} rounds", seen.rounds));
    if (cores().size() >= 2) // one core runs one side after the other
        CHECK(seen.both_old == 1);
}
#endif

TEST_CASE("a sandbox that denies membarrier from the start gets full fences, which order", "[fence][sandbox]") {
    using tests::Sandbox;
    for (const Sandbox sandbox : {Sandbox{Sandbox::everything, EPERM}, Sandbox{Sandbox::everything, ENOSYS},
                                  Sandbox{Sandbox::expedited_only, EPERM}, Sandbox{Sandbox::expedited_only, ENOSYS}}) {
        const tests::Ended ended = tests::run_program({program, "fences"}, sandbox);
        INFO(ended.output);
        if (ended.status == 125)
            return; // no sandboxes on this kernel
        CHECK(ended.status == 0);
        CHECK(has(ended, "full fences"));
    }
    const tests::Ended open = tests::run_program({program, "fences"});
    INFO(open.output);
    CHECK(open.status == 0);
}

TEST_CASE("a sandbox that closes late ends the program with the reason and two remedies", "[fence][sandbox]") {
    // Two threads are denied at about the same time, and the one that ends the process must not cut the other short.
    for (int run = 0; run != 10; ++run) {
        const tests::Ended ended = tests::run_program({program, "late"});
        INFO(ended.output);
        if (ended.status == 125 || !AsymmetricFence::asymmetric())
            return;
        CHECK(ended.status == 128 + SIGABRT);
        CHECK(has(ended, "hotindex: membarrier(2) worked when the program started and fails now (errno 1)"));
        CHECK(has(ended, "allow membarrier in the sandbox"));
        CHECK(has(ended, "AsymmetricFence::fall_back()"));
    }
}

TEST_CASE("a program that falls back before its sandbox closes goes on", "[fence][sandbox]") {
    const tests::Ended ended = tests::run_program({program, "late", "fall-back"});
    INFO(ended.output);
    if (ended.status == 125)
        return;
    CHECK(ended.status == 0);
    CHECK(has(ended, "survived"));
}
