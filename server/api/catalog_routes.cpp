#include "server/api/catalog_files.hpp"
#include "server/api/content_files.hpp"
#include "server/api/model_routes.hpp"
#include "server/access/roles.hpp"
#include "server/api/route.hpp"
#include "server/catalog/attestations.hpp"
#include "server/catalog/releases.hpp"
#include "server/blobs/batch.hpp"
#include "server/registry/devices.hpp"
#include "server/registry/versions.hpp"

#include "core/wire/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace fleet::api {
namespace {

constexpr std::uint64_t kSmall = 64 * 1024;
constexpr std::uint64_t kModelBodyMax = 512 * 1024;  ///< its standing policies, too

// Releases are of every device: who is limited to some of them reads them and changes none.
constexpr Scope kModels{Bound::filtered, Bound::open};
constexpr Scope kModel{Bound::named, Bound::open, {{Place::path, "m", Thing::model}}};
constexpr Scope kDevices{Bound::named, Bound::filtered, {{Place::path, "m", Thing::model}}};
constexpr Scope kRelease{Bound::named, Bound::closed, {{Place::path, "m", Thing::model}}};
constexpr Scope kPublish{Bound::named, Bound::closed, {{Place::path, "m", Thing::model}, {Place::body, "parents", Thing::parents}, {Place::body, "members", Thing::parents}}};
constexpr Scope kRevoke{Bound::named, Bound::closed, {{Place::path, "m", Thing::model}, {Place::body, "recall", Thing::family}}};
constexpr Scope kUploads{Bound::filtered, Bound::closed};
constexpr Scope kUpload{Bound::named, Bound::closed, {{Place::path, "id", Thing::upload}}};
constexpr Scope kBlob{Bound::named, Bound::open, {{Place::path, "digest", Thing::blob}}};


blobs::UploadContext uploads_of(Services& services) { return {services.store, services.fs, services.random, *services.blobs}; }

// models ------------------------------------------------------------------------------------------------------------------------

Result<Reply> list_models(Services&, Call const& call, db::Connection& reader) {
  FLEET_CHECK(only_query(call, {"kind", "limit", "cursor"}));
  FLEET_TRY(auto const page, read_page(call));
  auto const kind = call.query_value("kind");
  if (!kind.empty() && kind != "model" && kind != "set") return Error{Kind::bad_input, "bad_parameter", fmt::format("kind: expected model or set, got '{}'", kind)};
  FLEET_TRY(auto const models, catalog::list_models(reader, call.actor.limits.model, kind, page.after, page.limit + 1));
  std::vector<std::string> items;
  auto const shown = std::min(models.size(), static_cast<std::size_t>(page.limit));
  for (std::size_t i = 0; i < shown; ++i) items.push_back(catalog::model_json(models[i]));
  return list_reply(call, items, models.size() > shown ? models[shown - 1].name : std::string());
}

Result<Reply> get_model(Services&, Call const& call, db::Connection& reader) {
  FLEET_TRY(auto const model, catalog::load_model(reader, call.path_value("m")));
  return model_reply(model);
}

// uploads -----------------------------------------------------------------------------------------------------------------------

Reply upload_reply(blobs::Upload const& upload, int status = 200) {
  Reply reply;
  reply.status = status;
  reply.body = blobs::upload_json(upload);
  reply.headers.push_back({"Upload-Offset", std::to_string(upload.received)});
  return reply;
}

Result<Reply> begin_upload(Services& services, Call const& call) {
  FLEET_TRY(auto const body, wire::parse_json(call.request.body, kSmall));
  std::vector<FieldError> faults;
  wire::ObjectReader reader(body, "", faults);
  auto const digest = Digest::parse(reader.required_text("sha256", 64));
  if (!digest) reader.fault("sha256", "expected 64 hex characters, lower case");
  auto const size = reader.required_integer("size", 0, std::numeric_limits<std::int64_t>::max());
  reader.refuse_unknown();
  FLEET_CHECK(wire::no_faults(faults, "upload"));
  FLEET_TRY(auto const upload, blobs::begin_upload(uploads_of(services), *digest, static_cast<std::uint64_t>(size), call.actor.name, call.actor.limits.model, call.now));
  return upload_reply(upload, upload.done ? 200 : 201);
}

Result<Reply> list_missing(Services& services, Call const& call) {
  FLEET_TRY(auto const files, blobs::decode_files(call.request.body, blobs::kAskedAtOnceMax));
  FLEET_TRY(auto const missing, blobs::missing_blobs(services.store.reader(), files, call.actor.name, call.actor.limits.model));
  std::vector<std::string> digests;
  for (auto const& digest : missing) digests.push_back(fmt::format("\"{}\"", digest.hex()));
  Reply reply;
  reply.body = fmt::format(R"({{"missing":[{}]}})", fmt::join(digests, ","));
  return reply;
}

Result<Reply> store_batch(Services& services, Call const& call) {
  FLEET_TRY(auto const stored, blobs::store_batch(uploads_of(services), call.request.body, call.actor.name, call.actor.limits.model, call.now));
  Reply reply;
  reply.body = fmt::format(R"({{"stored":{}}})", stored);
  return reply;
}

Result<blobs::Upload> upload_of(Services& services, Call const& call) { return blobs::load_upload(services.store.reader(), call.path_value("id")); }

Result<Reply> get_upload(Services& services, Call const& call) {
  FLEET_TRY(auto const upload, upload_of(services, call));
  return upload_reply(upload);
}

/// 409 with the offset to go on from.
Reply wrong_offset(Call const& call, Error const& error, std::uint64_t received) {
  auto response = problem(error, call.request_id);
  Reply reply;
  reply.status = response.status;
  reply.body = std::move(std::get<std::string>(response.body));
  reply.content_type = "application/problem+json";
  reply.headers.push_back({"Upload-Offset", std::to_string(received)});
  return reply;
}

Result<Reply> patch_upload(Services& services, Call const& call) {
  FLEET_TRY(auto const upload, upload_of(services, call));
  auto const text = call.request.header("Upload-Offset");
  std::uint64_t offset = 0;
  auto const [end, fault] = std::from_chars(text.data(), text.data() + text.size(), offset);
  if (fault != std::errc{} || end != text.data() + text.size() || text.empty())
    return Error{Kind::bad_input, "bad_offset", fmt::format("header Upload-Offset: expected a count of bytes, got '{}'", text.substr(0, 40))};
  auto const after = blobs::append_piece(uploads_of(services), upload.id, offset, as_bytes(call.request.body), call.now);
  if (after) return upload_reply(*after);
  if (after.error().code != "wrong_offset") return after.error();
  FLEET_TRY(auto const now, upload_of(services, call));
  return wrong_offset(call, after.error(), now.received);
}

Result<Reply> finish_upload(Services& services, Call const& call) {
  FLEET_TRY(auto const upload, upload_of(services, call));
  FLEET_TRY(auto const done, blobs::finish_upload(uploads_of(services), upload.id, call.now));
  return upload_reply(done);
}

// releases ----------------------------------------------------------------------------------------------------------------------

Result<Reply> release_reply(Call const& call, db::Connection& reader, catalog::Release const& release, int status = 200) {
  Reply reply;
  reply.status = status;
  reply.revision = release.revision;
  FLEET_TRY(reply.body, catalog::release_json(reader, release, call.actor.limits.model));
  return reply;
}

Result<Reply> list_releases(Services& services, Call const& call) {
  FLEET_CHECK(only_query(call, {"state", "created_by", "limit", "cursor"}));
  FLEET_TRY(auto const page, read_page(call));
  auto const state = call.query_value("state");
  constexpr auto kStates = std::to_array<std::string_view>({"", "draft", "approved", "revoked"});
  if (std::find(kStates.begin(), kStates.end(), state) == kStates.end())
    return Error{Kind::bad_input, "bad_parameter", fmt::format("state: expected draft, approved or revoked, got '{}'", state)};
  FLEET_TRY(auto const before, read_number_cursor(page, std::numeric_limits<std::int64_t>::max()));
  auto& reader = services.store.reader();
  FLEET_TRY(auto const releases, catalog::list_releases(reader, call.path_value("m"), before, state, call.query_value("created_by"), page.limit + 1));
  std::vector<std::string> items;
  for (auto const& release : releases) {
    if (items.size() == static_cast<std::size_t>(page.limit)) break;
    FLEET_TRY(auto item, catalog::release_json(reader, release, call.actor.limits.model));
    items.push_back(std::move(item));
  }
  bool const more = releases.size() > items.size();
  return list_reply(call, items, more ? std::to_string(releases[items.size() - 1].n) : std::string());
}

catalog::Authority authority_of(Call const& call) { return {access::role_allows(call.actor.role, Permission::administer), call.actor.limits.model}; }

Result<Reply> publish_release(Services& services, Call const& call) {
  auto const model = call.path_value("m");
  FLEET_CHECK(catalog::load_model(services.store.reader(), model));
  FLEET_TRY(auto const wanted, catalog::decode_publication(model, call.request.body));
  FLEET_TRY(auto const inspection, catalog::inspect_files(services.store.reader(), services.fs, *services.blobs, wanted, call.actor.name, call.actor.limits.model));
  auto const job = [&](store::Tx& tx) { return catalog::publish(tx, *services.keys, wanted, inspection, call.deed(), authority_of(call)); };
  FLEET_TRY(auto const published, services.store.write_value<catalog::Published>(store::Lane::verbs, job));
  FLEET_TRY(auto reply, release_reply(call, services.store.reader(), published.release, published.fresh ? 201 : 200));
  reply.headers.push_back({"Location", fmt::format("/api/v1/models/{}/releases/{}", published.release.model, published.release.version)});
  return reply;
}

Result<Reply> get_release(Services&, Call const& call, db::Connection& reader) {
  FLEET_TRY(auto const release, catalog::load_release(reader, call.path_value("m"), call.path_value("v")));
  return release_reply(call, reader, release);
}

Result<Reply> list_attestations(Services&, Call const& call, db::Connection& reader) {
  FLEET_TRY(auto const release, catalog::load_release(reader, call.path_value("m"), call.path_value("v")));
  FLEET_TRY(auto const items, catalog::evidence_json(reader, release.n, true));
  Reply reply;
  reply.body = fmt::format(R"({{"items":{},"next":null}})", items);
  return reply;
}

/// For a runtime that checks by itself what it loads.
Result<Reply> get_device_evidence(Services&, Call const& call, db::Connection& reader) {
  FLEET_TRY(auto const digest, Digest::parse(call.path_value("digest")));
  FLEET_TRY(auto const items, catalog::evidence_for_device(reader, call.actor.device_n, digest));
  Reply reply;
  reply.body = fmt::format(R"({{"items":{}}})", items);
  return reply;
}

Result<Reply> get_lineage(Services&, Call const& call, db::Connection& reader) {
  FLEET_TRY(auto const release, catalog::load_release(reader, call.path_value("m"), call.path_value("v")));
  Reply reply;
  FLEET_TRY(reply.body, catalog::lineage_json(reader, release, call.actor.limits.model));
  return reply;
}

Result<Reply> list_release_devices(Services& services, Call const& call) {
  FLEET_CHECK(only_query(call, {"limit", "cursor"}));
  FLEET_TRY(auto const page, read_page(call));
  auto& reader = services.store.reader();
  FLEET_TRY(auto const release, catalog::load_release(reader, call.path_value("m"), call.path_value("v")));
  FLEET_TRY(auto selector, registry::Selector::parse(fmt::format("running=\"{}@{}\"", release.model, release.version)));
  registry::DeviceFilter const filter{call.actor.limits, {std::move(selector)}};
  FLEET_TRY(auto const found, registry::list_devices(services.store, reader, filter, page.after, page.limit, call.now));
  return list_reply(call, found.items, found.next);
}

Result<Reply> approve_release(Services& services, Call const& call, store::Tx& tx) {
  FLEET_TRY(auto const body, read_verb(call, true));
  FLEET_TRY(auto const before, catalog::load_release(tx.connection(), call.path_value("m"), call.path_value("v")));
  FLEET_CHECK(check_if_match(call, before.revision));
  FLEET_TRY(auto const after, catalog::approve(tx, *services.keys, before.model, before.version, call.deed(body.reason), authority_of(call)));
  return release_reply(call, tx.connection(), after);
}

/// With `recall` everything made from it goes, too, and the answer says who runs what. Approved releases of the same bytes go in any case, but those that
/// an administrator keeps.
Result<Reply> revoke_release(Services& services, Call const& call, store::Tx& tx) {
  FLEET_TRY(auto const body, wire::parse_json(call.request.body.empty() ? "{}" : std::string_view(call.request.body), kSmall));
  std::vector<FieldError> faults;
  wire::ObjectReader reader(body, "", faults);
  auto const reason = reader.text("reason", 1000, "");
  if (reason.empty()) reader.fault("reason", "required: why this is done, for the audit log");
  catalog::Revocation how{reader.boolean("recall", false), reader.texts("keep", 100, 130), call.actor.limits.model};
  reader.refuse_unknown();
  FLEET_CHECK(wire::no_faults(faults, "body"));
  if (!how.keep.empty() && !authority_of(call).administers)
    return Error{Kind::forbidden, "not_permitted", "to keep a release of revoked bytes takes an administrator", "revoke without keep"};
  FLEET_TRY(auto const before, catalog::load_release(tx.connection(), call.path_value("m"), call.path_value("v")));
  FLEET_CHECK(check_if_match(call, before.revision));
  for (auto& kept : how.keep) {
    FLEET_TRY(kept, registry::release_named(tx.connection(), kept));
  }
  FLEET_TRY(auto const revoked, catalog::revoke(tx, *services.keys, before.model, before.version, how, call.deed(reason)));
  if (!how.recall) return release_reply(call, tx.connection(), revoked.front().release);
  Reply reply;
  FLEET_TRY(reply.body, catalog::revoked_json(tx.connection(), revoked));
  return reply;
}

}  // namespace

