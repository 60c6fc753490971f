// The scan: blocks of rows through a kernel, a filter and a TopK. Both indexes search with it; they differ only in
// where the blocks and their masks come from.
//
// A block's rows are scored together (similarity.hpp), the 64 scores compared with the threshold of the TopK in one go,
// and only the few rows that could enter are looked at one by one: the id is needed there alone (for the predicate, or
// on an exact tie). A predicate sees only ids of rows that would be taken at that moment.
//
// Progress and allocation: as what the callables do; the scan itself waits for nothing and allocates nothing, except
// that a TopK (or BatchScan) grows to the largest size it has had. Exceptions of a callable propagate; the TopK is then
// to be reset. A thread keeps such memory from one search to the next, but no more than a ScratchBound allows.
#pragma once

#include <hotindex/search/similarity.hpp>
#include <hotindex/search/top_k.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <tuple>
#include <type_traits>
#include <vector>

namespace hotindex {

/// Up to 64 consecutive rows, as an index hands them to a scan.
template <class Slot = std::uint32_t>
struct RowBlock {
    Slot first;                 ///< slot of row 0; row i has slot first + i
    const float* rows;          ///< count x stride floats, aligned and padded as in similarity.hpp
    const float* inverse_norms; ///< count floats; read under cosine only
    std::size_t count;          ///< rows in the block, at most 64
    std::uint64_t mask = ~0ull; ///< bit i: row i is to be searched; bits from count up are ignored
};

/// The predicate that allows every id, and costs nothing.
struct AllIds {
    template <class IdView>
    constexpr bool operator()(const IdView&) const noexcept {
        return true;
    }
};

namespace scan_detail {

/// Offers the scores of `mask` that could enter: scores[i] is of slot slot_of(i).
template <class Query, class Slot, class SlotOf, class IdOf, class Allowed>
void offer(const Query& query, const float* scores, std::uint64_t mask, SlotOf slot_of, IdOf& id_of, Allowed& allowed,
           TopK<Slot>& top) {
    mask &= query.scores_not_worse(scores, top.threshold());
    bool full = top.full();
    for (; mask != 0; mask &= mask - 1) {
        const auto i = static_cast<std::size_t>(std::countr_zero(mask));
        const Slot slot = slot_of(i);
        if (!top.would_take(scores[i], slot, id_of))
            continue;
        if constexpr (!std::is_same_v<std::remove_cvref_t<Allowed>, AllIds>)
            if (!allowed(id_of(slot)))
                continue;
        top.take(scores[i], slot, id_of);
        if (!full && top.full()) { // only now there is a threshold to compare the rest with
            full = true;
            mask &= query.scores_not_worse(scores, top.threshold()) | (mask & (~mask + 1));
        }
    }
}

/// Scores of one block. Initialised once a search: the comparison with the threshold reads those of rows that were not
/// scored too, though it does not use them.
struct alignas(row_alignment) Scores {
    float of_row[block_rows] = {};
    std::uint32_t numbers[packed_numbers]; ///< of their rows, where scores are packed
};
/// Where they are not: row i.
template <class Slot>
[[nodiscard]] auto in_place(Slot first) {
    return [first](std::size_t i) { return static_cast<Slot>(first + static_cast<Slot>(i)); };
}

/// See scan_block() below.
template <class Slot, class IdOf, class Allowed>
std::size_t scan_block(const PreparedQuery& query, const RowBlock<Slot>& block, Scores& scores, TopK<Slot>& top,
                       IdOf& id_of, Allowed& allowed) {
    const std::uint64_t mask = block.mask & first_rows(block.count);
    if (mask == 0)
        return 0;
    const kernel::Scored scored =
        score_rows_packed(query, block.rows, block.inverse_norms, block.count, mask, scores.of_row, scores.numbers);
    if (scored.packed) {
        const auto slot_of = [&](std::size_t i) { return static_cast<Slot>(block.first + scores.numbers[i]); };
        offer(query, scores.of_row, first_rows(scored.rows), slot_of, id_of, allowed, top);
    } else {
        offer(query, scores.of_row, mask, in_place(block.first), id_of, allowed, top);
    }
    return scored.rows;
}

} // namespace scan_detail

/// Scores one block and offers its rows to `top`, which must be reset to the metric of the query. Returns the rows
/// scored. `id_of(slot)` -> an IdView; `allowed(id)` -> bool, AllIds for none.
template <class Slot, class IdOf, class Allowed = AllIds>
std::size_t scan_block(const PreparedQuery& query, const RowBlock<Slot>& block, TopK<Slot>& top, IdOf&& id_of,
                       Allowed&& allowed = {}) {
    scan_detail::Scores scores;
    return scan_detail::scan_block(query, block, scores, top, id_of, allowed);
}

/// Scans all blocks: `for_each_block(use)` calls use(const RowBlock<Slot>&) for each of them, in any order. Returns the
/// rows scored. With k == 0 nothing is scanned.
template <class Slot, class ForEachBlock, class IdOf, class Allowed = AllIds>
std::size_t scan_rows(const PreparedQuery& query, ForEachBlock&& for_each_block, TopK<Slot>& top, IdOf&& id_of,
                      Allowed&& allowed = {}) {
    std::size_t scored = 0;
    if (top.k() == 0)
        return scored;
    scan_detail::Scores scores;
    for_each_block([&](const RowBlock<Slot>& block) {
        scored += scan_detail::scan_block(query, block, scores, top, id_of, allowed);
    });
    return scored;
}

/// Several queries over the same blocks, each with its own TopK. Reusable: prepare() and scan() allocate only to grow,
/// until keep_at_most() gives memory back. Not thread-safe; one search owns it.
template <class Slot = std::uint32_t>
class BatchScan {
  public:
    BatchScan() = default;
    /// As prepare().
    BatchScan(std::span<const float> queries, std::size_t dimension, std::size_t k, Metric metric) {
        prepare(queries, dimension, k, metric);
    }

