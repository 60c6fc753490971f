// Fuzz target: bytes as a sequence of operations, on both indexes at once, each answer compared with the oracle's and
// with the other index's. One thread: what libFuzzer looks for here is states, not schedules.
//
// Each operation is two bytes: what and on which id; then what it takes. TinyTraits, so that a few operations meet
// growth, reuse and reclamation.
#include "checkers/history.hpp"
#include "harness/subject.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

namespace {
using namespace hotindex;
using namespace hotindex::stress;

constexpr std::size_t dimension = 4;
constexpr Id ids = 24;

class Bytes {
  public:
    Bytes(const std::uint8_t* data, std::size_t size) : rest_(data, size) {}
    [[nodiscard]] bool empty() const noexcept { return rest_.empty(); }
    std::uint8_t next() {
        if (rest_.empty())
            return 0;
        const std::uint8_t byte = rest_.front();
        rest_ = rest_.subspan(1);
        return byte;
    }

  private:
    std::span<const std::uint8_t> rest_;
};

[[noreturn]] void disagree(const char* index, const Call& call) {
    fmt::print(stderr, "{}: {}\n", index, in_words(call));
    std::abort();
}
} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Bytes bytes(data, size);
    const auto lock_free = make_tiny_subject(history_options(dimension));
    const auto locked = make_locked_subject(history_options(dimension));
    auto session = lock_free->join();
    const auto control = locked->join();
    std::unique_ptr<HeldSnapshot> held;
    std::vector<Value> state(ids, 0);
    std::vector<Value> held_state;
    while (!bytes.empty()) {
        const std::uint8_t what = bytes.next();
        Call call;
        call.id = bytes.next() % ids;
        switch (what % 10) {
        case 0:
        case 1:
        case 2:
            call.operation = Operation::add;
            call.value = static_cast<Value>(1 + bytes.next() + 256 * (bytes.next() % 16));
            break;
        case 3:
        case 4:
            call.operation = Operation::remove;
            break;
        case 5:
            call.operation = what < 128 ? Operation::get : Operation::contains;
            break;
        case 6:
            held = session->hold();
            held_state = state;
            continue;
        case 7:
            held.reset();
            if (what < 64)
                session->drain();
            else if (what < 96)
                session.reset(), session = lock_free->join();
            continue;
        default:
            call.operation = Operation::search;
            call.id = 0;
            call.query = static_cast<Query>(what / 10 % query_count);
            call.most = bytes.next() % (ids + 2);
        }
        Call again = call;
        session->perform(call);
        control->perform(again);
        if (held != nullptr && call.operation == Operation::search) {
            Call past = call;
            held->perform(past);
            if (!step(held_state, past, dimension))
                disagree("a snapshot of the lock-free index", past);
        }
        std::vector<Value> next = state;
        if (!step(next, call, dimension))
            disagree("the lock-free index", call);
        if (!step(state, again, dimension))
            disagree("the index behind a mutex", again);
        if (call.found != again.found)
            disagree("the two indexes differ", call);
    }
    std::size_t there = 0;
    for (const Value value : state)
        there += value != 0 ? 1 : 0;
    held.reset();
    if (lock_free->size() != there || locked->size() != there || !session->drain())
        std::abort();
    return 0;
}
