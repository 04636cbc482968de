#include "server/api/content_files.hpp"

#include "server/catalog/releases.hpp"
#include "server/content/recipes.hpp"

namespace fleet::api {

Result<Reply> get_device_routes(Services& services, Call const& call) {
  auto const digest = Digest::parse(call.path_value("digest"));
  if (!digest) return Error{Kind::not_found, "unknown_release", "a release is named by the SHA-256 of its release.json"};
  FLEET_TRY(auto routes, routes::sign_routes(services.store.reader(), *services.keys, *digest, call.actor.device_n));
  if (routes.wanting != 0) FLEET_CHECK(routes::want_encrypted(services.store, routes.wanting, call.now));
  Reply reply;
  reply.body = std::move(routes.envelope);
  return reply;
}

Result<Reply> list_release_routes(Services& services, Call const& call) {
  auto& reader = services.store.reader();
  FLEET_TRY(auto const release, catalog::load_release(reader, call.path_value("m"), call.path_value("v")));
  FLEET_TRY(auto const document, wire::decode_release(release.document));
  FLEET_TRY(auto const items, routes::routes_json(reader, document));
  return list_reply(call, items, {});
}

}  // namespace fleet::api
