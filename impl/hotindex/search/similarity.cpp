#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "hotindex/search/similarity.cpp"
// Nothing here uses what sets these apart from SSE4 and AVX3; the vectors of SVE and RVV have no constant size, which
// arrays of vectors need (there, NEON or emulation is taken).
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_AVX3_DL | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#include <hotindex/search/similarity.hpp>

#include <hwy/cache_control.h>
#include <hwy/foreach_target.h> // must come before highway.h
#include <hwy/highway.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

HWY_BEFORE_NAMESPACE();
namespace hotindex::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::CappedTag<float, 16>;
using V = hn::Vec<Floats>;
constexpr std::size_t lanes = hn::MaxLanes(Floats());
constexpr std::size_t parts = 16 / lanes; // vectors that hold the 16 partial sums of a row
static_assert(lanes == 16 || lanes == 8 || lanes == 4 || lanes == 1);

struct Dot {
    static HWY_INLINE V add(V sum, V row, V query) { return hn::MulAdd(row, query, sum); }
};
struct SquaredDistance {
    static HWY_INLINE V add(V sum, V row, V query) {
        const V d = hn::Sub(row, query);
        return hn::MulAdd(d, d, sum);
    }
};

#if HWY_TARGET != HWY_SCALAR // whose vectors have one lane: nothing to fold inside
// One level of the fold. In: vectors a and b. Out: a[l] + a[l ^ half] where bit `half` of l is 0, and b[l] + b[l ^
// half] where it is 1. After all levels, with rows r and r + half paired at level `half`, lane r holds the sum of row
// r.
template <std::size_t half>
HWY_INLINE V fold(V a, V b) {
    const Floats d;
    if constexpr (half == 1) {
        return hn::Add(hn::OddEven(b, a), hn::Shuffle2301(hn::OddEven(a, b)));
    } else if constexpr (half == 2) {
        const hn::Repartition<double, Floats> d2;
        const auto a2 = hn::BitCast(d2, a);
        const auto b2 = hn::BitCast(d2, b);
        return hn::Add(hn::BitCast(d, hn::InterleaveLower(d2, a2, b2)),
                       hn::BitCast(d, hn::InterleaveUpper(d2, a2, b2)));
    } else if constexpr (half == 4) {
        return hn::Add(hn::OddEvenBlocks(b, a), hn::SwapAdjacentBlocks(hn::OddEvenBlocks(a, b)));
    } else {
        static_assert(half == 8);
        return hn::Add(hn::ConcatLowerLower(d, b, a), hn::ConcatUpperUpper(d, b, a));
    }
}

#endif

// Folds `2 * half` vectors, one a row, into one: lane r is the sum of vector r.
template <std::size_t half>
HWY_INLINE V fold_rows(V* HWY_RESTRICT v) {
#if HWY_TARGET != HWY_SCALAR
    if constexpr (half > 0) {
        for (std::size_t r = 0; r < half; ++r)
            v[r] = fold<half>(v[r], v[r + half]);
        return fold_rows<half / 2>(v);
    }
#endif
    return v[0];
}

// Folds the parts of one row into one vector: the levels of the fold that are at least as long as a vector.
HWY_INLINE V fold_parts(V* HWY_RESTRICT p) {
    for (std::size_t half = parts / 2; half > 0; half /= 2)
        for (std::size_t i = 0; i < half; ++i)
            p[i] = hn::Add(p[i], p[i + half]);
    return p[0];
}

// How a run of rows is read. Row after row is what the hardware prefetcher of one core follows best: from DRAM four
// rows at once reach half its speed, and any software prefetch costs another fifth (200,000 x 128). From the L2 cache
// four rows at once, with a prefetch in the order of the addresses, are 15 to 20% faster than row after row (1,000 x
// 64).
struct Streaming {
    static constexpr std::size_t rows = 1;
    static constexpr std::uintptr_t ahead = 0;
};
struct Cached {
    static constexpr std::size_t rows = lanes < 4 ? lanes : 4;
    static constexpr std::uintptr_t ahead = 2048; // bytes
};

