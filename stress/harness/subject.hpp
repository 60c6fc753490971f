// Subject: an index under test behind virtual functions, so that drivers and checkers are compiled once and each index
// is instantiated in one place.
#pragma once

#include "checkers/history.hpp"

#include <hotindex/reclaim/epoch_domain.hpp>
#include <hotindex/vector_index.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

namespace hotindex::stress {

/// What a call answers when a row or an id came back that nobody wrote: no oracle agrees with it.
inline constexpr Value torn = most_value + 1;
inline constexpr Id unknown_id = ~Id{0};

/// One state of the index, for several searches.
class HeldSnapshot {
  public:
    virtual ~HeldSnapshot() = default;
    /// Fills in the answer and the stamp; `call` is a search.
    virtual void perform(Call& call) = 0;
    [[nodiscard]] virtual std::size_t size() const = 0;
};

/// A thread's way into the index. Used by one thread at a time, ends before the subject.
class Session {
  public:
    virtual ~Session() = default;
    /// Performs the call and fills in its answer and its stamp.
    virtual void perform(Call& call) = 0;
    /// Searches that are answered by one search_batch: all with the same k.
    virtual void perform_batch(std::span<Call> calls) = 0;
    /// nullptr where the index has no snapshots.
    [[nodiscard]] virtual std::unique_ptr<HeldSnapshot> hold() = 0;
    /// The version clock now; 0 where there is none.
    [[nodiscard]] virtual std::uint64_t tick() = 0;
    /// Accesses counted for the id; nullopt when it is not there.
    [[nodiscard]] virtual std::optional<std::uint64_t> accesses(Id id) = 0;
    /// Reclaims what can be; true if nothing is left in limbo.
    virtual bool drain() = 0;
};

class Subject {
  public:
    virtual ~Subject() = default;
    [[nodiscard]] virtual std::unique_ptr<Session> join() = 0;
    [[nodiscard]] virtual std::size_t dimension() const = 0;
    [[nodiscard]] virtual std::size_t size() const = 0;
    [[nodiscard]] virtual EpochStats epoch_stats() const = 0;
    [[nodiscard]] virtual IndexStats stats() const = 0;
    [[nodiscard]] virtual bool has_versions() const = 0;
};

/// The lock-free index on StressBackend, with the tunables that ship.
[[nodiscard]] std::unique_ptr<Subject> make_shipped_subject(IndexOptions options);
/// The same with TinyTraits: growth, reuse and reclamation within a few operations.
[[nodiscard]] std::unique_ptr<Subject> make_tiny_subject(IndexOptions options);
/// The traditional index, with a mutex that a StepListener hears (progress.hpp).
[[nodiscard]] std::unique_ptr<Subject> make_locked_subject(IndexOptions options);
/// The same with an ElidedMutex on transactions in software, of which half are aborted.
[[nodiscard]] std::unique_ptr<Subject> make_elided_subject(IndexOptions options);
/// The adaptive index with TinyTraits; it changes its mode before every other call.
[[nodiscard]] std::unique_ptr<Subject> make_adaptive_subject(IndexOptions options);

/// A map with TinyTraits: an add inserts or assigns, and there are no searches.
enum class MapKind : std::uint8_t { hash, skip_list, tree };
[[nodiscard]] std::unique_ptr<Subject> make_map_subject(MapKind kind);
/// Visits that were not right in an ordered map with TinyTraits, and one more where something stays in limbo; see
/// wrong_visits_beside_changes() in visits.hpp.
[[nodiscard]] std::size_t wrong_visits(MapKind kind, const struct VisitPlan& plan, class Schedule* schedule);

/// Options for histories: Metric::inner_product, nothing counted.
[[nodiscard]] inline IndexOptions history_options(std::size_t dimension) {
    return IndexOptions{.dimension = dimension, .metric = Metric::inner_product, .stats = false};
}

} // namespace hotindex::stress
