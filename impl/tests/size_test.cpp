// size() beside writers: what it may say while vectors come and go, and what it says when they rest.
#include "catch.hpp"
#include "every_index.hpp"

#include <atomic>
#include <cstddef>
#include <string>
#include <thread>
#include <vector>

using namespace hotindex;
using namespace hotindex::tests;

TEMPLATE_TEST_CASE("beside writers a size counts what stays, and at most one change more a writer",
                   "[contract][threads]", EVERY_INDEX) {
    constexpr std::size_t stay = 50;
    constexpr std::size_t writers = 3;
    constexpr int rounds = 2000;
    TestType index(options_of(2));
    for (std::size_t i = 0; i != stay; ++i)
        index.add_vector(numbered("stays-", i), Vector{1, 2});
    std::atomic<std::size_t> done{0};
    std::atomic<std::size_t> wrong{0};
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t != writers; ++t)
        threads.emplace_back([&, t] {
            const std::string id = numbered("comes-", t);
            for (int round = 0; round != rounds; ++round) {
                wrong += index.add_vector(id, Vector{2, 1}) == AddOutcome::inserted ? 0u : 1u;
                wrong += index.add_vector(id, Vector{1, 1}) == AddOutcome::replaced ? 0u : 1u; // no change of size
                wrong += index.remove_vector(id) ? 0u : 1u;
            }
            ++done;
        });
    std::size_t outside = 0;
    do {
        const std::size_t size = index.size();
        outside += size < stay || size > stay + writers ? 1 : 0;
        outside += index.empty() ? 1 : 0;
    } while (done != writers);
    for (std::thread& thread : threads)
        thread.join();
    CHECK(outside == 0);
    CHECK(wrong == 0);
    CHECK(index.size() == stay);
    CHECK(index.get_stats().vectors == stay);
}

TEMPLATE_TEST_CASE("after vectors have wandered between threads the size is exact", "[contract][threads]",
                   EVERY_INDEX) {
    // One thread adds what another one removes: each one's own count runs away from zero, the sum must not.
    constexpr std::size_t n = 3000;
    TestType index(options_of(2));
    std::atomic<std::size_t> added{0};
    std::atomic<std::size_t> lost{0};
    std::thread adder([&] {
        for (std::size_t i = 0; i != n; ++i) {
            index.add_vector(numbered("", i), Vector{1, 2});
            added.store(i + 1);
        }
    });
    std::thread remover([&] {
        for (std::size_t i = 0; i != n; ++i) {
            while (added.load() <= i)
                std::this_thread::yield();
            if (i % 3 != 0)
                lost += index.remove_vector(numbered("", i)) ? 0u : 1u;
        }
    });
    adder.join();
    remover.join();
    CHECK(lost == 0);
    CHECK(index.size() == n / 3);
    CHECK(index.search(Vector{1, 2}, all_of_them).size() == n / 3);
    CHECK(index.get_stats().vectors == n / 3);
}
