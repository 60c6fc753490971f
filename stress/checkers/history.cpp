#include "checkers/history.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace hotindex::stress {

namespace {
constexpr std::string_view id_prefix = "id-";
constexpr std::size_t id_digits = 6;

bool asks_for_scrambled(Query query) {
    return query == Query::scrambled_largest || query == Query::scrambled_smallest;
}
float sign_of(Query query) {
    return query == Query::largest || query == Query::scrambled_largest ? 1.0F : -1.0F;
}
} // namespace

std::string name_of_id(Id id) {
    return fmt::format("{}{:0{}}", id_prefix, id, id_digits);
}

std::optional<Id> id_of_name(std::string_view name) {
    if (name.size() != id_prefix.size() + id_digits || !name.starts_with(id_prefix))
        return std::nullopt;
    Id id = 0;
    const char* const end = name.data() + name.size();
    const auto [at, error] = std::from_chars(name.data() + id_prefix.size(), end, id);
    return error == std::errc() && at == end ? std::optional(id) : std::nullopt;
}

std::vector<float> row_of(Value value, std::size_t dimension) {
    std::vector<float> row(dimension, static_cast<float>(value));
    std::fill(row.begin() + static_cast<std::ptrdiff_t>(dimension / 2), row.end(),
              static_cast<float>(scrambled(value)));
    return row;
}

std::optional<Value> value_of(std::span<const float> row) {
    if (row.empty() || !(row[0] >= 1 && row[0] <= static_cast<float>(most_value)))
        return std::nullopt;
    const auto value = static_cast<Value>(row[0]);
    for (std::size_t i = 0; i != row.size(); ++i)
        if (row[i] != static_cast<float>(i < row.size() / 2 ? value : scrambled(value)))
            return std::nullopt;
    return value;
}

std::vector<float> floats_of(Query query, std::size_t dimension) {
    std::vector<float> floats(dimension, 0.0F);
    const auto half = static_cast<std::ptrdiff_t>(dimension / 2);
    if (asks_for_scrambled(query))
        std::fill(floats.begin() + half, floats.end(), sign_of(query));
    else
        std::fill(floats.begin(), floats.begin() + half, sign_of(query));
    return floats;
}

float score_of(Query query, Value value, std::size_t dimension) {
    const Value each = asks_for_scrambled(query) ? scrambled(value) : value;
    const std::size_t terms = asks_for_scrambled(query) ? dimension - dimension / 2 : dimension / 2;
    return sign_of(query) * static_cast<float>(terms) * static_cast<float>(each);
}

std::string_view name_of(Operation operation) noexcept {
    switch (operation) {
    case Operation::add:
        return "add";
    case Operation::remove:
        return "remove";
    case Operation::get:
        return "get";
    case Operation::contains:
        return "contains";
    case Operation::search:
        break;
    }
    return "search";
}

std::string in_words(const Call& call) {
    const bool open = call.end == never;
    switch (call.operation) {
    case Operation::add:
        return fmt::format("add id {} = {}{}", call.id, call.value,
                           open       ? ": has not returned"
                           : call.yes ? ": inserted"
                                      : ": replaced");
    case Operation::remove:
        return fmt::format("remove id {}{}", call.id,
                           open       ? ": has not returned"
                           : call.yes ? ": removed"
                                      : ": was not there");
    case Operation::get:
        return call.value == 0 ? fmt::format("get id {}: nothing", call.id)
                               : fmt::format("get id {}: {}", call.id, call.value);
    case Operation::contains:
        return fmt::format("contains id {}: {}", call.id, call.yes ? "yes" : "no");
    case Operation::search:
        break;
    }
    constexpr std::string_view queries[] = {"largest", "smallest", "scrambled largest", "scrambled smallest"};
    std::string text = fmt::format("search best {}, {}:", call.most, queries[static_cast<std::size_t>(call.query)]);
    for (const Found& found : call.found)
        text += fmt::format("{} id {} ({:g})", text.ends_with(':') ? "" : ",", found.id, found.score);
    return call.found.empty() ? text + " nothing" : text;
}

std::vector<Found> best_of(const std::vector<Value>& state, Query query, std::size_t k, std::size_t dimension) {
    std::vector<Found> all;
    for (Id id = 0; id != state.size(); ++id)
        if (state[id] != 0)
            all.push_back({id, score_of(query, state[id], dimension)});
    std::sort(all.begin(), all.end(),
              [](const Found& a, const Found& b) { return a.score != b.score ? a.score > b.score : a.id < b.id; });
    all.resize(std::min(all.size(), k));
    return all;
}

bool step(std::vector<Value>& state, const Call& call, std::size_t dimension) {
    const bool answered = call.end != never;
    switch (call.operation) {
    case Operation::add: {
        const bool inserts = state[call.id] == 0;
        state[call.id] = call.value;
        return !answered || call.yes == inserts;
    }
    case Operation::remove: {
        const bool there = state[call.id] != 0;
        state[call.id] = 0;
        return !answered || call.yes == there;
    }
    case Operation::get:
        return !answered || call.value == state[call.id];
    case Operation::contains:
        return !answered || call.yes == (state[call.id] != 0);
    case Operation::search:
        break;
    }
    return !answered || call.found == best_of(state, call.query, call.most, dimension);
}

std::vector<Call> Recorder::take() {
    std::vector<Call> all;
    for (Lane& lane : lanes_) {
        all.insert(all.end(), std::make_move_iterator(lane.calls().begin()),
                   std::make_move_iterator(lane.calls().end()));
        lane.calls().clear();
    }
    return all;
}

} // namespace hotindex::stress
