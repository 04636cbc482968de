#include "server/delivery/bundles.hpp"

#include "server/delivery/protected.hpp"
#include "server/delivery/queries.hpp"
#include "server/events/audit.hpp"
#include "server/rollout/shell/set_rows.hpp"

#include <fmt/format.h>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <set>

namespace fleet::delivery {
namespace {

namespace json = boost::json;

wire::DirectiveTarget target_of(Bundle const& bundle, std::string const& model, std::string const& version, Digest const& digest, std::int64_t document_bytes) {
  wire::DirectiveTarget out;
  out.model = model;
  out.path = fmt::format("models/{}/{}/release.json", model, version);
  out.length = static_cast<std::uint64_t>(document_bytes);
  out.hashes = {{"sha256", digest.hex()}};
  out.rollout = bundle.id;
  out.attempt = 1;
  return out;
}

/// What the bundle says: of a set, its members, too.
std::vector<wire::DirectiveTarget> targets_of(Bundle const& bundle, BundleRelease const& release) {
  std::vector out{target_of(bundle, release.model, release.version, release.digest, release.document_bytes)};
  for (auto const& member : release.members) {
    auto target = target_of(bundle, member.model, member.version, member.digest, member.document_bytes);
    target.set = release.model;
    target.after = member.after;
    out.push_back(std::move(target));
  }
  return out;
}

rollout::Desired* find(rollout::Decision& decision, std::string const& model) {
  auto const found = std::find_if(decision.models.begin(), decision.models.end(), [&](auto const& one) { return one.model == model; });
  return found == decision.models.end() ? nullptr : &*found;
}

/// The bundle's word in place of what was said.
void put(rollout::Decision& decision, wire::DirectiveTarget target, rollout::Because why) {
  auto* desired = find(decision, target.model);
  if (desired == nullptr) desired = &decision.models.emplace_back();
  desired->model = target.model;
  auto const slash = target.path.rfind('/');
  auto const before = target.path.rfind('/', slash - 1);
  desired->version = target.path.substr(before + 1, slash - before - 1);
  desired->target = std::move(target);
  desired->rollout_n = 0;
  desired->joins = false;
  desired->takes.reset();
  desired->members.clear();
  desired->because.push_back(std::move(why));
}

bool installs(rollout::Desired const* one, std::string const& digest) {
  if (one == nullptr || one->target.action != wire::Action::install) return false;
  auto const found = one->target.hashes.find("sha256");
  return found != one->target.hashes.end() && found->second == digest;
}

/// Why the bundle has nothing to say of these models to the device; nothing: it may.
std::optional<LeftOut> held_by_others(rollout::Decision& decision, std::vector<wire::DirectiveTarget> const& targets, std::string const& device) {
  for (auto const& target : targets) {
    auto const* const said = find(decision, target.model);
    if (said == nullptr) continue;
    if (!said->holder.empty())
      return LeftOut{device, "covered", fmt::format("rollout {} of {} covers it: once that has told it the release, a bundle brings it", said->holder, target.model)};
    if (!said->target.model.empty() && !said->target.set.empty() && said->target.set != target.set)
      return LeftOut{device, "in_a_set", fmt::format("it runs {} as a member of a set: bundle that", target.model)};
  }
  return std::nullopt;
}

Bundle read_bundle(db::Statement const& row) {
  return {.id = row.text(0),
          .model = row.text(1),
          .version = row.text(2),
          .selector = row.text(3),
          .created_by = row.text(4),
          .created_at = from_unix_ms(row.int64(5)),
          .expires_at = from_unix_ms(row.int64(6)),
          .devices = row.int64(7),
          .taken = row.int64(8)};
}

Result<void> hold(store::Tx& tx, std::int64_t device_n, std::string const& bundle, std::string const& targets) {
  FLEET_TRY(auto const decoded, wire::decode_targets(targets));
  for (auto const& target : decoded)
    if (target.rollout == bundle) FLEET_CHECK(tx.prepare(kPutHold).bind_all(device_n, target.model, bundle, wire::encode_targets({target})).run());
  return {};
}

/// One bundle's word to a device.
struct Held {
  std::string bundle;
  SysTime made_at{};
  bool revoked = false;
  std::vector<wire::DirectiveTarget> targets;
};
Result<std::vector<Held>> load_holds(db::Connection& reader, std::int64_t device_n) {
  std::vector<Held> out;
  auto rows = reader.prepare(kHolds);
  rows.bind(1, device_n);
  for (;;) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) break;
    FLEET_TRY(auto const targets, wire::decode_targets(rows.text(1)));
    auto known = std::find_if(out.begin(), out.end(), [&](Held const& one) { return one.bundle == rows.text_view(0); });
    if (known == out.end()) known = out.insert(out.end(), {rows.text(0), from_unix_ms(rows.int64(2)), rows.int64(3) != 0, {}});
    known->targets.insert(known->targets.end(), targets.begin(), targets.end());
  }
  return out;
}

