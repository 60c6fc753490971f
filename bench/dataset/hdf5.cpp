#include "dataset/hdf5.hpp"

#include "dataset/error.hpp"

#include <hotindex/vector_index.hpp>

#include <fmt/format.h>
#include <hdf5.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <mutex>
#include <type_traits>
#include <utility>
#include <vector>

namespace hotindex::bench {

namespace {

/// Closes an HDF5 identifier.
class Handle {
  public:
    Handle() = default;
    Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
    Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    Handle& operator=(Handle&& other) noexcept {
        std::swap(id_, other.id_);
        std::swap(close_, other.close_);
        return *this;
    }
    ~Handle() {
        if (id_ >= 0)
            close_(id_);
    }
    [[nodiscard]] hid_t get() const noexcept { return id_; }
    explicit operator bool() const noexcept { return id_ >= 0; }

  private:
    hid_t id_ = -1;
    herr_t (*close_)(hid_t) = nullptr;
};

/// The library prints its errors unless told otherwise; ours are exceptions. Restores the caller's setting.
class QuietErrors {
  public:
    QuietErrors() {
        H5Eget_auto2(H5E_DEFAULT, &function_, &data_);
        H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    }
    ~QuietErrors() { H5Eset_auto2(H5E_DEFAULT, function_, data_); }
    QuietErrors(const QuietErrors&) = delete;
    QuietErrors& operator=(const QuietErrors&) = delete;

