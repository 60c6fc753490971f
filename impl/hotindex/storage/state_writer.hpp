// StateWriter: vectors on their way into a saved file.
//
// Vectors are gathered until they make a block (see format.hpp), which is written as a whole. The header comes last,
// because it says how many there were, and before commit(), which makes the file appear (see ReplacedFile).
//
// Memory: one block, about a megabyte, or one vector.
#pragma once

#include <hotindex/storage/format.hpp>
#include <hotindex/storage/replaced_file.hpp>
#include <hotindex/vector_index.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hotindex {

/// What was saved.
struct Saved {
    std::uint64_t vectors = 0;
    std::uint64_t bytes = 0; ///< of the file
};

/// Used by one thread. Errors are StorageError and std::bad_alloc; then the file is as it was before.
class StateWriter {
  public:
    /// Of the options it keeps dimension and metric.
    StateWriter(std::filesystem::path path, const IndexOptions& options, format::Ids ids,
                SystemCalls& calls = SystemCalls::of_this_system());

    /// The id, as it lies in a file, is not empty, and not there yet; the vector has `dimension` floats that add_vector would accept.
    void add(std::string_view id, std::span<const float> vector);
    /// Once, and last. When it returns, the file is on the device.
    Saved commit();

  private:
    void write_block();

    std::filesystem::path path_;
    format::Header header_;
    ReplacedFile file_;
    // The block to come:
    std::vector<float> rows_;
    std::vector<std::uint32_t> lengths_;
    std::string ids_;
};

} // namespace hotindex
