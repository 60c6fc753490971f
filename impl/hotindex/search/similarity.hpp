// Similarity kernels: the scores of many rows against one query, or against a batch of queries.
//
// Rows are stored `row_stride(dimension)` floats apart, aligned to 64 bytes, the rest of the stride zero; queries are
// copied into the same form. So a kernel reads whole groups of 16 floats and has no tail.
//
// The order of additions is fixed and is the same for every path (a full run of rows, scattered rows, a batch tile) and
// every vector width: a row has 16 partial sums, number l adds the products of the elements l, l + 16, l + 32, ... in
// ascending order, and the 16 are folded in halves: l with l + 8, then with l + 4, l + 2, l + 1. Hence
//   I1  the score of a (query, row) pair is the same to the last bit whichever call computed it; equal contents give
//       equal answers and ties stay ties. Targets with fused multiply-add agree with each other as well; those without
//       round each product once more.
//   I2  rows and norms that the mask does not select are never read (another thread may be writing them).
// The instruction set is chosen once, when a query is prepared; scoring then costs one indirect call a block.
//
// Source: the fold in halves is the usual butterfly reduction; it is done on as many rows at once as a vector has
// lanes, which costs three instructions a row instead of a chain of shuffles a row.
#pragma once

#include <hotindex/vector_index.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <span>

namespace hotindex {

/// Rows and prepared queries start at a multiple of so many bytes.
inline constexpr std::size_t row_alignment = 64;
/// Rows that one call of a kernel covers: as many as a mask has bits.
inline constexpr std::size_t block_rows = 64;

/// Floats from one row to the next: the dimension rounded up to 16 floats (64 bytes).
[[nodiscard]] constexpr std::size_t row_stride(std::size_t dimension) noexcept {
    return (dimension + 15) / 16 * 16;
}

/// How many rows ahead the mask selects: bits 0 to count - 1; count in [0, 64].
[[nodiscard]] constexpr std::uint64_t first_rows(std::size_t count) noexcept {
    return count >= block_rows ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
}

/// The kernels of one instruction set. Internal: reached through the functions below.
namespace kernel {

/// Consecutive rows of one block.
struct Rows {
    const float* rows;          // count x stride floats
    const float* inverse_norms; // count floats; null unless the metric is cosine
    std::size_t stride;
    std::uint64_t mask; // selected rows, no bit at or above count
};
using ScoreOne = void (*)(const Rows& rows, const float* query, float query_inverse_norm, float* scores) noexcept;
/// What a kernel that may pack scores has done.
struct Scored {
    std::uint32_t rows; // selected
    bool packed;        // scores[i] is of row numbers[i], for i < rows; otherwise of row i
};
using ScorePacked = Scored (*)(const Rows& rows, const float* query, float query_inverse_norm, float* scores,
                               std::uint32_t* numbers) noexcept;
using ScoreMany = void (*)(const Rows& rows, const float* queries, const float* query_inverse_norms, std::size_t count,
                           float* scores) noexcept;
using SelectScores = std::uint64_t (*)(const float* scores, float threshold) noexcept;

struct Table {
    std::int64_t target;                        // Highway number of the instruction set
    ScoreOne one[2][metric_facts.size()];       // 0: rows from memory, 1: rows from the second-level cache; by Metric
    ScorePacked packed[2][metric_facts.size()]; // the same
    ScoreMany many[metric_facts.size()];        // by Metric
    SelectScores select[metric_facts.size()];   // by Metric
    float (*squared_norm)(const float* vector, std::size_t size) noexcept; // any size, any alignment
};

/// Rows of at most so many bytes are expected to stay in a core's second-level cache from query to query.
inline constexpr std::size_t cached_bytes = std::size_t{512} * 1024;

/// The kernels for this processor. Thread-safe.
[[nodiscard]] const Table& best() noexcept;

/// Aligned floats that are reused: assign() allocates only to grow.
class AlignedFloats {
  public:
    /// At least `count` floats with undefined content. Throws std::bad_alloc and keeps the old content then.
    float* reserve(std::size_t count) {
        if (count > capacity_) {
            // Array new of a trivial type with an alignment: released by Free.
            floats_.reset(static_cast<float*>(::operator new(count * sizeof(float), std::align_val_t{row_alignment})));
            capacity_ = count;
        }
        return floats_.get();
    }
    [[nodiscard]] const float* data() const noexcept { return floats_.get(); }
    [[nodiscard]] std::size_t bytes() const noexcept { return capacity_ * sizeof(float); }
    void give_back() noexcept {
        floats_.reset();
        capacity_ = 0;
    }

