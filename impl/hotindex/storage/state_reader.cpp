#include <hotindex/storage/state_reader.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace hotindex {

namespace {
constexpr std::string_view again = "the file is damaged: take another copy of it, or save the index anew";
}

StateReader::StateReader(std::filesystem::path path) : path_(std::move(path)) {
    open();
    try {
        read_header();
    } catch (...) {
        ::close(file_);
        throw;
    }
}

StateReader::~StateReader() {
    ::close(file_);
}

void StateReader::fail(std::uint64_t first, std::uint64_t size, std::string_view reason,
                       std::string_view remedy) const {
    throw StorageError(path_, ByteRange{first, first + std::max<std::uint64_t>(size, 1) - 1}, reason,
                       remedy.empty() ? again : remedy);
}

void StateReader::open() {
    const auto refuse = [this](std::string_view reason, std::string_view remedy) {
        throw StorageError(path_, std::nullopt, reason, remedy);
    };
    // Without waiting for the other end, if it is a pipe.
    file_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); // NOLINT(cppcoreguidelines-pro-type-vararg)
    if (file_ < 0) {
        const int error = errno;
        refuse(fmt::format("cannot read it: {}", std::generic_category().message(error)),
               error == ENOENT || error == ENOTDIR ? "give the path of a file that save() has written"
                                                   : "give a path that this process may read");
    }
    struct stat found{};
    const bool regular = ::fstat(file_, &found) == 0 && S_ISREG(found.st_mode);
    if (!regular) {
        ::close(file_);
        refuse(S_ISDIR(found.st_mode) ? "this is a folder, not a file"
                                      : "this is a device, a pipe or a socket, not a file",
               "give the path of a file that save() has written");
    }
    size_ = static_cast<std::uint64_t>(found.st_size);
}

/// All of target, which the file has by its size.
void StateReader::read(std::span<std::byte> target) {
    while (!target.empty()) {
        const ssize_t n = ::read(file_, target.data(), target.size());
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            fail(offset_, target.size(), fmt::format("cannot read them: {}", std::generic_category().message(errno)),
                 "look at the device, or take another copy of the file");
        if (n == 0)
            fail(offset_, target.size(), "the file has become shorter while it was read",
                 "do not write to a saved file: save() replaces it as a whole");
        offset_ += static_cast<std::uint64_t>(n);
        target = target.subspan(static_cast<std::size_t>(n));
    }
}

void StateReader::read_header() {
    format::HeaderBytes bytes{};
    const auto get = [&bytes]<class Number>(Number& number, std::size_t where) {
        std::memcpy(&number, bytes.data() + where, sizeof number);
    };
    const std::size_t there = std::min<std::size_t>(size_, bytes.size());
    read(std::span(bytes).first(there));
    if (std::memcmp(bytes.data(), format::magic.data(), std::min(there, format::magic.size())) != 0 || there == 0)
        fail(0, format::magic.size(), "this is not a file of hotindex",
             "give the path of a file that save() has written");
    if (there < bytes.size())
        fail(there, bytes.size() - there, fmt::format("the file ends after {} bytes, within its header", there));
    std::uint32_t version = 0;
    get(version, format::at::version);
    if (version != format::version)
        fail(format::at::version, sizeof version,
             fmt::format("the format's version is {}, this library reads version {}", version, format::version),
             "load it with the version of hotindex that has saved it, or one that reads both");
    std::uint32_t said = 0;
    get(said, format::at::checksum);
    const std::uint32_t sum = format::checksum(std::span(bytes).first<format::at::checksum>());
    if (sum != said)
        fail(0, bytes.size(), fmt::format("the header's checksum is {:08x}, the file says {:08x}", sum, said));

    get(header_.dimension, format::at::dimension);
    get(header_.vectors, format::at::vectors);
    get(header_.bytes, format::at::bytes);
    if (header_.dimension == 0 || header_.dimension > max_dimension)
        fail(format::at::dimension, 4,
             fmt::format("the dimension is {}, it can be 1 to {}", header_.dimension, max_dimension));
    std::array<char, format::metric_bytes> name{};
    get(name, format::at::metric);
    const std::string_view all(name.data(), name.size());
    const std::string_view metric = all.substr(0, all.find('\0'));
    const auto* const known = std::ranges::find(metric_facts, metric, &MetricFacts::name);
    if (known == metric_facts.end() || all.find_first_not_of('\0', metric.size()) != std::string_view::npos)
        fail(format::at::metric, format::metric_bytes, "this library knows no metric of this name",
             "load it with the version of hotindex that has saved it");
    header_.metric = known->metric;
    get(header_.ids, format::at::ids);
    if (header_.ids != format::Ids::strings && header_.ids != format::Ids::integers)
        fail(format::at::ids, 4,
             fmt::format("ids of kind {} are unknown to this library", static_cast<std::uint32_t>(header_.ids)),
             "load it with the version of hotindex that has saved it");
    if (size_ < header_.bytes)
        fail(size_, header_.bytes - size_,
             fmt::format("the file ends after {} bytes, its header says {}", size_, header_.bytes));
    if (size_ > header_.bytes)
        fail(header_.bytes, size_ - header_.bytes,
             fmt::format("they follow the end of the file, which has {} bytes by its header", header_.bytes));
    // So whoever reserves memory for that many vectors takes no more than the file has.
    const std::uint64_t least = (std::uint64_t{header_.dimension} + 1) * 4 + 1;
    if (header_.vectors > size_ / least)
        fail(format::at::vectors, 8,
             fmt::format("the header says {} vectors, the file has bytes for {} at most", header_.vectors,
                         size_ / least));
}

