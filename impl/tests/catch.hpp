// Catch2 2 (Debian 12) and Catch2 3 in one include. Tests are written with the names of Catch2 3: Catch::Approx,
// Catch::Matchers::ContainsSubstring.
#pragma once
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>

#include <string>
namespace Catch {
using Detail::Approx;
namespace Matchers {
inline StdString::ContainsMatcher ContainsSubstring(const std::string& part) {
    return Contains(part);
}
} // namespace Matchers
} // namespace Catch
#endif
