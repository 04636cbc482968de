#pragma once

#include "core/net/server.hpp"
#include "server/access/actor.hpp"
#include "server/api/scope.hpp"
#include "server/events/deed.hpp"
#include "server/services.hpp"

#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace fleet::api {

using access::Actor;
using access::Permission;

/// One request as a handler sees it, path and query decoded, authorised already.
struct Call {
  net::Request request;
  std::map<std::string, std::string, std::less<>> path;   ///< `{id}` -> value
  std::map<std::string, std::string, std::less<>> query;  ///< last of a name wins
  Actor actor;
  std::string request_id;
  SysTime now;
  /// What the caller does with it, for the log.
  [[nodiscard]] events::Deed deed(std::string reason = {}) const;
  [[nodiscard]] std::string_view path_value(std::string_view name) const;
  [[nodiscard]] std::string query_value(std::string_view name, std::string_view fallback = "") const;
};

struct Reply {
  int status = 200;
  std::string body;  ///< JSON, or as content_type says
  std::string content_type = "application/json";
  std::optional<std::int64_t> revision;  ///< becomes the ETag
  net::Headers headers;
  std::optional<net::FileBody> file;            ///< instead of body
  std::optional<net::StreamBody> stream = {};   ///< the same of what is brought while it leaves
  std::optional<std::string> replay_body = {};  ///< what a repeat with the same Idempotency-Key gets: a secret is shown once and not kept
};

using ReadHandler = Result<Reply> (*)(Services&, Call const&, db::Connection&);  ///< on the io thread: short reads only
using WriteHandler = Result<Reply> (*)(Services&, Call const&, store::Tx&);      ///< on the writer; answered after its commit
using WorkHandler = Result<Reply> (*)(Services&, Call const&);                   ///< on a thread of the route's pool; may block, scan, write_wait
using RawHandler = void (*)(Services&, Call&&, net::Responder);                  ///< on the io thread; answers when it likes

enum class Listener { api, device, both };

/// Threads for work of one kind: what takes minutes, or comes in floods, holds up nothing of another kind.
enum class Pool : std::uint8_t {
  scans,        ///< lists, plans, lineage, trust
  uploads,      ///< pieces and their hashes, publication
  simulations,
  metrics,
  enrolment,
};
inline constexpr std::size_t kPools = 5;

struct Route {
  net::Method method;
  std::string_view pattern;  ///< `/api/v1/devices/{id}:approve`; `{rest...}` takes the rest of the path
  Permission permission;
  Scope scope;  ///< what it is about, so that limits are held to before the handler runs
  std::variant<ReadHandler, WriteHandler, WorkHandler, RawHandler> handler;
  std::uint64_t body_limit = 1024 * 1024;
  Listener listener = Listener::api;
  Pool pool = Pool::scans;  ///< of work
};

/// Each part lists its routes as one constant table.
std::vector<Route> const& system_routes();      ///< healthz, readyz, metrics, openapi.json, tokens, roles, events
std::vector<Route> const& trust_routes();       ///< who holds the signing keys; rotation
std::vector<Route> const& audit_routes();       ///< audit, its checkpoints and their key
std::vector<Route> const& registry_routes();    ///< devices, device-tokens; enroll and renew on the device listener
std::vector<Route> const& support_routes();    ///< what devices collect of themselves
std::vector<Route> const& group_routes();       ///< groups of devices
std::vector<Route> const& catalog_routes();     ///< models, releases, uploads; tuf and blobs on both listeners
std::vector<Route> const& rollout_routes();     ///< rollouts
std::vector<Route> const& simulation_routes();  ///< rollouts:simulate
std::vector<Route> const& delivery_routes();    ///< device listener: poll, reports, directive roots
std::vector<Route> const& bundle_routes();      ///< bundles, and receipts of what they brought
std::vector<Route> const& telemetry_routes();   ///< telemetry/query
std::vector<Route> const& cost_routes();        ///< cost, and the prices that it is counted by
std::vector<Route> const& node_routes();        ///< the fleet's servers

/// If-Match as the conventions have it: demanded on PUT and PATCH, honoured elsewhere. @errors required, precondition
[[nodiscard]] Result<void> check_if_match(Call const& call, std::int64_t revision);
/// Whether a list of entity tags (RFC 9110, 8.8.3) has this one, or `*`.
[[nodiscard]] bool has_tag(std::string_view header, std::string_view etag);
/// `limit` (1..500, default 100) and the opaque `cursor`, decoded.
struct Page {
  int limit = 100;
  std::string after;  ///< what the last page ended with; empty: start
};
[[nodiscard]] Result<Page> read_page(Call const& call);
/// The cursor of a list that is walked by number; `start` where there is none. @errors bad_input (code `bad_cursor`)
[[nodiscard]] Result<std::int64_t> read_number_cursor(Page const& page, std::int64_t start);
/// `{"items":[...],"next":...}` with a `Link` header; `next_after` empty: no more.
[[nodiscard]] Reply list_reply(Call const& call, std::vector<std::string> const& items_json, std::string_view next_after);
/// A parameter of the query that the route does not know is refused by name: a mistyped filter must not list everything. @errors bad_input
[[nodiscard]] Result<void> only_query(Call const& call, std::initializer_list<std::string_view> known);
/// The body `{"reason"}` of a verb, with other texts it may carry; unknown members are refused. @errors bad_input
struct VerbBody {
  std::string reason;
  std::map<std::string, std::string, std::less<>> texts;
};
[[nodiscard]] Result<VerbBody> read_verb(Call const& call, bool reason_required, std::initializer_list<std::string_view> other_texts = {});
/// The answer with what the conventions add: ETag and 304, Request-Id, Cache-Control.
[[nodiscard]] net::Response render(Reply&& reply, Call const& call);
/// The RFC 9457 problem for an error.
[[nodiscard]] net::Response problem(Error const& error, std::string_view request_id);

}  // namespace fleet::api
