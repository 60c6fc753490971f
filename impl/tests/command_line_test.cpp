// The flags of the project's programs: what is taken, what is refused and how, and what --help shows.
#include "catch.hpp"
#include "command_line/command_line.hpp"
#include "command_line/nearest.hpp"

#include <array>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hotindex::command_line {
namespace {

using Arguments = std::vector<const char*>;

/// A program with one flag of each kind.
struct Program {
    bool pin = false;
    std::optional<std::size_t> rows;
    double seconds = 0.1;
    std::vector<std::size_t> threads;
    std::optional<std::filesystem::path> file;
    int structure = 0;
    std::vector<int> kinds;
    std::optional<std::string> color; ///< "" when no value was given
    std::vector<std::string> repeated;
    CommandLine line{"program", "does what programs do"};

    Program() {
        const Choices<int> choices{{"map", 1}, {"index", 2}, {"rows", 3}};
        line.add("--pin", "stay on a processor", yes(pin));
        line.add("--rows=N", "at least 2", number(rows, 2));
        line.add("--seconds=S", "how long", number(seconds, 0.01, 1000));
        line.add("--threads=LIST", "such as 1,2,4", ascending(threads, 1024));
        line.say("About files:");
        line.add("--file=NAME", "where it is", text(file));
        line.add("--structure=NAME", "map, index or rows", one_of(structure, choices));
        line.add("--kinds=LIST", "some of them", some_of(kinds, choices));
        line.add("--color[=WHEN]", "", [this](const Given& given) { color = given.value.value_or(""); });
        line.add("--mutant=NAME", "may be repeated",
                 [this](const Given& given) { repeated.emplace_back(*given.value); });
    }
    bool read(const Arguments& arguments) const { return line.read(arguments); }
};

TEST_CASE("a value follows its flag after an equals sign or as the next argument") {
    Program program;
    CHECK(program.read({"--rows=10", "--seconds", "2.5", "--file", "a=b", "--pin", "--threads", "4,1,2,4"}));
    CHECK(program.rows == 10u);
    CHECK(program.seconds == 2.5);
    CHECK(program.file == "a=b");
    CHECK(program.pin);
    CHECK(program.threads == std::vector<std::size_t>{1, 2, 4});
}

TEST_CASE("flags that are not given leave their variables alone, and of one that is repeated the last counts") {
    Program program;
    CHECK(program.read({}));
    CHECK_FALSE(program.rows);
    CHECK(program.seconds == 0.1);
    CHECK(program.read({"--rows=10", "--rows=20", "--mutant=a", "--mutant", "b"}));
    CHECK(program.rows == 20u);
    CHECK(program.repeated == std::vector<std::string>{"a", "b"});
}

TEST_CASE("names stand for values, one or several") {
    Program program;
    CHECK(program.read({"--structure=index", "--kinds=rows,map"}));
    CHECK(program.structure == 2);
    CHECK(program.kinds == std::vector<int>{3, 1});
}

TEST_CASE("an optional value is given by an equals sign only") {
    Program program;
    CHECK(program.read({"--color"}));
    CHECK(program.color == "");
    CHECK(program.read({"--color=never"}));
    CHECK(program.color == "never");
    CHECK_THROWS_WITH(program.read({"--color", "never"}),
                      "unexpected argument 'never': flags are --name, --name=value or --name value");
}

TEST_CASE("an unknown flag is refused with the nearest one") {
    const Program program;
    CHECK_THROWS_WITH(program.read({"--row=3"}), "unknown flag --row; did you mean --rows?");
    CHECK_THROWS_WITH(program.read({"--halp"}), "unknown flag --halp; did you mean --help?");
    CHECK_THROWS_WITH(program.read({"--stucture", "map"}), "unknown flag --stucture; did you mean --structure?");
}

TEST_CASE("values that are lacking, needless or wrong are refused with the value and the remedy") {
    const Program program;
    CHECK_THROWS_WITH(program.read({"--rows"}), "--rows needs a value: --rows=N");
    CHECK_THROWS_WITH(program.read({"--file", "--pin"}), "--file needs a value: --file=NAME");
    CHECK_THROWS_WITH(program.read({"--file="}), "--file needs a value: --file=...");
    CHECK_THROWS_WITH(program.read({"--pin=3"}), "--pin takes no value, but was given '3'");
    CHECK_THROWS_WITH(program.read({"--help=me"}), "--help takes no value, but was given 'me'");
    CHECK_THROWS_WITH(program.read({"--rows=1"}), "--rows: '1' is not a number of 2 or more");
    CHECK_THROWS_WITH(program.read({"--rows=-3"}), "--rows: '-3' is not a number of 2 or more");
    CHECK_THROWS_WITH(program.read({"--rows", "many"}), "--rows: 'many' is not a number of 2 or more");
    CHECK_THROWS_WITH(program.read({"--seconds=nan"}), "--seconds: 'nan' is not a number from 0.01 to 1000");
    CHECK_THROWS_WITH(program.read({"--seconds=1s"}), "--seconds: '1s' is not a number from 0.01 to 1000");
    CHECK_THROWS_WITH(program.read({"--threads=1,,2"}), "--threads: '' is not a number from 1 to 1024");
    CHECK_THROWS_WITH(program.read({"--structure=indx"}),
                      "--structure: 'indx' is not one of map, index, rows; did you mean index?");
    CHECK_THROWS_WITH(program.read({"--kinds=map,"}), "--kinds: '' is not one of map, index, rows");
}

TEST_CASE("of many names only the nearest is told") {
    std::vector<std::string> names;
    for (int i = 10; i != 30; ++i)
        names.push_back("bug" + std::to_string(i));
    const std::vector<std::string_view> views(names.begin(), names.end());
    CHECK(position_of("--bug", "bug12", views) == 2);
    CHECK_THROWS_WITH(position_of("--bug", "bugs23", views), "--bug: nothing is called 'bugs23'; did you mean bug23?");
}

TEST_CASE("help is asked for, and does not hide what is wrong") {
    const Program program;
    CHECK_FALSE(program.read({"--help", "--rows=5"}));
    CHECK_THROWS_AS(program.read({"--help", "--raws=5"}), BadFlag);
}

TEST_CASE("the help names every flag in its place and stays within 120 columns") {
    CommandLine line("program", "does what programs do");
    bool pin = false;
    std::string file;
    line.add("--pin", "stay on a processor\nor not", yes(pin));
    line.say("About files:");
    std::string words;
    for (int i = 0; i != 60; ++i)
        words += "word ";
    line.add("--file=NAME", words + "end", text(file));
    line.add("--the-longest-flag-there-is=SECONDS", "its help is below", text(file));
    line.add("--bare=...", "", text(file));
    line.say("structures");
    line.entry("map", "a map");
    std::string row; // of words in the help's column
    for (int i = 0; i != 21; ++i)
        row += i == 0 ? "word" : " word";
    CHECK(line.help() == "program: does what programs do\n\nusage: program [flags]\n\n"
                         "  --pin        stay on a processor\n"
                         "               or not\n"
                         "About files:\n"
                         "  --file=NAME  " +
                             row + "\n               " + row + "\n               " + row.substr(0, 18 * 5 - 1) +
                             " end\n"
                             "  --the-longest-flag-there-is=SECONDS\n"
                             "               its help is below\n"
                             "  --bare=...\n"
                             "  --help       this text\n"
                             "structures\n"
                             "  map          a map\n");
}

TEST_CASE("a program ends with what it says: its own status, 2 for the command line, 1 for any other failure") {
    std::string name = "program";
    std::string flag = "--flag";
    std::array<char*, 3> arguments{name.data(), flag.data(), nullptr};
    const auto status = [&](auto run) { return run_main("program", 2, arguments.data(), run); };
    CHECK(status([](auto given) { return given.size() == 1 && std::string_view(given[0]) == "--flag" ? 3 : 0; }) == 3);
    CHECK(status([](auto) -> int { throw BadFlag("expected by the test"); }) == 2);
    CHECK(status([](auto) -> int { throw std::runtime_error("expected by the test"); }) == 1);
}

TEST_CASE("the distance of two words counts letters to insert, delete or replace") {
    CHECK(edit_distance("", "") == 0);
    CHECK(edit_distance("rows", "rows") == 0);
    CHECK(edit_distance("", "rows") == 4);
    CHECK(edit_distance("kitten", "sitting") == 3);
    CHECK(edit_distance("sitting", "kitten") == 3);
}

TEST_CASE("what looks alike shares letters and differs in three at most") {
    constexpr std::array<std::string_view, 3> known{"fvecs", "npy", "hdf5"};
    CHECK(look_alike("fvec", known) == "fvecs");
    CHECK(look_alike("h5", known) == "hdf5");
    CHECK_FALSE(look_alike("parquet", known));
    CHECK_FALSE(look_alike("abc", known));
    CHECK_FALSE(look_alike("", known));
    CHECK(nearest("extremely_hdf5", known) == "hdf5");
}

} // namespace
} // namespace hotindex::command_line
