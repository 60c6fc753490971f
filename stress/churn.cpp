// Churn: threads that insert and remove for as long as asked, with the same number of elements all the while. Prints
// what that keeps in memory, and how long the slowest operation took. scripts/stress --churn draws it.
#include "command_line/command_line.hpp"

#include <hotindex/lock_free_hot_vector_index.hpp>
#include <hotindex/map/lock_free_hash_map.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {
using namespace hotindex;
using Clock = std::chrono::steady_clock;

constexpr std::size_t live = 1000; ///< elements, of all threads together

struct Plan {
    std::size_t threads = 4;
    double seconds = 60;
    double every = 0.25; ///< seconds between two lines
};

/// Operations i, i + 1, ... of one thread, whose elements nobody else touches.
class MapChurn {
  public:
    void operator()(std::size_t thread, std::uint64_t i, std::size_t mine) {
        const auto key = [thread](std::uint64_t n) { return std::uint64_t{thread} << 40 | n; };
        map_.insert(key(i), i);
        if (i >= mine)
            map_.erase(key(i - mine));
    }
    [[nodiscard]] EpochStats stats() const { return map_.epoch_stats(); }

  private:
    LockFreeHashMap<std::uint64_t, std::uint64_t> map_;
};

/// Adds and removes.
class IndexChurn {
  public:
    void operator()(std::size_t thread, std::uint64_t i, std::size_t mine) {
        index_.add_vector(id(thread, i), row_);
        if (i >= mine)
            index_.remove_vector(id(thread, i - mine));
    }
    [[nodiscard]] EpochStats stats() const { return index_.epoch_stats(); }

  private:
    static std::string id(std::size_t thread, std::uint64_t i) { return fmt::format("{}-{}", thread, i); }
    LockFreeHotVectorIndex index_{IndexOptions{.dimension = 64}};
    std::vector<float> row_ = std::vector<float>(64, 1.0F);
};

/// Replaces vectors of 64 KiB.
class RowChurn {
  public:
    void operator()(std::size_t thread, std::uint64_t i, std::size_t) {
        index_.add_vector(fmt::format("{}-{}", thread, i % 4), row_);
    }
    [[nodiscard]] EpochStats stats() const { return index_.epoch_stats(); }

  private:
    LockFreeHotVectorIndex index_{IndexOptions{.dimension = 16384}};
    std::vector<float> row_ = std::vector<float>(16384, 1.0F);
};

/// Resident memory of this process; 0 where the system does not say.
std::uint64_t resident_bytes() {
    std::FILE* const file = std::fopen("/proc/self/statm", "r");
    if (file == nullptr)
        return 0;
    std::array<char, 256> text{};
    const std::size_t n = std::fread(text.data(), 1, text.size() - 1, file);
    (void)std::fclose(file);
    const std::string_view said(text.data(), n);
    const std::size_t second = said.find(' ');
    std::uint64_t pages = 0;
    if (second != std::string_view::npos)
        std::from_chars(said.data() + second + 1, said.data() + said.size(), pages);
    return pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

struct alignas(128) Worker {
    std::atomic<std::uint64_t> operations{0};
    std::atomic<std::int64_t> slowest{0}; ///< nanoseconds, since the last line
};

template <class Churn>
int run_churn(const Plan& plan) {
    const auto churn = std::make_unique<Churn>();
    std::vector<Worker> workers(plan.threads);
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t != plan.threads; ++t)
        threads.emplace_back([&, t] {
            const std::size_t mine = std::max<std::size_t>(1, live / plan.threads);
            for (std::uint64_t i = 0; !stop.load(std::memory_order_relaxed); ++i) {
                const auto begin = Clock::now();
                (*churn)(t, i, mine);
                const std::int64_t took = std::chrono::nanoseconds(Clock::now() - begin).count();
                if (took > workers[t].slowest.load(std::memory_order_relaxed))
                    workers[t].slowest.store(took, std::memory_order_relaxed);
                workers[t].operations.store(i + 1, std::memory_order_relaxed);
            }
        });
    const auto begin = Clock::now();
    bool heard = true;
    for (double next = plan.every; heard && next <= plan.seconds + plan.every / 2; next += plan.every) {
        std::this_thread::sleep_until(begin +
                                      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(next)));
        std::uint64_t operations = 0;
        std::int64_t slowest = 0;
        for (Worker& w : workers) {
            operations += w.operations.load(std::memory_order_relaxed);
            slowest = std::max(slowest, w.slowest.exchange(0, std::memory_order_relaxed));
        }
        const EpochStats stats = churn->stats();
        fmt::print("sample\t{:.2f}\t{}\t{}\t{}\t{}\t{:.1f}\n",
                   std::chrono::duration<double>(Clock::now() - begin).count(), resident_bytes(), stats.limbo_objects,
                   stats.limbo_bytes, operations, static_cast<double>(slowest) / 1000);
        heard = std::fflush(stdout) == 0;
    }
    stop = true;
    for (auto& t : threads)
        t.join();
    return heard ? 0 : 1;
}

int run(std::span<const char* const> arguments) {
    using namespace command_line;
    const Choices<int (*)(const Plan&)> structures{
        {"map", run_churn<MapChurn>}, {"index", run_churn<IndexChurn>}, {"rows", run_churn<RowChurn>}};
    Plan plan;
    auto churn = structures[0].second;
    CommandLine line("stress_churn", "what insertions and removals keep in memory");
    line.add("--structure=NAME", "map, index or rows (default: map)", one_of(churn, structures));
    line.add("--threads=N", "default: 4", number(plan.threads, 1, 1024));
    line.add("--seconds=S", "how long (default: 60)", number(plan.seconds, 0.01, 1e6));
    line.add("--every=S", "from sample to sample (default: 0.25)", number(plan.every, 0.01, 1e6));
    if (!line.read(arguments)) {
        fmt::print("{}", line.help());
        return 0;
    }
    return churn(plan);
}
} // namespace

int main(int argc, char** argv) {
    return command_line::run_main("stress_churn", argc, argv, run);
}
