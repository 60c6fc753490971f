// Report: the facts that scripts read, one a line, tab-separated.
#pragma once

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace hotindex::model {

class Report {
  public:
    explicit Report(const std::string& path) : file_(path.empty() ? nullptr : std::fopen(path.c_str(), "w")) {
        if (!path.empty() && file_ == nullptr) {
            fmt::print(stderr, "cannot write {}: {}\n", path, std::strerror(errno));
            std::exit(3);
        }
    }
    Report(const Report&) = delete;
    Report& operator=(const Report&) = delete;
    ~Report() {
        if (file_ != nullptr)
            std::fclose(file_);
    }
    template <class... Facts>
    void line(std::string_view kind, const Facts&... facts) {
        if (file_ == nullptr)
            return;
        std::string text(kind);
        ((text += fmt::format("\t{}", facts)), ...);
        fmt::print(file_, "{}\n", text);
        std::fflush(file_);
    }

  private:
    std::FILE* file_;
};

} // namespace hotindex::model
