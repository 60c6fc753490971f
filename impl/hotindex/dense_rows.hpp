// DenseRows: what the lock of the traditional index guards: rows one after the other, and where each id's is.
//
// A removal moves the last row into the gap, so a scan reads nothing but vectors. A hash map leads from id to row.
//
// Memory follows the size: room doubles when it is full, and halves when three quarters of it are empty, down to what
// was reserved. So each add or remove moves a few rows on average, and none does so twice in a row.
//
// Invariants
//   M1  rows_[0, size) are the vectors; ids_[r] and records_[r] belong to row r; positions_ maps ids_[r] to r.
//   M2  the lists have room for capacity_ rows.
// Strong guarantee: everything that can throw comes before the first change. Where memory for less room is short, the
// room stays, and a later removal tries again.
// Thread-safety: none; see HotVectorIndex.
#pragma once

#include <hotindex/backend/production.hpp>
#include <hotindex/id.hpp>
#include <hotindex/map/hash.hpp>
#include <hotindex/monitor/lock_free_access_tracker.hpp>
#include <hotindex/search/scan.hpp>
#include <hotindex/search/similarity.hpp>
#include <hotindex/vector_index.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

namespace hotindex {

template <class Id>
class DenseRows {
  public:
    using Row = std::uint32_t;
    using View = IdView<Id>;

    /// `stride`: floats from row to row. Room for `reserved` rows stays. Throws std::bad_alloc.
    DenseRows(std::size_t stride, std::size_t reserved) : stride_(stride), reserved_(reserved) {
        if (reserved == 0)
            return;
        reserve(reserved);
        positions_.reserve(reserved);
    }

    [[nodiscard]] std::size_t size() const noexcept { return ids_.size(); }
    [[nodiscard]] std::optional<Row> find(View id) const {
        const auto there = positions_.find(id);
        return there == positions_.end() ? std::nullopt : std::optional(there->second);
    }
    [[nodiscard]] View id(Row row) const { return *ids_[row]; }
    [[nodiscard]] RecordId record(Row row) const { return records_[row]; }
    [[nodiscard]] const float* row(std::size_t row) const { return rows_.get() + row * stride_; }
    /// Calls use(const RowBlock<Row>&) for all rows, in order.
    template <class Use>
    void for_each_block(Use&& use) const {
        for (std::size_t first = 0; first < size(); first += block_rows)
            use(RowBlock<Row>{static_cast<Row>(first), row(first), inverse_norms_.data() + first,
                              std::min(block_rows, size() - first)});
    }

    /// Room for n rows, so that add() needs memory for the id alone. Throws std::bad_alloc.
    void reserve(std::size_t n) {
        if (n > capacity_)
            set_capacity(std::max({n, capacity_ * 2, fewest_rows()}));
    }
    /// An id that is not there; after reserve(size() + 1). Throws std::bad_alloc.
    void add(View id, RecordId record, const PreparedQuery& vector) {
        const auto row = static_cast<Row>(size());
        ids_.push_back(&positions_.emplace(id, row).first->first); // push_back does not allocate: reserved
        records_.push_back(record);                                // reserved too
        replace(row, vector);
    }
    void replace(Row row, const PreparedQuery& vector) noexcept {
        std::memcpy(rows_.get() + row * stride_, vector.data(), stride_ * sizeof(float));
        inverse_norms_[row] = vector.inverse_norm();
    }
    /// The record of the vector that is gone, or nullopt if the id was not there.
    std::optional<RecordId> remove(View id) noexcept {
        const auto there = positions_.find(id);
        if (there == positions_.end())
            return std::nullopt;
        const Row row = there->second;
        const RecordId record = records_[row];
        positions_.erase(there);
        const auto last = static_cast<Row>(size() - 1);
        if (row != last) {
            std::memcpy(rows_.get() + row * stride_, rows_.get() + last * stride_, stride_ * sizeof(float));
            inverse_norms_[row] = inverse_norms_[last];
            records_[row] = records_[last];
            ids_[row] = ids_[last];
            positions_.find(*ids_[row])->second = row;
        }
        ids_.pop_back();
        records_.pop_back();
        // Halves the room when three quarters of it are empty.
        if (size() <= capacity_ / 4)
            shrink_to(capacity_ / 2);
        return record;
    }
    void clear() noexcept {
        ids_.clear();
        records_.clear();
        positions_.clear();
        shrink_to(0);
    }

