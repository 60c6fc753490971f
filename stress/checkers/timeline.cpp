// A history and its verdict for people: report() and timeline() of linearizability.hpp.
#include "checkers/linearizability.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

namespace hotindex::stress {

namespace {

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
