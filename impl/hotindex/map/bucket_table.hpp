// BucketTable: the hash table under LockFreeHashMap and under the index's directory.
//
// The problem: lookups as cheap as in a chained table that has no concurrency at all, updates that nobody waits for,
// and entries with an address for life (the index keeps an atomic value in each).
//
// The idea: an array of bucket words. Each holds the whole content of its bucket (see bucket.hpp), so each is an atomic
// variable that holds a set. A lookup loads the word once. A change builds the new content and swings the word with one
// CAS. At the usual load two thirds of the entries hang directly from their word: two dependent cache misses a lookup.
//
// Growth. A larger table is hung behind the full one. A writer that meets it moves its own bucket, then a few more, and
// works in the new table. To move a bucket is to freeze the old word (no CAS on it succeeds any more), to fill the new
// words from it, and to mark it moved. Each new word leaves the state "untouched" once, so a late helper brings nothing
// back. A reader that finds a frozen word looks into the new table; where the new word is untouched, the frozen content
// counts. When all buckets are moved, the new table becomes the root.
//
// Invariants (I1, I5: see bucket.hpp)
//   I2  untouched -> filled -> frozen -> moved; no word ever goes back. Only filled words change content.
//   I3  a key is in at most one entry of the word that counts for it: the old word, frozen or not, until the new one is
//       filled; then the new one.
//   I4  no word of the root is untouched.
//
// Linearization: insert, replace, unlink at their successful CAS; find at the load of the word that it reads, or, where
// it used frozen content, at the load that found the new word untouched.
//
// Progress: find is wait-free but for growth (one more hop for each growth since it read the root); insert, replace and
// unlink are lock-free. A stopped thread costs others at most the moving of the buckets that it had claimed.
//
// Source: the bucket as one atomic immutable list follows ParlayHash (Anderson, Blelloch, Jayanti, 2024); growth by
// frozen words after Click's non-blocking hash table (2007) and Maier, Sanders, Dementiev (2016).
#pragma once

#include <hotindex/backend/backend.hpp>
#include <hotindex/map/bucket.hpp>
#include <hotindex/reclaim/epoch_domain.hpp>

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

namespace hotindex {

/// `Local` (the domain's) derives from TableLocal with the same parameters; it may have release(Entry&), which is
/// called when nobody can reach a retired entry through the table any more, and says whether it may be reclaimed now.
template <class B, class Traits, class Local, class Key, class Value, class Equal>
class BucketTable {
  public:
    using Entry = TableEntry<B, Local, Key, Value>;
    using Domain = EpochDomain<B, Traits, Local>;
    using Guard = typename Domain::Guard;
    using Pools = TablePools<B, Traits, Local, Key, Value>;

    /// Room for `expected` entries without growth. Throws std::bad_alloc.
    BucketTable(Domain& domain, Pools& pools, std::size_t expected, Equal equal = Equal())
        : domain_(domain), pools_(pools), equal_(std::move(equal)), root_(nullptr) {
        std::size_t buckets = Traits::first_buckets;
        while (buckets < max_buckets && buckets / 100 * Traits::load_percent < expected)
            buckets *= 2;
        root_.store(make_table(buckets, bucket::filled), B::relaxed()); // relaxed: construction overlaps with nothing
    }
    BucketTable(const BucketTable&) = delete;
    BucketTable& operator=(const BucketTable&) = delete;

    /// Destroys all entries, and the pools are to end. Nothing may be running, and the domain's limbo must have been
    /// reclaimed.
    ~BucketTable() {
        // relaxed, here and below: destruction overlaps with nothing
        Table* const root = root_.load(B::relaxed());
        Table* const next = root->next.load(B::relaxed());
        for (std::size_t b = 0; b != root->size(); ++b)
            visit_bucket(*root, b, [&](Entry& e) { pools_.entries.destroy_last(&e); });
        for (Table* t : {root, next}) {
            if (t == nullptr)
                continue;
            for (std::size_t b = 0; b != t->size(); ++b) {
                const Word w = t->bucket(b).load(B::relaxed());
                if ((w & bucket::moved) != 0)
                    continue; // its nodes were retired by the mover
                for (Node* node = Content::chain_of(w); node != nullptr;) {
                    Node* const rest = node->rest.get();
                    pools_.nodes.destroy_last(node);
                    node = rest;
                }
            }
            destroy_table(t);
        }
    }

