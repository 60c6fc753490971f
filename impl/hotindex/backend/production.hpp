// The backend that ships: std::atomic, plain data, and membarrier(2) for the heavy half of the asymmetric fence.
#pragma once

#include <hotindex/backend/anchor.hpp>
#include <hotindex/backend/backend.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace hotindex {

/// The asymmetric fence of the running kernel: membarrier(2), private expedited, where the kernel offers it.
///
/// What it is made of is settled once, when the program starts, by a try; a sandbox (seccomp) that denies membarrier by
/// then is found out, and both halves are full fences: sound, and up to 20 ns slower an operation. A sandbox that comes
/// later and denies it ends the program with a message at the next heavy half, because the light halves of threads
/// that are running would order nothing. Two remedies: allow membarrier, or call fall_back() first.
class AsymmetricFence {
  public:
    /// true: the light half is a compiler barrier and the heavy half a membarrier. false: both are full fences.
    static bool asymmetric() noexcept {
        return kind_.load(std::memory_order_relaxed) == Kind::membarrier;
    } // relaxed: a statistic
    /// From now on both halves are full fences. While no operation of any structure runs.
    static void fall_back() noexcept { kind_.store(Kind::full, std::memory_order_seq_cst); }
    /// Orders as described at Backend. Costs nothing but lost reordering when asymmetric().
    static void light() noexcept {
        // relaxed: whoever sees the kind unsettled or full orders more than is needed
        if (kind_.load(std::memory_order_relaxed) == Kind::membarrier) [[likely]]
            std::atomic_signal_fence(std::memory_order_seq_cst);
        else
            full();
    }
    /// About 0.4 us when no other thread of the process runs, a few us otherwise. Tries a bounded number of times.
    static void heavy() noexcept;

  private:
    enum class Kind : std::uint8_t { unsettled, full, membarrier };
    // A full fence that ThreadSanitizer accepts: it does not model std::atomic_thread_fence (and g++ says so). No
    // happens-before edge of this library rests on it; it only orders a store before a later load.
    static void full() noexcept { __sync_synchronize(); }
    static Kind settle() noexcept;
    static Kind detect() noexcept;
    static std::atomic<Kind> kind_;
    static const Kind settled_at_start_;
};

/// Alignment of every B::array: a cache line and a full AVX-512 register.
inline constexpr std::size_t array_alignment = 64;

/// Memory that is zero, and of which what was never touched costs nothing: large pieces come from the system directly
/// and go back to it.
class PageMemory {
  public:
    static constexpr std::size_t large = std::size_t{64} << 10;
    /// Arrays of so many bytes come from here although they need no zeroes: so they go back to the system when they are
    /// released. Of arrays that were freed once, the C library takes the next ones of up to their size (32 MiB at most)
    /// from its heaps, which keep them.
    static constexpr std::size_t mapped = std::size_t{256} << 10;
    /// Zeroed, `alignment` a power of two. `bytes`: at least `large`. Throws std::bad_alloc.
    [[nodiscard]] static void* allocate(std::size_t bytes, std::size_t alignment);
    /// As allocated.
    static void release(void* memory, std::size_t bytes, std::size_t alignment) noexcept;
    /// The whole pages in this range may go back to the system; their content is zero then, or what it was.
    static void discard(void* memory, std::size_t bytes) noexcept;
};

/// Memory for arrays that are read from one end to the other. Large ones are whole huge pages of the system's, if it
/// has some: hardware prefetchers stop at the end of a page, and a scan of 200,000 rows of 128 floats takes a third
/// less time without those stops. They go back to the system when they are released, and so do middling ones.
class ArrayMemory {
  public:
    /// Uninitialised, aligned to array_alignment at least. Throws std::bad_alloc.
    [[nodiscard]] static void* allocate(std::size_t bytes) {
        return bytes >= huge_page  ? map(bytes)
               : bytes >= middling ? PageMemory::allocate(bytes, array_alignment)
                                   : ::operator new(bytes, std::align_val_t{array_alignment});
    }
    /// `bytes`: as allocated.
    static void release(void* memory, std::size_t bytes) noexcept {
        if (bytes >= huge_page)
            unmap(memory, bytes);
        else if (bytes >= middling)
            PageMemory::release(memory, bytes, array_alignment);
        else
            ::operator delete(memory, std::align_val_t{array_alignment});
    }

