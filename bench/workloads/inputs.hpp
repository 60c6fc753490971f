// What workloads work on: vectors and keys. Made at their first use and shared by all structures, so that all get the
// same.
#pragma once

#include "dataset/dataset.hpp"
#include "dataset/generator.hpp"
#include "workloads/key_mix.hpp"
#include "workloads/plan.hpp"

#include <hotindex/vector_index.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace hotindex::bench {

/// Vectors to index, vectors to ask for, and ids. Immutable: shared by all threads.
struct Corpus {
    Corpus(Dataset d, std::size_t names) : data(std::move(d)), metric(data.metric.value_or(Metric::cosine)) {
        for (std::size_t i = 0; i != names; ++i)
            ids.push_back(fmt::format("vector:{:08}", i));
    }
    [[nodiscard]] std::size_t rows() const noexcept { return data.base_rows(); }
    [[nodiscard]] IndexOptions options() const {
        IndexOptions options;
        options.dimension = data.dimension;
        options.metric = metric;
        return options;
    }

    Dataset data;
    Metric metric;
    std::vector<std::string> ids;
};

/// A corpus is generated at its first use.
class LazyCorpus {
  public:
    LazyCorpus(std::size_t rows, std::size_t dimension, std::size_t ids)
        : rows_(rows), dimension_(dimension), ids_(ids) {}
    explicit LazyCorpus(const Dataset& real)
        : rows_(real.base_rows()), dimension_(real.dimension), ids_(rows_),
          corpus_(std::make_shared<const Corpus>(real, rows_)), name_(real.name) {
        // '/' and ':' have a meaning in names
        std::ranges::replace_if(name_, [](char c) { return c == '/' || c == ':' || c == ' '; }, '_');
    }
    [[nodiscard]] const std::shared_ptr<const Corpus>& get() {
        if (!corpus_) {
            MixtureOptions mixture;
            mixture.rows = rows_;
            mixture.queries = 256;
            mixture.dimension = dimension_;
            mixture.clusters = std::min<std::size_t>(100, rows_);
            corpus_ = std::make_shared<const Corpus>(generate(mixture), ids_);
        }
        return corpus_;
    }
    [[nodiscard]] std::string parameters() const {
        const std::string size = fmt::format("n:{}/dim:{}", rows_, dimension_);
        return name_.empty() ? size : fmt::format("dataset:{}/{}", name_, size);
    }

  private:
    std::size_t rows_;
    std::size_t dimension_;
    std::size_t ids_;
    std::shared_ptr<const Corpus> corpus_;
    std::string name_;
};

/// A key set is made at its first use, once for all structures and threads.
class LazyKeys {
  public:
    LazyKeys(std::size_t n, Distribution distribution) : n_(n), distribution_(distribution) {}
    [[nodiscard]] const std::shared_ptr<const KeySet>& get() {
        if (!keys_)
            keys_ = std::make_shared<const KeySet>(n_, distribution_);
        return keys_;
    }
    [[nodiscard]] std::string parameters() const { return fmt::format("keys:{}/n:{}", name_of(distribution_), n_); }
    [[nodiscard]] std::size_t n() const noexcept { return n_; }

  private:
    std::size_t n_;
    Distribution distribution_;
    std::shared_ptr<const KeySet> keys_;
};

/// For workloads on indexes.
struct IndexInputs {
    explicit IndexInputs(const Plan& plan) {
        if (plan.dataset)
            searched = std::make_shared<LazyCorpus>(*plan.dataset);
        if (plan.profile == Profile::gate)
            drawn = {few};
    }
    std::shared_ptr<LazyCorpus> small = std::make_shared<LazyCorpus>(1'000, 64, 1'000);
    std::shared_ptr<LazyCorpus> added = std::make_shared<LazyCorpus>(10'000, 128, 0);
    std::shared_ptr<LazyCorpus> searched = small; ///< or the dataset
    /// Keys for an index that is read by search.
    std::shared_ptr<LazyKeys> few = std::make_shared<LazyKeys>(1'000, Distribution::uniform);
    /// Keys for an index that is read by key; the first are uniform.
    std::vector<std::shared_ptr<LazyKeys>> drawn{std::make_shared<LazyKeys>(20'000, Distribution::uniform),
                                                 std::make_shared<LazyKeys>(20'000, Distribution::zipf)};
};

/// For workloads on maps.
struct MapInputs {
    explicit MapInputs(const Plan& plan) {
        if (plan.profile == Profile::gate) // what a core's own cache holds
            drawn = {std::make_shared<LazyKeys>(2'000, Distribution::uniform)};
    }
    /// The first are uniform.
    std::vector<std::shared_ptr<LazyKeys>> drawn{std::make_shared<LazyKeys>(100'000, Distribution::uniform),
                                                 std::make_shared<LazyKeys>(100'000, Distribution::zipf)};
};

} // namespace hotindex::bench
