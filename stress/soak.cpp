// The soak: rounds of random calls on the lock-free index, every answer checked, for as long as one likes; with a bug
// planted or an order weakened, the measure of what each check finds. scripts/stress runs it. stress_soak plays the
// shipped sources, stress_soak_planted those with planted bugs.
//
// A round is a kind and a seed, and `--replay=KIND:SEED` plays it again. Rounds on controlled schedules are the same
// every time; the others are repeated up to 2,000 times.
//
// Output, a line each, fields separated by tabs:
//   progress  seconds  rounds  calls  violations  limbo objects  resident MiB
//   violation KIND:SEED  file of the timeline, or -
//   done      as progress
//   garbage   (--garbage) operation  stopped threads  updates  limbo objects  limbo bytes  seen objects  bound
// Exit status: 0 no violation, 1 violations, 2 wrong usage, 3 operations wait for each other.
#include "checkers/linearizability.hpp"
#include "checkers/version_check.hpp"
#include "command_line/command_line.hpp"
#include "harness/random_calls.hpp"
#include "measures/garbage.hpp"
#include "measures/progress.hpp"

#include <hotindex/backend/traits.hpp>
#include <hotindex/memory/memory_pool.hpp>
#include <hotindex/planted_bugs.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {
using namespace hotindex;
using namespace hotindex::stress;

constexpr std::size_t dimension = 16;

struct Failure {
    std::string text;
    std::string page; ///< HTML, or nothing
};
struct Outcome {
    std::uint64_t calls = 0;
    std::uint64_t limbo = 0; ///< before the drain
    std::optional<Failure> failure;
};
bool checks = true; // off: only a sanitizer can find something

enum class Running : std::uint8_t { freely, disturbed, controlled };

std::unique_ptr<Schedule> schedule_for(Running running, std::size_t threads, std::uint64_t seed, std::uint64_t steps) {
    if (running == Running::disturbed)
        return std::make_unique<DisturbedSchedule>(threads, seed, 1 + static_cast<std::uint32_t>(seed % 64));
    if (running == Running::controlled)
        return std::make_unique<ControlledSchedule>(threads, seed, steps);
    return nullptr;
}

std::unique_ptr<Subject> subject_for(std::uint64_t seed, IndexOptions options) {
    return seed % 4 == 0 ? make_shipped_subject(std::move(options)) : make_tiny_subject(std::move(options));
}

/// The last part of every round: everything can be reclaimed when nobody looks any more.
Outcome finish(Subject& subject, const History& history) {
    Outcome outcome;
    outcome.calls = history.calls.size();
    outcome.limbo = subject.epoch_stats().limbo_objects;
    if (!subject.join()->drain() && checks)
        outcome.failure = {"limbo is left after a drain at rest", ""};
    return outcome;
}

Outcome black_box(Running running, std::uint64_t seed) {
    Plan plan;
    plan.seed = seed;
    plan.threads = 2 + seed % 3;
    plan.calls = 14 / plan.threads + seed % 5;
    plan.ids = static_cast<Id>(1 + seed / 3 % 7);
    plan.present = seed / 2 % 4;
    plan.ticks = false;
    plan.calls_of_a_session = seed % 5 == 0 ? 2 : 0;
    if (seed % 8 == 3)
        plan.weights = {4, 3, 3, 2, 0};
    if (seed % 8 == 5)
        plan.weights = {6, 6, 1, 0, 2}; // little but change
    const auto subject = subject_for(seed, history_options(dimension));
    const auto schedule = schedule_for(running, plan.threads, seed, 1500);
    const History history = play(*subject, plan, schedule.get());
    Outcome outcome = finish(*subject, history);
    if (!checks)
        return outcome;
    const Verdict verdict = check_linearizable(history);
    if (verdict.kind != Verdict::linearizable) {
        const History least = minimised(history);
        const Verdict why = check_linearizable(least);
        outcome.failure = {report(least, why), timeline(least, why, "A history that no order explains")};
    }
    return outcome;
}

