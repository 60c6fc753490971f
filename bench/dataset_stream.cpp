#include "dataset_stream.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <system_error>
#include <utility>
#include <vector>

namespace hotindex::bench {

namespace {
constexpr std::size_t chunk_bytes = std::size_t{1} << 20;
} // namespace

ByteStream::ByteStream(std::filesystem::path file) : file_(std::move(file)) {
    std::error_code error;
    const auto status = std::filesystem::status(file_, error);
    if (!std::filesystem::exists(status))
        throw DatasetError(file_, std::nullopt, "there is no such file", "check the path");
    if (!std::filesystem::is_regular_file(status))
        throw DatasetError(file_, std::nullopt, "this is not a regular file", "give the path of a file");
    size_ = std::filesystem::file_size(file_, error);
    if (!error)
        handle_.reset(gzopen(file_.c_str(), "rb"));
    if (!handle_)
        throw DatasetError(file_, std::nullopt, "the file cannot be opened", "check that it may be read");
    if (size_ == 0)
        fail(0, "the file is empty", again_remedy);
    gzbuffer(handle_.get(), 1u << 18);
    compressed_ = gzdirect(handle_.get()) == 0;
    head_size_ = read_up_to(head_);
    if (gzrewind(handle_.get()) != 0)
        fail(0, "the file cannot be read twice", "give the path of a file");
    offset_ = 0;
    if (head_size_ == 0)
        fail(0, "the compressed file has no content", again_remedy);
}

std::optional<std::uint64_t> ByteStream::remaining() const noexcept {
    if (compressed_)
        return std::nullopt;
    return size_ > offset_ ? size_ - offset_ : 0;
}

std::size_t ByteStream::read_up_to(std::span<std::byte> target) {
    std::size_t done = 0;
    while (done != target.size()) {
        const auto wanted = static_cast<unsigned>(std::min<std::size_t>(target.size() - done, 1u << 30));
        const int got = gzread(handle_.get(), target.data() + done, wanted);
        int code = Z_OK;
        // A file cut off inside compressed data gives its last bytes together with Z_BUF_ERROR.
        const char* text = gzerror(handle_.get(), &code);
        if (got < 0 || (code != Z_OK && code != Z_STREAM_END)) {
            // zlib's text repeats the path: keep what follows it
            std::string_view reason = text;
            if (const auto path = file_.string(); reason.starts_with(path + ": "))
                reason.remove_prefix(path.size() + 2);
            if (code == Z_BUF_ERROR)
                reason = "the data ends inside the gzip stream";
            fail(offset_ + static_cast<std::uint64_t>(std::max(got, 0)),
                 fmt::format("the {} cannot be read ({})", compressed_ ? "gzip data" : "file", reason), again_remedy);
        }
        done += static_cast<std::size_t>(got);
        offset_ += static_cast<std::uint64_t>(got);
        if (got == 0)
            break;
    }
    return done;
}

void ByteStream::read(std::span<std::byte> target, std::string_view what) {
    const std::uint64_t start = offset_;
    const std::size_t got = read_up_to(target);
    if (got != target.size())
        fail_cut_off(start, fmt::format("{} is cut off: {} of {} bytes are there", what, got, target.size()));
}

void ByteStream::expect_end() {
    std::byte extra{};
    const std::uint64_t end = offset_;
    if (read_up_to({&extra, 1}) != 0)
        fail(end, "there is more data after the last value that the header announces",
             "the header or the file is damaged: get it again");
}

void ByteStream::fail(std::uint64_t offset, std::string_view reason, std::string_view remedy) const {
    throw DatasetError(file_, offset, reason, remedy, compressed_ ? " of the decompressed data" : "");
}

void ByteStream::fail_cut_off(std::uint64_t offset, std::string_view reason) const {
    fail(offset, reason, again_remedy);
}

void check_options(const ReadOptions& options) {
    if (options.max_rows == 0u)
        throw InvalidArgument("max_rows is 0; give at least 1, or leave it unset to read all rows");
}

std::optional<std::uint64_t> product(std::span<const std::uint64_t> sizes) {
    std::uint64_t result = 1;
    for (const std::uint64_t size : sizes) {
        if (size != 0 && result > std::numeric_limits<std::uint64_t>::max() / size)
            return std::nullopt;
        result *= size;
    }
    return result;
}

void check_shape(const ByteStream& stream, std::uint64_t offset, std::uint64_t rows, std::uint64_t columns,
                 const ReadOptions& options) {
    if (columns == 0 || columns > max_dimension)
        stream.fail(
            offset, fmt::format("the rows have dimension {}", columns),
            fmt::format("dimensions 1 to {} are supported; if that is not the dimension, the file is damaged or of "
                        "another format",
                        max_dimension));
    if (rows == 0)
        stream.fail(offset, "the file has no rows", "give a file with at least one vector");
    const std::uint64_t wanted = options.max_rows ? std::min<std::uint64_t>(rows, *options.max_rows) : rows;
    if (wanted > options.max_bytes / sizeof(float) / columns)
        stream.fail(
            offset,
            fmt::format("{} rows of {} floats need more than {} bytes of memory", wanted, columns, options.max_bytes),
            "read fewer rows (max_rows) or allow more memory (max_bytes)");
}

std::string not_finite(double value, std::uint64_t row, std::uint64_t column) {
    return fmt::format("row {} has {} at position {}{}", row, value, column,
                       std::isfinite(value) ? ", which is beyond the range of float32" : "");
}

namespace {

template <class T>
void read_values(ByteStream& stream, const Block& block, std::uint64_t rows, std::vector<float>& values) {
    const std::uint64_t total = rows * block.columns; // fits: check_shape
    std::vector<std::byte> chunk;
    for (std::uint64_t done = 0; done != total;) {
        const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(total - done, chunk_bytes / sizeof(T)));
        const std::uint64_t start = stream.offset();
        chunk.resize(count * sizeof(T));
        const std::size_t got = stream.read_up_to(chunk);
        if (got != chunk.size())
            stream.fail_cut_off(start + got, fmt::format("the data ends in row {} of {}",
                                                         (done + got / sizeof(T)) / block.columns, block.rows));
        for (std::size_t i = 0; i != count; ++i) {
            const T value = decode<T>(chunk.data() + i * sizeof(T), block.order);
            if constexpr (std::is_floating_point_v<T>) {
                // Converting a double beyond the range of float is undefined, so look first.
                if (!(std::fabs(value) <= static_cast<T>(std::numeric_limits<float>::max())))
                    stream.fail(
                        start + i * sizeof(T),
                        not_finite(static_cast<double>(value), (done + i) / block.columns, (done + i) % block.columns),
                        not_finite_remedy);
            }
            values.push_back(static_cast<float>(value));
        }
        done += count;
    }
}

[[nodiscard]] std::size_t size_of(Element element) noexcept {
    switch (element) {
    case Element::u8:
    case Element::i8:
        return 1;
    case Element::u16:
    case Element::i16:
        return 2;
    case Element::u32:
    case Element::i32:
    case Element::f32:
        return 4;
    case Element::u64:
    case Element::i64:
    case Element::f64:
        return 8;
    }
    return 0;
}

} // namespace

