// The contract of every index: what a vector index offers, what it promises and which arguments it refuses.
//
// Both indexes, HotVectorIndex (traditional, behind a lock) and LockFreeHotVectorIndex, satisfy the concept
// VectorIndex below and pass the same tests. Vectors are rows of `dimension` floats; ids are non-empty strings, or
// integers of 64 bits (id.hpp).
#pragma once

#include <hotindex/id.hpp>
#include <hotindex/search/metric.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace hotindex {

/// One search result. Results are ordered best score first; equal scores are ordered by ascending id.
template <class Id>
struct BasicMatch {
    Id id{};
    float score = 0;
    friend bool operator==(const BasicMatch&, const BasicMatch&) = default;
};
using Match = BasicMatch<std::string>;

/// What add_vector did.
enum class AddOutcome : std::uint8_t { inserted, replaced };

/// How accesses (search results, get_vector, access) are counted per vector.
enum class Tracking : std::uint8_t {
    off,     ///< nothing is counted
    sampled, ///< about one access in Traits::tracking_sample_period is counted, with that weight (unbiased)
    exact,   ///< every access is counted; totals are exact when no operation is running
};

/// Temperature of a vector, from hottest to coldest.
enum class Tier : std::uint8_t { hot, warm, cold };

/// Name of a tier: "hot", "warm", "cold".
[[nodiscard]] std::string_view name_of(Tier tier) noexcept;

