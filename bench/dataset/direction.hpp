// Rows that cosine cannot compare: a zero vector has no direction. For the dataset loader only.
#pragma once

#include "dataset/dataset.hpp"

#include <cstddef>
#include <filesystem>
#include <string_view>

namespace hotindex::bench {

/// Where the rows come from, for the notes.
struct Origin {
    const std::filesystem::path& base_file;
    std::string_view base_table; ///< "'train'", "the vectors"
    const std::filesystem::path& query_file;
    std::string_view query_table;
    std::size_t first_query = 0; ///< row of the file that is the first query, when queries were split off
};

/// Leaves out the base rows and queries that an index under cosine would refuse, adds notes, and keeps the ground truth
/// right: answers to queries that are left out go, and of the ids those of rows left out. DatasetError when no base row
/// or, of at least one, no query remains. O(base rows * dimension).
void leave_out_rows_without_direction(Dataset& dataset, const Origin& origin);

} // namespace hotindex::bench
