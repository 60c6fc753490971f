#include "trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <utility>

namespace hotindex::model {

Trace trace;

void Trace::add(int thread, std::string what, const Site& site) {
    std::string order = site.named == edge::unnamed ? std::string(name_of(site.written))
                                                    : fmt::format("{} {}", name_of(site.named), name_of(site.written));
    if (site.now != site.written)
        order += fmt::format(", weakened to {}", name_of(site.now));
    steps_.push_back({thread, std::move(what), site.file, site.line, std::move(order)});
}

void Trace::add(int thread, std::string what, const Place& at) {
    steps_.push_back({thread, std::move(what), at.file, at.line, ""});
}

namespace {
/// The lines of the source files, read once.
std::string source_line(std::string_view file, std::uint32_t line) {
    static std::map<std::string, std::vector<std::string>, std::less<>> files;
    auto found = files.find(file);
    if (found == files.end()) {
        found = files.emplace(std::string(file), std::vector<std::string>()).first;
        std::ifstream in{std::string(file)};
        for (std::string text; std::getline(in, text);)
            found->second.push_back(text.substr(std::min(text.find_first_not_of(' '), text.size())));
    }
    return line >= 1 && line <= found->second.size() ? found->second[line - 1] : std::string();
}

std::string cut(std::string text, std::size_t width) {
    if (text.size() > width) {
        text.resize(width - 2);
        text += "..";
    }
    return text;
}
} // namespace

std::string Trace::table(int threads) const {
    constexpr std::size_t column = 44;
    std::string out = "   step ";
    for (int t = 0; t != threads; ++t)
        out += fmt::format("{:<{}}", fmt::format("thread {}", t), column);
    out += "order; where\n";
    if (begin_ != 0)
        out += fmt::format("        ({} steps of the scenario's construction by one thread)\n", begin_);
    for (std::size_t i = begin_; i != steps_.size(); ++i) {
        const Step& s = steps_[i];
        out += fmt::format("{:>7} ", i - begin_ + 1);
        for (int t = 0; t != threads; ++t)
            out += fmt::format("{:<{}}", t == s.thread ? cut(s.what, column - 2) : "", column);
        out += fmt::format("{}{}{}:{}  {}\n", s.order, s.order.empty() ? "" : "; ", bare_file(s.file), s.line,
                           cut(source_line(s.file, s.line), 90));
    }
    return out;
}

} // namespace hotindex::model
