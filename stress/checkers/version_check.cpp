#include "checkers/version_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <unordered_map>
#include <utility>

namespace hotindex::stress {

namespace {

constexpr std::size_t most_mistakes = 10;

bool updates(const Call& c) {
    return c.operation == Operation::add || (c.operation == Operation::remove && c.yes);
}

/// The versions of all ids in the order of their stamps.
class Versions {
  public:
    struct Version {
        std::uint64_t birth;
        Value value; ///< 0: removed
    };
    explicit Versions(const std::vector<Value>& start) : of_id_(start.size()) {
        for (Id id = 0; id != start.size(); ++id)
            begin(id, 0, start[id]);
    }
    /// Stamps ascend.
    void begin(Id id, std::uint64_t birth, Value value) {
        if (value != 0)
            place_[key(id, value)] = of_id_[id].size();
        of_id_[id].push_back({birth, value});
    }
    [[nodiscard]] Value newest(Id id) const { return of_id_[id].back().value; }

    /// Was there a time within [first, last] at which the id had this value?
    [[nodiscard]] bool had(Id id, Value value, std::uint64_t first, std::uint64_t last) const {
        const auto place = place_.find(key(id, value));
        return place != place_.end() && overlaps(id, place->second, first, last);
    }
    /// Was there a time within [first, last] at which the id was there (or was not)?
    [[nodiscard]] bool was(bool there, Id id, std::uint64_t first, std::uint64_t last) const {
        const auto& all = of_id_[id];
        auto v = std::upper_bound(all.begin(), all.end(), first,
                                  [](std::uint64_t time, const Version& version) { return time < version.birth; });
        for (--v; v != all.end() && v->birth <= last; ++v)
            if ((v->value != 0) == there)
                return true;
        return false;
    }

  private:
    static std::uint64_t key(Id id, Value value) { return std::uint64_t{id} << 32 | value; }
    [[nodiscard]] bool overlaps(Id id, std::size_t at, std::uint64_t first, std::uint64_t last) const {
        const auto& all = of_id_[id];
        const std::uint64_t death = at + 1 == all.size() ? never : all[at + 1].birth;
        return all[at].birth <= last && first < death;
    }
    std::vector<std::vector<Version>> of_id_;
    std::unordered_map<std::uint64_t, std::size_t> place_;
};

/// The state, sorted by score for each query, so that a top-k is a walk over k elements.
class Ranking {
  public:
    Ranking(const std::vector<Value>& start, std::size_t dimension) : dimension_(dimension), state_(start.size(), 0) {
        for (Id id = 0; id != start.size(); ++id)
            set(id, start[id]);
    }
    void set(Id id, Value value) {
        for (std::size_t q = 0; q != query_count; ++q) {
            const auto query = static_cast<Query>(q);
            if (state_[id] != 0)
                best_[q].erase({-score_of(query, state_[id], dimension_), id});
            if (value != 0)
                best_[q].insert({-score_of(query, value, dimension_), id});
        }
        state_[id] = value;
    }
    [[nodiscard]] bool answers(const Call& c) const {
        const auto& best = best_[static_cast<std::size_t>(c.query)];
        if (c.found.size() != std::min<std::size_t>(best.size(), c.most))
            return false;
        return std::equal(c.found.begin(), c.found.end(), best.begin(), [](const Found& f, const auto& exact) {
            return f.id == exact.second && f.score == -exact.first;
        });
    }
    [[nodiscard]] const std::vector<Value>& state() const noexcept { return state_; }

