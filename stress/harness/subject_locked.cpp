// The traditional index, as what a progress check must refuse and the other checks must accept; behind a mutex, and
// behind one that is elided by transactions in software.
#include "harness/heard_mutex.hpp"
#include "harness/serial_transactions.hpp"
#include "harness/subject_of.hpp"

#include <hotindex/backend/traits.hpp>
#include <hotindex/elision/elided_mutex.hpp>
#include <hotindex/hot_vector_index.hpp>

#include <memory>
#include <utility>

namespace hotindex::stress {

namespace {
using HeardElidedMutex = BasicElidedMutex<StressBackend, TinyTraits, SerialTransactions<HeardMutex>, HeardMutex>;
} // namespace

std::unique_ptr<Subject> make_locked_subject(IndexOptions options) {
    return std::make_unique<IndexSubject<HotVectorIndex<HeardMutex>>>(std::move(options));
}

std::unique_ptr<Subject> make_elided_subject(IndexOptions options) {
    return std::make_unique<IndexSubject<HotVectorIndex<HeardElidedMutex>>>(std::move(options));
}

} // namespace hotindex::stress
