// What ends when: a program of its own for what a test binary cannot do to itself. lifetimes_test.cpp runs it.
//
// usage: lifetimes_program statics             structures used from what runs at a thread's and at main's end
//        lifetimes_program exit-elsewhere      the same, where another thread than main calls exit()
//        lifetimes_program plugin MODULE       a module that is unloaded, before and after the threads that used it
//        lifetimes_program fences              which fences, and do they work?
//        lifetimes_program late [fall-back]    a sandbox closes while an index is in use
//        lifetimes_program fork                what a child can do
//        lifetimes_program save FILE N         an index is saved and changed, again and again, until the process is
//                                              killed, N microseconds after the first time
#include "child_program.hpp"
#include "store_buffering.hpp"

#include <hotindex/hot_vector_index.hpp>
#include <hotindex/lock_free_hot_vector_index.hpp>
#include <hotindex/map/lock_free_hash_map.hpp>
#include <hotindex/storage/saved_index.hpp>

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <dlfcn.h>
#include <memory>
#include <optional>
#include <pthread.h>
#include <string>
#include <string_view>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {
using namespace hotindex;
using namespace std::chrono_literals;
const std::vector<float> v{1, 2};

void say(std::string_view text) {
    fmt::print("{}\n", text);
    std::fflush(stdout);
}
void require(bool holds, std::string_view what) {
    if (holds)
        return;
    say(fmt::format("WRONG: {}", what));
    std::_Exit(1);
}

// ---- the end of threads and of main ----

struct Service {
    LockFreeHotVectorIndex lock_free{IndexOptions{.dimension = 2}};
    HotVectorIndex<std::mutex> locked{IndexOptions{.dimension = 2}};
    LockFreeHashMap<int, int> map;
    std::atomic<int> uses{0};
    Service() = default;
    Service(const Service&) = delete;
    Service& operator=(const Service&) = delete;
    ~Service();
    void use(std::string_view from) {
        lock_free.add_vector("a", v);
        locked.add_vector("a", v);
        map.insert_or_assign(1, 2);
        require(lock_free.search(v, 3).size() == 1 && lock_free.contains("a"), from);
        require(locked.search(v, 3).size() == 1, from);
        require(map.get(1) == 2, from);
        ++uses;
    }
};
Service::~Service() {
    use("the destructor of a static");
    say("the destructor of a static");
}
Service& service() {
    static Service only;
    return only;
}

/// Destroyed after everything that this thread makes later.
struct AtThreadEnd {
    AtThreadEnd() = default;
    AtThreadEnd(const AtThreadEnd&) = delete;
    AtThreadEnd& operator=(const AtThreadEnd&) = delete;
    ~AtThreadEnd() { service().use("the destructor of a thread_local"); }
    void touch() const {}
};
thread_local const AtThreadEnd at_thread_end;

pthread_key_t key;
void at_key_end(void* value) {
    service().use("the destructor of a thread key");
    const auto rounds = reinterpret_cast<std::intptr_t>(value);
    if (rounds > 1) // again in the next round
        pthread_setspecific(key, reinterpret_cast<void*>(rounds - 1));
}

/// Its thread ends in the destructor: while the process ends.
struct Pool {
    std::atomic<bool> stop{false};
    std::thread thread{[this] {
        at_thread_end.touch();
        service().use("a thread of a static");
        while (!stop)
            std::this_thread::sleep_for(1ms);
    }};
    Pool() = default;
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;
    ~Pool() {
        stop = true;
        thread.join();
        say("a thread that ends with a static");
    }
};

/// A snapshot with static storage.
struct Held {
    std::optional<LockFreeHotVectorIndex::Snapshot> snapshot;
    explicit Held(LockFreeHotVectorIndex::Snapshot held) : snapshot(std::move(held)) {}
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    ~Held() {
        require(snapshot->search(v, 9).size() == 1 && snapshot->size() == 1, "a static snapshot");
        snapshot.reset();
        say("a static snapshot");
    }
};

