// Vectors to index and to ask for: read from a file of one of the field's formats, or generated.
//
// | format | extension                  | read as                                                                   |
// |--------|----------------------------|---------------------------------------------------------------------------|
// | fvecs  | .fvecs                     | TEXMEX: each row a little-endian int32 dimension, then float32            |
// | bvecs  | .bvecs                     | the same with unsigned bytes                                              |
// | ivecs  | .ivecs                     | the same with int32                                                       |
// | fbin   | .fbin                      | big-ann-benchmarks: uint32 rows, uint32 dimension, then float32           |
// | u8bin  | .u8bin                     | the same with unsigned bytes; i8bin: signed; f16bin: float16; ibin: int32 |
// | IDX    | .idx, -idx3-ubyte, ...     | MNIST: big-endian; uint8, int8, int16, int32, float32, float64            |
// | npy    | .npy                       | NumPy 1.0, 2.0, 3.0: bool, integers, float16, bfloat16, float32, float64; |
// |        |                            | C and Fortran order; headers of Python 2                                  |
// | HDF5   | .hdf5, .h5                 | ann-benchmarks: train, test, neighbors, distances, attribute distance     |
//
// Every format but HDF5 may be gzip-compressed, whatever the file is called (name.fvecs.gz by custom). HDF5, npy and
// IDX are recognised by their first bytes, the others by the extension (after which .crop_nb_N, as
// big-ann-benchmarks names the first N rows of a file, may stand). IDX and npy arrays of more than two dimensions
// give one row per element of the first dimension (28 x 28 images: rows of 784). Values become float32, rounded to
// nearest: integers beyond 2^24 and most float64 lose digits. NaN, infinity and float64 values beyond the range of
// float32 are refused.
//
// Files are not trusted: a size in a header is compared with the bytes that are there before memory is reserved
// (compressed data, whose size is not known beforehand, grows as it is read). What is wrong is a DatasetError.
//
// Cosine has no meaning for a row of zeros. load_dataset() leaves such rows out where cosine is the metric, and says so
// in Dataset::notes; the ids of a ground truth stay the numbers of rows in the file.
//
// Limits: an uncompressed fvecs, bvecs or ivecs file of dimension 35615, or fbin of 35615 rows more than a multiple of
// 65536, begins like a gzip file and is refused. HDF5
// files are read by the HDF5 library, which does not defend itself against damage inside its own structures: version
// 1.10.8 has been seen to read out of bounds or to loop on files with bytes overwritten at random (in its string heap
// and after an incomplete deflate chunk). Sizes, cut-off files and values are checked here as for the other formats,
// but take HDF5 files from sources you trust.
//
// Thread-safety: all functions may be called from any thread (HDF5 files are read one at a time).
#pragma once

#include <hotindex/vector_index.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace hotindex::bench {

/// A file that cannot be used. The message has the file, the byte (where one is to blame), the reason and the remedy:
/// "x.fvecs: at byte 516: row 1 has dimension 7, row 0 has 128; ...".
class DatasetError : public std::runtime_error {
  public:
    /// `whence` follows the offset in the message, for example " of the decompressed data".
    DatasetError(const std::filesystem::path& file, std::optional<std::uint64_t> offset, std::string_view reason,
                 std::string_view remedy, std::string_view whence = {});

    [[nodiscard]] const std::filesystem::path& file() const noexcept { return file_; }
    /// Byte in the file, in the decompressed data if it is compressed.
    [[nodiscard]] std::optional<std::uint64_t> offset() const noexcept { return offset_; }

  private:
    std::filesystem::path file_;
    std::optional<std::uint64_t> offset_;
};

/// rows x columns values, row after row.
template <class T>
struct Matrix {
    std::size_t rows = 0;
    std::size_t columns = 0;
    std::vector<T> values;
    bool cut = false; ///< the file has more rows: max_rows left them out

    [[nodiscard]] std::span<const T> row(std::size_t i) const {
        return std::span<const T>(values).subspan(i * columns, columns);
    }
};

