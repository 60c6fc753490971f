#include "dataset/dataset.hpp"
#include "dataset/direction.hpp"
#include "dataset/hdf5.hpp"
#include "dataset/stream.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <numeric>
#include <utility>

namespace hotindex::bench {

DatasetError::DatasetError(const std::filesystem::path& file, std::optional<std::uint64_t> offset,
                           std::string_view reason, std::string_view remedy, std::string_view whence)
    : std::runtime_error(offset
                             ? fmt::format("{}: at byte {}{}: {}; {}", file.string(), *offset, whence, reason, remedy)
                             : fmt::format("{}: {}; {}", file.string(), reason, remedy)),
      file_(file), offset_(offset) {}

std::string_view name_of(Format format) noexcept {
    switch (format) {
    case Format::fvecs:
        return "fvecs";
    case Format::bvecs:
        return "bvecs";
    case Format::ivecs:
        return "ivecs";
    case Format::fbin:
        return "fbin";
    case Format::f16bin:
        return "f16bin";
    case Format::u8bin:
        return "u8bin";
    case Format::i8bin:
        return "i8bin";
    case Format::ibin:
        return "ibin";
    case Format::idx:
        return "IDX";
    case Format::npy:
        return "npy";
    case Format::hdf5:
        return "HDF5";
    }
    return "unknown";
}

std::optional<Metric> metric_named(std::string_view name) {
    std::string plain(name);
    for (char& c : plain)
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c == ' ' || c == '-' ? '_' : c;
    // ann-benchmarks: angular, euclidean, ip; its dot files, and those of other benchmarks: the rest. "normalized" are
    // unit vectors by their cosine.
    constexpr std::array<std::pair<std::string_view, Metric>, 14> names{{
        {"cosine", Metric::cosine},
        {"angular", Metric::cosine},
        {"cos", Metric::cosine},
        {"normalized", Metric::cosine},
        {"squared_euclidean", Metric::squared_euclidean},
        {"euclidean", Metric::squared_euclidean},
        {"sqeuclidean", Metric::squared_euclidean},
        {"l2", Metric::squared_euclidean},
        {"l2_squared", Metric::squared_euclidean},
        {"inner_product", Metric::inner_product},
        {"innerproduct", Metric::inner_product},
        {"ip", Metric::inner_product},
        {"dot", Metric::inner_product},
        {"dot_product", Metric::inner_product},
    }};
    const auto found = std::ranges::find(names, plain, [](const auto& each) { return each.first; });
    return found == names.end() ? std::nullopt : std::optional(found->second);
}

namespace {

constexpr std::array<std::pair<std::string_view, Format>, 12> extensions{{{"fvecs", Format::fvecs},
                                                                          {"bvecs", Format::bvecs},
                                                                          {"ivecs", Format::ivecs},
                                                                          {"fbin", Format::fbin},
                                                                          {"f16bin", Format::f16bin},
                                                                          {"u8bin", Format::u8bin},
                                                                          {"i8bin", Format::i8bin},
                                                                          {"ibin", Format::ibin},
                                                                          {"idx", Format::idx},
                                                                          {"npy", Format::npy},
                                                                          {"hdf5", Format::hdf5},
                                                                          {"h5", Format::hdf5}}};

/// Single-character insertions, deletions and replacements from one word to the other (Levenshtein).
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i != a.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i + 1);
        for (std::size_t j = 0; j != b.size(); ++j) {
            const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
        }
    }
    return row.back();
}

/// The file's name in lower case without a final .gz and a .crop_nb_10000000 before it.
[[nodiscard]] std::string plain_name(const std::filesystem::path& file) {
    std::string name = file.filename().string();
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    if (name.ends_with(".gz"))
        name.resize(name.size() - 3);
    if (const auto crop = name.rfind(".crop_nb_"); crop != std::string::npos && crop != 0)
        name.resize(crop);
    return name;
}

