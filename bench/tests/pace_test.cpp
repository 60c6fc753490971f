// Pace: what is due is never more than the time that has passed, and never much at once.
#include "catch.hpp"
#include "harness/pace.hpp"

#include <chrono>
#include <cstdint>
#include <thread>

namespace hotindex::bench {
namespace {

TEST_CASE("without a pace one operation is due at any time", "[pace]") {
    Pace pace(0);
    for (int i = 0; i != 1000; ++i)
        REQUIRE(pace.due() == 1);
}

TEST_CASE("no more is due than the time that has passed allows", "[pace]") {
    for (const double rate : {1e3, 1e5, 1e7}) {
        const auto before = Clock::now();
        Pace pace(rate);
        std::uint64_t sum = 0;
        for (int i = 0; i != 50; ++i) {
            sum += pace.due();
            const double elapsed = std::chrono::duration<double>(Clock::now() - before).count();
            REQUIRE(static_cast<double>(sum) <= elapsed * rate);
        }
        CHECK(sum != 0);
    }
}

TEST_CASE("who could not keep up does not catch up later", "[pace]") {
    Pace pace(1e6);
    std::this_thread::sleep_for(std::chrono::milliseconds(40));
    CHECK(pace.due() <= 10'000); // a hundredth of a second's
}

} // namespace
} // namespace hotindex::bench
