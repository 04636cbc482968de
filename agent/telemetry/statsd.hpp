#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fleet::agent {

/// One sample of a StatsD line: `name:value|type[|@rate][|#tag:v,...]`, plain (etsy/statsd) and DogStatsD forms.
struct Sample {
  std::string name;
  std::string type;  ///< c, g, s, ms, h, d
  double value = 0;
  double weight = 1;         ///< 1 / sample rate
  bool is_change = false;    ///< of a gauge: its value has a sign, and is added to what the gauge was
  std::uint64_t member = 0;  ///< of a set: a hash of what was seen, which is any text
  std::string model, release;  ///< tags `model` and `release`; empty: none
};

/// Calls `each(sample)` for every value of a line (DogStatsD packs several, `name:1:2:3|d`); false when the line is malformed.
template <class Each>
bool parse_line(std::string_view line, Each const& each);

/// The parts of a line that all its values share; `values` is what stands between name and type.
struct Line {
  Sample shared;
  std::string_view values;
};
[[nodiscard]] std::optional<Line> split_line(std::string_view line);
/// Fills what the type makes of one value; false: it is none.
[[nodiscard]] bool read_value(std::string_view text, Sample& out);

template <class Each>
bool parse_line(std::string_view line, Each const& each) {
  auto found = split_line(line);
  if (!found) return false;
  auto values = found->values;
  while (!values.empty()) {
    auto const colon = values.find(':');
    if (!read_value(values.substr(0, colon), found->shared)) return false;
    each(found->shared);
    values.remove_prefix(colon == std::string_view::npos ? values.size() : colon + 1);
  }
  return true;
}

}  // namespace fleet::agent
