// Hashing for the maps: heterogeneous lookup for strings, and the mixing that makes any hash fit for power-of-two
// tables.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>

namespace hotindex {

/// std::hash, but with std::string_view lookup for std::string keys.
template <class Key>
struct DefaultHash : std::hash<Key> {};

template <>
struct DefaultHash<std::string> {
    using is_transparent = void;
    [[nodiscard]] std::size_t operator()(std::string_view s) const noexcept { return std::hash<std::string_view>()(s); }
};

/// std::equal_to<>, which compares what DefaultHash hashes.
template <class Key>
struct DefaultEqual : std::equal_to<> {};

/// The same. Inlined by force: left to itself, the compiler calls two functions for each key.
template <>
struct DefaultEqual<std::string> {
    using is_transparent = void;
    [[nodiscard, gnu::always_inline]] bool operator()(std::string_view a, std::string_view b) const noexcept {
        // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage): the third argument is the size of both
        return a.size() == b.size() && std::char_traits<char>::compare(a.data(), b.data(), a.size()) == 0;
    }
};

/// Spreads a hash over all 64 bits: tables use the lowest bits as the bucket and the highest as a tag, and std::hash of
/// an integer is the integer. One multiplication by 2^64 / golden ratio (Knuth, TAOCP 3, 6.4) and a fold.
[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t h) noexcept {
    h *= 0x9E37'79B9'7F4A'7C15u;
    return h ^ (h >> 32);
}

} // namespace hotindex