  private:
    std::size_t dimension_;
    std::vector<Value> state_;
    std::array<std::set<std::pair<float, Id>>, query_count> best_;
};

std::vector<std::size_t> by_stamp(const History& history, bool (*chosen)(const Call&)) {
    std::vector<std::size_t> calls;
    for (std::size_t i = 0; i != history.calls.size(); ++i)
        if (chosen(history.calls[i]))
            calls.push_back(i);
    std::sort(calls.begin(), calls.end(), [&](std::size_t a, std::size_t b) {
        return std::pair(history.calls[a].stamp, a) < std::pair(history.calls[b].stamp, b);
    });
    return calls;
}

bool searches(const Call& c) {
    return c.operation == Operation::search;
}

} // namespace

VersionVerdict check_versions(const History& history) {
    VersionVerdict verdict;
    const auto wrong = [&](std::size_t call, std::string what) {
        if (verdict.mistakes.size() != most_mistakes)
            verdict.mistakes.push_back({call, std::move(what)});
        ++verdict.wrong;
    };

    const std::vector<std::size_t> writes = by_stamp(history, updates);
    Versions versions(history.start);
    std::uint64_t before = 0;
    for (const std::size_t i : writes) {
        const Call& c = history.calls[i];
        ++verdict.updates;
        if (!(c.first_tick < c.stamp && c.stamp <= c.last_tick))
            wrong(i, fmt::format("took place at {}, not within its call ({}, {}]", c.stamp, c.first_tick, c.last_tick));
        if (c.stamp == before)
            wrong(i, fmt::format("took place at {}, as another update did", c.stamp));
        before = c.stamp;
        const bool there = versions.newest(c.id) != 0;
        if (c.yes != (c.operation == Operation::add ? !there : there))
            wrong(i, fmt::format("at {} the id was {}", c.stamp, there ? "there" : "not there"));
        versions.begin(c.id, c.stamp, c.operation == Operation::add ? c.value : 0);
    }

    for (std::size_t i = 0; i != history.calls.size(); ++i) {
        const Call& c = history.calls[i];
        if (updates(c) || searches(c))
            continue;
        ++verdict.reads;
        const bool ok =
            c.operation == Operation::get && c.value != 0
                ? versions.had(c.id, c.value, c.first_tick, c.last_tick)
                : versions.was(c.operation == Operation::contains && c.yes, c.id, c.first_tick, c.last_tick);
        if (!ok)
            wrong(i, fmt::format("right at no time from {} to {}", c.first_tick, c.last_tick));
    }

    Ranking ranking(history.start, history.dimension);
    auto write = writes.begin();
    for (const std::size_t i : by_stamp(history, searches)) {
        const Call& c = history.calls[i];
        ++verdict.searches;
        for (; write != writes.end() && history.calls[*write].stamp <= c.stamp; ++write) {
            const Call& w = history.calls[*write];
            ranking.set(w.id, w.operation == Operation::add ? w.value : 0);
        }
        if (!(c.first_tick <= c.stamp && c.stamp <= c.last_tick))
            wrong(i, fmt::format("took place at {}, not within its call [{}, {}]", c.stamp, c.first_tick, c.last_tick));
        if (!ranking.answers(c))
            wrong(i, fmt::format("at {} the exact answer was another one", c.stamp));
    }
    return verdict;
}

Excerpt excerpt_of(const History& history, const VersionVerdict& verdict) {
    constexpr std::size_t most_calls = 12;
    Excerpt excerpt;
    excerpt.history.dimension = history.dimension;
    excerpt.history.start = history.start;
    excerpt.verdict.kind = Verdict::violation;
    if (verdict.mistakes.empty())
        return excerpt;
    const std::size_t at = verdict.mistakes.front().call;
    const Call& blamed = history.calls[at];
    const std::uint64_t time = blamed.stamp != 0 ? blamed.stamp : blamed.last_tick;

    // The state just before its time, and the ids that it is about.
    std::vector<Value> state = history.start;
    const std::vector<std::size_t> writes = by_stamp(history, updates);
    for (const std::size_t i : writes)
        if (history.calls[i].stamp <= time && i != at)
            state[history.calls[i].id] = history.calls[i].operation == Operation::add ? history.calls[i].value : 0;
    std::set<Id> about{blamed.id};
    if (blamed.operation == Operation::search) {
        about.clear();
        const std::vector<Found> exact = best_of(state, blamed.query, blamed.most, history.dimension);
        for (const auto& [some, others] : {std::pair(&exact, &blamed.found), std::pair(&blamed.found, &exact)})
            for (const Found& f : *some)
                if (std::find(others->begin(), others->end(), f) == others->end())
                    about.insert(f.id);
    }

    // The updates of those ids that are nearest to it; what came before them is the start.
    std::vector<std::size_t> near;
    for (const std::size_t i : writes)
        if (about.contains(history.calls[i].id) && i != at)
            near.push_back(i);
    std::sort(near.begin(), near.end(), [&](std::size_t a, std::size_t b) {
        const auto distance = [&](std::size_t i) {
            const std::uint64_t stamp = history.calls[i].stamp;
            return stamp < time ? time - stamp : stamp - time;
        };
        return std::pair(distance(a), a) < std::pair(distance(b), b);
    });
    near.resize(std::min(near.size(), most_calls));
    std::sort(near.begin(), near.end(), [&](std::size_t a, std::size_t b) {
        return std::pair(history.calls[a].stamp, a) < std::pair(history.calls[b].stamp, b);
    });
    for (const std::size_t i : writes)
        if (!near.empty() && history.calls[i].stamp < history.calls[near.front()].stamp && i != at)
            excerpt.history.start[history.calls[i].id] =
                history.calls[i].operation == Operation::add ? history.calls[i].value : 0;
    for (Id id = 0; id != state.size(); ++id) // as the blamed call should have seen those whose updates are left out
        if (!about.contains(id))
            excerpt.history.start[id] = state[id];
    for (const std::size_t i : near) {
        excerpt.verdict.order.push_back(excerpt.history.calls.size());
        excerpt.history.calls.push_back(history.calls[i]);
    }
    excerpt.verdict.blamed = excerpt.history.calls.size();
    excerpt.history.calls.push_back(blamed);
    return excerpt;
}

} // namespace hotindex::stress