    /// A new entry that is not in the table yet. Throws std::bad_alloc or what the constructors throw.
    template <class K, class... Args>
    [[nodiscard]] Entry* make_entry(const Guard& guard, std::uint64_t hash, K&& key, Args&&... args) {
        return pools_.entries.make(guard.local().entry_cache, hash, std::forward<K>(key), std::forward<Args>(args)...);
    }
    /// Takes back an entry that never was in the table.
    void destroy_unpublished(const Guard& guard, Entry* entry) {
        pools_.entries.destroy(guard.local().entry_cache, entry);
    }
    /// After a successful unlink or replace, by whoever did it: frees the entry after the grace period.
    void retire(const Guard& guard, Entry* entry) {
        guard.retire(
            entry, [](Retirable<B, Local>* r, Local& local) { return reclaim_entry(static_cast<Entry*>(r), local); },
            sizeof(Entry));
    }

    /// The entry with this key, or nullptr. Valid while the guard lives.
    template <class K>
    [[nodiscard]] Entry* find(const Guard&, std::uint64_t hash, const K& key) const {
        return search(readable(hash), hash, key);
    }

    /// Puts `fresh` into the table unless its key is there; returns the entry that is now there for the key.
    /// Throws std::bad_alloc; `fresh` is still the caller's then.
    [[nodiscard]] Entry* insert(const Guard& guard, Entry* fresh) {
        const std::uint64_t hash = fresh->hash.get();
        for (;;) {
            const Writable at = writable(guard, hash);
            if (Entry* const there = search(at.content, hash, fresh->key.get()))
                return there;
            Node* built = nullptr;    // what this attempt built
            Node* replaced = nullptr; // and the node it stands for
            Word next = Content::entry_word(fresh);
            if ((at.content & bucket::address_bits) != 0) {
                built = Content::prepend(guard, at.content, next, replaced);
                next = bucket::pack(built) | bucket::chained | bucket::filled;
            }
            Word expected = at.content;
            // [bucket] release-CAS; synchronizes-with the acquire-loads of bucket words; publishes: the entry and the
            // block
            // relaxed on failure: the word is read again
            if (at.bucket->compare_exchange_strong(expected, next, B::release(edge::bucket), B::relaxed())) {
                if (replaced != nullptr)
                    Content::retire_node(guard, replaced);
                count_insert(guard);
                return fresh;
            }
            if (built != nullptr)
                pools_.nodes.destroy(guard.local().node_cache, built);
        }
    }

    /// Takes exactly this entry out; false if it is not in (any more). The caller who gets true retires it.
    /// Throws std::bad_alloc, only if the bucket holds more than two entries.
    [[nodiscard]] bool unlink(const Guard& guard, Entry* entry) {
        const bool done = rebuild(guard, entry, nullptr);
        if (done)
            guard.local().net_entries.add(~std::uint64_t{0});
        return done;
    }

    /// Puts `fresh`, which has the same key, in the place of exactly this entry; false if it is not in (any more). The
    /// caller who gets true retires `entry`. Throws std::bad_alloc; `fresh` is still the caller's then.
    [[nodiscard]] bool replace(const Guard& guard, Entry* entry, Entry* fresh) { return rebuild(guard, entry, fresh); }

