// The one place with a thread_local: which handle does the calling thread have in a domain?
//
// The algorithms take explicit handles; this layer makes the convenient signatures possible (`map.insert(key, value)`).
// A thread joins a domain at its first call and leaves when it ends, or when it next joins another domain after the
// structure is gone. A handle keeps its domain alive, so a structure may end before the threads that used it.
// Not to be used from destructors of other thread_local objects.
#pragma once

#include <memory>
#include <utility>
#include <vector>

namespace hotindex {

template <class Domain>
class ThisThread {
  public:
    using Handle = typename Domain::Handle;

    /// The calling thread's handle; valid until the thread ends. Throws std::bad_alloc at the first call for a domain.
    [[nodiscard]] static const Handle& handle(const std::shared_ptr<Domain>& domain) {
        if (last_domain == domain.get()) [[likely]]
            return *last_handle;
        return find_or_join(domain);
    }

  private:
    struct Membership {
        explicit Membership(const std::shared_ptr<Domain>& d) : domain(d), handle(*d) {}
        std::shared_ptr<Domain> domain; // declared before the handle, so that it goes after it
        Handle handle;
    };
    struct Memberships {
        std::vector<std::unique_ptr<Membership>> all;
        Memberships() = default;
        Memberships(const Memberships&) = delete;
        Memberships& operator=(const Memberships&) = delete;
        ~Memberships() { last_domain = nullptr; }
    };

    static const Handle& find_or_join(const std::shared_ptr<Domain>& domain) {
        thread_local Memberships memberships;
        auto& all = memberships.all;
        for (const auto& m : all)
            if (m->domain == domain)
                return remember(*m);
        last_domain = nullptr;
        std::erase_if(all, [](const auto& m) { return m->domain.use_count() == 1; });
        all.push_back(std::make_unique<Membership>(domain));
        return remember(*all.back());
    }

    static const Handle& remember(const Membership& m) {
        last_domain = m.domain.get();
        last_handle = &m.handle;
        return m.handle;
    }

    static inline constinit thread_local const Domain* last_domain = nullptr;
    static inline constinit thread_local const Handle* last_handle = nullptr;
};

} // namespace hotindex
