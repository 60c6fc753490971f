#include "dataset/format.hpp"

namespace hotindex::bench {

std::string_view name_of(Format format) noexcept {
    switch (format) {
    case Format::fvecs:
        return "fvecs";
    case Format::bvecs:
        return "bvecs";
    case Format::ivecs:
        return "ivecs";
    case Format::fbin:
        return "fbin";
    case Format::f16bin:
        return "f16bin";
    case Format::u8bin:
        return "u8bin";
    case Format::i8bin:
        return "i8bin";
    case Format::ibin:
        return "ibin";
    case Format::idx:
        return "IDX";
    case Format::npy:
        return "npy";
    case Format::hdf5:
        return "HDF5";
    }
    return "unknown";
}

} // namespace hotindex::bench
