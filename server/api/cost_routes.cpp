#include "server/api/route.hpp"
#include "server/cost/report.hpp"
#include "server/fronts/agent/parking.hpp"

#include <fmt/format.h>

#include <charconv>

namespace fleet::api {
namespace {

constexpr std::uint64_t kBodyMax = 64 * 1024;
constexpr std::int64_t kKeepMax = 10'000;

// Bytes out are summed over devices of every kind.
constexpr Scope kCost{Bound::filtered, Bound::closed, {{Place::query, "model", Thing::model}, {Place::query, "rollout", Thing::rollout}}};

Result<std::optional<std::int64_t>> read_keep(Call const& call) {
  auto const text = call.query_value("keep_releases");
  if (text.empty()) return std::optional<std::int64_t>();
  std::int64_t out = 0;
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error == std::errc{} && end == text.data() + text.size() && out >= 1 && out <= kKeepMax) return std::optional(out);
  return Error{Kind::bad_input, "bad_parameter", fmt::format("keep_releases: '{}', expected a number from 1 to {}", text.substr(0, 64), kKeepMax)};
}

cost::Running running_of(Services const& services) {
  cost::Running out;
  if (services.parking != nullptr) out.parked = static_cast<std::int64_t>(services.parking->count());
  if (services.net != nullptr) out.sent_bytes = services.net->counters().file_bytes;
  return out;
}

Result<Reply> get_cost(Services& services, Call const& call) {
  FLEET_CHECK(only_query(call, {"model", "rollout", "keep_releases"}));
  FLEET_TRY(auto const keep, read_keep(call));
  auto const model = call.query_value("model"), rollout = call.query_value("rollout");
  if (!rollout.empty() && (keep || !model.empty()))
    return Error{Kind::bad_input, "bad_parameter", "rollout: asks for one rollout alone, without model and keep_releases"};
  auto& reader = services.store.reader();
  Reply reply;
  if (!rollout.empty()) {
    FLEET_TRY(reply.body, cost::rollout_cost_json(reader, rollout));
  } else {
    FLEET_TRY(reply.body, cost::cost_json(reader, {model, keep, call.actor.limits.model}, running_of(services), call.now));
  }
  return reply;
}

Reply prices_reply(cost::Prices const& prices) {
  Reply reply;
  reply.revision = prices.revision;
  reply.body = cost::prices_json(prices);
  return reply;
}

Result<Reply> get_prices(Services&, Call const&, db::Connection& reader) {
  FLEET_TRY(auto const prices, cost::load_prices(reader));
  return prices_reply(prices);
}

Result<Reply> put_prices(Services&, Call const& call, store::Tx& tx) {
  FLEET_TRY(auto const wanted, cost::decode_prices(call.request.body));
  FLEET_TRY(auto const before, cost::load_prices(tx.connection()));
  if (before.revision > 0 || !call.request.header("If-Match").empty()) FLEET_CHECK(check_if_match(call, before.revision));
  FLEET_TRY(auto const after, cost::set_prices(tx, wanted.prices, call.deed(wanted.reason)));
  return prices_reply(after);
}

}  // namespace

std::vector<Route> const& cost_routes() {
  using enum net::Method;
  using P = Permission;
  static std::vector<Route> const kRoutes{
      {get, "/api/v1/cost", P::read, kCost, WorkHandler{get_cost}, 0},
      {get, "/api/v1/cost/prices", P::read, kOpen, ReadHandler{get_prices}, 0},
      {put, "/api/v1/cost/prices", P::administer, kWhole, WriteHandler{put_prices}, kBodyMax},
  };
  return kRoutes;
}

}  // namespace fleet::api