/// "images-idx3-ubyte", "images.idx3-ubyte": "idx" and a digit at the start of a word.
[[nodiscard]] bool is_idx_name(std::string_view name) {
    const auto at = name.rfind("idx");
    return at != std::string_view::npos && at != 0 && (name[at - 1] == '-' || name[at - 1] == '.') &&
           at + 3 < name.size() && name[at + 3] >= '0' && name[at + 3] <= '9';
}

[[nodiscard]] std::string extension_of(std::string_view plain_name) {
    const auto dot = plain_name.rfind('.');
    return dot == std::string_view::npos ? "" : std::string(plain_name.substr(dot + 1));
}

[[nodiscard]] Format format_by_name(const std::filesystem::path& file) {
    const std::string name = plain_name(file);
    const std::string extension = extension_of(name);
    for (const auto& [known, format] : extensions)
        if (known == extension)
            return format;
    if (is_idx_name(name))
        return Format::idx;
    std::string list;
    std::string_view nearest;
    std::size_t least = 4; // further away is no suggestion
    for (const auto& [known, format] : extensions) {
        list += fmt::format("{}.{}", list.empty() ? "" : ", ", known);
        const std::size_t distance = edit_distance(extension, known);
        if (!extension.empty() && distance < least && distance < std::max(extension.size(), known.size())) {
            least = distance;
            nearest = known;
        }
    }
    const std::string hint = nearest.empty() ? "" : fmt::format("; did you mean .{}?", nearest);
    const std::string reason = extension.empty() ? std::string("the format is not known: the name has no extension")
                                                 : fmt::format("the format is not known: extension '.{}'", extension);
    throw DatasetError(file, std::nullopt, reason,
                       fmt::format("supported are {} (all but HDF5 also with .gz){}", list, hint));
}

[[nodiscard]] bool starts_with(std::span<const std::byte> head, std::string_view magic) {
    return head.size() >= magic.size() &&
           std::equal(magic.begin(), magic.end(), head.begin(),
                      [](char expected, std::byte found) { return static_cast<std::byte>(expected) == found; });
}

/// None of these beginnings is a possible fvecs dimension, so content goes before the name; the one of IDX is a
/// possible fbin number of rows (of 17 million and more).
[[nodiscard]] std::optional<Format> format_by_content(std::span<const std::byte> head) {
    using namespace std::string_view_literals;
    if (starts_with(head, "\x89HDF\r\n\x1a\n"sv))
        return Format::hdf5;
    if (starts_with(head, "\x93NUMPY"sv))
        return Format::npy;
    if (head.size() >= 4 && starts_with(head, "\0\0"sv) && head[3] != std::byte{0} && head[3] < std::byte{16}) {
        const auto code = std::to_integer<unsigned>(head[2]);
        if (code == 0x08 || code == 0x09 || (code >= 0x0B && code <= 0x0E))
            return Format::idx;
    }
    return std::nullopt;
}

[[nodiscard]] Matrix<float> to_float(Matrix<std::int32_t> integers) {
    Matrix<float> matrix;
    matrix.rows = integers.rows;
    matrix.columns = integers.columns;
    matrix.cut = integers.cut;
    matrix.values.assign(integers.values.begin(), integers.values.end());
    return matrix;
}

[[nodiscard]] Matrix<float> read_as(Format format, const std::filesystem::path& file, const ReadOptions& options) {
    switch (format) {
    case Format::fvecs:
        return read_fvecs(file, options);
    case Format::bvecs:
        return read_bvecs(file, options);
    case Format::ivecs:
        return to_float(read_ivecs(file, options));
    case Format::fbin:
    case Format::f16bin:
    case Format::u8bin:
    case Format::i8bin:
    case Format::ibin:
        return read_bin(file, format, options);
    case Format::idx:
        return read_idx(file, options);
    case Format::npy:
        return read_npy(file, options);
    case Format::hdf5:
        return read_hdf5(file, options, {}, false).train;
    }
    throw InvalidArgument(fmt::format("format {} is not known", static_cast<int>(format)));
}

