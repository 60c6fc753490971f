// Sites: every place in the source that names a memory order or a fence, found out while models run, and the order that
// is in force there. Weakening one site at a time, at run time, is how an order is proven to be needed.
#pragma once

#include <hotindex/backend/edges.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

namespace hotindex::model {

enum class Strength : std::uint8_t { relaxed, acquire, release, acq_rel, light_fence, heavy_fence, nothing };
enum class Operation : std::uint8_t { unknown, load, store, exchange, fetch_add, cas, cas_failure, fence };

[[nodiscard]] constexpr std::string_view name_of(Strength s) noexcept {
    constexpr std::array<std::string_view, 7> names{"relaxed",     "acquire",     "release", "acq_rel",
                                                    "light fence", "heavy fence", "nothing"};
    return names[static_cast<std::size_t>(s)];
}
[[nodiscard]] constexpr std::string_view name_of(Operation o) noexcept {
    constexpr std::array<std::string_view, 8> names{"-",         "load", "store",       "exchange",
                                                    "fetch_add", "cas",  "cas-failure", "fence"};
    return names[static_cast<std::size_t>(o)];
}

struct Site {
    const char* file = nullptr; ///< nullptr: free
    const char* function = "";
    std::uint32_t line = 0;
    std::uint32_t column = 0;
    edge named = edge::unnamed;
    Strength written{};           ///< in the source
    Strength now{};               ///< in force: weaker when this site is the mutant
    Operation operation{};        ///< what it was used in
    std::uint64_t executions = 0; ///< how often it was used
};

/// The bare name of the function in a compiler's pretty signature.
[[nodiscard]] std::string bare_function(std::string_view signature);
/// The file's name without its folders.
[[nodiscard]] std::string_view bare_file(std::string_view path) noexcept;
/// `edge:file:function:operation[:n]`, which stays the same when lines move; n tells equal ones apart in their order.
[[nodiscard]] std::string id_of(const Site& site);

class SiteTable {
  public:
    [[nodiscard]] Site& find(const std::source_location& at, edge named, Strength written) noexcept {
        const char* const file = at.file_name();
        std::size_t h = at.line() * 2654435761U ^ at.column() * 40503U ^ static_cast<std::size_t>(named) * 97U ^
                        static_cast<std::size_t>(written) * 131U;
        h ^= h >> 15;
        for (;; ++h) {
            Site& s = sites_[h % capacity];
            if (s.line == at.line() && s.column == at.column() && s.named == named && s.written == written &&
                (s.file == file || (s.file != nullptr && std::strcmp(s.file, file) == 0))) {
                ++s.executions;
                return s;
            }
            if (s.file == nullptr) {
                s = {file, at.function_name(), at.line(), at.column(), named, written, written, Operation::unknown, 1};
                return s;
            }
        }
    }
    /// Calls visit(const Site&) for every place in the table, free ones too, always in the same order.
    template <class Visit>
    void for_each(Visit visit) const {
        for (const Site& s : sites_)
            visit(s);
    }
    /// Those met so far, in the order of the source.
    [[nodiscard]] std::vector<Site*> all();

  private:
    static constexpr std::size_t capacity = 2048; // a power of two, far more than there are
    std::array<Site, capacity> sites_{};
};
extern constinit SiteTable sites;

} // namespace hotindex::model
