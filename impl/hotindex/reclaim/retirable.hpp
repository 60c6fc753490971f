// Retirable: what every object begins with that can be retired.
#pragma once

#include <hotindex/backend/backend.hpp>

#include <cstddef>

namespace hotindex {

/// The base of every object that can be retired. `reclaim` runs on some thread's pass, with that thread's Local. It
/// returns the bytes that it gave back, as told to retire(); or 0: not yet, ask again later.
template <class B, class Local>
struct Retirable {
    using Reclaim = std::size_t (*)(Retirable*, Local&);
    Retirable() : next_in_limbo(nullptr), reclaim(nullptr) {}
    typename B::template var<Retirable*> next_in_limbo;
    typename B::template var<Reclaim> reclaim;
};

} // namespace hotindex
