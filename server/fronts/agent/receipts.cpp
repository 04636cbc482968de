#include "server/fronts/agent/receipts.hpp"

#include "core/crypto/hash.hpp"
#include "core/trust/dsse.hpp"
#include "server/delivery/bundles.hpp"
#include "server/events/audit.hpp"
#include "server/fronts/agent/reports.hpp"
#include "server/registry/enrol.hpp"

#include <fmt/format.h>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace fleet::fronts {
namespace json = boost::json;
namespace {

/// How many items lie above what was acknowledged.
std::int64_t count_above(wire::Report const& report, wire::ByTier<std::int64_t> const& acked) {
  std::int64_t out = 0;
  for (auto const tier : wire::kTiers)
    for (auto const& item : report.items[tier])
      if (item.sequence > acked[tier]) ++out;
  return out;
}

}  // namespace

Result<OpenedReceipt> open_receipt(db::Connection& reader, wire::SignedReceipt const& line) {
  FLEET_TRY(auto const key, crypto::public_key_from_pem(line.key));
  FLEET_TRY(auto const bytes, crypto::key_bytes(key));
  FLEET_TRY(auto const known, registry::find_key(reader, crypto::sha256(bytes)));
  if (!known || known->id != line.device)
    return Error{Kind::signature, "unknown_key", fmt::format("the receipt is not signed by a key of device '{}'", line.device), "was the device enrolled anew since?"};
  FLEET_CHECK(registry::check_state(known->id, known->state));
  FLEET_TRY(auto const payload, trust::open_envelope_by(as_bytes(line.envelope), wire::kReceiptPayloadType, key, wire::kReceiptBytesMax));
  FLEET_TRY(auto receipt, wire::decode_receipt(as_text(payload)));
  if (receipt.device != known->id) return Error{Kind::signature, "foreign_receipt", fmt::format("the receipt is of device '{}', not of '{}'", receipt.device, known->id)};
  return OpenedReceipt{known->n, std::move(receipt)};
}

Result<AcceptedReceipt> accept_receipt(store::Store& store, rollout::Engine& engine, OpenedReceipt opened, events::Deed const& deed, telemetry::Sink* sink) {
  AcceptedReceipt out;
  auto const device = opened.receipt.device;
  out.items = static_cast<std::int64_t>(opened.receipt.report.size());
  auto const begin = [&](store::Tx& tx) -> Result<void> {
    FLEET_TRY(auto acked, delivery::load_tiers(tx.connection(), {&opened.device_n, 1}));
    out.acked = acked[opened.device_n];
    out.fresh = count_above(opened.receipt.report, out.acked);
    FLEET_CHECK(delivery::take_order(tx, opened.device_n, opened.receipt.directive_sequence));
    tx.raise_device_epoch(opened.device_n);
    auto const told = json::serialize(json::object{{"items", out.items}, {"new", out.fresh}, {"made_at", to_rfc3339(opened.receipt.made_at)}});
    return events::record(tx, deed, "receipt.accepted", "device/" + device, {}, told);
  };
  FLEET_CHECK(store.write_wait(store::Lane::devices, begin));
  bool held = false;
  for (auto const& piece : cut(std::move(opened.receipt.report))) {
    auto const take = [&](store::Tx& tx) -> Result<void> {
      FLEET_TRY(auto const answer, take_report(tx, engine, opened.device_n, piece, deed.at, Heard::by_file, sink));
      out.acked = answer.acked;
      held = is_held(piece, answer);
      return {};
    };
    FLEET_CHECK(store.write_wait(store::Lane::devices, take));
    if (held) return Error{Kind::unavailable, "busy", "not all of it was taken: what devices measure waits for the place that keeps it", "accept it again later: each item counts once"};
  }
  return out;
}

}  // namespace fleet::fronts
