#include "dataset/load.hpp"

#include "dataset/direction.hpp"
#include "dataset/error.hpp"
#include "dataset/hdf5.hpp"
#include "dataset/matrix_file.hpp"
#include "dataset/metrics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

namespace hotindex::bench {

namespace {

/// What an HDF5 file says, with its ground truth's scores in our terms where the writer's are known.
struct Distance {
    std::string name;
    std::optional<Metric> metric;
    [[nodiscard]] bool has_known_scores() const { return name == "angular" || name == "euclidean"; }
    [[nodiscard]] float score_of(float distance) const noexcept {
        return metric == Metric::cosine ? 1 - distance : distance * distance;
    }
    /// Whether a ground truth made with this distance holds under `other`. Vectors of 0 and 1 differ in |a - b|^2
    /// places.
    [[nodiscard]] bool agrees_with(Metric other) const {
        return metric == other || (name == "hamming" && other == Metric::squared_euclidean);
    }
};

[[nodiscard]] Distance distance_of(const std::filesystem::path& file, const std::string& name, bool overridden) {
    Distance distance{name, metric_named(name)};
    if (distance.metric || overridden)
        return distance;
    const bool sets = name == "jaccard";
    const bool bits = name == "hamming";
    throw DatasetError(file, std::nullopt,
                       fmt::format("the attribute 'distance' is '{}'{}", name,
                                   sets   ? ", which compares sets; an index compares vectors of numbers"
                                   : bits ? ", which counts the bits that differ; an index compares vectors of numbers"
                                          : ""),
                       sets   ? "give a file made for angular, cosine, euclidean, l2, ip, dot or inner_product"
                       : bits ? "--metric=squared_euclidean counts the same on vectors of 0 and 1"
                              : fmt::format("say by what to compare: {}", metrics_in_words("--metric=")));
}

[[nodiscard]] GroundTruth truth_of(const std::filesystem::path& file, const Matrix<std::int64_t>& neighbors,
                                   const std::optional<Matrix<float>>& distances,
                                   const std::optional<Distance>& measured) {
    GroundTruth truth;
    truth.queries = neighbors.rows;
    truth.k = neighbors.columns;
    truth.ids.reserve(neighbors.values.size());
    for (const std::int64_t id : neighbors.values) {
        if (id < 0 || id > std::numeric_limits<std::int32_t>::max())
            throw DatasetError(file, std::nullopt, fmt::format("'neighbors' names row {}", id), again_remedy);
        truth.ids.push_back(static_cast<std::int32_t>(id));
    }
    if (distances && measured && measured->has_known_scores()) {
        if (distances->rows != truth.queries || distances->columns != truth.k)
            throw DatasetError(file, std::nullopt,
                               fmt::format("'distances' has {} rows of {}, 'neighbors' has {} of {}", distances->rows,
                                           distances->columns, truth.queries, truth.k),
                               again_remedy);
        for (const float distance : distances->values)
            truth.scores.push_back(measured->score_of(distance));
    }
    return truth;
}

void split_queries(Dataset& dataset, const std::filesystem::path& file, std::optional<std::size_t> wanted) {
    constexpr std::size_t usual = 100;
    const std::size_t rows = dataset.base_rows();
    const std::size_t count = wanted.value_or(std::min(usual, std::max<std::size_t>(1, rows / 10)));
    if (count == 0)
        return;
    if (count >= rows)
        throw DatasetError(
            file, std::nullopt,
            fmt::format("{} of its {} rows cannot be split off as queries: no vector would remain", count, rows),
            wanted ? "ask for fewer queries, for none, or give a query file" : "give a file with at least 2 vectors");
    const std::size_t keep = (rows - count) * dataset.dimension;
    dataset.queries.assign(dataset.base.begin() + static_cast<std::ptrdiff_t>(keep), dataset.base.end());
    dataset.base.resize(keep);
    dataset.source += fmt::format("; the last {} split off as queries", count);
}

[[nodiscard]] std::string short_name(const std::filesystem::path& file) {
    std::filesystem::path name = file.filename();
    if (name.extension() == ".gz")
        name = name.stem();
    return name.stem().string();
}

} // namespace

Dataset load_dataset(const std::filesystem::path& file, const LoadOptions& options) {
    if (options.ground_truth_scores && !options.ground_truth_ids)
        throw InvalidArgument("ground_truth_scores is given without ground_truth_ids; give both");
    const ReadOptions base_options{options.max_rows, options.max_bytes};
    const ReadOptions query_options{options.queries == 0u ? std::optional<std::size_t>(1) : options.queries,
                                    options.max_bytes};
    const Format format = format_of(file);
    Dataset dataset;
    dataset.name = short_name(file);

    Matrix<float> base;
    std::optional<Matrix<float>> queries;
    std::optional<GroundTruth> own_truth;
    if (format == Format::hdf5) {
        std::optional<Distance> distance;
        if (const auto name = read_hdf5_distance(file))
            distance = distance_of(file, *name, options.metric.has_value());
        Hdf5Contents contents = read_hdf5(file, base_options, query_options, true);
        if (distance)
            dataset.metric = distance->metric;
        if (contents.neighbors && contents.test && !contents.train.cut) {
            if (distance && options.metric && !distance->agrees_with(*options.metric))
                dataset.notes.push_back(fmt::format(
                    "{}: the ground truth is left out: it was made with the distance {}, and the metric is {}",
                    file.string(), distance->name, name_of(*options.metric)));
            else
                own_truth = truth_of(file, *contents.neighbors, contents.distances, distance);
        }
        base = std::move(contents.train);
        queries = std::move(contents.test);
    } else {
        base = read_matrix(file, format, base_options);
    }
    if (options.metric)
        dataset.metric = options.metric;
    else if (!dataset.metric)
        dataset.metric = options.default_metric;
    dataset.dimension = base.columns;
    dataset.source = fmt::format("{} ({}): {}{} rows of {}", file.filename().string(), name_of(format),
                                 base.cut ? "the first " : "", base.rows, base.columns);
    dataset.base = std::move(base.values);

    if (options.query_file) {
        queries = read_matrix(*options.query_file, query_options);
        own_truth.reset();
        if (queries->columns != dataset.dimension)
            throw DatasetError(*options.query_file, std::nullopt,
                               fmt::format("the queries have dimension {}, the vectors in {} have {}", queries->columns,
                                           file.string(), dataset.dimension),
                               "give queries of the same dimension");
    }
    if (!queries) {
        split_queries(dataset, file, options.queries);
    } else if (options.queries != 0u) {
        dataset.source += fmt::format("; {}{} queries from {}", queries->cut ? "the first " : "", queries->rows,
                                      options.query_file ? options.query_file->filename().string() : "the same file");
        dataset.queries = std::move(queries->values);
        if (own_truth) {
            check_ground_truth(*own_truth, dataset.base_rows(), dataset.query_rows(), file);
            dataset.ground_truth = std::move(own_truth);
        }
    }

    if (options.ground_truth_ids) {
        if (base.cut)
            throw InvalidArgument(
                fmt::format("max_rows leaves rows of {} out, so the ground truth in {} does not hold; give "
                            "only one of the two",
                            file.string(), options.ground_truth_ids->string()));
        // The first queries of a query file keep the first answers; other queries split off are other queries.
        const ReadOptions truth_options{queries ? query_options.max_rows : std::nullopt, options.max_bytes};
        GroundTruth truth = load_ground_truth(*options.ground_truth_ids, options.ground_truth_scores, truth_options);
        check_ground_truth(truth, dataset.base_rows(), dataset.query_rows(), *options.ground_truth_ids);
        dataset.ground_truth = std::move(truth);
    }
    if (dataset.metric == Metric::cosine) {
        const bool hdf5 = format == Format::hdf5;
        leave_out_rows_without_direction(dataset,
                                         {.base_file = file,
                                          .base_table = hdf5 ? "'train'" : "the vectors",
                                          .query_file = options.query_file.value_or(file),
                                          .query_table = hdf5 && !options.query_file ? "'test'" : "the queries",
                                          .first_query = queries ? 0 : dataset.base_rows()});
    }
    return dataset;
}

} // namespace hotindex::bench