/// When a vector counts as hot or cold. Times are durations before "now".
struct TierThresholds {
    std::uint64_t hot_accesses = 100;              ///< at least so many accesses ...
    std::chrono::milliseconds hot_within{60'000};  ///< ... and the last one not longer ago than this: hot
    std::chrono::milliseconds cold_after{600'000}; ///< last access (or creation) longer ago than this: cold
    std::chrono::milliseconds manage_every{1'000}; ///< automatic tier management at most this often; 0: only by hand
};

/// What is known of one vector's accesses. Survives replacement of the vector, ends with its removal.
struct AccessStats {
    std::uint64_t count = 0;                                   ///< accesses (exact or estimated, see Tracking)
    std::chrono::system_clock::time_point created;             ///< first add_vector of this id
    std::optional<std::chrono::system_clock::time_point> last; ///< last counted access, millisecond resolution
    Tier tier = Tier::warm;                                    ///< last assigned tier; a new vector is warm
};

/// Totals since construction or reset_stats(). Exact when no operation is running, otherwise a total that includes
/// every operation which had returned before the call.
struct IndexStats {
    std::uint64_t vectors = 0;                 ///< vectors in the index now (not reset)
    std::uint64_t queries = 0;                 ///< queries answered; a batch of n counts n
    std::chrono::nanoseconds query_time{0};    ///< summed wall time inside search, over all threads
    std::uint64_t similarity_computations = 0; ///< rows scored by those queries
    std::uint64_t promotions = 0;              ///< tier changes towards hot
    std::uint64_t demotions = 0;               ///< tier changes towards cold
};

/// Bytes that an index takes, by what they are for, used or not: what is reserved, free or waits to be used again
/// counts as well. Not counted: what calls keep for their thread (see `kept_scratch` in traits.hpp), and what the
/// allocator needs for itself. Exact but for that when no operation is running, close otherwise.
struct MemoryUsage {
    std::uint64_t rows = 0;        ///< floats of vectors, padding included
    std::uint64_t bookkeeping = 0; ///< what belongs to each row: norm, versions, links to its id
    std::uint64_t ids = 0;         ///< ids, and the entries that they are in
    std::uint64_t table = 0;       ///< buckets of the hash table that ids are found by
    std::uint64_t records = 0;     ///< access records
    std::uint64_t limbo = 0;       ///< so much of all these waits for readers, to be used again then
    [[nodiscard]] std::uint64_t total() const noexcept { return rows + bookkeeping + ids + table + records; }
    friend bool operator==(const MemoryUsage&, const MemoryUsage&) = default;
};

/// Everything an index is told at construction.
struct IndexOptions {
    std::size_t dimension = 0; ///< floats in a vector, 1 to max_dimension; required
    Metric metric = Metric::cosine;
    std::size_t expected_vectors = 0; ///< room reserved in advance; a hint, never a limit
    Tracking tracking = Tracking::off;
    bool stats = true; ///< count queries, time and similarity computations
    TierThresholds tiers{};
};

inline constexpr std::size_t max_dimension = 1u << 20;
/// As k: all that there are.
inline constexpr std::size_t no_limit = ~std::size_t{0};
/// Under cosine a vector's squared norm, as the kernels add it, must be a normal float with room for its inverse, and
/// with room above it, so that the sum of its products with another vector is finite, too.
inline constexpr float smallest_squared_norm = 1e-30F;
inline constexpr float largest_squared_norm = 1e38F;

/// A refused argument. The message names the argument, the offending value and the remedy; the index is unchanged.
class InvalidArgument : public std::invalid_argument {
  public:
    using std::invalid_argument::invalid_argument;
};

/// Tells a search which ids may be answered. Called once for each candidate id, possibly for ids that lose later, and
/// in a batch once for each query; it must not call back into the index. What it throws leaves search unchanged.
template <class Id>
using BasicIdPredicate = std::function<bool(IdView<Id> id)>;
using IdPredicate = BasicIdPredicate<std::string>;

/// Is shown an id and its vector, `dimension` floats as they were added. Both last until it returns. An index takes any
/// callable like this one.
template <class Id>
using BasicVectorVisitor = std::function<void(IdView<Id> id, std::span<const float> vector)>;
using VectorVisitor = BasicVectorVisitor<std::string>;

/// Argument checks shared by all indexes; each throws InvalidArgument.
namespace check {
/// dimension in [1, max_dimension], thresholds consistent.
void options(const IndexOptions& options);
/// a string: not empty; any integer
void id(std::string_view id);
inline void id(std::uint64_t) noexcept {}
/// `what` is "vector" or "query". Refuses: empty, size != options.dimension, NaN or infinity (names the position), and,
/// under cosine, a vector whose squared norm is not in [smallest_squared_norm, largest_squared_norm]. Returns
/// 1 / |vector| under cosine, otherwise 1.
float vector(std::span<const float> vector, const IndexOptions& options, std::string_view what);
/// what add_batch takes: a vector for each id, each id and vector as above, no id twice; names the row. Returns the
/// vectors' inverse norms, or ones. Throws std::bad_alloc.
std::vector<float> new_vectors(std::span<const std::string_view> ids, std::span<const float> vectors,
                               const IndexOptions& options);
std::vector<float> new_vectors(std::span<const std::uint64_t> ids, std::span<const float> vectors,
                               const IndexOptions& options);
/// a number, or an infinity
void radius(float radius);
/// a batch of queries: size must be a multiple of the dimension (an empty batch is fine); each row as `vector`, naming
/// the row
void batch(std::span<const float> queries, const IndexOptions& options);
} // namespace check

/// What snapshot() of every index gives: one state of it, the one at an instant between call and return of snapshot(),
/// whatever is added and removed later. Used by the thread that took it; ends before the index does. Nothing on it
/// counts as an access or in the statistics, but for searches where it offers these.
template <class S>
concept IndexState =
    requires(const S& state, IdView<typename S::Id> id, const BasicVectorVisitor<typename S::Id>& visit) {
        /// Vectors in this state, exactly.
        { state.size() } -> std::same_as<std::size_t>;
        { state.empty() } -> std::same_as<bool>;
        /// A copy of the vector that the id had, or nullopt. Throws std::bad_alloc.
        { state.get_vector(id) } -> std::same_as<std::optional<std::vector<float>>>;
        /// Each vector of this state once, in no particular order. What visit throws ends it.
        { state.for_each(visit) } -> std::same_as<void>;
        /// Of the index.
        { state.options() } -> std::same_as<const IndexOptions&>;
    };

/// What a search of an index answers.
template <class I>
using MatchesOf = std::vector<BasicMatch<typename I::Id>>;

/// The contract.
///
/// | argument                                  | outcome                                                       |
/// |-------------------------------------------|---------------------------------------------------------------|
/// | empty id in add_vector                    | InvalidArgument                                               |
/// | empty id in contains, get, remove, access | "not there": false or nullopt                                 |
/// | empty vector, wrong dimension             | InvalidArgument (also for a query)                            |
/// | NaN or infinity                           | InvalidArgument naming the position                           |
/// | under cosine, a zero vector, or one whose |                                                               |
/// | squared norm is below 1e-30 or above 1e38 | InvalidArgument (also for a query)                            |
/// | NaN as the radius                         | InvalidArgument                                               |
/// | k == 0                                    | empty result                                                  |
/// | k > size                                  | all vectors, ordered                                          |
/// | memory exhausted                          | std::bad_alloc; the index is as before the call (strong)      |
///
/// Thread-safety: every member may be called from any number of threads at once; construction and destruction may not
/// overlap with any call. Threads that have used an index may end before it, after it or meanwhile.
///
/// Radius. search_radius answers all vectors whose score is not worse than `radius`, which is a score of the index's
/// metric: cosine and inner_product: scores of at least that; squared_euclidean: of at most that, so it is the square
/// of a distance. A score of exactly the radius is within. That is what search with k = size answers, cut off there.
template <class I>
concept VectorIndex =
    std::constructible_from<I, IndexOptions> &&
    requires(I& index, const I& reader, IdView<typename I::Id> id, std::span<const float> vector,
             std::span<const IdView<typename I::Id>> ids, std::size_t k, float radius,
             const BasicIdPredicate<typename I::Id>& allowed, const BasicVectorVisitor<typename I::Id>& visit) {
        /// Insert or replace; says which. O(dimension).
        { index.add_vector(id, vector) } -> std::same_as<AddOutcome>;
        /// true if the id was there.
        { index.remove_vector(id) } -> std::same_as<bool>;
        /// Removes these; returns how many were there and are gone now. An id that is not there, or comes a second
        /// time, is passed over. The traditional index removes all in one step, the lock-free one each by itself, in
        /// order. Throws as remove_vector, before the first one.
        { index.remove_batch(ids) } -> std::same_as<std::size_t>;
        /// Removes every vector that was there at an instant between call and return, and was not removed meanwhile;
        /// returns how many. In one step, or each by itself, as remove_batch: what is added or replaced meanwhile is
        /// there afterwards, or is not. O(size).
        { index.clear() } -> std::same_as<std::size_t>;
        { reader.contains(id) } -> std::same_as<bool>;
        /// A copy of the vector as it was added, or nullopt. Counts as an access.
        { reader.get_vector(id) } -> std::same_as<std::optional<std::vector<float>>>;
        /// The k best, best first, ties by id. O(size * dimension).
        { reader.search(vector, k) } -> std::same_as<MatchesOf<I>>;
        { reader.search(vector, k, allowed) } -> std::same_as<MatchesOf<I>>;
        /// All within the radius (see above), best first, ties by id; the k best of them.
        { reader.search_radius(vector, radius) } -> std::same_as<MatchesOf<I>>;
        { reader.search_radius(vector, radius, k) } -> std::same_as<MatchesOf<I>>;
        { reader.search_radius(vector, radius, k, allowed) } -> std::same_as<MatchesOf<I>>;
        /// Rows of `dimension` floats one after the other; result i answers row i. One consistent state for all rows.
        { reader.search_batch(vector, k) } -> std::same_as<std::vector<MatchesOf<I>>>;
        { reader.search_batch(vector, k, allowed) } -> std::same_as<std::vector<MatchesOf<I>>>;
        /// One state, to read several things from. See IndexState. Throws std::bad_alloc.
        { reader.snapshot() } -> IndexState;
        /// Each vector of the state at one instant between call and return, once, in no particular order. visit must
        /// not call back into the index. What it throws ends the visit. Counts no access. O(size).
        { reader.for_each(visit) } -> std::same_as<void>;
        /// Count an access without reading; false if the id is not there.
        { reader.access(id) } -> std::same_as<bool>;
        { reader.access_stats(id) } -> std::same_as<std::optional<AccessStats>>;
        /// Set the tier by hand one step up or down; false if absent or already at the end. Counted in IndexStats.
        { reader.promote(id) } -> std::same_as<bool>;
        { reader.demote(id) } -> std::same_as<bool>;
        /// Reassign every vector's tier from the thresholds now; returns how many changed.
        { reader.manage_tiers() } -> std::same_as<std::size_t>;
        { reader.size() } -> std::same_as<std::size_t>;
        { reader.empty() } -> std::same_as<bool>;
        { reader.options() } -> std::same_as<const IndexOptions&>;
        { reader.get_stats() } -> std::same_as<IndexStats>;
        /// O(size), for ids that do not lie in their entries.
        { reader.memory_usage() } -> std::same_as<MemoryUsage>;
        { index.reset_stats() } -> std::same_as<void>;
    };

/// An index that takes many new vectors in one step: the traditional one.
template <class I>
concept BatchIndex =
    VectorIndex<I> && requires(I& index, std::span<const IdView<typename I::Id>> ids, std::span<const float> vectors) {
        /// Inserts all, or none: row i of `vectors` (rows of `dimension` floats one after the other) for ids[i].
        /// nullopt: all are in, from one instant on. Else the position of the first id that is in the index, and
        /// nothing has changed. An id that comes twice, and whatever add_vector refuses, is an InvalidArgument that
        /// names the row.
        { index.add_batch(ids, vectors) } -> std::same_as<std::optional<std::size_t>>;
    };

} // namespace hotindex
