// Integers as ids: the same contract, with numbers in the place of strings.
#include "catch.hpp"
#include "every_index.hpp"
#include "saved_bytes.hpp"
#include "scratch_folder.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <shared_mutex>
#include <span>
#include <string>
#include <vector>

namespace {
using namespace hotindex;
using namespace hotindex::tests;
using Id = std::uint64_t;
using Found = std::vector<BasicMatch<Id>>;
constexpr Id largest = std::numeric_limits<Id>::max();

/// What a search for the k nearest answers, with numbers that are exact in float.
Found nearest(const std::map<Id, float>& model, float query, std::size_t k) {
    Found all;
    for (const auto& [id, x] : model)
        all.push_back({id, (x - query) * (x - query)});
    std::sort(all.begin(), all.end(),
              [](const auto& x, const auto& y) { return x.score != y.score ? x.score < y.score : x.id < y.id; });
    all.resize(std::min(k, all.size()));
    return all;
}

/// What is said; empty when nothing was refused.
template <class Operation>
std::string storage_error(Operation operation) {
    try {
        operation();
    } catch (const StorageError& error) {
        return error.what();
    }
    return {};
}
} // namespace

TEMPLATE_TEST_CASE("integers are ids like any other, and ties go to the lower one", "[contract]",
                   (HotVectorIndex<std::mutex, Id>), (HotVectorIndex<std::shared_mutex, Id>),
                   LockFreeHotVectorIndexOf<Id>) {
    static_assert(VectorIndex<TestType>);
    std::mt19937 random(8);
    TestType index(options_of(1, Metric::squared_euclidean, Tracking::exact));
    std::map<Id, float> model;
    const std::vector<Id> ids{0, 1, 9, 10, 100, 1'000'000'007, largest - 1, largest, Id{1} << 32, Id{1} << 63};
    for (int step = 0; step != 3000; ++step) {
        const Id id = random() % 4 == 0 ? ids[random() % ids.size()] : random() % 200;
        const auto x = static_cast<float>(random() % 50); // many ties
        const bool known = model.contains(id);
        switch (random() % 6) {
        case 0:
        case 1:
            REQUIRE(index.add_vector(id, Vector{x}) == (known ? AddOutcome::replaced : AddOutcome::inserted));
            model[id] = x;
            break;
        case 2: {
            const std::vector<Id> both{id, id};
            REQUIRE(index.remove_batch(both) == (known ? 1 : 0));
            model.erase(id);
            break;
        }
        case 3:
            REQUIRE(index.contains(id) == known);
            REQUIRE((index.get_vector(id) == (known ? std::optional(Vector{model[id]}) : std::nullopt)));
            REQUIRE(index.access_stats(id).has_value() == known);
            break;
        case 4: {
            REQUIRE(index.search(Vector{x}, 7) == nearest(model, x, 7));
            REQUIRE(index.search_batch(Vector{x}, 300) == std::vector<Found>{nearest(model, x, 300)});
            std::map<Id, float> even;
            for (const auto& [i, y] : model)
                if (i % 2 == 0)
                    even[i] = y;
            const auto allowed = [](Id i) { return i % 2 == 0; };
            REQUIRE(index.search(Vector{x}, 20, allowed) == nearest(even, x, 20));
            REQUIRE(index.search_batch(Vector{x}, 20, allowed).at(0) == nearest(even, x, 20));
            Found near = nearest(model, x, 300);
            std::erase_if(near, [](const auto& m) { return m.score > 16; });
            REQUIRE(index.search_radius(Vector{x}, 16) == near);
            break;
        }
        default: {
            const auto state = index.snapshot();
            std::map<Id, float> seen;
            state.for_each([&seen](Id i, std::span<const float> row) { REQUIRE(seen.emplace(i, row[0]).second); });
            REQUIRE((seen == model));
            REQUIRE((state.get_vector(id) == (known ? std::optional(Vector{model[id]}) : std::nullopt)));
        }
        }
    }
    CHECK(index.memory_usage().ids >= model.size() * sizeof(Id));
    CHECK(index.clear() == model.size());
    CHECK(index.add_vector(0, Vector{1}) == AddOutcome::inserted);
    if constexpr (BatchIndex<TestType>) {
        const auto refused = [&](const std::vector<Id>& batch) {
            return refusal([&] { (void)index.add_batch(batch, Vector(batch.size(), 2)); });
        };
        CHECK(lacks(refused({7, 8, 7}), {"id 7", "twice", "at 0", "at 2"}) == "");
        CHECK(index.add_batch(std::vector<Id>{7, 8, 0}, Vector{1, 2, 3}) == 2);
        CHECK_FALSE(index.add_batch(std::vector<Id>{7, largest}, Vector{1, 2}).has_value());
        CHECK(index.size() == 3);
    }

    const ScratchFolder folder;
    index.clear();
    for (const Id id : ids)
        index.add_vector(id, Vector{static_cast<float>(id % 7)});
    (void)save(index, folder / "saved");
    const auto loaded = load<TestType>(folder / "saved");
    CHECK(loaded->size() == ids.size());
    for (const Id id : ids)
        CHECK(loaded->get_vector(id) == Vector{static_cast<float>(id % 7)});
    CHECK(lacks(storage_error([&] { (void)load<PlainIndex>(folder / "saved"); }),
                {"bytes 56 to 59", "the file's ids are integers, the index's are strings"}) == "");
    PlainIndex strings(options_of(1, Metric::inner_product));
    strings.add_vector("12345678", Vector{1});
    (void)save(strings, folder / "saved");
    CHECK(lacks(storage_error([&] { (void)load<TestType>(folder / "saved"); }),
                {"bytes 56 to 59", "the file's ids are strings, the index's are integers"}) == "");
}
