#include "search.hpp"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <csignal>
#include <ostream>
#include <sstream>
#include <streambuf>

namespace hotindex::model {

FenceClocks fence_clocks;
Arena arena;
Staging staging;

namespace {

// ---- one execution ----

const Scenario* running = nullptr;
std::uint64_t executions = 0;
std::uint64_t most_executions = 0;
bool shows_last = false; ///< the last execution is traced

/// disable_alloc_ switches Relacy's own tracking of every `new` of the process on and off; it is off here, because
/// libraries allocate too. What models allocate goes through the backend.
struct AllocationSwitch : rl::context {
    static int rl::context::* member() { return &AllocationSwitch::disable_alloc_; }
};

/// One suite a number of threads: Relacy's contexts are big templates. The scenario lives in a buffer beside it.
template <int Threads>
struct Suite : rl::test_suite<Suite<Threads>, Threads> {
    struct Setting {
        Setting() {
            int& disabled = rl::ctx().*AllocationSwitch::member();
            if (disabled == 0)
                disabled = 1;
            arena.reset();
            fence_clocks = {};
            staging = {};
            trace.clear();
            trace.on = shows_last && executions + 1 == most_executions;
        }
        Setting(const Setting&) = delete;
        Setting& operator=(const Setting&) = delete;
        ~Setting() {
            if (arena.objects != 0)
                fail("objects are left over at the end: a leak, or destroyed twice", rl::test_result_memory_leak,
                     std::source_location::current());
        }
    };
    struct Holder {
        Holder() {
            // Not at the end of the last one: what it leaves behind is looked at after that.
            if (most_executions != 0 && executions >= most_executions)
                rl::ctx().rl_until("as many executions as asked for", RL_INFO);
            running->construct(buffer.data());
            trace.threads_start();
            staging.threads_run = true;
        }
        Holder(const Holder&) = delete;
        Holder& operator=(const Holder&) = delete;
        ~Holder() { running->destroy(buffer.data()); }
    };
    alignas(128) static inline std::array<std::byte, scenario_bytes> buffer;
    Setting setting; // before the scenario, and after it
    Holder holder;

    void thread(unsigned i) { running->thread(buffer.data(), static_cast<int>(i)); }
    void after() {
        staging.threads_run = false;
        running->after(buffer.data());
        ++executions;
    }
};

/// Swallows what Relacy prints, without allocating.
class Nowhere : public std::streambuf {
    int overflow(int c) override { return c; }
};

// ---- crashes ----

/// A weakened order may make an algorithm follow a poisoned pointer. That is a failure like others, with a trace.
void on_crash(int signal) {
    if (rl::is_ctx() && running != nullptr)
        rl::ctx().fail_test(signal == SIGABRT ? "abort: a broken internal contract" : "a wild pointer was followed",
                            rl::test_result_access_to_freed_memory, rl::debug_info("", "", 0));
    std::signal(signal, SIG_DFL);
    std::raise(signal);
}
} // namespace

void catch_crashes() {
    static std::array<char, 1 << 16> stack;
    stack_t alternative{};
    alternative.ss_sp = stack.data();
    alternative.ss_size = stack.size();
    sigaltstack(&alternative, nullptr);
    struct sigaction action{};
    action.sa_handler = on_crash;
    action.sa_flags = SA_ONSTACK | SA_NODEFER;
    for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT})
        sigaction(signal, &action, nullptr);
}

// ---- searches ----

std::string name_of(const Search& s) {
    switch (s.kind) {
    case Search::Kind::random:
        return "random";
    case Search::Kind::bounded:
        return fmt::format("bound {}", s.bound);
    default:
        return "full";
    }
}

std::optional<Search> search_named(std::string_view name, std::uint64_t most) {
    for (const Search& each : {Search{Search::Kind::random, 0, most, 1}, Search{Search::Kind::bounded, 1, most, 1},
                               Search{Search::Kind::bounded, 2, most, 1}, Search{Search::Kind::bounded, 3, most, 1},
                               Search{Search::Kind::full, 0, most, 1}})
        if (name_of(each) == name)
            return each;
    return std::nullopt;
}

std::string replay_of(const Search& how, std::uint64_t at) {
    switch (how.kind) {
    case Search::Kind::random:
        return fmt::format("random:{}", at);
    case Search::Kind::bounded:
        return fmt::format("bound:{}:{}", how.bound, at);
    default:
        return fmt::format("full:{}", at);
    }
}

std::optional<Search> replay_named(const std::string& text) {
    Search how;
    std::istringstream in(text);
    std::string kind;
    std::getline(in, kind, ':');
    char colon = 0;
    std::uint64_t at = 0;
    if (kind == "random" && in >> at) {
        how.first = at;
        how.executions = 1;
    } else if (kind == "bound" && in >> how.bound >> colon >> at && colon == ':') {
        how.kind = Search::Kind::bounded;
        how.executions = at;
    } else if (kind == "full" && in >> at) {
        how.kind = Search::Kind::full;
        how.executions = at;
    }
    if (at == 0 || in.peek() != std::istringstream::traits_type::eof())
        return std::nullopt;
    return how;
}

namespace {

template <int Threads>
Outcome search(const Scenario& scenario, const Search& how, bool with_trace) {
    static Nowhere nowhere;
    std::ostream out(&nowhere);
    running = &scenario;
    executions = 0;
    most_executions = how.executions;
    shows_last = with_trace;
    rl::test_params p;
    p.search_type = how.kind == Search::Kind::random    ? rl::sched_random
                    : how.kind == Search::Kind::bounded ? rl::sched_bound
                                                        : rl::sched_full;
    p.context_bound = how.bound;
    p.iteration_count = how.first - 1 + (how.executions == 0 ? 1'000'000'000'000 : how.executions);
    p.execution_depth_limit = 20'000;
    p.output_stream = &out;
    p.progress_stream = &out;
    p.output_history = true; // our own trace is the history: Relacy need not play a failure again
    if (how.first != 1)
        p.initial_state = fmt::format("{}", how.first);
    const auto begin = std::chrono::steady_clock::now();
    rl::simulate<Suite<Threads>>(p);
    Outcome o;
    o.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    o.result = p.test_result;
    o.passed = p.test_result == rl::test_result_success || p.test_result == rl::test_result_until_condition_hit;
    o.complete = p.test_result == rl::test_result_success && how.kind != Search::Kind::random;
    // The one in which a search is stopped is not played.
    o.executions =
        p.test_result == rl::test_result_until_condition_hit ? executions : p.stop_iteration - (how.first - 1);
    o.failed_at = p.stop_iteration;
    running = nullptr;
    return o;
}

} // namespace

Outcome search(const Scenario& scenario, const Search& how, bool with_trace) {
    switch (scenario.threads) {
    case 2:
        return search<2>(scenario, how, with_trace);
    case 3:
        return search<3>(scenario, how, with_trace);
    default:
        return search<4>(scenario, how, with_trace);
    }
}

} // namespace hotindex::model
