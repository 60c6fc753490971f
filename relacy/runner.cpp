// The runner: main() of every model executable. Searches the registered scenarios, weakens orders, replays failures.
#include "model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
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
Arena arena;

namespace {

// ---- one execution ----

const Scenario* running = nullptr;
std::uint64_t executions = 0;
std::uint64_t most_executions = 0;

/// disable_alloc_ switches Relacy's own tracking of every `new` of the process on and off; it is off here, because
/// libraries allocate too. What models allocate goes through the backend.
struct AllocationSwitch : rl::context {
    static int rl::context::*member() { return &AllocationSwitch::disable_alloc_; }
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
            trace.clear();
        }
        ~Setting() {
            if (arena.objects != 0)
                fail("objects are left over at the end: a leak, or destroyed twice", rl::test_result_memory_leak,
                     std::source_location::current());
        }
    };
    struct Holder {
        Holder() {
            running->construct(buffer.data());
            trace.threads_start();
        }
        ~Holder() { running->destroy(buffer.data()); }
    };
    alignas(128) static inline std::array<std::byte, std::size_t{1} << 16> buffer;
    Setting setting; // before the scenario, and after it
    Holder holder;

    void thread(unsigned i) { running->thread(buffer.data(), static_cast<int>(i)); }
    void after() {
        running->after(buffer.data());
        if (++executions >= most_executions && most_executions != 0)
            rl::ctx().rl_until("as many executions as asked for", RL_INFO);
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
    struct sigaction action {};
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
    case Search::Kind::random: return "random";
    case Search::Kind::bounded: return fmt::format("bound {}", s.bound);
    default: return "full";
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
    rl::test_params p;
    p.search_type = how.kind == Search::Kind::random    ? rl::sched_random
                    : how.kind == Search::Kind::bounded ? rl::sched_bound
                                                        : rl::sched_full;
    p.context_bound = how.bound;
    p.iteration_count = how.first - 1 + (how.executions == 0 ? 1'000'000'000'000 : how.executions);
    p.execution_depth_limit = 20'000;
    p.output_stream = &out;
    p.progress_stream = &out;
    p.output_history = !with_trace; // true: Relacy does not play a failure again for its history
    if (how.first != 1)
        p.initial_state = fmt::format("{}", how.first);
    const auto begin = std::chrono::steady_clock::now();
    rl::simulate<Suite<Threads>>(p);
    Outcome o;
    o.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    o.result = p.test_result;
    o.passed = p.test_result == rl::test_result_success || p.test_result == rl::test_result_until_condition_hit;
    o.complete = p.test_result == rl::test_result_success && how.kind != Search::Kind::random;
    o.executions = p.stop_iteration - (how.first - 1);
    o.failed_at = p.stop_iteration;
    running = nullptr;
    return o;
}

Outcome search(const Scenario& scenario, const Search& how, bool with_trace) {
    switch (scenario.threads) {
    case 2: return search<2>(scenario, how, with_trace);
    case 3: return search<3>(scenario, how, with_trace);
    default: return search<4>(scenario, how, with_trace);
    }
}

// ---- mutants ----

struct Mutant {
    Site* site;
    Strength to;
};

[[nodiscard]] std::vector<Strength> weaker(Strength s) {
    switch (s) {
    case Strength::acquire:
    case Strength::release: return {Strength::relaxed};
    case Strength::acq_rel: return {Strength::acquire, Strength::release};
    case Strength::light_fence:
    case Strength::heavy_fence: return {Strength::nothing};
    default: return {};
    }
}

/// What a mutant's process reports.
struct Verdict {
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
    std::string only;     ///< scenario names that contain it
    std::string mutant;   ///< id=strength, weakened in all that is run
    std::string site;     ///< with mutate: only sites whose id contains it
    std::string replay;   ///< random:SEED or bound:N:EXECUTION
    std::string report;   ///< file for lines of tab-separated facts
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
    if (s.effort.random != 0)
        all.push_back({Search::Kind::random, 0, s.effort.random * (deep ? 100 : 1), 1});
    return all;
}

[[nodiscard]] std::string replay_of(const Search& how, std::uint64_t at) {
    return how.kind == Search::Kind::random ? fmt::format("random:{}", at) : fmt::format("bound:{}:{}", how.bound, at);
}

