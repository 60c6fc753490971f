#include "checkers/linearizability.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <tuple>
#include <unordered_set>
#include <utility>

namespace hotindex::stress {

namespace {

using State = std::vector<Value>;

bool is_read(const Call& call) {
    return call.operation != Operation::add && call.operation != Operation::remove;
}
bool is_open(const Call& call) {
    return call.end == never;
}

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

std::string escaped(std::string_view text) {
    std::string safe;
    for (const char c : text) {
        if (c == '&')
            safe += "&amp;";
        else if (c == '<')
            safe += "&lt;";
        else if (c == '>')
            safe += "&gt;";
        else
            safe += c;
    }
    return safe;
}

std::string_view heading(Verdict::Kind kind) {
    switch (kind) {
    case Verdict::linearizable:
        return "linearizable";
    case Verdict::undecided:
        return "undecided: the search was given up";
    case Verdict::violation:
        break;
    }
    return "NOT linearizable";
}

std::string state_in_words(const std::vector<Value>& state) {
    std::string text;
    for (Id id = 0; id != state.size(); ++id)
        if (state[id] != 0)
            text += fmt::format("{}id {} = {}", text.empty() ? "" : ", ", id, state[id]);
    return text.empty() ? "empty" : text;
}

/// What the call would have answered in this state.
std::string answer_in_words(const std::vector<Value>& state, Call call, std::size_t dimension) {
    const bool there = call.operation != Operation::search && state[call.id] != 0;
    call.yes = call.operation == Operation::add ? !there : there;
    if (call.operation == Operation::get)
        call.value = state[call.id];
    if (call.operation == Operation::search)
        call.found = best_of(state, call.query, call.most, dimension);
    const std::string words = in_words(call);
    return words.substr(words.find(": ") + 2);
}

/// The states that the blamed call may have met, if the others came in the order found, and what it would have
/// answered there: why none of them explains it.
std::string right_answers(const History& history, const Verdict& verdict) {
    const Call& blamed = history.calls[verdict.blamed];
    const std::string words = in_words(blamed);
    std::string text = fmt::format("  the answer was:          {}\n", words.substr(words.find(": ") + 2));
    std::size_t first = verdict.order.size(); // of the calls that had not ended when the blamed one began
    while (first != 0 && history.calls[verdict.order[first - 1]].end >= blamed.begin)
        --first;
    std::vector<Value> state = history.start;
    std::vector<Value> shown;
    for (std::size_t i = 0; i <= verdict.order.size(); ++i) {
        if (i != 0) {
            const Call& call = history.calls[verdict.order[i - 1]];
            if (call.begin > blamed.end)
                break;
            static_cast<void>(step(state, call, history.dimension));
        }
        if (i < first || state == shown)
            continue;
        text += fmt::format("  right, {:<17} {:<40}  {}\n",
                            i == 0 ? "at the beginning:" : fmt::format("after number {}:", i),
                            answer_in_words(state, blamed, history.dimension), state_in_words(state));
        shown = state;
    }
    return text;
}

std::vector<std::size_t> by_begin(const History& history) {
    std::vector<std::size_t> calls(history.calls.size());
    for (std::size_t i = 0; i != calls.size(); ++i)
        calls[i] = i;
    std::sort(calls.begin(), calls.end(), [&](std::size_t a, std::size_t b) {
        return std::pair(history.calls[a].begin, a) < std::pair(history.calls[b].begin, b);
    });
    return calls;
}

/// The place of each call in the longest explanation; 0 for none.
std::vector<std::size_t> places(const History& history, const Verdict& verdict) {
    std::vector<std::size_t> place(history.calls.size(), 0);
    for (std::size_t i = 0; i != verdict.order.size(); ++i)
        place[verdict.order[i]] = i + 1;
    return place;
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

std::string report(const History& history, const Verdict& verdict) {
    std::string text = fmt::format("{} ({} calls, {} configurations); begins {}\n", heading(verdict.kind),
                                   history.calls.size(), verdict.configurations, state_in_words(history.start));
    const std::vector<std::size_t> place = places(history, verdict);
    std::uint64_t origin = never;
    for (const Call& c : history.calls)
        origin = std::min(origin, c.begin);
    for (const std::size_t i : by_begin(history)) {
        const Call& c = history.calls[i];
        text += fmt::format("  {:>10} {:>10}  thread {}  {:<40}{}\n", c.begin - origin,
                            is_open(c) ? "..." : fmt::format("{}", c.end - origin), c.thread, in_words(c),
                            verdict.kind == Verdict::violation && i == verdict.blamed ? "  <- no order explains this"
                            : place[i] != 0 ? fmt::format("  explained as number {}", place[i])
                                            : "");
    }
    if (verdict.kind == Verdict::violation)
        text += right_answers(history, verdict);
    return text;
}

std::string timeline(const History& history, const Verdict& verdict, const std::string& title) {
    // Moments are drawn at equal distances: what counts is their order, and nanoseconds would hide it.
    std::vector<std::uint64_t> moments;
    std::map<std::uint32_t, int> lanes; // of the threads that have calls here
    for (const Call& c : history.calls) {
        moments.push_back(c.begin);
        if (!is_open(c))
            moments.push_back(c.end);
        lanes[c.thread] = 0;
    }
    for (int lane = 0; auto& [thread, number] : lanes)
        number = lane++;
    std::sort(moments.begin(), moments.end());
    moments.erase(std::unique(moments.begin(), moments.end()), moments.end());
    constexpr int left = 90;
    constexpr int column = 110;
    constexpr int row = 64;
    const int width = left + static_cast<int>(moments.size() + 1) * column;
    const int height = static_cast<int>(lanes.size()) * row + 10;
    const auto x_of = [&](std::uint64_t time) {
        const auto at = std::lower_bound(moments.begin(), moments.end(), time) - moments.begin();
        return left + static_cast<int>(at) * column;
    };
    std::string page = fmt::format(
        "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{0}</title>\n"
        "<style>body{{font:15px sans-serif;margin:24px}}pre{{background:#f4f4f4;padding:12px}}</style>\n"
        "<h1>{0}</h1>\n<p>{1}. It begins {2}. Time runs to the right, the distances mean nothing. The number on a call "
        "is its place in the longest order that explains the answers; red is the call whose answer no order explains, "
        "green are updates, blue are reads. A search says how many it asks for, which query, and which ids it found, "
        "with their scores. Below: the times in nanoseconds, and what the red call should have answered in each state "
        "that it may have met.</p>\n",
        escaped(title), heading(verdict.kind), escaped(state_in_words(history.start)));
    page +=
        fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
                    "font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"{0}\" height=\"{1}\" "
                    "fill=\"white\"/>\n",
                    width, height);
    for (const auto& [thread, lane] : lanes)
        page += fmt::format("<text x=\"8\" y=\"{0}\" fill=\"#333\">thread {1}</text><line x1=\"{2}\" y1=\"{3}\" "
                            "x2=\"{4}\" y2=\"{3}\" stroke=\"#ccc\"/>\n",
                            lane * row + 46, thread, left - 10, lane * row + 42, width);
    const std::vector<std::size_t> place = places(history, verdict);
    for (const std::size_t i : by_begin(history)) {
        const Call& c = history.calls[i];
        const bool red = verdict.kind == Verdict::violation && i == verdict.blamed;
        const int x = x_of(c.begin);
        const int w = is_open(c) ? width - x : std::max(x_of(c.end) - x, 8);
        const int y = lanes[c.thread] * row;
        const char* const fill = red ? "#e4572e" : place[i] == 0 ? "#cfcfcf" : is_read(c) ? "#9ecae1" : "#a1d99b";
        page += fmt::format("<g><title>{0}</title><rect x=\"{1}\" y=\"{2}\" width=\"{3}\" height=\"22\" rx=\"4\" "
                            "fill=\"{4}\" stroke=\"#555\"/><text x=\"{5}\" y=\"{6}\">{7}</text><text x=\"{1}\" "
                            "y=\"{8}\">{0}</text></g>\n",
                            escaped(in_words(c)), x, y + 31, w, fill, x + 5, y + 47,
                            place[i] == 0 ? std::string(red ? "?" : "") : fmt::format("{}", place[i]), y + 25);
    }
    page += "</svg>\n<pre>" + escaped(report(history, verdict)) + "</pre>\n</html>\n";
    return page;
}

} // namespace hotindex::stress
