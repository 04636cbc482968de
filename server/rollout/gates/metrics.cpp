#include "server/rollout/gates/metrics.hpp"

#include "core/stats/drift.hpp"
#include "core/stats/rank_gate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace fleet::rollout {
namespace {

/// Changes are compared where so many of both arms' devices have a period before, by these alone; else values as they are. Who has one was drawn by a hash
/// and was within reach earlier: nothing of the release is in it.
constexpr double kHaveBefore = .5;
/// Share of a window's healthy canaries that must have sent samples at all.
constexpr double kSeen = .5;

/// Controls of each canary's own: so many each, in the order of their ids. Where controls are fewer than canaries, the first of these have one each.
struct Matching {
  std::size_t canaries = 0, each = 0;
};
Matching match(std::size_t canaries, std::size_t controls) {
  if (canaries == 0 || controls == 0) return {};
  return {std::min(canaries, controls), std::max<std::size_t>(1, controls / canaries)};
}

bool have_before(MeasuredArms const& arms) {
  auto const share = [](std::vector<DeviceValue> const& devices) {
    auto const have = std::count_if(devices.begin(), devices.end(), [](DeviceValue const& one) { return one.before.has_value(); });
    return devices.empty() ? 1. : static_cast<double>(have) / static_cast<double>(devices.size());
  };
  return share(arms.canary) >= kHaveBefore && share(arms.control) >= kHaveBefore;
}

/// What is compared: larger is worse. A control's value is made worse by the margin, so that a canary that is so much worse is still like it.
std::vector<double> compared_values(std::vector<DeviceValue> const& devices, MetricGate const& gate, bool changes, bool control) {
  std::vector<double> out;
  for (auto const& one : devices) {
    if (!std::isfinite(one.now) || (changes && !(one.before && std::isfinite(*one.before)))) continue;
    double const scale = std::abs(changes ? *one.before : one.now);
    double const value = changes ? one.now - *one.before : one.now;
    out.push_back((gate.higher_is_worse ? value : -value) + (control ? gate.margin * scale : 0));
  }
  return out;
}

void add_level(Wealths& wealths, MeasuredArms const& arms) {
  wealths.level.resize(4);
  auto const add = [&](std::size_t at, std::vector<DeviceValue> const& devices) {
    for (auto const& one : devices)
      if (std::isfinite(one.now)) {
        wealths.level[at] += one.now;
        ++wealths.level[at + 1];
      }
  };
  add(0, arms.canary);
  add(2, arms.control);
}

/// ", mean 0.94 beside 0.91"; empty: nothing was measured.
std::string level_text(Wealths const& wealths) {
  if (wealths.level.size() != 4 || wealths.level[1] == 0 || wealths.level[3] == 0) return {};
  return fmt::format(", mean {:.4g} beside {:.4g}", wealths.level[0] / wealths.level[1], wealths.level[2] / wealths.level[3]);
}

void fold_metric(Wealths& wealths, MetricGate const& gate, MeasuredArms const& arms) {
  add_level(wealths, arms);
  bool const changes = have_before(arms);
  auto const canaries = compared_values(arms.canary, gate, changes, false), controls = compared_values(arms.control, gate, changes, true);
  auto process = stats::RankGate::restored(0, wealths.logs).value_or(stats::RankGate());
  auto const [count, each] = match(canaries.size(), controls.size());
  for (std::size_t i = 0; i < count; ++i) {
    auto const difference = stats::rank_difference(canaries[i], std::span(controls).subspan(i * each, each));
    if (!difference) continue;
    process.add(*difference);
    ++wealths.canaries;
    wealths.worse += *difference > 0;
  }
  wealths.seen += static_cast<std::int64_t>(arms.canary.size());
  wealths.logs = process.logs();
}

void fold_drift(Wealths& wealths, BinnedArms const& arms) {
  wealths.seen += static_cast<std::int64_t>(arms.canary.size());
  if (arms.canary.empty() || arms.control.empty()) return;
  auto const bins = arms.canary.front().size();
  auto const same = [&](std::vector<double> const& one) { return one.size() == bins; };
  if (bins == 0 || !std::all_of(arms.canary.begin(), arms.canary.end(), same) || !std::all_of(arms.control.begin(), arms.control.end(), same)) return;
  auto process = stats::Drift::restored(bins, wealths.logs).value_or(stats::Drift(bins));
  auto const [count, each] = match(arms.canary.size(), arms.control.size());
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<double> mean(bins, 0.);
    for (std::size_t j = 0; j < each; ++j)
      for (std::size_t bin = 0; bin < bins; ++bin) mean[bin] += arms.control[i * each + j][bin] / static_cast<double>(each);
    process.add(arms.canary[i], mean);
    ++wealths.canaries;
  }
  wealths.logs = process.logs();
}

std::int64_t count_healthy(WindowCounts const& window, std::size_t side) {
  std::int64_t out = 0;
  for (auto const& [stratum, cells] : window) out += cells[side].healthy;
  return out;
}

template <class Arms, class Take>
void fold_each(std::vector<Wealths>& wealths, std::size_t gates, std::vector<std::map<std::string, Arms, std::less<>>> const& measured, std::int64_t healthy, Take const& take) {
  wealths.resize(gates);
  for (std::size_t i = 0; i < gates; ++i) {
    wealths[i].healthy += healthy;
    if (i < measured.size())
      for (auto const& [stratum, arms] : measured[i]) take(i, arms);
  }
}