  private:
    static constexpr std::size_t huge_page = std::size_t{2} << 20;
    /// An index that grows to a thousand rows and ends should not pay for new pages each time.
    static constexpr std::size_t middling = 2 * PageMemory::mapped;
    static constexpr std::size_t whole_huge_pages(std::size_t bytes) noexcept {
        return (bytes + huge_page - 1) / huge_page * huge_page;
    }
    [[nodiscard]] static void* map(std::size_t bytes);
    static void unmap(void* memory, std::size_t bytes) noexcept;
};

/// Slabs that structures hand to each other, a megabyte at most, so that small ones that come and go do not pay for new
/// pages each time: the system takes longer to hand a page out than a structure to fill it. What is here was allocated
/// in the usual way and may be freed so, by any module with a copy of this library. Lock-free.
class PageReserve {
  public:
    static constexpr std::size_t unit = std::size_t{16} << 10;

    /// Memory of that size with any content, aligned to `unit`; or nullptr: there is none.
    [[nodiscard]] static void* take(std::size_t bytes) noexcept;
    /// true if the memory is here from now on; false: the caller frees it.
    [[nodiscard]] static bool give(void* memory, std::size_t bytes) noexcept;

  private:
    static constexpr std::size_t sizes = 5;   ///< unit, 2 * unit, ... 16 * unit
    static constexpr std::size_t at_most = 8; ///< of a size; fewer of the larger ones
    using Row = std::array<std::atomic<void*>, at_most>;
    static std::array<Row, sizes> kept_;
    static std::atomic<bool> closed_; ///< the module ends
    /// Those that may hold memory of that size; none for others.
    [[nodiscard]] static std::span<std::atomic<void*>> places(std::size_t bytes) noexcept;
    struct AtEnd {
        AtEnd() = default;
        AtEnd(const AtEnd&) = delete;
        AtEnd& operator=(const AtEnd&) = delete;
        ~AtEnd();
    };
    static const AtEnd at_end_;
};

struct ProductionBackend {
    using order = std::memory_order;
    static constexpr order relaxed() noexcept { return std::memory_order_relaxed; }
    static constexpr order acquire(edge) noexcept { return std::memory_order_acquire; }
    static constexpr order release(edge) noexcept { return std::memory_order_release; }
    static constexpr order acq_rel(edge) noexcept { return std::memory_order_acq_rel; }

    template <class T>
    using atomic = std::atomic<T>;

    /// Plain data: no cost, no synchronization.
    template <class T>
    class var {
      public:
        var() = default;
        // NOLINTNEXTLINE(performance-unnecessary-value-param): a T that has no move constructor is copied by the move
        explicit var(T value) : value_(std::move(value)) {}
        [[nodiscard]] const T& get() const noexcept { return value_; }
        void set(T value) noexcept(std::is_nothrow_move_assignable_v<T>) { value_ = std::move(value); }

      private:
        T value_{};
    };

    /// Runs of `width` plain T each, uninitialised, aligned to 64 bytes. Construction throws std::bad_alloc.
    template <class T>
    class array {
        static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

      public:
        array(std::size_t runs, std::size_t width)
            : bytes_(runs * width * sizeof(T)), width_(width), data_(static_cast<T*>(ArrayMemory::allocate(bytes_))) {}
        ~array() { ArrayMemory::release(data_, bytes_); }
        array(const array&) = delete;
        array& operator=(const array&) = delete;
        [[nodiscard]] const T* read(std::size_t run) const noexcept { return data_ + run * width_; }
        [[nodiscard]] const T* read_some(std::size_t first, std::uint64_t) const noexcept {
            return data_ + first * width_;
        }
        [[nodiscard]] T* write(std::size_t run) noexcept { return data_ + run * width_; }

      private:
        std::size_t bytes_;
        std::size_t width_;
        T* data_;
    };

    static void light_fence(edge) noexcept { AsymmetricFence::light(); }
    static void heavy_fence(edge) noexcept { AsymmetricFence::heavy(); }

    static constexpr bool verifies = false;
    static constexpr void took_place(std::uint64_t) noexcept {}

    static void prefetch(const void* address) noexcept { __builtin_prefetch(address); }