    /// Visits every entry that is in the table throughout exactly once, others at most once. Each bucket is seen at one
    /// instant, different buckets at different ones.
    template <class Visit>
    void for_each(const Guard&, Visit visit) const {
        // [table_root] acquire-load; synchronizes-with the release-CAS in make_root()
        const Table* const root = root_.load(B::acquire(edge::table_root));
        for (std::size_t b = 0; b != root->size(); ++b)
            visit_bucket(*root, b, visit);
    }

    /// Exact when no operation is running, otherwise off by at most the operations that are running.
    [[nodiscard]] std::size_t size() const {
        const std::uint64_t sum =
            domain_.total(pools_.departed, [](const Local& local) { return local.net_entries.read(); });
        return static_cast<std::int64_t>(sum) < 0 ? 0 : static_cast<std::size_t>(sum);
    }

    /// Buckets of the root table now.
    [[nodiscard]] std::size_t bucket_count(const Guard&) const {
        // [table_root] acquire-load; synchronizes-with the release-CAS in make_root()
        return root_.load(B::acquire(edge::table_root))->size();
    }

    /// Bytes of these.
    [[nodiscard]] std::size_t bucket_bytes(const Guard& guard) const { return bucket_count(guard) * sizeof(Bucket); }

    [[nodiscard]] const Equal& equal() const noexcept { return equal_; }

  private:
    using Content = BucketContent<B, Traits, Local, Key, Value>;
    using Word = bucket::Word;
    using Node = bucket::Node<B, Local>;
    using Bucket = typename B::template atomic<Word>;

    static constexpr std::size_t max_buckets = std::size_t{1} << 40;

    struct Table : Retirable<B, Local> {
        Table(Bucket* all, std::size_t n) : buckets(all), last_bucket(n - 1), next(nullptr), cursor(0), moved(0) {}
        [[nodiscard]] std::size_t mask() const { return last_bucket.get(); }
        [[nodiscard]] std::size_t size() const { return mask() + 1; }
        [[nodiscard]] Bucket& bucket(std::size_t b) const { return buckets.get()[b]; }
        const typename B::template var<Bucket*> buckets;
        const typename B::template var<std::size_t> last_bucket;
        alignas(isolation) typename B::template atomic<Table*> next;
        alignas(isolation) typename B::template atomic<std::size_t> cursor; ///< buckets claimed for moving
        typename B::template atomic<std::size_t> moved;                     ///< buckets marked moved
    };

    struct Writable {
        Bucket* bucket;
        Word content;
    };

    template <class K>
    Entry* search(Word content, std::uint64_t hash, const K& key) const {
        Entry* found = nullptr;
        Content::any_of(content, [&](Word w) {
            if (((w ^ hash) & bucket::tag_bits) != 0)
                return false;
            Entry* const e = Content::entry_of(w);
            if (e->hash.get() != hash || !equal_(e->key.get(), key))
                return false;
            found = e;
            return true;
        });
        return found;
    }

    // ---- finding the word that counts ----

    /// A word with the content that counted at some instant during the call.
    Word readable(std::uint64_t hash) const {
        // [table_root] acquire-load; synchronizes-with the release-CAS in make_root()
        const Table* t = root_.load(B::acquire(edge::table_root));
        // [bucket] acquire-load; synchronizes-with the release-CASes of insert(), rebuild(), fill()
        // [bucket_freeze] acquire-load; synchronizes-with the release-CAS in move_bucket(): the next table is there
        Word w = t->bucket(hash & t->mask()).load(B::acquire(edge::bucket));
        while ((w & bucket::frozen) != 0) [[unlikely]] {
            // relaxed: the frozen word was read with acquire, and who froze it had the next table (bucket_freeze)
            t = t->next.load(B::relaxed());
            // [bucket] acquire-load; synchronizes-with the release-CASes of insert(), rebuild(), fill()
            const Word newer = t->bucket(hash & t->mask()).load(B::acquire(edge::bucket));
            if (newer == bucket::untouched)
                return w; // I3: the frozen content counts until the new word is filled
            w = newer;
        }
        return w;
    }

