// What the models of the whole index share: a small index with handles, and scripts of calls that have to be
// linearizable.
#pragma once

#include "history.hpp"
#include "model.hpp"

#include <hotindex/adaptive/mode_policy.hpp>
#include <hotindex/lock_free_hot_vector_index.hpp>

#include <array>
#include <cstddef>
#include <initializer_list>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace hotindex::index_models {

using model::current_thread;
using model::Effort;
using model::expect;
using model::History;
using model::hold_until;
using model::Model;
using model::Operation;
using model::Site;
using model::within;
using B = model::CheckerBackend;

inline constexpr std::array<std::string_view, 3> ids{"a", "b", "c"};

/// Does not grow its directory within a model.
struct RoomyTraits : TinyTraits {
    static constexpr std::size_t first_buckets = 2;
    static constexpr std::size_t load_percent = 100'000;
};

/// Ids in buckets of their own.
struct WideTraits : RoomyTraits {
    static constexpr std::size_t first_buckets = 16;
};

/// The first two slots in groups of their own: what replaces a slot there tells another group of it.
struct ApartTraits : RoomyTraits {
    static constexpr std::uint32_t first_segment = 1;
};

/// A thread has the last slot that it reclaimed at hand.
struct AtHandTraits : RoomyTraits {
    static constexpr std::uint32_t slots_at_hand = 1;
};

/// A first segment of eight slots, which a search looks at together, and five vectors that nobody touches in it.
struct EightTraits : RoomyTraits {
    static constexpr std::uint32_t first_segment = 8;
    static constexpr std::size_t max_segment = 8;
    static constexpr int bystanders = 5;
    static constexpr Effort effort{.bounded = 4'000, .random = 4'000};
};

// ---- scripts: what each thread calls, as data ----

struct Call {
    enum Kind { add, remove, get, contains, search, set_mode } kind = get;
    int id = 0;
    int value = 0;             ///< set_mode: an IndexMode
    int answer = 0;            ///< add: 1 inserted, 2 replaced; remove, contains: 1 or 0; get: the value, 0 for none
    std::array<int, 3> seen{}; ///< search: the value of each id, 0 for none
};
struct Oracle {
    std::array<int, 3> value{};
    bool takes(const Call& c) {
        int& v = value[static_cast<std::size_t>(c.id)];
        const int old = v;
        switch (c.kind) {
        case Call::add:
            v = c.value;
            return c.answer == (old == 0 ? 1 : 2);
        case Call::remove:
            v = 0;
            return c.answer == (old == 0 ? 0 : 1);
        case Call::get:
            return c.answer == old;
        case Call::contains:
            return c.answer == (old == 0 ? 0 : 1);
        case Call::set_mode:
            return true;
        default:
            return c.seen == value;
        }
    }
};
inline constexpr int a = 0;
inline constexpr int b = 1;
inline constexpr int c = 2;
constexpr Call add(int id, int value) {
    return {Call::add, id, value, 0, {}};
}
constexpr Call remove(int id) {
    return {Call::remove, id, 0, 0, {}};
}
constexpr Call get(int id) {
    return {Call::get, id, 0, 0, {}};
}
constexpr Call contains(int id) {
    return {Call::contains, id, 0, 0, {}};
}
constexpr Call search() {
    return {Call::search, 0, 0, 0, {}};
}

/// Of an adaptive index.
constexpr Call traditional() {
    return {Call::set_mode, 0, 1, 0, {}};
}
constexpr Call lock_free() {
    return {Call::set_mode, 0, 2, 0, {}};
}

/// Calls of up to three threads, after those of `before`, which run alone.
struct Script {
    static constexpr std::size_t most = 8;
    struct Calls {
        std::array<Call, most> calls{};
        std::size_t size = 0;
        constexpr Calls() = default;
        constexpr Calls(std::initializer_list<Call> list) {
            for (const Call& each : list)
                calls[size++] = each;
        }
        [[nodiscard]] constexpr std::span<const Call> all() const { return {calls.data(), size}; }
    };
    Calls before;
    std::array<Calls, 3> threads{};
    [[nodiscard]] constexpr int count() const { return threads[2].size != 0 ? 3 : 2; }
};

template <class Traits, class IndexType = BasicLockFreeHotVectorIndex<B, Traits>>
class Stage {
  public:
    using Index = IndexType;
    using Handle = typename Index::Handle;

