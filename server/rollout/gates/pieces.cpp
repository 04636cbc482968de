#include "server/rollout/gates/gate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace fleet::rollout {
namespace {

constexpr auto kRulings = std::to_array<std::string_view>({"hold", "promote", "pause", "rollback"});

}  // namespace

std::string_view to_string(Ruling ruling) { return kRulings[static_cast<std::size_t>(ruling)]; }

std::string devices_text(std::int64_t count) { return fmt::format("{} {}", count, count == 1 ? "device" : "devices"); }

std::string canaries_text(std::int64_t count) { return fmt::format("{} {}", count, count == 1 ? "canary" : "canaries"); }

std::string canaries_text(Case const& c, std::int64_t count) { return fmt::format("{} {}", count, count == 1 ? c.words.one : c.words.many); }

std::string no_evidence_text(Folded const& folded) {
  if (folded.windows == 0) return "no window has been judged yet";
  if (folded.storms < folded.windows) return {};
  return "in every window so far much failed in both arms alike (a storm)";
}

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
  return policy.certify.empty() && std::none_of(all.begin(), all.end(), [&](Gate const& gate) { return gate.name != "min_devices" && gate.name != "sanity" && gate.name != "golden" && gate.name != "first" && gate.asked(policy); });
}

bool nothing_at_risk(Facts const& facts) {
  return facts.there > 0 && facts.there == facts.told && facts.undispatched + facts.offline + facts.blocked == 0;
}

std::string bound_text(GateVerdict const& verdict, stats::Tally tally, double devices_max) {
  if (verdict.e_value >= verdict.threshold) return fmt::format("more than the {} that are allowed", percent_text(devices_max));
  bool const above = static_cast<double>(tally.bad) > devices_max * static_cast<double>(tally.devices);
  return above ? fmt::format("above the {} that are allowed, but that may be chance", percent_text(devices_max)) : fmt::format("at most {} are allowed", percent_text(devices_max));
}

GateVerdict harm_verdict(Case const& c, Found const& found) {
  double const alpha = found.alpha * part_of_alpha(c.policy);
  GateVerdict out{found.name, "harm", Ruling::hold, found.evidence.e_value(), 1 / alpha, {}, found.text};
  auto const latch = c.latches.find(found.name);
  bool const latched = latch != c.latches.end();
  bool const accepted = latched && latch->second.accepted && found.bad <= latch->second.bad;
  bool const trips = found.evidence.reaches(out.threshold);
  if ((trips || (latched && !latch->second.accepted)) && !accepted) out.decision = c.policy.on_harm == OnHarm::rollback ? Ruling::rollback : Ruling::pause;
  out.evidence = {{"bad", static_cast<double>(found.bad)}, {"alpha", alpha}};
  if (accepted) out.text += fmt::format("; a person accepted {}, so that only more count", latch->second.bad);
  else if (latched && !trips) out.text += fmt::format("; with {} it was too many, and that stands until a person resumes", latch->second.bad);
  return out;
}

GateVerdict safe_verdict(std::string name, stats::LogEvidence evidence, double bound, std::string text) {
  return {std::move(name), "safe", evidence.reaches(bound) ? Ruling::promote : Ruling::hold, evidence.e_value(), bound, {}, std::move(text)};
}

std::optional<GateVerdict> safe_compared(Case const& c, std::string name, What what, stats::Tally calm, BadWords const& words) {
  auto const odds = c.folded.controls > 0 ? c.policy.odds_ratio_at(c.stage) : std::nullopt;
  auto const share = c.policy.certify_at(c.stage);
  if (!odds && !share) return std::nullopt;
  stats::LogEvidence best{-1e300};
  std::string text;
  std::vector<std::pair<std::string, double>> evidence{{"bad", static_cast<double>(calm.bad)}, {"devices", static_cast<double>(calm.devices)}};
  if (odds) {
    best = better(c.folded, what, *odds);
    text = fmt::format("canaries {} less than {:g} times as often as controls", words.present, *odds);
    evidence.emplace_back("max_odds_ratio", *odds);
  }
  if (share) {
    auto const left = c.folded.left;  // for promotion they failed
    auto const certified = stats::certify({calm.bad + left, calm.devices + left}, *share);
    if (certified.log_e > best.log_e) {
      best = certified;
      text = fmt::format("fewer than {} of the devices {}", percent_text(*share), words.present);
    }
    evidence.emplace_back("devices_max", *share);
  }
  auto out = safe_verdict(std::move(name), best, c.policy.certify_evidence, "");
  auto const none = no_evidence_text(c.folded);
  auto const seen = none.empty() ? fmt::format("{} of {} {}", calm.bad, canaries_text(calm.devices), words.past) : none;
  out.text = fmt::format("{}: {}; {} to say that {}", out.name, seen, out.decision == Ruling::promote ? "enough" : "not enough yet", text);
  out.evidence = std::move(evidence);
  return out;
}

}  // namespace fleet::rollout
