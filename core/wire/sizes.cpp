#include "core/wire/release.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace fleet::wire {
namespace {

constexpr auto kSizeUnits = std::to_array<std::pair<std::string_view, std::uint64_t>>({{"", 1},
                                                                                       {"B", 1},
                                                                                       {"KiB", 1ULL << 10},
                                                                                       {"MiB", 1ULL << 20},
                                                                                       {"GiB", 1ULL << 30},
                                                                                       {"TiB", 1ULL << 40},
                                                                                       {"KB", 1'000},
                                                                                       {"MB", 1'000'000},
                                                                                       {"GB", 1'000'000'000},
                                                                                       {"TB", 1'000'000'000'000}});

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
  std::uint64_t count = 0;
  auto const [end, fault] = std::from_chars(text.data(), text.data() + text.size(), count);
  auto const unit = fault == std::errc{} ? text.substr(static_cast<std::size_t>(end - text.data())) : std::string_view("?");
  for (auto const& [name, factor] : kSizeUnits)
    if (unit == name && count <= (1ULL << 62) / factor) return count * factor;
  return Error{Kind::bad_input, "bad_size", fmt::format("'{}' is not a size", text.substr(0, 40)), "write a number and a unit: 64MiB, 20KiB, 1GB"};
}

Result<std::uint64_t> parse_rate(std::string_view text) {
  constexpr auto kUnits = std::to_array<std::pair<std::string_view, double>>(
      {{"bit/s", 0.125}, {"kbit/s", 125}, {"Mbit/s", 125e3}, {"Gbit/s", 125e6}, {"B/s", 1}, {"KiB/s", 1024}, {"MiB/s", 1048576}});
  double number = 0;
  auto const [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  auto const unit = fault == std::errc{} ? text.substr(static_cast<std::size_t>(end - text.data())) : std::string_view("?");
  for (auto const& [name, factor] : kUnits)
    if (unit == name && number > 0 && number * factor < 1e15) return static_cast<std::uint64_t>(std::max(1.0, number * factor));
  return Error{Kind::bad_input, "bad_rate", fmt::format("'{}' is not a rate", text.substr(0, 40)), "write a number and a unit: 1Mbit/s, 200kbit/s, 64KiB/s"};
}

}  // namespace fleet::wire
