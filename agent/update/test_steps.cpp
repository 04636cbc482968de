#include "agent/proof/own_reason.hpp"
#include "agent/update/model_update.hpp"

#include "core/base/log.hpp"
#include "core/proof/shadow.hpp"

#include <fmt/format.h>

#include <algorithm>

/// What is proved before the switch, and the room that it takes.
namespace fleet::agent {
namespace {

constexpr std::string_view kMemory = "memory";
constexpr std::string_view kDisagreement = "agent.shadow_disagreement";

}  // namespace

Result<void> ModelUpdate::test(ModelState state) {
  FLEET_TRY(auto const parts, parts_or_fail(state));
  if (!parts) return {};
  Millis of_all{0};
  for (auto const& part : *parts) {
    if (auto const& golden = part.release.manifest.golden) of_all += golden->timeout * static_cast<std::int64_t>(places_of(part, context_.identity.hardware).size());
    if (is_shadowed(state, part)) of_all += 2 * part.release.manifest.shadow->timeout;
    if (is_own()) of_all += kOwnTestTimeout;
  }
  if (of_all > Millis{0}) {
    FLEET_TRY(bool const may_start, start(state));
    if (!may_start) return {};
  }
  auto const began = now();
  state.memory_needed = 0;
  for (auto const& part : *parts) {
    auto const tested = test_part(state, part, of_all);
    if (!tested && tested.error().code == "interrupted") return pause(std::move(state), now() - began);
    if (tested) {
      state.memory_needed += *tested;
      continue;
    }
    if (!own_reason(tested.error()).empty()) return wait_for_own(std::move(state), tested.error());
    FLEET_CHECK(fail(std::move(state), about(part, told_of(tested.error()))));
    return {};
  }
  bool const wanted = shop_.wishes.is_wanted(state, context_.trusted.now());
  FLEET_TRY(bool const locked, is_locked(state));
  auto const why = locked ? kUpdateLock : shop_.conditions.lacks_memory(state.memory_needed) ? kMemory : std::string_view();
  if (wanted && !why.empty()) {
    state.waiting = why;
    FLEET_CHECK(advance(std::move(state), Event::blocked));
    return {};
  }
  note_before(state, *parts);
  FLEET_CHECK(advance(std::move(state), wanted ? Event::passed : Event::withdrawn));
  return {};
}

Result<std::uint64_t> ModelUpdate::test_part(ModelState const& state, Part const& part, Millis of_all) {
  std::uint64_t peak = 0;
  if (is_own()) FLEET_CHECK(test_own(part));
  auto golden = part.release.manifest.golden;
  for (auto const& place : golden ? places_of(part, context_.identity.hardware) : std::vector<Place>{}) {
    golden->timeout = time_left(part.release.manifest.golden->timeout, of_all, state);
    auto measured = proof::golden_test(bench().ground(), candidate_of(part.model, part.version, place.variant->name), *golden);
    if (!measured && !place.variant->name.empty()) {
      auto error = measured.error();
      error.detail = fmt::format("variant '{}': {}", place.variant->name, error.detail);
      return error;
    }
    if (!measured) return measured.error();
    log::info("golden.passed", {{"model", part.model},
                                {"version", part.version.version},
                                {"variant", place.variant->name},
                                {"took", fleet::to_string(measured->took)},
                                {"latency_ms", measured->latency.ms},
                                {"peak_bytes", measured->peak_bytes}});
    peak = std::max(peak, measured->peak_bytes);
  }
  if (is_shadowed(state, part)) FLEET_CHECK(run_shadow(state, part, of_all));
  return loads_beside(state, part) ? std::max(peak, part.release.manifest.match.memory_min_bytes) : 0;
}

/// What a server orders back disagrees with what runs: that is why.
bool ModelUpdate::is_shadowed(ModelState const& state, Part const& part) const {
  return part.release.manifest.shadow && ordered_ != state.target.digest && runs_of(state, part).digest != part.version.digest;
}

Version ModelUpdate::runs_of(ModelState const& state, Part const& part) const { return is_member(part) ? context_.journal.state(part.model).running : state.running; }

bool ModelUpdate::loads_beside(ModelState const& state, Part const& part) const {
  auto const& unloading = context_.config.unload_first;
  bool const unloads = std::find(unloading.begin(), unloading.end(), part.model) != unloading.end();
  return !unloads && ordered_ != state.target.digest && runs_of(state, part).digest != part.version.digest;
}

Result<void> ModelUpdate::run_shadow(ModelState const& state, Part const& part, Millis of_all) {
  auto manifest = part.release.manifest;
  manifest.shadow->timeout = time_left(manifest.shadow->timeout, of_all, state);
  auto const& inputs = context_.config.inputs;
  auto const recorded = inputs.find(part.model);
  auto const name = part.model + "@" + part.version.version;
  FLEET_TRY(auto const shadowed, proof::shadow_test(bench().ground(), candidate_of(part), candidate_of(part.model, runs_of(state, part)), manifest,
                                                    recorded == inputs.end() ? std::string() : recorded->second));
  if (!shadowed.skipped.empty()) {
    note("shadow_skipped", fmt::format("{} was not compared with what runs: {}", name, shadowed.skipped));
    return {};
  }
  auto const& agreement = shadowed.agreement;
  context_.collector.tell(part.model, part.version.digest, std::string(kDisagreement), agreement.share());
  log::info("shadow", {{"model", part.model}, {"version", part.version.version}, {"inferences", agreement.inferences}, {"differing", agreement.differing}, {"first", agreement.first}});
  if (!shadowed.short_of.empty()) note("shadow_short", fmt::format("{}: {}, and {} of them differ from what runs", name, shadowed.short_of, agreement.differing));
  return proof::check_agreement(*manifest.shadow, agreement);
}

void ModelUpdate::note(std::string const& code, std::string const& text) {
  if (noted_ == text) return;
  noted_ = text;
  log::info("note", {{"model", model_}, {"code", code}, {"text", text}});
  wire::ReportItem item;
  item.note = wire::NoteItem{context_.trusted.now(), code, text};
  if (auto const added = context_.spool->add(std::move(item)); !added) log::error("report.lost", {{"model", model_}, {"error", added.error().detail}});
}

}  // namespace fleet::agent
