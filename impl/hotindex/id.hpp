// What the ids of an index can be: strings, or integers of 64 bits. A further kind is a specialisation of IdTraits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace hotindex {

template <class Id>
struct IdTraits;

/// Any bytes, of any length but 0.
template <>
struct IdTraits<std::string> {
    using View = std::string_view; ///< how an id is passed
    [[nodiscard]] static bool is_valid(View id) noexcept { return !id.empty(); }
    /// Bytes that an id takes beside its object.
    [[nodiscard]] static std::size_t bytes_outside(View id) {
        return id.size() > std::string().capacity() ? id.size() + 1 : 0;
    }
};

/// Any number. Of equal scores the lower number comes first.
template <>
struct IdTraits<std::uint64_t> {
    using View = std::uint64_t;
    [[nodiscard]] static constexpr bool is_valid(View) noexcept { return true; }
    [[nodiscard]] static constexpr std::size_t bytes_outside(View) noexcept { return 0; }
};

template <class Id>
using IdView = typename IdTraits<Id>::View;

} // namespace hotindex