struct ReadOptions {
    std::optional<std::size_t> max_rows{}; ///< read only the first so many rows; at least 1
    std::uint64_t max_bytes = 64ull << 30; ///< refuse a matrix that needs more memory than this
};

/// Readers of one format each. DatasetError for a bad file, InvalidArgument for bad options.
[[nodiscard]] Matrix<float> read_fvecs(const std::filesystem::path& file, const ReadOptions& options = {});
[[nodiscard]] Matrix<float> read_bvecs(const std::filesystem::path& file, const ReadOptions& options = {});
[[nodiscard]] Matrix<std::int32_t> read_ivecs(const std::filesystem::path& file, const ReadOptions& options = {});
[[nodiscard]] Matrix<float> read_idx(const std::filesystem::path& file, const ReadOptions& options = {});
[[nodiscard]] Matrix<float> read_npy(const std::filesystem::path& file, const ReadOptions& options = {});

enum class Format : std::uint8_t { fvecs, bvecs, ivecs, fbin, f16bin, u8bin, i8bin, ibin, idx, npy, hdf5 };

/// `format` is fbin, f16bin, u8bin, i8bin or ibin.
[[nodiscard]] Matrix<float> read_bin(const std::filesystem::path& file, Format format, const ReadOptions& options = {});

/// "fvecs", "fbin", ..., "IDX", "npy", "HDF5".
[[nodiscard]] std::string_view name_of(Format format) noexcept;

/// By content first, then by extension; DatasetError with the supported formats and the nearest one if neither is
/// known.
[[nodiscard]] Format format_of(const std::filesystem::path& file);

/// The vectors of any supported file as float32 (of an HDF5 file: train).
[[nodiscard]] Matrix<float> read_matrix(const std::filesystem::path& file, const ReadOptions& options = {});

/// The exact answers to the queries: for each query the ids (row numbers of the base) of its k nearest, best first.
struct GroundTruth {
    std::size_t queries = 0;
    std::size_t k = 0;
    std::vector<std::int32_t> ids; ///< queries x k
    /// queries x k scores in the terms of Metric (see Match), or empty when not known. Of an HDF5 file they are
    /// computed from its distances: 1 - distance for angular, distance^2 for euclidean; of files with another name for
    /// their distance they are not known, because writers differ in sign and square.
    std::vector<float> scores;

    [[nodiscard]] std::span<const std::int32_t> ids_of(std::size_t query) const {
        return std::span<const std::int32_t>(ids).subspan(query * k, k);
    }
    [[nodiscard]] std::span<const float> scores_of(std::size_t query) const {
        return std::span<const float>(scores).subspan(query * k, k);
    }
};

/// A pair of files: ids (ivecs) and, if given, scores (fvecs) of the same shape. Ids are checked not to be negative.
[[nodiscard]] GroundTruth load_ground_truth(const std::filesystem::path& ids,
                                            const std::optional<std::filesystem::path>& scores = std::nullopt,
                                            const ReadOptions& options = {});

struct Dataset {
    std::string name;           ///< short, for benchmark names: the file's name without extensions, or the generator's
    std::size_t dimension = 0;  ///< floats in a row
    std::vector<float> base;    ///< the vectors to index, row after row
    std::vector<float> queries; ///< the vectors to ask for, row after row; disjoint from the base rows
    std::optional<Metric> metric; ///< LoadOptions::metric, or what the file says (HDF5 only), or default_metric
    std::optional<GroundTruth> ground_truth; ///< for these queries in this base
    std::string source;                      ///< where it comes from and what was done to it, in words
    std::vector<std::size_t> file_rows;      ///< when rows were left out: which row of the file each base row is
    std::vector<std::string> notes;          ///< what a user should know: file, table and row of what was left out

