// What is asked of a saved file and done to its bytes, and the plainest index that one can be loaded into.
#pragma once

#include <hotindex/storage/saved_index.hpp>
#include <hotindex/vector_index.hpp>

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hotindex::tests {

/// A map. It accepts what an index accepts, and can be saved, too.
class PlainIndex {
  public:
    using Id = std::string;
    explicit PlainIndex(const IndexOptions& options) : options_(options) { check::options(options); }
    AddOutcome add_vector(std::string_view id, std::span<const float> vector) {
        check::id(id);
        check::vector(vector, options_, "vector");
        return vectors_.insert_or_assign(std::string(id), std::vector<float>(vector.begin(), vector.end())).second
                   ? AddOutcome::inserted
                   : AddOutcome::replaced;
    }
    template <class Visit>
    void for_each(Visit visit) const {
        for (const auto& [id, vector] : vectors_)
            visit(std::string_view(id), std::span<const float>(vector));
    }
    [[nodiscard]] const IndexOptions& options() const noexcept { return options_; }
    [[nodiscard]] const std::map<std::string, std::vector<float>>& vectors() const noexcept { return vectors_; }

  private:
    IndexOptions options_;
    std::map<std::string, std::vector<float>> vectors_;
};

/// The real calls without the device, which would take most of a test's time.
class Undurable : public SystemCalls {
    int sync(int) override { return 0; }
};

/// Empty where a file holds a state that a writer has made which replaces vectors "0", "1", ... one after the other by
/// those of the next generation, again and again: all of one, then those of the one before.
inline std::string objection_to_saved(const std::filesystem::path& path, std::size_t vectors) {
    const auto loaded = load<PlainIndex>(path);
    if (loaded->vectors().size() != vectors)
        return fmt::format("{} vectors", loaded->vectors().size());
    float newest = loaded->vectors().at("0")[1];
    for (std::size_t i = 0; i != vectors; ++i) {
        const std::vector<float>& vector = loaded->vectors().at(std::to_string(i));
        if (vector[0] != static_cast<float>(i))
            return fmt::format("another's vector at {}", i);
        if (vector[1] != newest && vector[1] != --newest)
            return fmt::format("{} is of another time", i);
        if (newest < loaded->vectors().at("0")[1] - 1)
            return fmt::format("{} is of a third time", i);
    }
    return {};
}
template <class Number>
Number number_at(const std::string& bytes, std::size_t where) {
    Number number{};
    std::memcpy(&number, bytes.data() + where, sizeof number);
    return number;
}
template <class Number>
void put_number(std::string& bytes, std::size_t where, Number number) {
    std::memcpy(bytes.data() + where, &number, sizeof number);
}
inline std::uint32_t checksum_of(const std::string& bytes, std::size_t begin, std::size_t size) {
    return format::checksum(std::as_bytes(std::span(bytes)).subspan(begin, size));
}

/// Where the blocks begin, and where the file ends, as far as it is one.
inline std::vector<std::size_t> block_begins(const std::string& bytes) {
    std::vector<std::size_t> begins{format::header_bytes};
    if (bytes.size() < format::header_bytes)
        return begins;
    const auto dimension = number_at<std::uint32_t>(bytes, format::at::dimension);
    while (dimension <= max_dimension && begins.back() + format::block_head_bytes < bytes.size()) {
        const std::uint64_t body = format::body_bytes(number_at<std::uint32_t>(bytes, begins.back()),
                                                      number_at<std::uint32_t>(bytes, begins.back() + 4), dimension);
        if (body > bytes.size() - begins.back() || body + format::checksum_bytes > bytes.size() - begins.back())
            break;
        begins.push_back(begins.back() + static_cast<std::size_t>(body) + format::checksum_bytes);
    }
    return begins;
}

/// Makes all checksums right, so that a reader looks at what they cover.
inline void mend_checksums(std::string& bytes) {
    if (bytes.size() < format::header_bytes)
        return;
    put_number(bytes, format::at::checksum, checksum_of(bytes, 0, format::at::checksum));
    const std::vector<std::size_t> begins = block_begins(bytes);
    for (std::size_t i = 0; i + 1 < begins.size(); ++i) {
        const std::size_t end = begins[i + 1] - format::checksum_bytes;
        put_number(bytes, end, checksum_of(bytes, begins[i], end - begins[i]));
    }
}

} // namespace hotindex::tests
