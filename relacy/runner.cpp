// The runner: main() of every model executable. Searches the registered scenarios, weakens orders, replays failures.
#include "model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <optional>
#include <ostream>
#include <sstream>
#include <streambuf>
#include <string>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace hotindex::model {

FenceClocks fence_clocks;
Staging staging;
constinit Bugs bugs;
Arena arena;

namespace {

// ---- one execution ----

const Scenario* running = nullptr;
std::uint64_t executions = 0;
std::uint64_t most_executions = 0;
bool shows_last = false; ///< the last execution is traced
double most_seconds = 0; ///< of a search; 0: no limit
std::chrono::steady_clock::time_point search_begin;

[[nodiscard]] bool search_is_over() {
    if (most_executions != 0 && executions >= most_executions)
        return true;
    return most_seconds > 0 && executions % 64 == 0 &&
           std::chrono::duration<double>(std::chrono::steady_clock::now() - search_begin).count() > most_seconds;
}

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
        ~Setting() {
            if (arena.objects != 0)
                fail("objects are left over at the end: a leak, or destroyed twice", rl::test_result_memory_leak,
                     std::source_location::current());
        }
    };
    struct Holder {
        Holder() {
            // Not at the end of the last one: what it leaves behind is looked at after that.
            if (search_is_over())
                rl::ctx().rl_until("as many executions as asked for", RL_INFO);
            running->construct(buffer.data());
            trace.threads_start();
            staging.threads_run = true;
        }
        ~Holder() { running->destroy(buffer.data()); }
    };
    alignas(128) static inline std::array<std::byte, std::size_t{1} << 21> buffer;
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

struct Search {
    enum class Kind { random, bounded, full } kind = Kind::random;
    unsigned bound = 0;
    std::uint64_t executions = 0; ///< 0: as many as there are
    std::uint64_t first = 1;      ///< random only: the first seed
};
[[nodiscard]] std::string name_of(const Search& s) {
    switch (s.kind) {
    case Search::Kind::random:
        return "random";
    case Search::Kind::bounded:
        return fmt::format("bound {}", s.bound);
    default:
        return "full";
    }
}

struct Outcome {
    bool passed = false;
    bool complete = false; ///< a tree search that came to its end
    std::uint64_t executions = 0;
    double seconds = 0;
    rl::test_result_e result{};
    std::uint64_t failed_at = 0; ///< seed or number of the failing execution
};

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
    search_begin = std::chrono::steady_clock::now();
    rl::simulate<Suite<Threads>>(p);
    Outcome o;
    o.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - search_begin).count();
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

// ---- mutants ----

/// One order weakened, or one planted bug switched on.
struct Mutant {
    Site* site = nullptr;
    Strength to{};
    bug planted = bug::none;

    void apply() const {
        if (site != nullptr)
            site->now = to;
        bugs.active = planted;
    }
    [[nodiscard]] std::string name() const {
        return site != nullptr ? fmt::format("{}={}", id_of(*site), model::name_of(to))
                               : std::string(hotindex::name_of(planted));
    }
};

[[nodiscard]] std::vector<Strength> weaker(Strength s) {
    switch (s) {
    case Strength::acquire:
    case Strength::release:
        return {Strength::relaxed};
    case Strength::acq_rel:
        return {Strength::acquire, Strength::release};
    case Strength::light_fence:
    case Strength::heavy_fence:
        return {Strength::nothing};
    default:
        return {};
    }
}

/// What a mutant's process reports.
struct Verdict {
    bool over; ///< its process has ended
    bool finished;
    bool killed;
    std::size_t scenario;
    unsigned bound; ///< 0: random
    std::uint64_t executions;
    rl::test_result_e result;
    double seconds;
};

struct Options {
    bool deep = false;
    bool list = false;
    bool mutate = false;
    bool plant = false;
    std::string only;    ///< scenario names that contain it
    std::string mutant;  ///< id=strength or a bug's name: in force in all that is run
    std::string site;    ///< with mutate or plant: only mutants whose name contains it
    double seconds = 30; ///< with mutate or plant: for each mutant at most; with deep: for each search
    std::string replay;  ///< random:SEED, bound:N:EXECUTION or full:EXECUTION
    std::string report;  ///< file for lines of tab-separated facts
};