    explicit Stage(int threads, Tracking tracking = Tracking::off, std::uint64_t hot_accesses = 100, bool stats = false)
        : index(IndexOptions{.dimension = 2,
                             .metric = Metric::inner_product,
                             .tracking = tracking,
                             .stats = stats,
                             .tiers = {.hot_accesses = hot_accesses, .manage_every = std::chrono::milliseconds(0)}}) {
        for (int i = 0; i != threads; ++i)
            handles[static_cast<std::size_t>(i)].emplace(index.join());
        if constexpr (requires { Traits::bystanders; })
            for (int i = 0; i != Traits::bystanders; ++i)
                index.add_vector(handle(0), std::string_view("defgh").substr(static_cast<std::size_t>(i), 1),
                                 std::array{0.5F, 0.5F});
    }
    const Handle& handle(int i) { return *handles[static_cast<std::size_t>(i)]; }

    Call perform(const Handle& me, Call call) {
        const std::string_view id = ids[static_cast<std::size_t>(call.id)];
        const auto value = static_cast<float>(call.value);
        switch (call.kind) {
        case Call::add:
            call.answer = index.add_vector(me, id, std::array{value, value}) == AddOutcome::inserted ? 1 : 2;
            break;
        case Call::remove:
            call.answer = index.remove_vector(me, id) ? 1 : 0;
            break;
        case Call::contains:
            call.answer = index.contains(me, id) ? 1 : 0;
            break;
        case Call::get:
            if (const std::optional<std::vector<float>> row = index.get_vector(me, id)) {
                expect((*row)[0] == (*row)[1], "a row is whole");
                call.answer = static_cast<int>((*row)[0]);
            }
            break;
        case Call::set_mode:
            if constexpr (requires { index.set_mode(IndexMode::automatic); })
                index.set_mode(static_cast<IndexMode>(call.value));
            break;
        default:
            call.seen = seen_by(index.search(me, query, 16));
        }
        return call;
    }
    static std::array<int, 3> seen_by(const std::vector<Match>& matches) {
        std::array<int, 3> seen{};
        int bystanders = 0;
        for (const Match& m : matches) {
            if (m.id[0] > 'c') {
                ++bystanders;
                continue;
            }
            int& mine = seen[static_cast<std::size_t>(m.id[0] - 'a')];
            expect(mine == 0, "an id comes once in a result");
            mine = static_cast<int>(m.score);
        }
        if constexpr (requires { Traits::bystanders; })
            expect(bystanders == Traits::bystanders, "a search finds what nobody touches");
        return seen;
    }
    /// Everything is over: nothing may be left in limbo, and of what was announced no more than what threads abandoned.
    void finish(std::uint64_t abandoned = 0) {
        for (std::size_t i = 1; i != handles.size(); ++i)
            handles[i].reset();
        // what is in limbo needs a few advances; drain() makes three
        expect(index.drain(handle(0)), "everything retired is recycled in the end");
        expect(index.changes_in_flight() == abandoned, "what was announced is complete, or withdrawn");
    }
    static constexpr std::array query{1.0F, 0.0F};
    Index index;
    std::array<std::optional<Handle>, 3> handles;
};

template <const Script& S, class Traits, class IndexType = BasicLockFreeHotVectorIndex<B, Traits>>
struct Scripted : Stage<Traits, IndexType> {
    static constexpr int threads = S.count();
    std::optional<History<Call, Oracle>> history;

    Scripted() : Stage<Traits, IndexType>(threads) {
        Oracle start;
        for (const Call& call : S.before.all())
            start.takes(this->perform(this->handle(0), call));
        history.emplace(start);
    }
    void thread(int i) {
        for (const Call& call : S.threads[static_cast<std::size_t>(i)].all())
            history->record([&] { return this->perform(this->handle(i), call); });
    }
    void after() {
        history->record([&] { return this->perform(this->handle(0), search()); });
        for (int id = 0; id != 3; ++id)
            history->record([&] { return this->perform(this->handle(0), get(id)); });
        history->check();
        this->finish();
    }
};

template <class Traits>
constexpr Effort effort_of() {
    if constexpr (requires { Traits::effort; })
        return Traits::effort;
    return {};
}

} // namespace hotindex::index_models

/// A model whose threads call what the script says.
#define HOTINDEX_SCRIPT(name, traits, claim, ...)                                                                      \
    constexpr Script name##_script __VA_ARGS__;                                                                        \
    const Model<Scripted<name##_script, traits>> name##_model(#name, claim, effort_of<traits>())
