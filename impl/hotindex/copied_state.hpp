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

/// Ids that were copied, in order.
template <class Id>
class CopiedIds {
  public:
    void reserve(std::size_t n) { ids_.reserve(n); }
    void add(Id id) { ids_.push_back(id); }
    [[nodiscard]] std::size_t size() const noexcept { return ids_.size(); }
    [[nodiscard]] Id operator[](std::size_t i) const noexcept { return ids_[i]; }

  private:
    std::vector<Id> ids_;
};
template <>
class CopiedIds<std::string> {
  public:
    void reserve(std::size_t n) { ends_.reserve(n); }
    void add(std::string_view id) {
        bytes_.append(id);
        ends_.push_back(bytes_.size());
    }
    [[nodiscard]] std::size_t size() const noexcept { return ends_.size(); }
    [[nodiscard]] std::string_view operator[](std::size_t i) const noexcept {
        const std::size_t begin = i == 0 ? 0 : ends_[i - 1];
        return std::string_view(bytes_).substr(begin, ends_[i] - begin);
    }

  private:
    std::string bytes_; ///< one id after the other
    std::vector<std::size_t> ends_;
};

/// See IndexState for the contract.
template <class IdType>
class CopiedState {
  public:
    using Id = IdType;

    /// An empty one. `options` are the index's. Throws std::bad_alloc.
    CopiedState(const IndexOptions& options, std::size_t expected_vectors) : options_(&options) {
        rows_.reserve(expected_vectors * options.dimension);
        ids_.reserve(expected_vectors);
    }
    /// For the index, while it makes the copy. `row`: `dimension` floats. Throws std::bad_alloc; then it is to be
    /// thrown away.
    void add(IdView<Id> id, const float* row) {
        ids_.add(id);
        rows_.insert(rows_.end(), row, row + options_->dimension);
    }

    [[nodiscard]] std::size_t size() const noexcept { return ids_.size(); }
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }
    [[nodiscard]] const IndexOptions& options() const noexcept { return *options_; }

    /// O(size). Throws std::bad_alloc.
    [[nodiscard]] std::optional<std::vector<float>> get_vector(IdView<Id> id) const {
        for (std::size_t i = 0; i != size(); ++i)
            if (ids_[i] == id)
                return std::vector<float>(row(i).begin(), row(i).end());
        return std::nullopt;
    }

    /// Calls visit(id, std::span<const float> vector) for each vector. Both last as long as the copy;
    /// visit may use the index.
    template <class Visit>
    void for_each(Visit visit) const {
        for (std::size_t i = 0; i != size(); ++i)
            visit(ids_[i], row(i));
    }

  private:
    [[nodiscard]] std::span<const float> row(std::size_t i) const noexcept {
        return std::span(rows_).subspan(i * options_->dimension, options_->dimension);
    }

    const IndexOptions* options_;
    std::vector<float> rows_;
    CopiedIds<Id> ids_;
};

static_assert(IndexState<CopiedState<std::string>>);

} // namespace hotindex
