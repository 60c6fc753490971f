// What is in a saved file, and that whatever is wrong in one is named.
#include "catch.hpp"
#include "saved_bytes.hpp"
#include "scratch_folder.hpp"

#include <hotindex/storage/saved_index.hpp>

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <sys/stat.h>
#include <vector>

namespace {
using namespace hotindex;
using namespace hotindex::tests;
namespace fs = std::filesystem;

/// The error of loading; what is loaded is looked at as a whole, so that nothing is half there.
std::optional<StorageError> refusal(const fs::path& path) {
    try {
        (void)load<PlainIndex>(path);
    } catch (const StorageError& error) {
        CHECK(error.path() == path);
        return error;
    }
    return std::nullopt;
}

/// Empty where loading these bytes is refused, and the refusal names byte `at`; else what is wrong with that.
std::string unnamed(const ScratchFolder& folder, const std::string& bytes, std::size_t at) {
    write_file(folder / "bad", bytes);
    const std::optional<StorageError> error = refusal(folder / "bad");
    if (!error)
        return fmt::format("byte {} is wrong, and the file was loaded", at);
    if (!error->bytes() || error->bytes()->first > at || error->bytes()->last < at)
        return fmt::format("byte {} is wrong, said was: {}", at, error->what());
    return {};
}

/// Two vectors in a block, as the format says: see the_bytes_of_a_small_file.
PlainIndex small_index() {
    PlainIndex index({.dimension = 2, .metric = Metric::squared_euclidean});
    index.add_vector("a", std::vector<float>{1, -2});
    index.add_vector("bcd", std::vector<float>{0.5F, 3});
    return index;
}

std::string saved_bytes(const ScratchFolder& folder, const PlainIndex& index) {
    Undurable calls;
    (void)save(index, folder / "saved", calls);
    return read_file(folder / "saved");
}

/// Three vectors, each a block of its own.
PlainIndex index_of_blocks() {
    PlainIndex index({.dimension = std::size_t{1} << 18, .metric = Metric::inner_product});
    for (const char* id : {"first", "second", "third"})
        index.add_vector(id, std::vector<float>(index.options().dimension, static_cast<float>(id[0])));
    return index;
}
} // namespace

TEST_CASE("the bytes of a saved file are those that the format says", "[storage]") {
    // Made by another program, in Python, with its zlib.crc32.
    constexpr std::array<unsigned char, 112> expected{
        0x89, 'H', 'I',  'X',  0x0d, 0x0a, 0x1a, 0x0a, 1,   0,   0,   0,    2,    0,    0,    0,   // version, dimension
        2,    0,   0,    0,    0,    0,    0,    0,    112, 0,   0,   0,    0,    0,    0,    0,   // vectors, bytes
        's',  'q', 'u',  'a',  'r',  'e',  'd',  '_',  'e', 'u', 'c', 'l',  'i',  'd',  'e',  'a', // metric
        'n',  0,   0,    0,    0,    0,    0,    0,    0,   0,   0,   0,    0xeb, 0x53, 0x81, 0xaf,  // checksum
        2,    0,   0,    0,    4,    0,    0,    0,    0,   0,   0,   0,    0,    0,    0,    0,     // block
        0,    0,   0x80, 0x3f, 0,    0,    0,    0xc0, 0,   0,   0,   0x3f, 0,    0,    0x40, 0x40,  // vectors
        1,    0,   0,    0,    3,    0,    0,    0,    'a', 'b', 'c', 'd',  0x76, 0xec, 0xa8, 0x43}; // ids
    const ScratchFolder folder;
    const std::string bytes = saved_bytes(folder, small_index());
    CHECK(bytes == std::string(expected.begin(), expected.end()));
    CHECK(load<PlainIndex>(folder / "saved")->vectors() == small_index().vectors());
    const format::Header header = describe(folder / "saved");
    CHECK(header.dimension == 2);
    CHECK(header.metric == Metric::squared_euclidean);
    CHECK(header.vectors == 2);
    CHECK(header.bytes == 112);
}

TEST_CASE("what is saved is loaded to the last bit, whatever ids and sizes there are", "[storage]") {
    std::mt19937 random(7);
    std::normal_distribution<float> normal;
    for (const std::size_t dimension : {std::size_t{1}, std::size_t{3}, std::size_t{1000}, max_dimension})
        for (const Metric metric : {Metric::cosine, Metric::inner_product}) {
            PlainIndex index({.dimension = dimension, .metric = metric});
            const std::size_t n = dimension == max_dimension ? 2 : dimension == 1 ? 40'000 : 700;
            for (std::size_t i = 0; i != n; ++i) {
                std::string id(1 + random() % 40, '\0');
                for (char& c : id)
                    c = static_cast<char>(random());
                if (i == 5)
                    id.assign(std::size_t{1} << 21, 'x'); // more than a block
                std::vector<float> vector(dimension);
                for (float& x : vector)
                    x = normal(random);
                vector[0] = std::numeric_limits<float>::denorm_min();
                vector.back() = 1;
                index.add_vector(id, vector);
            }
            const ScratchFolder folder;
            const Saved saved = save(index, folder / "saved");
            CHECK(saved.vectors == index.vectors().size());
            CHECK(saved.bytes == fs::file_size(folder / "saved"));
            if (!(load<PlainIndex>(folder / "saved")->vectors() == index.vectors())) // no output of a million floats
                FAIL("another state was loaded, dimension " << dimension);
        }
}

