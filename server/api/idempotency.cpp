#include "server/api/idempotency.hpp"

#include "core/crypto/hash.hpp"
#include "core/net/ascii.hpp"
#include "core/wire/json.hpp"
#include "server/access/replays.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>

namespace fleet::api {
namespace {

constexpr auto kKept = std::chrono::hours(24);
constexpr std::size_t kKeyMax = 255;
constexpr std::size_t kHeadersMax = 64 * 1024;

std::string encode_headers(net::Headers const& headers) {
  boost::json::array out;
  for (auto const& header : headers) {
    if (header.name != "Request-Id") out.push_back({header.name, header.value});
  }
  return boost::json::serialize(out);
}

Result<net::Headers> decode_headers(std::string_view text) {
  FLEET_TRY(auto const parsed, wire::parse_json(text, kHeadersMax));
  net::Headers out;
  for (auto const& pair : parsed.as_array()) {
    out.push_back({std::string(pair.as_array().at(0).as_string()), std::string(pair.as_array().at(1).as_string())});
  }
  return out;
}

}  // namespace

Result<std::optional<IdempotentUse>> read_idempotency(Route const& route, Call const& call) {
  auto const key = call.request.header("Idempotency-Key");
  auto const is_key = [](net::Header const& header) { return net::equal_ignoring_case(header.name, "Idempotency-Key"); };
  bool const given = std::any_of(call.request.headers.begin(), call.request.headers.end(), is_key);
  if (!given || call.request.method != net::Method::post || call.actor.token_id.empty()) return std::optional<IdempotentUse>{};
  // An empty one is a script whose variable is empty: it must not believe that it may repeat.
  if (key.empty() || key.size() > kKeyMax || std::any_of(key.begin(), key.end(), [](char c) { return c <= ' ' || c > '~'; })) {
    return Error{Kind::bad_input, "bad_idempotency_key", fmt::format("Idempotency-Key: 1 to {} visible ASCII characters, got {}", kKeyMax, key.size())};
  }
  if (route.permission == Permission::read) return std::optional<IdempotentUse>{};
  crypto::Sha256 hash;
  hash.update(as_bytes(fmt::format("{} {}\n", to_string(call.request.method), call.request.target)));
  hash.update(as_bytes(call.request.body));
  return std::optional(IdempotentUse{call.actor.token_id, std::string(key), hash.finish()});
}

Result<std::optional<net::Response>> find_replay(db::Connection& connection, IdempotentUse const& use, Call const& call) {
  FLEET_TRY(auto const kept, access::find_replay(connection, use.actor, use.key, call.now - kKept));
  if (!kept) return std::optional<net::Response>{};
  if (kept->request != use.request) {
    return Error{Kind::conflict, "idempotency_key_reused", fmt::format("Idempotency-Key '{}' was used for another request within 24 hours", use.key),
                 "use a new key for a new request; the same key only to repeat the very same one"};
  }
  net::Response out;
  out.status = kept->status;
  FLEET_TRY(out.headers, decode_headers(kept->headers));
  out.headers.push_back({"Request-Id", call.request_id});
  out.headers.push_back({"Idempotency-Replayed", "true"});
  out.body = kept->body;
  return std::optional(std::move(out));
}

Result<void> keep_replay(store::Tx& tx, IdempotentUse const& use, net::Response const& response, std::string_view body, SysTime now) {
  return access::keep_replay(tx, use.actor, use.key, {use.request, response.status, encode_headers(response.headers), std::string(body)}, now);
}

}  // namespace fleet::api
