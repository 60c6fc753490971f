#include "checkers/linearizability.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <optional>
#include <tuple>
#include <unordered_set>
#include <utility>

namespace hotindex::stress {

namespace {

using State = std::vector<Value>;

/// The calls taken, then the state.
using Configuration = std::vector<std::uint64_t>;
struct HashOfConfiguration {
    std::size_t operator()(const Configuration& words) const noexcept {
        std::uint64_t h = 0x9E37'79B9'7F4A'7C15u;
        for (const std::uint64_t w : words) {
            h = (h ^ w) * 0xFF51'AFD7'ED55'8CCDu;
            h ^= h >> 32;
        }
        return static_cast<std::size_t>(h);
    }
};

/// One search over some calls of a history.
class Search {
  public:
    Search(const History& history, const std::vector<std::size_t>& calls, std::uint64_t budget)
        : history_(history), calls_(calls), budget_(budget), state_(history.start), taken_((calls.size() + 63) / 64) {
        struct Event {
            std::uint64_t time;
            bool returns;
            std::size_t call;
        };
        std::vector<Event> events;
        for (std::size_t i = 0; i != calls_.size(); ++i) {
            events.push_back({call(i).begin, false, i});
            events.push_back({call(i).end, true, i});
            completed_ += is_open(call(i)) ? 0 : 1;
        }
        // At equal times all begin before any returns: such calls overlap.
        std::sort(events.begin(), events.end(), [](const Event& a, const Event& b) {
            return std::tie(a.time, a.returns, a.call) < std::tie(b.time, b.returns, b.call);
        });
        // A doubly linked list, node 0 is its head and end.
        nodes_.resize(events.size() + 1);
        std::vector<std::size_t> begins(calls_.size());
        for (std::size_t n = 1; n != nodes_.size(); ++n) {
            nodes_[n].call = events[n - 1].call;
            nodes_[n].returns = events[n - 1].returns;
            if (!nodes_[n].returns)
                begins[nodes_[n].call] = n;
            else
                nodes_[begins[nodes_[n].call]].match = n;
        }
        for (std::size_t n = 0; n != nodes_.size(); ++n) {
            nodes_[n].next = (n + 1) % nodes_.size();
            nodes_[(n + 1) % nodes_.size()].previous = n;
        }
    }

    /// Stops at the first explanation.
    Verdict run() {
        Verdict verdict;
        verdict.kind = explore(false);
        verdict.order = best_;
        verdict.blamed = blamed_;
        verdict.configurations = seen_.size();
        return verdict;
    }

    /// All states that explanations end with; nullopt if that takes too long.
    std::optional<std::vector<State>> ends() {
        if (explore(true) == Verdict::undecided)
            return std::nullopt;
        return ends_;
    }

  private:
    struct Node {
        std::size_t call = 0;
        bool returns = false;
        std::size_t match = 0; ///< of a begin: its return
        std::size_t previous = 0;
        std::size_t next = 0;
    };
    struct Taken {
        std::size_t node;
        State before;
    };

    const Call& call(std::size_t i) const { return history_.calls[calls_[i]]; }

