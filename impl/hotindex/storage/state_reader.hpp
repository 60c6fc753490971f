// StateReader: a saved file, checked byte by byte while it is read.
//
// Every size is compared with the file's before memory is taken for it, and every checksum before what it covers is
// looked at. After that only what some other program has written can still be wrong: that is checked, too. What is
// wrong is a StorageError, which names the bytes.
//
// Memory: one block, about a megabyte, or one vector.
#pragma once

#include <hotindex/storage/format.hpp>
#include <hotindex/storage/storage_error.hpp>
#include <hotindex/vector_index.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hotindex {

/// Used by one thread.
class StateReader {
  public:
    /// Opens the file and checks its header.
    explicit StateReader(std::filesystem::path path);
    StateReader(const StateReader&) = delete;
    StateReader& operator=(const StateReader&) = delete;
    ~StateReader();

    [[nodiscard]] const format::Header& header() const noexcept { return header_; }

    /// Reads the next vector; false at the end of the file, which is then checked as a whole.
    bool next();
    /// Of the vector that was read, until the next one is. The id, as it lies in the file, is one of its kind; that it is there once, and that the
    /// vector is one for an index, is not checked yet.
    [[nodiscard]] std::string_view id() const noexcept {
        return std::string_view(ids_).substr(id_begin_, lengths_[current_]);
    }
    [[nodiscard]] std::span<const float> vector() const noexcept {
        return std::span(rows_).subspan(current_ * header_.dimension, header_.dimension);
    }
    /// The vector that was read cannot be used: names the bytes of its id, or of its vector.
    [[noreturn]] void refuse_id(std::string_view reason) const;
    [[noreturn]] void refuse_vector(std::string_view reason) const;
    /// Refuses another dimension, another metric and other ids than the file's: names its field.
    void expect(const IndexOptions& options, format::Ids ids) const;

  private:
    void open();
    void read_header();
    void read_block();
    void check_ids(std::uint64_t begin, std::uint64_t id_bytes) const;
    void check_end() const;
    void read(std::span<std::byte> target);
    [[noreturn]] void fail(std::uint64_t first, std::uint64_t size, std::string_view reason,
                           std::string_view remedy = {}) const;

    std::filesystem::path path_;
    int file_ = -1;
    std::uint64_t size_ = 0;
    std::uint64_t offset_ = 0; ///< of the next byte to read
    format::Header header_;
    // The block that was read:
    std::uint64_t block_begin_ = 0;
    std::uint64_t before_ = 0; ///< vectors in blocks before it
    std::vector<float> rows_;
    std::vector<std::uint32_t> lengths_;
    std::string ids_;
    std::size_t current_ = 0;  ///< vector of it
    std::size_t id_begin_ = 0; ///< in ids_
};

} // namespace hotindex
