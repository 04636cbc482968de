#include "server/api/catalog_files.hpp"

#include "server/blobs/readers.hpp"
#include "server/blobs/turns.hpp"
#include "server/blobs/queries.hpp"

#include "core/net/range.hpp"
#include "server/blobs/paths.hpp"
#include "server/catalog/queries.hpp"
#include "server/content/paths.hpp"
#include "server/content/recipes.hpp"
#include "server/signing/repository.hpp"

#include <fmt/format.h>

namespace fleet::api {
namespace {

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
  std::string path;
  std::uint64_t size = 0;
};
Result<Stored> find_stored(db::Connection& reader, std::string const& data_dir, Digest const& digest) {
  auto blob = reader.prepare(blobs::kGetBlob);
  FLEET_TRY(bool const found, blob.bind(1, digest).step());
  if (found) return Stored{blobs::blob_path(data_dir, digest), static_cast<std::uint64_t>(blob.int64(0))};
  FLEET_TRY(auto const object, routes::object_size(reader, digest));
  if (!object) return blobs::unknown_blob(digest);
  return Stored{routes::object_path(data_dir, digest), *object};
}

}  // namespace

Result<Reply> get_tuf_file(Services&, Call const& call, db::Connection& reader) {
  auto const path = call.path_value("rest");
  constexpr std::string_view kTargets = "targets/";
  return path.starts_with(kTargets) ? find_target(reader, path.substr(kTargets.size())) : find_metadata(reader, path);
}

Result<Reply> get_blob(Services& services, Call const& call, db::Connection& reader) {
  FLEET_TRY(auto const digest, Digest::parse(call.path_value("digest")));
  FLEET_TRY(auto const stored, find_stored(reader, services.data_dir, digest));
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
  reply.file = net::FileBody{stored.path, 0, size};
  if (*range) {
    reply.status = 206;
    reply.file->offset = (*range)->first;
    reply.file->length = (*range)->last - (*range)->first + 1;
    reply.headers.push_back({"Content-Range", fmt::format("bytes {}-{}/{}", (*range)->first, (*range)->last, size)});
  }
  if (call.actor.device_n == 0 || services.turns == nullptr || call.request.method != net::Method::get) return reply;
  auto turn = services.turns->take(call.actor.device_n, reply.file->length, services.net != nullptr && !services.net->egress_is_spent(), services.clock.mono());
  if (auto const* const after = std::get_if<Millis>(&turn)) return come_again(call, *after);
  reply.file->held = std::get<blobs::Turns::Held>(std::move(turn));
  return reply;
}

}  // namespace fleet::api
