#include "agent/delivery/bundled.hpp"
#include "agent/delivery/recipe_follow.hpp"
#include "agent/update/model_update.hpp"

#include "core/base/log.hpp"
#include "core/crypto/hash.hpp"

/// What a bundle brings of an update (docs/adr/0039).
namespace fleet::agent {

Result<bool> ModelUpdate::bring_bundled(ModelState const& state) {
  auto const open = shop_.bundles.get();
  std::pair const this_one{shop_.bundles.times(), state.target.digest};
  if (!open) return bundled_ == this_one && all_bundled_;
  if (bundled_ == this_one) return all_bundled_;
  FLEET_TRY(auto const parts, parts_of(state));
  bool all = true;
  for (auto const& part : parts) {
    if (!part.document.empty()) continue;
    auto brought = bring_bundled(part, *open->bundle);
    if (!brought && brought.error().code == "disk_full") {
      // Before that is said, what the owner keeps besides is given up, too.
      give_back(state, Keep{});
      for (auto const& model : member_models(state)) give_back(context_.journal.state(model), Keep{});
      brought = bring_bundled(part, *open->bundle);
    }
    if (!brought && brought.error().code == "bundle_lost") {  // the network has the rest
      shop_.bundles.lose(brought.error().detail);
      all = false;
      break;
    }
    FLEET_CHECK(brought);
    all = all && *brought;
  }
  fetching_.reset();  // there is less to fetch than was planned
  bundled_ = this_one;
  all_bundled_ = all;
  return all;
}

Result<bool> ModelUpdate::bring_bundled(Part const& part, bundle::Bundle const& bundle) {
  bool all = true;
  auto const places = places_of(part, context_.identity.hardware);
  FLEET_CHECK(place_in_memory(part));
  FLEET_TRY(auto const ways, ways_in_bundle(part, bundle));
  for (auto const& place : places) {
    FLEET_TRY(bool const whole, is_whole(part, place));
    if (whole) continue;
    FLEET_CHECK(check_memory(part, *place.variant));
    FLEET_TRY(bool const brought, copy_bundled(part.model, place, bundle, ways));
    all = all && brought;
  }
  return all && !places.empty();  // none for this hardware: the plan says so
}

/// Of a protected release: recipes that make its files of what the bundle has, and their key. Nothing: its files lie there as they are.
Result<std::optional<ModelUpdate::BundledWays>> ModelUpdate::ways_in_bundle(Part const& part, bundle::Bundle const& bundle) const {
  FLEET_TRY(auto const key, data_key_of(part));
  if (!key) return std::optional<BundledWays>();
  BundledWays out{*key, {}};
  FLEET_TRY(auto const digest, Digest::parse(part.version.digest));
  auto const envelope = bundle.read(bundle::routes_name(digest, context_.identity.hardware), wire::kRoutesEnvelopeBytesMax);
  if (!envelope) return std::optional(std::move(out));
  FLEET_TRY(auto const routes, open_routes(context_.fs, context_.trusted.now(), context_.layout.directive_metadata(), *envelope, digest, context_.identity.hardware));
  for (auto const& file : routes.files)
    for (auto const& route : file.routes)
      if (route.bases.empty() && route.memory <= kRecipeMemoryMax) out.recipes.emplace(file.sha256, route.recipe);
  return std::optional(std::move(out));
}

Result<bool> ModelUpdate::copy_bundled(std::string const& model, Place const& place, bundle::Bundle const& bundle, std::optional<BundledWays> const& ways) {
  auto const dir = context_.slots.staging(model, place.name);
  FLEET_CHECK(context_.slots.prepare_staging(model, place.name, *place.variant));
  bool all = true;
  for (auto const& file : place.variant->files) {
    auto const path = dir + "/" + file.name;
    if (auto const slash = file.name.find_last_of('/'); slash != std::string::npos) FLEET_CHECK(context_.fs.make_dirs(dir + "/" + file.name.substr(0, slash)));
    auto const there = crypto::sha256_file(context_.fs, path, &interrupt_.flag());
    if (there && there->sha256 == file.sha256) continue;
    bool copied = false;
    if (!ways) {
      FLEET_TRY(copied, copy_from_bundle(context_.fs, bundle, file, path, interrupt_.flag()));
    } else if (auto const recipe = ways->recipes.find(file.sha256); recipe != ways->recipes.end()) {
      FLEET_TRY(copied, assemble_from_bundle(context_.fs, bundle, file, recipe->second, ways->key, path, interrupt_.flag()));
    }
    all = all && copied;
  }
  return all;
}

}  // namespace fleet::agent
