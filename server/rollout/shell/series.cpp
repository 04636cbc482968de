#include "server/rollout/shell/series.hpp"

#include "core/wire/json_pieces.hpp"
#include "server/rollout/policy/json_number.hpp"
#include "server/rollout/shell/queries.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace fleet::rollout {
namespace json = boost::json;

Result<void> add_point(store::Tx& tx, Rollout const& rollout, Verdict const& verdict, Facts const& facts, SysTime now) {
  json::array gates;
  for (auto const& gate : verdict.gates)
    gates.push_back(
        json::object{{"name", gate.name}, {"e_value", json_number<json::value>(gate.e_value)}, {"threshold", json_number<json::value>(gate.threshold)}});
  json::object const point{{"stage", rollout.stage},     {"state", to_string(rollout.state)}, {"decided", facts.decided},
                           {"exposed", facts.exposed},   {"healthy", facts.healthy},          {"failed", facts.failed},
                           {"silent", facts.silent}, {"offline", facts.offline},          {"gates", std::move(gates)}};
  auto row = tx.prepare(queries::kAddPoint);
  row.bind_all(rollout.n, to_unix_ms(now), json::serialize(point));
  return row.run();
}

Result<std::string> series_json(db::Connection& reader, Rollout const& rollout) {
  json::array points;
  auto rows = reader.prepare(queries::kPoints);
  rows.bind_all(rollout.n);
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) break;
    json::object point;
    point["time"] = to_rfc3339(from_unix_ms(rows.int64(0)), true);
    auto const kept = wire::parse_own(rows.text_view(1));
    if (!kept.is_object()) return Error{Kind::corrupt, "bad_row", "rollout " + rollout.id + ": a point of its series is no object"};
    for (auto const& member : kept.get_object()) point[member.key()] = member.value();
    points.push_back(std::move(point));
  }
  return json::serialize(json::object{{"rollout", rollout.id}, {"points", std::move(points)}});
}

}  // namespace fleet::rollout