TEST_CASE("an empty index is saved as a header", "[storage]") {
    const ScratchFolder folder;
    CHECK(save(PlainIndex({.dimension = 7}), folder / "saved").bytes == format::header_bytes);
    const auto loaded = load<PlainIndex>(folder / "saved");
    CHECK(loaded->vectors().empty());
    CHECK(loaded->options().dimension == 7);
    CHECK(loaded->options().metric == Metric::cosine);
}

TEST_CASE("whichever bit of a saved file is wrong, the error names its byte", "[storage]") {
    const ScratchFolder folder;
    const std::string bytes = saved_bytes(folder, small_index());
    for (std::size_t i = 0; i != bytes.size(); ++i)
        for (int bit = 0; bit != 8; ++bit) {
            std::string bad = bytes;
            bad[i] = static_cast<char>(bad[i] ^ (1 << bit));
            CHECK(unnamed(folder, bad, i) == "");
        }
}

TEST_CASE("a saved file that ends early, or goes on, is refused at any length", "[storage]") {
    const ScratchFolder folder;
    const std::string bytes = saved_bytes(folder, small_index());
    for (std::size_t size = 0; size != bytes.size(); ++size)
        CHECK(unnamed(folder, bytes.substr(0, size), size) == "");
    CHECK(unnamed(folder, bytes + 'x', bytes.size()) == "");
    CHECK(unnamed(folder, bytes + bytes, bytes.size()) == "");
}

TEST_CASE("blocks that are missing or exchanged are noticed where they are", "[storage]") {
    const ScratchFolder folder;
    const std::string bytes = saved_bytes(folder, index_of_blocks());
    const std::vector<std::size_t> begins = block_begins(bytes);
    REQUIRE(begins.size() == 4);
    const auto block = [&](std::size_t i) { return bytes.substr(begins[i], begins[i + 1] - begins[i]); };
    const std::string header = bytes.substr(0, format::header_bytes);

    std::string lacking = header + block(0) + block(2);
    CHECK(unnamed(folder, lacking, lacking.size()) == ""); // shorter than its header says
    put_number(lacking, format::at::bytes, std::uint64_t{lacking.size()});
    put_number(lacking, format::at::vectors, std::uint64_t{2});
    mend_checksums(lacking);
    CHECK(unnamed(folder, lacking, begins[1] + 8) == "");

    std::string exchanged = header + block(1) + block(0) + block(2);
    CHECK(unnamed(folder, exchanged, begins[0] + 8) == "");
}