void ends_of_threads() {
    at_thread_end.touch();
    service().use("main");
    pthread_key_create(&key, &at_key_end);
    for (int i = 0; i != 100; ++i)
        std::thread([i] {
            at_thread_end.touch();
            if (i % 2 == 0)
                pthread_setspecific(key, reinterpret_cast<void*>(std::intptr_t{2}));
            if (i % 4 < 2) // the others use it at their end alone
                service().use("a thread");
        }).join();
    // main; 100 threads; at the end of each; twice more in every other one
    require(service().uses == 1 + 50 + 100 + 2 * 50, "how often it was used");
    // They came one after the other: one record is enough for them all.
    require(service().lock_free.epoch_stats().participants <= 2, "records of threads that have ended");
    require(service().map.epoch_stats().participants <= 2, "records of threads that have ended");
    static Pool pool;
    static Held held{service().lock_free.snapshot()};
    std::atexit([] {
        service().use("atexit");
        say("atexit");
    });
    service().lock_free.add_vector("a", std::vector<float>{2, 1});
}

// ---- modules ----

struct Module {
    explicit Module(const char* path) : handle(dlopen(path, RTLD_NOW | RTLD_LOCAL)) {
        require(handle != nullptr, fmt::format("dlopen: {}", path));
        own = reinterpret_cast<int (*)()>(dlsym(handle, "hotindex_test_plugin_own"));
        hosts = reinterpret_cast<int (*)(LockFreeHotVectorIndex*)>(dlsym(handle, "hotindex_test_plugin_hosts"));
        fills = reinterpret_cast<int (*)(LockFreeHotVectorIndex*, int)>(dlsym(handle, "hotindex_test_plugin_fills"));
        require(own != nullptr && hosts != nullptr && fills != nullptr, "dlsym");
    }
    void close() const { require(dlclose(handle) == 0, "dlclose"); }
    static bool is_loaded(const char* path) {
        void* const there = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
        if (there != nullptr)
            dlclose(there);
        return there != nullptr;
    }
    void* handle;
    int (*own)();
    int (*hosts)(LockFreeHotVectorIndex*);
    int (*fills)(LockFreeHotVectorIndex*, int);
};

void modules(const char* path) {
    auto index = std::make_unique<LockFreeHotVectorIndex>(IndexOptions{.dimension = 2});
    index->add_vector("from the host", v);
    // More often than there are thread keys.
    for (int i = 0; i != 1100; ++i) {
        const Module module(path);
        std::thread([&] { require(module.own() == 3, "the module's own structures"); }).join();
        module.close();
        require(!Module::is_loaded(path), "unloaded when its threads have ended");
    }
    say("unloaded after its threads");

    {
        const Module module(path);
        // Everything in it was allocated in the module, and is freed here; more than fits into one slab.
        auto filled = std::make_unique<LockFreeHotVectorIndex>(IndexOptions{.dimension = 2});
        for (int n : {1, 3000})
            std::thread([&] {
                require(module.fills(filled.get(), n) == n, "the module fills the host's index");
            }).join();
        filled.reset();
        module.close();
    }
    say("ended what the module had filled");

    std::atomic<int> step{0};
    const Module module(path);
    std::thread user([&] {
        require(module.own() == 3 && module.hosts(index.get()) == 2, "the module");
        step = 1;
        while (step != 2)
            std::this_thread::sleep_for(1ms);
    });
    while (step != 1)
        std::this_thread::sleep_for(1ms);
    index.reset(); // before the module: what the module retired is reclaimed by its code
    module.close();
    step = 2;
    user.join();
    say("closed before its thread ended");

    const Module stays(path);
    require(stays.own() == 3, "used by main, open at its end");
}

// ---- fences ----

void churn(LockFreeHotVectorIndex& index) {
    std::vector<std::thread> threads;
    for (int t = 0; t != 2; ++t)
        threads.emplace_back([&index, t] {
            for (int i = 0; i != 3000; ++i) {
                index.add_vector(std::to_string(t * 10 + i % 10), v);
                require(index.contains(std::to_string(t * 10 + i % 10)), "what was added is there");
            }
        });
    for (auto& thread : threads)
        thread.join();
    require(index.drain(), "all is reclaimed");
}