  private:
    struct Free {
        void operator()(float* p) const noexcept { ::operator delete(p, std::align_val_t{row_alignment}); }
    };
    std::unique_ptr<float, Free> floats_;
    std::size_t capacity_ = 0;
};

} // namespace kernel

/// Name of the instruction set in use, for reports: "AVX3", "AVX2", ...
[[nodiscard]] const char* kernel_target() noexcept;

/// The sum of the squares in the order of additions above: to the last bit the inner product that the kernels give for
/// the vector and itself. Any size, any alignment. Thread-safe, wait-free.
[[nodiscard]] float squared_norm(std::span<const float> vector) noexcept;

/// 1 / |vector| of that squared norm, or 0 where that is 0 or not finite. Thread-safe, wait-free.
[[nodiscard]] inline float inverse_norm(float squared_norm) noexcept {
    return squared_norm > 0 && squared_norm <= std::numeric_limits<float>::max() ? 1.0F / std::sqrt(squared_norm)
                                                                                 : 0.0F;
}
/// The same of a row: stride floats, padded as above. Thread-safe, wait-free.
[[nodiscard]] inline float inverse_norm(const float* row, std::size_t stride) noexcept {
    return inverse_norm(squared_norm({row, stride}));
}

/// A query in the form that kernels read. Reusable: assign() allocates only for a longer dimension than it has had
/// since keep_at_most() last gave memory back.
/// Not thread-safe while assign() runs; constant afterwards.
class PreparedQuery {
  public:
    /// Number of rows to scan: unknown, probably many.
    static constexpr std::size_t any_number = ~std::size_t{0};

    PreparedQuery() = default;
    /// `query`: dimension floats, already checked. `expected_rows`: about how many rows will be scanned, a hint for
    /// speed alone: small collections are read in another pattern (same scores, to the last bit). Throws
    /// std::bad_alloc.
    PreparedQuery(std::span<const float> query, Metric metric, std::size_t expected_rows = any_number) {
        assign(query, metric, expected_rows);
    }
    /// As the constructor; on std::bad_alloc the earlier query stays. `inverse_norm`: what check::vector() returned for
    /// the query, if it is at hand.
    void assign(std::span<const float> query, Metric metric, std::size_t expected_rows = any_number,
                std::optional<float> inverse_norm = std::nullopt);
    /// Gives its memory back if that is more than so many bytes. Then assign() comes next.
    void keep_at_most(std::size_t bytes) noexcept {
        if (floats_.bytes() > bytes)
            floats_.give_back();
    }

    [[nodiscard]] Metric metric() const noexcept { return metric_; }
    [[nodiscard]] std::size_t stride() const noexcept { return stride_; }
    /// stride() floats, padded with zeros.
    [[nodiscard]] const float* data() const noexcept { return floats_.data(); }
    /// 1 / |query| under cosine, otherwise 1.
    [[nodiscard]] float inverse_norm() const noexcept { return inverse_norm_; }
    /// Bit i is set unless scores[i] is worse than the threshold under metric(); NaN counts as not worse. Reads 64
    /// scores; the bits of rows that were not scored mean nothing. Thread-safe, wait-free.
    [[nodiscard]] std::uint64_t scores_not_worse(const float* scores, float threshold) const noexcept {
        return select_(scores, threshold);
    }