/// Ids must be rows of the base, rows must match the queries.
void check_ground_truth(const GroundTruth& truth, std::size_t base_rows, std::size_t query_rows,
                        const std::filesystem::path& file) {
    if (truth.queries != query_rows)
        throw DatasetError(
            file, std::nullopt,
            fmt::format("the ground truth is for {} queries, the dataset has {}", truth.queries, query_rows),
            "give the ground truth of these queries");
    for (std::size_t i = 0; i != truth.ids.size(); ++i)
        if (truth.ids[i] < 0 || static_cast<std::size_t>(truth.ids[i]) >= base_rows)
            throw DatasetError(
                file, std::nullopt,
                fmt::format("the ground truth of query {} names row {} at position {}, but the base has {} "
                            "rows",
                            i / truth.k, truth.ids[i], i % truth.k, base_rows),
                "give the ground truth of this base");
}

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
    throw DatasetError(
        file, std::nullopt,
        fmt::format("the attribute 'distance' is '{}'{}", name,
                    sets   ? ", which compares sets; an index compares vectors of numbers"
                    : bits ? ", which counts the bits that differ; an index compares vectors of numbers"
                           : ""),
        sets   ? "give a file made for angular, cosine, euclidean, l2, ip, dot or inner_product"
        : bits ? "--metric=squared_euclidean counts the same on vectors of 0 and 1"
               : "say by what to compare: --metric=cosine, --metric=inner_product or --metric=squared_euclidean");
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

Format format_of(const std::filesystem::path& file) {
    const ByteStream stream(file);
    const auto format = format_by_content(stream.head());
    if (format == Format::hdf5 && stream.compressed())
        throw DatasetError(file, std::nullopt, "this HDF5 file is compressed as a whole",
                           "decompress it first (gunzip)");
    const std::string extension = extension_of(plain_name(file));
    if (format && !(format == Format::idx && extension.ends_with("bin")))
        return *format;
    return format_by_name(file);
}

Matrix<float> read_matrix(const std::filesystem::path& file, const ReadOptions& options) {
    return read_as(format_of(file), file, options);
}

GroundTruth load_ground_truth(const std::filesystem::path& ids, const std::optional<std::filesystem::path>& scores,
                              const ReadOptions& options) {
    GroundTruth truth;
    auto id_rows = read_ivecs(ids, options);
    truth.queries = id_rows.rows;
    truth.k = id_rows.columns;
    truth.ids = std::move(id_rows.values);
    for (std::size_t i = 0; i != truth.ids.size(); ++i)
        if (truth.ids[i] < 0)
            throw DatasetError(
                ids, (i / truth.k) * 4 * (truth.k + 1) + 4 * (i % truth.k + 1),
                fmt::format("row {} has the id {} at position {}", i / truth.k, truth.ids[i], i % truth.k),
                "ids are row numbers, 0 or more");
    if (scores) {
        auto score_rows = read_fvecs(*scores, options);
        if (score_rows.rows != truth.queries || score_rows.columns != truth.k)
            throw DatasetError(*scores, std::nullopt,
                               fmt::format("there are {} rows of {} scores for {} rows of {} ids in {}",
                                           score_rows.rows, score_rows.columns, truth.queries, truth.k, ids.string()),
                               "give the two files of one ground truth");
        truth.scores = std::move(score_rows.values);
    }
    return truth;
}

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
        base = read_as(format, file, base_options);
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

std::uint64_t checksum(std::span<const float> values) noexcept {
    std::uint64_t hash = 0xCBF29CE484222325u;
    for (const float value : values) {
        auto bits = std::bit_cast<std::uint32_t>(value);
        for (int byte = 0; byte != 4; ++byte, bits >>= 8)
            hash = (hash ^ (bits & 0xFF)) * 0x100000001B3u;
    }
    return hash;
}

} // namespace hotindex::bench