// Partial sums of `n` rows, interleaved. With `ahead`, the lines that far behind `begin`, where the rows lie, are
// prefetched in ascending order.
template <class Op, std::size_t n, std::uintptr_t ahead>
HWY_INLINE void accumulate(const float* const* HWY_RESTRICT row, const float* begin, std::size_t stride,
                           const float* HWY_RESTRICT query, V* HWY_RESTRICT out) {
    const Floats d;
    V sum[n][parts];
    for (std::size_t r = 0; r < n; ++r)
        for (std::size_t p = 0; p < parts; ++p)
            sum[r][p] = hn::Zero(d);
    for (std::size_t i = 0; i < stride; i += 16) {
        for (std::size_t p = 0; p < parts; ++p) {
            const V q = hn::Load(d, query + i + p * lanes);
            for (std::size_t r = 0; r < n; ++r)
                sum[r][p] = Op::add(sum[r][p], hn::Load(d, row[r] + i + p * lanes), q);
        }
        if constexpr (ahead != 0) {
            // As a number: the address may lie behind the end of the rows.
            const std::uintptr_t line = reinterpret_cast<std::uintptr_t>(begin + i * n) + ahead;
            for (std::size_t r = 0; r < n; ++r)
                hwy::Prefetch(reinterpret_cast<const float*>(line + r * row_alignment));
        }
    }
    for (std::size_t r = 0; r < n; ++r)
        out[r] = fold_parts(sum[r]);
}

// Scores of the rows of `b` from `first` on, as many as a vector has lanes, in place. row(r): where row first + r is
// read from; norm(r): under cosine, its inverse norm.
template <class Op, bool cosine, class Reading, class Row, class Norms>
HWY_INLINE void score_group(const kernel::Rows& b, std::size_t first, Row row, Norms norms,
                            const float* HWY_RESTRICT query, float query_inverse_norm, float* HWY_RESTRICT scores) {
    const Floats d;
    V v[lanes];
    for (std::size_t r = 0; r < lanes; r += Reading::rows) {
        const float* from[Reading::rows];
        for (std::size_t i = 0; i < Reading::rows; ++i)
            from[i] = row(r + i);
        accumulate<Op, Reading::rows, Reading::ahead>(from, b.rows + (first + r) * b.stride, b.stride, query, v + r);
    }
    V sums = fold_rows<lanes / 2>(v);
    if constexpr (cosine)
        sums = hn::Mul(hn::Mul(sums, norms()), hn::Set(d, query_inverse_norm));
    hn::StoreU(sums, d, scores + first);
}

// The norms that the mask selects; the others are not read (I2).
HWY_INLINE V selected_norms(const float* norms, std::uint64_t mask) {
    const Floats d;
#if HWY_MEM_OPS_MIGHT_FAULT // a masked load may read everything
    HWY_ALIGN float selected[lanes] = {};
    for (; mask != 0; mask &= mask - 1)
        selected[std::countr_zero(mask)] = norms[std::countr_zero(mask)];
    return hn::Load(d, selected);
#else
    std::uint8_t bits[8];
    std::memcpy(bits, &mask, sizeof mask);
    return hn::MaskedLoad(hn::LoadMaskBits(d, bits), d, norms);
#endif
}

// Goes through the rows a vector at a time. The scores of rows that are not selected are written too, and mean nothing:
// so every row has its place, and nothing has to be gathered before or scattered afterwards (which took a third of the
// time of a block with a few holes in it).
template <class Op, bool cosine, class Reading>
void score_one(const kernel::Rows& b, const float* query, float query_inverse_norm, float* scores) noexcept {
    const Floats d;
    constexpr std::uint64_t all = (std::uint64_t{1} << lanes) - 1;
    for (std::size_t first = 0; first < block_rows; first += lanes) {
        const std::uint64_t mask = b.mask >> first & all;
        if (mask == 0)
            continue;
        if (mask == all) [[likely]] {
            score_group<Op, cosine, Reading>(
                b, first, [&](std::size_t r) { return b.rows + (first + r) * b.stride; },
                [&] { return hn::LoadU(d, b.inverse_norms + first); }, query, query_inverse_norm, scores);
            continue;
        }
        const float* const rows = b.rows + first * b.stride;
        const auto norms = [&] { return selected_norms(b.inverse_norms + first, mask); };
        if (static_cast<std::size_t>(std::popcount(mask)) * 4 >= lanes * 3) {
            // A selected row stands in for each that is not: I2.
            const float* const other = rows + static_cast<std::size_t>(std::countr_zero(mask)) * b.stride;
            score_group<Op, cosine, Reading>(
                b, first, [&](std::size_t r) { return (mask >> r & 1) != 0 ? rows + r * b.stride : other; }, norms,
                query, query_inverse_norm, scores);
            continue;
        }
        // Few: each by itself.
        V v[lanes];
        for (V& each : v)
            each = hn::Zero(d);
        for (std::uint64_t left = mask; left != 0; left &= left - 1) {
            const auto r = static_cast<std::size_t>(std::countr_zero(left));
            const float* const row = rows + r * b.stride;
            accumulate<Op, 1, 0>(&row, row, b.stride, query, v + r);
        }
        V sums = fold_rows<lanes / 2>(v);
        if constexpr (cosine)
            sums = hn::Mul(hn::Mul(sums, norms()), hn::Set(d, query_inverse_norm));
        hn::StoreU(sums, d, scores + first);
    }
}

