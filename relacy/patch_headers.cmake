# Makes the build's own copy of the packaged Relacy headers, with four changes, and fails if one did not apply:
#
#   cmake -DFROM=/usr/include/relacy -DTO=<build>/headers/relacy -P patch_headers.cmake
#
# 1. A load may see one of the last 5 values of an atomic, not of the last 2.
# 2. Tree searches explore as many stale values as random ones do (the packaged limit is 1).
# 3. Release sequences are those of C++20: a thread's own later plain store ends one (it did not in C++11 to C++17).
# 4. Random schedules are of eight kinds in turn. The packaged one may switch threads at every step, so that a thread hardly
#    ever runs far while another one stands still. Here a thread goes on with a probability of 0, 3/4, 15/16 or 63/64, and
#    loads see stale values as often as Relacy has it, or rarely.
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
change(random_scheduler.hpp "rand_.seed(this->iter_);
        unpark_reason reason;"
       "rand_.seed(this->iter_);
        grain_ = 1u << (this->iter_ % 4 * 2);
        fresh_ = this->iter_ / 4 % 2 != 0;
        started_ = false;
        unpark_reason reason;")
change(random_scheduler.hpp "thread_id_t schedule_impl(unpark_reason& reason, unsigned /*yield*/)
    {"
       "thread_id_t schedule_impl(unpark_reason& reason, unsigned yield)
    {
        if (started_ && 0 == yield && this->thread_->state_ == thread_state_running && 0 != rand_.rand() % grain_)
        {
            reason = unpark_reason_normal;
            return this->thread_->index_;
        }
        started_ = true;")
change(random_scheduler.hpp "        (void)t;
        unsigned r"
       "        if (t == sched_type_atomic_load && fresh_ && 0 != rand_.rand() % 16)
            return 0;
        unsigned r")
change(random_scheduler.hpp "    random_generator rand_;
"
       "    random_generator rand_;
    unsigned grain_ = 1;
    bool fresh_ = false;
    bool started_ = false;
")

file(GLOB headers "${TO}/*.hpp")
file(TOUCH ${headers}) # a copy keeps the old times
