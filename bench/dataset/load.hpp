// A dataset from a file of one of the field's formats.
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

#include "dataset/dataset.hpp"

#include <hotindex/vector_index.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>

namespace hotindex::bench {

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

/// Read a dataset. Under cosine, rows without a direction (zeros, and rows whose norm is beyond float arithmetic) are
/// left out. DatasetError for a bad file, InvalidArgument for bad options.
[[nodiscard]] Dataset load_dataset(const std::filesystem::path& file, const LoadOptions& options = {});

} // namespace hotindex::bench