    Verdict::Kind explore(bool all) {
        std::vector<Taken> stack;
        std::size_t done = 0; // completed calls in the stack
        note(stack, 0);
        if (completed_ == 0) {
            ends_.push_back(state_);
            if (!all)
                return Verdict::linearizable;
        }
        std::size_t at = nodes_[0].next;
        while (at != 0 || !stack.empty()) {
            if (at != 0 && !nodes_[at].returns) {
                State next = state_;
                if (step(next, call(nodes_[at].call), history_.dimension) && remember(nodes_[at].call, next)) {
                    if (seen_.size() > budget_)
                        return Verdict::undecided;
                    stack.push_back({at, std::exchange(state_, std::move(next))});
                    flip(nodes_[at].call);
                    lift(at);
                    done += is_open(call(nodes_[at].call)) ? 0 : 1;
                    if (stack.size() > best_.size() || done == completed_)
                        note(stack, nodes_[0].next);
                    if (done == completed_) {
                        if (std::find(ends_.begin(), ends_.end(), state_) == ends_.end())
                            ends_.push_back(state_);
                        if (!all)
                            return Verdict::linearizable;
                    }
                    at = nodes_[0].next;
                } else {
                    at = nodes_[at].next;
                }
                continue;
            }
            // A call has returned that was not taken: something before it was wrong.
            if (stack.empty())
                break;
            const Taken last = std::move(stack.back());
            stack.pop_back();
            state_ = last.before;
            flip(nodes_[last.node].call);
            unlift(last.node);
            done -= is_open(call(nodes_[last.node].call)) ? 0 : 1;
            at = nodes_[last.node].next;
        }
        return ends_.empty() ? Verdict::violation : Verdict::linearizable;
    }

    /// The longest explanation so far, and the first call that returns without being in it.
    void note(const std::vector<Taken>& stack, std::size_t first_left) {
        best_.clear();
        for (const Taken& t : stack)
            best_.push_back(calls_[nodes_[t.node].call]);
        std::size_t n = stack.empty() ? nodes_[0].next : first_left;
        while (n != 0 && !nodes_[n].returns)
            n = nodes_[n].next;
        if (n != 0)
            blamed_ = calls_[nodes_[n].call];
    }

    void flip(std::size_t i) { taken_[i / 64] ^= std::uint64_t{1} << i % 64; }

    /// false: this configuration was tried before.
    bool remember(std::size_t i, const State& state) {
        Configuration words = taken_;
        words[i / 64] |= std::uint64_t{1} << i % 64;
        words.insert(words.end(), state.begin(), state.end());
        return seen_.insert(std::move(words)).second;
    }

    void unlink(std::size_t n) {
        nodes_[nodes_[n].previous].next = nodes_[n].next;
        nodes_[nodes_[n].next].previous = nodes_[n].previous;
    }
    void relink(std::size_t n) {
        nodes_[nodes_[n].previous].next = n;
        nodes_[nodes_[n].next].previous = n;
    }
    void lift(std::size_t n) {
        unlink(n);
        unlink(nodes_[n].match);
    }
    void unlift(std::size_t n) {
        relink(nodes_[n].match);
        relink(n);
    }

