// Objects under the checker: where they live, what they leave behind, and how many there are.
#pragma once

#include "checker_execution.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <source_location>
#include <utility>

namespace hotindex::model {

/// Memory that is never given out twice within an execution: what was freed stays poisoned. Addresses are the same in
/// every execution, as the tree searches need.
class Arena {
  public:
    [[nodiscard]] void* allocate(std::size_t bytes, std::size_t alignment, const Place& at) {
        const auto begin = reinterpret_cast<std::uintptr_t>(memory_.data());
        alignment = std::max(alignment, alignof(Arena));
        used_ = ((begin + used_ + alignment - 1) & ~(alignment - 1)) - begin;
        void* const memory = memory_.data() + used_;
        used_ += bytes;
        if (used_ > memory_.size())
            fail("the model needs more memory than Arena has", rl::test_result_memory_leak, at);
        return memory;
    }
    void reset() noexcept {
        used_ = 0;
        objects = 0;
    }
    std::int64_t objects = 0; ///< made and not yet destroyed

  private:
    alignas(128) std::array<std::byte, std::size_t{1} << 22> memory_;
    std::size_t used_ = 0;
};
extern Arena arena;

/// What CheckerBackend offers to make and to end objects.
struct CheckerObjects {
    template <class T, class... Args>
    [[nodiscard]] static T* make(Args&&... args) {
        T* const object =
            ::new (arena.allocate(sizeof(T), alignof(T), Location::current())) T(std::forward<Args>(args)...);
        ++arena.objects;
        return object;
    }
    template <class T>
    static void destroy(T* object) {
        destroy_and_poison(object);
        --arena.objects;
    }
    template <class T, class... Args>
    static T* construct_at(void* memory, Args&&... args) {
        T* const object = ::new (memory) T(std::forward<Args>(args)...);
        ++arena.objects;
        return object;
    }
    template <class T>
    static void destroy_at(T* object) {
        destroy_and_poison(object);
        --arena.objects;
    }
    template <class T, class Init>
    [[nodiscard]] static T* make_array(std::size_t n, Init init) {
        auto* const memory = static_cast<std::byte*>(arena.allocate(n * sizeof(T), alignof(T), Location::current()));
        for (std::size_t i = 0; i != n; ++i)
            init(static_cast<void*>(memory + i * sizeof(T)));
        return reinterpret_cast<T*>(memory);
    }
    template <class T>
    static void destroy_array(T* objects, std::size_t n) {
        for (std::size_t i = 0; i != n; ++i)
            destroy_at(objects + i);
    }

    /// A structure's domain. Models use explicit handles, so no thread needs to know whether it still is there.
    template <class T>
    class anchored {
      public:
        template <class... Args>
        explicit anchored(std::in_place_t, Args&&... args) : domain_(make<T>(std::forward<Args>(args)...)) {}
        anchored(const anchored&) = delete;
        anchored& operator=(const anchored&) = delete;
        ~anchored() { destroy(domain_); }
        void close() noexcept {}
        [[nodiscard]] T* operator->() const noexcept { return domain_; }
        [[nodiscard]] T& operator*() const noexcept { return *domain_; }

      private:
        T* domain_;
    };

    template <class T>
    [[nodiscard]] static T* make_zeroed_array(std::size_t n) {
        return make_array<T>(n, [](void* at) { construct_at<T>(at); });
    }
    template <class T>
    static void destroy_zeroed_array(T* objects, std::size_t n) {
        destroy_array(objects, n);
    }
    /// A new object in its place: who still uses the old one, or reads what it left behind, fails.
    template <class T>
    static void discard(T* object) {
        destroy_at(object);
        construct_at<T>(object);
    }

  private:
    template <class T>
    static void destroy_and_poison(T* object) {
        object->~T();
        std::memset(static_cast<void*>(object), 0xDD, sizeof(T));
        asm volatile("" : : "r"(object) : "memory"); // the poison is to be seen by whoever still has the address
    }
};

} // namespace hotindex::model
