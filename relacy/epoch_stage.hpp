// What the models of the epoch domain share: a small domain with handles, a node behind a shared pointer, and what a
// thread does with them.
#pragma once

#include "model.hpp"

#include <hotindex/backend/traits.hpp>
#include <hotindex/reclaim/epoch_domain.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace hotindex::epoch_models {

using model::Effort;
using model::expect;
using model::hold_until;
using model::Model;
using B = model::CheckerBackend;

/// A domain is large and slow to make, so each scenario is small and stages its window.
inline constexpr Effort few{.bounded = 5'000, .random = 5'000};

/// Every retired object is a bag of its own, and the epoch advances only where a scenario says so.
struct OneByOne : TinyTraits {
    static constexpr std::uint32_t retires_per_advance = 100;
    static constexpr std::uint64_t bag_objects = 1;
};
/// Bags stay open until somebody asks for them, or retires something heavy.
struct StaysOpen : OneByOne {
    static constexpr std::uint64_t bag_objects = 100;
    static constexpr std::uint64_t rest_epochs = 0;
};

/// A domain, a handle for each thread, and a shared pointer to a node.
template <class Traits, int Threads, int Joined = Threads, int Handles = Threads, class Local = NoLocal>
struct Stage {
    using Domain = EpochDomain<B, Traits, Local>;
    using Guard = typename Domain::Guard;
    using Handle = typename Domain::Handle;
    /// What readers look at: plain data behind a pointer that a writer swings.
    struct Node : Domain::Retired {
        explicit Node(int v) : value(v), busy(0) {}
        B::var<int> value;
        B::atomic<int> busy; ///< refuses to be reclaimed
        static std::size_t reclaim(typename Domain::Retired* node, [[maybe_unused]] Local& local) {
            auto* const n = static_cast<Node*>(node);
            if constexpr (requires { local.refuses(); })
                if (local.refuses())
                    return 0;
            if (n->busy.load(B::acquire(edge::unnamed)) != 0) // the model's own edge
                return 0;
            B::destroy(n);
            return sizeof(Node);
        }
    };

    static constexpr int threads = Threads;
    typename Local::Owner owner;
    Domain domain{owner};
    std::array<std::optional<Handle>, static_cast<std::size_t>(Handles)> handles;
    B::atomic<Node*> head{B::make<Node>(1)};

    Stage() {
        for (std::size_t i = 0; i != static_cast<std::size_t>(Joined); ++i)
            handles[i].emplace(domain);
    }
    Stage(const Stage&) = delete;
    Stage& operator=(const Stage&) = delete;
    ~Stage() {
        // relaxed, here and in after(): everything is over
        B::destroy(head.load(B::relaxed()));
        for (auto& h : handles)
            h.reset();
    }
    Handle& handle(int i) { return *handles[static_cast<std::size_t>(i)]; }
    void join(int i) { handles[static_cast<std::size_t>(i)].emplace(domain); }
    void leave(int i) { handles[static_cast<std::size_t>(i)].reset(); }
    void advance(int times) {
        for (int i = 0; i != times; ++i)
            domain.try_advance();
    }
    /// A node for all to see, its predecessor to be retired. The payload is written after the pin: a fence in the pin
    /// must not be what publishes it.
    Node* swing(int value) {
        // the model's own edge, borrowed from the map: publishes the node
        return head.exchange(B::make<Node>(value), B::acq_rel(edge::unnamed));
    }
    void replace(int thread, int value, std::uint32_t weight = 1) {
        const Guard guard(handle(thread));
        guard.retire(swing(value), &Node::reclaim, sizeof(Node), weight);
    }
    /// Tries to advance, and takes the bag of somebody who rests.
    void replace_and_take(int thread, int value) { replace(thread, value, Traits::retires_per_advance); }
    void read(int thread) {
        const Guard guard(handle(thread));
        expect(head.load(B::acquire(edge::unnamed))->value.get() >= 1, "a node holds what was written into it");
    }
    void everything_goes(int thread) {
        expect(domain.drain(handle(thread)), "everything goes in the end");
        expect(domain.stats().limbo_objects == 0 && domain.stats().kept_objects == 0, "nothing is left in limbo");
    }
};

} // namespace hotindex::epoch_models