/// The last part of rounds whose calls say where they took place.
Outcome judged_by_versions(Subject& subject, const History& history) {
    Outcome outcome = finish(subject, history);
    if (!checks)
        return outcome;
    const VersionVerdict verdict = check_versions(history);
    if (!verdict.correct()) {
        const Excerpt excerpt = excerpt_of(history, verdict);
        outcome.failure = {fmt::format("{} answers are wrong, the first: {}: {}\n{}", verdict.wrong,
                                       in_words(history.calls[verdict.mistakes[0].call]), verdict.mistakes[0].what,
                                       report(excerpt.history, excerpt.verdict)),
                           timeline(excerpt.history, excerpt.verdict, "An answer that is wrong at its own time")};
    }
    return outcome;
}

Outcome white_box(Running running, std::uint64_t seed) {
    Plan plan;
    plan.seed = seed;
    plan.threads = 3 + seed % 3;
    plan.calls = running == Running::controlled ? 40 : running == Running::disturbed ? 600 : 4000;
    constexpr Id sizes[] = {6, 40, 1, 2};
    plan.ids = sizes[seed % 4];
    plan.present = plan.ids / 2;
    plan.calls_of_a_session = seed % 3 == 0 ? 25 : 0;
    if (seed % 3 == 1)
        plan.weights = {8, 4, 1, 1, 4};
    const auto subject = subject_for(seed / 2, history_options(dimension));
    const auto schedule = schedule_for(running, plan.threads, seed, 30'000);
    return judged_by_versions(*subject, play(*subject, plan, schedule.get()));
}

/// Threads that stand still at chosen operations, while others go on for long.
Outcome stopping(std::uint64_t seed) {
    auto [plan, places] = plan_with_stops(seed);
    const auto subject = make_tiny_subject(history_options(dimension));
    ControlledSchedule schedule(plan.threads, seed, 1, std::move(places));
    return judged_by_versions(*subject, play(*subject, plan, &schedule));
}

/// Every get of a vector is counted for the life of its id in which it was read, and for no other.
Outcome accesses(std::uint64_t seed) {
    Plan plan;
    plan.seed = seed;
    plan.threads = 2 + seed % 3;
    plan.calls = 20;
    plan.ids = static_cast<Id>(1 + seed % 4);
    plan.present = 0;
    plan.weights = {4, 2, 6, 0, 0};
    IndexOptions options = history_options(dimension);
    options.tracking = Tracking::exact;
    options.tiers.manage_every = std::chrono::milliseconds(0);
    const auto subject = make_tiny_subject(options);
    const auto schedule =
        schedule_for(seed % 2 == 0 ? Running::controlled : Running::disturbed, plan.threads, seed, 3000);
    const History history = play(*subject, plan, schedule.get());
    Outcome outcome = finish(*subject, history);
    const auto session = subject->join();
    for (Id id = 0; id != plan.ids && checks; ++id) {
        std::map<Value, std::uint64_t> stamps;
        std::uint64_t inserted = 0;
        for (const Call& c : history.calls)
            if (c.operation == Operation::add && c.id == id) {
                stamps[c.value] = c.stamp;
                if (c.yes)
                    inserted = std::max(inserted, c.stamp);
            }
        std::uint64_t expected = 0;
        for (const Call& c : history.calls)
            if (c.operation == Operation::get && c.id == id && c.value != 0 && stamps[c.value] >= inserted)
                ++expected;
        const auto counted = session->accesses(id);
        if (counted && *counted != expected)
            outcome.failure = {
                fmt::format("id {}: {} accesses counted, {} made\n{}", id, *counted, expected, report(history, {})),
                ""};
    }
    return outcome;
}

/// The invariants that the algorithms state themselves, on controlled schedules.
Outcome invariants(std::uint64_t seed) {
    broken_invariant = nullptr;
    const bool checked = std::exchange(checks, false);
    Outcome outcome = seed % 2 == 0 ? black_box(Running::controlled, seed) : white_box(Running::controlled, seed);
    checks = checked;
    if (const char* const broken = broken_invariant; broken != nullptr && checks)
        outcome.failure = {broken, ""};
    return outcome;
}

/// Threads take objects from a pool and give them back, on a controlled schedule; nobody else writes to one meanwhile.
Outcome pool(std::uint64_t seed) {
    struct Mark {
        explicit Mark(std::uint64_t v) : value(v) {}
        std::uint64_t value;
    };
    using Pool = MemoryPool<StressBackend, TinyTraits, Mark>;
    constexpr std::size_t threads = 3;
    constexpr std::size_t calls = 40;
    Pool shared;
    std::atomic<std::uint64_t> strangers{0};
    ControlledSchedule schedule(threads, seed, 2000);
    std::vector<std::thread> crew;
    for (std::size_t t = 0; t != threads; ++t)
        crew.emplace_back([&, t] {
            std::mt19937_64 random(seed * 31 + t);
            typename Pool::Cache cache;
            std::vector<std::pair<Mark*, std::uint64_t>> mine;
            schedule.enter(t);
            for (std::size_t i = 0; i != calls; ++i) {
                if (mine.empty() || (mine.size() < 6 && random() % 2 == 0)) {
                    const std::uint64_t value = t << 32 | i;
                    mine.emplace_back(shared.make(cache, value), value);
                } else {
                    std::swap(mine[random() % mine.size()], mine.back());
                    strangers += mine.back().first->value == mine.back().second ? 0u : 1u;
                    shared.destroy(cache, mine.back().first);
                    mine.pop_back();
                }
            }
            for (const auto& [object, value] : mine) {
                strangers += object->value == value ? 0u : 1u;
                shared.destroy(cache, object);
            }
            schedule.leave(t);
        });
    for (auto& t : crew)
        t.join();
    Outcome outcome;
    outcome.calls = threads * calls;
    if (checks && strangers != 0)
        outcome.failure = {fmt::format("{} objects of a pool belonged to two threads", strangers.load()), ""};
    return outcome;
}

Outcome progress(std::uint64_t seed) {
    const ProgressReport report = certify_progress(seed % 2 == 0 ? make_shipped_subject : make_tiny_subject, 1, seed);
    Outcome outcome;
    outcome.calls = report.completed();
    if (checks && report.blocked() + report.wrong() != 0)
        outcome.failure = {table_of(report), ""};
    return outcome;
}

struct Kind {
    std::string_view name;
    std::function<Outcome(std::uint64_t)> round;
    std::size_t share;    ///< rounds of it in each turn of the soak
    bool same_every_time; ///< with one seed
};
const std::vector<Kind>& kinds() {
    static const std::vector<Kind> all{
        {"black_free", [](std::uint64_t s) { return black_box(Running::freely, s); }, 10, false},
        {"black_disturbed", [](std::uint64_t s) { return black_box(Running::disturbed, s); }, 20, false},
        {"black_controlled", [](std::uint64_t s) { return black_box(Running::controlled, s); }, 60, true},
        {"white_free", [](std::uint64_t s) { return white_box(Running::freely, s); }, 3, false},
        {"white_disturbed", [](std::uint64_t s) { return white_box(Running::disturbed, s); }, 3, false},
        {"white_controlled", [](std::uint64_t s) { return white_box(Running::controlled, s); }, 20, true},
        {"stopping", stopping, 40, true},
        {"accesses", accesses, 10, false},
        {"invariants", invariants, 10, true},
        {"pool", pool, 10, true},
        {"progress", progress, 1, true},
    };
    return all;
}

/// All kinds, by name.
command_line::Choices<const Kind*> kinds_by_name() {
    command_line::Choices<const Kind*> all;
    for (const Kind& k : kinds())
        all.emplace_back(k.name, &k);
    return all;
}
/// The enumerators [first, end), by name.
template <class Enum>
command_line::Choices<Enum> by_name(std::size_t first, std::size_t end) {
    command_line::Choices<Enum> all;
    for (std::size_t i = first; i != end; ++i)
        all.emplace_back(name_of(static_cast<Enum>(i)), static_cast<Enum>(i));
    return all;
}

double resident_mib() {
    std::ifstream file("/proc/self/statm");
    double pages = 0;
    file >> pages >> pages;
    return pages * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1024 * 1024);
}

