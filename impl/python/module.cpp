// The Python module hotindex: both indexes, with numpy arrays in and out.
//
// Every call that looks at vectors or may wait releases the interpreter's lock (GIL), so that Python threads add, remove
// and search at the same time. An array of C-contiguous float32 is read where it lies; any other is converted first.
// What it holds while a call reads it must not be changed by another thread. Rows and scores that are returned are
// arrays whose memory the index has filled, not copies. Ids are str, as UTF-8.
//
// An id filter is called back with the GIL held, from within the search; so it must not use that index.
#include <hotindex/hot_vector_index.hpp>
#include <hotindex/lock_free_hot_vector_index.hpp>
#include <hotindex/storage/saved_index.hpp>
#include <hotindex/version.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <pybind11/chrono.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace py = pybind11;

namespace {
using namespace hotindex;
using Array = py::array_t<float, py::array::c_style | py::array::forcecast>;
using NoGil = py::call_guard<py::gil_scoped_release>;

/// As search() of the module answers: ids, and an array of their scores.
using Answer = std::pair<py::list, py::array_t<float>>;

std::span<const float> floats_of(const Array& array, py::ssize_t dimensions, std::string_view what) {
    if (array.ndim() != dimensions)
        throw InvalidArgument(fmt::format("the {} has {} axes; give an array with {}", what, array.ndim(), dimensions));
    return {array.data(), static_cast<std::size_t>(array.size())};
}

/// An array of this shape that owns the floats.
py::array_t<float> array_of(std::vector<float> floats, std::vector<py::ssize_t> shape) {
    auto owned = std::make_unique<std::vector<float>>(std::move(floats));
    const float* const data = owned->data();
    const py::capsule owner(owned.release(), [](void* p) { delete static_cast<std::vector<float>*>(p); });
    return py::array_t<float>(std::move(shape), data, owner);
}

Answer answer_of(const std::vector<Match>& matches) {
    py::list ids(matches.size());
    py::array_t<float> scores(static_cast<py::ssize_t>(matches.size()));
    float* const score = scores.mutable_data();
    for (std::size_t i = 0; i != matches.size(); ++i) {
        ids[i] = py::str(matches[i].id);
        score[i] = matches[i].score;
    }
    return {std::move(ids), std::move(scores)};
}

/// The enumerator of that name.
template <class Enum, std::size_t N>
Enum named(std::string_view name, const std::pair<std::string_view, Enum> (&all)[N], std::string_view what) {
    std::string known;
    for (const auto& [each, value] : all) {
        if (each == name)
            return value;
        known += fmt::format("{}\"{}\"", known.empty() ? "" : ", ", each);
    }
    throw InvalidArgument(fmt::format("{} is \"{}\"; give one of {}", what, name, known));
}
Metric metric_of(std::string_view name) {
    constexpr std::pair<std::string_view, Metric> all[] = {
        {name_of(Metric::cosine), Metric::cosine},
        {name_of(Metric::inner_product), Metric::inner_product},
        {name_of(Metric::squared_euclidean), Metric::squared_euclidean}};
    static_assert(std::size(all) == metric_facts.size());
    return named(name, all, "metric");
}
Tracking tracking_of(std::string_view name) {
    constexpr std::pair<std::string_view, Tracking> all[] = {
        {"off", Tracking::off}, {"sampled", Tracking::sampled}, {"exact", Tracking::exact}};
    return named(name, all, "tracking");
}

/// Calls back into Python. Called without the GIL.
IdPredicate predicate_of(const py::function& allowed) {
    return [&allowed](std::string_view id) {
        const py::gil_scoped_acquire gil;
        return allowed(py::str(id.data(), id.size())).template cast<bool>();
    };
}

template <class Index>
void bind(py::module_& module, const char* name, const char* story) {
    py::class_<Index>(module, name, story)
        .def(py::init([](std::size_t dimension, std::string_view metric, std::size_t expected_vectors,
                         std::string_view tracking, bool stats, std::uint64_t hot_accesses,
                         std::chrono::milliseconds hot_within, std::chrono::milliseconds cold_after,
                         std::chrono::milliseconds manage_every) {
                 return std::make_unique<Index>(IndexOptions{.dimension = dimension,
                                                             .metric = metric_of(metric),
                                                             .expected_vectors = expected_vectors,
                                                             .tracking = tracking_of(tracking),
                                                             .stats = stats,
                                                             .tiers = {.hot_accesses = hot_accesses,
                                                                       .hot_within = hot_within,
                                                                       .cold_after = cold_after,
                                                                       .manage_every = manage_every}});
             }),
             py::arg("dimension"), py::kw_only(), py::arg("metric") = "cosine", py::arg("expected_vectors") = 0,
             py::arg("tracking") = "off", py::arg("stats") = true,
             py::arg("hot_accesses") = TierThresholds{}.hot_accesses,
             py::arg("hot_within") = TierThresholds{}.hot_within, py::arg("cold_after") = TierThresholds{}.cold_after,
             py::arg("manage_every") = TierThresholds{}.manage_every,
             "metric: \"cosine\", \"inner_product\" or \"squared_euclidean\". tracking of accesses: \"off\", "
             "\"sampled\" or \"exact\". The three times are datetime.timedelta. Raises InvalidArgument.")
        .def(
            "add_vector",
            [](Index& index, std::string_view id, const Array& vector) {
                const std::span<const float> floats = floats_of(vector, 1, "vector");
                const py::gil_scoped_release no_gil;
                return index.add_vector(id, floats) == AddOutcome::inserted;
            },
            py::arg("id"), py::arg("vector"),
            "Inserts or replaces; returns True if it was inserted. vector: `dimension` floats. Raises InvalidArgument.")
        .def(
            "add_vectors",
            [](Index& index, const std::vector<std::string>& ids, const Array& vectors) {
                const std::span<const float> floats = floats_of(vectors, 2, "batch");
                if (static_cast<std::size_t>(vectors.shape(0)) != ids.size())
                    throw InvalidArgument(fmt::format("there are {} ids and {} vectors; give as many of both",
                                                      ids.size(), vectors.shape(0)));
                const auto columns = static_cast<std::size_t>(vectors.shape(1));
                const py::gil_scoped_release no_gil;
                std::size_t inserted = 0;
                for (std::size_t i = 0; i != ids.size(); ++i)
                    inserted += index.add_vector(ids[i], floats.subspan(i * columns, columns)) == AddOutcome::inserted;
                return inserted;
            },
            py::arg("ids"), py::arg("vectors"),
            "Adds one after the other, without the interpreter; returns how many were inserted. vectors: an array with "
            "a row for each id. Raises InvalidArgument, and has added those before then.")
        .def(
            "remove_vector", [](Index& index, std::string_view id) { return index.remove_vector(id); }, py::arg("id"),
            NoGil(), "Returns True if it was there.")
        .def(
            "remove_vectors",
            [](Index& index, const std::vector<std::string>& ids) {
                const std::vector<std::string_view> views(ids.begin(), ids.end());
                return index.remove_batch(views);
            },
            py::arg("ids"), NoGil(), "Returns how many were there.")
        .def(
            "clear", [](Index& index) { return index.clear(); }, NoGil(),
            "Removes all that is there at one instant; returns how many.")
        .def(
            "contains", [](const Index& index, std::string_view id) { return index.contains(id); }, py::arg("id"),
            NoGil())
        .def(
            "__contains__", [](const Index& index, std::string_view id) { return index.contains(id); }, NoGil())
        .def(
            "__len__", [](const Index& index) { return index.size(); }, NoGil())
        .def(
            "get_vector",
            [](const Index& index, std::string_view id) -> std::optional<py::array_t<float>> {
                std::optional<std::vector<float>> found;
                {
                    const py::gil_scoped_release no_gil;
                    found = index.get_vector(id);
                }
                if (!found)
                    return std::nullopt;
                const auto size = static_cast<py::ssize_t>(found->size());
                return array_of(std::move(*found), {size});
            },
            py::arg("id"), "An array, or None. Counts as an access.")
        .def(
            "search",
            [](const Index& index, const Array& query, std::size_t k, const std::optional<py::function>& allowed) {
                const std::span<const float> floats = floats_of(query, 1, "query");
                std::vector<Match> matches;
                {
                    const py::gil_scoped_release no_gil;
                    matches = allowed ? index.search(floats, k, predicate_of(*allowed)) : index.search(floats, k);
                }
                return answer_of(matches);
            },
            py::arg("query"), py::arg("k"), py::arg("allowed") = py::none(),
            "The k best, best first, ties by id: (list of ids, array of scores). allowed(id): which ids may be "
            "answered; it must not use this index. Raises InvalidArgument, and what `allowed` raises.")
        .def(
            "search_batch",
            [](const Index& index, const Array& queries, std::size_t k, const std::optional<py::function>& allowed) {
                const std::span<const float> floats = floats_of(queries, 2, "batch");
                if (queries.size() != 0 && static_cast<std::size_t>(queries.shape(1)) != index.options().dimension)
                    throw InvalidArgument(fmt::format("the batch has rows of {} floats; this index holds vectors of {}",
                                                      queries.shape(1), index.options().dimension));
                std::vector<std::vector<Match>> all;
                {
                    const py::gil_scoped_release no_gil;
                    all =
                        allowed ? index.search_batch(floats, k, predicate_of(*allowed)) : index.search_batch(floats, k);
                }
                std::vector<Answer> answers;
                answers.reserve(all.size());
                for (const std::vector<Match>& matches : all)
                    answers.push_back(answer_of(matches));
                return answers;
            },
            py::arg("queries"), py::arg("k"), py::arg("allowed") = py::none(),
            "A list: what search() answers to each row, all of it on one state. Raises InvalidArgument.")
        .def(
            "search_radius",
            [](const Index& index, const Array& query, float radius, std::optional<std::size_t> k,
               const std::optional<py::function>& allowed) {
                const std::span<const float> floats = floats_of(query, 1, "query");
                const std::size_t most = k.value_or(std::numeric_limits<std::size_t>::max());
                std::vector<Match> matches;
                {
                    const py::gil_scoped_release no_gil;
                    matches = allowed ? index.search_radius(floats, radius, most, predicate_of(*allowed))
                                      : index.search_radius(floats, radius, most);
                }
                return answer_of(matches);
            },
            py::arg("query"), py::arg("radius"), py::arg("k") = py::none(), py::arg("allowed") = py::none(),
            "As search(): all whose score is not worse than radius, a score of the metric; the k best of them.")
        .def(
            "vectors",
            [](const Index& index) {
                std::vector<std::string> ids;
                std::vector<float> rows;
                const std::size_t dimension = index.options().dimension;
                {
                    const py::gil_scoped_release no_gil;
                    index.for_each([&](std::string_view id, std::span<const float> vector) {
                        ids.emplace_back(id);
                        rows.insert(rows.end(), vector.begin(), vector.end());
                    });
                }
                const auto n = static_cast<py::ssize_t>(ids.size());
                return std::pair(std::move(ids), array_of(std::move(rows), {n, static_cast<py::ssize_t>(dimension)}));
            },
            "All of the state at one instant: (list of ids, array with a row for each), in no particular order.")
        .def(
            "access", [](const Index& index, std::string_view id) { return index.access(id); }, py::arg("id"), NoGil(),
            "Counts an access without reading; returns True if the id is there.")
        .def(
            "access_stats", [](const Index& index, std::string_view id) { return index.access_stats(id); },
            py::arg("id"), NoGil(), "An AccessStats, or None.")
        .def(
            "promote", [](const Index& index, std::string_view id) { return index.promote(id); }, py::arg("id"),
            NoGil(), "One tier up; False if absent or hot already.")
        .def(
            "demote", [](const Index& index, std::string_view id) { return index.demote(id); }, py::arg("id"), NoGil(),
            "One tier down; False if absent or cold already.")
        .def(
            "manage_tiers", [](const Index& index) { return index.manage_tiers(); }, NoGil(),
            "Reassigns all tiers now; returns how many changed.")
        .def(
            "memory_usage", [](const Index& index) { return index.memory_usage(); }, NoGil(), "A MemoryUsage.")
        .def(
            "get_stats", [](const Index& index) { return index.get_stats(); }, NoGil(), "An IndexStats.")
        .def(
            "reset_stats", [](Index& index) { index.reset_stats(); }, NoGil())
        .def(
            "save", [](const Index& index, const std::filesystem::path& path) { return save(index, path).bytes; },
            py::arg("path"), NoGil(),
            "Saves the state at one instant, and replaces a file that is there; returns the bytes. Raises "
            "StorageError; then what was there is unchanged.")
        .def_static(
            "load", [](const std::filesystem::path& path) { return load<Index>(path); }, py::arg("path"), NoGil(),
            "An index of what a file holds, with its dimension and metric. Raises StorageError.")
        .def_property_readonly("dimension", [](const Index& index) { return index.options().dimension; })
        .def_property_readonly("metric", [](const Index& index) { return name_of(index.options().metric); });
}
} // namespace