    /// The cell that may be changed, with its content: filled, not frozen when read. Moves what stands in the way.
    Writable writable(const Guard& guard, std::uint64_t hash) {
        // [table_root] acquire-load; synchronizes-with the release-CAS in make_root()
        Table* t = root_.load(B::acquire(edge::table_root));
        for (;;) {
            // [table_next] acquire-load; synchronizes-with the release-CAS in grow()
            Table* next = t->next.load(B::acquire(edge::table_next));
            if (next == nullptr) [[likely]] {
                Bucket& found = t->bucket(hash & t->mask());
                // [bucket] acquire-load; synchronizes-with the release-CASes of insert(), rebuild(), fill()
                // [bucket_freeze] acquire-load; synchronizes-with the release-CAS in move_bucket()
                const Word w = found.load(B::acquire(edge::bucket));
                if ((w & bucket::frozen) == 0) [[likely]]
                    return {&found, w};
                // relaxed: the frozen word was read with acquire, and who froze it had the next table (bucket_freeze)
                next = t->next.load(B::relaxed());
            }
            count_moved(guard, *t, *next, move_bucket(guard, *t, *next, hash & t->mask()) ? 1 : 0);
            help_move(guard, *t, *next);
            t = next;
        }
    }

    // ---- changing a bucket ----

    static std::size_t reclaim_entry(Entry* retired, Local& local) {
        if constexpr (requires { local.release(*retired); })
            if (!local.release(*retired))
                return 0;
        local.pools->entries.destroy(local.entry_cache, retired);
        return sizeof(Entry);
    }

    /// unlink (fresh == nullptr) and replace.
    bool rebuild(const Guard& guard, Entry* entry, Entry* fresh) {
        const std::uint64_t hash = entry->hash.get();
        for (;;) {
            const Writable at = writable(guard, hash);
            if (!Content::any_of(at.content, [entry](Word w) { return Content::entry_of(w) == entry; }))
                return false;
            bucket::EntryWords words =
                Content::chosen(at.content, [entry](Word w) { return Content::entry_of(w) != entry; });
            if (fresh != nullptr)
                words.push(Content::entry_word(fresh));
            const Word next = Content::build(guard, words);
            Word expected = at.content;
            // [bucket] release-CAS; synchronizes-with the acquire-loads of bucket words; publishes: the new content
            // relaxed on failure: the word is read again
            if (at.bucket->compare_exchange_strong(expected, next, B::release(edge::bucket), B::relaxed())) {
                Content::retire_chain(guard, at.content);
                return true;
            }
            Content::destroy_chain(guard, next);
        }
    }

    // ---- growth ----

    void count_insert(const Guard& guard) {
        Local& local = guard.local();
        local.net_entries.add(1);
        const std::uint32_t left = local.until_load_check.get() - 1;
        local.until_load_check.set(left);
        if (left == 0)
            check_load(guard);
    }

    void check_load(const Guard& guard) {
        // [table_root] acquire-load; synchronizes-with the release-CAS in make_root()
        Table* const t = root_.load(B::acquire(edge::table_root));
        const std::size_t interval = t->size() / 16 + 1;
        guard.local().until_load_check.set(interval < Traits::inserts_per_load_check
                                               ? static_cast<std::uint32_t>(interval)
                                               : Traits::inserts_per_load_check);
        const std::size_t entries = size();
        if (t->size() == max_buckets || entries * 100 <= t->size() * Traits::load_percent)
            return;
        // [table_next] acquire-load; synchronizes-with the release-CAS in grow()
        Table* const next = t->next.load(B::acquire(edge::table_next));
        try {
            if (next == nullptr) {
                grow(*t);
            } else if (entries * 100 > next->size() * Traits::load_percent) {
                // Somebody stopped in the middle of moving: do the rest, so that the table can grow again.
                for (std::size_t b = 0; b != t->size(); ++b)
                    move_bucket(guard, *t, *next, b);
                make_root(guard, *t, *next);
            }
        } catch (const std::bad_alloc&) {
            // Growth makes lookups shorter and nothing else: without memory it is left to a later insert.
        }
    }