void explain(const Scenario& s, const Search& how, const Outcome& o, const Options& options, const char* program) {
    // Played again, with the trace on.
    const Search again = how.kind == Search::Kind::random ? Search{how.kind, 0, 1, o.failed_at}
                                                          : Search{how.kind, how.bound, o.failed_at, 1};
    (void)search(s, again, true);
    fmt::print("\n{}: {}\n  {} in {} execution {}\n  again: {} --only {}{} --replay {}\n\n{}\n", s.name, s.claim,
               rl::test_result_str(o.result), name_of(how), o.failed_at, program, s.name,
               options.mutant.empty() ? "" : fmt::format(" --mutant '{}'", options.mutant),
               replay_of(how, o.failed_at), trace.table(s.threads));
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
                explain(s, how, o, options, program);
            }
        }
        ++(fine ? passed : failed);
    }
    for (const Site* site : sites.all())
        report.line("site", id_of(*site), hotindex::name_of(site->named), site->file, site->line, bare_function(site->function),
                    name_of(site->operation), name_of(site->written), site->executions);
    fmt::print("{} passed, {} failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}

/// The sites that each scenario meets, found out by a short search.
[[nodiscard]] std::vector<std::vector<const Site*>> met_by(const std::vector<Scenario>& chosen) {
    std::vector<std::vector<const Site*>> met;
    for (const Scenario& s : chosen) {
        std::vector<std::uint64_t> before;
        sites.for_each([&](const Site& site) { before.push_back(site.executions); });
        if (!search(s, {Search::Kind::random, 0, 3000, 1}, false).passed) {
            fmt::print("{} fails without any mutant: run the models first\n", s.name);
            std::exit(1);
        }
        std::size_t i = 0;
        std::vector<const Site*>& mine = met.emplace_back();
        sites.for_each([&](const Site& site) {
            if (site.executions != before[i++])
                mine.push_back(&site);
        });
    }
    return met;
}

void judge(const std::vector<Scenario>& chosen, const std::vector<std::size_t>& order, bool deep, Verdict& verdict) {
    const auto begin = std::chrono::steady_clock::now();
    std::vector<Search> stages{{Search::Kind::random, 0, 1000, 1},
                               {Search::Kind::bounded, 1, 30'000, 1},
                               {Search::Kind::random, 0, 20'000, 1001},
                               {Search::Kind::bounded, 2, 60'000, 1}};
    if (deep) {
        stages.push_back({Search::Kind::random, 0, 1'000'000, 21'001});
        stages.push_back({Search::Kind::bounded, 3, 3'000'000, 1});
    }
    for (const Search& stage : stages)
        for (const std::size_t i : order) {
            const Outcome o = search(chosen[i], stage, false);
            if (o.passed)
                continue;
            verdict.killed = true;
            verdict.scenario = i;
            verdict.bound = stage.bound;
            verdict.executions = o.failed_at;
            verdict.result = o.result;
            verdict.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
            verdict.finished = true;
            return;
        }
    verdict.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    verdict.finished = true;
}

int run_mutants(const std::vector<Scenario>& chosen, const Options& options, Report& report) {
    const std::vector<std::vector<const Site*>> met = met_by(chosen);
    const std::vector<Site*> all = sites.all();
    std::vector<Mutant> mutants;
    for (Site* site : all) // of the library: a model's own orders are scaffolding
        if (std::string_view(site->file).find("/impl/hotindex/") == std::string_view::npos)
            continue;
        else if (options.site.empty() || id_of(*site).find(options.site) != std::string::npos)
            for (const Strength to : weaker(site->written))
                mutants.push_back({site, to});
    auto* const verdicts =
        static_cast<Verdict*>(mmap(nullptr, sizeof(Verdict) * (mutants.size() + 1), PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    const long cores = std::max(1L, sysconf(_SC_NPROCESSORS_ONLN));
    std::fflush(nullptr);
    const auto begin = std::chrono::steady_clock::now();
    // Each worker takes every n-th mutant, in a process of its own: a mutant may leave anything behind.
    for (long worker = 0; worker != cores; ++worker) {
        if (fork() != 0)
            continue;
        for (std::size_t m = static_cast<std::size_t>(worker); m < mutants.size(); m += static_cast<std::size_t>(cores)) {
            const pid_t child = fork();
            if (child == 0) {
                std::vector<std::size_t> order;
                for (std::size_t i = 0; i != chosen.size(); ++i)
                    if (std::find(met[i].begin(), met[i].end(), mutants[m].site) != met[i].end())
                        order.push_back(i);
                mutants[m].site->now = mutants[m].to;
                judge(chosen, order, options.deep, verdicts[m]);
                _exit(0);
            }
            int status = 0;
            waitpid(child, &status, 0);
            if (isatty(STDERR_FILENO) != 0) {
                const double spent = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
                fmt::print(stderr, "\r{} of {} mutants, {:.0f} s left   ", m + 1, mutants.size(),
                           spent / static_cast<double>(m + 1) * static_cast<double>(mutants.size() - m - 1));
            }
        }
        _exit(0);
    }
    while (wait(nullptr) > 0) {
    }
    std::size_t killed = 0;
    fmt::print("{:<64} {:<11} {}\n", "order", "weakened to", "verdict");
    for (std::size_t m = 0; m != mutants.size(); ++m) {
        const Verdict& v = verdicts[m];
        const Site& site = *mutants[m].site;
        std::string by = "SURVIVED";
        if (!v.finished)
            by = "killed: the process died"; // by a crash that could not be turned into a failure
        else if (v.killed)
            by = fmt::format("killed by {}, {}, execution {}: {}", chosen[v.scenario].name,
                             v.bound == 0 ? "random" : fmt::format("bound {}", v.bound), v.executions,
                             rl::test_result_str(v.result));
        killed += v.killed || !v.finished ? 1 : 0;
        fmt::print("{:<64} {:<11} {} ({:.1f} s)\n", id_of(site), model::name_of(mutants[m].to), by, v.seconds);
        report.line("mutant", id_of(site), hotindex::name_of(site.named), bare_file(site.file),
                    bare_function(site.function), model::name_of(site.operation), model::name_of(site.written),
                    model::name_of(mutants[m].to), v.killed || !v.finished ? "killed" : "survived",
                    v.killed ? chosen[v.scenario].name : std::string_view("-"),
                    !v.killed ? std::string("-") : v.bound == 0 ? "random" : fmt::format("bound {}", v.bound),
                    v.killed ? v.executions : 0, v.killed ? rl::test_result_str(v.result) : "-");
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
    const std::array<std::string_view, 10> flags{"--quick", "--deep", "--list",   "--mutate", "--only",
                                                 "--site",  "--mutant", "--replay", "--report", "--help"};
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
        else if (flag == "--only")
            o.only = value();
        else if (flag == "--site")
            o.site = value();
        else if (flag == "--mutant")
            o.mutant = value();
        else if (flag == "--replay")
            o.replay = value();
        else if (flag == "--report")
            o.report = value();
        else if (flag == "--help") {
            fmt::print("Model checks of the shipped source under Relacy.\n\n"
                       "  --quick | --deep   how far to search (default: quick)\n"
                       "  --list             scenarios and what they claim\n"
                       "  --only TEXT        scenarios whose name contains TEXT\n"
                       "  --mutate           weaken every order in turn and see which scenario fails\n"
                       "  --site TEXT        with --mutate: sites whose id contains TEXT\n"
                       "  --mutant ID=ORDER  run with one order weakened (relaxed, acquire, release, nothing)\n"
                       "  --replay WHICH     one execution with its trace: random:SEED or bound:N:EXECUTION\n"
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
    const std::size_t equals = options.mutant.rfind('=');
    if (equals == std::string::npos)
        usage_error(fmt::format("--mutant {}: expected ID=ORDER", options.mutant));
    const std::string id = options.mutant.substr(0, equals);
    const std::string to = options.mutant.substr(equals + 1);
    for (const Scenario& s : chosen)
        (void)search(s, {Search::Kind::random, 0, 2000, 1}, false);
    for (Site* site : sites.all())
        if (id_of(*site) == id)
            for (const Strength s : weaker(site->written))
                if (model::name_of(s) == to) {
                    site->now = s;
                    return;
                }
    usage_error(fmt::format("--mutant {}: there is no such site, or it cannot be weakened to that (--report lists sites)",
                            options.mutant));
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
    else
        usage_error(fmt::format("--replay {}: expected random:SEED or bound:N:EXECUTION", options.replay));
    const Outcome o = search(chosen[0], how, true);
    if (o.passed) {
        fmt::print("{}: no failure in {}\n0 passed, 0 failed\n", chosen[0].name, options.replay);
        return 0;
    }
    fmt::print("{}: {}\n  {} in {} execution {}\n\n{}", chosen[0].name, chosen[0].claim,
               rl::test_result_str(o.result), name_of(how), o.failed_at, trace.table(chosen[0].threads));
    return 1;
}

} // namespace
} // namespace hotindex::model

int main(int argc, char** argv) {
    using namespace hotindex::model;
    const Options options = parse(argc, argv);
    catch_crashes();
    std::vector<Scenario> chosen;
    for (const Scenario& s : scenarios())
        if (s.name.find(options.only) != std::string_view::npos)
            chosen.push_back(s);
    if (chosen.empty())
        usage_error(fmt::format("--only {}: no scenario has that in its name; --list shows them", options.only));
    if (options.list) {
        for (const Scenario& s : chosen)
            fmt::print("{:<36} {} threads: {}\n", s.name, s.threads, s.claim);
        return 0;
    }
    Report report(options.report);
    if (options.mutate)
        return run_mutants(chosen, options, report);
    if (!options.mutant.empty())
        apply_mutant(options, chosen);
    if (!options.replay.empty())
        return replay(chosen, options);
    return run_models(chosen, options, report, argv[0]);
}
