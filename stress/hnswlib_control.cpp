// The positive control: hnswlib under the same check of histories. Its contract excludes a search beside an add, so the
// check must find wrong answers there; and none when one thread makes the same calls, or it is this adapter that is
// wrong. scripts/stress --peer hnswlib runs it.
//
// hnswlib takes its distance function from the user. Ours computes the same and tells the schedule before each row and
// in the middle of it, so that threads are disturbed there as they are at the atomic operations of our own indexes.
//
// Output: `progress` lines of seconds, histories, calls and violations, one `violation` line for the first, and a
// `done` line for each of one thread and several. Exit status: 0 as expected, 1 not so, 2 wrong usage.
#include "checkers/linearizability.hpp"
#include "command_line/command_line.hpp"
#include "harness/random_calls.hpp"
#include "harness/stress_backend.hpp"

#include <fmt/format.h>
#include <hnswlib/hnswlib.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {
using namespace hotindex;
using namespace hotindex::stress;

constexpr std::size_t floats = 16; // of a vector
constexpr std::size_t most_ids =
    16; // no more than hnswlib's M: each element is linked with each, no search is approximate

class HeardSpace final : public hnswlib::SpaceInterface<float> {
  public:
    std::size_t get_data_size() override { return floats * sizeof(float); }
    hnswlib::DISTFUNC<float> get_dist_func() override { return distance; }
    void* get_dist_func_param() override { return &dimension_; }

  private:
    static float distance(const void* a, const void* b, const void*) {
        const auto* const x = static_cast<const float*>(a);
        const auto* const y = static_cast<const float*>(b);
        float sum = 0;
        for (std::size_t i = 0; i != floats; ++i) {
            if (i % (floats / 2) == 0)
                StressBackend::hear(Step::load, edge::unnamed);
            sum += x[i] * y[i];
        }
        return 1 - sum;
    }
    std::size_t dimension_ = floats;
};

/// HierarchicalNSW as a Subject. Adds of one id wait for each other here, so that "inserted" means something.
class HnswlibSubject final : public Subject {
    class HnswlibSession final : public Session {
      public:
        explicit HnswlibSession(HnswlibSubject& subject) : subject_(subject) {}
        void perform(Call& call) override {
            try {
                perform_unguarded(call);
            } catch (const std::runtime_error&) {
                // It noticed itself that something is wrong: an answer that no oracle agrees with.
                call.value = torn;
                call.found = {{unknown_id, 0}};
            }
        }
        void perform_batch(std::span<Call> calls) override {
            for (Call& c : calls)
                perform(c);
        }
        [[nodiscard]] std::unique_ptr<HeldSnapshot> hold() override { return nullptr; }
        [[nodiscard]] std::uint64_t tick() override { return 0; }
        [[nodiscard]] std::optional<std::uint64_t> accesses(Id) override { return std::nullopt; }
        bool drain() override { return true; }

      private:
        void perform_unguarded(Call& call) {
            auto& index = subject_.index_;
            if (call.operation == Operation::add) {
                const std::scoped_lock lock(subject_.adding_[call.id]);
                const std::vector<float> row = row_of(call.value, floats);
                index.addPoint(row.data(), call.id);
                call.yes = !subject_.present_[call.id];
                if (call.yes)
                    subject_.present_[call.id] = true;
            } else if (call.operation == Operation::search) {
                // All of them, and then the best: hnswlib leaves open which of two equal ones it gives.
                auto all = index.searchKnn(floats_of(call.query, floats).data(), most_ids);
                call.found.clear();
                for (; !all.empty(); all.pop())
                    call.found.push_back({static_cast<Id>(all.top().second), 1 - all.top().first});
                std::ranges::sort(call.found, [](const Found& a, const Found& b) {
                    return a.score != b.score ? a.score > b.score : a.id < b.id;
                });
                call.found.resize(std::min<std::size_t>(call.found.size(), call.most));
            } else if (call.operation == Operation::get) {
                call.value = 0;
                if (subject_.present_[call.id])
                    call.value = value_of(index.getDataByLabel<float>(call.id)).value_or(torn);
            } else {
                throw std::logic_error("hnswlib is asked for adds, gets and searches only");
            }
        }
        HnswlibSubject& subject_;
    };

