// The seam between the algorithms and what they run on.
//
// Every concurrent algorithm of the library is `template <class Backend, class Traits>`. The same text compiles against
//   ProductionBackend  std::atomic, plain data, membarrier: what ships;
//   CountingBackend    the same, with a tally of operations by edge;
//   the checker        (in relacy/) which explores interleavings and stale values and sees races on plain data.
//
// A backend B provides:
//   B::order                     what an atomic operation takes; made by the functions below, never written literally
//   B::relaxed()                 no edge; the caller's comment says why
//   B::acquire(edge) B::release(edge) B::acq_rel(edge)
//   B::atomic<T>                 load, store, exchange, fetch_add, compare_exchange_strong/_weak with std::atomic's
//                                meaning and explicit orders
//   B::var<T>                    plain data that threads share: get(), set(v). A race on it is an error
//   B::array<T>                  a fixed number of runs of plain shared T, one behind the other, aligned to 64 bytes:
//                                read(run) -> const T*, write(run) -> T*, and read_some(first, mask) -> const T* of
//                                run `first`, where only the runs first + i with bit i in the mask may be looked at.
//                                The checker sees each as an access to those runs
//   B::light_fence(edge), B::heavy_fence(edge)
//                                the two halves of an asymmetric fence: of a light and a heavy one, or two heavy ones,
//                                one is ordered before the other as if both were sequentially consistent fences. Two
//                                light ones order nothing
//   B::prefetch(address)         a hint without effect on meaning
//   B::pause()                   in a loop that waits
//   B::yield()                   lets other threads run, if there are any: a hint
//   B::make<T>(args...), B::destroy(p)     one object; make throws std::bad_alloc
//   B::construct_at<T>(memory, args...), B::destroy_at(p)   one object in memory of the caller's
//   B::make_array<T>(n, init), B::destroy_array(p, n)   n objects, each constructed by `init(void* at)`
//   B::make_zeroed_array<T>(n), B::destroy_zeroed_array(p, n)   n objects as T() makes them. Where T() writes zeroes
//                                only, a large array is made of pages that the system hands out when they are touched,
//                                so that making one in vain costs next to nothing. A T of more than 64 bytes must be
//                                such a one, or leave its content open
//   B::discard(p)                an object of such an array, which nobody uses: its memory may go back to the system,
//                                and its content is what T() makes, or anything
//   B::anchored<T>(in_place, args...)   a structure's domain, ->, * and close(): the structure's end begins
//   B::verifies                  does this backend look at invariants? If so: B::newest(atomic), its value without an
//                                operation, and B::verify(holds, "what"), which fails if it does not hold
//   B::took_place(time)          an operation says at which tick of the version clock it took place (the last one that
//                                it says counts); does nothing but in instrumented runs
//   B::read_clock_ms()           wall clock in milliseconds since 1970 (system_clock)
//   B::read_timer_us()           microseconds on a clock that never goes back; it stands still where runs are repeated
#pragma once

#include <hotindex/backend/edges.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>

namespace hotindex {

template <class B>
concept Backend = requires(typename B::template atomic<std::uint64_t>& a, typename B::template var<int>& v,
                           typename B::order o, std::uint64_t& expected) {
    { B::relaxed() } -> std::same_as<typename B::order>;
    { B::acquire(edge::unnamed) } -> std::same_as<typename B::order>;
    { B::release(edge::unnamed) } -> std::same_as<typename B::order>;
    { B::acq_rel(edge::unnamed) } -> std::same_as<typename B::order>;
    { a.load(o) } -> std::same_as<std::uint64_t>;
    { a.store(expected, o) };
    { a.exchange(expected, o) } -> std::same_as<std::uint64_t>;
    { a.fetch_add(expected, o) } -> std::same_as<std::uint64_t>;
    { a.compare_exchange_strong(expected, expected, o, o) } -> std::same_as<bool>;
    { a.compare_exchange_weak(expected, expected, o, o) } -> std::same_as<bool>;
    { v.get() } -> std::convertible_to<int>;
    { v.set(1) };
    { B::light_fence(edge::unnamed) };
    { B::heavy_fence(edge::unnamed) };
    { B::pause() };
    { B::yield() };
    { B::verifies } -> std::convertible_to<bool>;
    { B::took_place(std::uint64_t{}) };
};

/// Sizes that keep what different threads write on different cache lines (two, because of adjacent-line prefetch).
inline constexpr std::size_t isolation = 128;

} // namespace hotindex
