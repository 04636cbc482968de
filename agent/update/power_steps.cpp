#include "agent/handlers/handler.hpp"
#include "agent/update/model_update.hpp"

#include "core/base/log.hpp"

#include <fmt/format.h>

/// Which variant of what runs a device runs by its own condition: no server is asked, and every variant has passed its golden test here before the release did.
namespace fleet::agent {
namespace {

constexpr Millis kLook{5'000};                          ///< two looks in a row must say the same
constexpr Millis kStaysFor = std::chrono::minutes{1};   ///< between two switches
constexpr Millis kRestAfterFailure = std::chrono::hours{1};

}  // namespace

bool ModelUpdate::know_standing(ModelState const& state) {
  if (standing_.digest == state.running.digest) return true;
  auto const document = context_.slots.load_release(model_, state.running.digest);
  auto const release = document ? wire::decode_release(*document) : Result<wire::Release>(document.error());
  if (!release) return false;
  auto const& manifest = release->manifest;
  standing_ = {state.running.digest, manifest.golden || !manifest.match.runtime.empty(), manifest.golden ? manifest.golden->again : Millis{0}, {}};
  for (auto const* const variant : wire::variants_for(*release, context_.identity.hardware))
    if (auto const when = manifest.variants.find(variant->name); when != manifest.variants.end()) standing_.choices.push_back({variant->name, when->second});
  wanted_variant_.reset();
  return true;
}

void ModelUpdate::follow_power() {
  auto state = this->state();
  if (interrupt_.is_raised() || !at_rest(state.state) || state.running.none() || !know_standing(state)) return;
  if (standing_.choices.empty() && state.variant.empty()) return;
  auto const there = context_.slots.current_variant(model_);
  if (!there) return log_failed("look which variant runs", there.error());
  if (*there != state.variant)  // it was cut off before the app was told
    if (auto const told = finish_variant(state, *there, "it did so when the device stopped"); !told) return log_failed("tell which variant runs", told.error());
  if (standing_.choices.empty()) return;
  look_again_in(kLook);
  Sensors const sensors(context_);
  PowerReadings const readings{sensors.battery(), sensors.is_charging(), sensors.temperature()};
  auto const wanted = choose_variant(standing_.choices, state.variant, readings);
  bool const twice = wanted_variant_ == wanted;
  wanted_variant_ = wanted;
  if (!twice || wanted == state.variant || now() < variant_stays_until_) return;
  if (auto const switched = switch_variant(state, wanted, words_of(readings)); !switched && switched.error().code != "interrupted") {
    log_failed("switch to another variant", switched.error());
    variant_stays_until_ = now() + kStaysFor;
  }
}

Result<void> ModelUpdate::switch_variant(ModelState& state, std::string const& name, std::string const& why) {
  FLEET_TRY(auto const parts, load_parts(context_.slots, model_, state.running, context_.identity.hardware));
  auto const places = places_of(parts.back(), context_.identity.hardware);
  auto const place = std::find_if(places.begin(), places.end(), [&](Place const& one) { return one.variant->name == name; });
  if (place == places.end()) return Error{Kind::not_found, "no_variant", fmt::format("{}@{} has no variant '{}'", model_, state.running.version, name)};
  auto const contents = contents_of(context_.slots, model_, place->name, parts.back().release, *place->variant);
  auto const same = contents ? context_.slots.check_unchanged(model_, place->name, *contents, &interrupt_.flag())
                             : Result<void>(Error{Kind::unprocessable, "digest_mismatch", fmt::format("variant '{}' is not whole here", name)});
  if (!same && same.error().kind != Kind::unprocessable) return same;
  auto const before = state.variant;
  auto const failed = [&](std::string const& text) {
    variant_stays_until_ = now() + kRestAfterFailure;
    note("variant_failed", fmt::format("{}@{} stays as {}: {}", model_, state.running.version, shown_variant(before), text));
  };
  if (!same) {
    failed(same.error().detail);
    return {};
  }
  {
    bool const named = shop_.lock.is_named();
    auto const held = named ? shop_.lock.take() : nullptr;
    if (named && !held) return {};  // the owner's programs are not to be disturbed: another look will find them done
    FLEET_CHECK(context_.slots.switch_variant(model_, state.running.digest, name));
  }
  log::info("variant", {{"model", model_}, {"version", state.running.version}, {"from", before}, {"to", name}, {"because", why}});
  if (auto const done = finish_variant(state, name, why); !done) {
    if (done.error().code == "interrupted") return done;
    FLEET_CHECK(context_.slots.switch_variant(model_, state.running.digest, before));
    if (auto const back = finish_variant(state, before, {}); !back) log_failed("tell which variant runs", back.error());
    failed(done.error().detail);
    return {};
  }
  variant_stays_until_ = now() + kStaysFor;
  return {};
}

/// Tells the app and the server, then writes down that they were told: what is cut off in between is told again.
/// @param why  empty: the server is told by others
Result<void> ModelUpdate::finish_variant(ModelState& state, std::string const& name, std::string const& why) {
  run_hook(context_.config.switched_hook, model_, state.running, name);
  FLEET_TRY(auto const parts, load_parts(context_.slots, model_, state.running, context_.identity.hardware));
  auto const& activate = parts.back().release.manifest.activate;
  if (!activate.empty()) FLEET_CHECK(run_program(bench(), candidate_of(model_, state.running, name), activate, "activate_failed"));
  if (interrupt_.is_raised()) return Error{Kind::unavailable, "interrupted", "something else is wanted meanwhile"};
  if (!why.empty()) note("variant", fmt::format("{}@{} runs as {} now: {}", model_, state.running.version, shown_variant(name), why));
  state.variant = name;
  FLEET_CHECK(context_.journal.save(state));
  show(state);
  return {};
}

std::string ModelUpdate::shown_variant(std::string const& name) { return name.empty() ? std::string("its hardware's own variant") : fmt::format("variant '{}'", name); }

}  // namespace fleet::agent
