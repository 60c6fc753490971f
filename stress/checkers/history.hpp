// History: which calls on an index overlapped in time, and what each of them answered.
//
// A recorder gives every thread a lane of its own; a call is noted there with the fenced clock before and after it. No
// lane is shared and the clock is no atomic variable, so recording creates no happens-before edge between threads:
// ThreadSanitizer sees the races that it would see without it.
//
// The vectors that histories write carry their own checksum: all floats follow from one number, the value. So a torn
// row gives itself away, and every score can be computed again, exactly, from the value alone.
#pragma once

#include <hotindex/vector_index.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hotindex::stress {

/// Nanoseconds on a clock that all processors share, with a full fence on both sides: what the caller did before is
/// visible before the reading, what it does next happens after it. Calls with equal readings count as overlapping.
[[nodiscard]] inline std::uint64_t fenced_clock() {
    __sync_synchronize();
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    __sync_synchronize();
    return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}
inline constexpr std::uint64_t never = ~std::uint64_t{0};

// ---- self-checked vectors ----

using Id = std::uint32_t;    ///< 0, 1, 2, ...
using Value = std::uint32_t; ///< 1 to most_value; 0 stands for "no vector"

/// Small enough that all scores of vectors of up to 128 floats are exact integers, in any order of summation.
inline constexpr Value most_value = (Value{1} << 18) - 1;

/// Ids of equal length, so that they are ordered as the numbers are.
[[nodiscard]] std::string name_of_id(Id id);
[[nodiscard]] std::optional<Id> id_of_name(std::string_view name);

/// Another number that follows from the value; few, so that scores tie.
[[nodiscard]] constexpr Value scrambled(Value value) noexcept {
    return value * 40503u % 61u;
}
/// The first half of the floats is the value, the second half the scrambled value. `dimension`: even.
[[nodiscard]] std::vector<float> row_of(Value value, std::size_t dimension);
/// The value of a whole row; nullopt for one that was never written so.
[[nodiscard]] std::optional<Value> value_of(std::span<const float> row);

/// The queries that histories ask, under Metric::inner_product.
enum class Query : std::uint8_t { largest, smallest, scrambled_largest, scrambled_smallest };
inline constexpr std::size_t query_count = 4;
[[nodiscard]] std::vector<float> floats_of(Query query, std::size_t dimension);
/// The exact score of a vector against a query.
[[nodiscard]] float score_of(Query query, Value value, std::size_t dimension);

// ---- calls ----

enum class Operation : std::uint8_t { add, remove, get, contains, search };
inline constexpr std::size_t operation_count = 5;
[[nodiscard]] std::string_view name_of(Operation operation) noexcept;

/// A search result: an id and its score.
struct Found {
    Id id = 0;
    float score = 0;
    friend bool operator==(const Found&, const Found&) = default;
};

/// What was called, what it answered, and when.
struct Call {
    Operation operation = Operation::get;
    Query query = Query::largest; ///< search
    bool yes = false;             ///< add: it was an insert; remove, contains: it was there
    std::uint32_t thread = 0;
    Id id = 0;                ///< all but search
    Value value = 0;          ///< add: what was written; get: what was read, 0 for nothing
    std::uint32_t most = 0;   ///< search: k
    std::vector<Found> found; ///< search
    std::uint64_t begin = 0;  ///< fenced clock
    std::uint64_t end = 0;    ///< fenced clock; never: the call has not returned, its answer means nothing
    // For the white-box check (version_check.hpp), in ticks of the index's version clock.
    std::uint64_t first_tick = 0; ///< the clock before the call
    std::uint64_t last_tick = 0;  ///< the clock after it
    std::uint64_t stamp = 0;      ///< where the operation says that it took place: add, remove that did, search
};

[[nodiscard]] inline bool is_read(const Call& call) noexcept {
    return call.operation != Operation::add && call.operation != Operation::remove;
}
/// It has not returned.
[[nodiscard]] inline bool is_open(const Call& call) noexcept {
    return call.end == never;
}

/// "add id 3 = 17: inserted"
[[nodiscard]] std::string in_words(const Call& call);

/// Calls in any order, and the state that they began with.
struct History {
    std::vector<Call> calls;
    std::vector<Value> start; ///< the value of each id; its size says how many ids there are
    std::size_t dimension = 2;
};

/// The sequential oracle: what one call does to the values of all ids; whether its answer is right.
[[nodiscard]] bool step(std::vector<Value>& state, const Call& call, std::size_t dimension);

/// The exact answer to a search in a state.
[[nodiscard]] std::vector<Found> best_of(const std::vector<Value>& state, Query query, std::size_t k,
                                         std::size_t dimension);

// ---- recording ----

/// The calls of one thread.
class Lane {
  public:
    explicit Lane(std::uint32_t thread) : thread_(thread) {}
    /// Runs `work(call)`, which performs the call and fills in its answer.
    template <class Work>
    void record(Call call, Work work) {
        call.thread = thread_;
        call.begin = fenced_clock();
        work(call);
        call.end = fenced_clock();
        calls_.push_back(std::move(call));
    }
    [[nodiscard]] std::vector<Call>& calls() noexcept { return calls_; }

  private:
    std::uint32_t thread_;
    std::vector<Call> calls_;
};

/// A lane for each thread; the whole history when all have ended.
class Recorder {
  public:
    explicit Recorder(std::size_t threads) {
        for (std::size_t t = 0; t != threads; ++t)
            lanes_.emplace_back(static_cast<std::uint32_t>(t));
    }
    [[nodiscard]] Lane& lane(std::size_t thread) { return lanes_[thread]; }
    [[nodiscard]] std::vector<Call> take();

  private:
    std::vector<Lane> lanes_;
};

} // namespace hotindex::stress
