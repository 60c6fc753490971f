// What ends when: structures, threads, and what they know of each other.
#include "catch.hpp"
#include "child_program.hpp"

#include <hotindex/backend/anchor.hpp>
#include <hotindex/backend/production.hpp>
#include <hotindex/backend/traits.hpp>
#include <hotindex/reclaim/epoch_domain.hpp>
#include <hotindex/threads/this_thread.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {
using namespace hotindex;

/// What a participant owns: counts how many there are, and says whose it is.
struct Counted {
    struct Owner {
        std::atomic<int> locals{0};
    };
    explicit Counted(Owner& o) : owner(&o) { ++owner->locals; }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;
    ~Counted() { --owner->locals; }
    Owner* owner;
};
using Domain = EpochDomain<ProductionBackend, TinyTraits, Counted>;
using Ours = ThisThread<Domain>;

struct Structure {
    Counted::Owner owner;
    Anchored<Domain> domain{std::in_place, owner};
};

void wait_for(const std::atomic<int>& step, int value) {
    while (step != value)
        std::this_thread::yield();
}

/// The program's output; what is wrong with its end, if anything, is a failure.
std::string output_of(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), HOTINDEX_LIFETIMES_PROGRAM);
    const tests::Ended ended = tests::run_program(arguments);
    INFO(ended.output);
    CHECK(ended.status == 0);
    return ended.output;
}
} // namespace

TEST_CASE("a thread's handle is found again and given back when the thread ends", "[lifetimes][threads]") {
    Structure one;
    Structure other;
    const auto& mine = Ours::handle(one.domain);
    CHECK(&Ours::handle(other.domain) != &mine);
    CHECK(&Ours::handle(one.domain) == &mine);
    for (int i = 0; i != 5; ++i)
        std::thread([&] { CHECK(Ours::handle(one.domain).index() == 1); }).join();
    CHECK(one.owner.locals == 2);
}

TEST_CASE("a structure that ends gives everything back although the threads that used it go on",
          "[lifetimes][threads]") {
    Counted::Owner owner;
    std::optional<Anchored<Domain>> domain(std::in_place, std::in_place, owner);
    std::atomic<int> step{0};
    std::atomic<int> joined{0};
    std::vector<std::thread> threads;
    for (int t = 0; t != 4; ++t)
        threads.emplace_back([&] {
            (void)Ours::handle(*domain);
            ++joined;
            wait_for(step, 1);
        });
    wait_for(joined, 4);
    CHECK(owner.locals == 4);
    domain.reset();
    CHECK(owner.locals == 0);
    step = 1;
    for (auto& thread : threads)
        thread.join();
    CHECK(owner.locals == 0);
}

TEST_CASE("a thread that goes on keeps little of the structures that have ended", "[lifetimes]") {
    for (int i = 0; i != 10'000; ++i) {
        Structure brief;
        (void)Ours::handle(brief.domain);
    }
    CHECK(Memberships::mine().size() <= 64);
}

TEST_CASE("a structure where another one was is another one", "[lifetimes]") {
    alignas(Structure) std::byte place[sizeof(Structure)];
    for (int i = 0; i != 1000; ++i) {
        auto* const structure = new (place) Structure;
        CHECK(Ours::handle(structure->domain).local().owner == &structure->owner);
        CHECK(structure->owner.locals == 1);
        structure->~Structure();
    }
}

TEST_CASE("a thread finds its handle among ten thousand in a few steps", "[lifetimes]") {
    std::vector<std::unique_ptr<Structure>> many;
    std::vector<const Domain::Handle*> handles;
    for (int i = 0; i != 10'000; ++i) {
        many.push_back(std::make_unique<Structure>());
        handles.push_back(&Ours::handle(many.back()->domain));
    }
    for (std::size_t i = 0; i != many.size(); ++i)
        if (&Ours::handle(many[i]->domain) != handles[i])
            FAIL("another handle");
    CHECK(Memberships::mine().size() >= many.size());
    CHECK(Memberships::mine().longest_walk() <= 64);
}

TEST_CASE("threads and the structure that they used may end at the same time", "[lifetimes][threads]") {
    for (int round = 0; round != 500; ++round) {
        Counted::Owner owner;
        auto domain = std::make_unique<Anchored<Domain>>(std::in_place, owner);
        std::atomic<int> joined{0};
        std::vector<std::thread> threads;
        for (int t = 0; t != 3; ++t)
            threads.emplace_back([&] {
                (void)Ours::handle(*domain);
                ++joined;
            });
        wait_for(joined, 3);
        domain.reset();
        CHECK(owner.locals == 0);
        for (auto& thread : threads)
            thread.join();
    }
}

TEST_CASE("structures may be used from everything that runs at the end of a thread and of main", "[lifetimes]") {
    for (const std::string mode : {"statics", "exit-elsewhere"}) {
        const std::string output = output_of({mode});
        for (const std::string said :
             {"atexit", "a static snapshot", "a thread that ends with a static", "the destructor of a static"}) {
            INFO(mode << ": " << said);
            CHECK(output.find(said + "\n") != std::string::npos);
        }
    }
}

TEST_CASE("a module that used indexes is unloaded when its threads have ended, and not before", "[lifetimes]") {
    const std::string output = output_of({"plugin", HOTINDEX_LIFETIMES_PLUGIN});
    CHECK(output.find("unloaded after its threads\n") != std::string::npos);
    CHECK(output.find("ended what the module had filled\n") != std::string::npos);
    CHECK(output.find("closed before its thread ended\n") != std::string::npos);
}

TEST_CASE("a forked child goes on using an index, and ends it", "[lifetimes]") {
    const std::string output = output_of({"fork"});
    for (const std::string said : {"beside an idle thread", "beside a busy thread", "beside a thread that ends"}) {
        INFO(said);
        CHECK(output.find(said + "\n") != std::string::npos);
    }
}
