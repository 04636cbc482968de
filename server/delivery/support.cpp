#include "server/delivery/support.hpp"

#include "core/crypto/hash.hpp"
#include "server/delivery/queries.hpp"
#include "server/events/audit.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace fleet::delivery {
namespace json = boost::json;
namespace {

Result<void> make_room(store::Tx& tx, std::int64_t bytes, std::int64_t store_bytes) {
  auto sum = tx.prepare(kSupportBytes);
  FLEET_CHECK(sum.step());
  for (auto all = sum.int64(0) + bytes; all > store_bytes;) {
    auto oldest = tx.prepare(kOldestSupport);
    FLEET_TRY(bool const found, oldest.step());
    if (!found) return {};
    all -= oldest.int64(1);
    FLEET_CHECK(tx.prepare(kDropSupport).bind_all(oldest.int64(0)).run());
  }
  return {};
}

}  // namespace

Result<std::optional<Support>> load_support(db::Connection& reader, std::int64_t device_n) {
  auto row = reader.prepare(kSupport);
  FLEET_TRY(bool const found, row.bind(1, device_n).step());
  if (!found) return std::optional<Support>();
  Support out{row.text(0), row.int64(1) != 0, row.text(2), from_unix_ms(row.int64(3)), {}, {}, row.int64(6), {}};
  if (!row.is_null(4)) {
    out.received_at = from_unix_ms(row.int64(4));
    out.made_at = from_unix_ms(row.int64(5));
    out.sha256 = row.digest(7).hex();
  }
  return std::optional(std::move(out));
}

Result<std::string> load_support_content(db::Connection& reader, std::int64_t device_n) {
  auto row = reader.prepare(kSupportContent);
  FLEET_TRY(bool const found, row.bind(1, device_n).step());
  return found ? std::string(as_text(row.blob(0))) : std::string();
}

Result<std::string> wanted_support(db::Connection& reader, std::int64_t device_n) {
  auto row = reader.prepare(kSupportWanted);
  FLEET_TRY(bool const found, row.bind(1, device_n).step());
  return found ? wire::encode_collect(wire::CollectOrder{row.text(0), row.int64(1) != 0}) : std::string();
}

Result<Support> ask_support(store::Tx& tx, std::int64_t device_n, std::string const& device, std::string const& id, bool metered, events::Deed const& deed) {
  FLEET_TRY(auto before, load_support(tx.connection(), device_n));
  if (before && !before->is_received() && before->metered == metered) return *std::move(before);
  FLEET_CHECK(tx.prepare(kAskSupport).bind_all(device_n, id, metered ? 1 : 0, deed.actor, to_unix_ms(deed.at)).run());
  FLEET_CHECK(events::record(tx, deed, "device.support_asked", "device/" + device, {}, json::serialize(json::object{{"id", id}, {"metered", metered}})));
  tx.raise_device_epoch(device_n);
  return Support{id, metered, deed.actor, deed.at, {}, {}, 0, {}};
}

Result<void> take_support(store::Tx& tx, std::int64_t device_n, std::string const& device, wire::SupportItem const& item, SysTime now, std::int64_t store_bytes) {
  FLEET_TRY(auto const asked, load_support(tx.connection(), device_n));
  if (!asked || asked->is_received() || asked->id != item.id || item.content.empty()) return {};
  auto const size = static_cast<std::int64_t>(item.content.size());
  FLEET_CHECK(make_room(tx, size, store_bytes));
  auto const digest = crypto::sha256(as_bytes(item.content));
  FLEET_CHECK(tx.prepare(kPutSupport).bind_all(device_n, to_unix_ms(now), to_unix_ms(item.at), size, digest, as_bytes(item.content)).run());
  events::Deed const deed{now, "device:" + device};
  auto const told = json::serialize(json::object{{"id", item.id}, {"size", size}, {"sha256", digest.hex()}});
  FLEET_CHECK(events::record(tx, deed, "device.support_received", "device/" + device, {}, told));
  tx.raise_device_epoch(device_n);  // its directive asks no more
  return {};
}

}  // namespace fleet::delivery
