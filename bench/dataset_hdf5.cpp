#include "dataset_hdf5.hpp"

#include "dataset_stream.hpp"

#include <fmt/format.h>
#include <hdf5.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <mutex>
#include <type_traits>
#include <utility>

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

/// The innermost description on the library's error stack.
[[nodiscard]] std::string library_reason() {
    std::string reason;
    H5Ewalk2(
        H5E_DEFAULT, H5E_WALK_UPWARD, // innermost first
        [](unsigned, const H5E_error2_t* error, void* target) -> herr_t {
            auto& text = *static_cast<std::string*>(target);
            if (text.empty() && error->desc != nullptr)
                text = error->desc;
            return 0;
        },
        &reason);
    H5Eclear2(H5E_DEFAULT);
    return reason.empty() ? "no reason given" : reason;
}

[[noreturn]] void fail(const std::filesystem::path& file, std::string_view reason, std::string_view remedy) {
    throw DatasetError(file, std::nullopt, reason, remedy);
}

[[noreturn]] void fail_in_library(const std::filesystem::path& file, std::string_view what) {
    fail(file, fmt::format("{} (HDF5 library: {})", what, library_reason()), again_remedy);
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
    std::uint64_t rows = 0;
    std::uint64_t columns = 0;
    std::size_t element_bytes = 0;
    std::optional<std::uint64_t> offset; ///< of the first value in the file, when the values lie there as they are
};

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
    if (kind != H5T_FLOAT && kind != H5T_INTEGER)
        fail(file, fmt::format("the elements of '{}' are neither floats nor integers", name),
             "give a file with dense numeric vectors (bit vectors and sets are not supported)");
    table.element_bytes = H5Tget_size(type.get());
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
    if (rows > options.max_bytes / sizeof(T) / table.columns)
        fail(file,
             fmt::format("{} rows of {} values of '{}' need more than {} bytes of memory", rows, table.columns,
                         table.name, options.max_bytes),
             "read fewer rows (max_rows) or allow more memory (max_bytes)");

    // What the header announces against what the file holds. Deflate shrinks at most 1032 times; values never written
    // have no storage at all.
    constexpr std::uint64_t most_shrinking = 1040;
    const std::uint64_t stored = H5Dget_storage_size(table.dataset.get());
    std::error_code error;
    const std::uint64_t file_bytes = std::filesystem::file_size(file, error);
    const std::uint64_t row_bytes = table.columns * table.element_bytes; // both are small
    if (error || stored > file_bytes || table.rows / most_shrinking > stored / row_bytes + 1)
        fail(file,
             fmt::format("'{}' announces {} rows of {} bytes, but the file stores {} bytes of it", table.name,
                         table.rows, row_bytes, std::min(stored, file_bytes)),
             again_remedy);

    Matrix<T> matrix;
    matrix.rows = static_cast<std::size_t>(rows);
    matrix.columns = static_cast<std::size_t>(table.columns);
    matrix.cut = rows < table.rows;
    matrix.values.resize(matrix.rows * matrix.columns);
    const std::array<hsize_t, 2> start{0, 0};
    const std::array<hsize_t, 2> count{rows, table.columns};
    const Handle on_file(H5Dget_space(table.dataset.get()), H5Sclose);
    const Handle in_memory(H5Screate_simple(2, count.data(), nullptr), H5Sclose);
    if (!on_file || !in_memory ||
        H5Sselect_hyperslab(on_file.get(), H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr) < 0 ||
        H5Dread(table.dataset.get(), native_type<T>(), in_memory.get(), on_file.get(), H5P_DEFAULT,
                matrix.values.data()) < 0)
        fail_in_library(file, fmt::format("'{}' cannot be read", table.name));

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

} // namespace

Hdf5Contents read_hdf5(const std::filesystem::path& file, const ReadOptions& options, const ReadOptions& test_options,
                       bool whole) {
    check_options(options);
    static std::mutex one_at_a_time; // the library is usually built without its own lock
    const std::lock_guard lock(one_at_a_time);
    const QuietErrors quiet;
    const Handle root(H5Fopen(file.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
    if (!root)
        fail_in_library(file, "the file cannot be opened as HDF5");
    const auto train = open_table(file, root.get(), "train");
    if (!train)
        fail(file, fmt::format("there is no dataset 'train'; the file has {}", names_in(root.get())),
             "give a file as ann-benchmarks writes them: train, test, neighbors, distances");
    Hdf5Contents contents;
    contents.train = read_table<float>(file, *train, options);
    if (!whole)
        return contents;
    contents.distance = read_text(file, root.get(), "distance");
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
