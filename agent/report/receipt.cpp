#include "agent/report/receipt.hpp"

#include "agent/store/boot_id.hpp"
#include "agent/store/credentials.hpp"
#include "core/crypto/private_key.hpp"
#include "core/trust/dsse.hpp"

namespace fleet::agent {
namespace {

/// A line of the control socket holds it in base64 and escaped.
constexpr std::size_t kItemsBytes = 384 * 1024;

}  // namespace

Result<ReceiptLine> make_receipt(Context& context, std::int64_t directive_sequence, wire::ByTier<std::int64_t> const& after) {
  ReceiptLine out;
  out.after = after;
  wire::Receipt receipt{context.identity.id, directive_sequence, context.trusted.now(), context.spool->unacked(after, kItemsBytes)};
  receipt.report.boot_id = read_boot_id(context.fs);
  for (auto const tier : wire::kTiers)
    if (auto const& items = receipt.report.items[tier]; !items.empty()) out.after[tier] = items.back().sequence;
  out.more = context.spool->unacked(out.after, 1).size() > 0;
  // The newest pair: a renewed key is known to the server since the renewal.
  FLEET_TRY(auto const credentials, Credentials(context.fs, context.layout).load(context.identity));
  FLEET_TRY(auto const key, crypto::PrivateKey::load(credentials.front().private_key));
  wire::SignedReceipt line{context.identity.id, {}, {}};
  FLEET_TRY(line.key, crypto::public_pem(key));
  auto const payload = wire::encode(receipt);
  FLEET_TRY(line.envelope, trust::make_envelope_by(wire::kReceiptPayloadType, as_bytes(payload), context.identity.id,
                                                   [&](BytesView message) { return crypto::sign(key, message); }));
  out.text = wire::encode(line);
  return out;
}

}  // namespace fleet::agent
