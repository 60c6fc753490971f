// Workloads on keys, for maps and for indexes alike: the mixes of operations, growth from nothing, and churn.
//
// `Keyed` is a structure seen by key numbers (see KeyedMap); Make gives an empty one.
#pragma once

#include "harness/measure.hpp"
#include "workloads/key_mix.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace hotindex::bench {

/// Every workload's check: what the operations said must be what the structure says.
[[nodiscard]] inline std::optional<std::string> size_fault(std::size_t size, std::size_t before, std::int64_t growth) {
    const std::int64_t expected = static_cast<std::int64_t>(before) + growth;
    if (static_cast<std::int64_t>(size) == expected)
        return std::nullopt;
    return fmt::format("size is {}; {} at the start and {:+} by what the operations answered make {}", size, before,
                       growth, expected);
}

template <class Keyed>
using MakeKeyed = std::function<std::unique_ptr<Keyed>()>;

template <class Keyed>
void fill(Keyed& keyed, std::size_t begin, std::size_t end) {
    std::int64_t growth = 0;
    for (std::size_t key = begin; key != end; ++key)
        keyed.insert(key, growth);
}

/// read_heavy and exchange: half of the keys are there at the start, and about half at any time.
template <class Keyed>
class MixWorkload {
  public:
    using Lane = Steps;
    static constexpr std::uint64_t period = 1;

    MixWorkload(const Mix& mix, std::shared_ptr<const KeySet> keys, const MakeKeyed<Keyed>& make)
        : mix_(mix), keys_(std::move(keys)), keyed_(make()) {
        fill(*keyed_, 0, keys_->present_at_start());
    }
    Lane lane(std::size_t, Random random) const { return {*keys_, mix_, random}; }
    Tally run(Lane& steps, std::uint64_t operations) { return perform(*keyed_, steps, operations); }
    [[nodiscard]] std::optional<std::string> fault(std::int64_t growth, bool) const {
        return size_fault(keyed_->size(), keys_->present_at_start(), growth);
    }

  private:
    Mix mix_;
    std::shared_ptr<const KeySet> keys_;
    std::unique_ptr<Keyed> keyed_;
};

/// rapid_grow: each round begins with nothing and ends, after 1.5 n operations, with about n of the 2n keys (uniform).
template <class Keyed>
class GrowWorkload {
  public:
    using Lane = Steps;
    static constexpr std::uint64_t period = 1;

    GrowWorkload(const Mix& mix, std::shared_ptr<const KeySet> keys, MakeKeyed<Keyed> make, std::size_t threads)
        : mix_(mix), keys_(std::move(keys)), make_(std::move(make)), threads_(threads) {}
    Lane lane(std::size_t, Random random) const { return {*keys_, mix_, random}; }
    void start_round() {
        keyed_.reset();
        keyed_ = make_();
    }
    [[nodiscard]] std::uint64_t round_operations() const {
        return std::max<std::uint64_t>(1, keys_->present_at_start() * 3 / 2 / threads_);
    }
    Tally run(Lane& steps, std::uint64_t operations) { return perform(*keyed_, steps, operations); }
    [[nodiscard]] std::optional<std::string> fault(std::int64_t growth, bool) const {
        return size_fault(keyed_->size(), 0, growth);
    }

  private:
    Mix mix_;
    std::shared_ptr<const KeySet> keys_;
    MakeKeyed<Keyed> make_;
    std::size_t threads_;
    std::unique_ptr<Keyed> keyed_;
};

/// churn: an insert and a remove by turns, nothing fails. Each thread has keys of its own in a ring, n / threads of
/// them present: it inserts the one before the present ones and removes the last of them.
template <class Keyed>
class ChurnWorkload {
  public:
    struct Lane {
        std::size_t begin; ///< of the thread's keys
        std::size_t keys;
        std::size_t present;
        std::size_t oldest = 0; ///< in the ring
    };
    static constexpr std::uint64_t period = 2;

    ChurnWorkload(std::shared_ptr<const KeySet> keys, const MakeKeyed<Keyed>& make, std::size_t threads)
        : keys_(std::move(keys)), each_(keys_->names().size() / threads), threads_(threads), keyed_(make()) {
        for (std::size_t t = 0; t != threads; ++t)
            fill(*keyed_, t * each_, t * each_ + each_ / 2);
    }
    Lane lane(std::size_t thread, Random) const { return {thread * each_, each_, each_ / 2}; }
    Tally run(Lane& lane, std::uint64_t operations) {
        Tally tally;
        for (std::uint64_t i = 0; i != operations; i += 2) {
            std::size_t next = lane.oldest + lane.present;
            next -= next < lane.keys ? 0 : lane.keys;
            const std::uint64_t done = (keyed_->insert(lane.begin + next, tally.growth) ? 1u : 0u) +
                                       (keyed_->remove(lane.begin + lane.oldest, tally.growth) ? 1u : 0u);
            lane.oldest = lane.oldest + 1 == lane.keys ? 0 : lane.oldest + 1;
            tally.succeeded += done;
            tally.failed += 2 - done;
        }
        return tally;
    }
    [[nodiscard]] std::optional<std::string> fault(std::int64_t growth, bool) const {
        if (growth != 0)
            return fmt::format("the size changed by {}", growth);
        return size_fault(keyed_->size(), each_ / 2 * threads_, growth);
    }

  private:
    std::shared_ptr<const KeySet> keys_;
    std::size_t each_;
    std::size_t threads_;
    std::unique_ptr<Keyed> keyed_;
};

/// A key set is made at its first use, once for all structures and threads.
class LazyKeys {
  public:
    LazyKeys(std::size_t n, Distribution distribution) : n_(n), distribution_(distribution) {}
    [[nodiscard]] const std::shared_ptr<const KeySet>& get() {
        if (!keys_)
            keys_ = std::make_shared<const KeySet>(n_, distribution_);
        return keys_;
    }
    [[nodiscard]] std::string parameters() const { return fmt::format("keys:{}/n:{}", name_of(distribution_), n_); }
    [[nodiscard]] std::size_t n() const noexcept { return n_; }

  private:
    std::size_t n_;
    Distribution distribution_;
    std::shared_ptr<const KeySet> keys_;
};

/// `name` is complete but for what Google Benchmark appends. `make(keys)` gives an empty structure.
template <class Keyed, class Make>
void add_mix(const Settings& settings, const std::string& name, const Mix& mix, const std::shared_ptr<LazyKeys>& keys,
             const Make& make) {
    if (mix.name == rapid_grow.name)
        add_benchmark<GrowWorkload<Keyed>>(settings, name, [=](std::size_t threads) {
            const auto set = keys->get();
            return std::make_unique<GrowWorkload<Keyed>>(mix, set, [=] { return make(*set); }, threads);
        });
    else
        add_benchmark<MixWorkload<Keyed>>(settings, name, [=](std::size_t) {
            const auto set = keys->get();
            return std::make_unique<MixWorkload<Keyed>>(mix, set, [=] { return make(*set); });
        });
}

template <class Keyed, class Make>
void add_churn(const Settings& settings, const std::string& name, const std::shared_ptr<LazyKeys>& keys,
               const Make& make) {
    add_benchmark<ChurnWorkload<Keyed>>(settings, name, [=](std::size_t threads) {
        const auto set = keys->get();
        return std::make_unique<ChurnWorkload<Keyed>>(set, [=] { return make(*set); }, threads);
    });
}

} // namespace hotindex::bench
