// Order of keys for the ordered maps: heterogeneous lookup for strings, places between keys, and what prefixes need.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace hotindex {

/// std::less<>, which compares a key with whatever it can be compared with.
template <class Key>
struct DefaultLess : std::less<> {};

/// The order of std::string, with lookup by std::string_view. Inlined by force, as DefaultEqual.
template <>
struct DefaultLess<std::string> {
    using is_transparent = void;
    [[nodiscard, gnu::always_inline]] bool operator()(std::string_view a, std::string_view b) const noexcept {
        return a < b;
    }
};

/// The place before the first key that is not less than `key`: is a key before that place? Less and key outlive it.
template <class Less, class K>
struct LowerBound {
    static constexpr bool takes_equal = false; ///< is `key` itself before the place?
    const Less& less;
    const K& key;
    template <class Key>
    [[nodiscard]] bool operator()(const Key& k) const {
        return less(k, key);
    }
};
/// The place before the first key that is greater.
template <class Less, class K>
struct UpperBound {
    static constexpr bool takes_equal = true;
    const Less& less;
    const K& key;
    template <class Key>
    [[nodiscard]] bool operator()(const Key& k) const {
        return !less(key, k);
    }
};

/// Do keys with this prefix lie behind this key, or is it one of them? In the order of std::string.
[[nodiscard]] inline bool is_not_behind_prefix(std::string_view key, std::string_view prefix) noexcept {
    return key.substr(0, prefix.size()) <= prefix;
}

} // namespace hotindex