/// A metric that nobody sends is no evidence to pass.
void need_samples(Case const& c, std::string const& name, Wealths const& wealths, std::vector<GateVerdict>& out) {
  if (c.full || nothing_at_risk(c.facts)) return;
  double const share = wealths.healthy == 0 ? 1 : static_cast<double>(wealths.seen) / static_cast<double>(wealths.healthy);
  out.push_back({"coverage " + name, "safe", share >= kSeen ? Ruling::promote : Ruling::hold, share, kSeen, {{"have", share}, {"need", kSeen}},
                 fmt::format("{} of {} have sent {}; {} are needed", wealths.seen, devices_text(wealths.healthy), name, percent_text(kSeen))});
}

std::string shown_text(GateVerdict const& verdict) {
  if (verdict.decision != Ruling::hold) return fmt::format("is shown {:.3g} to one", verdict.e_value);
  return fmt::format("is not shown ({:.3g} to one; {:.0f} is needed)", verdict.e_value, verdict.threshold);
}

Wealths const& wealths_of(std::vector<Wealths> const& all, std::size_t i) {
  static Wealths const nothing;
  return i < all.size() ? all[i] : nothing;
}

stats::LogEvidence evidence_of(Sums const& logs) { return {logs.empty() ? 0. : stats::log_mean_exp(logs)}; }

/// An absolute gate may be of the same metric.
std::string name_of(MetricGate const& gate) { return gate.quantile ? fmt::format("metrics {} p{:g}", gate.name, 100 * *gate.quantile) : "metrics " + gate.name; }

}  // namespace

void fold_measured(Folded& folded, Policy const& policy, WindowCounts const& window, Measured const& measured) {
  auto const healthy = count_healthy(window, 0);
  fold_each(folded.metrics, policy.metrics.size(), measured.metrics, healthy, [&](std::size_t i, MeasuredArms const& arms) { fold_metric(folded.metrics[i], policy.metrics[i], arms); });
  if (policy.ab)
    fold_each(folded.metrics_against, policy.metrics.size(), measured.metrics, count_healthy(window, 1),
              [&](std::size_t i, MeasuredArms const& arms) { fold_metric(folded.metrics_against[i], policy.metrics[i], {arms.control, arms.canary}); });
  fold_each(folded.drift, policy.drift ? policy.drift->metrics.size() : 0, measured.drift, healthy, [&](std::size_t i, BinnedArms const& arms) { fold_drift(folded.drift[i], arms); });
}

bool metrics_asked(Policy const& policy) { return !policy.metrics.empty(); }

void judge_metrics(Case const& c, std::vector<GateVerdict>& out) {
  auto const alpha = alpha::kMetrics / static_cast<double>(c.policy.metrics.size());
  for (std::size_t i = 0; i < c.policy.metrics.size(); ++i) {
    auto const& gate = c.policy.metrics[i];
    auto const& wealths = wealths_of(c.folded.metrics, i);
    auto const name = name_of(gate);
    auto verdict = harm_verdict(c, {name, evidence_of(wealths.logs), alpha, wealths.worse, {}});
    verdict.text = fmt::format("{}: {} of {} {} are {} than most {}{}{}; that {} does it {}", name, wealths.worse, wealths.canaries, c.words.many,
                               gate.higher_is_worse ? "higher" : "lower", c.policy.ab ? c.words.beside : "of their own " + c.words.beside,
                               gate.margin > 0 ? fmt::format(" by more than {}", percent_text(gate.margin)) : "", level_text(wealths), c.words.release,
                               shown_text(verdict)) + verdict.text;
    verdict.evidence.emplace_back("devices", static_cast<double>(wealths.canaries));
    out.push_back(std::move(verdict));
    need_samples(c, gate.name, wealths, out);
  }
}

/// So many canaries, each worse than all its controls, are the fewest that can show it.
std::string plan_metrics(Policy const& policy, std::int64_t canaries, std::int64_t controls) {
  if (controls == 0) return {};
  auto const alpha = alpha::kMetrics * part_of_alpha(policy) / static_cast<double>(policy.metrics.size());
  constexpr double kOneDeviation = .2602;  // of two normals one deviation apart: P(X > Y) - 1/2
  stats::RankGate each;
  std::int64_t needed = 0;
  // As if each stood where it stands on average: about the median of what a release that shifts by a deviation needs.
  while (!each.evidence().reaches(1 / alpha) && needed < canaries) {
    each.add(kOneDeviation);
    ++needed;
  }
  return each.evidence().reaches(1 / alpha) ? fmt::format("metrics: about {} canaries see a shift by as much as devices differ", needed)
                                            : fmt::format("metrics: {} canaries are too few to see a shift by as much as devices differ", canaries);
}

bool drift_asked(Policy const& policy) { return policy.drift.has_value(); }

void judge_drift(Case const& c, std::vector<GateVerdict>& out) {
  auto const& metrics = c.policy.drift->metrics;
  auto const alpha = alpha::kDrift / static_cast<double>(std::max<std::size_t>(1, metrics.size()));
  for (std::size_t i = 0; i < metrics.size(); ++i) {
    auto const& wealths = wealths_of(c.folded.drift, i);
    auto const name = "drift " + metrics[i];
    auto verdict = harm_verdict(c, {name, evidence_of(wealths.logs), alpha, wealths.canaries, {}});
    if (verdict.decision == Ruling::rollback && !c.policy.drift->rolls_back) verdict.decision = Ruling::pause;
    verdict.text = fmt::format("{}: that the values of {} canaries fall otherwise than those of their controls {}", name, wealths.canaries, shown_text(verdict)) + verdict.text;
    verdict.evidence.emplace_back("devices", static_cast<double>(wealths.canaries));
    out.push_back(std::move(verdict));
    need_samples(c, metrics[i], wealths, out);
  }
}

std::string plan_drift(Policy const&, std::int64_t, std::int64_t controls) {
  return controls == 0 ? std::string() : "drift: some hundred canaries see a confidence that moves by half its spread";
}

}  // namespace fleet::rollout