class Report {
  public:
    explicit Report(const std::string& path) : file_(path.empty() ? nullptr : std::fopen(path.c_str(), "w")) {
        if (!path.empty() && file_ == nullptr) {
            fmt::print(stderr, "cannot write {}: {}\n", path, std::strerror(errno));
            std::exit(3);
        }
    }
    Report(const Report&) = delete;
    Report& operator=(const Report&) = delete;
    ~Report() {
        if (file_ != nullptr)
            std::fclose(file_);
    }
    template <class... Facts>
    void line(std::string_view kind, const Facts&... facts) {
        if (file_ == nullptr)
            return;
        std::string text(kind);
        ((text += fmt::format("\t{}", facts)), ...);
        fmt::print(file_, "{}\n", text);
        std::fflush(file_);
    }

  private:
    std::FILE* file_;
};

[[nodiscard]] std::vector<Search> searches_of(const Scenario& s, bool deep) {
    std::vector<Search> all;
    if (s.effort.bounded != 0) {
        if (!deep)
            all.push_back({Search::Kind::bounded, s.effort.bound, s.effort.bounded, 1});
        for (unsigned bound = s.effort.bound; deep && bound <= s.effort.deep_bound; ++bound)
            all.push_back({Search::Kind::bounded, bound, 100 * s.effort.bounded, 1});
    }
    if (s.effort.full != 0 || (deep && s.effort.bounded != 0))
        all.push_back(
            {Search::Kind::full, 0, deep ? 100 * std::max(s.effort.full, s.effort.bounded) : s.effort.full, 1});
    if (s.effort.random != 0)
        all.push_back({Search::Kind::random, 0, s.effort.random * (deep ? 100 : 1), 1});
    return all;
}

[[nodiscard]] std::string replay_of(const Search& how, std::uint64_t at) {
    switch (how.kind) {
    case Search::Kind::random:
        return fmt::format("random:{}", at);
    case Search::Kind::bounded:
        return fmt::format("bound:{}:{}", how.bound, at);
    default:
        return fmt::format("full:{}", at);
    }
}

void explain(const Scenario& s, const Search& how, const Outcome& o, const Options& options, const char* program) {
    // Played again, with the trace on.
    const Search again = how.kind == Search::Kind::random ? Search{how.kind, 0, 1, o.failed_at}
                                                          : Search{how.kind, how.bound, o.failed_at, 1};
    (void)search(s, again, true);
    fmt::print("\n{}: {}\n  {} in {} execution {}\n  again: {} --only {}{} --replay {}\n\n{}\n", s.name, s.claim,
               rl::test_result_str(o.result), name_of(how), o.failed_at, program, s.name,
               options.mutant.empty() ? "" : fmt::format(" --mutant '{}'", options.mutant), replay_of(how, o.failed_at),
               trace.table(s.threads));
}

