#include "mutants.hpp"

#include <hotindex/planted_bugs.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <sstream>
#include <string_view>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace hotindex::model {

namespace {

struct Mutant {
    Site* site = nullptr;
    Strength to{};
    bug planted = bug::none;

    void apply() const {
        if (site != nullptr)
            site->now = to;
        planted_bugs.turn_on(planted);
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

/// Orders of the library that were met and can be weakened (a model's own are scaffolding), and the planted bugs.
[[nodiscard]] std::vector<Mutant> all_mutants() {
    std::vector<Mutant> all;
    for (Site* site : sites.all())
        if (std::string_view(site->file).find("/impl/hotindex/") != std::string_view::npos)
            for (const Strength to : weaker(site->written))
                all.push_back({site, to, bug::none});
    for (std::size_t b = 1; b != bug_count; ++b)
        all.push_back({nullptr, {}, static_cast<bug>(b)});
    return all;
}

// ---- what the scenarios meet ----

/// Sites, and the places of planted bugs.
struct Met {
    std::vector<const Site*> sites;
    std::vector<bug> bugs;
    [[nodiscard]] bool has(const Mutant& m) const {
        return m.site != nullptr ? std::find(sites.begin(), sites.end(), m.site) != sites.end()
                                 : std::find(bugs.begin(), bugs.end(), m.planted) != bugs.end();
    }
};
/// By the search that windows are searched with, so that it is known to pass when nothing is changed. All scenarios are
/// played, always: the names of mutants count the sites that were met.
[[nodiscard]] std::vector<Met> met_by(const std::vector<Scenario>& all) {
    std::vector<Met> met;
    for (const Scenario& s : all) {
        std::vector<std::uint64_t> before;
        sites.for_each([&](const Site& site) { before.push_back(site.executions); });
        planted_bugs.clear_reached();
        if (!search(s, {Search::Kind::random, 0, window_executions, 1}).passed) {
            fmt::print("{} fails without any mutant: run the models first\n", s.name);
            std::exit(1);
        }
        std::size_t i = 0;
        Met& mine = met.emplace_back();
        sites.for_each([&](const Site& site) {
            if (site.executions != before[i++])
                mine.sites.push_back(&site);
        });
        for (std::size_t b = 1; b != bug_count; ++b)
            if (planted_bugs.was_reached(static_cast<bug>(b)))
                mine.bugs.push_back(static_cast<bug>(b));
    }
    return met;
}
[[nodiscard]] std::vector<Scenario> passing(const std::vector<Scenario>& all) {
    std::vector<Scenario> chosen;
    std::copy_if(all.begin(), all.end(), std::back_inserter(chosen),
                 [](const Scenario& s) { return s.expected == Expected::passes; });
    return chosen;
}

// ---- verdicts ----

/// What a mutant's process says. Searches end by executions, so nothing here depends on the machine.
struct Verdict {
    enum class Fate : std::uint8_t { unknown, killed, survived } fate; ///< unknown: the process ended without an answer
    std::size_t scenario;
    Search::Kind kind;
    unsigned bound;
    std::uint64_t execution; ///< the first that failed
    rl::test_result_e result;
    unsigned kills;      ///< find: so many failures ...
    std::uint64_t tries; ///< ... in so many executions

    void killed(std::size_t s, const Search& how, const Outcome& o) {
        scenario = s;
        kind = how.kind;
        bound = how.bound;
        execution = o.failed_at;
        result = o.result;
        kills = 1;
        tries = o.failed_at;
        fate = Fate::killed;
    }
};

/// Processor time of one mutant's process after which it is taken for an endless loop: an error, never a verdict.
constexpr rlim_t hung_seconds = 1800;

/// Does each of `n` pieces of work in a process of its own, `jobs` at a time: a mutant may leave anything behind.
template <class Work>
void in_processes(std::size_t n, unsigned jobs, Work work) {
    std::fflush(nullptr);
    std::size_t next = 0;
    unsigned running = 0;
    while (next != n || running != 0) {
        if (next == n || running == jobs) {
            wait(nullptr);
            --running;
            continue;
        }
        const pid_t child = fork();
        if (child == 0) {
            const rlimit limit{hung_seconds, hung_seconds};
            setrlimit(RLIMIT_CPU, &limit);
            work(next);
            _exit(0);
        }
        if (child < 0) {
            fmt::print(stderr, "no process for a mutant: {}\n", std::strerror(errno));
            std::exit(3);
        }
        ++next;
        ++running;
    }
}

// ---- the three ways to ask ----

using Window = std::pair<std::size_t, Search>; // a scenario, and how to search it

/// The windows of this model's scenarios, by the name of the mutant.
[[nodiscard]] std::map<std::string, Window> read_windows(const std::string& path,
                                                         const std::vector<Scenario>& scenarios) {
    std::ifstream in(path);
    if (!in) {
        fmt::print(stderr, "--windows {}: cannot be read: {}\n", path, std::strerror(errno));
        std::exit(2);
    }
    std::map<std::string, Window> windows;
    std::string line;
    for (int number = 1; std::getline(in, line); ++number) {
        std::istringstream words(line);
        std::string mutant;
        std::string scenario;
        std::string how;
        if (!(words >> mutant) || mutant[0] == '#')
            continue;
        words >> scenario >> std::ws;
        std::getline(words, how);
        const std::optional<Search> search = search_named(how, window_executions);
        if (!search) {
            fmt::print(stderr, "{}:{}: '{}' is no search; expected: MUTANT SCENARIO random, or bound N, or full\n",
                       path, number, how);
            std::exit(2);
        }
        const auto found =
            std::find_if(scenarios.begin(), scenarios.end(), [&](const Scenario& s) { return s.name == scenario; });
        if (found != scenarios.end())
            windows.emplace(mutant, Window(static_cast<std::size_t>(found - scenarios.begin()), *search));
    }
    return windows;
}

void ask_window(const std::vector<Scenario>& scenarios, const Window& window, Verdict& verdict) {
    const Outcome o = search(scenarios[window.first], window.second);
    if (o.passed)
        verdict.fate = Verdict::Fate::survived;
    else
        verdict.killed(window.first, window.second, o);
}

/// Cheap searches of all scenarios first, dearer ones for what survives them.
void ask_widely(const std::vector<Scenario>& scenarios, const std::vector<std::size_t>& order, bool deep,
                Verdict& verdict) {
    const std::uint64_t factor = deep ? 10 : 1;
    for (const Search& how :
         {Search{Search::Kind::random, 0, window_executions, 1}, Search{Search::Kind::bounded, 1, 5000 * factor, 1},
          Search{Search::Kind::random, 0, 20'000 * factor, window_executions + 1},
          Search{Search::Kind::bounded, 2, 10'000 * factor, 1}})
        for (const std::size_t i : order)
            if (const Outcome o = search(scenarios[i], how); !o.passed)
                return verdict.killed(i, how, o);
    verdict.fate = Verdict::Fate::survived;
}

/// Goes on after a failure until there have been `enough`: once may be luck, and be gone after the next change.
constexpr unsigned enough = 5;
[[nodiscard]] Verdict try_window(const std::vector<Scenario>& scenarios, std::size_t i, Search how) {
    Verdict v{};
    const std::uint64_t last = how.executions;
    while (v.kills != enough) {
        const Outcome o = search(scenarios[i], how);
        if (o.passed)
            break;
        const unsigned kills = v.kills + 1;
        if (kills == 1)
            v.killed(i, how, o);
        v.kills = kills;
        v.tries = o.failed_at;
        if (how.kind != Search::Kind::random || o.failed_at >= last)
            return v;
        how.first = o.failed_at + 1;
        how.executions = last - o.failed_at;
    }
    if (v.kills != enough)
        v.tries = last;
    return v;
}
[[nodiscard]] double rate(const Verdict& v) {
    return v.kills == 0 ? 0 : static_cast<double>(v.kills) / static_cast<double>(v.tries);
}
/// Wider and wider until some scenario fails often enough; a wider stage knows better than the ones before it.
void find_window(const std::vector<Scenario>& scenarios, const std::vector<std::size_t>& order, Verdict& verdict) {
    verdict.fate = Verdict::Fate::survived;
    for (const Search& how :
         {Search{Search::Kind::random, 0, 100, 1}, Search{Search::Kind::random, 0, 500, 1},
          Search{Search::Kind::random, 0, window_executions, 1}, Search{Search::Kind::bounded, 1, window_executions, 1},
          Search{Search::Kind::bounded, 2, window_executions, 1}}) {
        if (verdict.kills == enough || (verdict.kills != 0 && how.kind != Search::Kind::random))
            return;
        Verdict best{};
        for (const std::size_t i : order)
            if (const Verdict v = try_window(scenarios, i, how); rate(v) > rate(best))
                best = v;
        if (best.kills != 0)
            verdict = best;
    }
}

} // namespace

int run_mutants(const std::vector<Scenario>& all, const MutantOptions& options, Report& report) {
    using Ask = MutantOptions::Ask;
    const std::vector<Scenario> scenarios = passing(all);
    const std::vector<Met> met = met_by(scenarios);
    report_sites(report);
    std::map<std::string, Window> windows;
    if (options.ask == Ask::windows) {
        windows = read_windows(options.windows, scenarios);
        for (const auto& [mutant, window] : windows)
            if (window.second.kind != Search::Kind::random && !search(scenarios[window.first], window.second).passed) {
                fmt::print("{} fails without any mutant: run the models first\n", scenarios[window.first].name);
                return 1;
            }
    }
    std::vector<Mutant> mutants;
    std::vector<std::vector<std::size_t>> order; // of each mutant the scenarios that meet it
    for (const Mutant& m : all_mutants()) {
        const std::string name = m.name();
        if (!options.names.empty() &&
            std::find(options.names.begin(), options.names.end(), name) == options.names.end())
            continue;
        std::vector<std::size_t> meet;
        for (std::size_t i = 0; i != scenarios.size(); ++i)
            if (met[i].has(m))
                meet.push_back(i);
        if (options.ask == Ask::windows ? !windows.contains(name) : meet.empty())
            continue;
        mutants.push_back(m);
        order.push_back(meet);
    }
    auto* const verdicts = static_cast<Verdict*>(mmap(nullptr, sizeof(Verdict) * (mutants.size() + 1),
                                                      PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    in_processes(mutants.size(), options.jobs, [&](std::size_t m) {
        mutants[m].apply();
        if (options.ask == Ask::windows)
            ask_window(scenarios, windows.at(mutants[m].name()), verdicts[m]);
        else if (options.ask == Ask::wide)
            ask_widely(scenarios, order[m], options.deep, verdicts[m]);
        else
            find_window(scenarios, order[m], verdicts[m]);
    });
    std::size_t killed = 0;
    fmt::print("{:<72} {}\n", "mutant", "verdict");
    for (std::size_t m = 0; m != mutants.size(); ++m) {
        const Verdict& v = verdicts[m];
        const bool dead = v.fate == Verdict::Fate::killed;
        killed += dead ? 1 : 0;
        const std::string_view by = dead ? scenarios[v.scenario].name : "-";
        const std::string how = dead ? name_of(Search{v.kind, v.bound, 0, 1}) : "-";
        const std::string_view result = dead ? rl::test_result_str(v.result) : "-";
        const std::string_view verdict = dead ? "killed" : v.fate == Verdict::Fate::survived ? "survived" : "undecided";
        if (options.ask == Ask::find && dead)
            fmt::print("{:<72} {}, {}: {} in {} executions\n", mutants[m].name(), by, how, v.kills, v.tries);
        else if (dead)
            fmt::print("{:<72} killed by {}, {}, execution {}: {}\n", mutants[m].name(), by, how, v.execution, result);
        else
            fmt::print("{:<72} {}\n", mutants[m].name(),
                       v.fate == Verdict::Fate::survived ? "SURVIVED"
                                                         : "UNDECIDED: its process ended without an answer");
        if (const Site* const site = mutants[m].site)
            report.line("mutant", id_of(*site), hotindex::name_of(site->named), bare_file(site->file), site->line,
                        bare_function(site->function), model::name_of(site->operation), model::name_of(site->written),
                        model::name_of(mutants[m].to), verdict, by, how, v.execution, result, v.kills, v.tries);
        else
            report.line("bug", mutants[m].name(), what_is(mutants[m].planted), verdict, by, how, v.execution, result,
                        v.kills, v.tries);
    }
    fmt::print("{} mutants, {} killed\n", mutants.size(), killed);
    return 0;
}

bool apply_mutant(const std::vector<Scenario>& all, const std::string& name) {
    for (std::size_t b = 1; b != bug_count; ++b)
        if (name == hotindex::name_of(static_cast<bug>(b))) {
            Mutant{nullptr, {}, static_cast<bug>(b)}.apply();
            return true;
        }
    (void)met_by(passing(all));
    for (const Mutant& m : all_mutants())
        if (m.name() == name) {
            m.apply();
            return true;
        }
    return false;
}

void report_sites(Report& report) {
    for (const Site* site : sites.all())
        report.line("site", id_of(*site), hotindex::name_of(site->named), site->file, site->line,
                    bare_function(site->function), name_of(site->operation), name_of(site->written), site->executions);
}

} // namespace hotindex::model
