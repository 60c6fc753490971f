// Visits in order beside changes: what is there throughout must be seen once, and in order.
#pragma once

#include "harness/random_calls.hpp"
#include "harness/schedule.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace hotindex::stress {

struct VisitPlan {
    int numbers = 40; ///< at least 24
    int walks = 10;   ///< of each visitor
    int changes = 0;  ///< of each writer; 0: as long as the visits take
    std::uint64_t seed = 0;
    static constexpr std::size_t writers = 2;
    static constexpr std::size_t visitors = 2; ///< one forwards, one backwards
};

/// Keys of even numbers stay, odd ones come and go. Returns how many visits did not see the even ones of their range
/// once and in order. `schedule`: for writers and visitors; it needs a number of changes.
template <class Map>
std::size_t wrong_visits_beside_changes(Map& map, const VisitPlan& plan, Schedule* schedule) {
    const auto key_of = [](int i) { return name_of_id(static_cast<Id>(i)); };
    for (int i = 0; i < plan.numbers; i += 2)
        map.insert(key_of(i), static_cast<Value>(i));
    std::atomic<std::size_t> visiting{VisitPlan::visitors};
    std::atomic<std::size_t> wrong{0};
    const auto change = [&](std::mt19937& random) {
        const int i = static_cast<int>(random() % static_cast<unsigned>(plan.numbers));
        if (i % 2 == 0)
            map.insert_or_assign(key_of(i), static_cast<Value>(i)); // as it was
        else if (random() % 2 == 0)
            map.insert(key_of(i), static_cast<Value>(i));
        else
            map.erase(key_of(i));
    };
    const auto visit = [&](int walk, bool forwards) {
        const int from = walk % 7 * 2;
        const int to = plan.numbers - walk % 5 * 2;
        std::size_t even = 0;
        std::string before;
        bool ordered = true;
        const auto see = [&](const std::string& key, Value value) {
            ordered = ordered && (before.empty() || (forwards ? before < key : key < before)) &&
                      key == key_of(static_cast<int>(value));
            before = key;
            even += value % 2 == 0 ? 1u : 0u;
        };
        if (forwards)
            map.for_each_in_range(key_of(from), key_of(to), see);
        else
            map.for_each_in_range_backwards(key_of(from), key_of(to), see);
        wrong += ordered && even == static_cast<std::size_t>((to - from) / 2) ? 0u : 1u;
    };
    std::vector<std::thread> threads;
    const auto start = [&](auto work) {
        threads.emplace_back([schedule, work, number = threads.size()] {
            if (schedule != nullptr)
                schedule->enter(number);
            work(number);
            if (schedule != nullptr)
                schedule->leave(number);
        });
    };
    for (std::size_t t = 0; t != VisitPlan::writers; ++t)
        start([&](std::size_t number) {
            std::mt19937 random(static_cast<unsigned>(plan.seed * 64 + number));
            for (int n = 0; plan.changes != 0 ? n != plan.changes : visiting != 0; ++n)
                change(random);
        });
    for (std::size_t t = 0; t != VisitPlan::visitors; ++t)
        start([&, forwards = t == 0](std::size_t) {
            for (int walk = 0; walk != plan.walks; ++walk)
                visit(walk + static_cast<int>(plan.seed % 35), forwards);
            --visiting;
        });
    for (auto& thread : threads)
        thread.join();
    return wrong;
}

} // namespace hotindex::stress
