// MapSubject: a map behind the same virtual functions as an index, so that the same histories are played on it.
#pragma once

#include "harness/random_calls.hpp"
#include "harness/subject.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace hotindex::stress {

/// A map as what histories are played on: an add inserts or assigns, and there are no searches.
template <class Map>
class MapSubject final : public Subject {
    class MapSession final : public Session {
      public:
        explicit MapSession(Map& map) : map_(map), me_(map.join()) {}
        void perform(Call& call) override {
            const std::string key = name_of_id(call.id);
            switch (call.operation) {
            case Operation::add:
                call.yes = add(key, call.value);
                break;
            case Operation::remove:
                call.yes = map_.erase(me_, key);
                break;
            case Operation::contains:
                call.yes = map_.contains(me_, key);
                break;
            default:
                call.value = map_.get(me_, key).value_or(0);
            }
        }
        void perform_batch(std::span<Call>) override { std::abort(); }
        [[nodiscard]] std::unique_ptr<HeldSnapshot> hold() override { return nullptr; }
        [[nodiscard]] std::uint64_t tick() override { return 0; }
        [[nodiscard]] std::optional<std::uint64_t> accesses(Id) override { return std::nullopt; }
        bool drain() override { return map_.drain(me_); }

      private:
        /// By all the ways that there are.
        bool add(const std::string& key, Value value) {
            switch (value % 3) {
            case 0:
                return map_.insert_or_assign(me_, key, value);
            case 1:
                return !map_.exchange(me_, key, value).has_value();
            default:
                while (!map_.insert(me_, key, value))
                    if (map_.update(me_, key, [value](Value) { return value; }))
                        return false;
                return true;
            }
        }
        Map& map_;
        typename Map::Handle me_;
    };

  public:
    [[nodiscard]] std::unique_ptr<Session> join() override { return std::make_unique<MapSession>(map_); }
    [[nodiscard]] std::size_t dimension() const override { return 2; }
    [[nodiscard]] std::size_t size() const override { return map_.size(); }
    [[nodiscard]] EpochStats epoch_stats() const override { return map_.epoch_stats(); }
    [[nodiscard]] IndexStats stats() const override { return {}; }
    [[nodiscard]] bool has_versions() const override { return false; }

  private:
    Map map_;
};

} // namespace hotindex::stress
