#include <hotindex/storage/format.hpp>

#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>

namespace hotindex::format {

static_assert(std::endian::native == std::endian::little, "the format is little endian: swap bytes here");
static_assert(std::ranges::all_of(metric_facts, [](const MetricFacts& f) { return f.name.size() < metric_bytes; }));

HeaderBytes encode(const Header& header) {
    HeaderBytes bytes{};
    const auto put = [&bytes](std::size_t where, const auto& value) {
        std::memcpy(bytes.data() + where, &value, sizeof value);
    };
    put(0, magic);
    put(at::version, version);
    put(at::dimension, header.dimension);
    put(at::vectors, header.vectors);
    put(at::bytes, header.bytes);
    const std::string_view name = hotindex::name_of(header.metric);
    std::memcpy(bytes.data() + at::metric, name.data(), name.size());
    put(at::ids, header.ids);
    put(at::checksum, checksum(std::span(bytes).first<at::checksum>()));
    return bytes;
}

std::uint32_t checksum(std::span<const std::byte> bytes, std::uint32_t before) noexcept {
    return static_cast<std::uint32_t>(
        crc32_z(before, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size())); // crc32_z(0, ...) begins anew
}

} // namespace hotindex::format
