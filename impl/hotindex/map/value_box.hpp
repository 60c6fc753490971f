// ValueBox: where a value of an ordered map lies, so that assigning one is a CAS on one word, whatever a value is.
//
// A box never changes once it is published, and one that was taken out comes back only after a grace period. So for a
// pinned thread equal pointers mean equal values (no ABA).
#pragma once

#include <hotindex/reclaim/retirable.hpp>

#include <utility>

namespace hotindex {

template <class B, class Local, class Value>
struct ValueBox : Retirable<B, Local> {
    template <class V>
    explicit ValueBox(std::in_place_t, V&& v) : value(Value(std::forward<V>(v))) {}
    const typename B::template var<Value> value;
};

} // namespace hotindex
