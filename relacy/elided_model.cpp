// ElidedMutex: sections behind it exclude each other, whether they are transactions or not, and wherever those abort.
//
// The processor is simulated: it notes what a transaction reads and writes, aborts it when another thread is in its way,
// and makes its writes visible at once when it commits. What a transaction has read counts as read when it commits: of
// one that is aborted nobody knows. Its commit releases and acquires on the lock's word if the transaction has read it,
// and transactions are ordered among each other by their commits. Nothing else is: sections behind the mutex and
// transactions know of each other by the word alone, as the compiler sees it. A processor's exchange is a full fence;
// here what it needs is its acquire.
#include "model.hpp"
#include "spin_lock.hpp"

#include <hotindex/backend/traits.hpp>
#include <hotindex/elision/elided_mutex.hpp>
#include <hotindex/elision/transactions.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace {
using namespace hotindex;
using model::current_thread;
using model::Effort;
using model::expect;
using model::Model;
using B = model::CheckerBackend;
using Status = TransactionStatus;

/// What the simulated processor has cells for: plain data, and the word of one lock.
constexpr std::size_t cells = 2;
constexpr std::uint32_t word_bit = 1u << cells;

/// The running execution's.
class Processor {
  public:
    struct RolledBack {
        Status status;
    };

    explicit Processor(int spurious) : spurious_left(spurious), order_(0), step_(0) { now = this; }
    Processor(const Processor&) = delete;
    Processor& operator=(const Processor&) = delete;
    ~Processor() { now = nullptr; }

    Status begin() {
        Transaction& mine = me();
        if (mine.pending != Status::in_transaction) // this is the second return of the last one
            return Status(std::exchange(mine.pending, Status::in_transaction));
        expect(++mine.begun <= most_begun, "an acquisition tries no more often than its lock has tries");
        step();
        if (const std::uint32_t bits = interruption(); bits != Status::in_transaction)
            return Status(bits);
        expect(!mine.runs, "a lock begins no transaction within its own");
        mine.runs = true;
        mine.doomed = false;
        mine.reads = mine.writes = 0;
        return Status(Status::in_transaction);
    }
    void commit() {
        step();
        Transaction& mine = me();
        expect(mine.runs, "a commit ends a transaction of its own thread");
        go_on(mine);
        rl::ctx().disable_preemption(); // all at once
        order_.fetch_add(0, B::acquire(edge::unnamed));
        for (std::size_t c = 0; c != cells; ++c) {
            if ((mine.reads & 1u << c) != 0)
                (void)data_[c].get();
            if ((mine.writes & 1u << c) != 0) {
                data_[c].set(mine.written[c]);
                newest_[c] = mine.written[c];
            }
        }
        order_.fetch_add(0, B::release(edge::unnamed));
        if ((mine.reads & word_bit) != 0)
            word->fetch_add(0, B::release(edge::unnamed));
        mine.runs = false;
        rl::ctx().enable_preemption();
    }
    void abort_because_held() {
        expect(me().runs, "an abort ends a transaction of its own thread");
        me().runs = false;
        me().pending = Status::lock_held;
    }

    [[nodiscard]] int read(std::size_t c) {
        step();
        Transaction& mine = me();
        if (!mine.runs) {
            in_the_way(0, 1u << c);
            return data_[c].get();
        }
        go_on(mine);
        in_the_way(0, 1u << c);
        mine.reads |= 1u << c;
        return (mine.writes & 1u << c) != 0 ? mine.written[c] : newest_[c];
    }
    void write(std::size_t c, int value) {
        step();
        Transaction& mine = me();
        if (!mine.runs) {
            in_the_way(1u << c, 1u << c);
            data_[c].set(value);
            newest_[c] = value;
            return;
        }
        go_on(mine);
        in_the_way(1u << c, 1u << c);
        mine.writes |= 1u << c;
        mine.written[c] = value;
    }

    /// The lock's word: see Transactions::word.
    void load_in_transaction() {
        Transaction& mine = me();
        go_on(mine);
        mine.reads |= word_bit;
    }
    void word_written() { in_the_way(word_bit, 0); }
    [[nodiscard]] bool runs() { return me().runs; }
    /// For after(): nobody else runs.
    [[nodiscard]] int final(std::size_t c) { return data_[c].get(); }

