#include <hotindex/search/similarity.hpp>
#include <hotindex/vector_index.hpp>

#include <fmt/format.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <vector>

namespace hotindex {

std::string_view name_of(Tier tier) noexcept {
    switch (tier) {
    case Tier::hot:
        return "hot";
    case Tier::warm:
        return "warm";
    case Tier::cold:
        return "cold";
    }
    return "unknown";
}

namespace check {

void options(const IndexOptions& options) {
    if (options.dimension == 0 || options.dimension > max_dimension)
        throw InvalidArgument(
            fmt::format("IndexOptions.dimension is {}; give the number of floats in a vector, 1 to {}",
                        options.dimension, max_dimension));
    if (options.tiers.hot_within.count() < 0 || options.tiers.cold_after.count() < 0 ||
        options.tiers.manage_every.count() < 0)
        throw InvalidArgument(fmt::format("IndexOptions.tiers has a negative time (hot_within {} ms, cold_after {} ms, "
                                          "manage_every {} ms); give times of "
                                          "0 ms or more",
                                          options.tiers.hot_within.count(), options.tiers.cold_after.count(),
                                          options.tiers.manage_every.count()));
    if (options.tiers.hot_within > options.tiers.cold_after)
        throw InvalidArgument(fmt::format(
            "IndexOptions.tiers.hot_within ({} ms) is longer than cold_after ({} ms), so a vector could be both; make "
            "hot_within the shorter one",
            options.tiers.hot_within.count(), options.tiers.cold_after.count()));
}

void id(std::string_view id) {
    if (id.empty())
        throw InvalidArgument("the id is empty (\"\"); give every vector a non-empty id");
}

namespace {
/// name(): what the vector is called in a message.
template <class Name>
float row(std::span<const float> vector, const IndexOptions& options, Name name) {
    // As the kernels add, so that what is accepted here has a norm there.
    const float squares = squared_norm(vector);
    // A number that is not finite makes the sum not finite; so may large ones.
    if (!std::isfinite(squares)) [[unlikely]]
        for (std::size_t i = 0; i != vector.size(); ++i)
            if (!std::isfinite(vector[i]))
                throw InvalidArgument(
                    fmt::format("{} has {} at position {}; give finite numbers only", name(), vector[i], i));
    if (!needs_norm(options.metric))
        return 1;
    if (!(squares >= smallest_squared_norm && squares <= largest_squared_norm)) [[unlikely]]
        throw InvalidArgument(
            fmt::format("{} has squared norm {} in float arithmetic, so it has no {} similarity; scale it "
                        "(the squared norm must be at least {:g} and at most {:g}), or use another metric",
                        name(), squares, name_of(options.metric), smallest_squared_norm, largest_squared_norm));
    return inverse_norm(squares);
}
} // namespace

float vector(std::span<const float> vector, const IndexOptions& options, std::string_view what) {
    if (vector.empty())
        throw InvalidArgument(
            fmt::format("the {} is empty; this index holds vectors of {} floats", what, options.dimension));
    if (vector.size() != options.dimension)
        throw InvalidArgument(fmt::format("the {} has {} floats; this index holds vectors of {}", what, vector.size(),
                                          options.dimension));
    return row(vector, options, [&] { return fmt::format("the {}", what); });
}

namespace {
std::string shown(std::string_view id) {
    return fmt::format("\"{}\"", id);
}
std::string shown(std::uint64_t id) {
    return fmt::format("{}", id);
}

template <class View>
std::vector<float> new_rows(std::span<const View> ids, std::span<const float> vectors, const IndexOptions& options) {
    if (vectors.size() != ids.size() * options.dimension)
        throw InvalidArgument(fmt::format("the batch has {} ids and {} floats; give {} floats for each id", ids.size(),
                                          vectors.size(), options.dimension));
    std::vector<float> inverse_norms;
    inverse_norms.reserve(ids.size());
    std::unordered_map<View, std::size_t> rows;
    rows.reserve(ids.size());
    for (std::size_t i = 0; i != ids.size(); ++i) {
        if constexpr (std::is_same_v<View, std::string_view>)
            if (ids[i].empty())
                throw InvalidArgument(
                    fmt::format("id {} of the batch is empty (\"\"); give every vector a non-empty id", i));
        if (const auto [there, fresh] = rows.emplace(ids[i], i); !fresh)
            throw InvalidArgument(fmt::format("id {} comes twice in the batch, at {} and at {}; give each id once",
                                              shown(ids[i]), there->second, i));
        inverse_norms.push_back(row(vectors.subspan(i * options.dimension, options.dimension), options,
                                    [&] { return fmt::format("vector {} of the batch", i); }));
    }
    return inverse_norms;
}
} // namespace

std::vector<float> new_vectors(std::span<const std::string_view> ids, std::span<const float> vectors,
                               const IndexOptions& options) {
    return new_rows(ids, vectors, options);
}
std::vector<float> new_vectors(std::span<const std::uint64_t> ids, std::span<const float> vectors,
                               const IndexOptions& options) {
    return new_rows(ids, vectors, options);
}

void radius(float radius) {
    if (std::isnan(radius))
        throw InvalidArgument("the radius is nan; give a score of the index's metric, or an infinity");
}

void batch(std::span<const float> queries, const IndexOptions& options) {
    if (queries.size() % options.dimension != 0)
        throw InvalidArgument(
            fmt::format("the batch has {} floats, which is not a multiple of the dimension {}; give whole rows",
                        queries.size(), options.dimension));
    for (std::size_t i = 0; i != queries.size() / options.dimension; ++i)
        row(queries.subspan(i * options.dimension, options.dimension), options,
            [&] { return fmt::format("query {} of the batch", i); });
}

} // namespace check
} // namespace hotindex
