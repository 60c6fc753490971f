// The lock-free index with limits so small that every one of them is met, listened to.
#include "harness/subject_of.hpp"

#include <hotindex/lock_free_hot_vector_index.hpp>

namespace hotindex::stress {

std::unique_ptr<Subject> make_tiny_subject(IndexOptions options) {
    return std::make_unique<IndexSubject<BasicLockFreeHotVectorIndex<StressBackend, TinyTraits>>>(std::move(options));
}

} // namespace hotindex::stress