  private:
    friend void score_rows(const PreparedQuery&, const float*, const float*, std::size_t, std::uint64_t,
                           float*) noexcept;
    friend kernel::Scored score_rows_packed(const PreparedQuery&, const float*, const float*, std::size_t,
                                            std::uint64_t, float*, std::uint32_t*) noexcept;
    kernel::AlignedFloats floats_;
    std::size_t stride_ = 0;
    float inverse_norm_ = 1;
    Metric metric_ = Metric::cosine;
    kernel::ScoreOne score_ = nullptr;
    kernel::ScorePacked score_packed_ = nullptr;
    kernel::SelectScores select_ = nullptr;
};

/// Several queries that are scored against the same rows. Reusable and thread-safe as PreparedQuery.
class PreparedBatch {
  public:
    PreparedBatch() = default;
    /// `queries`: a multiple of `dimension` floats, query after query, already checked. Throws std::bad_alloc.
    PreparedBatch(std::span<const float> queries, std::size_t dimension, Metric metric) {
        assign(queries, dimension, metric);
    }
    /// As the constructor; after std::bad_alloc the batch is empty.
    void assign(std::span<const float> queries, std::size_t dimension, Metric metric);
    [[nodiscard]] std::size_t bytes() const noexcept { return floats_.bytes() + inverse_norms_.bytes(); }
    /// Gives all memory back, and is empty.
    void give_back() noexcept {
        size_ = 0;
        floats_.give_back();
        inverse_norms_.give_back();
    }

    [[nodiscard]] Metric metric() const noexcept { return metric_; }
    [[nodiscard]] std::size_t stride() const noexcept { return stride_; }
    /// Number of queries.
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    /// As PreparedQuery::scores_not_worse.
    [[nodiscard]] std::uint64_t scores_not_worse(const float* scores, float threshold) const noexcept {
        return select_(scores, threshold);
    }

  private:
    friend void score_batch(const PreparedBatch&, std::size_t, std::size_t, const float*, const float*, std::size_t,
                            std::uint64_t, float*) noexcept;
    kernel::AlignedFloats floats_;        // size_ x stride_ floats
    kernel::AlignedFloats inverse_norms_; // size_ floats
    std::size_t stride_ = 0;
    std::size_t size_ = 0;
    Metric metric_ = Metric::cosine;
    kernel::ScoreMany score_ = nullptr;
    kernel::SelectScores select_ = nullptr;
};

/// Scores of the selected ones of `count` (at most 64) consecutive rows; bit i of the mask selects row i, bits from
/// `count` up are ignored. scores[i] is written for selected rows only; other rows are not read. `rows`: count x
/// query.stride() floats; `inverse_norms`: one a row, read under cosine only (may be null otherwise). O(selected rows x
/// dimension). Thread-safe, wait-free, no allocation.
inline void score_rows(const PreparedQuery& query, const float* rows, const float* inverse_norms, std::size_t count,
                       std::uint64_t mask, float* scores) noexcept {
    query.score_({rows, inverse_norms, query.stride_, mask & first_rows(count)}, query.data(), query.inverse_norm_,
                 scores);
}

/// Room that score_rows_packed() wants for numbers of rows: it writes behind their end.
inline constexpr std::size_t packed_numbers = block_rows + 16;

/// As score_rows, but where the mask has holes the scores may come one behind the other: scores[i] is of row numbers[i]
/// then. `scores`: block_rows floats, all of which may be written.
inline kernel::Scored score_rows_packed(const PreparedQuery& query, const float* rows, const float* inverse_norms,
                                        std::size_t count, std::uint64_t mask, float* scores,
                                        std::uint32_t* numbers) noexcept {
    return query.score_packed_({rows, inverse_norms, query.stride_, mask & first_rows(count)}, query.data(),
                               query.inverse_norm_, scores, numbers);
}

/// As score_rows for the queries `first` to `first + queries - 1` of a batch: the score of query first + j and row i
/// goes to scores[j * 64 + i]; other scores stay. Several times as fast a pair as score_rows once there are four
/// queries or more.
inline void score_batch(const PreparedBatch& batch, std::size_t first, std::size_t queries, const float* rows,
                        const float* inverse_norms, std::size_t count, std::uint64_t mask, float* scores) noexcept {
    batch.score_({rows, inverse_norms, batch.stride_, mask & first_rows(count)},
                 batch.floats_.data() + first * batch.stride_, batch.inverse_norms_.data() + first, queries, scores);
}

} // namespace hotindex