  private:
    H5E_auto2_t function_ = nullptr;
    void* data_ = nullptr;
};

/// The descriptions on the library's error stack, innermost first.
[[nodiscard]] std::vector<std::string> library_reasons() {
    std::vector<std::string> reasons;
    H5Ewalk2(
        H5E_DEFAULT, H5E_WALK_UPWARD,
        [](unsigned, const H5E_error2_t* error, void* target) -> herr_t {
            if (error->desc != nullptr && *error->desc != '\0')
                static_cast<std::vector<std::string>*>(target)->emplace_back(error->desc);
            return 0;
        },
        &reasons);
    H5Eclear2(H5E_DEFAULT);
    if (reasons.empty())
        reasons.emplace_back("no reason given");
    return reasons;
}

[[noreturn]] void fail(const std::filesystem::path& file, std::string_view reason, std::string_view remedy) {
    throw DatasetError(file, std::nullopt, reason, remedy);
}

[[noreturn]] void fail_in_library(const std::filesystem::path& file, std::string_view what) {
    fail(file, fmt::format("{} (HDF5 library: {})", what, library_reasons().front()), again_remedy);
}

/// A file that does not open is damaged only when nothing else is to blame.
[[nodiscard]] Handle open_file(const std::filesystem::path& file) {
    Handle root(H5Fopen(file.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
    if (root)
        return root;
    const std::vector<std::string> reasons = library_reasons();
    const auto says = [&](std::string_view words) {
        return std::ranges::any_of(reasons, [&](const std::string& each) { return each.find(words) != each.npos; });
    };
    const bool held = says(fmt::format("errno = {},", EWOULDBLOCK)); // a file system without locks gives another one
    if (says("unable to lock"))
        fail(file,
             fmt::format("{} (HDF5 library: {})",
                         held ? "another program has the file open for writing" : "the file cannot be locked",
                         reasons.front()),
             fmt::format("{}if nothing writes to it, set the environment variable HDF5_USE_FILE_LOCKING=FALSE",
                         held ? "close it there; " : ""));
    if (says("already open for"))
        fail(file, fmt::format("the file says that a program is writing to it (HDF5 library: {})", reasons.front()),
             "close it there; if that program has died, h5clear -s FILE removes the mark");
    fail(file, fmt::format("the file cannot be opened as HDF5 (HDF5 library: {})", reasons.front()), again_remedy);
}

[[nodiscard]] std::string names_in(hid_t root) {
    std::string names;
    hsize_t position = 0;
    H5Literate(
        root, H5_INDEX_NAME, H5_ITER_NATIVE, &position,
        [](hid_t, const char* name, const H5L_info_t*, void* target) -> herr_t {
            auto& text = *static_cast<std::string*>(target);
            text += fmt::format("{}'{}'", text.empty() ? "" : ", ", name);
            return text.size() > 200 ? 1 : 0;
        },
        &names);
    return names.empty() ? "nothing" : names;
}

struct Table {
    std::string name;
    Handle dataset;
    Handle read_as;  ///< bool, which h5py stores as an enumeration of bytes: the type to read. Empty: a number
    int filters = 0; ///< that chunks went through: compression, checksums
    std::uint64_t rows = 0;
    std::uint64_t columns = 0;
    std::size_t element_bytes = 0;
    std::optional<std::uint64_t> offset; ///< of the first value in the file, when the values lie there as they are
};

/// As registered with the HDF Group; files do not always have the name.
[[nodiscard]] std::string_view filter_name(H5Z_filter_t filter, const char* stored) noexcept {
    constexpr std::array<std::pair<H5Z_filter_t, std::string_view>, 9> known{{{H5Z_FILTER_SZIP, "szip"},
                                                                              {307, "bzip2"},
                                                                              {32000, "lzf"},
                                                                              {32001, "blosc"},
                                                                              {32004, "lz4"},
                                                                              {32008, "bitshuffle"},
                                                                              {32013, "zfp"},
                                                                              {32015, "zstd"},
                                                                              {32026, "blosc2"}}};
    for (const auto& [number, name] : known)
        if (number == filter)
            return name;
    return *stored == '\0' ? "without a name" : stored;
}

[[nodiscard]] int filters_of(hid_t dataset) {
    const Handle properties(H5Dget_create_plist(dataset), H5Pclose);
    return properties ? std::max(0, H5Pget_nfilters(properties.get())) : 0;
}

/// After a failed read: refuses a filter that this HDF5 library does not have. Nothing is damaged then, and the library
/// itself complains about a folder for plugins.
void check_filters(const std::filesystem::path& file, const Table& table) {
    const Handle properties(H5Dget_create_plist(table.dataset.get()), H5Pclose);
    for (unsigned i = 0; i < static_cast<unsigned>(table.filters); ++i) {
        unsigned flags = 0;
        unsigned config = 0;
        std::size_t values = 0;
        std::array<char, 64> stored_name{};
        const H5Z_filter_t filter = H5Pget_filter2(properties.get(), i, &flags, &values, nullptr, stored_name.size(),
                                                   stored_name.data(), &config);
        // Without encoding (szip, by licence) a filter still reads.
        const bool there = filter < 0 || (H5Zfilter_avail(filter) > 0 && H5Zget_filter_info(filter, &config) >= 0 &&
                                          (config & H5Z_FILTER_CONFIG_DECODE_ENABLED) != 0);
        H5Eclear2(H5E_DEFAULT);
        if (!there)
            fail(file,
                 fmt::format("'{}' is compressed by the filter {} (number {}), which this HDF5 library does not have",
                             table.name, filter_name(filter, stored_name.data()), filter),
                 "name the folder that has the filter in the environment variable HDF5_PLUGIN_PATH, or write the file "
                 "again with gzip, in h5py: create_dataset(name, data=x, compression='gzip')");
    }
}

[[nodiscard]] std::optional<Table> open_table(const std::filesystem::path& file, hid_t root, std::string name) {
    if (H5Lexists(root, name.c_str(), H5P_DEFAULT) <= 0)
        return std::nullopt;
    Table table;
    table.dataset = Handle(H5Dopen2(root, name.c_str(), H5P_DEFAULT), H5Dclose);
    if (!table.dataset)
        fail_in_library(file, fmt::format("'{}' is not a dataset that can be opened", name));
    const Handle space(H5Dget_space(table.dataset.get()), H5Sclose);
    const int rank = space ? H5Sget_simple_extent_ndims(space.get()) : -1;
    if (rank != 2)
        fail(file, fmt::format("'{}' has {} dimension{}, not 2", name, rank, rank == 1 ? "" : "s"),
             "give a file with dense vectors, one per row (sparse and set data is not supported)");
    std::array<hsize_t, 2> sizes{};
    H5Sget_simple_extent_dims(space.get(), sizes.data(), nullptr);
    table.rows = sizes[0];
    table.columns = sizes[1];
    const Handle type(H5Dget_type(table.dataset.get()), H5Tclose);
    const H5T_class_t kind = type ? H5Tget_class(type.get()) : H5T_NO_CLASS;
    table.element_bytes = type ? H5Tget_size(type.get()) : 0;
    if (kind == H5T_ENUM && table.element_bytes == 1)
        table.read_as = Handle(H5Tcopy(type.get()), H5Tclose);
    else if (kind != H5T_FLOAT && kind != H5T_INTEGER)
        fail(file, fmt::format("the elements of '{}' are neither floats nor integers", name),
             "give a file with dense numeric vectors (sets are not supported)");
    table.filters = filters_of(table.dataset.get());
    if (const haddr_t at = H5Dget_offset(table.dataset.get()); at != HADDR_UNDEF)
        table.offset = at;
    else
        H5Eclear2(H5E_DEFAULT);
    table.name = std::move(name);
    return table;
}

template <class T>
[[nodiscard]] hid_t native_type() {
    if constexpr (std::is_same_v<T, float>)
        return H5T_NATIVE_FLOAT;
    else
        return H5T_NATIVE_INT64;
}

template <class T>
[[nodiscard]] Matrix<T> read_table(const std::filesystem::path& file, const Table& table, const ReadOptions& options) {
    if (table.columns == 0 || table.columns > max_dimension)
        fail(file, fmt::format("the rows of '{}' have dimension {}", table.name, table.columns),
             fmt::format("dimensions 1 to {} are supported", max_dimension));
    if (table.rows == 0)
        fail(file, fmt::format("'{}' has no rows", table.name), "give a file with at least one vector");
    const std::uint64_t rows = options.max_rows ? std::min<std::uint64_t>(table.rows, *options.max_rows) : table.rows;
    // What the header announces against what the file holds, before memory is reserved. Deflate shrinks at most 1032
    // times, without a filter nothing shrinks; values never written have no storage at all.
    const std::uint64_t most_shrinking = table.filters > 0 ? 1040 : 1;
    const std::uint64_t stored = H5Dget_storage_size(table.dataset.get());
    std::error_code error;
    const std::uint64_t file_bytes = std::filesystem::file_size(file, error);
    const std::uint64_t row_bytes = table.columns * table.element_bytes; // both are small
    if (error || stored > file_bytes || table.rows / most_shrinking > stored / row_bytes + (table.filters > 0 ? 1 : 0))
        fail(file,
             fmt::format("'{}' announces {} rows of {} bytes, but the file stores {} bytes of it", table.name,
                         table.rows, row_bytes, std::min(stored, file_bytes)),
             again_remedy);

    if (rows > options.max_bytes / sizeof(T) / table.columns)
        fail(file,
             fmt::format("{} rows of {} values of '{}' need more than {} bytes of memory", rows, table.columns,
                         table.name, options.max_bytes),
             fewer_rows_remedy);

    Matrix<T> matrix;
    matrix.rows = static_cast<std::size_t>(rows);
    matrix.columns = static_cast<std::size_t>(table.columns);
    matrix.cut = rows < table.rows;
    matrix.values.resize(matrix.rows * matrix.columns);
    const std::array<hsize_t, 2> start{0, 0};
    const std::array<hsize_t, 2> count{rows, table.columns};
    const Handle on_file(H5Dget_space(table.dataset.get()), H5Sclose);
    const Handle in_memory(H5Screate_simple(2, count.data(), nullptr), H5Sclose);
    std::vector<std::uint8_t> truths(table.read_as ? matrix.values.size() : 0);
    const hid_t type = table.read_as ? table.read_as.get() : native_type<T>();
    void* const target = table.read_as ? static_cast<void*>(truths.data()) : matrix.values.data();
    if (!on_file || !in_memory ||
        H5Sselect_hyperslab(on_file.get(), H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr) < 0 ||
        H5Dread(table.dataset.get(), type, in_memory.get(), on_file.get(), H5P_DEFAULT, target) < 0) {
        const std::string reason = library_reasons().front();
        check_filters(file, table);
        fail(file, fmt::format("'{}' cannot be read (HDF5 library: {})", table.name, reason), again_remedy);
    }
    for (std::size_t i = 0; i != truths.size(); ++i)
        matrix.values[i] = static_cast<T>(truths[i]);

    if constexpr (std::is_floating_point_v<T>) {
        const auto bad =
            std::find_if(matrix.values.begin(), matrix.values.end(), [](T v) { return !std::isfinite(v); });
        if (bad != matrix.values.end()) {
            const auto at = static_cast<std::uint64_t>(bad - matrix.values.begin());
            std::optional<std::uint64_t> offset;
            if (table.offset)
                offset = *table.offset + at * table.element_bytes;
            throw DatasetError(
                file, offset,
                fmt::format("in '{}' {}{}", table.name,
                            not_finite(static_cast<double>(*bad), at / table.columns, at % table.columns),
                            table.element_bytes > sizeof(float) ? " as a float32" : ""),
                not_finite_remedy);
        }
    }
    return matrix;
}

/// A string attribute of the file, of fixed or of variable length.
[[nodiscard]] std::optional<std::string> read_text(const std::filesystem::path& file, hid_t root, const char* name) {
    if (H5Aexists(root, name) <= 0)
        return std::nullopt;
    const Handle attribute(H5Aopen(root, name, H5P_DEFAULT), H5Aclose);
    if (!attribute)
        fail_in_library(file, fmt::format("the attribute '{}' cannot be opened", name));
    const Handle type(H5Aget_type(attribute.get()), H5Tclose);
    const Handle space(H5Aget_space(attribute.get()), H5Sclose);
    if (!type || !space || H5Tget_class(type.get()) != H5T_STRING || H5Sget_simple_extent_npoints(space.get()) != 1)
        fail(file, fmt::format("the attribute '{}' is not one string", name),
             "write it as a string, for example angular");
    if (H5Tis_variable_str(type.get()) > 0) {
        const Handle memory(H5Tcopy(H5T_C_S1), H5Tclose);
        H5Tset_size(memory.get(), H5T_VARIABLE);
        H5Tset_cset(memory.get(), H5Tget_cset(type.get()));
        char* text = nullptr;
        if (H5Aread(attribute.get(), memory.get(), static_cast<void*>(&text)) < 0)
            fail_in_library(file, fmt::format("the attribute '{}' cannot be read", name));
        std::string result = text == nullptr ? "" : text;
        H5free_memory(text);
        return result;
    }
    const std::size_t size = H5Tget_size(type.get());
    constexpr std::size_t longest = 1024;
    if (size > longest)
        fail(file, fmt::format("the attribute '{}' is {} bytes long", name, size), "write it as a short string");
    std::string result(size, '\0');
    if (H5Aread(attribute.get(), type.get(), result.data()) < 0)
        fail_in_library(file, fmt::format("the attribute '{}' cannot be read", name));
    result.resize(std::min(result.find('\0'), result.size()));
    while (result.ends_with(' '))
        result.pop_back();
    return result;
}

/// The library is usually built without its own lock.
[[nodiscard]] std::mutex& one_at_a_time() {
    static std::mutex mutex;
    return mutex;
}

} // namespace

std::optional<std::string> read_hdf5_distance(const std::filesystem::path& file) {
    const std::lock_guard lock(one_at_a_time());
    const QuietErrors quiet;
    const Handle root = open_file(file);
    return read_text(file, root.get(), "distance");
}

Hdf5Contents read_hdf5(const std::filesystem::path& file, const ReadOptions& options, const ReadOptions& test_options,
                       bool whole) {
    check_options(options);
    const std::lock_guard lock(one_at_a_time());
    const QuietErrors quiet;
    const Handle root = open_file(file);
    const auto train = open_table(file, root.get(), "train");
    if (!train)
        fail(file, fmt::format("there is no dataset 'train'; the file has {}", names_in(root.get())),
             "give a file as ann-benchmarks writes them: train, test, neighbors, distances");
    Hdf5Contents contents;
    contents.train = read_table<float>(file, *train, options);
    if (!whole)
        return contents;
    if (const auto table = open_table(file, root.get(), "test")) {
        if (table->columns != train->columns)
            fail(file,
                 fmt::format("the rows of 'test' have dimension {}, those of 'train' {}", table->columns,
                             train->columns),
                 "both must have the same dimension: the file is damaged");
        contents.test = read_table<float>(file, *table, test_options);
        if (const auto ids = open_table(file, root.get(), "neighbors"))
            contents.neighbors = read_table<std::int64_t>(file, *ids, test_options);
        if (const auto distances = open_table(file, root.get(), "distances"))
            contents.distances = read_table<float>(file, *distances, test_options);
    }
    return contents;
}

} // namespace hotindex::bench