    void grow(Table& t) {
        Table* const fresh = make_table(t.size() * Traits::growth_factor(t.size()), bucket::untouched);
        Table* none = nullptr;
        // [table_next] release-CAS; synchronizes-with the acquire-loads of next; publishes: the untouched table
        // relaxed on failure: another thread's table is found by whoever needs it
        if (!t.next.compare_exchange_strong(none, fresh, B::release(edge::table_next), B::relaxed()))
            destroy_table(fresh);
    }

    /// Moves bucket b of t into next, unless that is done; true for the one call that marked it moved.
    bool move_bucket(const Guard& guard, Table& t, Table& next, std::size_t b) {
        Bucket& old = t.bucket(b);
        // [bucket_moved] acquire-load; synchronizes-with the release-CAS below
        // [bucket] acquire-load; synchronizes-with the release-CASes of insert(), rebuild(), fill()
        Word w = old.load(B::acquire(edge::bucket_moved));
        while ((w & bucket::frozen) == 0)
            // [bucket_freeze] release-CAS; synchronizes-with the acquire-loads of bucket words; publishes: that there
            // is a next table. It continues the release sequence of the content
            // [bucket] acquire on failure: the word found is looked into
            if (old.compare_exchange_weak(w, w | bucket::frozen, B::release(edge::bucket_freeze),
                                          B::acquire(edge::bucket)))
                w |= bucket::frozen;
        if ((w & bucket::moved) != 0)
            return false;
        // The content of old bucket b goes to the new buckets b, b + old size, b + 2 * old size, ...
        const bool is_single = (w & bucket::chained) == 0 && (w & bucket::address_bits) != 0;
        const std::size_t single = is_single ? Content::entry_of(w)->hash.get() & next.mask() : next.size();
        for (std::size_t target = b; target < next.size(); target += t.size()) {
            Bucket& into = next.bucket(target);
            // relaxed: who learns from this thread that the old word is moved cannot see the new one untouched any
            // more, because this thread did not (read-read coherence), and looks into it with an order of its own
            if (into.load(B::relaxed()) != bucket::untouched)
                continue;
            if ((w & bucket::chained) == 0)
                fill(guard, into, target == single ? w & ~(bucket::frozen | bucket::moved) : bucket::filled);
            else
                fill(guard, into, Content::build(guard, Content::chosen(w, [&](Word entry) {
                                                     return (Content::entry_of(entry)->hash.get() & next.mask()) ==
                                                            target;
                                                 })));
        }
        Word expected = w;
        // [bucket_moved] release-CAS; synchronizes-with the acquire-load above; publishes: all its new words are filled
        // relaxed on failure: another thread marked it
        if (!old.compare_exchange_strong(expected, w | bucket::moved, B::release(edge::bucket_moved), B::relaxed()))
            return false;
        Content::retire_chain(guard, w);
        return true;
    }

    void fill(const Guard& guard, Bucket& into, Word content) {
        Word expected = bucket::untouched;
        // [bucket] release-CAS; synchronizes-with the acquire-loads of bucket words; publishes: the content
        // relaxed on failure: another helper filled it; see move_bucket()
        if (!into.compare_exchange_strong(expected, content, B::release(edge::bucket), B::relaxed()))
            Content::destroy_chain(guard, content);
    }

