// The one place that includes Relacy. Include this, after nothing that needs `new`, `assert` or the memory orders.
//
// Relacy's header defines macros with the names of keywords and of the standard library; they end here.
#pragma once

#include <cerrno>

#pragma push_macro("errno")
#include <relacy/relacy.hpp>

#undef new
#undef delete
#undef malloc
#undef calloc
#undef realloc
#undef free
#undef errno
#pragma pop_macro("errno")
#undef assert
#undef memory_order_relaxed
#undef memory_order_consume
#undef memory_order_acquire
#undef memory_order_release
#undef memory_order_acq_rel
#undef memory_order_seq_cst
#undef VAR
#undef VAR_T
#undef TLS_T

#include <cassert>
