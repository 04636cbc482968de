#include "server/simulation/weather.hpp"

#include <algorithm>
#include <numbers>

namespace fleet::simulation {
namespace {

constexpr std::int64_t kHour = 3'600'000, kDay = 24 * kHour, kNight = 8 * kHour;

std::int64_t part(double share, std::int64_t whole) { return static_cast<std::int64_t>(share * static_cast<double>(whole)); }

}  // namespace

std::uint64_t Dice::next() {
  std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

double Dice::normal() { return std::sqrt(-2 * std::log1p(-uniform())) * std::cos(2 * std::numbers::pi * uniform()); }

Weather::Weather(Scenario const& scenario, std::uint64_t seed) : scenario_(&scenario), seed_(seed) {
  Dice dice(seed ^ 0x5ca1ab1e);
  shock_at_ = part(dice.uniform(), kDay);
  shock_ = part(scenario.shock_hours, kHour);
  outage_at_ = part(dice.uniform(), kDay);
  outage_ = scenario.server_outage.count();
  step_at_ = part(dice.uniform(), kDay);
  off_ms_ = scenario.offline_hours * kHour;
  on_ms_ = scenario.offline > 0 ? off_ms_ * (1 - scenario.offline) / scenario.offline : 0;
}

Surroundings Weather::make(std::uint32_t device) const {
  Surroundings out;
  out.dice = Dice(seed_ * 0x2545f4914f6cdd1d + device);
  out.site = static_cast<std::uint32_t>(out.dice.next() % static_cast<std::uint64_t>(scenario_->sites));
  out.online = out.dice.uniform() >= scenario_->offline;
  out.changes = scenario_->offline > 0 ? static_cast<std::int64_t>(out.dice.exponential(out.online ? on_ms_ : off_ms_)) : INT64_MAX;
  out.since = out.online ? 0 : -static_cast<std::int64_t>(out.dice.exponential(off_ms_));
  out.phase = part(out.dice.uniform(), scenario_->poll.count());
  out.sleeps = out.dice.uniform() < scenario_->day_night;
  return out;
}

void Weather::advance(Surroundings& around, std::int64_t at) const {
  while (around.changes <= at) {
    around.since = around.changes;
    around.online = !around.online;
    around.changes += 1 + static_cast<std::int64_t>(around.dice.exponential(around.online ? on_ms_ : off_ms_));
  }
}

bool Weather::is_shocked(std::uint32_t site) const {
  return scenario_->shock_share > 0 && Dice(seed_ ^ (std::uint64_t{site} << 20)).uniform() < scenario_->shock_share;
}

bool Weather::is_night(Surroundings const& around, std::int64_t at) const {
  return around.sleeps && (at + (around.site % 24) * kHour) % kDay < kNight;
}

bool Weather::reaches(Surroundings& around, std::int64_t at) const {
  if (clear_) return true;
  advance(around, at);
  if (!around.online || is_out(at) || is_night(around, at)) return false;
  return !(at >= shock_at_ && at < shock_at_ + shock_ && is_shocked(around.site));
}

std::int64_t Weather::heard(Surroundings& around, std::int64_t at) const {
  advance(around, at);
  auto out = at;
  if (!around.online) out = std::min(out, around.since);
  if (is_out(at)) out = std::min(out, outage_at_);
  if (at >= shock_at_ && at < shock_at_ + shock_ && is_shocked(around.site)) out = std::min(out, shock_at_);
  if (is_night(around, at)) out = std::min(out, at - (at + (around.site % 24) * kHour) % kDay);
  return out;
}

/// On a copy: the device itself lives on from now.
std::int64_t Weather::back_at(Surroundings around, std::int64_t at) const {
  for (int tries = 0; tries < 1'000 && !reaches(around, at); ++tries) {
    if (!around.online) at = around.changes;
    else if (is_out(at)) at = outage_at_ + outage_;
    else if (is_night(around, at)) at += kNight - (at + (around.site % 24) * kHour) % kDay;
    else at = shock_at_ + shock_;
  }
  return at;
}

std::int64_t Weather::next_poll(Surroundings& around, std::int64_t at) const {
  constexpr std::int64_t kParked = 2'000;
  if (scenario_->long_poll) return at + part(around.dice.uniform(), kParked);
  auto const every = scenario_->poll.count();
  auto const rounds = (at - around.phase + every - 1) / every;
  return std::max(at, around.phase + std::max<std::int64_t>(rounds, 0) * every);
}

std::int64_t Weather::service(std::int64_t at) const { return at - std::clamp<std::int64_t>(at - outage_at_, 0, outage_); }

std::int64_t Weather::wall(std::int64_t at) const { return at < step_at_ ? at : at + scenario_->clock_step.count(); }

std::int64_t Weather::silence_from(std::int64_t at) const { return outage_ > 0 && at >= outage_at_ ? service(outage_at_) : 0; }

}  // namespace fleet::simulation
