#include "options.hpp"

#include "command_line/command_line.hpp"
#include "dataset/metrics.hpp"
#include "harness/crew.hpp"
#include "harness/google_benchmark_versions.hpp"

#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

namespace hotindex::bench {
namespace {

using command_line::BadFlag;
using command_line::CommandLine;
using command_line::Given;
using command_line::Take;

constexpr std::array<std::string_view, 16> google_flags{"--benchmark_list_tests[={true|false}]",
                                                        "--benchmark_filter=...",
                                                        "--benchmark_min_warmup_time=...",
                                                        "--benchmark_repetitions=...",
                                                        "--benchmark_enable_random_interleaving[={true|false}]",
                                                        "--benchmark_report_aggregates_only[={true|false}]",
                                                        "--benchmark_display_aggregates_only[={true|false}]",
                                                        "--benchmark_format=...",
                                                        "--benchmark_out=...",
                                                        "--benchmark_out_format=...",
                                                        "--benchmark_color=...",
                                                        "--benchmark_counters_tabular[={true|false}]",
                                                        "--benchmark_perf_counters=...",
                                                        "--benchmark_context=...",
                                                        "--benchmark_time_unit=...",
                                                        "--v=..."};

// They choose or shape one of Google Benchmark's own reporters.
constexpr std::array<std::string_view, 6> display_flags{"--benchmark_format",
                                                        "--benchmark_color",
                                                        "--benchmark_counters_tabular",
                                                        "--benchmark_display_aggregates_only",
                                                        "--benchmark_report_aggregates_only",
                                                        "--benchmark_time_unit"};

constexpr std::size_t most_threads = 1024;

/// The names of the library, and no others: one spelling for a command line. Throws BadFlag.
Metric read_metric(std::string_view flag, std::string_view text) {
    std::array<std::string_view, metric_facts.size()> names;
    std::ranges::transform(metric_facts, names.begin(), &MetricFacts::name);
    const bool known = std::ranges::find(names, text) != names.end();
    if (const auto meant = metric_named(text); meant && !known)
        throw BadFlag(fmt::format("{}: '{}' is not one of {}; did you mean {}?", flag, text, fmt::join(names, ", "),
                                  name_of(*meant)));
    return metric_facts.at(command_line::position_of(flag, text, names)).metric;
}

/// As Google Benchmark takes it: "0.5", and since 1.8 "0.5s". Throws BadFlag.
double read_seconds(const Given& given) {
    std::string_view text = *given.value;
    if (text.ends_with('x'))
        throw BadFlag(fmt::format("{}: '{}' is a number of iterations: how many operations fill a time is decided here",
                                  given.name, text));
    if (text.ends_with('s'))
        text.remove_suffix(1);
    return command_line::read_number<double>(given.name, text, 0.001, 1000);
}

/// 1, 2, 4, ... to twice the processors and at least to 8, and the number of processors itself.
std::vector<std::size_t> default_ladder(Profile profile) {
    const std::size_t processors = usable_processors().size();
    const std::size_t top = std::max<std::size_t>(profile == Profile::quick ? 4 : 8, 2 * processors);
    std::vector<std::size_t> ladder{processors};
    for (std::size_t threads = 1; threads <= top; threads *= 2)
        ladder.push_back(threads);
    std::ranges::sort(ladder);
    ladder.erase(std::unique(ladder.begin(), ladder.end()), ladder.end());
    return ladder;
}

/// The options as far as they are read.
struct Draft {
    Options options;
    std::optional<double> seconds;
    bool out = false;
    std::string out_format = "json";
};

Take profile(Options& options, Profile chosen) {
    return [&options, chosen](const Given&) {
        if (options.profile != Profile::standard && options.profile != chosen)
            throw BadFlag("--quick, --full and --gate exclude each other");
        options.profile = chosen;
    };
}

constexpr std::array<std::string_view, 3> formats{"console", "json", "csv"};

/// Passes a flag of Google Benchmark on, and notes what it says about reporters. Of a format that it does not know,
/// Google Benchmark prints its own help and ends with status 0.
Take pass_on(Draft& draft) {
    return [&draft](const Given& given) {
        Options& options = draft.options;
        if (given.name == "--benchmark_format" || given.name == "--benchmark_out_format")
            (void)command_line::position_of(given.name, *given.value, formats);
        options.google.push_back(given.value ? fmt::format("{}={}", given.name, *given.value)
                                             : std::string(given.name));
        const std::string_view value = given.value.value_or("");
        if (std::ranges::find(display_flags, given.name) != display_flags.end())
            options.own_table = false;
        if (given.name == "--benchmark_format")
            options.display_json = value == "json";
        else if (given.name == "--benchmark_out")
            draft.out = !value.empty();
        else if (given.name == "--benchmark_out_format")
            draft.out_format = value;
    };
}

void add_flags(CommandLine& line, Draft& draft) {
    using namespace command_line;
    Options& options = draft.options;
    line.add("--quick",
             "insert, search, mixed and read_heavy, up to twice the processors (at least 4 threads); about a minute on "
             "2 processors",
             profile(options, Profile::quick));
    line.add("--full", "more variants and longer laps; about half an hour on 2 processors",
             profile(options, Profile::full));
    line.add(
        "--gate",
        "what scripts/gate compares: search, mixed, read_heavy, exchange, rapid_grow and churn of the mutex and the "
        "lock_free index and of the lock-free map, small enough for a core's own cache\n"
        "none of these: every workload, within about 5 minutes on 2 processors",
        profile(options, Profile::gate));
    line.add("--threads=LIST",
             fmt::format("such as 1,2,4,8; here the default is {} ({} with --quick)",
                         fmt::join(default_ladder(Profile::standard), ","),
                         fmt::join(default_ladder(Profile::quick), ",")),
             ascending(options.threads, most_threads));
    line.add("--dataset=FILE",
             "real vectors for search, mixed and search_beside_writer, all of the file (fvecs, bvecs, ivecs, fbin, "
             "f16bin, u8bin, i8bin, ibin, IDX, npy, HDF5; gzip); default: a mixture of clusters, the same on every "
             "machine",
             text(options.dataset));
    line.add(
        "--metric=NAME",
        fmt::format("compare the dataset by {}; default: what its file says (HDF5), otherwise cosine, which leaves "
                    "rows of zeros out and says so",
                    metrics_in_words()),
        [&options](const Given& given) { options.metric = read_metric(given.name, *given.value); });
    line.add("--rows=N",
             "only the first N rows of the dataset (at least 2; the last tenth, at most 100, become queries when the "
             "file has none)",
             number(options.rows, 2));
    line.add("--pin", "thread i runs on the i-th usable processor only, modulo their number", yes(options.pin));
    line.add("--seed=N",
             "of all random choices (default 1); each thread and each repetition has a stream of its own, and all "
             "indexes get the same",
             number(options.seed, 0));
    line.add("--benchmark_min_time=SECONDS",
             "about how long the timed laps of one repetition last, together (default 0.1; 0.5 with --full), as 0.5 or "
             "0.5s. A warm-up of a fifth comes before, or a whole round for workloads that begin with an empty "
             "structure",
             [&draft](const Given& given) { draft.seconds = read_seconds(given); });
    line.add("--memory", "only prints how many bytes a vector takes in each index, as JSON", yes(options.memory));
    line.say(
        "\nGoogle Benchmark's flags, passed on (defaults here: 3 repetitions, random interleaving, so that indexes "
        "are compared under the same conditions; all repetitions are in the JSON of --benchmark_out=FILE "
        "--benchmark_out_format=json):");
    for (const std::string_view usage : google_flags)
        line.add(usage, "", pass_on(draft));
}

void add_explanations(CommandLine& line) {
    line.say(
        "Any other flag is an error with exit status 2. Exit status 1: a check of what was measured failed, nothing "
        "matched, or results could not be written. 128 + signal: ended by SIGINT, SIGTERM or SIGHUP, with all "
        "results until then written.");
    line.say("\nworkloads (name: workload/index/parameter:value/.../real_time/threads:N)");
    for (const WorkloadHelp& workload : workload_help())
        line.entry(workload.name, std::string(workload.text));
    line.say("indexes");
    line.entry("mutex, rwlock", "HotVectorIndex<std::mutex>, HotVectorIndex<std::shared_mutex>");
    line.entry("elided", "HotVectorIndex<ElidedMutex>: insert, search, mixed, and with --full all that indexes do");
    line.entry("lock_free", "LockFreeHotVectorIndex");
    line.entry("adaptive", "AdaptiveHotVectorIndex: insert, search, mixed");
    line.entry("map_mutex, map_rwlock", "std::unordered_map behind a std::mutex, a std::shared_mutex");
    line.entry("map_lock_free", "LockFreeHashMap");
    line.entry(
        "map_tree_mutex, map_tree_rwlock, map_skip_list, map_btree",
        "maps with an order: std::map behind a lock, LockFreeSkipList, LockFreeBTree; ranges, and with --full all that "
        "maps do");
    line.entry("map_absl_mutex, map_absl_rwlock",
               "the same with absl::btree_map behind a lock, if it was there when the benchmark was built");
    line.say(
        "indexes compare by cosine (unless the dataset or --metric says otherwise), statistics on and tracker off, "
        "except in tax.\n\ncounters");
    line.entry("items_per_second", "attempted operations a second, all threads together");
    line.entry("ops", "successful operations a second");
    line.entry("failed", "operations attempted in vain a second: insert of a present key; read, remove, update of an "
                         "absent one");
    line.entry("writer_ops", "adds a second of the writer beside the searchers");
    line.entry("real_time", "of one attempted operation, all threads together: 1 / items_per_second");
    line.entry("fairness", "shortest time of a thread / longest, of equal work: 1 is fair");
    line.entry("slowest_thread, fastest_thread", "attempted operations a second of a thread, while it worked");
    line.entry("jain", "Jain's index of these rates: 1 is fair, 1 / threads is one thread alone");
    line.entry("processors", "processor time of the threads / real time: fewer than min(threads, processors of the "
                             "machine) when threads wait for each other, or when something else runs on the machine");
    line.entry("timed_seconds", "what the rates were divided by, together over the repetition's laps");
    line.say(
        "All rates are divided by real time from the first thread's begin to the last one's end. All threads of a "
        "run do equal work. Threads exist and are warm before the clock starts; structures are built and destroyed "
        "while it stands still. After every lap the structure's size must be what the operations answered; in one "
        "repetition of each benchmark that searches, answers are compared with sums in double precision over the "
        "vectors that the index holds. What fails is an error in the results.");
}

CommandLine command_line_of(Draft& draft) {
    CommandLine line("hotindex_bench", "throughput of vector indexes and maps over a ladder of threads");
    add_flags(line, draft);
    add_explanations(line);
    return line;
}

} // namespace

const char* const denominator =
    "All rates are a second of real time, over all threads together, from the first thread's begin to the last one's "
    "end: items_per_second counts attempted operations, ops successful ones, failed those attempted in vain (insert of "
    "a present key; read, remove, update of an absent one); writer_ops is the rate of the writer that threads does not "
    "count.";

Options read_options(std::span<const char* const> arguments) {
    Draft draft;
    Options& options = draft.options;
    options.google = {"--benchmark_enable_random_interleaving=true", "--benchmark_repetitions=3"};
    options.help = !command_line_of(draft).read(arguments);
    options.out_json = draft.out && draft.out_format == "json";
    if (!options.dataset && (options.metric || options.rows))
        throw BadFlag(fmt::format("{} is about the vectors of a file: give --dataset=FILE, too",
                                  options.metric ? "--metric" : "--rows"));
    options.seconds = draft.seconds.value_or(options.profile == Profile::full ? 0.5 : 0.1);
    if (options.threads.empty())
        options.threads = default_ladder(options.profile);
    // How long a run takes is our business (see measure.hpp): one iteration, however short, is enough.
    options.google.insert(options.google.begin(), fmt::format("--benchmark_min_time=0.000001{}",
                                                              seconds_suffix<benchmark::BenchmarkReporter::Run>));
    return options;
}

std::string help_text() {
    Draft draft;
    return command_line_of(draft).help();
}

} // namespace hotindex::bench
