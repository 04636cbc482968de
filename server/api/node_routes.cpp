#include "server/api/route.hpp"

#include "server/nodes/beats.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace fleet::api {
namespace {

namespace json = boost::json;

/// As the node that answers saw them in its last beat.
Result<Reply> list_nodes(Services& services, Call const&, db::Connection&) {
  json::array items;
  if (services.nodes != nullptr)
    for (auto const& [node, lives, leads] : services.nodes->nodes())
      items.push_back({{"id", node.id},
                       {"host", node.host},
                       {"version", node.version},
                       {"state", lives ? leads ? "leads" : "serves" : node.beat == 0 ? "never_ran" : "gone"},
                       {"api", node.api},
                       {"devices", node.devices},
                       {"joined_at", to_rfc3339(node.joined_at)},
                       {"seen_at", node.seen_at == SysTime{} ? json::value() : json::value(to_rfc3339(node.seen_at))}});
  Reply reply;
  reply.body = json::serialize(json::object{{"items", std::move(items)}});
  return reply;
}

}  // namespace

std::vector<Route> const& node_routes() {
  static std::vector<Route> const kRoutes{
      {net::Method::get, "/api/v1/nodes", Permission::read, kWhole, ReadHandler{list_nodes}},
  };
  return kRoutes;
}

}  // namespace fleet::api
