// A module that is loaded and unloaded: it uses indexes of its own with static storage, and one of its host's.
#include <hotindex/hot_vector_index.hpp>
#include <hotindex/lock_free_hot_vector_index.hpp>
#include <hotindex/map/lock_free_hash_map.hpp>

#include <string>
#include <vector>

namespace {
using namespace hotindex;

struct Everything {
    LockFreeHotVectorIndex lock_free{IndexOptions{.dimension = 2}};
    HotVectorIndex<std::mutex> locked{IndexOptions{.dimension = 2}};
    LockFreeHashMap<int, int> map;
};
Everything& everything() {
    static Everything all;
    return all;
}
} // namespace

/// How many things the module's own structures hold: 3.
extern "C" int hotindex_test_plugin_own() {
    Everything& all = everything();
    const std::vector<float> v{1, 2};
    all.lock_free.add_vector("a", v);
    all.locked.add_vector("a", v);
    all.map.insert_or_assign(1, 2);
    return static_cast<int>(all.lock_free.search(v, 5).size() + all.locked.search(v, 5).size() + all.map.size());
}

/// How many vectors the host's index holds, after one add.
extern "C" int hotindex_test_plugin_hosts(LockFreeHotVectorIndex* index) {
    index->add_vector("from the plugin", std::vector<float>{1, 2});
    return static_cast<int>(index->search(std::vector<float>{1, 2}, 100).size());
}

/// How many vectors the host's index holds, after n adds.
extern "C" int hotindex_test_plugin_fills(LockFreeHotVectorIndex* index, int n) {
    for (int i = 0; i != n; ++i)
        index->add_vector(std::to_string(i), std::vector<float>{1, 2});
    return static_cast<int>(index->size());
}
