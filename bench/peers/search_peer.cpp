// peer_search: exact search through LockFreeHotVectorIndex, and through our kernels and TopK alone, against hnswlib's
// BruteforceSearch, in one interleaved run.
//
// Inner product, one thread. All hold the same rows; all answer the same queries one by one; the answers are compared
// before anything is timed. `index` is the whole index, with statistics and access tracking as they are by default and
// ids as strings; `single` is the scan alone, over rows that lie one behind the other as hnswlib's do. Repetitions
// alternate (ours first in even ones), each at least --min-ms long. The clock is the thread's CPU time, so that other
// processes of the machine are not counted; the ratio of a repetition is hnswlib's time a query / our time a query, and
// above 1 we are faster. `batch` has no peer: hnswlib has no batch search, its ratio is against hnswlib's single
// queries.
#include "command_line/command_line.hpp"
#include "peers/hnswlib_peer.hpp"

#include <hotindex/lock_free_hot_vector_index.hpp>
#include <hotindex/search/scan.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {
using namespace hotindex;
using bench::HnswlibBruteforce;

struct Size {
    std::size_t rows, dimension;
};
struct Options {
    std::size_t repetitions = 15, min_ms = 100, k = 10, seed = 1;
    std::vector<Size> sizes{{1000, 64}, {10'000, 128}, {200'000, 128}};
};

std::vector<Size> sizes(std::string_view flag, std::string_view text) {
    std::vector<Size> all;
    for (const std::string_view one : command_line::parts(text)) {
        const std::size_t x = one.find('x');
        if (x == std::string_view::npos)
            throw command_line::BadFlag(fmt::format("{}: '{}' is not ROWSxDIMENSION, for example 1000x64", flag, one));
        all.push_back({command_line::read_number<std::size_t>(flag, one.substr(0, x), 1, 100'000'000),
                       command_line::read_number<std::size_t>(flag, one.substr(x + 1), 1, max_dimension)});
    }
    return all;
}

