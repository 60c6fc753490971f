// The lock-free index with the tunables that ship, listened to.
#include "harness/subject_of.hpp"

#include <hotindex/lock_free_hot_vector_index.hpp>

namespace hotindex::stress {

std::unique_ptr<Subject> make_shipped_subject(IndexOptions options) {
    return std::make_unique<IndexSubject<BasicLockFreeHotVectorIndex<StressBackend, DefaultTraits>>>(
        std::move(options));
}

} // namespace hotindex::stress
