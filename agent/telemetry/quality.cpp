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

MetricRule OwnerRules::over(std::string_view name, wire::MetricSchema const* declared) const {
  MetricRule out;
  auto const own = sensors.find(name);
  for (auto const* const one : {declared, own == sensors.end() ? nullptr : &own->second}) {
    if (one == nullptr) continue;
    if (one->range) out.range = one->range;
    if (one->varies > Millis{0}) out.varies = one->varies;
    if (one->every > Millis{0}) out.every = one->every;
    out.local = out.local || one->local;
  }
  auto const fits = [&](std::string_view wanted) { return wanted.ends_with('*') ? name.starts_with(wanted.substr(0, wanted.size() - 1)) : name == wanted; };
  if (!send.empty() && std::none_of(send.begin(), send.end(), fits)) out.local = true;
  return out;
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