    /// Adds to `usage` what is its. O(size).
    void count(MemoryUsage& usage) const {
        usage.rows += capacity_ * stride_ * sizeof(float);
        usage.bookkeeping += inverse_norms_.capacity() * sizeof(float) + ids_.capacity() * sizeof(ids_[0]) +
                             records_.capacity() * sizeof(RecordId);
        // A node of the usual libraries has a link, and the hash.
        usage.ids += size() * (sizeof(typename Positions::value_type) + 2 * sizeof(void*));
        for (const Id* id : ids_)
            usage.ids += IdTraits<Id>::bytes_outside(*id);
        usage.table += positions_.bucket_count() * sizeof(void*);
    }

  private:
    struct Free {
        Free() noexcept : bytes(0) {}
        explicit Free(std::size_t n) noexcept : bytes(n) {}
        std::size_t bytes;
        void operator()(float* p) const noexcept { ArrayMemory::release(p, bytes); }
    };
    using Floats = std::unique_ptr<float, Free>;
    using Positions = std::unordered_map<Id, Row, DefaultHash<Id>, DefaultEqual<Id>>;

    [[nodiscard]] static Floats uninitialised_floats(std::size_t n) {
        return Floats(static_cast<float*>(ArrayMemory::allocate(n * sizeof(float))), Free(n * sizeof(float)));
    }

    /// Room that an index takes at once and keeps: 64 rows, or fewer of the kind that fill a megabyte sooner.
    [[nodiscard]] std::size_t fewest_rows() const noexcept {
        return std::clamp<std::size_t>((std::size_t{1} << 20) / (stride_ * sizeof(float)), 1, 64);
    }

    /// Room for n rows, or what is kept anyway, if that is less than there is.
    void shrink_to(std::size_t n) noexcept {
        const std::size_t wanted = std::max({n, reserved_, fewest_rows()});
        if (wanted >= capacity_)
            return;
        try {
            positions_.rehash(wanted); // first: alone it changes nothing but the table's own memory
            set_capacity(wanted);
        } catch (const std::bad_alloc&) {
            // A later removal tries again.
        }
    }

    /// Moves all rows to lists with room for n. Throws std::bad_alloc and changes nothing then.
    void set_capacity(std::size_t n) {
        Floats rows = uninitialised_floats(n * stride_); // first: where memory is short, nothing was done in vain
        std::vector<const Id*> ids;
        std::vector<RecordId> records;
        std::vector<float> inverse_norms;
        ids.reserve(n);
        records.reserve(n);
        inverse_norms.resize(n);
        ids.assign(ids_.begin(), ids_.end());
        records.assign(records_.begin(), records_.end());
        std::copy_n(inverse_norms_.begin(), ids_.size(), inverse_norms.begin());
        if (!ids_.empty())
            std::memcpy(rows.get(), rows_.get(), ids_.size() * stride_ * sizeof(float));
        ids_.swap(ids);
        records_.swap(records);
        inverse_norms_.swap(inverse_norms);
        rows_ = std::move(rows);
        capacity_ = n;
    }

    const std::size_t stride_;
    const std::size_t reserved_;
    Positions positions_;
    std::vector<const Id*> ids_; // the map's own keys, which stay where they are
    std::vector<RecordId> records_;
    Floats rows_; // capacity_ x stride_
    std::vector<float> inverse_norms_;
    std::size_t capacity_ = 0;
};

} // namespace hotindex