// 0 to 63, to be loaded: Highway's Iota stores them one by one before it loads them, and so waits for the stores.
struct alignas(row_alignment) Numbers {
    constexpr Numbers() {
        for (std::uint32_t i = 0; i != block_rows; ++i)
            of[i] = i;
    }
    std::uint32_t of[block_rows] = {};
};
constexpr Numbers all_numbers;

// The selected rows one behind the other, a vector of them at a time; or in place, where nearly all are selected, or
// the first ones. No prefetch: in the order of the addresses it would be of rows, too, that nobody wants.
template <class Op, bool cosine, class Reading>
kernel::Scored score_packed(const kernel::Rows& b, const float* query, float query_inverse_norm, float* scores,
                            std::uint32_t* numbers) noexcept {
    const auto selected = static_cast<std::uint32_t>(std::popcount(b.mask));
    if (selected > block_rows * 7 / 8 || (b.mask & (b.mask + 1)) == 0) {
        score_one<Op, cosine, Reading>(b, query, query_inverse_norm, scores);
        return {selected, false};
    }
    const Floats d;
    const hn::RebindToUnsigned<Floats> du;
    constexpr std::uint64_t all = (std::uint64_t{1} << lanes) - 1;
    HWY_ALIGN float norms[packed_numbers] = {};
    for (std::size_t first = 0, n = 0; first < block_rows; first += lanes) {
        const std::uint64_t mask = b.mask >> first & all;
        std::uint8_t bits[8];
        std::memcpy(bits, &mask, sizeof mask);
        hn::StoreU(hn::Compress(hn::Load(du, all_numbers.of + first), hn::LoadMaskBits(du, bits)), du, numbers + n);
        if constexpr (cosine) {
            const V norm = selected_norms(b.inverse_norms + first, mask);
            hn::StoreU(hn::Compress(norm, hn::LoadMaskBits(d, bits)), d, norms + n);
        }
        n += static_cast<std::size_t>(std::popcount(mask));
    }
    for (std::size_t p = 0; p < selected; p += lanes) {
        V v[lanes];
        for (std::size_t r = 0; r < lanes; r += Reading::rows) {
            if (p + r >= selected) {
                for (std::size_t i = 0; i < Reading::rows; ++i)
                    v[r + i] = hn::Zero(d);
                continue;
            }
            // The last one again where there are no more: I2.
            const float* from[Reading::rows];
            for (std::size_t i = 0; i < Reading::rows; ++i)
                from[i] = b.rows + numbers[std::min<std::size_t>(p + r + i, selected - 1)] * b.stride;
            accumulate<Op, Reading::rows, 0>(from, from[0], b.stride, query, v + r);
        }
        V sums = fold_rows<lanes / 2>(v);
        if constexpr (cosine)
            sums = hn::Mul(hn::Mul(sums, hn::LoadU(d, norms + p)), hn::Set(d, query_inverse_norm));
        hn::StoreU(sums, d, scores + p);
    }
    return {selected, true};
}

// The selected rows in ascending order; returns how many.
HWY_INLINE std::size_t list_rows(std::uint64_t mask, std::uint8_t* list) {
    std::size_t n = 0;
    for (; mask != 0; mask &= mask - 1)
        list[n++] = static_cast<std::uint8_t>(std::countr_zero(mask));
    return n;
}

// A tile is tile_queries x tile_rows pairs: as many as a vector has lanes, so that one fold finishes it. It takes one
// part of the partial sums after the other, so that the sums stay in registers on narrow vectors as well.
constexpr std::size_t tile_queries = lanes >= 8 ? 4 : lanes >= 4 ? 2 : 1;
constexpr std::size_t tile_rows = lanes / tile_queries;

