// The adaptive index with TinyTraits: it looks at what threads do at every fourth operation.
#include "harness/heard_mutex.hpp"
#include "harness/subject_of.hpp"

#include <hotindex/adaptive_hot_vector_index.hpp>
#include <hotindex/backend/traits.hpp>

#include <memory>
#include <utility>

namespace hotindex::stress {

std::unique_ptr<Subject> make_adaptive_subject(IndexOptions options) {
    return std::make_unique<IndexSubject<BasicAdaptiveHotVectorIndex<StressBackend, TinyTraits, HeardMutex>>>(
        std::move(options));
}

} // namespace hotindex::stress
