#include "agent/telemetry/statsd.hpp"

#include "core/base/bytes.hpp"
#include "core/base/names.hpp"
#include "core/wire/device.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <functional>

namespace fleet::agent {
namespace {

constexpr std::size_t kNameMax = 128;
constexpr double kRateMin = 1e-6;
constexpr std::array<std::string_view, 6> kTypes{"c", "g", "s", "ms", "h", "d"};

std::string_view take(std::string_view& text, char separator) {
  auto const at = text.find(separator);
  auto const part = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return part;
}

bool plain_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameMax && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-' || c == '/';
  });
}

void read_tags(std::string_view tags, Sample& out) {
  while (!tags.empty()) {
    auto tag = take(tags, ',');
    auto const key = take(tag, ':');
    // What is no name of a model or release is no evidence for one; it must not spoil the report either.
    if (key == "model" && check_model_name(tag)) out.model = tag;
    if (key == "release" && Digest::parse(tag)) out.release = tag;
  }
}

std::optional<double> parse_number(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  auto const [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc{} || end != text.data() + text.size() || !(std::abs(value) <= wire::kValueMax)) return std::nullopt;
  return value;
}

}  // namespace

bool read_value(std::string_view text, Sample& out) {
  if (out.type == "s") {
    out.member = std::hash<std::string_view>{}(text);
    return !text.empty();
  }
  auto const number = parse_number(text);
  out.value = number.value_or(0);
  out.is_change = out.type == "g" && (text.starts_with('+') || text.starts_with('-'));
  return number.has_value();
}

std::optional<Line> split_line(std::string_view line) {
  Line out;
  auto const name = take(line, ':');
  out.values = take(line, '|');
  auto const type = take(line, '|');
  bool const known = std::find(kTypes.begin(), kTypes.end(), type) != kTypes.end();
  // `agent.` names are the agent's own; an app cannot say that its installation went well.
  if (!plain_name(name) || name.starts_with("agent.") || out.values.empty() || !known) return std::nullopt;
  out.shared.name = name;
  out.shared.type = type;
  while (!line.empty()) {
    auto const part = take(line, '|');
    if (part.starts_with('#')) read_tags(part.substr(1), out.shared);
    if (!part.starts_with('@')) continue;
    auto const rate = parse_number(part.substr(1));
    if (!rate || *rate < kRateMin || *rate > 1) return std::nullopt;
    out.shared.weight = 1 / *rate;
  }
  return out;
}

}  // namespace fleet::agent
