// Mixes of operations: their shares, what they are drawn from, and that what fails is counted as failed.
#include "dataset/random.hpp"
#include "workloads/key_mix.hpp"
#include "workloads/keys.hpp"

#include <algorithm>
#include <array>
#include <catch.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace hotindex::bench {
namespace {

/// How often each act is drawn.
std::array<double, 4> shares_of(const std::vector<Step>& steps) {
    std::array<double, 4> shares{};
    for (const Step step : steps)
        shares.at(static_cast<std::size_t>(step.act())) += 1 / static_cast<double>(steps.size());
    return shares;
}

/// How often each key is drawn, the most popular one first.
std::vector<double> popularity(const std::vector<Step>& steps, std::size_t keys) {
    std::vector<double> counts(keys);
    for (const Step step : steps)
        ++counts.at(step.key());
    std::ranges::sort(counts, std::ranges::greater{});
    return counts;
}

bool same(const std::vector<Step>& a, const std::vector<Step>& b) {
    return std::ranges::equal(a, b, [](Step x, Step y) { return x.act() == y.act() && x.key() == y.key(); });
}

/// Reads and updates find every key but the first, and the others succeed on even keys only.
struct Picky {
    bool read(std::size_t key) {
        ++calls[Act::read];
        return key != 0;
    }
    bool update(std::size_t key, std::int64_t&) {
        ++calls[Act::update];
        return key != 0;
    }
    bool insert(std::size_t key, std::int64_t& growth) {
        ++calls[Act::insert];
        growth += key % 2 == 0 ? 1 : 0;
        return key % 2 == 0;
    }
    bool remove(std::size_t key, std::int64_t& growth) {
        ++calls[Act::remove];
        growth -= key % 2 == 0 ? 1 : 0;
        return key % 2 == 0;
    }
    std::map<Act, std::uint64_t> calls;
};

/// A map as KeyedMap asks for it.
struct PlainMap {
    [[nodiscard]] std::optional<std::uint64_t> get(std::string_view name) const {
        const auto found = entries.find(std::string(name));
        return found == entries.end() ? std::nullopt : std::optional(found->second);
    }
    bool insert(std::string_view name, std::uint64_t value) { return entries.emplace(name, value).second; }
    bool erase(std::string_view name) { return entries.erase(std::string(name)) == 1; }
    template <class Change>
    bool update(std::string_view name, Change change) {
        const auto found = entries.find(std::string(name));
        if (found == entries.end())
            return false;
        found->second = change(found->second);
        return true;
    }
    [[nodiscard]] std::size_t size() const { return entries.size(); }
    std::map<std::string, std::uint64_t> entries;
};

TEST_CASE("a mix gives each act its hundredths") {
    for (const Mix& mix : mixes) {
        std::array<std::uint32_t, 4> counts{};
        for (std::uint64_t percent = 0; percent != 100; ++percent)
            ++counts.at(static_cast<std::size_t>(mix.act(percent)));
        CAPTURE(std::string(mix.name));
        CHECK(counts == std::array{mix.read, mix.insert, mix.remove, mix.update});
    }
    CHECK(exchange.act(9) == Act::read);
    CHECK(exchange.act(10) == Act::insert);
    CHECK(exchange.act(89) == Act::remove);
    CHECK(exchange.act(90) == Act::update);
}

TEST_CASE("a step keeps its act and its key") {
    for (const Act act : {Act::read, Act::insert, Act::remove, Act::update})
        for (const std::size_t key : {std::size_t{0}, std::size_t{1}, std::size_t{(1u << 30) - 1}}) {
            const Step step(act, key);
            CHECK(step.act() == act);
            CHECK(step.key() == key);
        }
}

TEST_CASE("a set has twice as many keys as are there at the start, all of one length") {
    const KeySet keys(500, Distribution::uniform);
    CHECK(keys.present_at_start() == 500);
    CHECK(keys.names().size() == 1000);
    CHECK(std::set<std::string>(keys.names().begin(), keys.names().end()).size() == 1000);
    CHECK(std::ranges::all_of(keys.names(), [](const std::string& name) { return name.size() == 14; }));
}

TEST_CASE("acts are drawn in the shares of their mix, by each distribution") {
    constexpr std::size_t draws = 200'000;
    for (const Distribution distribution : {Distribution::uniform, Distribution::zipf}) {
        const KeySet keys(500, distribution);
        for (const Mix& mix : mixes) {
            Random random(3);
            const std::vector<Step> steps = keys.draw(mix, random, draws);
            CHECK(steps.size() == draws);
            const std::array<double, 4> shares = shares_of(steps);
            const std::array expected{mix.read, mix.insert, mix.remove, mix.update};
            for (std::size_t act = 0; act != 4; ++act) {
                const double share = expected.at(act) / 100.0;
                CAPTURE(std::string(mix.name), act);
                CHECK(std::fabs(shares.at(act) - share) <= 5 * std::sqrt(share * (1 - share) / draws));
            }
        }
    }
}

TEST_CASE("keys are drawn as skewed as their distribution says, and popular ones are there and absent") {
    constexpr std::size_t draws = 400'000;
    constexpr std::size_t n = 500;
    Random random(5);
    const std::vector<Step> steps = KeySet(n, Distribution::zipf).draw(exchange, random, draws);
    const std::vector<double> counts = popularity(steps, 2 * n);
    const ZipfKeys expected(2 * n, 0.99);
    for (const std::size_t rank : std::initializer_list<std::size_t>{0, 1, 2, 5}) {
        const double mean = draws * expected.probability(rank);
        CAPTURE(rank, mean, counts[rank]);
        CHECK(std::fabs(counts[rank] - mean) < 5 * std::sqrt(mean));
    }
    std::map<std::size_t, std::size_t> by_key;
    for (const Step step : steps)
        ++by_key[step.key()];
    std::size_t present = 0;
    std::size_t absent = 0;
    for (const auto& [key, count] : by_key)
        if (static_cast<double>(count) >= counts[40])
            ++(key < n ? present : absent);
    CHECK(present > 5);
    CHECK(absent > 5);

    const std::vector<double> even = popularity(KeySet(n, Distribution::uniform).draw(exchange, random, draws), 2 * n);
    const double mean = draws / (2.0 * n);
    CHECK(even.front() < mean + 7 * std::sqrt(mean));
    CHECK(even.back() > mean - 7 * std::sqrt(mean));
}

TEST_CASE("each thread draws steps of its own, and the same ones for every index") {
    const KeySet keys(500, Distribution::zipf);
    const auto draw = [&](std::uint64_t seed, std::uint64_t thread) {
        Random random(seed, thread);
        return keys.draw(exchange, random, 1000);
    };
    CHECK(same(draw(1, 0), draw(1, 0)));
    CHECK_FALSE(same(draw(1, 0), draw(1, 1)));
    CHECK_FALSE(same(draw(1, 0), draw(2, 0)));
}

TEST_CASE("steps are replayed in a circle") {
    const KeySet keys(50, Distribution::uniform);
    Steps steps(keys, exchange, Random(7));
    std::vector<Step> first;
    std::vector<Step> second;
    for (std::size_t i = 0; i != Steps::length; ++i)
        first.push_back(steps.next());
    for (std::size_t i = 0; i != Steps::length; ++i)
        second.push_back(steps.next());
    CHECK(same(first, second));
    Random random(7);
    CHECK(same(first, keys.draw(exchange, random, Steps::length)));
}

TEST_CASE("what succeeds and what fails is counted apart, and growth as the structure tells it") {
    const KeySet keys(50, Distribution::uniform);
    constexpr std::uint64_t count = 10'000;
    Steps steps(keys, exchange, Random(7));
    Steps again(keys, exchange, Random(7));
    Picky picky;
    const Tally tally = perform(picky, steps, count);
    Tally expected;
    std::map<Act, std::uint64_t> calls;
    for (std::uint64_t i = 0; i != count; ++i) {
        const Step step = again.next();
        ++calls[step.act()];
        const bool finds = step.act() == Act::read || step.act() == Act::update;
        const bool good = finds ? step.key() != 0 : step.key() % 2 == 0;
        ++(good ? expected.succeeded : expected.failed);
        if (!finds && good)
            expected.growth += step.act() == Act::insert ? 1 : -1;
    }
    CHECK(tally.succeeded == expected.succeeded);
    CHECK(tally.failed == expected.failed);
    CHECK(tally.growth == expected.growth);
    CHECK(picky.calls == calls);
    CHECK(tally.failed > 0);
}

TEST_CASE("a map by key numbers tells what it did") {
    const KeySet keys(5, Distribution::uniform);
    KeyedMap<PlainMap> map(keys);
    std::int64_t growth = 0;
    CHECK_FALSE(map.read(3));
    CHECK_FALSE(map.update(3, growth));
    CHECK_FALSE(map.remove(3, growth));
    CHECK(growth == 0);
    CHECK(map.insert(3, growth));
    CHECK_FALSE(map.insert(3, growth));
    CHECK(growth == 1);
    CHECK(map.size() == 1);
    CHECK(map.read(3));
    CHECK_FALSE(map.read(4));
    CHECK(map.update(3, growth));
    CHECK(map.remove(3, growth));
    CHECK(growth == 0);
    CHECK(map.size() == 0);
}

} // namespace
} // namespace hotindex::bench
