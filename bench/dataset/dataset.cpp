#include "dataset/dataset.hpp"

#include <bit>

namespace hotindex::bench {

std::uint64_t checksum(std::span<const float> values) noexcept {
    std::uint64_t hash = 0xCBF29CE484222325u;
    for (const float value : values) {
        auto bits = std::bit_cast<std::uint32_t>(value);
        for (int byte = 0; byte != 4; ++byte, bits >>= 8)
            hash = (hash ^ (bits & 0xFF)) * 0x100000001B3u;
    }
    return hash;
}

} // namespace hotindex::bench
