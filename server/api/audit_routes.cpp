#include "core/trust/audit_chain.hpp"
#include "server/api/route.hpp"
#include "server/events/audit.hpp"
#include "server/signing/key_ring.hpp"

#include <fmt/format.h>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace fleet::api {
namespace json = boost::json;
namespace {

std::string checkpoint_json(events::KeptCheckpoint const& one) {
  return json::serialize(json::object{{"seq", one.seq}, {"time", to_rfc3339(one.time, true)}, {"envelope", json::parse(one.envelope)}});
}

/// One page of what `list` gives and `encode` writes, by the number of the entry.
template <class List, class Encode>
Result<Reply> page_of(Call const& call, db::Connection& reader, List const& list, Encode const& encode) {
  FLEET_TRY(auto const page, read_page(call));
  FLEET_TRY(auto const after, read_number_cursor(page, 0));
  FLEET_TRY(auto found, list(reader, after, page.limit + 1));
  bool const more = found.size() > static_cast<std::size_t>(page.limit);
  if (more) found.pop_back();
  std::vector<std::string> items;
  for (auto const& one : found) items.push_back(encode(one));
  return list_reply(call, items, more ? std::to_string(found.back().seq) : std::string());
}

/// A time, or how long ago.
Result<SysTime> read_since(Call const& call) {
  auto const text = call.query_value("since");
  if (text.empty()) return SysTime{};
  if (auto const ago = parse_duration(text)) return call.now - *ago;
  if (auto const at = parse_rfc3339(text)) return *at;
  return Error{Kind::bad_input, "bad_parameter", fmt::format("since: expected a time (RFC 3339) or how long ago (24h), got '{}'", text)};
}

Result<Reply> list_audit(Services& services, Call const& call) {
  FLEET_CHECK(only_query(call, {"actor", "action", "subject", "since", "limit", "cursor"}));
  FLEET_TRY(auto const since, read_since(call));
  events::Filter const filter{call.query_value("actor"), call.query_value("action"), call.query_value("subject"), since};
  auto const list = [&](db::Connection& reader, std::int64_t after, int limit) { return events::list(reader, after, limit, filter); };
  return page_of(call, services.store.reader(), list, [](trust::AuditEntry const& entry) { return trust::encode(entry); });
}

Result<Reply> list_checkpoints(Services&, Call const& call, db::Connection& reader) {
  FLEET_CHECK(only_query(call, {"limit", "cursor"}));
  return page_of(call, reader, events::list_checkpoints, checkpoint_json);
}

Result<Reply> get_key(Services& services, Call const& call) {
  FLEET_CHECK(only_query(call, {}));
  FLEET_TRY(auto const key, services.keys->get_or_create("audit"));
  Reply reply;
  reply.body = trust::encode(key.public_key());
  return reply;
}

Result<Reply> sign_head(Services& services, Call const& call) {
  FLEET_TRY(auto const key, services.keys->get_or_create("audit"));
  FLEET_TRY(auto const made, services.store.write_value<events::KeptCheckpoint>(store::Lane::verbs, [&](store::Tx& tx) { return events::checkpoint(tx, key, call.now); }));
  Reply reply;
  reply.body = checkpoint_json(made);
  return reply;
}

}  // namespace

std::vector<Route> const& audit_routes() {
  using enum net::Method;
  using P = Permission;
  static std::vector<Route> const routes{
      {get, "/api/v1/audit", P::administer, kWhole, WorkHandler{list_audit}},
      {get, "/api/v1/audit/checkpoints", P::administer, kWhole, ReadHandler{list_checkpoints}},
      {get, "/api/v1/audit/key", P::read, kOpen, WorkHandler{get_key}},
      {post, "/api/v1/audit:checkpoint", P::administer, kWhole, WorkHandler{sign_head}, 1024},
  };
  return routes;
}

}  // namespace fleet::api
