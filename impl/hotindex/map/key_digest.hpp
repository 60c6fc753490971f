// KeyDigest: eight bytes of a key that compare as the key does, so that a search in a node of a tree reads the node and
// no key.
//
// The digest of a string is its first eight bytes behind those that all keys of the node have in common, as a number:
// the smaller digest belongs to the smaller key, and equal digests decide nothing. What is in common follows from the
// two keys that bound the node, and so does not change while the node lives (prefix truncation: Bayer, Unterauer,
// "Prefix B-trees", TODS 1977; digests after Graefe, "Modern B-tree techniques", 3.5). Integers are their own digests.
// Keys in another order have none, and are compared themselves.
#pragma once

#include <hotindex/map/order.hpp>

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>

namespace hotindex {

/// exists: has a K a digest among keys of this type and order? is_exact: do equal digests mean equal keys?
template <class Key, class Less, class K = Key>
struct KeyDigest {
    static constexpr bool exists = false;
    static constexpr bool is_exact = false;
    [[nodiscard]] static std::uint64_t of(const K&, std::uint32_t) noexcept { return 0; }
    [[nodiscard]] static std::uint32_t in_common(const Key&, const Key&) noexcept { return 0; }
    /// The shortest key that is greater than `low` and not greater than `high`; low < high.
    [[nodiscard]] static Key between(const Key&, const Key& high) { return high; }
};

template <class Less>
concept OrderOfStrings = std::same_as<Less, DefaultLess<std::string>> || std::same_as<Less, std::less<std::string>> ||
                         std::same_as<Less, std::less<>>;

template <OrderOfStrings Less, class K>
requires std::is_convertible_v<const K&, std::string_view>
struct KeyDigest<std::string, Less, K> {
    static constexpr bool exists = true;
    static constexpr bool is_exact = false;
    /// `skip` bytes of the key are the same in all keys that it is compared with.
    [[nodiscard]] static std::uint64_t of(std::string_view key, std::uint32_t skip) noexcept {
        std::uint64_t bytes = 0;
        if (key.size() >= skip + sizeof(bytes))
            std::memcpy(&bytes, key.data() + skip, sizeof(bytes));
        else if (key.size() > skip)
            std::memcpy(&bytes, key.data() + skip, key.size() - skip);
        if constexpr (std::endian::native == std::endian::little)
            bytes = __builtin_bswap64(bytes);
        return bytes;
    }
    /// What begins all keys from `low` to `high`.
    [[nodiscard]] static std::uint32_t in_common(std::string_view low, std::string_view high) noexcept {
        const std::size_t most = std::min({low.size(), high.size(), std::size_t{1} << 31});
        return static_cast<std::uint32_t>(
            std::mismatch(low.begin(), low.begin() + static_cast<std::ptrdiff_t>(most), high.begin()).first -
            low.begin());
    }
    [[nodiscard]] static std::string between(const std::string& low, const std::string& high) {
        return high.substr(0, std::size_t{in_common(low, high)} + 1);
    }
};

template <std::integral Key, class Less>
requires(
    sizeof(Key) <= sizeof(std::uint64_t) &&
    (std::same_as<Less, DefaultLess<Key>> || std::same_as<Less, std::less<Key>> || std::same_as<Less, std::less<>>))
struct KeyDigest<Key, Less, Key> {
    static constexpr bool exists = true;
    static constexpr bool is_exact = true;
    [[nodiscard]] static std::uint64_t of(Key key, std::uint32_t) noexcept {
        constexpr std::uint64_t sign = std::is_signed_v<Key> ? std::uint64_t{1} << 63 : 0;
        return static_cast<std::uint64_t>(key) ^ sign;
    }
    [[nodiscard]] static std::uint32_t in_common(Key, Key) noexcept { return 0; }
    [[nodiscard]] static Key between(Key, Key high) noexcept { return high; }
};

} // namespace hotindex
