#include "server/rollout/engine/exact.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>

namespace fleet::rollout {

std::string write_exact(std::span<double const> numbers) { return fmt::format("{}", fmt::join(numbers, " ")); }

std::vector<double> read_exact(std::string_view text) {
  std::vector<double> out;
  auto const* at = text.data();
  auto const* const last = at + text.size();
  while (at != last) {
    double number = 0;
    auto const [end, failed] = std::from_chars(at, last, number);
    if (failed != std::errc{}) break;
    out.push_back(number);
    at = end != last && *end == ' ' ? end + 1 : last;
  }
  return out;
}

}  // namespace fleet::rollout
