// Bucket: what one bucket of a BucketTable holds, as one word, and the memory behind it.
//
// A word describes the whole content of its bucket: nothing, one entry, or a chain of immutable nodes of entry
// pointers. So a bucket is an atomic variable that holds a set: whoever has loaded the word walks over memory that
// never changes, and a change builds the new content beside the old one and swings the word. Nothing here is atomic:
// the words that threads share, and their orders, are BucketTable's.
//
// Invariants
//   I1  nodes, and the words in them, never change after the CAS that published them.
//   I5  an entry pointer that has left the table comes back only after a grace period, as another entry. So for a
//       pinned thread equal words mean equal content (no ABA).
#pragma once

#include <hotindex/backend/backend.hpp>
#include <hotindex/memory/memory_pool.hpp>
#include <hotindex/reclaim/epoch_domain.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <utility>
#include <vector>

namespace hotindex {

/// An element of a BucketTable: its address is stable until it is unlinked and the grace period is over.
template <class B, class Local, class Key, class Value>
struct alignas(16) TableEntry : Retirable<B, Local> {
    template <class K, class... Args>
    TableEntry(std::uint64_t h, K&& k, Args&&... args)
        : hash(h), key(Key(std::forward<K>(k))), value(std::forward<Args>(args)...) {}
    const typename B::template var<std::uint64_t> hash;
    const typename B::template var<Key> key;
    Value value;
};

namespace bucket {
/// What a bucket word says. Bits 48 to 63 hold the top bits of a single entry's hash, so that most misses need no look
/// at the entry; bits 4 to 47 the address; bits 0 to 3 the state.
using Word = std::uint64_t;
inline constexpr Word untouched = 0;
inline constexpr Word frozen = 1;
inline constexpr Word moved = 2;
inline constexpr Word chained = 4; ///< the address is a Node's, otherwise an entry's or nothing
inline constexpr Word filled = 8;
inline constexpr Word address_bits = 0x0000'FFFF'FFFF'FFF0;
inline constexpr Word tag_bits = 0xFFFF'0000'0000'0000;

[[nodiscard]] inline Word pack(const void* p) {
    const auto address = reinterpret_cast<std::uintptr_t>(p);
    if ((address & ~address_bits) != 0) [[unlikely]]
        std::abort(); // an address space of more than 48 bits: this layout does not fit the platform
    return address;
}

/// Up to five entries (one cache line with its headers); more in `rest`.
template <class B, class Local>
struct alignas(16) Node : Retirable<B, Local> {
    static constexpr std::size_t capacity = 5;
    Node() : rest(nullptr) {}
    typename B::template var<Node*> rest;
    std::array<typename B::template var<Word>, capacity> words; ///< entry words; the first 0 ends the node
};

/// The entry words of one bucket, copied out. Holds the usual bucket without allocating.
class EntryWords {
  public:
    void push(Word w) {
        if (size_ < inline_.size())
            inline_[size_] = w;
        else
            overflow_.push_back(w);
        ++size_;
    }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] Word operator[](std::size_t i) const noexcept {
        return i < inline_.size() ? inline_[i] : overflow_[i - inline_.size()];
    }

  private:
    std::array<Word, 16> inline_; // the first size_ are set
    std::vector<Word> overflow_;
    std::size_t size_ = 0;
};
} // namespace bucket

/// The memory that a table's entries and nodes come from.
template <class B, class Traits, class Local, class Key, class Value>
struct TablePools {
    MemoryPool<B, Traits, TableEntry<B, Local, Key, Value>> entries;
    MemoryPool<B, Traits, bucket::Node<B, Local>> nodes;
    DepartedCounter<B> departed; ///< net_entries of participants that have left

    [[nodiscard]] PoolStats stats() const { return entries.stats() += nodes.stats(); }
    /// Gives memory back that nobody uses now.
    void trim() noexcept {
        entries.trim();
        nodes.trim();
    }
};

/// What each participant owns of a table; the domain's Local derives from it.
template <class B, class Traits, class Local, class Key, class Value>
struct TableLocal {
    using Pools = TablePools<B, Traits, Local, Key, Value>;
    explicit TableLocal(Pools& p) : pools(&p), until_load_check(1u) {}
    /// The thread has gone: nothing of the table stays with this participant.
    void leave() noexcept {
        flush_blocks();
        pools->departed.take_over(net_entries);
    }
    /// Gives back the free entries and nodes that it keeps. Does not allocate.
    void flush_blocks() noexcept {
        pools->entries.flush(entry_cache);
        pools->nodes.flush(node_cache);
    }
    Pools* pools;
    typename MemoryPool<B, Traits, TableEntry<B, Local, Key, Value>>::Cache entry_cache;
    typename MemoryPool<B, Traits, bucket::Node<B, Local>>::Cache node_cache;
    OwnedCounter<B> net_entries; ///< inserted minus unlinked by this participant, modulo 2^64
    typename B::template var<std::uint32_t> until_load_check;
};

