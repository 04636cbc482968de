#include "server/rollout/gates/gate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace fleet::rollout {
namespace {

constexpr auto kRulings = std::to_array<std::string_view>({"hold", "promote", "pause", "rollback"});

/// How sure an e-value makes one, for people.
std::string odds_text(double e_value) {
  if (e_value >= 1e6) return "more than a million to one";
  if (e_value >= 2) return fmt::format("{:.0f} to one", e_value);
  return "not yet more than chance";
}

}  // namespace

std::string_view to_string(Ruling ruling) { return kRulings[static_cast<std::size_t>(ruling)]; }

std::string devices_text(std::int64_t count) { return fmt::format("{} {}", count, count == 1 ? "device" : "devices"); }

std::string codes_text(Facts const& facts) {
  std::vector<std::pair<std::int64_t, std::string_view>> codes;
  for (auto const& [code, devices] : facts.failures)
    if (!code.empty()) codes.emplace_back(-devices, code);
  std::sort(codes.begin(), codes.end());
  if (codes.size() == 1 && facts.failures.size() == 1) return fmt::format(": {}", codes.front().second);
  std::string out;
  for (std::size_t i = 0; i < codes.size() && i < 3; ++i) out += fmt::format("{}{} {}", out.empty() ? ": " : ", ", -codes[i].first, codes[i].second);
  return out + (codes.size() > 3 ? ", and others" : "");
}

bool without_gates(Policy const& policy) {
  auto const all = gates();
  return policy.certify.empty() && std::none_of(all.begin(), all.end(), [&](Gate const& gate) { return gate.name != "min_devices" && gate.name != "sanity" && gate.name != "golden" && gate.asked(policy); });
}

bool nothing_at_risk(Facts const& facts) {
  return facts.there > 0 && facts.there == facts.told && facts.undispatched + facts.offline + facts.blocked == 0;
}

GateVerdict harm_verdict(Case const& c, Found const& found) {
  GateVerdict out{found.name, "harm", Ruling::hold, found.evidence.e_value(), 1 / found.alpha, {}, found.text};
  auto const latch = c.latches.find(found.name);
  bool const latched = latch != c.latches.end();
  bool const accepted = latched && latch->second.accepted && found.bad <= latch->second.bad;
  bool const trips = found.evidence.reaches(out.threshold);
  if ((trips || (latched && !latch->second.accepted)) && !accepted) out.decision = c.policy.on_harm == OnHarm::rollback ? Ruling::rollback : Ruling::pause;
  out.evidence = {{"bad", static_cast<double>(found.bad)}, {"alpha", found.alpha}};
  if (accepted) out.text += fmt::format("; {} bad were accepted by a person", latch->second.bad);
  else if (latched && !trips) out.text += fmt::format("; it tripped with {} bad, and that stands", latch->second.bad);
  return out;
}

GateVerdict safe_verdict(std::string name, stats::LogEvidence evidence, double bound, std::string text) {
  return {std::move(name), "safe", evidence.reaches(bound) ? Ruling::promote : Ruling::hold, evidence.e_value(), bound, {}, std::move(text)};
}

std::optional<GateVerdict> safe_compared(Case const& c, std::string name, What what, stats::Tally calm, std::string_view bad_in_words) {
  auto const odds = c.folded.controls > 0 ? c.policy.odds_ratio_at(c.stage) : std::nullopt;
  auto const share = c.policy.certify_at(c.stage);
  if (!odds && !share) return std::nullopt;
  stats::LogEvidence best{-1e300};
  std::string text;
  std::vector<std::pair<std::string, double>> evidence{{"bad", static_cast<double>(calm.bad)}, {"devices", static_cast<double>(calm.devices)}};
  if (odds) {
    best = better(c.folded, what, *odds);
    text = fmt::format("that canaries {} less than {:g} times as often as controls", bad_in_words, *odds);
    evidence.emplace_back("max_odds_ratio", *odds);
  }
  if (share) {
    auto const left = c.folded.left;  // for promotion they failed
    auto const certified = stats::certify({calm.bad + left, calm.devices + left}, *share);
    if (certified.log_e > best.log_e) {
      best = certified;
      text = fmt::format("that fewer than {} of the devices {}", percent_text(*share), bad_in_words);
    }
    evidence.emplace_back("devices_max", *share);
  }
  auto out = safe_verdict(std::move(name), best, c.policy.certify_evidence, "");
  out.text = fmt::format("{}: {} of {} canaries {}; {} is shown {} ({:.0f} to one is needed)", out.name, calm.bad, calm.devices, bad_in_words, text,
                         odds_text(out.e_value), out.threshold);
  out.evidence = std::move(evidence);
  return out;
}

}  // namespace fleet::rollout
