#include "harness/orderly_end.hpp"

#include <fmt/format.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <ostream>
#include <system_error>
#include <unistd.h>

namespace hotindex::bench {
namespace {

std::atomic<int> handlers_end{-1}; // of the pipe
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler reads it");

extern "C" void remember_signal(int number) {
    const int kept = errno;
    const auto byte = static_cast<unsigned char>(number);
    // A full pipe holds a signal already: this one may be lost.
    [[maybe_unused]] const auto written = ::write(handlers_end.load(), &byte, 1);
    errno = kept;
}

const char* name_of(int number) {
    return number == SIGINT ? "SIGINT" : number == SIGTERM ? "SIGTERM" : "SIGHUP";
}

} // namespace

WholeReporter::WholeReporter(std::unique_ptr<benchmark::BenchmarkReporter> inner, std::string what, std::mutex& mutex)
    : inner_(std::move(inner)), what_(std::move(what)), mutex_(mutex) {}

bool WholeReporter::ReportContext(const Context& context) {
    const std::lock_guard lock(mutex_);
    inner_->SetOutputStream(&GetOutputStream());
    inner_->SetErrorStream(&GetErrorStream());
    begun_ = true;
    errno = 0;
    const bool goes_on = inner_->ReportContext(context);
    notice_loss();
    return goes_on;
}

void WholeReporter::ReportRuns(const std::vector<Run>& runs) {
    const std::lock_guard lock(mutex_);
    errno = 0;
    inner_->ReportRuns(runs);
    notice_loss();
}

void WholeReporter::Finalize() {
    const std::lock_guard lock(mutex_);
    complete();
}

void WholeReporter::complete() {
    if (!begun_ || ended_)
        return;
    ended_ = true;
    errno = 0;
    inner_->Finalize();
    notice_loss();
}

void WholeReporter::notice_loss() {
    std::ostream& stream = GetOutputStream();
    if (stream.good()) {
        errno = 0;
        stream.flush();
    }
    if (stream.good() || !lost_.empty())
        return;
    if (errno == EPIPE)
        stream.clear(); // a reader that has had enough: nobody misses anything
    else
        lost_ =
            fmt::format("{}: {}", what_, errno != 0 ? std::generic_category().message(errno) : "not all is written");
}

OrderlyEnd::OrderlyEnd() {
    if (::pipe2(pipe_.data(), O_CLOEXEC) != 0)
        throw std::system_error(errno, std::generic_category(), "a pipe for signals");
    handlers_end = pipe_[1];
    thread_ = std::thread([this] { wait(); });
    for (const int number : signals) {
        struct sigaction old = {};
        if (::sigaction(number, nullptr, &old) != 0 || old.sa_handler == SIG_IGN)
            continue;
        struct sigaction ours = {};
        ours.sa_handler = remember_signal;
        ours.sa_flags = SA_RESTART;
        if (::sigaction(number, &ours, nullptr) == 0)
            before_.emplace_back(number, old);
    }
}

OrderlyEnd::~OrderlyEnd() {
    for (const auto& [number, old] : before_)
        (void)::sigaction(number, &old, nullptr);
    remember_signal(0);
    thread_.join();
    (void)::close(pipe_[0]);
    (void)::close(pipe_[1]);
}

benchmark::BenchmarkReporter* OrderlyEnd::whole(std::unique_ptr<benchmark::BenchmarkReporter> inner, std::string what) {
    const std::lock_guard lock(mutex_);
    return reporters_.emplace_back(std::make_unique<WholeReporter>(std::move(inner), std::move(what), mutex_)).get();
}

void OrderlyEnd::outlive_reader() {
    struct sigaction ignore = {};
    ignore.sa_handler = SIG_IGN;
    struct sigaction old = {};
    if (::sigaction(SIGPIPE, &ignore, &old) == 0)
        before_.emplace_back(SIGPIPE, old);
}

std::string OrderlyEnd::lost() const {
    std::string all;
    for (const auto& reporter : reporters_)
        if (!reporter->lost().empty())
            all += (all.empty() ? "" : "; ") + reporter->lost();
    return all;
}

void OrderlyEnd::wait() {
    unsigned char number = 0;
    while (::read(pipe_[0], &number, 1) < 0 && errno == EINTR) {
    }
    if (number == 0)
        return;
    // Held until the process is gone: nobody reports after the end.
    const std::lock_guard lock(mutex_);
    for (const auto& reporter : reporters_)
        reporter->complete();
    fmt::print(stderr, "hotindex_bench: ended by {}\n", name_of(number));
    std::_Exit(128 + number);
}

} // namespace hotindex::bench
