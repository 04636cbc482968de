#include "server/rollout/shell/survey.hpp"

#include "core/wire/runtime_rule.hpp"
#include "server/registry/device_facts.hpp"
#include "server/registry/devices.hpp"
#include "server/registry/groups.hpp"
#include "server/rollout/engine/membership.hpp"
#include "server/rollout/shell/planner.hpp"
#include "server/rollout/shell/queries.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::rollout {
namespace {

/// The release that is asked about, and how many devices meet it so far.
struct Asked {
  ReleaseFacts release;
  std::vector<wire::RuntimeRule> rules;
  MatchFacts match;

  [[nodiscard]] bool has_variant(std::string_view hardware) const {
    return std::find(release.hardware.begin(), release.hardware.end(), hardware) != release.hardware.end();
  }
  Result<void> take(db::Connection& reader, std::int64_t device_n) {
    ++match.with_variant;
    if (rules.empty()) return {};
    auto row = reader.prepare(queries::kReportedOf);
    row.bind_all(device_n);
    FLEET_TRY(bool const found, row.step());
    if (!found) return {};
    FLEET_TRY(auto const reported, registry::parse_labels(row.text_view(0)));
    for (std::size_t i = 0; i < rules.size(); ++i) {
      auto const said = reported.find(rules[i].runtime);
      match.rules[i].met += said != reported.end() && wire::holds(rules[i], said->second);
    }
    return {};
  }
};

Result<std::optional<Asked>> find_asked(db::Connection& reader, SurveyRequest const& request) {
  if (request.model.empty()) return std::optional<Asked>();
  Asked out;
  FLEET_TRY(out.release, find_release(reader, request.model, request.version));
  out.match.release = request.model + "@" + request.version;
  if (!out.release.match.runtime.empty()) {
    FLEET_TRY(out.rules, wire::parse_runtime_rules(out.release.match.runtime));
  }
  for (auto const& rule : out.rules) out.match.rules.push_back({rule.text, 0});
  return std::optional(std::move(out));
}

/// Of a test: the other release is there, of the same model and another one, and stands; who can run both is targeted.
Result<void> join_against(db::Connection& reader, SurveyRequest const& request, Policy const& policy, ReleaseFacts& release) {
  FLEET_TRY(auto const against, find_against(reader, request.model, request.version, policy));
  if (!against) return {};
  std::erase_if(release.hardware, [&](std::string const& one) { return std::find(against->hardware.begin(), against->hardware.end(), one) == against->hardware.end(); });
  return {};
}

/// Names of metrics say what devices do: one who may see some devices alone is told none.
Result<std::optional<std::set<std::string>>> metrics_sent(db::Connection& reader, std::string const& model, registry::Limits const& limits) {
  if (limits.devices) return std::optional<std::set<std::string>>();
  std::set<std::string> out;
  auto rows = reader.prepare(queries::kMetricsSent);
  rows.bind_all(model.empty() ? limits.model : model);
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return std::optional(std::move(out));
    out.insert(rows.text(0));
  }
}

}  // namespace

Result<Survey> survey(db::Connection& reader, SurveyRequest const& request, Policy const& policy, registry::Limits const& limits) {
  FLEET_TRY(auto const selector, registry::read_selector(reader, request.selector));
  FLEET_TRY(auto asked, find_asked(reader, request));
  if (asked) FLEET_CHECK(join_against(reader, request, policy, asked->release));
  Survey out;
  auto const labels = labels_of(policy);
  std::map<std::string, std::int64_t> strata;
  auto const take = [&](registry::DeviceFacts const& device) -> Result<void> {
    if (asked && !asked->has_variant(device.hardware)) return {};
    ++out.facts.targeted;
    ++strata[stratum_of(policy.strata, device.hardware, device.labels)];
    FLEET_CHECK(check_strata(policy, strata.size()));
    for (auto const& label : labels) out.facts.labels[label] += device.labels.contains(label);
    return asked ? asked->take(reader, device.n) : Result<void>();
  };
  FLEET_CHECK(registry::scan_selected(reader, selector, take));
  for (auto const& [stratum, devices] : strata) out.facts.strata.push_back(devices);
  FLEET_TRY(out.facts.metrics, metrics_sent(reader, request.model, limits));
  out.shape.targeted = out.facts.targeted;
  out.shape.strata = static_cast<std::int64_t>(strata.size());
  FLEET_TRY(auto const outcome, outcome_time(reader, policy, asked ? asked->release.proof : Millis{0}));
  // Without a release its proof is not known: no shorter than what is usual.
  out.shape.outcome = asked ? outcome : std::max(out.shape.outcome, outcome);
  if (!asked) return out;
  FLEET_TRY(auto const running, count_running(reader, request.model));
  out.shape.comparable = running > 0;
  out.facts.match = std::move(asked->match);
  return out;
}

Policy fitted(Policy policy, Survey const& survey) {
  if (policy.preset.empty()) return policy;
  return preset_for(policy.preset, survey.shape);
}

}  // namespace fleet::rollout
