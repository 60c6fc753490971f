// Plain data under the checker: each piece has a probe, which knows who read and wrote it, and finds races.
#pragma once

#include "checker_execution.hpp"
#include "checker_objects.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <source_location>
#include <utility>

namespace hotindex::model {

/// A vector-clock cell: who read and wrote last, for plain data and for the life of objects.
class Probe {
  public:
    Probe() noexcept { wrote(); }
    Probe(const Probe&) = delete;
    Probe& operator=(const Probe&) = delete;
    ~Probe() { life_ = dead; }

    void read(const Place& at, const char* complaint) const {
        check_life(at);
        rl::thread_info_base& me = *rl::ctx().threadx_;
        for (rl::thread_id_t i = 0; i != threads(); ++i)
            if (me.acq_rel_order_[i] < writes_[static_cast<std::size_t>(i)])
                return fail(complaint, rl::test_result_data_race, at);
        me.own_acq_rel_order_ += 1;
        reads_[static_cast<std::size_t>(me.index_)] = me.own_acq_rel_order_;
    }
    void write(const Place& at, const char* complaint) {
        check_life(at);
        const rl::thread_info_base& me = *rl::ctx().threadx_;
        for (rl::thread_id_t i = 0; i != threads(); ++i)
            if (me.acq_rel_order_[i] <
                std::max(writes_[static_cast<std::size_t>(i)], reads_[static_cast<std::size_t>(i)]))
                return fail(complaint, rl::test_result_data_race, at);
        wrote();
    }
    void check_life(const Place& at) const {
        if (life_ != alive)
            fail("access to an object that was destroyed", rl::test_result_access_to_freed_memory, at);
    }

  private:
    static constexpr std::uint64_t alive = 0x5AFE'0B1E'C70F'1CE5;
    static constexpr std::uint64_t dead = 0xDEAD'DEAD'DEAD'DEAD;
    [[nodiscard]] static rl::thread_id_t threads() { return rl::ctx().get_thread_count(); }
    void wrote() noexcept {
        rl::thread_info_base& me = *rl::ctx().threadx_;
        me.own_acq_rel_order_ += 1;
        writes_[static_cast<std::size_t>(me.index_)] = me.own_acq_rel_order_;
    }
    volatile std::uint64_t life_ = alive; // volatile: the store in the destructor is the point of it
    mutable std::array<rl::timestamp_t, max_threads> reads_{};
    std::array<rl::timestamp_t, max_threads> writes_{};
};

/// Plain data: every get and set is an access that a race is looked for on.
template <class T>
class CheckerVar {
  public:
    CheckerVar() = default;
    explicit CheckerVar(T value) : value_(std::move(value)) {}
    CheckerVar(const CheckerVar&) = delete;
    CheckerVar& operator=(const CheckerVar&) = delete;
    ~CheckerVar() { probe_.write(Location::current(), "destruction races with an access to plain data"); }
    [[nodiscard]] const T& get(const Location at = Location::current()) const {
        probe_.read(at, "a read of plain data races with a write");
        if (tracing())
            trace.add(current_thread(), fmt::format("read {}", in_words(value_)), at);
        return value_;
    }
    void set(T value, const Location at = Location::current()) {
        probe_.write(at, "a write of plain data races with another access");
        if (tracing())
            trace.add(current_thread(), fmt::format("write {}", in_words(value)), at);
        value_ = std::move(value);
    }

  private:
    T value_{};
    Probe probe_;
};

/// One probe a run.
template <class T>
class CheckerArray {
  public:
    CheckerArray(std::size_t runs, std::size_t width)
        : width_(width), runs_(runs),
          data_(static_cast<T*>(arena.allocate(runs * width * sizeof(T), alignof(T), Location::current()))),
          probes_(std::make_unique<Probe[]>(runs)) {
        std::memset(static_cast<void*>(data_), 0xDD, runs * width * sizeof(T));
    }
    CheckerArray(const CheckerArray&) = delete;
    CheckerArray& operator=(const CheckerArray&) = delete;
    ~CheckerArray() {
        for (std::size_t i = 0; i != runs_; ++i)
            probes_[i].write(Location::current(), "destruction races with an access to an array");
        std::memset(static_cast<void*>(data_), 0xDD, runs_ * width_ * sizeof(T));
    }
    [[nodiscard]] const T* read(std::size_t run, const Location at = Location::current()) const {
        touch(run, at);
        return data_ + run * width_;
    }
    [[nodiscard]] const T* read_some(std::size_t first, std::uint64_t mask,
                                     const Location at = Location::current()) const {
        for (std::size_t i = 0; mask != 0; ++i, mask >>= 1)
            if ((mask & 1) != 0)
                touch(first + i, at);
        return data_ + first * width_;
    }
    [[nodiscard]] T* write(std::size_t run, const Location at = Location::current()) {
        probes_[run].write(at, "a write to an array races with another access");
        if (tracing())
            trace.add(current_thread(), fmt::format("write run {} of an array", run), at);
        return data_ + run * width_;
    }

  private:
    void touch(std::size_t run, const Place& at) const {
        probes_[run].read(at, "a read of an array races with a write");
        if (tracing())
            trace.add(current_thread(), fmt::format("read run {} of an array", run), at);
    }
    std::size_t width_;
    std::size_t runs_;
    T* data_;
    std::unique_ptr<Probe[]> probes_;
};

} // namespace hotindex::model
