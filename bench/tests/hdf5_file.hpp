// HDF5 files for the dataset tests.
#pragma once

#include "dataset_files.hpp"

#include <hdf5.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace hotindex::bench {

class Hdf5File {
  public:
    explicit Hdf5File(const fs::path& file) : id_(H5Fcreate(file.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT)) {
        REQUIRE(id_ >= 0);
    }
    ~Hdf5File() { H5Fclose(id_); }
    Hdf5File(const Hdf5File&) = delete;
    Hdf5File& operator=(const Hdf5File&) = delete;

    /// Values may be empty: then nothing is written and the sizes stand alone.
    template <class T>
    void table(const char* name, std::vector<hsize_t> sizes, const std::vector<T>& values, hid_t stored, hid_t native,
               bool compressed = false) const {
        const hid_t space = H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr);
        const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
        if (compressed) {
            H5Pset_chunk(properties, static_cast<int>(sizes.size()), sizes.data());
            H5Pset_deflate(properties, 6);
        }
        const hid_t set = H5Dcreate2(id_, name, stored, space, H5P_DEFAULT, properties, H5P_DEFAULT);
        REQUIRE(set >= 0);
        if (!values.empty())
            REQUIRE(H5Dwrite(set, native, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0);
        H5Dclose(set);
        H5Pclose(properties);
        H5Sclose(space);
    }
    void floats(const char* name, std::vector<hsize_t> sizes, const Floats& values, bool compressed = false) const {
        table(name, std::move(sizes), values, H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, compressed);
    }
    void ids(const char* name, std::vector<hsize_t> sizes, const std::vector<int>& values) const {
        table(name, std::move(sizes), values, H5T_STD_I32LE, H5T_NATIVE_INT);
    }
    /// Bits as h5py stores numpy.bool_: an enumeration of bytes.
    void bits(const char* name, std::vector<hsize_t> sizes, const std::vector<std::uint8_t>& values) const {
        const hid_t type = H5Tenum_create(H5T_STD_I8LE);
        const std::int8_t no = 0;
        const std::int8_t yes = 1;
        H5Tenum_insert(type, "FALSE", &no);
        H5Tenum_insert(type, "TRUE", &yes);
        table(name, std::move(sizes), values, type, type);
        H5Tclose(type);
    }
    /// Compressed by a filter that exists only while the table is written.
    void filtered(const char* name, std::vector<hsize_t> sizes, const Floats& values, H5Z_filter_t filter) const {
        const H5Z_class2_t as_it_is{
            H5Z_CLASS_T_VERS,
            filter,
            1,
            1,
            "",
            nullptr,
            nullptr,
            [](unsigned, std::size_t, const unsigned*, std::size_t bytes, std::size_t*, void**) { return bytes; }};
        REQUIRE(H5Zregister(&as_it_is) >= 0);
        const hid_t space = H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr);
        const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
        H5Pset_chunk(properties, static_cast<int>(sizes.size()), sizes.data());
        H5Pset_filter(properties, filter, H5Z_FLAG_MANDATORY, 0, nullptr);
        const hid_t set = H5Dcreate2(id_, name, H5T_IEEE_F32LE, space, H5P_DEFAULT, properties, H5P_DEFAULT);
        REQUIRE(set >= 0);
        REQUIRE(H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0);
        H5Dclose(set);
        H5Pclose(properties);
        H5Sclose(space);
        H5Fflush(id_, H5F_SCOPE_GLOBAL);
        REQUIRE(H5Zunregister(filter) >= 0);
    }
    void text(const char* name, const std::string& value, bool variable) const {
        const hid_t type = H5Tcopy(H5T_C_S1);
        H5Tset_size(type, variable ? H5T_VARIABLE : value.size());
        if (!variable)
            H5Tset_strpad(type, H5T_STR_NULLPAD);
        const hid_t space = H5Screate(H5S_SCALAR);
        const hid_t attribute = H5Acreate2(id_, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
        const char* start = value.c_str();
        REQUIRE(H5Awrite(attribute, type, variable ? static_cast<const void*>(&start) : start) >= 0);
        H5Aclose(attribute);
        H5Sclose(space);
        H5Tclose(type);
    }

  private:
    hid_t id_;
};

/// Three vectors, two queries, two neighbours each, as ann-benchmarks writes them.
inline fs::path write_hdf5(const fs::path& file, const std::string& distance = "euclidean", bool variable = true,
                           bool compressed = false) {
    const Hdf5File hdf5(file);
    hdf5.floats("train", {3, 2}, {0, 0, 3, 4, 6, 8}, compressed);
    hdf5.floats("test", {2, 2}, {0, 1, 6, 7}, compressed);
    hdf5.ids("neighbors", {2, 2}, {0, 1, 2, 1});
    hdf5.floats("distances", {2, 2}, {0.5F, 0.25F, 1, 2});
    if (!distance.empty())
        hdf5.text("distance", distance, variable);
    return file;
}

} // namespace hotindex::bench
