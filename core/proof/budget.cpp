#include "core/proof/budget.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <vector>

namespace fleet::proof {
namespace {

constexpr double kQuantile = 0.95;
constexpr std::size_t kShownBytes = 32;

Error failed(std::string code, std::string detail) { return {Kind::unprocessable, std::move(code), "golden test: " + std::move(detail)}; }

std::size_t lines_of(std::string_view text) {
  std::size_t lines = 0;
  while (!text.empty()) {
    auto const line = text.substr(0, text.find('\n'));
    if (line.find_first_not_of(" \t\r") != std::string_view::npos) ++lines;
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
  return lines;
}

}  // namespace

Result<Latency> latency_of(std::string_view stated, Millis took, std::string_view expected) {
  std::vector<double> times;
  constexpr std::string_view kBlank = " \t\r\n";
  for (auto at = stated.find_first_not_of(kBlank); at != std::string_view::npos; at = stated.find_first_not_of(kBlank)) {
    stated.remove_prefix(at);
    auto const word = stated.substr(0, stated.find_first_of(kBlank));
    double ms = -1;
    auto const [end, fault] = std::from_chars(word.data(), word.data() + word.size(), ms);
    if (fault != std::errc{} || end != word.data() + word.size() || !std::isfinite(ms) || ms < 0)
      return failed("golden_failed", fmt::format("inference {} of $FLEET_LATENCIES: '{}' is no time in milliseconds", times.size() + 1, word.substr(0, kShownBytes)));
    times.push_back(ms);
    stated.remove_prefix(word.size());
  }
  if (times.empty()) {
    auto const lines = std::max<std::size_t>(1, lines_of(expected));
    return Latency{static_cast<double>(took.count()) / static_cast<double>(lines), lines, false};
  }
  auto const rank = static_cast<std::size_t>(std::ceil(kQuantile * static_cast<double>(times.size()))) - 1;
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(rank), times.end());
  return Latency{times[rank], times.size(), true};
}

Result<void> check_budgets(wire::Golden const& golden, Measured const& measured) {
  if (golden.memory_max_bytes > 0 && measured.peak_bytes > golden.memory_max_bytes)
    return failed("golden_memory", fmt::format("its memory had {} at its peak ({} bytes), at most {} are allowed ({})", memory_text(measured.peak_bytes),
                                               measured.peak_bytes, memory_text(golden.memory_max_bytes), golden.memory_max_bytes));
  auto const& latency = measured.latency;
  if (!(golden.latency_max_ms > 0) || latency.ms <= golden.latency_max_ms) return {};
  auto const how = latency.stated ? fmt::format("the 95th percentile of {} inferences, as the program says", latency.inferences)
                                  : fmt::format("{} for {} lines, start and loading included", to_string(measured.took), latency.inferences);
  return failed("golden_latency", fmt::format("an inference took {:.4g} ms ({}), at most {:.4g} ms are allowed", latency.ms, how, golden.latency_max_ms));
}

std::string memory_text(std::uint64_t bytes) { return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1024.0 * 1024.0)); }

}  // namespace fleet::proof