int run_models(const std::vector<Scenario>& chosen, const Options& options, Report& report, const char* program) {
    std::size_t passed = 0;
    std::size_t failed = 0;
    fmt::print("{:<36} {:>3}  {:<8} {:>10} {:>9} {:>8}  {}\n", "scenario", "T", "search", "executions", "a second",
               "seconds", "result");
    for (const Scenario& s : chosen) {
        bool fine = true;
        for (const Search& how : searches_of(s, options.deep)) {
            if (!fine)
                break;
            const Outcome o = search(s, how, false);
            const std::string_view result = !o.passed    ? std::string_view(rl::test_result_str(o.result))
                                            : o.complete ? "complete"
                                            : how.kind == Search::Kind::random ? "passed"
                                                                               : "passed, not complete";
            fmt::print("{:<36} {:>3}  {:<8} {:>10} {:>9.0f} {:>8.2f}  {}\n", s.name, s.threads, name_of(how),
                       o.executions, static_cast<double>(o.executions) / std::max(o.seconds, 1e-9), o.seconds, result);
            std::fflush(stdout);
            report.line("search", s.name, s.threads, name_of(how), o.executions, fmt::format("{:.3f}", o.seconds),
                        result);
            if (!o.passed) {
                fine = false;
                if (s.expected == Expected::passes)
                    explain(s, how, o, options, program);
            }
        }
        if (s.expected == Expected::fails) {
            if (fine)
                fmt::print("{}: {}\n  must fail and did not\n", s.name, s.claim);
            fine = !fine;
        }
        ++(fine ? passed : failed);
    }
    for (const Site* site : sites.all())
        report.line("site", id_of(*site), hotindex::name_of(site->named), site->file, site->line,
                    bare_function(site->function), name_of(site->operation), name_of(site->written), site->executions);
    fmt::print("{} passed, {} failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}

/// What each scenario meets: sites, and the places of planted bugs. Found out by a short search.
struct Met {
    std::vector<const Site*> sites;
    std::vector<bug> bugs;
    [[nodiscard]] bool has(const Mutant& m) const {
        return m.site != nullptr ? std::find(sites.begin(), sites.end(), m.site) != sites.end()
                                 : std::find(bugs.begin(), bugs.end(), m.planted) != bugs.end();
    }
};
[[nodiscard]] std::vector<Met> met_by(const std::vector<Scenario>& chosen) {
    std::vector<Met> met;
    for (const Scenario& s : chosen) {
        std::vector<std::uint64_t> before;
        sites.for_each([&](const Site& site) { before.push_back(site.executions); });
        bugs.reached = {};
        if (!search(s, {Search::Kind::random, 0, 3000, 1}, false).passed) {
            fmt::print("{} fails without any mutant: run the models first\n", s.name);
            std::exit(1);
        }
        std::size_t i = 0;
        Met& mine = met.emplace_back();
        sites.for_each([&](const Site& site) {
            if (site.executions != before[i++])
                mine.sites.push_back(&site);
        });
        for (std::size_t b = 0; b != bug_count; ++b)
            if (bugs.reached[b] != 0)
                mine.bugs.push_back(static_cast<bug>(b));
    }
    return met;
}

/// Cheap searches of all scenarios first, dearer ones for what survives them, `seconds` at most.
void judge(const std::vector<Scenario>& chosen, const std::vector<std::size_t>& order, bool deep, double seconds,
           Verdict& verdict) {
    const auto begin = std::chrono::steady_clock::now();
    std::vector<Search> stages{{Search::Kind::random, 0, 1000, 1},
                               {Search::Kind::bounded, 1, 30'000, 1},
                               {Search::Kind::random, 0, 20'000, 1001},
                               {Search::Kind::bounded, 2, 60'000, 1}};
    if (deep) {
        stages.push_back({Search::Kind::random, 0, 1'000'000, 21'001});
        stages.push_back({Search::Kind::bounded, 3, 3'000'000, 1});
    }
    const auto spent = [&begin] {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    };
    for (const Search& stage : stages)
        for (const std::size_t i : order) {
            if (spent() > seconds)
                break;
            const Outcome o = search(chosen[i], stage, false);
            if (o.passed)
                continue;
            verdict.killed = true;
            verdict.scenario = i;
            verdict.bound = stage.bound;
            verdict.executions = o.failed_at;
            verdict.result = o.result;
            verdict.seconds = spent();
            verdict.finished = true;
            return;
        }
    verdict.seconds = spent();
    verdict.finished = true;
}

/// Orders of the library (a model's own are scaffolding) that are met and can be weakened; or planted bugs.
[[nodiscard]] std::vector<Mutant> mutants_of(const std::vector<Met>& met, const Options& options) {
    std::vector<Mutant> all;
    const auto add = [&](const Mutant& m) {
        if (m.name().find(options.site) != std::string::npos &&
            std::any_of(met.begin(), met.end(), [&](const Met& scenario) { return scenario.has(m); }))
            all.push_back(m);
    };
    if (options.mutate)
        for (Site* site : sites.all())
            if (std::string_view(site->file).find("/impl/hotindex/") != std::string_view::npos)
                for (const Strength to : weaker(site->written))
                    add({site, to, bug::none});
    if (options.plant)
        for (std::size_t b = 1; b != bug_count; ++b)
            add({nullptr, {}, static_cast<bug>(b)});
    return all;
}

int run_mutants(const std::vector<Scenario>& all, const Options& options, Report& report) {
    std::vector<Scenario> chosen;
    std::copy_if(all.begin(), all.end(), std::back_inserter(chosen),
                 [](const Scenario& s) { return s.expected == Expected::passes; });
    const std::vector<Met> met = met_by(chosen);
    const std::vector<Mutant> mutants = mutants_of(met, options);
    auto* const verdicts = static_cast<Verdict*>(mmap(nullptr, sizeof(Verdict) * (mutants.size() + 1),
                                                      PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    const long cores = std::max(1L, sysconf(_SC_NPROCESSORS_ONLN));
    std::fflush(nullptr);
    const auto begin = std::chrono::steady_clock::now();
    // Each worker takes every n-th mutant, in a process of its own: a mutant may leave anything behind.
    for (long worker = 0; worker != cores; ++worker) {
        if (fork() != 0)
            continue;
        for (std::size_t m = static_cast<std::size_t>(worker); m < mutants.size();
             m += static_cast<std::size_t>(cores)) {
            const pid_t child = fork();
            if (child == 0) {
                std::vector<std::size_t> order;
                for (std::size_t i = 0; i != chosen.size(); ++i)
                    if (met[i].has(mutants[m]))
                        order.push_back(i);
                mutants[m].apply();
                judge(chosen, order, options.deep, options.seconds, verdicts[m]);
                _exit(0);
            }
            waitpid(child, nullptr, 0);
            verdicts[m].over = true;
        }
        _exit(0);
    }
    std::size_t killed = 0;
    fmt::print("{:<72} {}\n", "mutant", "verdict");
    for (std::size_t m = 0; m != mutants.size(); ++m) {
        const volatile bool& over = verdicts[m].over; // shared with the workers' processes
        while (!over)
            usleep(20'000);
        if (isatty(STDERR_FILENO) != 0) {
            const double spent = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
            fmt::print(stderr, "\r{} of {} mutants, about {:.0f} s left   \r", m + 1, mutants.size(),
                       spent / static_cast<double>(m + 1) * static_cast<double>(mutants.size() - m - 1));
        }
        const Verdict v = verdicts[m];
        const bool dead = v.killed || !v.finished;
        const std::string_view by = v.killed ? chosen[v.scenario].name : dead ? "the process died" : "-";
        const std::string search = !v.killed ? "-" : v.bound == 0 ? "random" : fmt::format("bound {}", v.bound);
        const std::string_view result = v.killed ? rl::test_result_str(v.result) : "-";
        killed += dead ? 1 : 0;
        fmt::print("{:<72} {} ({:.1f} s)\n", mutants[m].name(),
                   dead ? fmt::format("killed by {}, {}, execution {}: {}", by, search, v.executions, result)
                        : std::string("SURVIVED"),
                   v.seconds);
        std::fflush(stdout);
        const std::string_view verdict = dead ? "killed" : "survived";
        if (const Site* const site = mutants[m].site)
            report.line("mutant", id_of(*site), hotindex::name_of(site->named), bare_file(site->file), site->line,
                        bare_function(site->function), model::name_of(site->operation), model::name_of(site->written),
                        model::name_of(mutants[m].to), verdict, by, search, v.executions, result);
        else
            report.line("bug", mutants[m].name(), what_is(mutants[m].planted), verdict, by, search, v.executions,
                        result);
    }
    while (wait(nullptr) > 0) {
    }
    fmt::print("{} mutants, {} killed, {} survived\n", mutants.size(), killed, mutants.size() - killed);
    return 0;
}

[[noreturn]] void usage_error(const std::string& what) {
    fmt::print(stderr, "{}\nSee --help.\n", what);
    std::exit(2);
}

Options parse(int argc, char** argv) {
    Options o;
    const std::array<std::string_view, 12> flags{"--seconds", "--quick", "--deep",   "--list",   "--mutate", "--only",
                                                 "--plant",   "--site",  "--mutant", "--replay", "--report", "--help"};
    for (int i = 1; i != argc; ++i) {
        const std::string_view flag = argv[i];
        const auto value = [&]() -> std::string {
            if (i + 1 == argc)
                usage_error(fmt::format("{}: {} needs a value", argv[0], flag));
            return argv[++i];
        };
        if (flag == "--quick")
            o.deep = false;
        else if (flag == "--deep")
            o.deep = true;
        else if (flag == "--list")
            o.list = true;
        else if (flag == "--mutate")
            o.mutate = true;
        else if (flag == "--plant")
            o.plant = true;
        else if (flag == "--only")
            o.only = value();
        else if (flag == "--site")
            o.site = value();
        else if (flag == "--seconds") {
            const std::string text = value();
            char* end = nullptr;
            o.seconds = std::strtod(text.c_str(), &end);
            if (*end != 0 || !(o.seconds > 0))
                usage_error(fmt::format("--seconds {}: expected a number above 0", text));
        } else if (flag == "--mutant")
            o.mutant = value();
        else if (flag == "--replay")
            o.replay = value();
        else if (flag == "--report")
            o.report = value();
        else if (flag == "--help") {
            fmt::print(
                "Model checks of the shipped source under Relacy.\n\n"
                "  --quick | --deep   how far to search (default: quick)\n"
                "  --list             scenarios and what they claim\n"
                "  --only TEXT        the scenario TEXT, or those whose name contains it\n"
                "  --mutate           weaken every order in turn and see which scenario fails\n"
                "  --plant            switch every planted bug on in turn and see which scenario fails\n"
                "  --site TEXT        with --mutate or --plant: mutants whose name contains TEXT\n"
                "  --seconds N        with --mutate or --plant: for each mutant at most (default: 30);\n"
                "                     with --deep: for each search at most\n"
                "  --mutant NAME      run with one order weakened (ID=ORDER) or one planted bug\n"
                "  --replay WHICH     one execution with its trace: random:SEED, bound:N:EXECUTION or full:EXECUTION\n"
                "  --report FILE      facts for scripts, tab-separated\n");
            std::exit(0);
        } else {
            std::string near;
            for (const std::string_view f : flags)
                if (f.substr(0, 5) == flag.substr(0, 5) && near.empty())
                    near = fmt::format("; did you mean {}?", f);
            usage_error(fmt::format("{}: unknown flag {}{}", argv[0], flag, near));
        }
    }
    return o;
}

void apply_mutant(const Options& options, const std::vector<Scenario>& chosen) {
    for (const Scenario& s : chosen)
        (void)search(s, {Search::Kind::random, 0, 2000, 1}, false);
    std::vector<Mutant> all;
    for (Site* site : sites.all())
        for (const Strength to : weaker(site->written))
            all.push_back({site, to, bug::none});
    for (std::size_t b = 1; b != bug_count; ++b)
        all.push_back({nullptr, {}, static_cast<bug>(b)});
    for (const Mutant& m : all)
        if (m.name() == options.mutant)
            return m.apply();
    usage_error(
        fmt::format("--mutant {}: there is no such order or bug (--mutate and --plant list them)", options.mutant));
}

int replay(const std::vector<Scenario>& chosen, const Options& options) {
    if (chosen.size() != 1)
        usage_error(fmt::format("--replay needs --only with one scenario; {} match", chosen.size()));
    Search how;
    std::istringstream in(options.replay);
    std::string kind;
    std::getline(in, kind, ':');
    char colon = 0;
    if (kind == "random" && in >> how.first)
        how.executions = 1;
    else if (kind == "bound" && in >> how.bound >> colon >> how.executions)
        how.kind = Search::Kind::bounded;
    else if (kind == "full" && in >> how.executions)
        how.kind = Search::Kind::full;
    else
        usage_error(
            fmt::format("--replay {}: expected random:SEED, bound:N:EXECUTION or full:EXECUTION", options.replay));
    const Outcome o = search(chosen[0], how, true);
    if (o.passed) {
        fmt::print("{}: no failure in {}\n0 passed, 0 failed\n", chosen[0].name, options.replay);
        return 0;
    }
    fmt::print("{}: {}\n  {} in {} execution {}\n\n{}", chosen[0].name, chosen[0].claim, rl::test_result_str(o.result),
               name_of(how), o.failed_at, trace.table(chosen[0].threads));
    return 1;
}

} // namespace
} // namespace hotindex::model

int main(int argc, char** argv) {
    using namespace hotindex::model;
    const Options options = parse(argc, argv);
    catch_crashes();
    std::vector<Scenario> chosen;
    // A whole name means that one, also where other names contain it.
    const bool whole = std::any_of(scenarios().begin(), scenarios().end(),
                                   [&options](const Scenario& s) { return s.name == options.only; });
    for (const Scenario& s : scenarios())
        if (whole ? s.name == options.only : s.name.find(options.only) != std::string_view::npos)
            chosen.push_back(s);
    if (chosen.empty())
        usage_error(fmt::format("--only {}: no scenario has that in its name; --list shows them", options.only));
    if (options.list) {
        for (const Scenario& s : chosen)
            fmt::print("{:<36} {} threads: {}\n", s.name, s.threads, s.claim);
        return 0;
    }
    Report report(options.report);
    if (options.deep && !options.mutate && !options.plant)
        most_seconds = options.seconds;
    if (options.mutate || options.plant)
        return run_mutants(chosen, options, report);
    if (!options.mutant.empty())
        apply_mutant(options, chosen);
    if (!options.replay.empty())
        return replay(chosen, options);
    return run_models(chosen, options, report, argv[0]);
}
