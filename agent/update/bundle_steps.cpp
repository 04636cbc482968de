#include "agent/delivery/bundled.hpp"
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
  for (auto const& place : places) {
    FLEET_TRY(bool const whole, is_whole(part, place));
    if (whole) continue;
    FLEET_TRY(bool const brought, copy_bundled(part.model, place, bundle));
    all = all && brought;
  }
  return all && !places.empty();  // none for this hardware: the plan says so
}

Result<bool> ModelUpdate::copy_bundled(std::string const& model, Place const& place, bundle::Bundle const& bundle) {
  auto const dir = context_.slots.staging(model, place.name);
  FLEET_CHECK(context_.slots.prepare_staging(model, place.name, *place.variant));
  bool all = true;
  for (auto const& file : place.variant->files) {
    auto const path = dir + "/" + file.name;
    if (auto const slash = file.name.find_last_of('/'); slash != std::string::npos) FLEET_CHECK(context_.fs.make_dirs(dir + "/" + file.name.substr(0, slash)));
    auto const there = crypto::sha256_file(context_.fs, path, &interrupt_.flag());
    if (there && there->sha256 == file.sha256) continue;
    FLEET_TRY(bool const copied, copy_from_bundle(context_.fs, bundle, file, path, interrupt_.flag()));
    all = all && copied;
  }
  return all;
}

}  // namespace fleet::agent
