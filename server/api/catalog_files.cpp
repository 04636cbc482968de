#include "server/api/catalog_files.hpp"

#include "server/blobs/readers.hpp"
#include "server/blobs/turns.hpp"
#include "server/blobs/queries.hpp"

#include "core/net/range.hpp"
#include "server/blobs/store/blob_store.hpp"
#include "server/catalog/queries.hpp"
#include "server/content/paths.hpp"
#include "server/content/recipes.hpp"
#include "server/signing/repository.hpp"

#include <fmt/format.h>

namespace fleet::api {
namespace {

constexpr std::chrono::minutes kSignedFor{15};
constexpr std::string_view kForEver = "public, max-age=31536000, immutable";

Error no_file(std::string_view name) {
  return {Kind::not_found, "unknown_metadata", fmt::format("there is no {} in the release repository", name.substr(0, 200))};
}

/// Its ETag is made of its content.
Reply metadata_reply(std::string body, std::string_view cache) {
  Reply reply;
  reply.revision = 1;
  reply.body = std::move(body);
  reply.headers.push_back({"Cache-Control", std::string(cache)});
  return reply;
}

Result<Reply> find_metadata(db::Connection& reader, std::string_view name) {
  FLEET_TRY(auto found, signing::find_metadata(reader, "release", name));
  if (!found) return no_file(name);
  return metadata_reply(std::move(*found), name == "timestamp.json" ? "no-cache" : kForEver);
}

/// `models/<model>/<version>/<sha256>.release.json`
Result<Reply> find_target(db::Connection& reader, std::string_view path) {
  constexpr std::string_view kPrefix = "models/", kSuffix = ".release.json";
  auto rest = path;
  auto const take = [&rest] {
    auto const slash = rest.find('/');
    auto const part = rest.substr(0, slash);
    rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
    return part;
  };
  if (!rest.starts_with(kPrefix) || !rest.ends_with(kSuffix)) return no_file(path);
  take();
  auto const model = take(), version = take();
  auto const digest = Digest::parse(rest.substr(0, rest.size() < kSuffix.size() ? 0 : rest.size() - kSuffix.size()));
  if (!digest) return no_file(path);
  auto row = reader.prepare(catalog::kDocumentByDigest);
  FLEET_TRY(bool const found, row.bind_all(model, version, *digest).step());
  if (!found) return no_file(path);
  return metadata_reply(row.text(0), kForEver);
}

/// The problem `busy` for a device whose turn is not now, with when it is.
Reply come_again(Call const& call, Millis after) {
  auto const seconds = std::chrono::ceil<std::chrono::seconds>(after).count();
  auto told = problem({Kind::unavailable, "busy", fmt::format("more devices fetch at the moment than the server's bound for files (--egress) has room for; this one's turn is in {} s", seconds), "ask again then"},
                      call.request_id);
  Reply reply;
  reply.status = told.status;
  reply.content_type = "application/problem+json";
  reply.body = std::move(std::get<std::string>(told.body));
  reply.headers = {{"Cache-Control", "no-store"}, {"Retry-After", std::to_string(std::max<std::int64_t>(1, seconds))}};
  return reply;
}

/// Where the bytes of a digest lie: a file of a release, or what routes name.
struct Stored {
  std::optional<blobs::Name> blob;
  blobs::LocalFile file = {};  ///< where it is one here; a blob may lie elsewhere
  std::uint64_t size = 0;
};
Result<Stored> find_stored(db::Connection& reader, Services& services, Digest const& digest) {
  FLEET_TRY(auto name, blobs::find_name(reader, digest));
  if (name) {
    auto const size = name->size;
    auto here = services.blobs->here(*name);
    return Stored{std::move(name), here ? std::move(*here) : blobs::LocalFile{}, size};
  }
  FLEET_TRY(auto const object, routes::object_size(reader, digest));
  if (!object) return blobs::unknown_blob(digest);
  auto path = routes::object_path(routes::content_root(services.data_dir, *services.blobs), digest);
  // Of several servers on a bucket it lies where it was made; whoever asks elsewhere takes the whole file.
  if (services.store.turns().is_shared() && !services.fs.info(path)) return blobs::unknown_blob(digest);
  return Stored{std::nullopt, {std::move(path)}, *object};
}

/// Where whoever asks by `?deliver=signed` fetches it himself for a while; nothing: from here.
Result<std::optional<Reply>> send_elsewhere(Services& services, Call const& call, Stored const& stored) {
  auto const how = call.query_value("deliver", "proxy");
  if (how != "proxy" && how != "signed") return Error{Kind::bad_input, "bad_parameter", fmt::format("deliver: expected proxy or signed, got '{}'", how)};
  if (how == "proxy" || !stored.blob) return std::optional<Reply>();
  FLEET_TRY(auto url, services.blobs->signed_url(*stored.blob, kSignedFor));
  if (!url) return std::optional<Reply>();
  Reply reply;
  reply.status = 307;
  reply.headers = {{"Location", *std::move(url)}, {"Cache-Control", "no-store"}};
  return std::optional(std::move(reply));
}

/// What an answer lets go of once it has been sent.
std::shared_ptr<void const> both(std::shared_ptr<void const> a, std::shared_ptr<void const> b) {
  if (!a || !b) return a ? a : b;
  return std::make_shared<std::pair<std::shared_ptr<void const>, std::shared_ptr<void const>>>(std::move(a), std::move(b));
}

/// The bytes as they leave: a file, or what is brought meanwhile.
Result<void> attach(Services& services, Reply& reply, Stored stored, std::uint64_t offset, std::uint64_t length, std::shared_ptr<void const> turn) {
  if (!stored.file.path.empty()) {
    reply.file = net::FileBody{std::move(stored.file.path), offset, length, both(std::move(stored.file.held), std::move(turn))};
    return {};
  }
  FLEET_TRY(auto source, services.blobs->open(*stored.blob));
  reply.stream = net::StreamBody{std::move(source), offset, length, std::move(turn)};
  return {};
}

}  // namespace

Result<Reply> get_tuf_file(Services&, Call const& call, db::Connection& reader) {
  auto const path = call.path_value("rest");
  constexpr std::string_view kTargets = "targets/";
  return path.starts_with(kTargets) ? find_target(reader, path.substr(kTargets.size())) : find_metadata(reader, path);
}

Result<Reply> get_blob(Services& services, Call const& call, db::Connection& reader) {
  FLEET_TRY(auto const digest, Digest::parse(call.path_value("digest")));
  FLEET_TRY(auto stored, find_stored(reader, services, digest));
  FLEET_TRY(auto elsewhere, send_elsewhere(services, call, stored));
  if (elsewhere) return *std::move(elsewhere);
  auto const size = stored.size;
  auto const etag = "\"" + digest.hex() + "\"";
  Reply reply;
  reply.content_type = "application/octet-stream";
  reply.headers = {{"Cache-Control", std::string(kForEver)}, {"ETag", etag}, {"Accept-Ranges", "bytes"}};
  if (auto const wanted = call.request.header("If-Match"); !wanted.empty() && !has_tag(wanted, etag))
    return Error{Kind::precondition, "changed_meanwhile", fmt::format("If-Match has {}, the blob is {}: its content never changes", wanted, etag)};
  if (auto const known = call.request.header("If-None-Match"); !known.empty() && has_tag(known, etag)) {
    reply.status = 304;
    return reply;
  }
  // RFC 9110, 13.1.5: a range of another content is no range of this one.
  auto const condition = call.request.header("If-Range");
  // Ranges are defined for GET alone (RFC 9110, 14.2).
  bool const whole = call.request.method != net::Method::get || (!condition.empty() && condition != etag);
  auto const range = net::read_range(whole ? std::string_view() : call.request.header("Range"), size);
  if (!range) {
    reply.status = 416;
    reply.headers.push_back({"Content-Range", fmt::format("bytes */{}", size)});
    return reply;
  }
  auto const offset = *range ? (*range)->first : 0;
  auto const length = *range ? (*range)->last - (*range)->first + 1 : size;
  if (*range) {
    reply.status = 206;
    reply.headers.push_back({"Content-Range", fmt::format("bytes {}-{}/{}", (*range)->first, (*range)->last, size)});
  }
  if (call.actor.device_n == 0 || services.turns == nullptr || call.request.method != net::Method::get) {
    FLEET_CHECK(attach(services, reply, std::move(stored), offset, length, {}));
    return reply;
  }
  auto turn = services.turns->take(call.actor.device_n, length, services.net != nullptr && !services.net->egress_is_spent(), services.clock.mono());
  if (auto const* const after = std::get_if<Millis>(&turn)) return come_again(call, *after);
  FLEET_CHECK(attach(services, reply, std::move(stored), offset, length, std::get<blobs::Turns::Held>(std::move(turn))));
  return reply;
}

}  // namespace fleet::api
