# Makes the build's own copy of the packaged Relacy headers, with three changes, and fails if one did not apply:
#
#   cmake -DFROM=/usr/include/relacy -DTO=<build>/headers/relacy -P patch_headers.cmake
#
# 1. A load may see one of the last 5 values of an atomic, not of the last 2.
# 2. Tree searches explore as many stale values as random ones do (the packaged limit is 1).
# 3. Release sequences are those of C++20: a thread's own later plain store ends one (it did not in C++11 to C++17).
file(REMOVE_RECURSE "${TO}")
get_filename_component(parent "${TO}" DIRECTORY)
file(COPY "${FROM}" DESTINATION "${parent}")

function(change file before after)
  file(READ "${TO}/${file}" text)
  string(FIND "${text}" "${before}" place)
  if(place EQUAL -1)
    message(FATAL_ERROR "relacy's ${file} has no line '${before}': this version of relacy-dev is not known; see relacy/patch_headers.cmake")
  endif()
  string(REPLACE "${before}" "${after}" text "${text}")
  file(WRITE "${TO}/${file}" "${text}")
endfunction()

change(defs.hpp "size_t const atomic_history_size = 3;" "size_t const atomic_history_size = 6;")
change(thread.hpp "size_t const limit = c.is_random_sched() ? atomic_history_size  - 1: 1;"
       "size_t const limit = atomic_history_size - 1;")
change(thread.hpp "prev.busy_ && (rmw || (index_ == prev.thread_id_));" "prev.busy_ && rmw;")
