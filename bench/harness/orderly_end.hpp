// What becomes of the results when a signal ends the benchmark, or when they cannot be written.
//
// Google Benchmark writes each result as soon as it has it, and the end of the file last: a process that is ended
// between leaves JSON without an end. Here SIGINT, SIGTERM and SIGHUP complete all output first; then the process ends
// with 128 + signal. What is being measured at that moment is lost. A reader that has gone ends nothing as long as a
// file is written besides.
#pragma once

#include <benchmark/benchmark.h>

#include <array>
#include <csignal>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace hotindex::bench {

/// Passes everything on to another reporter, never two things at once, and nothing after the end.
class WholeReporter : public benchmark::BenchmarkReporter {
  public:
    /// `what` it writes is named in the message when that fails.
    WholeReporter(std::unique_ptr<benchmark::BenchmarkReporter> inner, std::string what, std::mutex& mutex);

    bool ReportContext(const Context& context) override;
    void ReportRuns(const std::vector<Run>& runs) override;
    void Finalize() override;

    /// As Finalize(), for who holds the mutex; does nothing when there is no beginning yet, or an end already.
    void complete();

    /// What could not be written; empty when all was.
    [[nodiscard]] const std::string& lost() const { return lost_; }

  private:
    void notice_loss();

    std::unique_ptr<benchmark::BenchmarkReporter> inner_;
    std::string what_;
    std::string lost_;
    std::mutex& mutex_;
    bool begun_ = false;
    bool ended_ = false;
};

/// While it lives, the signals lead to an orderly end. One in a process.
///
/// The handler only writes the signal's number into a pipe; a thread that reads it does the rest. A signal that was
/// ignored when the process began (nohup) stays ignored.
class OrderlyEnd {
  public:
    OrderlyEnd();
    ~OrderlyEnd();
    OrderlyEnd(const OrderlyEnd&) = delete;
    OrderlyEnd& operator=(const OrderlyEnd&) = delete;

    /// A reporter whose output will be whole; it lives as long as this.
    [[nodiscard]] benchmark::BenchmarkReporter* whole(std::unique_ptr<benchmark::BenchmarkReporter> inner,
                                                      std::string what);

    /// The reader of standard output may go: there is a file.
    void outlive_reader();

    /// What could not be written, in words; empty when all was.
    [[nodiscard]] std::string lost() const;

  private:
    void wait();

    static constexpr std::array signals{SIGINT, SIGTERM, SIGHUP};
    std::mutex mutex_;
    std::vector<std::unique_ptr<WholeReporter>> reporters_;
    std::vector<std::pair<int, struct sigaction>> before_;
    std::array<int, 2> pipe_{};
    std::thread thread_;
};

} // namespace hotindex::bench
