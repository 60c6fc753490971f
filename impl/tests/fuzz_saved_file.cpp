// Fuzz target: bytes as a saved file. Loading either gives an index of all that the header announces, or says which
// bytes are wrong; it does nothing else, and takes memory only for what the file has.
//
// The first byte says what is put right before, so that more than the first check is reached: 1 the magic bytes and the
// version, 2 the number of bytes, 4 the checksums.
#include "saved_bytes.hpp"

#include <hotindex/storage/saved_index.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace {
using namespace hotindex;
using namespace hotindex::tests;

void expect(bool holds) {
    if (!holds)
        std::abort();
}

/// A file in memory with a path.
class MemoryFile {
  public:
    explicit MemoryFile(const std::string& bytes) : descriptor_(memfd_create("fuzz", 0)) {
        expect(descriptor_ >= 0 &&
               write(descriptor_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    }
    MemoryFile(const MemoryFile&) = delete;
    MemoryFile& operator=(const MemoryFile&) = delete;
    ~MemoryFile() { close(descriptor_); }
    [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

  private:
    int descriptor_;
};
} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0)
        return 0;
    std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    if (bytes.size() >= format::header_bytes) {
        if ((data[0] & 1) != 0) {
            std::copy(format::magic.begin(), format::magic.end(), bytes.begin());
            put_number(bytes, format::at::version, format::version);
        }
        if ((data[0] & 2) != 0)
            put_number(bytes, format::at::bytes, std::uint64_t{bytes.size()});
        if ((data[0] & 4) != 0)
            mend_checksums(bytes);
    }
    const MemoryFile file(bytes);
    try {
        const auto index = load<PlainIndex>(file.path());
        const format::Header header = describe(file.path());
        expect(index->vectors().size() == header.vectors && header.bytes == bytes.size());
        std::size_t least = format::header_bytes;
        for (const auto& [id, vector] : index->vectors()) {
            expect(!id.empty() && vector.size() == header.dimension);
            least += id.size() + (vector.size() + 1) * 4;
        }
        expect(least <= bytes.size());
    } catch (const StorageError& error) {
        expect(error.bytes().has_value() && error.bytes()->first <= error.bytes()->last);
    }
    return 0;
}