  public:
    [[nodiscard]] std::unique_ptr<Session> join() override { return std::make_unique<HnswlibSession>(*this); }
    [[nodiscard]] std::size_t dimension() const override { return floats; }
    [[nodiscard]] std::size_t size() const override { return index_.cur_element_count; }
    [[nodiscard]] EpochStats epoch_stats() const override { return {}; }
    [[nodiscard]] IndexStats stats() const override { return {}; }
    [[nodiscard]] bool has_versions() const override { return false; }

  private:
    HeardSpace space_;
    hnswlib::HierarchicalNSW<float> index_{&space_, most_ids};
    std::array<std::mutex, most_ids> adding_;
    std::array<bool, most_ids> present_{}; ///< under the id's mutex; gets are only made where nothing is inserted
};

/// Half of the histories replace vectors that are there, with gets; the others insert, too.
History history_of(std::size_t threads, std::uint64_t seed) {
    Plan plan;
    plan.seed = seed;
    plan.threads = threads;
    plan.calls = 16 / threads + seed % 3;
    plan.ids = static_cast<Id>(2 + seed / 2 % 5);
    plan.present = seed % 2 == 0 ? plan.ids : 1;
    plan.weights = {4, 0, seed % 2 == 0 ? 2u : 0u, 0, 3};
    plan.ticks = false;
    plan.batches_and_snapshots = false;
    HnswlibSubject subject;
    DisturbedSchedule schedule(threads, seed, 1 + static_cast<std::uint32_t>(seed % 16));
    return play(subject, plan, &schedule);
}

struct Count {
    std::uint64_t histories = 0;
    std::uint64_t calls = 0;
    std::uint64_t violations = 0;
};

struct Settings {
    double seconds = 10;
    std::uint64_t seed = 1;
    std::string out;
    bool checks = true;
};

Count soak(const Settings& settings, std::size_t threads, double seconds) {
    Count count;
    const auto begin = std::chrono::steady_clock::now();
    double next_word = 1;
    const auto say = [&](std::string_view what, double now) {
        fmt::print("{}\t{}\t{:.1f}\t{}\t{}\t{}\n", what, threads, now, count.histories, count.calls, count.violations);
        std::fflush(stdout);
    };
    for (std::uint64_t seed = settings.seed;; ++seed) {
        const double now = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        if (now >= next_word)
            say("progress", now), next_word = now + 1;
        if (now >= seconds) {
            say("done", now);
            return count;
        }
        const History history = history_of(threads, seed);
        ++count.histories;
        count.calls += history.calls.size();
        if (!settings.checks || check_linearizable(history).kind == Verdict::linearizable || ++count.violations != 1)
            continue;
        const History least = minimised(history);
        const Verdict why = check_linearizable(least);
        std::string file = "-";
        if (!settings.out.empty()) {
            file = fmt::format("{}/hnswlib-{}.html", settings.out, seed);
            if (std::FILE* const page = std::fopen(file.c_str(), "w")) {
                fmt::print(page, "{}", timeline(least, why, "hnswlib: a history that no order explains"));
                std::fclose(page);
            }
        }
        fmt::print("violation\t{}\t{}\n", seed, file);
        fmt::print("{}\n", report(least, why));
    }
}

int run(std::span<const char* const> arguments) {
    using namespace command_line;
    Settings settings;
    bool no_checks = false;
    CommandLine line("stress_hnswlib", "the checks of histories, on an index that must fail them");
    line.add("--seconds=S", "how long (default: 10)", number(settings.seconds, 0.1, 1e6));
    line.add("--seed=N", "where the rounds begin", number(settings.seed, 0, std::uint64_t{1} << 48));
    line.add("--out=FOLDER", "for timelines", text(settings.out));
    line.add("--no-checks", "no check of answers: only a sanitizer can find something", yes(no_checks));
    if (!line.read(arguments)) {
        fmt::print("{}", line.help());
        return 0;
    }
    settings.checks = !no_checks;
    const Count alone = soak(settings, 1, settings.seconds / 4);
    const Count together = soak(settings, 3, settings.seconds * 3 / 4);
    return alone.violations == 0 && (together.violations != 0 || !settings.checks) ? 0 : 1;
}
} // namespace

int main(int argc, char** argv) {
    return command_line::run_main("stress_hnswlib", argc, argv, run);
}