std::vector<Route> const& catalog_routes() {
  using P = Permission;
  using M = net::Method;
  static std::vector<Route> const routes{
      {M::get, "/api/v1/models", P::read, kModels, &list_models},
      {M::get, "/api/v1/models/{m}", P::read, kModel, &get_model},
      {M::put, "/api/v1/models/{m}", P::administer, kWhole, &put_model, kModelBodyMax},
      {M::post, "/api/v1/uploads", P::publish, kUploads, &begin_upload, kSmall, Listener::api, Pool::uploads},
      {M::post, "/api/v1/uploads:missing", P::publish, kUploads, &list_missing, blobs::kFileListBytesMax, Listener::api, Pool::uploads},
      {M::post, "/api/v1/uploads:batch", P::publish, kUploads, &store_batch, blobs::kPieceBytesMax, Listener::api, Pool::uploads},
      {M::get, "/api/v1/uploads/{id}", P::publish, kUpload, &get_upload},
      {M::patch, "/api/v1/uploads/{id}", P::publish, kUpload, &patch_upload, blobs::kPieceBytesMax, Listener::api, Pool::uploads},
      {M::put, "/api/v1/uploads/{id}", P::publish, kUpload, &finish_upload, kSmall, Listener::api, Pool::uploads},
      {M::get, "/api/v1/models/{m}/releases", P::read, kModel, &list_releases},
      {M::post, "/api/v1/models/{m}/releases", P::publish, kPublish, &publish_release, wire::kPublicationBytesMax, Listener::api, Pool::uploads},
      {M::get, "/api/v1/models/{m}/releases/{v}", P::read, kModel, &get_release},
      {M::get, "/api/v1/models/{m}/releases/{v}/lineage", P::read, kModel, &get_lineage},
      {M::get, "/api/v1/models/{m}/releases/{v}/attestations", P::read, kModel, &list_attestations},
      {M::get, "/api/v1/models/{m}/releases/{v}/routes", P::read, kModel, &list_release_routes},
      {M::get, "/api/v1/models/{m}/releases/{v}/devices", P::read, kDevices, &list_release_devices},
      {M::post, "/api/v1/models/{m}/releases/{v}:approve", P::approve, kRelease, &approve_release, kSmall},
      {M::post, "/api/v1/models/{m}/releases/{v}:revoke", P::approve, kRevoke, &revoke_release, kSmall},
      {M::get, "/tuf/{rest...}", P::everyone, kOpen, &get_tuf_file},
      {M::get, "/device/v1/tuf/{rest...}", P::device, kOpen, &get_tuf_file, 0, Listener::device},
      {M::get, "/device/v1/evidence/{digest}", P::device, kOpen, &get_device_evidence, 0, Listener::device},
      {M::get, "/blobs/sha256/{digest}", P::read, kBlob, &get_blob},
      {M::get, "/blobs/sha256/{digest}", P::device, kBlob, &get_blob, 0, Listener::device},
  };
  return routes;
}

}  // namespace fleet::api
