#include "agent/telemetry/quality.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace fleet::agent {
namespace {

constexpr double kCountMax = 1e9;  // a report may have no more

void count(wire::Flagged& flagged, wire::Flag flag, double weight) {
  auto& many = flagged[flag];
  many = std::llround(std::min(static_cast<double>(many) + weight, kCountMax));
}

}  // namespace

wire::MetricSchema OwnerRules::over(std::string_view name, wire::MetricSchema declared) const {
  if (auto const found = sensors.find(name); found != sensors.end()) {
    auto const& own = found->second;
    if (own.range) declared.range = own.range;
    if (own.varies > Millis{0}) declared.varies = own.varies;
    if (own.every > Millis{0}) declared.every = own.every;
    declared.local = declared.local || own.local;
  }
  auto const fits = [&](std::string_view wanted) { return wanted.ends_with('*') ? name.starts_with(wanted.substr(0, wanted.size() - 1)) : name == wanted; };
  if (!send.empty() && std::none_of(send.begin(), send.end(), fits)) declared.local = true;
  return declared;
}

Quality::Verdict Quality::judge(double value, double weight, MonoTime now) {
  if (rule_.range && !(value >= rule_.range->lo && value <= rule_.range->hi)) {
    count(flagged, wire::Flag::out_of_range, weight);
    return Verdict::flagged;
  }
  if (rule_.varies <= Millis{0}) return Verdict::good;
  if (same_ == 0 || value != last_) {
    if (held_ > 0) good_ = {last_, held_};
    last_ = value;
    held_ = 0;
    same_ = 0;
    since_ = now;
  }
  same_ = std::min(same_ + 1, kSameMin);
  held_ += weight;
  if (same_ < kSameMin || now - since_ < rule_.varies) return Verdict::held;
  count(flagged, wire::Flag::stuck, held_);
  held_ = 0;
  return Verdict::flagged;
}

void Quality::rest(MonoTime heard, MonoTime now) {
  if (held_ <= 0 || now - heard < rule_.varies) return;
  good_ = {last_, held_};
  held_ = 0;
}

}  // namespace fleet::agent
