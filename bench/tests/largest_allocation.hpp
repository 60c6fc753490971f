// The largest block asked of operator new since the test last set it to 0: a reader must not trust a header with an
// allocation. AddressSanitizer brings its own operator new, so there nothing is measured (and the checks of it say
// nothing); every other build measures.
#pragma once

#include <atomic>
#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define HOTINDEX_OWN_NEW 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HOTINDEX_OWN_NEW 0
#endif
#endif
#ifndef HOTINDEX_OWN_NEW
#define HOTINDEX_OWN_NEW 1
#endif

extern std::atomic<std::size_t> largest_allocation;