bool StateReader::next() {
    if (current_ + 1 < lengths_.size()) {
        id_begin_ += lengths_[current_++];
        return true;
    }
    before_ += lengths_.size();
    if (offset_ == size_) {
        check_end();
        return false;
    }
    read_block();
    return true;
}

void StateReader::check_end() const {
    if (before_ != header_.vectors)
        fail(format::at::vectors, 8,
             fmt::format("the header says {} vectors, the file has {}", header_.vectors, before_));
}

void StateReader::read_block() {
    const std::uint64_t begin = offset_;
    const std::uint64_t left = size_ - begin;
    if (left < format::block_head_bytes + format::checksum_bytes)
        fail(begin, left, "they are no block, which is longer");
    format::BlockHead head;
    read(std::as_writable_bytes(std::span(&head, 1)));
    const std::uint64_t body = format::body_bytes(head.vectors, head.id_bytes, header_.dimension);
    const auto refuse_head = [&](std::string_view reason) {
        fail(begin, 8,
             fmt::format("a block of {} vectors with {} bytes of ids {}", head.vectors, head.id_bytes, reason));
    };
    // Before memory is taken for it.
    if (body > left - format::checksum_bytes)
        refuse_head(fmt::format("has {} bytes, {} are left", body + format::checksum_bytes, left));
    if (head.vectors == 0 || (head.vectors > 1 && body > format::block_bytes))
        refuse_head(fmt::format("is none: it has one vector, or at most {} bytes", format::block_bytes));

    block_begin_ = begin;
    current_ = id_begin_ = 0;
    rows_.resize(std::size_t{head.vectors} * header_.dimension);
    lengths_.resize(head.vectors);
    ids_.resize(head.id_bytes + format::padding(head.id_bytes));
    std::uint32_t sum = format::checksum(std::as_bytes(std::span(&head, 1)));
    for (const std::span<std::byte> part :
         {std::as_writable_bytes(std::span(rows_)), std::as_writable_bytes(std::span(lengths_)),
          std::as_writable_bytes(std::span(ids_))}) {
        read(part);
        sum = format::checksum(part, sum);
    }
    std::uint32_t said = 0;
    read(std::as_writable_bytes(std::span(&said, 1)));
    if (sum != said)
        fail(begin, body + format::checksum_bytes,
             fmt::format("their checksum is {:08x}, the file says {:08x}", sum, said));
    if (head.before != before_)
        fail(begin + 8, 8,
             fmt::format("the block says that {} vectors come before it, it is {}: blocks are missing or exchanged",
                         head.before, before_));
    check_ids(begin + format::block_head_bytes + rows_.size() * sizeof(float), head.id_bytes);
    ids_.resize(head.id_bytes);
}

/// That the lengths, which begin at this byte, are those of the ids after them, and that zeros follow these.
void StateReader::check_ids(std::uint64_t begin, std::uint64_t id_bytes) const {
    const std::uint64_t ids_begin = begin + lengths_.size() * 4;
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i != lengths_.size(); ++i) {
        if (lengths_[i] == 0)
            fail(begin + i * 4, 4, "an id has no bytes");
        if (header_.ids == format::Ids::integers && lengths_[i] != sizeof(std::uint64_t))
            fail(begin + i * 4, 4, fmt::format("an id has {} bytes, an integer has 8", lengths_[i]));
        sum += lengths_[i];
    }
    if (sum != id_bytes)
        fail(begin, ids_begin - begin, fmt::format("the ids have {} bytes together, the block says {}", sum, id_bytes));
    for (std::uint64_t i = id_bytes; i != ids_.size(); ++i)
        if (ids_[i] != '\0')
            fail(ids_begin + i, 1, "it follows the ids and is not zero");
}

void StateReader::refuse_id(std::string_view reason) const {
    const std::uint64_t ids_begin =
        block_begin_ + format::block_head_bytes + rows_.size() * sizeof(float) + lengths_.size() * 4;
    fail(ids_begin + id_begin_, lengths_[current_], reason);
}

void StateReader::refuse_vector(std::string_view reason) const {
    const std::uint64_t begin = block_begin_ + format::block_head_bytes + current_ * header_.dimension * sizeof(float);
    const std::span<const float> row = vector();
    const auto wrong = std::ranges::find_if(row, [](float x) { return !std::isfinite(x); });
    if (wrong != row.end())
        fail(begin + static_cast<std::uint64_t>(wrong - row.begin()) * sizeof(float), sizeof(float), reason);
    fail(begin, row.size_bytes(), reason);
}

void StateReader::expect(const IndexOptions& options, format::Ids ids) const {
    if (options.dimension != header_.dimension)
        fail(format::at::dimension, 4,
             fmt::format("the file's vectors have {} floats, the index's are to have {}", header_.dimension,
                         options.dimension),
             "load it with the file's dimension, or give another file");
    if (options.metric != header_.metric)
        fail(format::at::metric, format::metric_bytes,
             fmt::format("the file's metric is {}, the index's is to be {}", name_of(header_.metric),
                         name_of(options.metric)),
             "load it with the file's metric, or give another file");
    if (ids != header_.ids)
        fail(format::at::ids, 4,
             fmt::format("the file's ids are {}, the index's are {}", name_of(header_.ids), name_of(ids)),
             "load it into an index with such ids, or give another file");
}

} // namespace hotindex
