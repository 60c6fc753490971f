// The workloads on the indexes: insert, search, mixed, search_beside_writer, tax, and those on keys.
#include "dataset/generator.hpp"
#include "workloads/key_workloads.hpp"
#include "workloads/plan.hpp"

#include <hotindex/hot_vector_index.hpp>
#include <hotindex/lock_free_hot_vector_index.hpp>
#include <hotindex/vector_index.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace hotindex::bench {
namespace {

// ---- vectors ----

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

// ---- are the answers right? ----

double exact_score(Metric metric, std::span<const float> a, std::span<const float> b) {
    double dot = 0;
    double aa = 0;
    double bb = 0;
    double difference = 0;
    for (std::size_t i = 0; i != a.size(); ++i) {
        const double x = a[i];
        const double y = b[i];
        dot += x * y;
        aa += x * x;
        bb += y * y;
        difference += (x - y) * (x - y);
    }
    switch (metric) {
    case Metric::cosine:
        return dot / std::sqrt(aa * bb);
    case Metric::inner_product:
        return dot;
    case Metric::squared_euclidean:
        return difference;
    }
    return 0;
}

/// Asks a quiet index a few of the queries and compares with sums in double precision over what the index itself holds;
/// ties within rounding may come in any order. Returns what is wrong.
template <class Index>
std::optional<std::string> answer_fault(const Index& index, const Corpus& corpus, std::size_t k, bool holds_base) {
    constexpr std::size_t asked = 4;
    const std::size_t queries = std::min(asked, corpus.data.query_rows());
    std::vector<std::vector<double>> scores(queries, std::vector<double>(corpus.rows()));
    for (std::size_t row = 0; row != corpus.rows(); ++row) {
        const auto held = index.get_vector(corpus.ids[row]);
        if (!held)
            return fmt::format("{} is not in the index", corpus.ids[row]);
        if (holds_base && !std::ranges::equal(*held, corpus.data.base_row(row)))
            return fmt::format("{} is not the vector that was added", corpus.ids[row]);
        for (std::size_t q = 0; q != queries; ++q)
            scores[q][row] = exact_score(corpus.metric, corpus.data.query_row(q), *held);
    }
    for (std::size_t q = 0; q != queries; ++q) {
        const std::vector<Match> matches = index.search(corpus.data.query_row(q), k);
        std::vector<double> best = scores[q];
        if (corpus.metric == Metric::squared_euclidean)
            std::ranges::sort(best);
        else
            std::ranges::sort(best, std::greater<>());
        if (matches.size() != std::min(k, best.size()))
            return fmt::format("query {}: {} results instead of {}", q, matches.size(), std::min(k, best.size()));
        std::set<std::string_view> seen;
        for (std::size_t i = 0; i != matches.size(); ++i) {
            const auto id = std::ranges::lower_bound(corpus.ids, matches[i].id);
            const auto row = static_cast<std::size_t>(id - corpus.ids.begin());
            const double rounding = 1e-4 * std::max(1.0, std::abs(best[i]));
            if (id == corpus.ids.end() || *id != matches[i].id || !seen.insert(*id).second)
                return fmt::format("query {}: result {} is '{}', which nobody added or which came twice", q, i,
                                   matches[i].id);
            if (std::abs(static_cast<double>(matches[i].score) - best[i]) > rounding ||
                std::abs(scores[q][row] - best[i]) > rounding)
                return fmt::format("query {}: result {} has score {}, vector {} has {}, the right one {}", q, i,
                                   matches[i].score, matches[i].id, scores[q][row], best[i]);
        }
    }
    return std::nullopt;
}

// ---- insert ----

constexpr std::size_t adds_per_thread = 10'000;

/// Every thread adds 10,000 ids of its own to an index that starts empty, without having been told how many will come.
template <class Index>
class InsertWorkload {
  public:
    struct Lane {
        std::size_t first_id;
        std::size_t first_row;
    };
    static constexpr std::uint64_t period = 1;

