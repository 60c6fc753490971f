// The runner: main() of every model executable. Searches the registered scenarios, or hands over to their mutants.
#include "command_line/command_line.hpp"
#include "mutants.hpp"
#include "report.hpp"
#include "search.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

namespace hotindex::model {
namespace {

struct Options {
    bool deep = false;
    bool list = false;
    bool mutate = false;
    MutantOptions mutants;
    std::string only;                   ///< scenario names that contain it
    std::string mutant;                 ///< id=strength or a bug's name: in force in all that is run
    std::uint64_t executions = 200'000; ///< with deep: of each search at most
    std::string replay;                 ///< random:SEED, bound:N:EXECUTION or full:EXECUTION
    std::string report;                 ///< file for lines of tab-separated facts
};

[[nodiscard]] std::vector<Search> searches_of(const Scenario& s, const Options& options) {
    const auto deeply = [&options](std::uint64_t n) { return std::min(100 * n, options.executions); };
    std::vector<Search> all;
    const bool deep = options.deep;
    if (s.effort.bounded != 0) {
        if (!deep)
            all.push_back({Search::Kind::bounded, s.effort.bound, s.effort.bounded, 1});
        for (unsigned bound = s.effort.bound; deep && bound <= s.effort.deep_bound; ++bound)
            all.push_back({Search::Kind::bounded, bound, deeply(s.effort.bounded), 1});
    }
    if (s.effort.full != 0 || (deep && s.effort.bounded != 0))
        all.push_back(
            {Search::Kind::full, 0, deep ? deeply(std::max(s.effort.full, s.effort.bounded)) : s.effort.full, 1});
    if (s.effort.random != 0)
        all.push_back({Search::Kind::random, 0, deep ? deeply(s.effort.random) : s.effort.random, 1});
    return all;
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
        for (const Search& how : searches_of(s, options)) {
            if (!fine)
                break;
            const Outcome o = search(s, how);
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
    report_sites(report);
    fmt::print("{} passed, {} failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}

int replay(const std::vector<Scenario>& chosen, const Options& options) {
    const Scenario& s = chosen[0];
    const Outcome o = search(s, *replay_named(options.replay), true);
    fmt::print("{}: {}\n  {} in {}\n\n{}\n", s.name, s.claim, o.passed ? "no failure" : rl::test_result_str(o.result),
               options.replay, trace.table(s.threads));
    fmt::print("{} passed, {} failed\n", o.passed ? 1 : 0, o.passed ? 0 : 1);
    return o.passed ? 0 : 1;
}

/// nullopt: --help was asked for, and printed. Throws BadFlag.
[[nodiscard]] std::optional<Options> parse(std::span<const char* const> arguments) {
    using namespace command_line;
    Options o;
    o.mutants.jobs = static_cast<unsigned>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
    std::vector<std::string> mutants;
    const auto as_it_is = [](std::string& into) { return [&into](const Given& given) { into = *given.value; }; };
    CommandLine line("model", "model checks of the shipped source under Relacy");
    line.add("--quick", "how far to search: a few seconds each (default)", [&o](const Given&) { o.deep = false; });
    line.add("--deep", "how far to search: further", [&o](const Given&) { o.deep = o.mutants.deep = true; });
    line.add("--executions=N", "with --deep: of each search at most (default: 200000)", number(o.executions, 1));
    line.add("--list", "scenarios and what they claim", yes(o.list));
    line.add("--only=TEXT", "the scenario TEXT, or those whose name contains it", as_it_is(o.only));
    line.add("--replay=WHICH", "one execution with its trace: random:SEED, bound:N:EXECUTION or full:EXECUTION",
             as_it_is(o.replay));
    line.add("--report=FILE", "facts for scripts, tab-separated", text(o.report));
    line.say("Of the sources with planted bugs:");
    line.add("--mutant=NAME",
             "run with one order weakened (ID=ORDER) or one planted bug; with the next three, one of those that are "
             "asked about, and may be repeated",
             [&mutants](const Given& given) { mutants.emplace_back(*given.value); });
    line.add("--mutate=FILE", "search the windows in FILE, one a mutant: does each fail within 2000 executions?",
             [&o](const Given& given) {
                 o.mutate = true;
                 o.mutants.windows = *given.value;
             });
    const auto ask = [&o](MutantOptions::Ask what) {
        return [&o, what](const Given&) {
            o.mutate = true;
            o.mutants.ask = what;
        };
    };
    line.add("--wide",
             "search every scenario that meets a mutant, further and further, until one fails; with --deep ten times "
             "as far",
             ask(MutantOptions::Ask::wide));
    line.add("--find", "which scenario and search would be a mutant's best window", ask(MutantOptions::Ask::find));
    line.add("--jobs=N", "mutants at a time (default: as many as there are processors)", number(o.mutants.jobs, 1));
    if (!line.read(arguments)) {
        fmt::print("{}", line.help());
        return std::nullopt;
    }
    if (!sources_are_planted && (o.mutate || !mutants.empty()))
        throw BadFlag("the shipped sources have no mutants; the program of the same name with _planted has");
    if (o.mutate) {
        if (!o.only.empty() || !o.replay.empty() || o.list)
            throw BadFlag(
                "--mutate, --wide and --find ask all scenarios: --only, --replay and --list do not go with them");
        o.mutants.names = mutants;
    } else if (mutants.size() > 1) {
        throw BadFlag(fmt::format("--mutant {}: one mutant at a time; {} is the first", mutants[1], mutants[0]));
    } else if (!mutants.empty()) {
        o.mutant = mutants[0];
    }
    if (!o.replay.empty() && !replay_named(o.replay))
        throw BadFlag(fmt::format("--replay {}: expected random:SEED, bound:N:EXECUTION or full:EXECUTION", o.replay));
    return o;
}

/// The scenarios that --only means. Throws BadFlag.
[[nodiscard]] std::vector<Scenario> chosen_by(const Options& options) {
    std::vector<Scenario> chosen;
    // A whole name means that one, also where other names contain it.
    const bool whole = std::any_of(scenarios().begin(), scenarios().end(),
                                   [&options](const Scenario& s) { return s.name == options.only; });
    for (const Scenario& s : scenarios())
        if (whole ? s.name == options.only : s.name.find(options.only) != std::string_view::npos)
            chosen.push_back(s);
    if (chosen.empty())
        throw command_line::BadFlag(
            fmt::format("--only {}: no scenario has that in its name; --list shows them", options.only));
    if (!options.replay.empty() && chosen.size() != 1)
        throw command_line::BadFlag(fmt::format("--replay needs --only with one scenario; {} match", chosen.size()));
    return chosen;
}

int run(std::span<const char* const> arguments, const char* program) {
    const std::optional<Options> options = parse(arguments);
    if (!options)
        return 0;
    catch_crashes();
    const std::vector<Scenario> chosen = chosen_by(*options);
    if (options->list) {
        for (const Scenario& s : chosen)
            fmt::print("{:<36} {} threads: {}\n", s.name, s.threads, s.claim);
        return 0;
    }
    Report report(options->report);
    if (options->mutate)
        return run_mutants(scenarios(), options->mutants, report);
    if (!options->mutant.empty() && !apply_mutant(scenarios(), options->mutant)) {
        fmt::print(stderr,
                   "--mutant {}: no scenario here meets such an order, and no bug has that name; "
                   "results/model_check/ledger.md has the names\n",
                   options->mutant);
        return 4; // another model may meet it
    }
    if (!options->replay.empty())
        return replay(chosen, *options);
    return run_models(chosen, *options, report, program);
}

} // namespace
} // namespace hotindex::model

int main(int argc, char** argv) {
    return hotindex::command_line::run_main(argv[0], argc, argv, [argv](std::span<const char* const> arguments) {
        return hotindex::model::run(arguments, argv[0]);
    });
}
