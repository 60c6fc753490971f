// PageReserve: what structures that come and go hand to each other.
#include "catch.hpp"

#include <hotindex/backend/production.hpp>
#include <hotindex/map/lock_free_hash_map.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <new>
#include <thread>
#include <vector>

namespace {
using hotindex::PageReserve;
constexpr std::size_t unit = PageReserve::unit;

std::vector<void*> take_all(std::size_t bytes) {
    std::vector<void*> taken;
    while (void* const piece = PageReserve::take(bytes))
        taken.push_back(piece);
    return taken;
}
void* fresh(std::size_t bytes) {
    return ::operator new(bytes, std::align_val_t{unit});
}
void put_away(void* piece) {
    ::operator delete(piece, std::align_val_t{unit});
}
/// AddressSanitizer watches what operator new gives, so there is no reserve then.
bool is_there() {
    void* const piece = fresh(unit);
    if (PageReserve::give(piece, unit))
        return true;
    put_away(piece);
    return false;
}
} // namespace

TEST_CASE("the page reserve keeps slabs of the sizes that it is for, and a megabyte of them at most", "[pages]") {
    std::array<std::byte, 64> other{};
    for (const std::size_t bytes : {std::size_t{0}, std::size_t{64}, unit / 2, 3 * unit, 32 * unit, ~std::size_t{0}}) {
        CHECK(PageReserve::take(bytes) == nullptr);
        CHECK_FALSE(PageReserve::give(other.data(), bytes));
    }
    if (!is_there())
        return;
    std::size_t kept = 0;
    for (std::size_t bytes = unit; bytes <= 16 * unit; bytes *= 2) {
        std::vector<void*> before = take_all(bytes); // what earlier tests left
        std::vector<void*> given;
        for (void* piece = fresh(bytes); PageReserve::give(piece, bytes); piece = fresh(bytes)) {
            given.push_back(piece);
            REQUIRE(given.size() < 100);
        }
        kept += given.size() * bytes;
        CHECK(take_all(bytes).size() == given.size());
        for (void* const piece : given)
            put_away(piece);
        for (void* const piece : before)
            if (!PageReserve::give(piece, bytes))
                FAIL("what fitted in does not fit any more");
    }
    CHECK(kept <= (std::size_t{5} << 20) / 4);
}

TEST_CASE("a structure that comes finds the slabs of one that has gone", "[pages]") {
    if (!is_there())
        return;
    const auto come_and_go = [] {
        hotindex::LockFreeHashMap<int, int> map;
        for (int i = 0; i != 1000; ++i)
            map.insert(i, i);
    };
    come_and_go();
    const std::vector<void*> left = take_all(unit);
    CHECK(left.size() >= 2); // one of entries and one of blocks
    for (void* const piece : left)
        CHECK(PageReserve::give(piece, unit));
    come_and_go();
    std::vector<void*> left_again = take_all(unit);
    CHECK(std::is_permutation(left.begin(), left.end(), left_again.begin(), left_again.end()));
    for (void* const piece : left_again)
        CHECK(PageReserve::give(piece, unit));
}

TEST_CASE("a slab of the page reserve has one owner at a time", "[pages][threads]") {
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t != 4; ++t)
        threads.emplace_back([t, &wrong] {
            for (int i = 0; i != 3000; ++i) {
                const std::size_t bytes = unit << (i + t) % 2;
                void* taken = PageReserve::take(bytes);
                auto* const piece = static_cast<std::byte*>(taken != nullptr ? taken : fresh(bytes));
                for (std::size_t at = 0; at < bytes; at += unit / 4)
                    piece[at] = static_cast<std::byte>(t);
                std::this_thread::yield();
                for (std::size_t at = 0; at < bytes; at += unit / 4)
                    wrong += piece[at] == static_cast<std::byte>(t) ? 0 : 1;
                if (!PageReserve::give(piece, bytes))
                    put_away(piece);
            }
        });
    for (auto& thread : threads)
        thread.join();
    CHECK(wrong == 0);
}
