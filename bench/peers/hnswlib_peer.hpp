// hnswlib's BruteforceSearch behind a wall: its header is compiled in one place, for the processor of the machine,
// because it chooses its instruction set at compile time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace hotindex::bench {

/// Exact search by hnswlib: inner product, ids 0 to rows - 1. Searches are thread-safe.
class HnswlibBruteforce {
  public:
    /// `rows`: row i of `dimension` floats starts at rows + i * stride. Throws std::bad_alloc.
    HnswlibBruteforce(const float* rows, std::size_t count, std::size_t dimension, std::size_t stride);
    ~HnswlibBruteforce();
    HnswlibBruteforce(const HnswlibBruteforce&) = delete;
    HnswlibBruteforce& operator=(const HnswlibBruteforce&) = delete;

    /// Appends the ids of the k best to `ids`, best first. `query`: dimension floats; k at most the number of rows.
    void search(const float* query, std::size_t k, std::vector<std::uint32_t>& ids) const;

    /// The instruction sets that its kernel was compiled for.
    [[nodiscard]] static const char* compiled_for() noexcept;

  private:
    struct Index;
    std::unique_ptr<Index> index_;
};

} // namespace hotindex::bench
