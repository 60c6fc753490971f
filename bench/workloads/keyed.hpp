// A structure seen by key numbers, before it is measured.
//
// `Keyed` is KeyedMap or KeyedIndex.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

namespace hotindex::bench {

/// Gives an empty one.
template <class Keyed>
using MakeKeyed = std::function<std::unique_ptr<Keyed>()>;

template <class Keyed>
void fill(Keyed& keyed, std::size_t begin, std::size_t end) {
    std::int64_t growth = 0;
    for (std::size_t key = begin; key != end; ++key)
        keyed.insert(key, growth);
}

} // namespace hotindex::bench