struct Settings {
    double seconds = 10;
    std::uint64_t seed = 1;
    std::vector<const Kind*> chosen;
    std::optional<std::pair<const Kind*, std::uint64_t>> replay;
    std::string out;
    bool stop_at_first = false;
};

class Soak {
  public:
    explicit Soak(Settings settings) : settings_(std::move(settings)) {}

    int run() {
        // A thread of its own: some rounds take long under a sanitizer.
        std::jthread voice([this](const std::stop_token& stop) {
            std::mutex mutex;
            std::unique_lock lock(mutex);
            std::condition_variable_any never_notified;
            while (!never_notified.wait_for(lock, stop, std::chrono::seconds(1), [&] { return stop.stop_requested(); }))
                say("progress");
        });
        if (settings_.replay) {
            const auto [kind, seed] = *settings_.replay;
            for (int i = 0; i != (kind->same_every_time ? 1 : 2000) && violations_ == 0; ++i)
                play_round(*kind, seed);
        } else {
            for (std::uint64_t seed = settings_.seed; !over(); ++seed)
                for (const Kind* kind : settings_.chosen)
                    for (std::size_t i = 0; i != kind->share && !over(); ++i)
                        play_round(*kind, seed * kind->share + i);
        }
        voice.request_stop();
        voice.join();
        say("done");
        return violations_ == 0 ? 0 : 1;
    }

