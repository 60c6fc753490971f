// The maps, with limits so small that every one of them is met, listened to.
#include "harness/map_subject.hpp"
#include "harness/stress_backend.hpp"
#include "harness/visits.hpp"

#include <hotindex/map/lock_free_btree.hpp>
#include <hotindex/map/lock_free_hash_map.hpp>
#include <hotindex/map/lock_free_skip_list.hpp>

namespace hotindex::stress {
namespace {
using HashMap =
    LockFreeHashMap<std::string, Value, DefaultHash<std::string>, DefaultEqual<std::string>, StressBackend, TinyTraits>;
using SkipList = LockFreeSkipList<std::string, Value, DefaultLess<std::string>, StressBackend, TinyTraits>;
using Tree = LockFreeBTree<std::string, Value, DefaultLess<std::string>, StressBackend, TinyTraits>;
} // namespace

std::unique_ptr<Subject> make_map_subject(MapKind kind) {
    switch (kind) {
    case MapKind::hash:
        return std::make_unique<MapSubject<HashMap>>();
    case MapKind::skip_list:
        return std::make_unique<MapSubject<SkipList>>();
    default:
        return std::make_unique<MapSubject<Tree>>();
    }
}

std::size_t wrong_visits(MapKind kind, const VisitPlan& plan, Schedule* schedule) {
    const auto wrong_in = [&](auto map) {
        const std::size_t wrong = wrong_visits_beside_changes(*map, plan, schedule);
        return wrong + (map->drain() ? 0u : 1u);
    };
    return kind == MapKind::skip_list ? wrong_in(std::make_unique<SkipList>()) : wrong_in(std::make_unique<Tree>());
}

} // namespace hotindex::stress
