// An index seen by key numbers, as KeyedMap is a map seen so.
#pragma once

#include "workloads/inputs.hpp"
#include "workloads/key_mix.hpp"

#include <hotindex/vector_index.hpp>

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace hotindex::bench {

enum class Read : std::uint8_t { get, search };

/// An index seen by key numbers. insert and update are both add_vector, which inserts or replaces and never fails; a
/// read is get_vector, or a search for the top 10.
template <class Index, Read how>
class KeyedIndex {
  public:
    KeyedIndex(const KeySet& keys, std::shared_ptr<const Corpus> corpus)
        : names_(&keys.names()), corpus_(std::move(corpus)), index_(corpus_->options()) {}

    bool read(std::size_t key) const {
        if constexpr (how == Read::get) {
            std::optional<std::vector<float>> held = index_.get_vector((*names_)[key]);
            benchmark::DoNotOptimize(held);
            return held.has_value();
        } else {
            std::vector<Match> matches = index_.search(corpus_->data.query_row(key % corpus_->data.query_rows()), 10);
            benchmark::DoNotOptimize(matches.data());
            benchmark::ClobberMemory();
            return !matches.empty();
        }
    }
    bool insert(std::size_t key, std::int64_t& growth) {
        const AddOutcome outcome = index_.add_vector((*names_)[key], corpus_->data.base_row(key % corpus_->rows()));
        growth += outcome == AddOutcome::inserted ? 1 : 0;
        return true;
    }
    bool update(std::size_t key, std::int64_t& growth) { return insert(key, growth); }
    bool remove(std::size_t key, std::int64_t& growth) {
        const bool done = index_.remove_vector((*names_)[key]);
        growth -= done ? 1 : 0;
        return done;
    }
    [[nodiscard]] std::size_t size() const { return index_.size(); }

  private:
    const std::vector<std::string>* names_;
    std::shared_ptr<const Corpus> corpus_;
    Index index_;
};

/// Makes an empty one.
template <class Index, Read how>
auto make_keyed(const std::shared_ptr<LazyCorpus>& corpus) {
    return [corpus](const KeySet& keys) { return std::make_unique<KeyedIndex<Index, how>>(keys, corpus->get()); };
}

} // namespace hotindex::bench