  private:
    [[nodiscard]] double elapsed() const {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
    }
    [[nodiscard]] bool over() const {
        return elapsed() >= settings_.seconds || (violations_ != 0 && settings_.stop_at_first);
    }
    void say(std::string_view what) {
        fmt::print("{}\t{:.1f}\t{}\t{}\t{}\t{}\t{:.1f}\n", what, elapsed(), rounds_.load(), calls_.load(),
                   violations_.load(), limbo_.load(), resident_mib());
        std::fflush(stdout);
    }

    void play_round(const Kind& kind, std::uint64_t seed) {
        Outcome outcome = kind.round(seed);
        ++rounds_;
        calls_ += outcome.calls;
        limbo_ = std::max(limbo_.load(), outcome.limbo);
        if (outcome.failure) {
            ++violations_;
            std::string file = "-";
            std::string again = fmt::format("scripts/stress --replay {}:{}", kind.name, seed);
            if (const bug b = planted_bugs.on(); b != bug::none)
                again += fmt::format(" --bug {} ({})", name_of(b), what_is(b));
            if (!settings_.out.empty() && !outcome.failure->page.empty()) {
                std::string& page = outcome.failure->page;
                page.insert(page.find("<p>"), fmt::format("<p>Again: {}</p>\n", again));
                const std::string path = fmt::format("{}/{}-{}", settings_.out, kind.name, seed);
                std::ofstream(path + ".txt") << again << '\n' << outcome.failure->text;
                file = path + ".html";
                std::ofstream(file) << page;
            }
            fmt::print("violation\t{}:{}\t{}\n", kind.name, seed, file);
            std::fflush(stdout);
            fmt::print(stderr, "{}\n{}\n", again, outcome.failure->text);
        }
    }

    Settings settings_;
    std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
    std::atomic<std::uint64_t> rounds_{0};
    std::atomic<std::uint64_t> calls_{0};
    std::atomic<std::uint64_t> violations_{0};
    std::atomic<std::uint64_t> limbo_{0};
};

#ifdef HOTINDEX_PLANTED
constexpr bool sources_are_planted = true;
constexpr const char* program = "stress_soak_planted";
#else
constexpr bool sources_are_planted = false;
constexpr const char* program = "stress_soak";
#endif

/// Searches that stand still beside updates, and a get for comparison.
int garbage() {
    bool fine = true;
    const std::vector<GarbagePlan> plans{
        {.stopped = 0},
        {.stopped = 1},
        {.stopped = 4},
        {.stopped = 1, .inside = Operation::get, .step = 5},
    };
    for (GarbagePlan plan : plans) {
        plan.updates = 400'000;
        plan.samples = 200;
        const GarbageRun run = measure_garbage(plan, [&plan](const GarbageSample& s) {
            fmt::print("garbage\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n", name_of(plan.inside), plan.stopped, s.updates,
                       s.limbo.limbo_objects, s.limbo.limbo_bytes, s.seen, s.bound);
            std::fflush(stdout);
        });
        fine = fine && run.missed + run.wrong == 0 && run.drained &&
               (plan.inside == Operation::search ? run.over == 0 : run.over != 0);
    }
    return fine ? 0 : 1;
}

