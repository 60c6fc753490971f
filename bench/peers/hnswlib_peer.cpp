#include "peers/hnswlib_peer.hpp"

#include <hnswlib/hnswlib.h>

namespace hotindex::bench {

struct HnswlibBruteforce::Index {
    Index(std::size_t count, std::size_t dimension) : space(dimension), search(&space, count) {}
    hnswlib::InnerProductSpace space;
    hnswlib::BruteforceSearch<float> search;
};

HnswlibBruteforce::HnswlibBruteforce(const float* rows, std::size_t count, std::size_t dimension, std::size_t stride)
    : index_(std::make_unique<Index>(count, dimension)) {
    for (std::size_t i = 0; i < count; ++i)
        index_->search.addPoint(rows + i * stride, i);
}

HnswlibBruteforce::~HnswlibBruteforce() = default;

void HnswlibBruteforce::search(const float* query, std::size_t k, std::vector<std::uint32_t>& ids) const {
    auto found = index_->search.searchKnn(query, k);
    const std::size_t first = ids.size();
    ids.resize(first + found.size());
    for (std::size_t at = ids.size(); at > first; found.pop())
        ids[--at] = static_cast<std::uint32_t>(found.top().second);
}

const char* HnswlibBruteforce::compiled_for() noexcept {
#if defined(USE_AVX512)
    return "AVX-512";
#elif defined(USE_AVX)
    return "AVX";
#elif defined(USE_SSE)
    return "SSE";
#else
    return "scalar";
#endif
}

} // namespace hotindex::bench
