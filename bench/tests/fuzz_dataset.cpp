// Fuzz target: bytes as a file, read by one of the dataset readers. A reader either gives a whole matrix or says what
// is wrong with the file; it does nothing else, and takes no more memory than it was allowed.
//
// The first byte chooses the reader. HDF5 is left out: its parser is a library of its own, and not an instrumented one.
#include "dataset/bin.hpp"
#include "dataset/error.hpp"
#include "dataset/idx.hpp"
#include "dataset/npy.hpp"
#include "dataset/vecs.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace {
using namespace hotindex::bench;

/// A file in memory with a path.
class MemoryFile {
  public:
    MemoryFile(const std::uint8_t* data, std::size_t size) : descriptor_(memfd_create("fuzz", 0)) {
        if (descriptor_ < 0 || write(descriptor_, data, size) != static_cast<ssize_t>(size))
            std::abort();
    }
    MemoryFile(const MemoryFile&) = delete;
    MemoryFile& operator=(const MemoryFile&) = delete;
    ~MemoryFile() { close(descriptor_); }
    [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

  private:
    int descriptor_;
};

template <class T>
void expect_whole(const Matrix<T>& matrix, const ReadOptions& options) {
    if (matrix.rows * matrix.columns != matrix.values.size() || matrix.values.size() * sizeof(T) > options.max_bytes ||
        (options.max_rows && matrix.rows > *options.max_rows))
        std::abort();
}
} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0)
        return 0;
    const MemoryFile file(data + 1, size - 1);
    ReadOptions options;
    options.max_bytes = 1 << 20;
    if ((data[0] & 0x80) != 0)
        options.max_rows = 1 + (data[0] >> 3 & 15);
    try {
        switch (data[0] % 10) {
        case 0:
            expect_whole(read_fvecs(file.path(), options), options);
            break;
        case 1:
            expect_whole(read_bvecs(file.path(), options), options);
            break;
        case 2:
            expect_whole(read_ivecs(file.path(), options), options);
            break;
        case 3:
            expect_whole(read_idx(file.path(), options), options);
            break;
        case 4:
            expect_whole(read_npy(file.path(), options), options);
            break;
        default: {
            constexpr std::array formats{Format::fbin, Format::f16bin, Format::u8bin, Format::i8bin, Format::ibin};
            expect_whole(read_bin(file.path(), formats[data[0] % 10u - 5], options), options);
        }
        }
    } catch (const DatasetError&) {
        return 0; // it said what is wrong
    }
    return 0;
}
