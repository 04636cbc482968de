#include "agent/handlers/handler.hpp"
#include "agent/handlers/unpack.hpp"
#include "agent/update/model_update.hpp"

#include "core/base/log.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::agent {
namespace {

constexpr Millis kLookAgain{5'000};
constexpr Millis kLookWhileFetching{15'000};
constexpr Millis kPlanAgain = std::chrono::hours{1};  ///< while it waits: the server may have prepared more by then
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
  if (fetching_ && fetching_->digest == state.target.digest && now() - fetching_->planned < kPlanAgain) return {};
  if (fetching_ && fetching_->digest != state.target.digest) spent_.clear();
  fetching_.reset();
  FLEET_TRY(auto parts, parts_of(state));
  Fetching found{state.target.digest, now(), {}};
  for (auto& part : parts) {
    auto const places = places_of(part, context_.identity.hardware);
    if (places.empty()) return Error{Kind::unprocessable, "ineligible", fmt::format("{}: no variant for hardware {}", part.model, context_.identity.hardware)};
    for (auto const& place : places) {
      FLEET_TRY(bool const whole, is_whole(part, place));
      if (whole) continue;
      std::unique_ptr<Download> download;
      if (part.document.empty()) {
        DownloadRoom const room{context_.fs, context_.slots, shop_.throttle, shop_.sources, shop_.assemblers};
        download = std::make_unique<Download>(room, Wanted{part.model, place.name, *place.variant, context_.identity.hardware, spent_}, interrupt_.flag());
        FLEET_CHECK(download->plan([&] { return routes_of(part); }));
      }
      found.parts.push_back({part, place.name, *place.variant, std::move(download)});
    }
  }
  fetching_ = std::move(found);
  return {};
}

/// Also where what was unpacked is no slot yet.
Result<bool> ModelUpdate::is_whole(Part const& part, Place const& place) {
  auto const contents = contents_of(context_.slots, part.model, place.name, part.release, *place.variant);
  FLEET_TRY(bool const whole, contents ? context_.slots.is_whole(part.model, place.name, *contents, &interrupt_.flag()) : Result<bool>(false));
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
