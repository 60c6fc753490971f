// Runs the counted operations on the indexes as they are shipped, one thread, for a tool that counts instructions:
//
//   valgrind --tool=callgrind --zero-before=measured_begin --dump-before=measured_end instruction_driver
//
// Each operation stands between a call of measured_begin and one of measured_end, so that callgrind writes a file for
// each, in the order of the lines that this prints: the measure's name and its number of calls. scripts/gate reads
// both.
#include "command_line/command_line.hpp"
#include "counts/counted_operations.hpp"

#include <hotindex/hot_vector_index.hpp>
#include <hotindex/lock_free_hot_vector_index.hpp>

#include <fmt/format.h>

#include <mutex>
#include <span>
#include <string_view>

// Two functions that are never inlined nor, as they differ, folded into one.
namespace {
volatile int stage = 0;
} // namespace
extern "C" [[gnu::noinline]] void measured_begin() {
    stage = 1;
}
extern "C" [[gnu::noinline]] void measured_end() {
    stage = 2;
}

namespace hotindex::bench {
namespace {

template <class Index>
void run(std::string_view name, const CountedInputs& inputs) {
    Index index(counted_options());
    fill_counted(index, inputs);
    for (const CountedOperation& operation : counted_operations) {
        call_counted(operation.name, index, inputs, -1); // warm-up
        measured_begin();
        for (int i = 0; i != counted_repetitions; ++i)
            call_counted(operation.name, index, inputs, i);
        measured_end();
        fmt::print("{} {}\n", counted_name(operation.name, name), counted_repetitions);
    }
}

int main_of(std::span<const char* const> arguments) {
    const command_line::CommandLine line("instruction_driver",
                                         "runs the counted operations, for valgrind; see its source");
    if (!line.read(arguments)) {
        fmt::print("{}", line.help());
        return 0;
    }
    const CountedInputs inputs;
    run<LockFreeHotVectorIndex>("lock_free", inputs);
    run<HotVectorIndex<std::mutex>>("mutex", inputs);
    return 0;
}

} // namespace
} // namespace hotindex::bench

int main(int argc, char** argv) {
    return hotindex::command_line::run_main("instruction_driver", argc, argv, hotindex::bench::main_of);
}