Matrix<float> read_block(ByteStream& stream, const Block& block, std::uint64_t header, const ReadOptions& options) {
    check_shape(stream, header, block.rows, block.columns, options);
    Matrix<float> matrix;
    matrix.columns = static_cast<std::size_t>(block.columns);
    matrix.rows = static_cast<std::size_t>(options.max_rows ? std::min<std::uint64_t>(block.rows, *options.max_rows)
                                                            : block.rows);
    matrix.cut = matrix.rows < block.rows;

    if (const auto there = stream.remaining()) {
        const std::uint64_t row_bytes = block.columns * size_of(block.element);
        // Divide, do not multiply: the number of rows is the file's word.
        if (*there / row_bytes < block.rows)
            stream.fail_cut_off(header,
                                fmt::format("the header announces {} rows of {} bytes, but only {} bytes of data "
                                            "follow",
                                            block.rows, row_bytes, *there));
        if (*there != block.rows * row_bytes)
            stream.fail(stream.offset() + block.rows * row_bytes,
                        "there is more data after the last value that the header announces",
                        "the header or the file is damaged: get it again");
        matrix.values.reserve(matrix.rows * matrix.columns);
    }

    switch (block.element) {
    case Element::u8:
        read_values<std::uint8_t>(stream, block, matrix.rows, matrix.values);
        break;
    case Element::i8:
        read_values<std::int8_t>(stream, block, matrix.rows, matrix.values);
        break;
    case Element::u16:
        read_values<std::uint16_t>(stream, block, matrix.rows, matrix.values);
        break;
    case Element::i16:
        read_values<std::int16_t>(stream, block, matrix.rows, matrix.values);
        break;
    case Element::u32:
        read_values<std::uint32_t>(stream, block, matrix.rows, matrix.values);
        break;
    case Element::i32:
        read_values<std::int32_t>(stream, block, matrix.rows, matrix.values);
        break;
    case Element::u64:
        read_values<std::uint64_t>(stream, block, matrix.rows, matrix.values);
        break;
    case Element::i64:
        read_values<std::int64_t>(stream, block, matrix.rows, matrix.values);
        break;
    case Element::f32:
        read_values<float>(stream, block, matrix.rows, matrix.values);
        break;
    case Element::f64:
        read_values<double>(stream, block, matrix.rows, matrix.values);
        break;
    }
    if (!matrix.cut)
        stream.expect_end();
    return matrix;
}

} // namespace hotindex::bench