template <class Op>
HWY_INLINE V score_tile(const float* const* HWY_RESTRICT row, const float* const* HWY_RESTRICT query,
                        std::size_t stride) {
    const Floats d;
    V part[lanes][parts];
    for (std::size_t p = 0; p < parts; ++p) {
        V sum[lanes];
        for (V& each : sum)
            each = hn::Zero(d);
        for (std::size_t i = p * lanes; i < stride; i += 16) {
            V q[tile_queries];
            for (std::size_t j = 0; j < tile_queries; ++j)
                q[j] = hn::Load(d, query[j] + i);
            for (std::size_t r = 0; r < tile_rows; ++r) {
                const V x = hn::Load(d, row[r] + i);
                for (std::size_t j = 0; j < tile_queries; ++j)
                    sum[j * tile_rows + r] = Op::add(sum[j * tile_rows + r], x, q[j]);
            }
        }
        for (std::size_t t = 0; t < lanes; ++t)
            part[t][p] = sum[t];
    }
    V v[lanes];
    for (std::size_t t = 0; t < lanes; ++t)
        v[t] = fold_parts(part[t]);
    return fold_rows<lanes / 2>(v);
}

template <class Op, bool cosine>
void score_many(const kernel::Rows& b, const float* queries, const float* query_inverse_norms, std::size_t count,
                float* scores) noexcept {
    const Floats d;
    if (b.mask == 0)
        return;
    std::uint8_t list[block_rows];
    const std::size_t n = list_rows(b.mask, list);
    const bool in_place = (b.mask & (b.mask + 1)) == 0; // row p is number p
    HWY_ALIGN float norms[block_rows] = {};
    if constexpr (cosine)
        for (std::size_t p = 0; p < n; ++p)
            norms[p] = b.inverse_norms[list[p]];
    HWY_ALIGN float packed[tile_queries][block_rows];
    for (std::size_t j = 0; j < count; j += tile_queries) {
        const std::size_t some = std::min(tile_queries, count - j);
        const float* query[tile_queries];
        for (std::size_t t = 0; t < tile_queries; ++t)
            query[t] = queries + (j + std::min(t, some - 1)) * b.stride; // the last one again where there is none
        for (std::size_t p = 0; p < n; p += tile_rows) {
            const float* row[tile_rows];
            for (std::size_t r = 0; r < tile_rows; ++r)
                row[r] = b.rows + list[std::min(p + r, n - 1)] * b.stride;
            HWY_ALIGN float tile[lanes];
            hn::Store(score_tile<Op>(row, query, b.stride), d, tile);
            for (std::size_t t = 0; t < tile_queries; ++t)
                std::memcpy(packed[t] + p, tile + t * tile_rows, tile_rows * sizeof(float));
        }
        for (std::size_t t = 0; t < some; ++t) {
            float* const out = scores + (j + t) * block_rows;
            if constexpr (cosine)
                for (std::size_t p = 0; p < n; p += lanes)
                    hn::Store(hn::Mul(hn::Mul(hn::Load(d, packed[t] + p), hn::Load(d, norms + p)),
                                      hn::Set(d, query_inverse_norms[j + t])),
                              d, packed[t] + p);
            if (in_place)
                std::memcpy(out, packed[t], n * sizeof(float));
            else
                for (std::size_t p = 0; p < n; ++p)
                    out[list[p]] = packed[t][p];
        }
    }
}

template <bool higher>
std::uint64_t select_scores(const float* scores, float threshold) noexcept {
    const Floats d;
    const V limit = hn::Set(d, threshold);
    std::uint64_t worse = 0;
    for (std::size_t i = 0; i < block_rows; i += lanes) {
        const V s = hn::LoadU(d, scores + i);
        std::uint8_t bits[8] = {};
        hn::StoreMaskBits(d, higher ? hn::Lt(s, limit) : hn::Gt(s, limit), bits);
        std::uint64_t word = 0;
        std::memcpy(&word, bits, sizeof word);
        worse |= word << i;
    }
    return ~worse;
}

// Folds one vector: the same additions as in fold_rows().
template <std::size_t half>
HWY_INLINE V fold_one(V v) {
#if HWY_TARGET != HWY_SCALAR
    if constexpr (half > 0)
        return fold_one<half / 2>(fold<half>(v, v));
#endif
    return v;
}

// As accumulate(), for a vector as it comes from the caller.
float squared_norm(const float* vector, std::size_t size) noexcept {
    const Floats d;
    V sum[parts];
    for (V& each : sum)
        each = hn::Zero(d);
    const auto add = [&](const float* group) {
        for (std::size_t p = 0; p < parts; ++p) {
            const V x = hn::LoadU(d, group + p * lanes);
            sum[p] = Dot::add(sum[p], x, x);
        }
    };
    const std::size_t whole = size / 16 * 16;
    for (std::size_t i = 0; i < whole; i += 16)
        add(vector + i);
    if (whole != size) {
        float last[16] = {};
        std::memcpy(last, vector + whole, (size - whole) * sizeof(float));
        add(last);
    }
    return hn::GetLane(fold_one<lanes / 2>(fold_parts(sum)));
}

