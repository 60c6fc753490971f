// Mixes of reads, inserts, removes and updates over a set of keys, drawn before the clock starts.
//
// A set has 2n keys, of which the first n are there at the start of read_heavy and exchange (rapid_grow starts empty),
// so that inserts and removes both have work. A thread's steps are drawn in advance, from its own random stream, and
// replayed in a circle: the loop that is measured draws no random number and builds no key.
#pragma once

#include "dataset/random.hpp"
#include "harness/crew.hpp"
#include "workloads/keys.hpp"

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace hotindex::bench {

enum class Act : std::uint32_t { read, insert, remove, update };

/// How many operations of a hundred are which.
struct Mix {
    std::string_view name;
    std::uint32_t read;
    std::uint32_t insert;
    std::uint32_t remove;
    std::uint32_t update;

    [[nodiscard]] constexpr Act act(std::uint64_t percent) const noexcept {
        return percent < read                     ? Act::read
               : percent < read + insert          ? Act::insert
               : percent < read + insert + remove ? Act::remove
                                                  : Act::update;
    }
};

inline constexpr Mix read_heavy{"read_heavy", 98, 1, 1, 0};
inline constexpr Mix exchange{"exchange", 10, 40, 40, 10};
inline constexpr Mix rapid_grow{"rapid_grow", 5, 80, 5, 10};
inline constexpr std::array mixes{read_heavy, exchange, rapid_grow};
static_assert(read_heavy.read + read_heavy.insert + read_heavy.remove + read_heavy.update == 100);
static_assert(exchange.read + exchange.insert + exchange.remove + exchange.update == 100);
static_assert(rapid_grow.read + rapid_grow.insert + rapid_grow.remove + rapid_grow.update == 100);

/// One operation: what, and on which key of the set.
class Step {
  public:
    Step() = default;
    Step(Act act, std::size_t key) noexcept
        : word_((static_cast<std::uint32_t>(key) << 2) | static_cast<std::uint32_t>(act)) {}
    [[nodiscard]] Act act() const noexcept { return static_cast<Act>(word_ & 3); }
    [[nodiscard]] std::size_t key() const noexcept { return word_ >> 2; }

  private:
    std::uint32_t word_ = 0;
};

enum class Distribution : std::uint8_t { uniform, zipf };

[[nodiscard]] constexpr std::string_view name_of(Distribution d) noexcept {
    return d == Distribution::uniform ? "uniform" : "zipf";
}

/// 2n keys of 14 characters, and how they are drawn. Immutable: shared by all threads.
class KeySet {
  public:
    KeySet(std::size_t n, Distribution distribution) : n_(n), scattered_(2 * n), chooser_(UniformKeys(2 * n)) {
        if (distribution == Distribution::zipf)
            chooser_.emplace<ZipfKeys>(2 * n, 0.99);
        names_.reserve(2 * n);
        for (std::size_t i = 0; i != 2 * n; ++i)
            names_.push_back(fmt::format("key:{:010}", i));
        // The popular ranks are spread over all keys, present and absent ones (Fisher and Yates).
        std::iota(scattered_.begin(), scattered_.end(), 0u);
        Random random(2 * n);
        for (std::size_t i = scattered_.size(); i > 1; --i)
            std::swap(scattered_[i - 1], scattered_[random.below(i)]);
    }

    [[nodiscard]] std::size_t present_at_start() const noexcept { return n_; }
    [[nodiscard]] const std::vector<std::string>& names() const noexcept { return names_; }

    [[nodiscard]] std::vector<Step> draw(const Mix& mix, Random& random, std::size_t length) const {
        std::vector<Step> steps;
        steps.reserve(length);
        std::visit(
            [&](const auto& chooser) {
                while (steps.size() != length) {
                    const Act act = mix.act(random.below(100));
                    steps.emplace_back(act, scattered_[chooser(random)]);
                }
            },
            chooser_);
        return steps;
    }

  private:
    std::size_t n_;
    std::vector<std::string> names_;
    std::vector<std::uint32_t> scattered_;
    std::variant<UniformKeys, ZipfKeys> chooser_;
};

/// A thread's steps, replayed in a circle.
class Steps {
  public:
    /// So long that a circle touches most of the keys that the benchmarks use.
    static constexpr std::size_t length = std::size_t{1} << 18;

    Steps(const KeySet& keys, const Mix& mix, Random random) : steps_(keys.draw(mix, random, length)) {}

    [[nodiscard]] Step next() noexcept { return steps_[at_++ & (length - 1)]; }

  private:
    std::vector<Step> steps_;
    std::size_t at_ = 0;
};

/// Does `count` steps. Keyed has read, insert, remove and update of a key's number, each true if it found (or, insert,
/// did not find) the key.
template <class Keyed>
Tally perform(Keyed& keyed, Steps& steps, std::uint64_t count) {
    Tally tally;
    for (std::uint64_t i = 0; i != count; ++i) {
        const Step step = steps.next();
        bool succeeded = false;
        switch (step.act()) {
        case Act::read:
            succeeded = keyed.read(step.key());
            break;
        case Act::insert:
            succeeded = keyed.insert(step.key(), tally.growth);
            break;
        case Act::remove:
            succeeded = keyed.remove(step.key(), tally.growth);
            break;
        case Act::update:
            succeeded = keyed.update(step.key(), tally.growth);
            break;
        }
        tally.succeeded += succeeded ? 1 : 0;
        tally.failed += succeeded ? 0 : 1;
    }
    return tally;
}

/// A map from strings to integers, seen by key numbers. Map: LockFreeHashMap or whatever has its members.
template <class Map>
class KeyedMap {
  public:
    explicit KeyedMap(const KeySet& keys) : names_(&keys.names()) {}

    bool read(std::size_t key) const {
        const std::optional<std::uint64_t> value = map_.get(name(key));
        return value.has_value() && *value != 0; // uses the value: a read is not complete without it
    }
    bool insert(std::size_t key, std::int64_t& growth) {
        const bool done = map_.insert(name(key), std::uint64_t{1});
        growth += done ? 1 : 0;
        return done;
    }
    bool remove(std::size_t key, std::int64_t& growth) {
        const bool done = map_.erase(name(key));
        growth -= done ? 1 : 0;
        return done;
    }
    bool update(std::size_t key, std::int64_t&) {
        return map_.update(name(key), [](std::uint64_t value) { return value + 1; });
    }
    [[nodiscard]] std::size_t size() const { return map_.size(); }

  private:
    [[nodiscard]] std::string_view name(std::size_t key) const { return (*names_)[key]; }

    const std::vector<std::string>* names_;
    Map map_;
};

} // namespace hotindex::bench
