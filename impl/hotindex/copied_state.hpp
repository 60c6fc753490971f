// CopiedState: one state of the traditional index, as a copy.
//
// Behind a lock the state at an instant is the one that the critical section sees. Who wants to look at it for long,
// while others go on, copies it: O(size * dimension) once, in which writers wait, and as much memory. It holds no lock.
// Rows lie one after the other, and so do the bytes of ids: three allocations, whatever the size.
#pragma once

#include <hotindex/vector_index.hpp>

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hotindex {

/// See IndexState for the contract.
class CopiedState {
  public:
    /// An empty one. `options` are the index's. Throws std::bad_alloc.
    CopiedState(const IndexOptions& options, std::size_t expected_vectors) : options_(&options) {
        rows_.reserve(expected_vectors * options.dimension);
        id_ends_.reserve(expected_vectors);
    }
    /// For the index, while it makes the copy. `row`: `dimension` floats. Throws std::bad_alloc; then it is to be
    /// thrown away.
    void add(std::string_view id, const float* row) {
        ids_.append(id);
        id_ends_.push_back(ids_.size());
        rows_.insert(rows_.end(), row, row + options_->dimension);
    }

    [[nodiscard]] std::size_t size() const noexcept { return id_ends_.size(); }
    [[nodiscard]] bool empty() const noexcept { return id_ends_.empty(); }
    [[nodiscard]] const IndexOptions& options() const noexcept { return *options_; }

    /// O(size). Throws std::bad_alloc.
    [[nodiscard]] std::optional<std::vector<float>> get_vector(std::string_view id) const {
        for (std::size_t i = 0; i != size(); ++i)
            if (id_of(i) == id)
                return std::vector<float>(row(i).begin(), row(i).end());
        return std::nullopt;
    }

    /// Calls visit(std::string_view id, std::span<const float> vector) for each vector. Both last as long as the copy;
    /// visit may use the index.
    template <class Visit>
    void for_each(Visit visit) const {
        for (std::size_t i = 0; i != size(); ++i)
            visit(id_of(i), row(i));
    }

  private:
    [[nodiscard]] std::string_view id_of(std::size_t i) const noexcept {
        const std::size_t begin = i == 0 ? 0 : id_ends_[i - 1];
        return std::string_view(ids_).substr(begin, id_ends_[i] - begin);
    }
    [[nodiscard]] std::span<const float> row(std::size_t i) const noexcept {
        return std::span(rows_).subspan(i * options_->dimension, options_->dimension);
    }

    const IndexOptions* options_;
    std::vector<float> rows_;
    std::string ids_; ///< one after the other
    std::vector<std::size_t> id_ends_;
};

static_assert(IndexState<CopiedState>);

} // namespace hotindex