    [[nodiscard]] std::size_t base_rows() const noexcept { return dimension == 0 ? 0 : base.size() / dimension; }
    [[nodiscard]] std::size_t query_rows() const noexcept { return dimension == 0 ? 0 : queries.size() / dimension; }
    /// The number that a ground truth has for the i-th base row.
    [[nodiscard]] std::size_t file_row(std::size_t i) const { return file_rows.empty() ? i : file_rows[i]; }
    [[nodiscard]] std::span<const float> base_row(std::size_t i) const {
        return std::span<const float>(base).subspan(i * dimension, dimension);
    }
    [[nodiscard]] std::span<const float> query_row(std::size_t i) const {
        return std::span<const float>(queries).subspan(i * dimension, dimension);
    }
};

struct LoadOptions {
    /// Read only the first so many rows of the file (of an HDF5 file: of train). A ground truth in an HDF5 file is
    /// dropped when this leaves rows out, because it no longer holds.
    std::optional<std::size_t> max_rows{};
    /// How many queries. A file without queries has its last rows split off, after max_rows; unset: 100, or a tenth of
    /// the rows (at least one) when that is fewer. A file with queries, or query_file, gives its first so many; unset:
    /// all. 0: none.
    std::optional<std::size_t> queries{};
    std::optional<std::filesystem::path> query_file{};          ///< take the queries from this file instead
    std::optional<std::filesystem::path> ground_truth_ids{};    ///< ivecs, for these queries in this base
    std::optional<std::filesystem::path> ground_truth_scores{}; ///< fvecs of the same shape
    std::uint64_t max_bytes = 64ull << 30;                      ///< per matrix, as in ReadOptions
    std::optional<Metric> metric{};         ///< what the vectors are compared by, whatever the file says
    std::optional<Metric> default_metric{}; ///< what they are compared by when the file says nothing
};

/// By the names that files have for it, in any case: "cosine", "angular", "euclidean", "l2", "ip", "dot", ...; nothing
/// for what the index does not offer.
[[nodiscard]] std::optional<Metric> metric_named(std::string_view name);

/// Read a dataset. Under cosine, rows without a direction (zeros, and rows whose norm is beyond float arithmetic) are
/// left out. DatasetError for a bad file, InvalidArgument for bad options.
[[nodiscard]] Dataset load_dataset(const std::filesystem::path& file, const LoadOptions& options = {});

/// What generate() makes; the defaults are the benchmark's dataset when no file is given.
struct MixtureOptions {
    std::size_t rows = 100'000;
    std::size_t queries = 1'000;
    std::size_t dimension = 128;
    std::size_t clusters = 100;
    std::size_t intrinsic_dimension = 16; ///< 1 to min(dimension, 4096): degrees of freedom inside a cluster
    double center_spread = 1.0;           ///< standard deviation of a coordinate of the cluster centers, 0 to 100
    double cluster_spread = 0.5;          ///< standard deviation of a coordinate inside a cluster, 0 to 100
    double noise = 0.01;                  ///< standard deviation of the noise on each coordinate, 0 to 100
    std::uint64_t seed = 1;
};

/// A mixture of `clusters` Gaussians of low intrinsic dimension, as embeddings have it:
///   row = center(c) + A(c) z + noise,   c uniform, z of intrinsic_dimension independent normal numbers,
/// where A(c) is a random dimension x intrinsic_dimension matrix of the cluster. Queries come from the same mixture.
///
/// The bytes are the same on every platform and with every compiler, whatever the floating-point flags: a "normal"
/// number is the centered sum of 12 uniform 16-bit integers (Irwin-Hall; standard deviation 1, tails end at 6, excess
/// kurtosis -0.1), all sums are 64-bit fixed point, and the only rounding is the last one, from integer to float. Each
/// row has its own random stream: the first n rows do not depend on how many are asked for, nor do the queries.
///
/// InvalidArgument for options out of range. O((rows + queries) * dimension * intrinsic_dimension) time.
[[nodiscard]] Dataset generate(const MixtureOptions& options = {});

/// FNV-1a (64 bits) over the values as little-endian bytes: says in a result file which vectors were measured.
[[nodiscard]] std::uint64_t checksum(std::span<const float> values) noexcept;

} // namespace hotindex::bench
