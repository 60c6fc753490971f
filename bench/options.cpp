#include "options.hpp"

#include "dataset/metrics.hpp"
#include "harness/crew.hpp"
#include "harness/google_benchmark_versions.hpp"
#include "strict_flags.hpp"

#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <string_view>

namespace hotindex::bench {
namespace {

constexpr std::array flags{
    Flag{"--help", Value::none},
    Flag{"--quick", Value::none},
    Flag{"--full", Value::none},
    Flag{"--gate", Value::none},
    Flag{"--threads", Value::required},
    Flag{"--dataset", Value::required},
    Flag{"--metric", Value::required},
    Flag{"--rows", Value::required},
    Flag{"--pin", Value::none},
    Flag{"--seed", Value::required},
    Flag{"--benchmark_min_time", Value::required},
    // Google Benchmark's own
    Flag{"--benchmark_list_tests", Value::optional},
    Flag{"--benchmark_filter", Value::required},
    Flag{"--benchmark_min_warmup_time", Value::required},
    Flag{"--benchmark_repetitions", Value::required},
    Flag{"--benchmark_enable_random_interleaving", Value::optional},
    Flag{"--benchmark_report_aggregates_only", Value::optional},
    Flag{"--benchmark_display_aggregates_only", Value::optional},
    Flag{"--benchmark_format", Value::required},
    Flag{"--benchmark_out", Value::required},
    Flag{"--benchmark_out_format", Value::required},
    Flag{"--benchmark_color", Value::required},
    Flag{"--benchmark_counters_tabular", Value::optional},
    Flag{"--benchmark_perf_counters", Value::required},
    Flag{"--benchmark_context", Value::required},
    Flag{"--benchmark_time_unit", Value::required},
    Flag{"--v", Value::required},
};

// They choose or shape one of Google Benchmark's own reporters.
constexpr std::array<std::string_view, 6> display_flags{"--benchmark_format",
                                                        "--benchmark_color",
                                                        "--benchmark_counters_tabular",
                                                        "--benchmark_display_aggregates_only",
                                                        "--benchmark_report_aggregates_only",
                                                        "--benchmark_time_unit"};

constexpr std::size_t most_threads = 1024;

constexpr std::array metrics{Metric::cosine, Metric::inner_product, Metric::squared_euclidean};

/// The names of the library, and no others: one spelling for a command line. Throws BadFlag.
Metric read_metric(std::string_view text) {
    const auto metric = std::ranges::find(metrics, text, [](Metric each) { return name_of(each); });
    if (metric != metrics.end())
        return *metric;
    const auto meant = metric_named(text);
    throw BadFlag(fmt::format("--metric: '{}' is not one of cosine, inner_product, squared_euclidean{}", text,
                              meant ? fmt::format("; did you mean {}?", name_of(*meant)) : ""));
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

} // namespace

const char* const denominator =
    "All rates are a second of real time, over all threads together, from the first thread's begin to the last one's "
    "end: "
    "items_per_second counts attempted operations, ops successful ones, failed those attempted in vain (insert of a "
    "present "
    "key; read, remove, update of an absent one); writer_ops is the rate of the writer that threads does not count.";

Options read_options(std::span<const char* const> arguments) {
    Options options;
    options.google = {"--benchmark_enable_random_interleaving=true", "--benchmark_repetitions=3"};
    bool seconds_given = false;
    bool out = false;
    std::string_view out_format = "json";
    for (const GivenFlag& flag : read_flags(arguments, flags)) {
        const std::string_view value = flag.value.value_or("");
        if (flag.name == "--help") {
            options.help = true;
        } else if (flag.name == "--quick" || flag.name == "--full" || flag.name == "--gate") {
            const Profile profile = flag.name == "--quick"  ? Profile::quick
                                    : flag.name == "--full" ? Profile::full
                                                            : Profile::gate;
            if (options.profile != Profile::standard && options.profile != profile)
                throw BadFlag("--quick, --full and --gate exclude each other");
            options.profile = profile;
        } else if (flag.name == "--threads") {
            options.threads = read_list(flag.name, value, most_threads);
        } else if (flag.name == "--dataset") {
            if (value.empty())
                throw BadFlag("--dataset: give the name of a file");
            options.dataset = std::filesystem::path(value);
        } else if (flag.name == "--metric") {
            options.metric = read_metric(value);
        } else if (flag.name == "--rows") {
            options.rows = read_number<std::size_t>(flag.name, value, 2, std::numeric_limits<std::size_t>::max());
        } else if (flag.name == "--pin") {
            options.pin = true;
        } else if (flag.name == "--seed") {
            options.seed = read_number<std::uint64_t>(flag.name, value, 0, std::numeric_limits<std::uint64_t>::max());
        } else if (flag.name == "--benchmark_min_time") {
            options.seconds = read_number<double>(flag.name, value, 0.001, 1000);
            seconds_given = true;
        } else {
            options.google.push_back(flag.value ? fmt::format("{}={}", flag.name, value) : std::string(flag.name));
            if (std::ranges::find(display_flags, flag.name) != display_flags.end())
                options.own_table = false;
            if (flag.name == "--benchmark_format")
                options.display_json = value == "json";
            else if (flag.name == "--benchmark_out")
                out = !value.empty();
            else if (flag.name == "--benchmark_out_format")
                out_format = value;
        }
    }
    options.out_json = out && out_format == "json";
    if (!options.dataset && (options.metric || options.rows))
        throw BadFlag(fmt::format("{} is about the vectors of a file: give --dataset=FILE, too",
                                  options.metric ? "--metric" : "--rows"));
    if (!seconds_given)
        options.seconds = options.profile == Profile::full ? 0.5 : 0.1;
    if (options.threads.empty())
        options.threads = default_ladder(options.profile);
    // How long a run takes is our business (see measure.hpp): one iteration, however short, is enough.
    options.google.insert(options.google.begin(), fmt::format("--benchmark_min_time=0.000001{}",
                                                              seconds_suffix<benchmark::BenchmarkReporter::Run>));
    return options;
}

std::string help_text() {
    std::string google;
    for (const Flag& flag : flags)
        if (flag.name.starts_with("--benchmark_") && flag.name != "--benchmark_min_time")
            google += fmt::format("  {}{}\n", flag.name,
                                  flag.value == Value::required   ? "=..."
                                  : flag.value == Value::optional ? "[={true|false}]"
                                                                  : "");
    return fmt::format(R"(hotindex_bench: throughput of vector indexes and maps over a ladder of threads

usage: hotindex_bench [flags]

  --quick               insert, search, mixed and read_heavy, up to twice the processors (at least 4 threads);
                        about a minute on 2 processors
  --full                more variants and longer laps; about half an hour on 2 processors
  --gate                what scripts/gate compares: search, mixed, read_heavy, exchange, rapid_grow and churn of the
                        mutex and the lock_free index and of the lock-free map, small enough for a core's own cache
                        none of these: every workload, within about 5 minutes on 2 processors
  --threads=LIST        such as 1,2,4,8; here the default is {0} ({1} with --quick)
  --dataset=FILE        real vectors for search, mixed and search_beside_writer, all of the file (fvecs, bvecs, ivecs, fbin,
                        f16bin, u8bin, i8bin, ibin, IDX, npy, HDF5; gzip); default: a mixture of clusters, the same on
                        every machine
  --metric=NAME         compare the dataset by cosine, inner_product or squared_euclidean; default: what its file says
                        (HDF5), otherwise cosine, which leaves rows of zeros out and says so
  --rows=N              only the first N rows of the dataset (at least 2; the last tenth, at most 100, become queries when
                        the file has none)
  --pin                 thread i runs on the i-th usable processor only, modulo their number
  --seed=N              of all random choices (default 1); each thread and each repetition has a stream of its own, and all
                        indexes get the same
  --benchmark_min_time=SECONDS
                        about how long the timed laps of one repetition last, together (default 0.1; 0.5 with --full). A
                        warm-up of a fifth comes before, or a whole round for workloads that begin with an empty structure
  --help                this text
Google Benchmark's flags, passed on (defaults here: 3 repetitions, random interleaving, so that indexes are compared under
the same conditions; all repetitions are in the JSON of --benchmark_out=FILE --benchmark_out_format=json):
{2}
Any other flag is an error with exit status 2. Exit status 1: a check of what was measured failed, nothing matched, or
results could not be written. 128 + signal: ended by SIGINT, SIGTERM or SIGHUP, with all results until then written.

workloads (name: workload/index/parameter:value/.../real_time/threads:N)
  insert                10,000 adds of 128 floats a thread into an index that starts empty; ids differ
  search                top 10 over 1,000 vectors of 64 floats
  mixed                 two searches for the top 5 to one add, 1,000 vectors of 64 floats; the adds replace vectors drawn at
                        random, so that the size stays 1,000
  read_heavy            98% read, 1% insert, 1% remove
  exchange              10% read, 40% insert, 40% remove, 10% update
  rapid_grow            5% read, 80% insert, 5% remove, 10% update, from empty, 1.5 n operations a round
                        these three draw from 2n keys (keys:uniform or keys:zipf, theta 0.99), of which n are present when
                        the first two start. On an index insert and update are both add_vector, which inserts or replaces
                        and never fails; a read is get_vector (read:get) or a search for the top 10 (read:search)
  churn                 insert and remove by turns, each thread on keys of its own, n present (counted as two operations)
  search_beside_writer  as search, beside one more thread that replaces vectors without pause
  tax                   as search, with the tracker off, sampled, exact and the statistics off, on
indexes
  mutex, rwlock         HotVectorIndex<std::mutex>, HotVectorIndex<std::shared_mutex>
  lock_free             LockFreeHotVectorIndex
  map_mutex, map_rwlock std::unordered_map behind a std::mutex, a std::shared_mutex
  map_lock_free         LockFreeHashMap
indexes compare by cosine (unless the dataset or --metric says otherwise), statistics on and tracker off, except in tax.

counters
  items_per_second      attempted operations a second, all threads together
  ops                   successful operations a second
  failed                operations attempted in vain a second: insert of a present key; read, remove, update of an absent one
  writer_ops            adds a second of the writer beside the searchers
  fairness              shortest time of a thread / longest, of equal work: 1 is fair
  processors            processor time of the threads / real time: fewer than min(threads, processors of the machine) when
                        threads wait for each other, or when something else runs on the machine
  timed_seconds         what the rates were divided by, together over the repetition's laps
All rates are divided by real time from the first thread's begin to the last one's end. All threads of a run do equal work.
Threads exist and are warm before the clock starts; structures are built and destroyed while it stands still. After every
lap the structure's size must be what the operations answered; in one repetition of each benchmark that searches, answers
are compared with sums in double precision over the vectors that the index holds. What fails is an error in the results.
)",
                       fmt::join(default_ladder(Profile::standard), ","),
                       fmt::join(default_ladder(Profile::quick), ","), google);
}

} // namespace hotindex::bench