    InsertWorkload(std::shared_ptr<const Corpus> corpus, std::size_t threads)
        : corpus_(std::move(corpus)), ids_(ids_for(threads)) {}
    Lane lane(std::size_t thread, Random random) const {
        return {thread * adds_per_thread, static_cast<std::size_t>(random.below(corpus_->rows()))};
    }
    void start_round() {
        index_.reset();
        index_.emplace(corpus_->options());
    }
    static constexpr std::uint64_t round_operations() { return adds_per_thread; }
    Tally run(const Lane& lane, std::uint64_t operations) {
        Tally tally;
        std::size_t row = lane.first_row;
        for (std::uint64_t i = 0; i != operations; ++i) {
            const AddOutcome outcome = index_->add_vector((*ids_)[lane.first_id + i], corpus_->data.base_row(row));
            tally.succeeded += outcome == AddOutcome::inserted ? 1 : 0;
            tally.failed += outcome == AddOutcome::inserted ? 0 : 1;
            row = row + 1 == corpus_->rows() ? 0 : row + 1;
        }
        tally.growth = static_cast<std::int64_t>(tally.succeeded);
        return tally;
    }
    [[nodiscard]] std::optional<std::string> fault(std::int64_t growth, bool) const {
        if (static_cast<std::size_t>(growth) != ids_->size())
            return fmt::format("{} of {} adds inserted", growth, ids_->size());
        return size_fault(index_->size(), 0, growth);
    }

  private:
    static std::shared_ptr<const std::vector<std::string>> ids_for(std::size_t threads) {
        std::vector<std::string> ids;
        ids.reserve(threads * adds_per_thread);
        for (std::size_t i = 0; i != threads * adds_per_thread; ++i)
            ids.push_back(fmt::format("vector:{:08}", i));
        return std::make_shared<const std::vector<std::string>>(std::move(ids));
    }

    std::shared_ptr<const Corpus> corpus_;
    std::shared_ptr<const std::vector<std::string>> ids_;
    std::optional<Index> index_; // optional, not a pointer: an index need not be movable for that
};

// ---- search ----

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

/// search, and tax: the same with other options.
template <class Index>
class SearchWorkload {
  public:
    using Lane = Queries;
    static constexpr std::uint64_t period = 1;

    SearchWorkload(std::shared_ptr<const Corpus> corpus, std::size_t k, const IndexOptions& options)
        : searched_(std::move(corpus), k, options) {}
    Lane lane(std::size_t, Random random) const { return Queries(searched_.corpus(), random); }
    Tally run(Lane& queries, std::uint64_t operations) {
        Tally tally;
        for (std::uint64_t i = 0; i != operations; ++i)
            tally.succeeded += searched_.search(queries.next()) ? 1 : 0;
        tally.failed = operations - tally.succeeded;
        return tally;
    }
    [[nodiscard]] std::optional<std::string> fault(std::int64_t growth, bool thorough) const {
        return searched_.fault(growth, thorough, true);
    }

  private:
    Searched<Index> searched_;
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

/// mixed: two searches, then an add, and so on. The adds replace vectors at random, so that the size, and with it the
/// cost of a search, stays the same.
template <class Index>
class MixedWorkload {
  public:
    struct Lane {
        Queries queries;
        Replacements replacements;
    };
    static constexpr std::uint64_t period = 3;

    MixedWorkload(std::shared_ptr<const Corpus> corpus, std::size_t k, const IndexOptions& options)
        : searched_(std::move(corpus), k, options) {}
    Lane lane(std::size_t, Random random) const {
        return {Queries(searched_.corpus(), random), Replacements(searched_.corpus(), random)};
    }
    Tally run(Lane& lane, std::uint64_t operations) {
        Tally tally;
        for (std::uint64_t i = 0; i != operations; i += 3) {
            tally.succeeded += searched_.search(lane.queries.next()) ? 1 : 0;
            tally.succeeded += searched_.search(lane.queries.next()) ? 1 : 0;
            tally.succeeded += lane.replacements.next(searched_.index(), searched_.corpus()) ? 1 : 0;
        }
        tally.failed = operations - tally.succeeded;
        return tally;
    }
    [[nodiscard]] std::optional<std::string> fault(std::int64_t growth, bool thorough) const {
        return searched_.fault(growth, thorough, false);
    }

  private:
    Searched<Index> searched_;
};

/// search_beside_writer: only searches are counted and only searchers are `threads`; one more thread replaces vectors
/// as fast as it can, from before the warm-up to after the lap.
template <class Index>
class BesideWriterWorkload {
  public:
    using Lane = Queries;
    static constexpr std::uint64_t period = 1;

