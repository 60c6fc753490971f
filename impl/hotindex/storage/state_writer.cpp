#include <hotindex/storage/state_writer.hpp>
#include <hotindex/storage/storage_error.hpp>

#include <fmt/format.h>

#include <limits>
#include <optional>
#include <utility>

namespace hotindex {

StateWriter::StateWriter(std::filesystem::path path, const IndexOptions& options, format::Ids ids, SystemCalls& calls)
    : path_(std::move(path)),
      header_{.dimension = static_cast<std::uint32_t>(options.dimension), .metric = options.metric, .ids = ids},
      file_(path_, calls) {
    file_.append(format::HeaderBytes{}); // its place
}

void StateWriter::add(std::string_view id, std::span<const float> vector) {
    if (id.size() > std::numeric_limits<std::uint32_t>::max())
        throw StorageError(path_, std::nullopt,
                           fmt::format("an id has {} bytes, {} are the most in a file", id.size(),
                                       std::numeric_limits<std::uint32_t>::max()),
                           "remove that vector, or give it a shorter id");
    if (!lengths_.empty() &&
        format::body_bytes(lengths_.size() + 1, ids_.size() + id.size(), header_.dimension) > format::block_bytes)
        write_block();
    rows_.insert(rows_.end(), vector.begin(), vector.end());
    lengths_.push_back(static_cast<std::uint32_t>(id.size()));
    ids_.append(id);
}

void StateWriter::write_block() {
    const format::BlockHead head{.vectors = static_cast<std::uint32_t>(lengths_.size()),
                                 .id_bytes = static_cast<std::uint32_t>(ids_.size()),
                                 .before = header_.vectors};
    ids_.append(format::padding(ids_.size()), '\0');
    std::uint32_t sum = 0;
    for (const std::span<const std::byte> part : {std::as_bytes(std::span(&head, 1)), std::as_bytes(std::span(rows_)),
                                                  std::as_bytes(std::span(lengths_)), std::as_bytes(std::span(ids_))}) {
        sum = format::checksum(part, sum);
        file_.append(part);
    }
    file_.append(std::as_bytes(std::span(&sum, 1)));
    header_.vectors += lengths_.size();
    rows_.clear();
    lengths_.clear();
    ids_.clear();
}

Saved StateWriter::commit() {
    if (!lengths_.empty())
        write_block();
    header_.bytes = file_.size();
    file_.overwrite(0, format::encode(header_));
    file_.commit();
    return {.vectors = header_.vectors, .bytes = header_.bytes};
}

} // namespace hotindex