    static inline Processor* now = nullptr;
    B::atomic<std::uint32_t>* word = nullptr;
    int spurious_left;              ///< aborts that come from nowhere
    bool always_in_the_way = false; ///< no transaction ever commits
    std::uint32_t misfits = 0;      ///< threads of which no transaction commits, as bits
    int most_begun = 4 * static_cast<int>(TinyTraits::elision_tries); ///< transactions of one thread

  private:
    struct Transaction {
        bool runs = false;
        bool doomed = false;
        std::uint32_t reads = 0;
        std::uint32_t writes = 0;
        std::array<int, cells> written{};
        std::uint32_t pending = Status::in_transaction;
        int begun = 0;
    };
    Transaction& me() { return threads_[static_cast<std::size_t>(current_thread())]; }
    /// Others may run here.
    void step() const { (void)step_.load(B::relaxed()); }
    /// Rolls back what is doomed, or interrupted.
    void go_on(Transaction& mine) {
        const std::uint32_t bits = mine.doomed ? Status::conflict | Status::retry : interruption();
        if (bits == Status::in_transaction)
            return;
        mine.runs = false;
        throw RolledBack{Status(bits)};
    }
    /// A reason to abort now, drawn by the checker.
    [[nodiscard]] std::uint32_t interruption() {
        if (always_in_the_way)
            return Status::conflict | Status::retry;
        if ((misfits >> current_thread() & 1u) != 0)
            return Status::capacity;
        if (spurious_left == 0)
            return Status::in_transaction;
        constexpr std::array reasons{Status::in_transaction, 0u, Status::retry, Status::capacity};
        const std::uint32_t bits = reasons[rl::ctx().rand(static_cast<unsigned>(reasons.size()), rl::sched_type_user)];
        spurious_left -= bits != Status::in_transaction ? 1 : 0;
        return bits;
    }
    /// The running thread accesses these: other transactions that have read some of the first, or written some of the
    /// second, are over.
    void in_the_way(std::uint32_t read, std::uint32_t written) {
        for (Transaction& other : threads_)
            if (&other != &me() && other.runs && ((other.reads & read) != 0 || (other.writes & written) != 0))
                other.doomed = true;
    }

    std::array<Transaction, model::max_threads> threads_{};
    std::array<B::var<int>, cells> data_;
    std::array<int, cells> newest_{};
    B::atomic<int> order_; ///< of commits
    B::atomic<int> step_;
};

/// The policy, see transactions.hpp.
struct Simulated {
    template <class Backend>
    class word {
      public:
        explicit word(std::uint32_t value) : cell_(value) { Processor::now->word = &cell_; }
        [[nodiscard]] std::uint32_t load(typename Backend::order o) const {
            if (!Processor::now->runs())
                return cell_.load(o);
            const std::uint32_t value = cell_.fetch_add(0, o); // the newest: a processor's caches are coherent
            Processor::now->load_in_transaction();
            return value;
        }
        void store(std::uint32_t value, typename Backend::order o) {
            cell_.store(value, o);
            Processor::now->word_written();
        }
        std::uint32_t exchange(std::uint32_t value, typename Backend::order o) {
            const std::uint32_t old = cell_.exchange(value, o);
            Processor::now->word_written();
            return old;
        }

      private:
        mutable typename Backend::template atomic<std::uint32_t> cell_;
    };
    static bool available() { return true; }
    static Status begin() { return Processor::now->begin(); }
    static void commit() { Processor::now->commit(); }
    static void abort_because_held() { Processor::now->abort_because_held(); }
};