PYBIND11_MODULE(hotindex, module) {
    module.doc() =
        "In-memory exact vector index: string id -> float vector. Any number of threads may use one at a time.";
    module.attr("__version__") = std::string(library_version);
    py::register_exception<InvalidArgument>(module, "InvalidArgument", PyExc_ValueError);
    py::register_exception<StorageError>(module, "StorageError", PyExc_OSError);
    py::class_<AccessStats>(module, "AccessStats", "What is known of one vector's accesses.")
        .def_readonly("count", &AccessStats::count)
        .def_readonly("created", &AccessStats::created)
        .def_readonly("last", &AccessStats::last)
        .def_property_readonly("tier", [](const AccessStats& stats) { return name_of(stats.tier); });
    py::class_<IndexStats>(module, "IndexStats", "Totals since construction or reset_stats().")
        .def_readonly("vectors", &IndexStats::vectors)
        .def_readonly("queries", &IndexStats::queries)
        .def_property_readonly("query_seconds",
                               [](const IndexStats& s) { return std::chrono::duration<double>(s.query_time).count(); })
        .def_readonly("similarity_computations", &IndexStats::similarity_computations)
        .def_readonly("promotions", &IndexStats::promotions)
        .def_readonly("demotions", &IndexStats::demotions);
    py::class_<MemoryUsage>(module, "MemoryUsage", "Bytes, by what they are for.")
        .def_readonly("rows", &MemoryUsage::rows)
        .def_readonly("bookkeeping", &MemoryUsage::bookkeeping)
        .def_readonly("ids", &MemoryUsage::ids)
        .def_readonly("table", &MemoryUsage::table)
        .def_readonly("records", &MemoryUsage::records)
        .def_readonly("limbo", &MemoryUsage::limbo)
        .def_property_readonly("total", [](const MemoryUsage& usage) { return usage.total(); });
    bind<LockFreeHotVectorIndex>(module, "LockFreeHotVectorIndex",
                                 "Nobody waits for anybody; a search is an atomic snapshot.");
    bind<HotVectorIndex<std::mutex>>(module, "HotVectorIndex", "The traditional index, behind a lock.");
}
