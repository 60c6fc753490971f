// An index that holds a corpus, and what threads do to it: they search, and they replace vectors.
#pragma once

#include "dataset/random.hpp"
#include "workloads/checks.hpp"
#include "workloads/inputs.hpp"

#include <hotindex/vector_index.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace hotindex::bench {

/// An index that holds a corpus, ready to be searched.
template <class Index>
class Searched {
  public:
    Searched(std::shared_ptr<const Corpus> corpus, std::size_t k, const IndexOptions& options)
        : corpus_(std::move(corpus)), k_(k), index_(options) {
        for (std::size_t row = 0; row != corpus_->rows(); ++row)
            index_.add_vector(corpus_->ids[row], corpus_->data.base_row(row));
    }
    [[nodiscard]] const Corpus& corpus() const noexcept { return *corpus_; }
    [[nodiscard]] Index& index() noexcept { return index_; }

    /// true if there were k results.
    [[nodiscard]] bool search(std::size_t query) const {
        std::vector<Match> matches = index_.search(corpus_->data.query_row(query), k_);
        benchmark::DoNotOptimize(matches.data());
        benchmark::ClobberMemory();
        return matches.size() == std::min(k_, corpus_->rows());
    }
    [[nodiscard]] std::optional<std::string> fault(std::int64_t growth, bool thorough, bool holds_base) const {
        auto wrong = size_fault(index_.size(), corpus_->rows(), growth);
        if (!wrong && thorough)
            wrong = answer_fault(index_, *corpus_, k_, holds_base);
        return wrong;
    }

  private:
    std::shared_ptr<const Corpus> corpus_;
    std::size_t k_;
    Index index_;
};

/// The next query of a thread; threads begin at different ones.
class Queries {
  public:
    Queries(const Corpus& corpus, Random& random)
        : count_(corpus.data.query_rows()), at_(static_cast<std::size_t>(random.below(count_))) {}
    [[nodiscard]] std::size_t next() noexcept {
        const std::size_t query = at_;
        at_ = at_ + 1 == count_ ? 0 : at_ + 1;
        return query;
    }

  private:
    std::size_t count_;
    std::size_t at_;
};

/// Which ids get which rows: drawn in advance, replayed in a circle.
class Replacements {
  public:
    static constexpr std::size_t length = 1u << 12;
    Replacements(const Corpus& corpus, Random& random) {
        pairs_.reserve(length);
        while (pairs_.size() != length)
            pairs_.emplace_back(static_cast<std::uint32_t>(random.below(corpus.rows())),
                                static_cast<std::uint32_t>(random.below(corpus.rows())));
    }
    /// Replaces the next one; true if it was there, as it must have been.
    template <class Index>
    [[nodiscard]] bool next(Index& index, const Corpus& corpus) {
        const auto [id, row] = pairs_[at_++ & (length - 1)];
        return index.add_vector(corpus.ids[id], corpus.data.base_row(row)) == AddOutcome::replaced;
    }

  private:
    std::vector<std::pair<std::uint32_t, std::uint32_t>> pairs_;
    std::size_t at_ = 0;
};

} // namespace hotindex::bench