command_line::CommandLine command_line_of(Options& options) {
    using namespace command_line;
    CommandLine line("peer_search", "exact search by inner product against hnswlib's BruteforceSearch, one thread");
    line.add("--repetitions=N", "default 15", number(options.repetitions, 1, 100'000));
    line.add("--min-ms=N", "of CPU time, of each (default 100)", number(options.min_ms, 1, 100'000));
    line.add("--k=N", "results of a query, at most the rows (default 10)", number(options.k, 1, 100'000'000));
    line.add("--seed=N", "default 1", number(options.seed, 0, 0xFFFF'FFFF));
    line.add("--sizes=LIST", "of ROWSxDIMENSION (default 1000x64,10000x128,200000x128)",
             [&options](const Given& given) { options.sizes = sizes(given.name, *given.value); });
    return line;
}

/// CPU time of this thread in seconds.
double cpu_time() {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

/// Seconds a query of `run(number of the round)`, which answers `queries` of them, over at least `seconds`.
template <class Run>
double time_a_query(std::size_t queries, double seconds, Run run) {
    const double start = cpu_time();
    double end = start;
    std::size_t rounds = 0;
    do {
        run(rounds++);
        end = cpu_time();
    } while (end - start < seconds);
    return (end - start) / static_cast<double>(rounds * queries);
}

double quantile(std::vector<double> values, double q) {
    std::ranges::sort(values);
    return values[static_cast<std::size_t>(std::lround(q * static_cast<double>(values.size() - 1)))];
}

void report(const char* what, Size size, const std::vector<double>& ours, const std::vector<double>& theirs) {
    std::vector<double> ratios;
    ratios.reserve(ours.size());
    for (std::size_t i = 0; i < ours.size(); ++i)
        ratios.push_back(theirs[i] / ours[i]);
    fmt::print("{:>7} {:>7} x {:<5} ours {:>9.0f} q/s  hnswlib {:>9.0f} q/s  ratio {:.2f} (quartiles {:.2f} to {:.2f}, "
               "range {:.2f} to {:.2f})\n",
               what, size.rows, size.dimension, 1 / quantile(ours, 0.5), 1 / quantile(theirs, 0.5),
               quantile(ratios, 0.5), quantile(ratios, 0.25), quantile(ratios, 0.75), quantile(ratios, 0),
               quantile(ratios, 1));
}

void compare(Size size, const Options& o) {
    constexpr std::size_t queries = 64;
    constexpr Metric metric = Metric::inner_product;
    const std::size_t stride = row_stride(size.dimension);
    std::mt19937 random(static_cast<std::mt19937::result_type>(o.seed));
    std::normal_distribution<float> normal;
    ProductionBackend::array<float> floats(size.rows, stride); // the memory that the indexes use
    float* const rows = floats.write(0);
    std::fill_n(rows, size.rows * stride, 0.0F);
    for (std::size_t i = 0; i < size.rows; ++i)
        std::generate_n(rows + i * stride, size.dimension, [&] { return normal(random); });
    std::vector<float> query(queries * size.dimension);
    std::ranges::generate(query, [&] { return normal(random); });
    const auto query_at = [&](std::size_t j) {
        return std::span<const float>(query).subspan(j % queries * size.dimension, size.dimension);
    };

    std::vector<std::string> names(size.rows);
    for (std::size_t i = 0; i < size.rows; ++i)
        names[i] = fmt::format("{:09}", i);
    const auto id_of = [&](std::uint32_t slot) { return std::string_view(names[slot]); };
    const auto each_block = [&](auto use) {
        for (std::size_t i = 0; i < size.rows; i += block_rows)
            use(RowBlock<std::uint32_t>{static_cast<std::uint32_t>(i), rows + i * stride, nullptr,
                                        std::min(block_rows, size.rows - i), ~std::uint64_t{0}});
    };

    PreparedQuery prepared;
    TopK<> top;
    const auto search = [&](std::size_t j) {
        prepared.assign(query_at(j), metric, size.rows);
        top.reset(o.k, metric);
        scan_rows(prepared, each_block, top, id_of);
        return top.sorted(id_of);
    };
    LockFreeHotVectorIndex index(
        IndexOptions{.dimension = size.dimension, .metric = metric, .expected_vectors = size.rows});
    for (std::size_t i = 0; i < size.rows; ++i)
        index.add_vector(names[i], {rows + i * stride, size.dimension});
    const HnswlibBruteforce peer(rows, size.rows, size.dimension, stride);
    BatchScan<> batch;
    const auto search_batch = [&] {
        batch.prepare(query, size.dimension, o.k, metric);
        batch.scan(each_block, id_of);
    };

    std::size_t different = 0;
    std::vector<std::uint32_t> ids;
    search_batch();
    for (std::size_t j = 0; j < queries; ++j) {
        ids.clear();
        peer.search(query_at(j).data(), o.k, ids);
        const auto found = search(j);
        const auto in_batch = batch.top(j).sorted(id_of);
        const std::vector<Match> in_index = index.search(query_at(j), o.k);
        for (std::size_t i = 0; i < o.k; ++i) {
            if (found[i].slot != in_batch[i].slot)
                throw std::logic_error(fmt::format("query {}: the batch and the single search differ", j));
            if (id_of(found[i].slot) != in_index.at(i).id)
                throw std::logic_error(fmt::format("query {}: the index and the scan alone differ", j));
            different += ids[i] != found[i].slot ? 1 : 0;
        }
    }
    // Rounding differs, so near ties may change places.
    if (different > queries * o.k / 100)
        throw std::logic_error(fmt::format("{} of {} answers differ from hnswlib's", different, queries * o.k));

    const double seconds = static_cast<double>(o.min_ms) / 1000;
    std::vector<double> ours, theirs, batched, indexed;
    for (std::size_t r = 0; r < o.repetitions; ++r) {
        const auto run_ours = [&] { ours.push_back(time_a_query(1, seconds, [&](std::size_t j) { search(j); })); };
        const auto run_index = [&] {
            indexed.push_back(time_a_query(1, seconds, [&](std::size_t j) { (void)index.search(query_at(j), o.k); }));
        };
        const auto run_theirs = [&] {
            theirs.push_back(time_a_query(1, seconds, [&](std::size_t j) {
                ids.clear();
                peer.search(query_at(j).data(), o.k, ids);
            }));
        };
        if (r % 2 == 0) {
            run_index();
            run_ours();
        }
        run_theirs();
        if (r % 2 != 0) {
            run_ours();
            run_index();
        }
        batched.push_back(time_a_query(queries, seconds, [&](std::size_t) { search_batch(); }));
    }
    report("index", size, indexed, theirs);
    report("single", size, ours, theirs);
    report("batch", size, batched, theirs);
}

int run(std::span<const char* const> arguments) {
    Options options;
    const command_line::CommandLine line = command_line_of(options);
    if (!line.read(arguments)) {
        fmt::print("{}", line.help());
        return 0;
    }
    for (const Size size : options.sizes)
        if (options.k > size.rows)
            throw command_line::BadFlag(
                fmt::format("--k: {} is more than the {} rows of --sizes", options.k, size.rows));
    fmt::print(
        "inner product, top {}, one thread, {} repetitions of at least {} ms of CPU time; kernels {}, hnswlib {}\n",
        options.k, options.repetitions, options.min_ms, kernel_target(), HnswlibBruteforce::compiled_for());
    for (const Size size : options.sizes)
        compare(size, options);
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    return hotindex::command_line::run_main("peer_search", argc, argv, run);
}
