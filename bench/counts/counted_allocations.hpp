// Counts the allocations and the bytes in use of a binary that is linked with counted_allocations.cpp.
//
// Bytes are those that were asked for, not what malloc makes of them: the figures do not depend on the C library. Of a
// mapping every page counts, touched or not, until it is unmapped. The counters are plain: for programs of one thread.
#pragma once

#include <cstdint>

namespace hotindex::bench {

struct Allocations {
    std::uint64_t made = 0;  ///< since the start of the program
    std::uint64_t asked = 0; ///< bytes, since the start of the program
    std::uint64_t live = 0;  ///< bytes that were not given back yet
};

inline constinit Allocations allocations;

} // namespace hotindex::bench
