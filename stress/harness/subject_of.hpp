// IndexSubject: any of the indexes as a Subject. Included by the few files that instantiate an index.
#pragma once

#include "harness/stress_backend.hpp"
#include "harness/subject.hpp"

#include <hotindex/adaptive/mode_policy.hpp>

#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

namespace hotindex::stress {

template <class Index>
class IndexSubject final : public Subject {
    static constexpr bool explicit_handles = requires(const Index& index) { index.join(); };
    static constexpr bool has_times = requires(const Index& index) { index.time(); };

    static void take(Call& call, const std::vector<Match>& matches) {
        call.found.clear();
        for (const Match& m : matches)
            call.found.push_back({id_of_name(m.id).value_or(unknown_id), m.score});
    }

    class Held final : public HeldSnapshot {
      public:
        template <class Take>
        Held(const Index& index, Take take_snapshot) : index_(index), snapshot_(take_snapshot()) {}
        void perform(Call& call) override {
            take(call, snapshot_.search(floats_of(call.query, index_.options().dimension), call.most));
            call.stamp = snapshot_.time();
        }
        [[nodiscard]] std::size_t size() const override { return snapshot_.size(); }

      private:
        const Index& index_;
        typename Index::Snapshot snapshot_;
    };

    class IndexSession final : public Session {
      public:
        explicit IndexSession(Index& index) : index_(index), handle_(handle_of(index)) {}

        void perform(Call& call) override {
            // An adaptive index changes its mode before every other call, whatever it finds itself.
            if constexpr (requires { index_.set_mode(IndexMode::automatic); }) {
                if (++calls_ % 2 == 0)
                    index_.set_mode(calls_ % 4 == 0 ? IndexMode::traditional : IndexMode::lock_free);
                else
                    index_.set_mode(IndexMode::automatic);
            }
            const std::string id = call.operation == Operation::search ? std::string() : name_of_id(call.id);
            last_stamp = 0;
            switch (call.operation) {
            case Operation::add: {
                const std::vector<float> row = row_of(call.value, index_.options().dimension);
                call.yes = with([&](auto&... me) { return index_.add_vector(me..., id, row); }) == AddOutcome::inserted;
                break;
            }
            case Operation::remove:
                call.yes = with([&](auto&... me) { return index_.remove_vector(me..., id); });
                break;
            case Operation::get: {
                const auto row = with([&](auto&... me) { return index_.get_vector(me..., id); });
                call.value = row ? value_of(*row).value_or(torn) : 0;
                break;
            }
            case Operation::contains:
                call.yes = with([&](auto&... me) { return index_.contains(me..., id); });
                break;
            case Operation::search: {
                const std::vector<float> query = floats_of(call.query, index_.options().dimension);
                take(call, with([&](auto&... me) { return index_.search(me..., query, call.most); }));
                break;
            }
            }
            call.stamp = last_stamp;
        }

        void perform_batch(std::span<Call> calls) override {
            std::vector<float> queries;
            for (const Call& c : calls) {
                const std::vector<float> query = floats_of(c.query, index_.options().dimension);
                queries.insert(queries.end(), query.begin(), query.end());
            }
            const auto answers =
                with([&](auto&... me) { return index_.search_batch(me..., queries, calls.front().most); });
            for (std::size_t i = 0; i != calls.size(); ++i) {
                take(calls[i], answers[i]);
                calls[i].stamp = last_stamp;
            }
        }

        [[nodiscard]] std::unique_ptr<HeldSnapshot> hold() override {
            if constexpr (has_times)
                return std::make_unique<Held>(index_, [this] { return index_.snapshot(handle_); });
            else
                return nullptr;
        }
        [[nodiscard]] std::uint64_t tick() override {
            if constexpr (has_times)
                return index_.time();
            else
                return 0;
        }
        [[nodiscard]] std::optional<std::uint64_t> accesses(Id id) override {
            const auto stats = with([&](auto&... me) { return index_.access_stats(me..., name_of_id(id)); });
            return stats ? std::optional(stats->count) : std::nullopt;
        }
        bool drain() override {
            if constexpr (explicit_handles)
                return index_.drain(handle_);
            else
                return true;
        }

      private:
        static auto handle_of(Index& index) {
            if constexpr (explicit_handles)
                return index.join();
            else
                return nullptr;
        }
        /// With the handle as the first argument, where the index takes one.
        template <class Work>
        auto with(Work work) {
            if constexpr (explicit_handles)
                return work(handle_);
            else
                return work();
        }
        Index& index_;
        decltype(handle_of(std::declval<Index&>())) handle_;
        std::uint64_t calls_ = 0;
    };

  public:
    explicit IndexSubject(IndexOptions options) : index_(std::move(options)) {}
    [[nodiscard]] std::unique_ptr<Session> join() override { return std::make_unique<IndexSession>(index_); }
    [[nodiscard]] std::size_t dimension() const override { return index_.options().dimension; }
    [[nodiscard]] std::size_t size() const override { return index_.size(); }
    [[nodiscard]] IndexStats stats() const override { return index_.get_stats(); }
    [[nodiscard]] bool has_versions() const override { return has_times; }
    [[nodiscard]] EpochStats epoch_stats() const override {
        if constexpr (explicit_handles)
            return index_.epoch_stats();
        else
            return {};
    }

  private:
    Index index_;
};

} // namespace hotindex::stress