TEST_CASE("what another program has written wrong is named", "[storage]") {
    struct Wrong {
        std::string what;
        std::size_t at;
        std::function<void(std::string&)> edit;
        std::string said;
    };
    const auto put = [](std::size_t where, auto number) {
        return [where, number](std::string& bytes) { put_number(bytes, where, number); };
    };
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const std::size_t block = format::header_bytes, rows = block + 16, lengths = rows + 16;
    const std::vector<Wrong> all{
        {"another version", 8, put(8, 2U), "version is 2, this library reads version 1"},
        {"no dimension", 12, put(12, 0U), "dimension is 0"},
        {"a dimension that no index has", 12, put(12, (1U << 20) + 1), "dimension is 1048577"},
        {"another dimension", block, put(12, 3U), "has 56 bytes, 48 are left"},
        {"fewer vectors than there are", 16, put(16, std::uint64_t{1}), "says 1 vectors, the file has 2"},
        {"more vectors than there are", 16, put(16, std::uint64_t{3}), "says 3 vectors, the file has 2"},
        {"more vectors than could be", 16, put(16, ~std::uint64_t{0}), "has bytes for 8 at most"},
        {"a metric that nobody knows", 32, put(32, 'S'), "no metric of this name"},
        {"something after the metric", 55, put(55, 'x'), "no metric of this name"},
        {"ids of a kind that nobody knows", 56, put(56, 2U), "ids of kind 2"},
        {"integers where strings are to be", 56, put(56, 1U), "the file's ids are integers, the index's are strings"},
        {"a block without vectors", block, put(block, 0U), "0 vectors"},
        {"a block of more vectors than the file", block, put(block, 0xffff'ffffU), "4294967295 vectors"},
        {"a block of more ids than the file", block + 4, put(block + 4, 0xffff'ffffU), "4294967295 bytes of ids"},
        {"a block that is not the first", block + 8, put(block + 8, std::uint64_t{5}), "5 vectors come before it"},
        {"a number that is none", rows + 12, put(rows + 12, nan), "nan at position 1"},
        {"an id without bytes", lengths, put(lengths, 0U), "no bytes"},
        {"ids that are longer than their bytes", lengths, put(lengths, 2U), "5 bytes together"},
        {"an id that is longer than a number can say", lengths, put(lengths + 4, 0xffff'ffffU), "bytes together"},
        {"ids that are shorter than their lengths", lengths, put(block + 4, 3U), "4 bytes together, the block says 3"},
    };
    const ScratchFolder folder;
    const std::string bytes = saved_bytes(folder, small_index());
    for (const Wrong& wrong : all) {
        INFO(wrong.what);
        std::string bad = bytes;
        wrong.edit(bad);
        mend_checksums(bad);
        CHECK(unnamed(folder, bad, wrong.at) == "");
        write_file(folder / "bad", bad);
        const std::string said = refusal(folder / "bad").value().what();
        INFO(said);
        CHECK(said.find(wrong.said) != std::string::npos);
    }

    // Integers that have not 8 bytes; for an index of strings the header is wrong already.
    std::string numbers = bytes;
    put_number(numbers, format::at::ids, 1U);
    mend_checksums(numbers);
    write_file(folder / "bad", numbers);
    StateReader reader(folder / "bad");
    CHECK(reader.header().ids == format::Ids::integers);
    try {
        (void)reader.next();
        FAIL("an integer of one byte was read");
    } catch (const StorageError& error) {
        CHECK(error.bytes() == ByteRange{lengths, lengths + 3});
        CHECK(std::string(error.what()).find("an id has 1 bytes, an integer has 8") != std::string::npos);
    }

    // With zeros after the ids that are none.
    PlainIndex padded({.dimension = 1, .metric = Metric::inner_product});
    padded.add_vector("x", std::vector<float>{1});
    std::string bad = saved_bytes(folder, padded);
    const std::size_t zeros = bad.size() - format::checksum_bytes - 3;
    for (std::size_t i = zeros; i != zeros + 3; ++i) {
        std::string each = bad;
        each[i] = 'y';
        mend_checksums(each);
        CHECK(unnamed(folder, each, i) == "");
    }

    // A vector that has no norm, and an id that is there twice.
    PlainIndex two({.dimension = 2, .metric = Metric::cosine});
    two.add_vector("aa", std::vector<float>{1, 2});
    two.add_vector("ab", std::vector<float>{3, 4});
    bad = saved_bytes(folder, two);
    std::string twice = bad;
    twice[block + 16 + 16 + 8 + 3] = 'a';
    mend_checksums(twice);
    CHECK(unnamed(folder, twice, block + 16 + 16 + 8 + 2) == "");
    CHECK(std::string(refusal(folder / "bad").value().what()).find("there twice") != std::string::npos);
    put_number(bad, rows + 8, 0.0F);
    put_number(bad, rows + 12, 0.0F);
    mend_checksums(bad);
    CHECK(unnamed(folder, bad, rows + 8) == "");
    CHECK(std::string(refusal(folder / "bad").value().what()).find("cosine") != std::string::npos);
}

TEST_CASE("a path at which no saved file is tells so", "[storage]") {
    const ScratchFolder folder;
    fs::create_directory(folder / "folder");
    REQUIRE(mkfifo((folder / "pipe").c_str(), 0600) == 0);
    write_file(folder / "text", "id,x,y\na,1,2\n");
    write_file(folder / "empty", "");
    struct Wrong {
        fs::path path;
        std::string said;
    };
    for (const Wrong& wrong : {Wrong{folder / "folder", "this is a folder, not a file; give"},
                               {folder / "pipe", "a pipe"},
                               {"/dev/null", "a device"},
                               {folder / "not there", "No such file"},
                               {folder / "text" / "below", "Not a directory"},
                               {folder / "text", "bytes 0 to 7: this is not a file of hotindex"},
                               {folder / "empty", "this is not a file of hotindex"}}) {
        const std::string said = refusal(wrong.path).value().what();
        INFO(said);
        CHECK(said.starts_with(wrong.path.string() + ": "));
        CHECK(said.find(wrong.said) != std::string::npos);
        CHECK(said.find("; ") != std::string::npos);
    }
}

TEST_CASE("an index of another dimension or metric than the file's is refused by its field", "[storage]") {
    const ScratchFolder folder;
    (void)saved_bytes(folder, small_index());
    const auto refused = [&](const IndexOptions& options) -> StorageError {
        try {
            (void)load<PlainIndex>(folder / "saved", options);
        } catch (const StorageError& error) {
            return error;
        }
        return {folder / "saved", std::nullopt, "loaded", "it should not have been"};
    };
    CHECK(load<PlainIndex>(folder / "saved", small_index().options())->vectors() == small_index().vectors());
    CHECK(refused({.dimension = 3, .metric = Metric::squared_euclidean}).bytes() == ByteRange{12, 15});
    CHECK(refused({.dimension = 2, .metric = Metric::cosine}).bytes() == ByteRange{32, 55});
    CHECK_THROWS_AS(load<PlainIndex>(folder / "saved", {}), InvalidArgument);
    CHECK_THROWS_AS(load<PlainIndex>(folder / "not there", {}), InvalidArgument);
}
