// PageReserve: pieces belong to one taker, come back, and are whole pages; structures that come and go find them there.
#include "catch.hpp"

#include <hotindex/backend/production.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

namespace {
using hotindex::PageReserve;
constexpr std::size_t unit = PageReserve::unit;
constexpr std::size_t most = 64; ///< units that there are

/// All units that nobody has, taken one by one.
std::vector<void*> all_units() {
    std::vector<void*> taken;
    while (void* const piece = PageReserve::take(unit))
        taken.push_back(piece);
    return taken;
}
void give_all(const std::vector<void*>& pieces, std::size_t bytes) {
    for (void* const piece : pieces)
        CHECK(PageReserve::give(piece, bytes));
}
} // namespace

TEST_CASE("the page reserve gives pieces of the sizes that it is for, aligned to their size", "[pages]") {
    for (const std::size_t bytes : {std::size_t{0}, std::size_t{64}, unit / 2, 3 * unit, 32 * unit, ~std::size_t{0}})
        CHECK(PageReserve::take(bytes) == nullptr);
    for (std::size_t bytes = unit; bytes <= 16 * unit; bytes *= 2) {
        void* const piece = PageReserve::take(bytes);
        if (piece == nullptr)
            return; // AddressSanitizer watches what operator new gives: there is no reserve
        CHECK(reinterpret_cast<std::uintptr_t>(piece) % bytes == 0);
        std::memset(piece, 1, bytes);
        CHECK(PageReserve::give(piece, bytes));
    }
}

TEST_CASE("the page reserve says when it has nothing, and knows what is not its own", "[pages]") {
    const std::vector<void*> taken = all_units();
    CHECK(taken.size() <= most);
    CHECK(PageReserve::take(unit) == nullptr);
    CHECK(PageReserve::take(16 * unit) == nullptr);
    give_all(taken, unit);
    std::vector<std::byte> other(2 * unit);
    CHECK_FALSE(PageReserve::give(other.data(), unit));
    CHECK(all_units() == taken); // the lowest first
    give_all(taken, unit);
}

TEST_CASE("pieces of the page reserve have one owner at a time", "[pages][threads]") {
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t != 4; ++t)
        threads.emplace_back([t, &wrong] {
            for (int i = 0; i != 3000; ++i) {
                const std::size_t bytes = unit << (i + t) % 5;
                auto* const piece = static_cast<std::byte*>(PageReserve::take(bytes));
                if (piece == nullptr)
                    continue;
                for (std::size_t at = 0; at < bytes; at += unit / 4)
                    piece[at] = static_cast<std::byte>(t);
                std::this_thread::yield();
                for (std::size_t at = 0; at < bytes; at += unit / 4)
                    wrong += piece[at] == static_cast<std::byte>(t) ? 0 : 1;
                wrong += PageReserve::give(piece, bytes) ? 0 : 1;
            }
        });
    for (auto& thread : threads)
        thread.join();
    CHECK(wrong == 0);
}