/// What each thread that is stopped for ever lets others do.
int progress_table() {
    const ProgressReport report = certify_progress(make_tiny_subject, 25);
    fmt::print("{}", table_of(report));
    const ProgressReport locked = certify_progress(make_locked_subject, 1);
    fmt::print("\nThe index behind a mutex, as a control:\n\n{}", table_of(locked));
    return report.blocked() + report.wrong() == 0 && locked.blocked() != 0 ? 0 : 1;
}

int list_names() {
    for (const Kind& k : kinds())
        fmt::print("kind\t{}\n", k.name);
    for (const auto& [name, b] : by_name<bug>(1, bug_count))
        fmt::print("bug\t{}\t{}\n", name, what_is(b));
    for (const auto& [name, e] : by_name<edge>(0, edge_count - 1))
        fmt::print("edge\t{}\t{}\n", name, publishes(e));
    return 0;
}

int run(std::span<const char* const> arguments) {
    using namespace command_line;
    Settings settings;
    bool no_checks = false;
    bool list = false;
    bool progress_only = false;
    bool garbage_only = false;
    CommandLine line(program, "rounds of random calls on the lock-free index, every answer checked");
    line.add("--seconds=S", "how long (default: 10)", number(settings.seconds, 0.1, 1e6));
    line.add("--seed=N", "where the rounds begin", number(settings.seed, 0, std::uint64_t{1} << 48));
    line.add("--kinds=LIST", "of rounds (default: all)", some_of(settings.chosen, kinds_by_name()));
    line.add("--bug=NAME", "turns a planted bug on; stress_soak_planted has them", [](const Given& given) {
        const bug chosen = choose(given.name, *given.value, by_name<bug>(0, bug_count));
        if (!sources_are_planted)
            throw BadFlag(fmt::format("--bug={}: the shipped sources have no bugs planted; use stress_soak_planted",
                                      *given.value));
        planted_bugs.turn_on(chosen);
    });
    line.add("--weaken=EDGE", "makes the orders of an edge relaxed",
             one_of(weakened_edge, by_name<edge>(0, edge_count - 1)));
    line.add("--replay=KIND:SEED", "plays one round again", [&settings](const Given& given) {
        const std::string_view value = *given.value;
        const std::size_t colon = std::min(value.find(':'), value.size());
        const Kind* const kind = choose(given.name, value.substr(0, colon), kinds_by_name());
        const std::string_view seed = colon < value.size() ? value.substr(colon + 1) : "";
        settings.replay.emplace(kind, read_number<std::uint64_t>(given.name, seed, 0, ~std::uint64_t{0}));
    });
    line.add("--out=FOLDER", "for histories and timelines", text(settings.out));
    line.add("--stop-at-first", "ends with the first violation", yes(settings.stop_at_first));
    line.add("--no-checks", "no check of answers: only a sanitizer can find something", yes(no_checks));
    line.add("--progress-table", "what stopped threads let others do, instead", yes(progress_only));
    line.add("--garbage", "what stopped searches keep in memory, instead", yes(garbage_only));
    line.add("--list", "kinds of rounds, planted bugs and edges, instead", yes(list));
    if (!line.read(arguments)) {
        fmt::print("{}", line.help());
        return 0;
    }
    checks = !no_checks;
    if (list)
        return list_names();
    if (progress_only)
        return progress_table();
    if (garbage_only)
        return garbage();
    if (settings.chosen.empty())
        for (const Kind& k : kinds())
            settings.chosen.push_back(&k);
    return Soak(std::move(settings)).run();
}
} // namespace

int main(int argc, char** argv) {
    return hotindex::command_line::run_main(program, argc, argv, run);
}