constexpr Effort small{.bound = 2, .bounded = 50'000};

template <int Threads, int Spurious = 0>
struct Stage {
    static constexpr int threads = Threads;
    using Mutex = BasicElidedMutex<B, TinyTraits, Simulated, model::SpinLock>;
    Processor processor{Spurious};
    Mutex mutex;

    /// Runs a section as a processor does: where a transaction is rolled back, begin() returns again.
    template <class Section>
    void run(Section section) {
        auto mine = mutex.acquisition();
        while (!runs_through(mine, section)) {
        }
    }
    /// Writes both cells, of which nobody may see one without the other.
    void add_one() {
        const int was = processor.read(0);
        processor.write(0, was + 1);
        processor.write(1, was + 1);
    }
    void look() {
        const int first = processor.read(0);
        expect(processor.read(1) == first, "a section sees no other one half done");
    }
    void after_adds(int adds) {
        expect(processor.final(0) == adds && processor.final(1) == adds, "every section took place once");
        const ElisionStats stats = mutex.stats();
        expect(stats.commits + stats.behind == sections, "every section is counted");
    }
    std::uint64_t sections = static_cast<std::uint64_t>(Threads);

  private:
    template <class Acquisition, class Section>
    bool runs_through(Acquisition& mine, Section& section) {
        Status status{Status::in_transaction};
        try {
            mutex.lock(mine);
            section();
            mutex.unlock();
        } catch (const Processor::RolledBack& back) {
            status = back.status; // no step within the handler
        }
        if (status.started())
            return true;
        mutex.aborted(mine, status);
        return false;
    }
};

struct TwoSections : Stage<2> {
    void thread(int) {
        run([this] { add_one(); });
    }
    void after() { after_adds(2); }
};
const Model<TwoSections> two_sections("elided_two_sections", "two sections exclude each other, transactions or not",
                                      small);

/// An interrupt, a page fault, a full cache may end a transaction at any of its steps.
template <int Times>
struct AbortedAnywhere : Stage<2, Times> {
    void thread(int) {
        this->run([this] { this->add_one(); });
    }
    void after() { this->after_adds(2); }
};
const Model<AbortedAnywhere<1>> aborted_anywhere("elided_aborted_anywhere",
                                                 "a section takes place once, wherever its transaction ends", small);
const Model<AbortedAnywhere<2>> aborted_twice("elided_aborted_twice", "the same where its transactions end twice");

/// The first thread's sections do not fit a transaction.
struct BesideTheMutex : Stage<2> {
    BesideTheMutex() { processor.misfits = 1u << 0; }
    void thread(int i) {
        if (i == 0)
            run([this] { add_one(); });
        else
            run([this] { look(); });
    }
    void after() { after_adds(1); }
};
const Model<BesideTheMutex> beside_the_mutex("elided_beside_the_mutex",
                                             "a transaction sees nothing of a section that is behind the mutex", small);

/// The same with two sections, so that the second one of either thread knows of the other's first one.
struct ByTurns : Stage<2> {
    ByTurns() {
        processor.misfits = 1u << 0;
        sections = 4;
    }
    void thread(int) {
        run([this] { add_one(); });
        run([this] { add_one(); });
    }
    void after() { after_adds(4); }
};
const Model<ByTurns> by_turns("elided_by_turns", "sections behind the mutex and transactions follow each other", small);

/// Two behind the mutex, one after the other, and a transaction between them.
struct HandedOver : Stage<3> {
    HandedOver() { processor.misfits = 1u << 0 | 1u << 1; }
    void thread(int i) {
        if (i == 2)
            run([this] { look(); });
        else
            run([this] { add_one(); });
    }
    void after() { after_adds(2); }
};
const Model<HandedOver> handed_over("elided_handed_over", "the mutex's next owner has the word for itself, too");

/// No transaction ever commits: tries are as many as the lock has, and then the mutex is taken.
struct InVain : Stage<2> {
    InVain() {
        processor.always_in_the_way = true;
        processor.most_begun = static_cast<int>(TinyTraits::elision_tries);
    }
    void thread(int) {
        run([this] { add_one(); });
    }
    void after() { after_adds(2); }
};
const Model<InVain> in_vain("elided_in_vain", "an acquisition gives up when its tries are used up", small);

/// try_lock() beside a section: it waits for nothing.
struct Tried : Stage<2> {
    bool got = false;
    void thread(int i) {
        if (i == 0)
            return run([this] { add_one(); });
        processor.misfits = 1u << 1; // the mutex, if it is free
        got = mutex.try_lock();
        if (!got)
            return;
        add_one();
        mutex.unlock();
    }
    void after() {
        sections = got ? 2 : 1;
        after_adds(got ? 2 : 1);
    }
};
const Model<Tried> tried("elided_tried", "who has got the lock by try_lock() has it alone", small);

} // namespace