    const History& history_;
    const std::vector<std::size_t>& calls_;
    std::uint64_t budget_;
    State state_;
    std::vector<std::uint64_t> taken_;
    std::size_t completed_ = 0;
    std::vector<Node> nodes_;
    std::unordered_set<Configuration, HashOfConfiguration> seen_;
    std::vector<std::size_t> best_;
    std::size_t blamed_ = 0;
    std::vector<State> ends_;
};

/// All that an order must hold: reads that never returned say nothing.
std::vector<std::size_t> calls_that_count(const History& history) {
    std::vector<std::size_t> calls;
    for (std::size_t i = 0; i != history.calls.size(); ++i)
        if (!is_open(history.calls[i]) || !is_read(history.calls[i]))
            calls.push_back(i);
    return calls;
}

bool has_search(const History& history, const std::vector<std::size_t>& calls) {
    return std::any_of(calls.begin(), calls.end(),
                       [&](std::size_t i) { return history.calls[i].operation == Operation::search; });
}

bool violates(const History& history) {
    return check_linearizable(history).kind == Verdict::violation;
}

/// What had begun by `time`, as it was known then.
History until(const History& history, std::uint64_t time) {
    History part = history;
    std::erase_if(part.calls, [time](const Call& c) { return c.begin > time; });
    for (Call& c : part.calls)
        if (c.end > time)
            c.end = never;
    std::erase_if(part.calls, [](const Call& c) { return is_open(c) && is_read(c); });
    return part;
}

/// Up to the first return that no order explains. A linearizable history has linearizable beginnings only.
History shortest_beginning(const History& history) {
    std::vector<std::uint64_t> ends;
    for (const Call& c : history.calls)
        if (!is_open(c))
            ends.push_back(c.end);
    std::sort(ends.begin(), ends.end());
    const auto first = std::partition_point(ends.begin(), ends.end(),
                                            [&](std::uint64_t time) { return !violates(until(history, time)); });
    return first == ends.end() ? history : until(history, *first);
}

/// Without the reads that are not needed: leaving out a read cannot make a linearizable history another one.
History without_needless_reads(History history) {
    for (std::size_t i = history.calls.size(); i-- != 0;) {
        if (!is_read(history.calls[i]))
            continue;
        History fewer = history;
        fewer.calls.erase(fewer.calls.begin() + static_cast<std::ptrdiff_t>(i));
        if (violates(fewer))
            history = std::move(fewer);
    }
    return history;
}

/// Without the ids that are not needed. Sound where searches answer with all there is: an order that explains all ids
/// explains some of them.
History without_needless_ids(History history) {
    for (const Call& c : history.calls)
        if (c.operation == Operation::search && c.most < history.start.size())
            return history;
    for (Id id = 0; id != history.start.size(); ++id) {
        History fewer = history;
        fewer.start[id] = 0;
        std::erase_if(fewer.calls, [id](const Call& c) { return c.operation != Operation::search && c.id == id; });
        for (Call& c : fewer.calls)
            std::erase_if(c.found, [id](const Found& f) { return f.id == id; });
        if (violates(fewer))
            history = std::move(fewer);
    }
    return history;
}

/// From the last quiet moment on at which the state is certain.
History from_quiet_moment(const History& history) {
    std::vector<std::uint64_t> begins;
    begins.reserve(history.calls.size());
    for (const Call& c : history.calls)
        begins.push_back(c.begin);
    std::sort(begins.begin(), begins.end(), std::greater<>());
    for (const std::uint64_t time : begins) {
        History before = history;
        std::erase_if(before.calls, [time](const Call& c) { return c.begin >= time; });
        if (before.calls.empty() ||
            std::any_of(before.calls.begin(), before.calls.end(), [time](const Call& c) { return c.end >= time; }))
            continue;
        const std::vector<std::size_t> all = calls_that_count(before);
        const auto ends = Search(before, all, 100'000).ends();
        if (!ends || ends->size() != 1)
            continue;
        History after = history;
        std::erase_if(after.calls, [time](const Call& c) { return c.begin < time; });
        after.start = ends->front();
        if (violates(after))
            return after;
    }
    return history;
}

} // namespace

Verdict check_linearizable(const History& history, std::uint64_t most_configurations) {
    const std::vector<std::size_t> all = calls_that_count(history);
    if (has_search(history, all))
        return Search(history, all, most_configurations).run();
    std::vector<std::vector<std::size_t>> of_id(history.start.size());
    for (const std::size_t i : all)
        of_id[history.calls[i].id].push_back(i);
    Verdict whole;
    for (const auto& calls : of_id) {
        if (calls.empty())
            continue;
        Verdict part = Search(history, calls, most_configurations).run();
        part.configurations += whole.configurations;
        if (part.kind == Verdict::violation)
            return part;
        if (part.kind == Verdict::undecided || whole.kind == Verdict::linearizable)
            whole.kind = part.kind;
        whole.order.insert(whole.order.end(), part.order.begin(), part.order.end());
        whole.configurations = part.configurations;
    }
    return whole;
}

History minimised(const History& history) {
    if (!violates(history))
        return history;
    History least = shortest_beginning(history);
    for (std::size_t before = std::numeric_limits<std::size_t>::max(); least.calls.size() < before;) {
        before = least.calls.size();
        least = without_needless_ids(without_needless_reads(from_quiet_moment(least)));
    }
    return least;
}

} // namespace hotindex::stress