/// What a rollout says counts before what a bundle brought where it lives, takes something back, or ended later.
Result<bool> counts_before(db::Connection& reader, rollout::Desired const* said, Held const& held) {
  if (said == nullptr || said->target.model.empty() || said->target.action == wire::Action::none) return false;
  if (said->target.action == wire::Action::revert || said->target.action == wire::Action::remove || said->target.action == wire::Action::prove) return true;
  auto row = reader.prepare(kRolloutEnd);
  FLEET_TRY(bool const found, row.bind(1, said->target.rollout).step());
  if (!found) return false;
  bool const ended = row.text_view(0) == "completed" || row.text_view(0) == "aborted";
  return !ended || from_unix_ms(row.int64(1)) > held.made_at;
}

}  // namespace

Result<BundleRelease> load_bundle_release(db::Connection& reader, std::string_view model, std::string_view version) {
  auto row = reader.prepare(kBundleRelease);
  FLEET_TRY(bool const found, row.bind_all(model, version).step());
  auto const name = fmt::format("{}@{}", model.substr(0, 64), version.substr(0, 64));
  if (!found) return Error{Kind::not_found, "unknown_release", fmt::format("there is no release {}", name)};
  auto const state = row.text(3);
  if (state == "revoked") return Error{Kind::conflict, "revoked", fmt::format("release {} was revoked", name)};
  if (state != "approved" || row.int64(4) != 0)
    return Error{Kind::conflict, "not_approved", fmt::format("release {} is {}, or one of its members is: no device would take it", name, state), "fleetctl release approve"};
  BundleRelease out{row.int64(0), std::string(model), std::string(version), row.digest(1), static_cast<std::int64_t>(row.text_view(2).size()), {}, {}};
  FLEET_TRY(auto const whole, rollout::load_whole(reader, out.n, row.text(2)));
  for (auto const& variant : whole.release.variants) out.hardware.insert(out.hardware.end(), variant.hardware.begin(), variant.hardware.end());
  FLEET_TRY(out.members, rollout::load_members(reader, out.n));
  return out;
}

Result<void> add_bundle(store::Tx& tx, Bundle const& bundle, BundleRelease const& release, events::Deed const& deed) {
  FLEET_CHECK(tx.prepare(kAddBundle)
                  .bind_all(bundle.id, release.n, bundle.selector, bundle.created_by, to_unix_ms(bundle.created_at), to_unix_ms(bundle.expires_at))
                  .run());
  auto const after = json::serialize(json::object{{"model", bundle.model},
                                                  {"version", bundle.version},
                                                  {"selector", bundle.selector},
                                                  {"expires_at", to_rfc3339(bundle.expires_at)}});
  return events::record(tx, deed, "bundle.exported", "bundle/" + bundle.id, {}, after);
}

Result<Bundle> load_bundle(db::Connection& reader, std::string_view id) {
  auto row = reader.prepare(kGetBundle);
  FLEET_TRY(bool const found, row.bind(1, id).step());
  if (!found) return Error{Kind::not_found, "unknown_bundle", fmt::format("there is no bundle '{}'", id.substr(0, 64))};
  return read_bundle(row);
}

Result<BundledDocument> load_bundled_document(db::Connection& reader, std::string_view bundle, Digest const& digest) {
  auto row = reader.prepare(kBundledDocument);
  FLEET_TRY(bool const found, row.bind_all(bundle, digest).step());
  if (!found) return Error{Kind::not_found, "unknown_release", fmt::format("bundle {} brings no release {}", bundle.substr(0, 64), digest.hex())};
  return BundledDocument{row.int64(0), row.text(1)};
}

Result<std::vector<Bundle>> list_bundles(db::Connection& reader, std::string_view before, int limit) {
  std::vector<Bundle> out;
  auto rows = reader.prepare(kListBundles);
  rows.bind_all(before, limit);
  for (;;) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return out;
    out.push_back(read_bundle(rows));
  }
}

