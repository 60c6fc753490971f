#include "sites.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace hotindex::model {

constinit SiteTable sites;

std::string bare_function(std::string_view signature) {
    // "T name::space::Class<B>::function(args) [with B = ...]": what stands before the first '(' that is at depth 0,
    // after the last ':' or ' '
    int depth = 0;
    std::size_t end = signature.size();
    for (std::size_t i = 0; i != signature.size(); ++i) {
        if (signature[i] == '<')
            ++depth;
        else if (signature[i] == '>')
            --depth;
        else if (signature[i] == '(' && depth == 0 && i != 0) {
            end = i;
            break;
        }
    }
    std::size_t begin = end;
    depth = 0;
    while (begin != 0) {
        const char c = signature[begin - 1];
        if (c == '>')
            ++depth;
        else if (c == '<')
            --depth;
        else if (depth == 0 && (c == ':' || c == ' ' || c == '*' || c == '&'))
            break;
        --begin;
    }
    return std::string(signature.substr(begin, end - begin));
}

std::string_view bare_file(std::string_view path) noexcept {
    const std::size_t slash = path.rfind('/');
    return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::vector<Site*> SiteTable::all() {
    std::vector<Site*> met;
    for (Site& s : sites_)
        if (s.file != nullptr)
            met.push_back(&s);
    const auto place = [](const Site* s) {
        return std::tuple(std::string_view(s->file), s->line, s->column, s->named, s->written);
    };
    std::sort(met.begin(), met.end(), [&](const Site* a, const Site* b) { return place(a) < place(b); });
    return met;
}

std::string id_of(const Site& site) {
    const auto stem = [](const Site& s) {
        return fmt::format("{}:{}:{}:{}", name_of(s.named), bare_file(s.file), bare_function(s.function),
                           name_of(s.operation));
    };
    const std::string mine = stem(site);
    int before = 0;
    for (const Site* s : sites.all()) {
        if (s == &site)
            break;
        before += stem(*s) == mine ? 1 : 0;
    }
    return before == 0 ? mine : fmt::format("{}:{}", mine, before + 1);
}

} // namespace hotindex::model