/// The content of buckets: how to read a word, and how to build another one.
template <class B, class Traits, class Local, class Key, class Value>
struct BucketContent {
    using Entry = TableEntry<B, Local, Key, Value>;
    using Guard = typename EpochDomain<B, Traits, Local>::Guard;
    using Word = bucket::Word;
    using Node = bucket::Node<B, Local>;

    // ---- reading ----

    static Entry* entry_of(Word w) noexcept {
        return reinterpret_cast<Entry*>(static_cast<std::uintptr_t>(w & bucket::address_bits));
    }
    static Node* chain_of(Word w) noexcept {
        return (w & bucket::chained) != 0
                   ? reinterpret_cast<Node*>(static_cast<std::uintptr_t>(w & bucket::address_bits))
                   : nullptr;
    }
    static Word entry_word(const Entry* e) {
        return bucket::pack(e) | (e->hash.get() & bucket::tag_bits) | bucket::filled;
    }

    /// Calls use(entry word) for each entry of the content until it returns true; true then.
    template <class Use>
    static bool any_of(Word content, Use use) {
        if ((content & bucket::chained) == 0)
            return (content & bucket::address_bits) != 0 && use(content);
        for (const Node* node = chain_of(content); node != nullptr; node = node->rest.get())
            for (const auto& word : node->words) {
                const Word w = word.get();
                if (w == 0)
                    break;
                if (use(w))
                    return true;
            }
        return false;
    }

    /// The entry words of a content for which choose(word) is true.
    template <class Choose>
    static bucket::EntryWords chosen(Word content, Choose choose) {
        bucket::EntryWords words;
        any_of(content, [&](Word entry) {
            if (choose(entry))
                words.push(entry);
            return false;
        });
        return words;
    }

    // ---- building ----

    static Node* make_node(const Guard& guard) { return guard.local().pools->nodes.make(guard.local().node_cache); }

    static void retire_node(const Guard& guard, Node* node) {
        guard.retire(
            node,
            [](Retirable<B, Local>* r, Local& local) {
                local.pools->nodes.destroy(local.node_cache, static_cast<Node*>(r));
                return sizeof(Node);
            },
            sizeof(Node));
    }

    static void retire_chain(const Guard& guard, Word content) {
        for (Node* node = chain_of(content); node != nullptr;) {
            Node* const rest = node->rest.get();
            retire_node(guard, node);
            node = rest;
        }
    }

    static void destroy_chain(const Guard& guard, Word content) {
        for (Node* node = chain_of(content); node != nullptr;) {
            Node* const rest = node->rest.get();
            guard.local().pools->nodes.destroy(guard.local().node_cache, node);
            node = rest;
        }
    }

    /// A first node that holds `added` and, as far as it has room, what the content's first node holds, which it then
    /// replaces.
    static Node* prepend(const Guard& guard, Word content, Word added, Node*& replaced) {
        Node* const built = make_node(guard);
        built->words[0].set(added);
        Node* const head = chain_of(content);
        if (head == nullptr) {
            built->words[1].set(content);
        } else if (head->words[Node::capacity - 1].get() != 0) {
            built->rest.set(head);
        } else {
            for (std::size_t i = 0; i + 1 != Node::capacity; ++i)
                built->words[i + 1].set(head->words[i].get());
            built->rest.set(head->rest.get());
            replaced = head;
        }
        return built;
    }

    /// Content with exactly these entries. Throws std::bad_alloc and leaves nothing behind.
    static Word build(const Guard& guard, const bucket::EntryWords& words) {
        if (words.size() == 0)
            return bucket::filled;
        if (words.size() == 1)
            return words[0];
        Word content = bucket::filled;
        try {
            for (std::size_t i = 0; i < words.size(); i += Node::capacity) {
                Node* const node = make_node(guard);
                node->rest.set(chain_of(content));
                for (std::size_t j = 0; j != Node::capacity && i + j != words.size(); ++j)
                    node->words[j].set(words[i + j]);
                content = bucket::pack(node) | bucket::chained | bucket::filled;
            }
        } catch (...) {
            destroy_chain(guard, content);
            throw;
        }
        return content;
    }
};

} // namespace hotindex
