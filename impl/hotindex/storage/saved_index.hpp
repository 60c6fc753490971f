// save() and load(): one state of an index in a file, and an index made of it.
//
// save() takes a snapshot, and so the file holds the state at one instant between call and return, while others go on
// adding and removing. When it returns, the file is on the device; a process or a machine that ends before leaves the
// file that was there (see ReplacedFile). load() makes an index of the whole file, or none. The format stands in
// format.hpp: another program may write and read such files.
//
// Ids, vectors, dimension and metric are saved. Accesses, tiers and statistics are not: they begin anew.
//
// Memory: that of a snapshot, and a block of the file. A lock-free index's snapshot keeps what is replaced and removed
// meanwhile; the traditional index's is a copy of all vectors, for which writers wait (see CopiedState).
// Progress: that of a snapshot. Nobody waits for the disk but the caller.
#pragma once

#include <hotindex/storage/format.hpp>
#include <hotindex/storage/state_reader.hpp>
#include <hotindex/storage/state_writer.hpp>
#include <hotindex/storage/storage_error.hpp>
#include <hotindex/vector_index.hpp>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>

namespace hotindex {

/// Saves an index, or a snapshot of one, and replaces a file that is there. Returns how much was saved. Any number of
/// threads may save, to different files. O(size * dimension).
///
/// Throws StorageError (a path that cannot be written to, no space, an error of the device, somebody who saves to the
/// same path at the same time), std::bad_alloc; then what was there before is unchanged.
template <class Source>
Saved save(const Source& source, const std::filesystem::path& path,
           SystemCalls& calls = SystemCalls::of_this_system()) {
    if constexpr (requires { source.snapshot(); }) {
        return save(source.snapshot(), path, calls);
    } else {
        using Stored = format::StoredId<typename Source::Id>;
        StateWriter writer(path, source.options(), Stored::kind, calls);
        source.for_each([&writer](IdView<typename Source::Id> id, std::span<const float> vector) {
            writer.add(Stored::to_bytes(id), vector);
        });
        return writer.commit();
    }
}

/// What a file holds: its header, checked; the blocks are not looked at. Throws StorageError.
[[nodiscard]] inline format::Header describe(const std::filesystem::path& path) {
    return StateReader(path).header();
}

/// The rest of a file as an index: see load().
template <class Index>
[[nodiscard]] std::unique_ptr<Index> load(StateReader& reader, IndexOptions options) {
    using Stored = format::StoredId<typename Index::Id>;
    reader.expect(options, Stored::kind);
    options.expected_vectors = std::max(options.expected_vectors, static_cast<std::size_t>(reader.header().vectors));
    auto index = std::make_unique<Index>(options);
    while (reader.next()) {
        try {
            if (index->add_vector(Stored::from_bytes(reader.id()), reader.vector()) == AddOutcome::replaced)
                reader.refuse_id("this id is there twice");
        } catch (const InvalidArgument& reason) {
            reader.refuse_vector(reason.what());
        }
    }
    return index;
}

/// An index with what is in the file, as it was added. `options`: of the new index; its dimension and metric must be
/// the file's, and room is reserved for what is in the file. O(size * dimension), and memory for the index and a block.
///
/// Throws StorageError (no such file, one of another kind, version, dimension or metric, a wrong byte anywhere: it
/// names which), InvalidArgument for bad options, std::bad_alloc.
template <class Index>
[[nodiscard]] std::unique_ptr<Index> load(const std::filesystem::path& path, const IndexOptions& options) {
    check::options(options);
    StateReader reader(path);
    return load<Index>(reader, options);
}

/// The same with the file's dimension and metric, and else the options as they are by default.
template <class Index>
[[nodiscard]] std::unique_ptr<Index> load(const std::filesystem::path& path) {
    StateReader reader(path);
    return load<Index>(reader, {.dimension = reader.header().dimension, .metric = reader.header().metric});
}

} // namespace hotindex
