#include "dataset/stream.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <system_error>
#include <utility>
#include <vector>

namespace hotindex::bench {

ByteStream::ByteStream(std::filesystem::path file) : file_(std::move(file)) {
    check_is_file(file_);
    std::error_code error;
    size_ = std::filesystem::file_size(file_, error);
    errno = 0;
    if (!error)
        handle_.reset(gzopen(file_.c_str(), "rb"));
    if (!handle_) {
        if (!error)
            error = std::error_code(errno, std::generic_category());
        throw DatasetError(file_, std::nullopt, fmt::format("the file cannot be opened ({})", error.message()),
                           "check that you may read it");
    }
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

std::uint64_t ByteStream::most_remaining() const noexcept {
    constexpr std::uint64_t most_growth = 1032; // deflate: a byte stands for no more
    if (const auto exact = remaining())
        return *exact;
    if (size_ > std::numeric_limits<std::uint64_t>::max() / most_growth)
        return std::numeric_limits<std::uint64_t>::max();
    return size_ * most_growth > offset_ ? size_ * most_growth - offset_ : 0;
}

std::string ByteStream::what_remains() const {
    if (!compressed_)
        return fmt::format("only {} bytes of data follow", most_remaining());
    return fmt::format("the {} compressed bytes of the file hold at most {}", size_, most_remaining());
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
                 fmt::format("the {} cannot be read ({})", compressed_ ? "gzip data" : "file", reason),
                 code == Z_ERRNO ? "the system refused: check the disk, or the connection to it" : again_remedy);
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

void ByteStream::expect(std::uint64_t size, std::string_view what) const {
    if (size <= most_remaining())
        return;
    if (compressed_)
        fail_cut_off(offset_, fmt::format("{} has {} bytes, but {}", what, size, what_remains()));
    fail_cut_off(offset_, fmt::format("{} is cut off: {} of {} bytes are there", what, most_remaining(), size));
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

} // namespace hotindex::bench
