#include "server/simulation/history.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace fleet::simulation {
namespace {

/// So few attempts say little of a chance of a few per cent.
constexpr std::int64_t kAttemptsLeast = 100;
/// A day, or a share taken at one hour stands for none of the others; and days for a rhythm.
constexpr std::size_t kHoursLeast = 24, kHoursForRhythm = 72;
/// A rhythm that is smaller is the draw of chance.
constexpr double kRhythmLeast = .05;
constexpr double kNightHours = 8;  ///< of the scenario's day_night

struct Away {
  double mean = 0;    ///< share of devices
  double rhythm = 0;  ///< share that comes and goes with the hour of the day
};

Away away_of(std::vector<rollout::PastHour> const& hours) {
  std::array<double, 24> away{}, devices{};
  double all_away = 0, all = 0;
  for (auto const& hour : hours) {
    auto const at = static_cast<std::size_t>(hour.hour % 24);
    away[at] += static_cast<double>(hour.away);
    devices[at] += static_cast<double>(hour.devices);
    all_away += static_cast<double>(hour.away);
    all += static_cast<double>(hour.devices);
  }
  Away out;
  if (all == 0) return out;
  out.mean = all_away / all;
  if (hours.size() < kHoursForRhythm || std::count(devices.begin(), devices.end(), 0.) > 0) return out;
  std::array<double, 24> share{};
  for (std::size_t i = 0; i < share.size(); ++i) share[i] = away[i] / devices[i];
  std::sort(share.begin(), share.end());
  // Sites lie in several zones and a night is a third of a day: the mean of the highest eight hours over that of the lowest eight.
  double low = 0, high = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    low += share[i] / 8;
    high += share[23 - i] / 8;
  }
  if (high - low >= kRhythmLeast) out.rhythm = high - low;
  return out;
}

}  // namespace

Learned learn(rollout::Past const& past, Scenario scenario) {
  Learned out{std::move(scenario), {}, {}};
  auto& to = out.scenario;
  if (past.attempts >= kAttemptsLeast) {
    to.base = static_cast<double>(past.failed) / static_cast<double>(past.attempts);
    out.from.push_back(fmt::format("base: {} of {} attempts failed", past.failed, past.attempts));
  } else {
    out.unknown.push_back(fmt::format("base: {} attempts are too few to tell, it takes {}", past.attempts, kAttemptsLeast));
  }
  if (past.hours.size() >= kHoursLeast) {
    auto const [mean, rhythm] = away_of(past.hours);
    to.day_night = rhythm;
    to.offline = std::clamp(mean - rhythm * kNightHours / 24, 0., .95);
    out.from.push_back(fmt::format("offline: {:.3g} of the devices over {} hours", to.offline, past.hours.size()));
    if (rhythm > 0) out.from.push_back(fmt::format("day_night: {:.3g} of them come and go with the hour of the day", rhythm));
    double away = 0, returned = 0, devices = 0;
    for (auto const& hour : past.hours) {
      away += static_cast<double>(hour.away);
      returned += static_cast<double>(hour.returned);
      devices += static_cast<double>(hour.devices);
    }
    auto const nights = rhythm * devices / 24;  // absences of that rhythm, one a device and day
    if (returned > nights) {
      to.offline_hours = std::clamp((away - nights * kNightHours) / (returned - nights), .1, 10'000.);
      out.from.push_back(fmt::format("offline_hours: {:.3g} h a time, {} absences ended", to.offline_hours, static_cast<std::int64_t>(returned)));
    } else {
      out.unknown.push_back("offline_hours: no absence ended yet");
    }
  } else {
    out.unknown.push_back(fmt::format("offline, offline_hours, day_night: {} hours were counted, it takes {}", past.hours.size(), kHoursLeast));
  }
  if (past.poll_every_s > 0) {
    to.poll = std::clamp<Millis>(seconds(past.poll_every_s), seconds(1), std::chrono::hours{24 * 7});
    out.from.push_back(fmt::format("poll: {} in the mean", fleet::to_string(to.poll)));
  } else {
    out.unknown.push_back("poll: no device was heard yet");
  }
  return out;
}

}  // namespace fleet::simulation