void fences() {
    say(AsymmetricFence::asymmetric() ? "membarrier" : "full fences");
    LockFreeHotVectorIndex index({.dimension = 2});
    churn(index);
    const auto seen = store_buffering::run<store_buffering::Shipped>(20'000, 20s);
    require(seen.both_old == 0, fmt::format("both sides read the old value in {} rounds", seen.both_old));
}

void late(bool falls_back) {
    if (falls_back)
        AsymmetricFence::fall_back();
    LockFreeHotVectorIndex index({.dimension = 2});
    churn(index);
    if (!tests::close_sandbox({tests::Sandbox::everything, EPERM}))
        std::_Exit(125);
    churn(index);
    say("survived");
}

// ---- fork ----

/// The child's exit status, or 128 + signal; it is ended after a minute.
template <class Work>
int in_child(Work work) {
    std::fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        alarm(60);
        work();
        std::_Exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void update_and_read(LockFreeHotVectorIndex& index) {
    for (int i = 0; i != 20'000; ++i)
        index.add_vector(std::to_string(i % 100), v);
    index.remove_vector("0");
    require(index.search(v, 200).size() == 99 && index.get_vector("1") == v && !index.contains("0"), "answers");
}

void forks() {
    {
        auto index = std::make_unique<LockFreeHotVectorIndex>(IndexOptions{.dimension = 2});
        update_and_read(*index);
        std::atomic<int> step{0};
        std::thread idle([&] {
            (void)index->search(v, 1);
            step = 1;
            while (step != 2)
                std::this_thread::sleep_for(1ms);
        });
        while (step != 1)
            std::this_thread::sleep_for(1ms);
        require(in_child([&] {
                    update_and_read(*index);
                    require(index->epoch_stats().limbo_objects < 5000, "memory is reclaimed in the child");
                    index.reset();
                }) == 0,
                "a child beside a thread that was between two operations");
        step = 2;
        idle.join();
        say("beside an idle thread");
    }
    {
        LockFreeHotVectorIndex index({.dimension = 2});
        update_and_read(index);
        std::atomic<bool> stop{false};
        std::thread busy([&] {
            while (!stop)
                (void)index.get_vector("1");
        });
        for (int i = 0; i != 5; ++i)
            require(in_child([&] { update_and_read(index); }) == 0, "a child beside a thread in an operation");
        stop = true;
        busy.join();
        say("beside a busy thread");
    }
    {
        // A thread is inside the critical section of its end.
        auto* const anchor = new Anchor;
        anchor->share();
        std::atomic<int> step{0};
        std::thread ends([&] {
            anchor->unless_closed([&] {
                step = 1;
                while (step != 2)
                    std::this_thread::sleep_for(1ms);
            });
            anchor->drop();
        });
        while (step != 1)
            std::this_thread::sleep_for(1ms);
        require(in_child([&] { anchor->close(); }) == 0, "a structure ends in the child");
        step = 2;
        ends.join();
        anchor->close();
        anchor->drop();
        say("beside a thread that ends");
    }
}
} // namespace

namespace {
// ---- the end of a process that saves ----

/// Replaces vectors "0" to "99" one after the other, generation by generation: see objection_to_saved().
[[noreturn]] void saves(const std::string& path, std::chrono::microseconds until_killed) {
    LockFreeHotVectorIndex index({.dimension = 2, .metric = Metric::inner_product});
    const auto replace_all = [&index](float generation) {
        for (int i = 0; i != 100; ++i)
            index.add_vector(std::to_string(i), std::vector<float>{static_cast<float>(i), generation});
    };
    replace_all(0);
    save(index, path);
    std::thread([&replace_all] {
        for (float generation = 1;; ++generation)
            replace_all(generation);
    }).detach();
    std::thread([until_killed] {
        std::this_thread::sleep_for(until_killed);
        kill(getpid(), SIGKILL);
    }).detach();
    while (true)
        save(index, path);
}
} // namespace

int main(int argc, char** argv) {
    const std::string_view mode = argc > 1 ? argv[1] : "";
    if (mode == "statics") {
        ends_of_threads();
    } else if (mode == "exit-elsewhere") {
        std::thread([] {
            ends_of_threads();
            std::exit(0);
        }).join();
    } else if (mode == "plugin" && argc == 3) {
        modules(argv[2]);
    } else if (mode == "fences") {
        fences();
    } else if (mode == "late") {
        late(argc == 3 && std::string_view(argv[2]) == "fall-back");
    } else if (mode == "fork") {
        forks();
    } else if (mode == "save" && argc == 4) {
        saves(argv[2], std::chrono::microseconds(std::atoi(argv[3])));
    } else {
        say(fmt::format("lifetimes_program: no such mode: \"{}\"; see the head of its source", mode));
        return 2;
    }
    return 0;
}
