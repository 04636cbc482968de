#include "server/rollout/shell/gathered.hpp"

#include "server/rollout/engine/measured.hpp"
#include "server/rollout/engine/samples.hpp"
#include "server/rollout/engine/windows.hpp"
#include "server/rollout/shell/queries.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::rollout {
namespace {

/// The constant of the same text: counts hold views.
template <class Names>
std::string_view known_word(Names const& names, std::string_view text) {
  auto const found = std::find(names.begin(), names.end(), text);
  return found == names.end() ? std::string_view() : *found;
}

/// Each healthy member's summary of one metric, and that of its period before, in the order of their numbers.
template <class Take>
Result<void> each_summary(db::Connection& reader, std::int64_t rollout_n, std::string_view metric, int window, Take const& take) {
  auto rows = reader.prepare(queries::kSummaries);
  rows.bind_all(rollout_n, metric, window);
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return {};
    FLEET_TRY(auto const summary, decode_summary(rows.text_view(2)));
    DeviceSummary before;
    if (!rows.is_null(3)) {
      FLEET_TRY(before, decode_summary(rows.text_view(3)));
    }
    take(rows.text(0), side_of(parse_arm(rows.text_view(1))) == 0, summary, before);
  }
}

constexpr auto kRowKinds = std::to_array<std::string_view>({row_kind::kPlain, row_kind::kGolden, row_kind::kInstall, row_kind::kNoEvidence, row_kind::kThere});

}  // namespace

Result<Facts> read_counts(db::Connection& reader, Rollout const& rollout) {
  Facts out;
  auto rows = reader.prepare(queries::kCountsOf);
  rows.bind_all(rollout.n);
  CountKey key;
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return out;
    key.stratum = rows.text(0);
    key.arm = parse_arm(rows.text_view(1));
    key.window = static_cast<int>(rows.int64(2));
    key.state = known_word(device_state::kNames, rows.text_view(3));
    key.outcome = known_word(device_state::kNames, rows.text_view(4));
    key.exposed = rows.int64(5) != 0;
    key.kind = known_word(kRowKinds, rows.text_view(6));
    key.tries_again = tries_again(key.arm, key.state, rows.int64(8), rollout.attempt);
    count(out, key, rows.int64(7), rollout.progress.window);
  }
}

Result<void> count_rows(db::Connection& writing, RolloutView const& view) {
  FLEET_TRY(auto const facts, read_counts(writing, view.rollout));
  bool const ended = view.rollout.state == State::completed || view.rollout.state == State::aborted;
  view.at_work->store(facts.at_work - (ended ? facts.parked : 0), std::memory_order_relaxed);  // of an ended one, who may never come is at work no more
  view.told->store(facts.told, std::memory_order_relaxed);
  view.window_now->store(view.rollout.progress.current(), std::memory_order_relaxed);
  Standing standing;
  standing.stage = std::max(view.rollout.stage, 1);
  view.beyond_max->store(beyond_plan(view.setting(), standing, facts), std::memory_order_relaxed);
  return {};
}

Result<std::map<std::string, std::int64_t>> read_codes(db::Connection& reader, std::int64_t rollout_n) {
  std::map<std::string, std::int64_t> out;
  auto rows = reader.prepare(queries::kCodes);
  rows.bind_all(rollout_n);
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return out;
    out[rows.text(0)] = rows.int64(1);
  }
}

Result<std::vector<std::string>> read_busy(db::Connection& reader, std::int64_t rollout_n, std::size_t most) {
  std::vector<std::string> out;
  auto rows = reader.prepare(queries::kBusy);
  rows.bind_all(rollout_n, static_cast<std::int64_t>(most));
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return out;
    out.push_back(fmt::format("{} ({})", rows.text_view(0), rows.text_view(1)));
  }
}

Result<void> read_metrics(db::Connection& reader, Rollout const& rollout, Facts& facts) {
  auto const& gates = rollout.policy.absolute;
  facts.metrics.assign(gates.size(), {});
  if (!rollout.policy.reads_samples()) return {};
  auto rows = reader.prepare(queries::kMetricCounts);
  rows.bind_all(rollout.n);
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return {};
    auto const gate = std::find_if(gates.begin(), gates.end(), [&](AbsoluteGate const& one) { return one.metric == rows.text_view(0); });
    if (gate == gates.end()) continue;
    count(facts.metrics[static_cast<std::size_t>(gate - gates.begin())], static_cast<int>(rows.int64(2)), parse_arm(rows.text_view(1)), rows.int64(3) != 0, rows.int64(4));
  }
}

Result<Measured> read_measured(db::Connection& reader, RolloutView const& view, int window) {
  auto const& policy = view.rollout.policy;
  Measured out;
  for (auto const& gate : policy.metrics) {
    auto& strata = out.metrics.emplace_back();
    FLEET_CHECK(each_summary(reader, view.rollout.n, gate.name, window, [&](std::string const& stratum, bool canary, DeviceSummary const& summary, DeviceSummary const& before) {
      auto const value = value_of(summary, gate);
      if (value) (canary ? strata[stratum].canary : strata[stratum].control).push_back({*value, value_of(before, gate)});
    }));
  }
  if (!policy.drift) return out;
  for (auto const& metric : policy.drift->metrics) {
    auto& strata = out.drift.emplace_back();
    auto const range = view.range_of(metric);
    if (!range) continue;  // the planner refuses it; of a release without one nothing is known
    FLEET_CHECK(each_summary(reader, view.rollout.n, metric, window, [&](std::string const& stratum, bool canary, DeviceSummary const& summary, DeviceSummary const&) {
      if (auto bins = bins_of(summary, *range)) (canary ? strata[stratum].canary : strata[stratum].control).push_back(std::move(*bins));
    }));
  }
  return out;
}

Result<std::vector<std::int64_t>> read_told(db::Connection& reader, Rollout const& rollout) {
  std::vector<std::int64_t> out;
  auto rows = reader.prepare(queries::kTold);
  rows.bind_all(rollout.n);
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return out;
    auto const arm = parse_arm(rows.text_view(1));
    auto const attempt = rows.int64(2);
    bool const again = tries_again(arm, rows.text_view(3), attempt, rollout.attempt);
    if (installs(arm) || rollout.against ? !again : attempt >= rollout.progress.window) out.push_back(rows.int64(0));
  }
}

}  // namespace fleet::rollout