/// The kernels of one metric: `Operation` says how a row and the query are added up; `cosine`: the sum is divided by both
/// norms.
template <class Operation, bool divided>
struct KernelsOf {
    using Op = Operation;
    static constexpr bool cosine = divided;
};

template <class... Kernels, std::size_t... metric>
constexpr kernel::Table table_of(std::index_sequence<metric...>) {
    return {
        HWY_TARGET,
        {{score_one<typename Kernels::Op, Kernels::cosine, Streaming>...},
         {score_one<typename Kernels::Op, Kernels::cosine, Cached>...}},
        {{score_packed<typename Kernels::Op, Kernels::cosine, Streaming>...},
         {score_packed<typename Kernels::Op, Kernels::cosine, Cached>...}},
        {score_many<typename Kernels::Op, Kernels::cosine>...},
        {select_scores<metric_facts[metric].higher_is_better>...},
        squared_norm,
    };
}
template <class... Kernels>
constexpr kernel::Table table_of() {
    static_assert(sizeof...(Kernels) == metric_facts.size(), "give the new metric its kernels");
    return table_of<Kernels...>(std::make_index_sequence<metric_facts.size()>());
}

} // namespace

const kernel::Table* table() {
    static constexpr kernel::Table t = table_of<KernelsOf<Dot, true>,             // cosine
                                                KernelsOf<Dot, false>,            // inner_product
                                                KernelsOf<SquaredDistance, false> // squared_euclidean
                                                >();
    return &t;
}

} // namespace hotindex::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hotindex {

HWY_EXPORT(table);

namespace kernel {
const Table& best() noexcept {
    return *HWY_DYNAMIC_DISPATCH(table)();
}
} // namespace kernel

const char* kernel_target() noexcept {
    return hwy::TargetName(kernel::best().target);
}

float squared_norm(std::span<const float> vector) noexcept {
    return kernel::best().squared_norm(vector.data(), vector.size());
}

namespace {
/// What the scores of a query are multiplied by.
float factor_of(const float* padded, std::size_t stride, Metric metric) {
    return needs_norm(metric) ? inverse_norm(padded, stride) : 1.0F;
}
} // namespace

void PreparedQuery::assign(std::span<const float> query, Metric metric, std::size_t expected_rows,
                           std::optional<float> inverse_norm) {
    const std::size_t stride = row_stride(query.size());
    float* const to = floats_.reserve(stride);
    std::copy(query.begin(), query.end(), to);
    std::fill(to + query.size(), to + stride, 0.0F);
    stride_ = stride;
    metric_ = metric;
    inverse_norm_ = inverse_norm ? *inverse_norm : factor_of(to, stride, metric);
    const bool cached = expected_rows <= kernel::cached_bytes / (std::max<std::size_t>(stride, 1) * sizeof(float));
    score_ = kernel::best().one[cached ? 1 : 0][static_cast<std::size_t>(metric)];
    score_packed_ = kernel::best().packed[cached ? 1 : 0][static_cast<std::size_t>(metric)];
    select_ = kernel::best().select[static_cast<std::size_t>(metric)];
}

void PreparedBatch::assign(std::span<const float> queries, std::size_t dimension, Metric metric) {
    size_ = 0;
    const std::size_t size = dimension == 0 ? 0 : queries.size() / dimension;
    const std::size_t stride = row_stride(dimension);
    float* const norms = inverse_norms_.reserve(size);
    float* const to = floats_.reserve(size * stride);
    for (std::size_t j = 0; j < size; ++j) {
        const std::span<const float> query = queries.subspan(j * dimension, dimension);
        float* const padded = to + j * stride;
        std::copy(query.begin(), query.end(), padded);
        std::fill(padded + dimension, padded + stride, 0.0F);
        norms[j] = factor_of(padded, stride, metric);
    }
    stride_ = stride;
    metric_ = metric;
    size_ = size;
    score_ = kernel::best().many[static_cast<std::size_t>(metric)];
    select_ = kernel::best().select[static_cast<std::size_t>(metric)];
}

} // namespace hotindex
#endif // HWY_ONCE