    BesideWriterWorkload(std::shared_ptr<const Corpus> corpus, std::size_t k, const IndexOptions& options,
                         const Settings& settings, std::size_t threads)
        : searched_(std::move(corpus), k, options), writer_([this, seed = settings.seed, pin = settings.pin, threads] {
              const Pinned pinned(pin, threads);
              Random random(seed, threads);
              Replacements replacements(searched_.corpus(), random);
              std::uint64_t done = 0;
              while (!stop_.load(std::memory_order_relaxed)) { // relaxed: a flag that publishes nothing
                  if (replacements.next(searched_.index(), searched_.corpus()))
                      written_.store(++done, std::memory_order_relaxed); // relaxed: a count that publishes nothing
              }
          }) {}
    BesideWriterWorkload(const BesideWriterWorkload&) = delete;
    BesideWriterWorkload& operator=(const BesideWriterWorkload&) = delete;
    ~BesideWriterWorkload() { stop(); }

    Lane lane(std::size_t, Random random) const { return Queries(searched_.corpus(), random); }
    Tally run(Lane& queries, std::uint64_t operations) {
        Tally tally;
        for (std::uint64_t i = 0; i != operations; ++i)
            tally.succeeded += searched_.search(queries.next()) ? 1 : 0;
        tally.failed = operations - tally.succeeded;
        return tally;
    }
    [[nodiscard]] std::uint64_t beside() const { return written_.load(std::memory_order_relaxed); } // relaxed: a count
    [[nodiscard]] std::optional<std::string> fault(std::int64_t growth, bool thorough) {
        stop();
        if (beside() == 0)
            return "the writer wrote nothing";
        return searched_.fault(growth, thorough, false);
    }

  private:
    void stop() {
        stop_.store(true, std::memory_order_relaxed); // relaxed: join() orders the rest
        if (writer_.joinable())
            writer_.join();
    }

