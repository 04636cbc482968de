#include "server/simulation/virtual_parts.hpp"

/// What virtual devices measure, as the gates `absolute`, `metrics` and `drift` see it.
namespace fleet::simulation {

using namespace fleet::rollout;
namespace ds = device_state;

void VirtualFleet::make_measures() {
  auto const& policy = rollout_.policy;
  tallies_.resize(policy.absolute.size());
  look_.facts.metrics = tallies_;
  if (!scenario_.metric) return;
  measures_.emplace(*scenario_.metric, seed_);
  for (std::size_t i = 0; i < policy.absolute.size(); ++i)
    if (policy.absolute[i].metric == scenario_.metric->name) {
      sampled_gates_.push_back(i);
      samples_.emplace_back(devices_.size());
    }
}

/// Adds a device to the tallies, or takes it away before what it shows changes.
void VirtualFleet::tally(std::uint32_t index, int devices) {
  auto const& device = devices_[index];
  for (std::size_t i = 0; i < sampled_gates_.size(); ++i) {
    auto const gate = sampled_gates_[i];
    count(tallies_[gate], samples_[i][index], rollout_.policy.absolute[gate], device.arm, name_of(device.outcome) == ds::kHealthy, devices);
  }
}

/// It runs the release now, or proves what it ran: what it sends counts from here on.
void VirtualFleet::begin_samples(std::uint32_t index) {
  if (sampled_gates_.empty() || devices_[index].sample_at > 0) return;
  devices_[index].sample_at = now_;
  sample(index);
}

/// Control no longer: it is told the release.
void VirtualFleet::end_samples(std::uint32_t index) {
  if (sampled_gates_.empty()) return;
  tally(index, -1);
  for (auto& samples : samples_) samples[index] = {};
  devices_[index].sample_at = 0;
  changed_ = true;
}

/// One block's worth, if it is in reach: what it sends later counts for little.
void VirtualFleet::sample(std::uint32_t index) {
  auto& device = devices_[index];
  bool const canary = device.arm == Arm::canary;
  if (device.dead || (canary && !device.runs_new) || rollout_.state != State::running) {
    device.sample_at = 0;
    return;
  }
  auto const every = rollout_.policy.absolute[sampled_gates_.front()].block;
  if (weather_.reaches(device.around, now_)) {
    bool const shifted = canary && scenario_.kind == HarmKind::metric && may_harm(index);
    auto const sent = measures_->batch(index, shifted, every, static_cast<std::uint64_t>(now_ / 60'000) + 1);
    tally(index, -1);
    for (std::size_t i = 0; i < sampled_gates_.size(); ++i) {
      auto const& gate = rollout_.policy.absolute[sampled_gates_[i]];
      close(samples_[i][index], gate, measures_->range(), kStart + Millis(now_));
      add(samples_[i][index], gate, measures_->range(), kStart + Millis(now_), sent.count, sent.sum);
    }
    tally(index, 1);
    changed_ = true;
  }
  device.sample_at = now_ + every.count();
  events_.push({device.sample_at, index, Happening::Kind::sample});
}

/// Of the open window's members, each as long as it has run.
Measured VirtualFleet::measured() {
  Measured out;
  auto const& policy = rollout_.policy;
  bool const binned = policy.drift && !policy.drift->metrics.empty();
  if (!measures_ || (policy.metrics.empty() && !binned)) return out;
  auto const& name = scenario_.metric->name;
  out.metrics.resize(policy.metrics.size());
  if (binned) out.drift.resize(policy.drift->metrics.size());
  for (std::size_t s = 0; s < strata_.size(); ++s)
    for (auto const index : by_place_[s]) {
      auto const& device = devices_[index];
      if (!device.told || device.window != rollout_.progress.window || name_of(device.outcome) != ds::kHealthy) continue;
      bool const canary = device.arm == Arm::canary, shifted = canary && scenario_.kind == HarmKind::metric && may_harm(index);
      auto const draw = static_cast<std::uint64_t>(device.window) + 1;
      auto const length = Millis(std::max<std::int64_t>(service(now_) - device.since, 0)) + scenario_.probation;
      auto const value = measures_->value(index, shifted, length, draw);
      if (!value) continue;
      for (std::size_t i = 0; i < policy.metrics.size(); ++i) {
        if (policy.metrics[i].name != name) continue;
        auto& arms = out.metrics[i][strata_[s]];
        (canary ? arms.canary : arms.control).push_back(*value);
      }
      for (std::size_t i = 0; i < out.drift.size(); ++i) {
        if (policy.drift->metrics[i] != name) continue;
        auto& arms = out.drift[i][strata_[s]];
        (canary ? arms.canary : arms.control).push_back(measures_->bins(index, shifted, draw));
      }
    }
  return out;
}

}  // namespace fleet::simulation