    static void pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
        _mm_pause();
#elif defined(__aarch64__)
        asm volatile("yield");
#endif
    }

    static void yield() noexcept;

    template <class T, class... Args>
    [[nodiscard]] static T* make(Args&&... args) {
        return new T(std::forward<Args>(args)...);
    }
    template <class T>
    static void destroy(T* object) noexcept {
        delete object;
    }
    template <class T, class... Args>
    static T* construct_at(void* memory, Args&&... args) {
        return ::new (memory) T(std::forward<Args>(args)...);
    }
    template <class T>
    static void destroy_at(T* object) noexcept {
        std::destroy_at(object);
    }
    template <class T, class Init>
    [[nodiscard]] static T* make_array(std::size_t n, Init init) {
        constexpr std::size_t alignment = std::max(alignof(T), array_alignment);
        if (n > std::size_t(-1) / 2 / sizeof(T))
            throw std::bad_array_new_length();
        const std::size_t bytes = n * sizeof(T);
        void* const memory = bytes >= PageMemory::mapped ? PageMemory::allocate(bytes, alignment)
                                                         : ::operator new(bytes, std::align_val_t{alignment});
        for (std::size_t i = 0; i != n; ++i)
            init(static_cast<void*>(static_cast<std::byte*>(memory) + i * sizeof(T)));
        return static_cast<T*>(memory);
    }
    template <class T>
    static void destroy_array(T* objects, std::size_t n) noexcept {
        constexpr std::size_t alignment = std::max(alignof(T), array_alignment);
        std::destroy_n(objects, n);
        if (n * sizeof(T) >= PageMemory::mapped)
            PageMemory::release(static_cast<void*>(objects), n * sizeof(T), alignment);
        else
            ::operator delete(static_cast<void*>(objects), std::align_val_t{alignment});
    }

    template <class T>
    [[nodiscard]] static T* make_zeroed_array(std::size_t n) {
        if (void* const memory = is_slab<T> ? PageReserve::take(n * sizeof(T)) : nullptr)
            return ::new (memory) T();
        if (!is_paged<T>(n))
            return make_array<T>(n, [](void* at) { ::new (at) T(); });
        if (n > std::size_t(-1) / 2 / sizeof(T))
            throw std::bad_array_new_length();
        void* const memory = PageMemory::allocate(n * sizeof(T), alignof(T));
        T* const objects = ::new (memory) T();
        // The zero pages are the other objects, if T() writes zeroes only.
        if constexpr (sizeof(T) <= array_alignment) {
            const auto* const bytes = static_cast<const unsigned char*>(memory);
            if (std::any_of(bytes, bytes + sizeof(T), [](unsigned char byte) { return byte != 0; }))
                for (std::size_t i = 1; i != n; ++i)
                    ::new (static_cast<void*>(objects + i)) T();
        }
        return objects;
    }
    template <class T>
    static void destroy_zeroed_array(T* objects, std::size_t n) noexcept {
        if (is_slab<T> && PageReserve::give(objects, n * sizeof(T)))
            return;
        if (!is_paged<T>(n))
            return destroy_array(objects, n);
        PageMemory::release(static_cast<void*>(objects), n * sizeof(T), alignof(T));
    }
    template <class T>
    static void discard(T* object) noexcept {
        static_assert(std::is_trivially_destructible_v<T>);
        PageMemory::discard(static_cast<void*>(object), sizeof(T));
    }

    /// A domain of its structure's, with the anchor by which threads that joined it know whether it still is there.
    template <class T>
    using anchored = Anchored<T>;

    [[nodiscard]] static std::int64_t read_clock_ms() noexcept {
        return std::chrono::duration_cast<std::chrono::milliseconds>(
                   std::chrono::system_clock::now().time_since_epoch())
            .count();
    }
    [[nodiscard]] static std::int64_t read_timer_us() noexcept {
        return std::chrono::duration_cast<std::chrono::microseconds>(
                   std::chrono::steady_clock::now().time_since_epoch())
            .count();
    }

  private:
    /// Objects of whole pages that say that they leave their content open.
    template <class T>
    static constexpr bool is_slab = requires { typename T::content_is_open; } && alignof(T) == PageReserve::unit &&
                                    std::is_trivially_destructible_v<T>;
    /// Objects that need no destructor, enough of them.
    template <class T>
    [[nodiscard]] static constexpr bool is_paged(std::size_t n) noexcept {
        return std::is_trivially_destructible_v<T> && n >= (PageMemory::large + sizeof(T) - 1) / sizeof(T);
    }
};
static_assert(Backend<ProductionBackend>);

} // namespace hotindex