Result<std::optional<LeftOut>> add_order(store::Tx& tx, rollout::Engine& engine, Bundle const& bundle, BundleRelease const& release,
                                         registry::DeviceFacts const& device, SysTime now) {
  if (std::find(release.hardware.begin(), release.hardware.end(), device.hardware) == release.hardware.end())
    return std::optional(LeftOut{device.id, "no_variant", fmt::format("{}@{} has no variant for {}", release.model, release.version, device.hardware)});
  FLEET_TRY(auto const record, load_record(tx.connection(), device.n));
  FLEET_TRY(auto plan, plan_device(tx.connection(), engine, device.n, now));
  // What a rollout told it already counts there; what an older bundle brought is told anew by this one.
  auto const* const said = find(plan.decision, release.model);
  if (!installs(said, release.digest.hex()) || said->target.rollout.starts_with(kBundlePrefix)) {
    auto targets = targets_of(bundle, release);
    if (auto out = held_by_others(plan.decision, targets, device.id)) return out;
    for (auto& target : targets) put(plan.decision, std::move(target), {"bundle", fmt::format("bundle {} brings it", bundle.id)});
  }
  auto const sequence = std::max(record.sequence, record.reserved) + 1;
  FLEET_CHECK(tx.prepare(kReserveSequence).bind_all(device.n, sequence).run());
  FLEET_CHECK(tx.prepare(kAddOrder).bind_all(bundle.id, device.n, sequence, encode_targets(plan.decision)).run());
  FLEET_CHECK(name_releases(tx, device.n, plan.decision));
  bool const joins = std::any_of(plan.decision.models.begin(), plan.decision.models.end(), [](auto const& one) { return one.joins; });
  if (joins) FLEET_CHECK(engine.dispatched(tx, plan.facts, plan.decision, now));
  tx.raise_device_epoch(device.n);  // what is remembered of it has the sequence before
  return std::optional<LeftOut>{};
}

Result<SignedOrders> sign_orders(db::Connection& reader, signing::KeyRing& keys, Bundle const& bundle, std::int64_t after, int limit, SysTime now) {
  if (now >= bundle.expires_at) return Error{Kind::conflict, "bundle_expired", fmt::format("bundle {} expired {}", bundle.id, to_rfc3339(bundle.expires_at)), "export a new one"};
  SignedOrders out;
  auto rows = reader.prepare(kListOrders);
  rows.bind_all(bundle.id, after, limit + 1);
  for (;;) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return out;
    if (out.items.size() == static_cast<std::size_t>(limit)) {
      out.next = after;
      return out;
    }
    after = rows.int64(0);
    wire::Directive directive;
    directive.device = rows.text(1);
    directive.sequence = rows.int64(3);
    directive.issued_at = std::chrono::floor<seconds>(bundle.created_at);
    directive.expires = directive.act_before = std::chrono::floor<seconds>(bundle.expires_at);
    FLEET_TRY(directive.targets, wire::decode_targets(rows.text(4)));
    FLEET_CHECK(put_data_keys(reader, keys, directive));
    FLEET_TRY(auto envelope, sign(keys, directive));
    out.items.push_back({directive.device, rows.text(2), std::move(envelope)});
  }
}

Result<void> take_order(store::Tx& tx, std::int64_t device_n, std::int64_t sequence) {
  auto row = tx.prepare(kOrderBySequence);
  FLEET_TRY(bool const found, row.bind_all(device_n, sequence).step());
  if (!found) return {};
  return hold(tx, device_n, row.text(0), row.text(1));
}

Result<void> heed_report(store::Tx& tx, std::int64_t device_n, wire::UpdateItem const& item) {
  if (!item.rollout.starts_with(kBundlePrefix)) return {};
  if (item.state == "failed" || item.state == "rolled_back" || item.state == "ineligible")
    return tx.prepare(kDropHold).bind_all(device_n, item.model, item.rollout).run();
  auto row = tx.prepare(kOrderByBundle);
  FLEET_TRY(bool const found, row.bind_all(device_n, item.rollout).step());
  if (!found) return {};
  return hold(tx, device_n, row.text(0), row.text(1));
}

Result<void> add_holds(db::Connection& reader, std::int64_t device_n, rollout::Decision& decision) {
  FLEET_TRY(auto const holds, load_holds(reader, device_n));
  for (auto const& held : holds) {
    bool stands = !held.revoked;
    for (auto const& target : held.targets) {
      FLEET_TRY(bool const other, counts_before(reader, find(decision, target.model), held));
      stands = stands && !other;
    }
    if (!stands) continue;
    for (auto const& target : held.targets) put(decision, target, {"bundle", fmt::format("bundle {} brought it, and nothing newer is said", held.bundle)});
  }
  return {};
}

}  // namespace fleet::delivery
