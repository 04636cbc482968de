#include "agent/delivery/sealed_slot.hpp"
#include "agent/handlers/handler.hpp"
#include "agent/handlers/unpack.hpp"
#include "agent/update/model_update.hpp"

#include "core/base/log.hpp"
#include "core/crypto/wrapped_key.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::agent {
namespace {

constexpr Millis kLookAgain{5'000};
constexpr Millis kLookWhileFetching{15'000};
constexpr Millis kPlanAgain = std::chrono::hours{1};  ///< while it waits: the server may have prepared more by then
constexpr Millis kAskForWays{2'000}, kAskForWaysMax{60'000};  ///< while it waits for what the server encrypts: twice as long each time
constexpr Millis kFillAgain{30'000};
constexpr std::string_view kWaits = "waits";

/// Without the list, files travel as they are: whoever waits for bytes must hear of it, and try again. What is wrong with the list itself stays so.
bool comes_later(Error const& error) {
  return error.kind == Kind::unavailable || error.kind == Kind::timeout || error.kind == Kind::throttled || error.code == "cancelled" || error.code == "peer_not_trusted";
}

}  // namespace

/// Of all parts, recipes among them; of one whose slot is whole, nothing is staged.
std::uint64_t ModelUpdate::staged_bytes(ModelState const& state) const {
  auto const parts = parts_of(state);
  std::uint64_t out = 0;
  for (auto const& part : parts ? *parts : std::vector<Part>{}) {
    for (auto const& place : places_of(part, context_.identity.hardware)) {
      for (auto const& file : place.variant->files)
        if (auto const there = context_.fs.info(context_.slots.staging(part.model, place.name) + "/" + file.name)) out += std::min(file.size, there->size);
      auto const folder = context_.slots.parts(part.model, place.name);
      auto const recipes = context_.fs.list(folder);
      for (auto const& name : recipes ? *recipes : std::vector<std::string>{})
        if (auto const there = context_.fs.info(folder + "/" + name)) out += there->size;
    }
  }
  return out;
}

Result<void> ModelUpdate::fetch(ModelState state, Target const& target) {
  bool begun = false;
  if (!fetching_) to_fetch_ = 0;
  auto const fetched = [&]() -> Result<void> {
    FLEET_TRY(bool const here, bring_bundled(state));
    // What no count of bytes would change is asked before anything is looked at. What came by hand costs no link.
    auto const why = here ? std::string() : shop_.conditions.download_blocked(target, {}, interrupt_.flag());
    if (!why.empty() && why != "metered") return wait_because(state, why);
    FLEET_CHECK(plan_fetch(state));
    FLEET_CHECK(wait_because(state, here ? std::string() : fetch_blocked(target)));
    begun = true;
    FLEET_CHECK(bring_all(state, target));
    return install_parts(state);
  }();
  bool const waits = !fetched && fetched.error().code == kWaits;
  if (begun || (!fetched && !waits)) fetching_.reset();
  if (waits) return {};
  if (!fetched) return early_failure(std::move(state), target, fetched.error());
  spent_.clear();
  FLEET_CHECK(advance(std::move(state), Event::fetched));
  return {};
}

/// What is missing, and by which routes it comes. What waits goes by what it found for a while: looking costs reading what is there, and a request.
Result<void> ModelUpdate::plan_fetch(ModelState const& state) {
  if (fetching_ && fetching_->digest == state.target.digest && now() - fetching_->planned < (lacks_ways() ? ask_for_ways_ : kPlanAgain)) return {};
  ask_for_ways_ = lacks_ways() ? std::min(2 * ask_for_ways_, kAskForWaysMax) : kAskForWays;
  if (fetching_ && fetching_->digest != state.target.digest) spent_.clear();
  fetching_.reset();
  FLEET_TRY(auto parts, parts_of(state));
  Fetching found{state.target.digest, now(), {}};
  for (auto& part : parts) {
    auto const places = places_of(part, context_.identity.hardware);
    if (places.empty()) return Error{Kind::unprocessable, "ineligible", fmt::format("{}: no variant for hardware {}", part.model, context_.identity.hardware)};
    FLEET_CHECK(place_in_memory(part));
    for (auto const& place : places) {
      FLEET_TRY(bool const whole, is_whole(part, place));
      if (whole) continue;
      FLEET_CHECK(check_memory(part, *place.variant));
      std::unique_ptr<Download> download;
      if (part.document.empty()) {
        DownloadRoom const room{context_.fs, context_.slots, shop_.throttle, shop_.sources, shop_.assemblers};
        FLEET_TRY(auto key, data_key_of(part));
        download = std::make_unique<Download>(room, Wanted{part.model, place.name, *place.variant, context_.identity.hardware, spent_, std::move(key)}, interrupt_.flag());
        FLEET_CHECK(download->plan([&] { return routes_of(part); }));
      }
      found.parts.push_back({part, place.name, *place.variant, std::move(download)});
    }
  }
  fetching_ = std::move(found);
  return {};
}

/// Whether the server has yet to encrypt some of what is to be fetched.
bool ModelUpdate::lacks_ways() const {
  return fetching_ && std::any_of(fetching_->parts.begin(), fetching_->parts.end(), [](FetchedPart const& one) { return one.download && one.download->lacks_ways(); });
}

/// What a protected release's files are encrypted with, as its directive brings it to this device alone; nothing: it is none.
Result<std::optional<crypto::DataKey>> ModelUpdate::data_key_of(Part const& part) const {
  if (part.release.protection == wire::Protection::none) return std::optional<crypto::DataKey>();
  auto const none = [&](std::string why) { return Error{Kind::unavailable, "no_data_key", fmt::format("{}@{} is protected: {}", part.model, part.version.version, why)}; };
  if (context_.identity.wrap_key.empty()) return none("this device gave no key to encrypt to when it enrolled; enrol it anew");
  FLEET_TRY(auto const wrapped, wrapped_key_of(part));
  if (wrapped.empty()) return none("the directive has no key for this device");
  FLEET_TRY(auto const own, crypto::PrivateKey::load(context_.identity.wrap_key));
  FLEET_TRY(auto const digest, Digest::parse(part.version.digest));
  auto key = crypto::unwrap(own, wrapped, context_.identity.id, digest);
  if (!key) return none(key.error().detail);
  return std::optional(*std::move(key));
}

/// As the directive has it; else as it was kept of what is in memory alone.
Result<std::string> ModelUpdate::wrapped_key_of(Part const& part) const {
  auto const told = shop_.wishes.told();
  auto const target = std::find_if(told.targets.begin(), told.targets.end(), [&](Target const& one) { return digest_of(one) == part.version.digest && !one.key.empty(); });
  return target == told.targets.end() ? context_.slots.kept_key(part.model, part.version.digest) : target->key;
}

/// Before anything of it is written.
Result<void> ModelUpdate::place_in_memory(Part const& part) {
  if (part.release.protection != wire::Protection::memory) return {};
  if (!context_.slots.has_memory())
    return Error{Kind::unavailable, "no_memory_dir", fmt::format("{}@{} may be in memory alone, and agent.yaml names no folder there", part.model, part.version.version), "memory: {dir: /run/fleet}"};
  FLEET_CHECK(data_key_of(part));
  FLEET_TRY(auto const wrapped, wrapped_key_of(part));
  return context_.slots.keep_in_memory(part.model, part.version.digest, wrapped);
}

/// What the owner gives to models in memory, all together.
Result<void> ModelUpdate::check_memory(Part const& part, wire::Variant const& variant) {
  auto const limit = context_.config.memory_max_bytes;
  if (part.release.protection != wire::Protection::memory || limit == 0) return {};
  std::uint64_t needed = 0;
  for (auto const& file : variant.files) needed += file.size;
  auto const used = context_.slots.memory_bytes();
  if (used + needed <= limit) return {};
  return Error{Kind::unavailable, "memory_full", fmt::format("{} bytes in memory are needed for {}@{}, {} of {} are taken", needed, part.model, part.version.version, used, limit), "memory: {max: ...} in agent.yaml"};
}

/// In memory and, encrypted, on the disk; out of which it is made again after a boot.
Result<bool> ModelUpdate::is_whole_in_memory(Part const& part, Place const& place, bool whole) {
  FLEET_TRY(auto const key, data_key_of(part));
  SealedSlot const sealed{part.model, place.name, *place.variant, *key};
  if (!whole) return unseal_slot(context_.fs, context_.slots, sealed, interrupt_.flag());
  FLEET_CHECK(seal_slot(context_.fs, context_.slots, sealed, interrupt_.flag()));
  return true;
}

/// Of what runs, and what it would go back to.
void ModelUpdate::fill_memory() {
  if (!fill_at_ || !context_.slots.has_memory() || now() < *fill_at_) return;
  fill_at_.reset();
  auto const state = this->state();
  for (auto const* const version : {&state.running, &state.previous}) {
    if (!context_.slots.is_in_memory(model_, version->digest)) continue;
    auto parts = load_parts(context_.slots, model_, *version, context_.identity.hardware);
    if (!parts) continue;
    for (auto const& part : *parts)
      for (auto const& place : places_of(part, context_.identity.hardware)) {
        if (part.model != model_ || context_.fs.info(context_.slots.slot(model_, place.name))) continue;
        auto const filled = is_whole(part, place);
        if (filled && *filled) {
          log::info("memory.filled", {{"model", model_}, {"version", version->version}});
          continue;
        }
        // What lies there spoiled is fetched again when it is wanted; what only this device lacks now may come.
        if (!filled) fill_at_ = now() + kFillAgain;
        log::error("memory.not_filled", {{"model", model_}, {"version", version->version}, {"error", filled ? std::string("what lies on the disk is not whole") : filled.error().detail}});
      }
  }
}

/// Also where what was unpacked is no slot yet.
Result<bool> ModelUpdate::is_whole(Part const& part, Place const& place) {
  auto const contents = contents_of(context_.slots, part.model, place.name, part.release, *place.variant);
  FLEET_TRY(bool const whole, contents ? context_.slots.is_whole(part.model, place.name, *contents, &interrupt_.flag()) : Result<bool>(false));
  if (part.release.protection == wire::Protection::memory) return is_whole_in_memory(part, place, whole);
  if (whole || part.release.manifest.handler != wire::kArchiveHandler) return whole;
  return finish_unpacked(context_.fs, context_.slots, {part.model, place.name, *place.variant}, &interrupt_.flag());
}

Result<std::optional<wire::ReleaseRoutes>> ModelUpdate::routes_of(Part const& part) {
  auto const lines = this->lines();
  Interrupt::Watch const watch(interrupt_, [&] { lines->cancel(); });
  FLEET_TRY(auto* const remote, lines->at(0));
  FLEET_TRY(auto const digest, Digest::parse(part.version.digest));
  auto const routes = fetch_routes(context_.fs, *remote, context_.trusted.now(), context_.layout.directive_metadata(), digest, context_.identity.hardware);
  if (routes || comes_later(routes.error())) return routes;
  log::warn("update.no_routes", {{"model", part.model}, {"version", part.version.version}, {"code", routes.error().code}, {"error", routes.error().detail}});
  return std::optional<wire::ReleaseRoutes>{};
}

/// Why what was planned may not be fetched now, all parts together.
std::string ModelUpdate::fetch_blocked(Target const& target) {
  Need need;
  for (auto const& one : fetching_->parts) {
    if (!one.download) continue;
    need.fetch += one.download->to_fetch();
    need.write += one.download->to_write();
  }
  to_fetch_ = need.fetch;
  if (lacks_ways()) return "encryption";
  auto const why = shop_.conditions.download_blocked(target, need, interrupt_.flag());
  return why.empty() && shop_.throttle.is_spent() ? "budget" : why;
}

Result<void> ModelUpdate::bring_all(ModelState& state, Target const& target) {
  for (auto& one : fetching_->parts) {
    if (!one.download) {
      FLEET_CHECK(bring_document(one.part));
      continue;
    }
    auto const bring = [&]() -> Result<void> {
      FLEET_CHECK(fetch_files(state, target, one));
      return make_slot(one);
    };
    // What it has in common with its hardware's own is in that one's slot by now.
    if (!one.variant.name.empty()) FLEET_CHECK(one.download->plan([&] { return routes_of(one.part); }));
    auto brought = bring();
    if (!brought && brought.error().code == "disk_full") {
      // Before that is said, what the owner keeps besides is given up, too.
      give_back(state, Keep{});
      for (auto const& model : member_models(state)) give_back(context_.journal.state(model), Keep{});
      FLEET_CHECK(one.download->plan([&] { return routes_of(one.part); }));
      brought = bring();
    }
    FLEET_CHECK(brought);
  }
  return {};
}

/// Of what is staged.
Result<void> ModelUpdate::make_slot(FetchedPart const& one) {
  auto const& model = one.part.model;
  bool const packed = one.part.release.manifest.handler == wire::kArchiveHandler;
  FLEET_CHECK(packed ? unpack(bench(), context_.slots, {model, one.slot, one.variant}) : context_.slots.install(model, one.slot, one.variant, &interrupt_.flag()));
  if (one.part.release.protection == wire::Protection::memory) {
    FLEET_TRY(auto const key, data_key_of(one.part));
    FLEET_CHECK(seal_slot(context_.fs, context_.slots, {model, one.slot, one.variant, *key}, interrupt_.flag()));
  }
  return context_.fs.remove_tree(context_.slots.parts(model, one.slot));
}

/// What a set's own slot holds is here already.
Result<void> ModelUpdate::bring_document(Part const& part) {
  auto const& variant = part.release.variants.front();
  FLEET_CHECK(context_.slots.prepare_staging(part.model, part.version.digest, variant));
  FLEET_CHECK(context_.fs.replace(fmt::format("{}/{}", context_.slots.staging(part.model, part.version.digest), kSetFile), part.document));
  return context_.slots.install(part.model, part.version.digest, variant);
}

Result<void> ModelUpdate::fetch_files(ModelState& state, Target const& target, FetchedPart& one) {
  auto const lines = this->lines();
  Interrupt::Watch const watch(interrupt_, [&] { lines->cancel(); });
  auto looked = now();
  std::string why;
  auto const may_go_on = [&](bool more) -> Result<void> {
    if (!more && now() - looked < kLookWhileFetching) return {};
    looked = now();
    why = fetch_blocked(target);
    return why.empty() ? Result<void>{} : Error{Kind::unavailable, std::string(kWaits), why};
  };
  auto const fetched = one.download->run(*lines, may_go_on);
  if (!fetched && fetched.error().code == kWaits) return wait_because(state, why);
  if (!fetched && fetched.error().code == "over_budget") return wait_because(state, "budget");
  return fetched;
}

/// A wait is no failure and costs no attempt. Polls tell its reason, and what it would fetch: what comes and goes with a machine's load makes no result.
Result<void> ModelUpdate::wait_because(ModelState& state, std::string const& why) {
  auto const to_fetch = why.empty() ? 0 : to_fetch_;
  if (state.waiting != why || state.to_fetch != to_fetch) {
    state.waiting = why;
    state.to_fetch = to_fetch;
    FLEET_CHECK(context_.journal.save(state));
    show(state);
  }
  if (why.empty()) return {};
  contact_seen_ = shop_.contact.total();
  look_again_in(kLookAgain);
  return Error{Kind::unavailable, std::string(kWaits), why};
}

}  // namespace fleet::agent