    /// Takes the queries (a multiple of `dimension` floats, already checked) and empties the results. Throws
    /// std::bad_alloc; then prepare() must be called again before anything else.
    void prepare(std::span<const float> queries, std::size_t dimension, std::size_t k, Metric metric) {
        settle();
        batch_.assign(queries, dimension, metric);
        if (tops_.size() < batch_.size())
            tops_.resize(batch_.size());
        in_use_ = batch_.size();
        for (std::size_t j = 0; j < in_use_; ++j) {
            entry_bytes_ -= tops_[j].bytes();
            tops_[j].reset(k, metric);
        }
        k_ = k;
    }

    /// Gives all its memory back if that is more than so many bytes. Then prepare() comes next. O(queries).
    void keep_at_most(std::size_t bytes) noexcept {
        settle();
        if (batch_.bytes() + tops_.capacity() * sizeof(TopK<Slot>) + entry_bytes_ <= bytes)
            return;
        batch_.give_back();
        std::vector<TopK<Slot>>().swap(tops_);
        entry_bytes_ = 0;
    }

    /// Number of queries.
    [[nodiscard]] std::size_t size() const noexcept { return batch_.size(); }
    /// The result of query j.
    [[nodiscard]] TopK<Slot>& top(std::size_t j) noexcept { return tops_[j]; }

    /// scan_block() for all queries; returns the pairs scored: rows times queries.
    template <class IdOf, class Allowed = AllIds>
    std::size_t scan_block(const RowBlock<Slot>& block, IdOf&& id_of, Allowed&& allowed = {}) {
        const std::uint64_t mask = block.mask & first_rows(block.count);
        if (mask == 0)
            return 0;
        alignas(row_alignment) float scores[queries_at_once * block_rows] = {};
        for (std::size_t j = 0; j < batch_.size(); j += queries_at_once) {
            const std::size_t some = std::min(queries_at_once, batch_.size() - j);
            score_batch(batch_, j, some, block.rows, block.inverse_norms, block.count, mask, scores);
            for (std::size_t t = 0; t < some; ++t)
                scan_detail::offer(batch_, scores + t * block_rows, mask, scan_detail::in_place(block.first), id_of,
                                   allowed, tops_[j + t]);
        }
        return static_cast<std::size_t>(std::popcount(mask)) * batch_.size();
    }

    /// scan_rows() for all queries; returns the pairs scored.
    template <class ForEachBlock, class IdOf, class Allowed = AllIds>
    std::size_t scan(ForEachBlock&& for_each_block, IdOf&& id_of, Allowed&& allowed = {}) {
        std::size_t scored = 0;
        if (k_ == 0 || batch_.size() == 0)
            return scored;
        for_each_block([&](const RowBlock<Slot>& block) { scored += scan_block(block, id_of, allowed); });
        return scored;
    }

  private:
    /// Counts what the results in use have grown to. Those of a larger batch before are counted already.
    void settle() noexcept {
        for (; in_use_ != 0; --in_use_)
            entry_bytes_ += tops_[in_use_ - 1].bytes();
    }

    static constexpr std::size_t queries_at_once = 16;
    PreparedBatch batch_;
    std::vector<TopK<Slot>> tops_;
    std::size_t k_ = 0;
    std::size_t in_use_ = 0;      ///< results whose memory is not in entry_bytes_
    std::size_t entry_bytes_ = 0; ///< of all others
};

/// While it lives, a call uses memory that its thread keeps for the next one. When it ends, by an exception too, each
/// part that has more than `bytes` gives its memory back. Parts: PreparedQuery, TopK, BatchScan.
template <class... Parts>
class ScratchBound {
  public:
    explicit ScratchBound(std::size_t bytes, Parts&... parts) noexcept : bytes_(bytes), parts_(parts...) {}
    ScratchBound(const ScratchBound&) = delete;
    ScratchBound& operator=(const ScratchBound&) = delete;
    ~ScratchBound() {
        std::apply([this](Parts&... part) { (part.keep_at_most(bytes_), ...); }, parts_);
    }

  private:
    std::size_t bytes_;
    std::tuple<Parts&...> parts_;
};

} // namespace hotindex
