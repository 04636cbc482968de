#include "server/rollout/gates/absolute.hpp"
#include "server/rollout/gates/compared.hpp"
#include "server/rollout/gates/first.hpp"
#include "server/rollout/gates/metrics.hpp"
#include "server/rollout/gates/mirror.hpp"
#include "server/rollout/gates/sanity.hpp"

namespace fleet::rollout {
namespace {

bool always(Policy const&) { return true; }
std::string nothing(Policy const&, std::int64_t, std::int64_t) { return {}; }

/// The gates, in the order they are shown. A further gate is a further file and a further line here.
constexpr auto kGates = std::to_array<Gate>({
    {"golden", always, judge_golden, nothing},
    {"failures", failures_asked, judge_failures, plan_failures},
    {"silent", silent_asked, judge_silent, plan_silent},
    {"absolute", absolute_asked, judge_absolute, plan_absolute},
    {"metrics", metrics_asked, judge_metrics, plan_metrics},
    {"drift", drift_asked, judge_drift, plan_drift},
    {"first", first_asked, judge_first, nothing},
    {"sanity", always, judge_sanity, nothing},
    {"min_devices", always, judge_min_devices, nothing},
    {"certify", certify_asked, judge_certify, nothing},
});

}  // namespace

std::span<Gate const> gates() { return kGates; }

namespace {

std::vector<GateVerdict> judge_arm(Case const& c) {
  std::vector<GateVerdict> out;
  for (auto const& gate : kGates)
    if (gate.asked(c.policy)) gate.judge(c, out);
  return out;
}

}  // namespace

std::vector<GateVerdict> judge_all(Case const& c) {
  if (!c.policy.ab) return judge_arm(c);
  std::string const release(c.release), &against = c.policy.ab->against;
  auto known = c.facts;
  known.failures.clear();  // codes of both arms together
  auto out = judge_arm({c.policy, c.stage, true, c.latches, c.folded, known, c.reach, c.sizes, c.release, words_of(release, against), c.planned});  // no stage is to pass
  auto const folded = mirrored(c.folded);
  auto const facts = mirrored(c.facts);
  Latches const none;
  for (auto& verdict : judge_arm({c.policy, c.stage, true, none, folded, facts, c.reach, c.sizes, c.release, words_of(against, release)}))
    if (wins(verdict)) out.push_back(std::move(verdict));
  return out;
}

}  // namespace fleet::rollout