    Searched<Index> searched_;
    alignas(128) std::atomic<std::uint64_t> written_{0};
    alignas(128) std::atomic<bool> stop_{false};
    std::thread writer_;
};

// ---- keys ----

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

// ---- the list ----

constexpr std::size_t keyed_size = 20'000;  ///< vectors in the index when it is read by key
constexpr std::size_t scanned_size = 1'000; ///< and when it is read by search, or for the gate

struct Inputs {
    explicit Inputs(const Plan& plan) {
        if (plan.dataset)
            searched = std::make_shared<LazyCorpus>(*plan.dataset);
    }
    std::shared_ptr<LazyCorpus> small = std::make_shared<LazyCorpus>(1'000, 64, 1'000);
    std::shared_ptr<LazyCorpus> added = std::make_shared<LazyCorpus>(10'000, 128, 0);
    std::shared_ptr<LazyCorpus> searched = small;
    std::shared_ptr<LazyKeys> uniform = std::make_shared<LazyKeys>(keyed_size, Distribution::uniform);
    std::shared_ptr<LazyKeys> zipf = std::make_shared<LazyKeys>(keyed_size, Distribution::zipf);
    std::shared_ptr<LazyKeys> few = std::make_shared<LazyKeys>(scanned_size, Distribution::uniform);
};

template <class Index, Read how>
auto make_keyed(const std::shared_ptr<LazyCorpus>& corpus) {
    return [corpus](const KeySet& keys) { return std::make_unique<KeyedIndex<Index, how>>(keys, corpus->get()); };
}

template <class Index>
void register_search_and_mixed(const Settings& settings, std::string_view name,
                               const std::shared_ptr<LazyCorpus>& corpus) {
    add_benchmark<SearchWorkload<Index>>(
        settings, fmt::format("search/{}/{}/k:10", name, corpus->parameters()), [corpus](std::size_t) {
            return std::make_unique<SearchWorkload<Index>>(corpus->get(), 10, corpus->get()->options());
        });
    add_benchmark<MixedWorkload<Index>>(
        settings, fmt::format("mixed/{}/{}/k:5", name, corpus->parameters()), [corpus](std::size_t) {
            return std::make_unique<MixedWorkload<Index>>(corpus->get(), 5, corpus->get()->options());
        });
}

/// What scripts/gate compares: vectors and index fit into a core's own cache, so that what other programs do to a
/// shared one disturbs little.
template <class Index>
void register_gate(const Plan& plan, std::string_view name, const Inputs& inputs) {
    const Settings& settings = plan.settings;
    register_search_and_mixed<Index>(settings, name, inputs.searched);
    const auto make = make_keyed<Index, Read::get>(inputs.small);
    for (const Mix& mix : {read_heavy, exchange, rapid_grow})
        add_mix<KeyedIndex<Index, Read::get>>(
            settings, fmt::format("{}/{}/read:get/{}/dim:64", mix.name, name, inputs.few->parameters()), mix,
            inputs.few, make);
    add_churn<KeyedIndex<Index, Read::get>>(settings, fmt::format("churn/{}/n:{}/dim:64", name, scanned_size),
                                            inputs.few, make);
}

template <class Index>
void register_index(const Plan& plan, std::string_view name, const Inputs& inputs) {
    const Settings& settings = plan.settings;
    const auto corpus = inputs.searched;
    const auto small = inputs.small;

    add_benchmark<InsertWorkload<Index>>(settings, fmt::format("insert/{}/n:{}/dim:128", name, adds_per_thread),
                                         [added = inputs.added](std::size_t threads) {
                                             return std::make_unique<InsertWorkload<Index>>(added->get(), threads);
                                         });
    register_search_and_mixed<Index>(settings, name, corpus);

    for (const Mix& mix : {read_heavy, exchange, rapid_grow}) {
        if (plan.profile == Profile::quick && mix.name != read_heavy.name)
            continue;
        for (const auto& keys : {inputs.uniform, inputs.zipf})
            add_mix<KeyedIndex<Index, Read::get>>(
                settings, fmt::format("{}/{}/read:get/{}/dim:64", mix.name, name, keys->parameters()), mix, keys,
                make_keyed<Index, Read::get>(small));
    }
    if (plan.profile == Profile::quick)
        return;
    add_mix<KeyedIndex<Index, Read::search>>(
        settings, fmt::format("{}/{}/read:search/{}/dim:64", read_heavy.name, name, inputs.few->parameters()),
        read_heavy, inputs.few, make_keyed<Index, Read::search>(small));
    if (plan.profile == Profile::full)
        add_mix<KeyedIndex<Index, Read::search>>(
            settings, fmt::format("{}/{}/read:search/{}/dim:64", exchange.name, name, inputs.few->parameters()),
            exchange, inputs.few, make_keyed<Index, Read::search>(small));
    add_churn<KeyedIndex<Index, Read::get>>(settings, fmt::format("churn/{}/n:{}/dim:64", name, keyed_size),
                                            inputs.uniform, make_keyed<Index, Read::get>(small));

    add_benchmark<BesideWriterWorkload<Index>>(
        settings, fmt::format("search_beside_writer/{}/{}/k:10", name, corpus->parameters()),
        [corpus, settings](std::size_t threads) {
            return std::make_unique<BesideWriterWorkload<Index>>(corpus->get(), 10, corpus->get()->options(), settings,
                                                                 threads);
        });

    for (const Tracking tracking : {Tracking::off, Tracking::sampled, Tracking::exact})
        for (const bool stats : {false, true})
            add_benchmark<SearchWorkload<Index>>(settings,
                                                 fmt::format("tax/{}/tracking:{}/stats:{}/{}/k:10", name,
                                                             tracking == Tracking::off       ? "off"
                                                             : tracking == Tracking::sampled ? "sampled"
                                                                                             : "exact",
                                                             stats ? "on" : "off", small->parameters()),
                                                 [small, tracking, stats](std::size_t) {
                                                     IndexOptions options = small->get()->options();
                                                     options.tracking = tracking;
                                                     options.stats = stats;
                                                     return std::make_unique<SearchWorkload<Index>>(small->get(), 10,
                                                                                                    options);
                                                 });
}

} // namespace

void register_index_benchmarks(const Plan& plan) {
    const Inputs inputs(plan);
    if (plan.profile == Profile::gate) {
        register_gate<HotVectorIndex<std::mutex>>(plan, "mutex", inputs);
        register_gate<LockFreeHotVectorIndex>(plan, "lock_free", inputs);
        return;
    }
    register_index<HotVectorIndex<std::mutex>>(plan, "mutex", inputs);
    register_index<HotVectorIndex<std::shared_mutex>>(plan, "rwlock", inputs);
    register_index<LockFreeHotVectorIndex>(plan, "lock_free", inputs);
}

} // namespace hotindex::bench
