#include "server/delivery/dispatch.hpp"

#include "core/trust/dsse.hpp"
#include "server/delivery/bundles.hpp"
#include "server/delivery/protected.hpp"
#include "server/delivery/queries.hpp"
#include "server/delivery/support.hpp"

#include <algorithm>

namespace fleet::delivery {

Result<void> name_releases(store::Tx& tx, std::int64_t device_n, rollout::Decision const& decision) {
  for (auto const& desired : decision.models) {
    auto const hash = desired.target.hashes.find("sha256");
    if (desired.target.model.empty() || hash == desired.target.hashes.end()) continue;
    auto const digest = Digest::parse(hash->second);
    if (digest) FLEET_CHECK(tx.prepare(kNameRelease).bind_all(device_n, *digest).run());
  }
  return {};
}

std::int64_t believable_sequence(std::int64_t device_sequence) {
  constexpr std::int64_t kMost = (std::int64_t{1} << 53) - (std::int64_t{1} << 40);
  return std::min(device_sequence, kMost);
}

std::string encode_targets(rollout::Decision const& decision) {
  std::vector<wire::DirectiveTarget> targets;
  for (auto const& desired : decision.models) {
    auto target = desired.target;
    target.revoked = desired.revoked;
    if (target.model.empty()) {  // nothing is said of what to run
      target.model = desired.model;
      target.action = wire::Action::none;
    }
    if (target.action != wire::Action::none || !target.revoked.empty()) targets.push_back(std::move(target));
  }
  std::sort(targets.begin(), targets.end(), [](auto const& a, auto const& b) { return a.model < b.model; });
  return wire::encode_targets(targets);
}

Result<Plan> plan_device(db::Connection& reader, rollout::Engine& engine, std::int64_t device_n, SysTime now) {
  Plan plan;
  FLEET_TRY(plan.facts, registry::load_device_facts(reader, device_n));
  if (!plan.facts.cache) {
    FLEET_TRY(plan.decision, engine.decide(reader, plan.facts, now));
    FLEET_CHECK(add_holds(reader, device_n, plan.decision));
  }
  plan.joins = std::any_of(plan.decision.models.begin(), plan.decision.models.end(), [](auto const& one) { return one.joins; });
  plan.targets = encode_targets(plan.decision);
  FLEET_TRY(plan.collect, wanted_support(reader, device_n));
  return plan;
}

bool is_settled(DeviceRecord const& record, Plan const& plan, std::int64_t device_sequence) {
  return !plan.joins && !plan.decision.gave_up && record.targets == plan.targets && record.collect == plan.collect && device_sequence <= record.sequence;
}

Result<Settled> settle(store::Tx& tx, rollout::Engine& engine, std::int64_t device_n, wire::PollRequest const* told, std::int64_t device_sequence,
                       SysTime now) {
  Settled settled;
  FLEET_TRY(settled.record, load_record(tx.connection(), device_n));
  auto& record = settled.record;
  if (told != nullptr) {
    auto const before = record.models;
    FLEET_CHECK(record_poll(tx, record, *told, now));
    FLEET_CHECK(engine.on_poll(tx, device_n, before, told->models, now));
  }
  if (device_sequence > record.sequence) FLEET_CHECK(take_order(tx, device_n, device_sequence));
  FLEET_TRY(auto const plan, plan_device(tx.connection(), engine, device_n, now));
  settled.valid_until = plan.decision.valid_until;
  if (is_settled(record, plan, device_sequence)) return settled;
  if (plan.decision.gave_up && record.targets == plan.targets && device_sequence >= record.sequence)
    FLEET_CHECK(engine.withdrawn(tx, device_n, record.models, plan.decision));
  if (record.targets != plan.targets || record.collect != plan.collect || device_sequence > record.sequence) {
    record.sequence = std::max({record.sequence, record.reserved, device_sequence}) + 1;
    record.targets = plan.targets;
    record.collect = plan.collect;
    FLEET_CHECK(tx.prepare(kSetDirective).bind_all(device_n, record.sequence, record.targets, record.collect).run());
    FLEET_CHECK(name_releases(tx, device_n, plan.decision));
  }
  FLEET_CHECK(engine.dispatched(tx, plan.facts, plan.decision, now));
  return settled;
}

Result<std::string> sign(signing::KeyRing& keys, wire::Directive const& directive) {
  FLEET_TRY(auto const key, keys.get("directive-root"));
  auto const payload = wire::encode(directive);
  return trust::make_envelope(wire::kDirectivePayloadType, as_bytes(payload), {&key, 1});
}

Result<std::string> sign_directive(db::Connection& reader, signing::KeyRing& keys, DeviceRecord const& record, std::string const& nonce, SysTime now) {
  wire::Directive directive;
  directive.device = record.id;
  directive.sequence = record.sequence;
  directive.nonce = nonce;
  directive.issued_at = std::chrono::floor<seconds>(now);
  directive.expires = directive.issued_at + kDirectiveLifetime;
  directive.act_before = directive.issued_at + kDirectiveLifetime;
  FLEET_TRY(directive.targets, wire::decode_targets(record.targets));
  FLEET_TRY(directive.collect, wire::decode_collect(record.collect));
  FLEET_CHECK(put_data_keys(reader, keys, directive));
  return sign(keys, directive);
}

Result<std::string> sign_ca(Services const& services) {
  FLEET_TRY(auto const key, services.keys->get("directive-root"));
  auto const payload = wire::encode(wire::CaAnnouncement{services.ca_version, services.ca.certificate});
  return trust::make_envelope(wire::kCaPayloadType, as_bytes(payload), {&key, 1});
}

}  // namespace fleet::delivery