    /// Moves a few buckets that nobody has claimed. Out of memory: leaves them to later calls.
    void help_move(const Guard& guard, Table& t, Table& next) {
        // relaxed: only a hint that there is work left
        if (t.cursor.load(B::relaxed()) >= t.size())
            return;
        // relaxed: claims are told apart by atomicity; what is moved is published by the words themselves
        const std::size_t begin = t.cursor.fetch_add(Traits::buckets_per_help, B::relaxed());
        std::size_t marked = 0;
        for (std::size_t b = begin; b < t.size() && b != begin + Traits::buckets_per_help; ++b)
            // relaxed: only a hint where memory will be needed; moving reads the entries' hashes
            B::prefetch(Content::entry_of(t.bucket(b).load(B::relaxed())));
        try {
            for (std::size_t b = begin; b < t.size() && b != begin + Traits::buckets_per_help; ++b)
                marked += move_bucket(guard, t, next, b) ? 1 : 0;
        } catch (const std::bad_alloc&) {
            // The buckets left over are moved by the writers that need them, or by check_load().
        }
        count_moved(guard, t, next, marked);
    }

    void count_moved(const Guard& guard, Table& t, Table& next, std::size_t marked) {
        if (marked == 0)
            return;
        // [table_progress] acq_rel-RMW; synchronizes-with the other calls; publishes: the words that this thread filled
        if (t.moved.fetch_add(marked, B::acq_rel(edge::table_progress)) + marked == t.size())
            make_root(guard, t, next);
    }

    /// All buckets of t are moved: next takes its place.
    void make_root(const Guard& guard, Table& t, Table& next) {
        Table* expected = &t;
        // [table_root] release-CAS; synchronizes-with the acquire-loads of root_; publishes: all words of next are
        // filled
        // relaxed on failure: done by another thread
        if (root_.compare_exchange_strong(expected, &next, B::release(edge::table_root), B::relaxed()))
            guard.retire(
                &t, [](Retirable<B, Local>* r, Local&) { return destroy_table(static_cast<Table*>(r)); }, bytes_of(t));
    }

    static Table* make_table(std::size_t buckets, Word content) {
        Bucket* const words = B::template make_array<Bucket>(
            buckets, [content](void* at) { B::template construct_at<Bucket>(at, content); });
        try {
            return B::template make<Table>(words, buckets);
        } catch (...) {
            B::destroy_array(words, buckets);
            throw;
        }
    }
    [[nodiscard]] static std::size_t bytes_of(const Table& t) { return sizeof(Table) + t.size() * sizeof(Bucket); }
    /// Returns what it gave back.
    static std::size_t destroy_table(Table* t) {
        const std::size_t bytes = bytes_of(*t);
        B::destroy_array(t->buckets.get(), t->size());
        B::destroy(t);
        return bytes;
    }

    template <class Visit>
    void visit_bucket(const Table& t, std::size_t b, Visit&& visit) const {
        // [bucket] acquire-load; synchronizes-with the release-CASes of insert(), rebuild(), fill()
        visit_content(t, b, t.bucket(b).load(B::acquire(edge::bucket)), visit);
    }

    template <class Visit>
    void visit_content(const Table& t, std::size_t b, Word w, Visit& visit) const {
        if ((w & bucket::frozen) == 0) {
            Content::any_of(w, [&visit](Word entry) {
                visit(*Content::entry_of(entry));
                return false;
            });
            return;
        }
        // relaxed: the frozen word was read with acquire, and who froze it had the next table (bucket_freeze)
        const Table& next = *t.next.load(B::relaxed());
        for (std::size_t target = b; target < next.size(); target += t.size()) {
            // [bucket] acquire-load; synchronizes-with the release-CASes of insert(), rebuild(), fill()
            const Word newer = next.bucket(target).load(B::acquire(edge::bucket));
            if (newer != bucket::untouched) {
                visit_content(next, target, newer, visit);
                continue;
            }
            Content::any_of(w, [&](Word entry) {
                if ((Content::entry_of(entry)->hash.get() & next.mask()) == target)
                    visit(*Content::entry_of(entry));
                return false;
            });
        }
    }

    Domain& domain_;
    Pools& pools_;
    [[no_unique_address]] Equal equal_;
    alignas(isolation) typename B::template atomic<Table*> root_;
};

} // namespace hotindex
