// The soak: rounds of random calls on the lock-free index and the maps, every answer checked, for as long as one likes;
// with a bug planted or an order weakened, the measure of what each check finds. scripts/stress runs it. stress_soak
// plays the shipped sources, stress_soak_planted those with planted bugs.
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
#include "command_line/command_line.hpp"
#include "measures/garbage.hpp"
#include "measures/progress.hpp"
#include "rounds.hpp"

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
#include <mutex>
#include <optional>
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
    CommandLine line(program, "rounds of random calls on the lock-free index and the maps, every answer checked");
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
