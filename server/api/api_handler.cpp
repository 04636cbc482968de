#include "server/api/api_handler.hpp"

#include "core/base/log.hpp"
#include "server/access/replays.hpp"
#include "server/access/roles.hpp"
#include "server/access/tokens.hpp"
#include "core/crypto/hash.hpp"
#include "server/api/identity.hpp"
#include "server/api/problem.hpp"
#include "server/nodes/beats.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace fleet::api {
namespace {

/// In the order of Pool. A pool of one thread serves all parties in turn; of more, one party leaves a thread to the others.
constexpr std::array<WorkersLimits, kPools> kPoolLimits{{
    {.threads = 4, .waiting = 64, .waiting_a_party = 32},   // scans
    {.threads = 4, .waiting = 32, .waiting_a_party = 16},   // uploads: what waits holds its piece in memory
    {.threads = 2, .waiting = 16, .waiting_a_party = 4},    // simulations
    {.threads = 1, .waiting = 16, .waiting_a_party = 4},    // metrics
    {.threads = 2, .waiting = 512, .waiting_a_party = 64},  // enrolment: a fleet's first day, from one address
}};
constexpr std::uint64_t kUnknownPathBodyMax = 64 * 1024;
/// What answers while the server ends: whoever watches it must see that it does.
constexpr auto kServedWhileDraining = std::to_array<std::string_view>({"/healthz", "/readyz", "/metrics"});

constexpr auto kDevicesMay = std::to_array<Permission>({Permission::everyone, Permission::read, Permission::device});

/// The views into a request's own target, set again after the request moved.
void settle(net::Request& request) {
  std::string_view const target = request.target;
  auto const mark = target.find('?');
  request.path = target.substr(0, mark);
  request.query = mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
}

Error unexpected(std::exception const& e) {
  return Error{Kind::internal, "internal", e.what(), "this is a fault of the server: report it with the request id"};
}

/// Runs a handler; an exception is a bug and becomes an error, so that one request cannot end the server.
template <class F>
auto guarded(F&& run) -> decltype(run()) {
  try {
    return run();
  } catch (std::exception const& e) {
    return unexpected(e);
  }
}

void send_problem(Call const& call, Error const& error, net::Responder& responder) {
  if (http_status(error.kind) >= 500 && error.kind != Kind::unavailable) {
    log::error("request_failed", {{"request", call.request_id},
                                  {"method", to_string(call.request.method)},
                                  {"path", call.request.path},
                                  {"code", error.code},
                                  {"detail", error.detail}});
  }
  responder(problem(error, call.request_id));
}

net::Response method_not_allowed(Call const& call, std::vector<net::Method> const& allowed) {
  std::vector<std::string_view> names;
  for (auto const method : allowed) {
    names.push_back(to_string(method));
    if (method == net::Method::get) names.push_back("HEAD");
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  auto const list = fmt::format("{}", fmt::join(names, ", "));
  auto out = problem_as(
      405, "Method not allowed",
      Error{Kind::bad_input, "method_not_allowed", fmt::format("{} does not take {}", call.request.path, to_string(call.request.method)), "it takes " + list},
      call.request_id);
  out.headers.push_back({"Allow", list});
  return out;
}

std::vector<Route const*> routes_of(Listener listener, std::vector<std::vector<Route> const*> const& tables) {
  std::vector<Route const*> out;
  for (auto const* table : tables) {
    for (auto const& route : *table) {
      if (route.listener != listener && route.listener != Listener::both) continue;
      bool const for_devices = std::find(kDevicesMay.begin(), kDevicesMay.end(), route.permission) != kDevicesMay.end();
      if (listener == Listener::device && !for_devices) throw std::logic_error("no device may call " + std::string(route.pattern));
      if (route.scope.models == Bound::unsaid || route.scope.devices == Bound::unsaid)
        throw std::logic_error("what do a caller's limits mean at " + std::string(route.pattern));
      out.push_back(&route);
    }
  }
  return out;
}

}  // namespace

/// A request that is answered from another thread.
struct ApiHandler::Pending {
  Call call;
  net::Peer peer;  ///< a copy: the connection may end before the answer is made
  net::Responder responder;
  std::optional<IdempotentUse> use;
  std::optional<net::Response> response;

  Pending(Call&& c, net::Responder&& r) : call(std::move(c)), responder(std::move(r)) {
    settle(call.request);
    call.request.attachment = nullptr;
    call.request.standing = nullptr;
    if (call.request.peer) peer = *call.request.peer;
    call.request.peer = &peer;
  }
};

ApiHandler::ApiHandler(Services& services, Listener listener, std::vector<std::vector<Route> const*> const& tables)
    : services_(services),
      listener_(listener),
      router_(routes_of(listener, tables)) {
  for (auto const* table : tables)
    for (auto const& route : *table) {
      auto& pool = pools_[static_cast<std::size_t>(route.pool)];
      bool const works = std::holds_alternative<WorkHandler>(route.handler) && (route.listener == listener || route.listener == Listener::both);
      if (works && !pool) pool = std::make_unique<Workers>(kPoolLimits[static_cast<std::size_t>(route.pool)]);
    }
  std::array<std::uint8_t, 6> raw{};
  services.random.fill(raw);
  id_prefix_ = to_hex(raw);
}

std::string ApiHandler::next_request_id() { return fmt::format("{}-{:x}", id_prefix_, served_.fetch_add(1, std::memory_order_relaxed) + 1); }

std::uint64_t ApiHandler::body_limit(net::Method method, std::string_view path) {
  auto const match = router_.find(method, path);
  // Where nothing is, or nothing for this method, that is what shall be said.
  if (!match || !match->route) return kUnknownPathBodyMax;
  bool const reads = method == net::Method::get || method == net::Method::head;
  return reads ? 0 : match->route->body_limit;
}

void ApiHandler::handle(net::Request&& request, net::Responder responder) {
  Call call;
  call.request = std::move(request);
  settle(call.request);
  call.request_id = next_request_id();
  call.now = services_.clock.wall();
  auto match = router_.find(call.request.method, call.request.path);
  if (!match) return send_problem(call, match.error(), responder);
  if (!match->route && !match->allowed.empty()) return responder(method_not_allowed(call, match->allowed));
  if (!match->route) {
    return send_problem(
        call, Error{Kind::not_found, "no_route", fmt::format("there is nothing at {}", call.request.path), "GET /openapi.json lists the routes"}, responder);
  }
  call.path = std::move(match->values);
  auto const admitted = guarded([&] { return admit(*match->route, call); });
  if (!admitted) return send_problem(call, admitted.error(), responder);
  if (auto const allowed = take_quota(*match->route, call); !allowed) return send_problem(call, allowed.error(), responder);
  auto const& route = *match->route;
  if (auto const* read = std::get_if<ReadHandler>(&route.handler)) return run_read(route, *read, call, responder);
  if (auto const* write = std::get_if<WriteHandler>(&route.handler)) return run_write(route, *write, std::move(call), std::move(responder));
  if (auto const* work = std::get_if<WorkHandler>(&route.handler)) return run_work(route, *work, std::move(call), std::move(responder));
  run_raw(route, std::get<RawHandler>(route.handler), std::move(call), std::move(responder));
}

Result<void> ApiHandler::admit(Route const& route, Call& call) const {
  bool const always = std::find(kServedWhileDraining.begin(), kServedWhileDraining.end(), route.pattern) != kServedWhileDraining.end();
  if (services_.draining.load(std::memory_order_relaxed) && !always) {
    return Error{Kind::unavailable, "draining", "the server is ending", "try again in a moment"};
  }
  if (!call.request.query.empty()) {
    FLEET_TRY(auto pairs, net::parse_query(call.request.query));
    for (auto& [name, value] : pairs) {
      if (!is_utf8(name) || !is_utf8(value)) return Error{Kind::bad_input, "bad_parameter", "the query is not UTF-8", "percent-encode texts as UTF-8"};
      call.query.insert_or_assign(std::move(name), std::move(value));
    }
  }
  auto actor = identify(route, call);
  if (!actor) {
    if (call.request.standing != nullptr) call.request.standing->disown();
    return actor.error();
  }
  call.actor = std::move(*actor);
  recognise(call);
  if (listener_ == Listener::api && route.permission != Permission::everyone) {
    auto const needed = route.permission == Permission::device ? Permission::read : route.permission;
    if (!access::role_allows(call.actor.role, needed)) {
      return Error{Kind::forbidden, "not_permitted", fmt::format("{} has role {}, which may not {}", call.actor.name, call.actor.role, to_string(needed)),
                   "a token of role " + access::roles_that_allow(needed) + " may"};
    }
  }
  return {};
}

/// Tells the connection whom the program knows its peer to be.
void ApiHandler::recognise(Call const& call) const {
  auto* const standing = call.request.standing;
  if (standing == nullptr) return;
  if (call.actor.device_n != 0) standing->recognise(call.request.peer->key_sha256);
  else if (!call.actor.token_id.empty()) standing->recognise(crypto::sha256(call.actor.token_id));
}

/// Whoever changes something spends of what it may change; pieces of uploads have quotas of their own.
Result<void> ApiHandler::take_quota(Route const& route, Call const& call) {
  auto const method = call.request.method;
  bool const changes = method != net::Method::get && method != net::Method::head && route.permission != Permission::read && route.pool != Pool::uploads;
  if (!changes || call.actor.token_id.empty() || changes_.take(call.actor.name, services_.clock.mono())) return {};
  return Error{Kind::throttled, "over_quota",
               fmt::format("{} made {:g} changes at once and {:g} a second since", call.actor.name, ChangeQuota::kAtOnce, ChangeQuota::kEachSecond),
               "slow down, or split the work between identities"};
}

Result<Actor> ApiHandler::identify(Route const& route, Call const& call) const {
  if (listener_ == Listener::device) {
    if (route.permission == Permission::everyone) return Actor{};
    return identify_device(services_, call.request, call.now);
  }
  auto const authorization = call.request.header("Authorization");
  if (route.permission != Permission::everyone) return access::identify_token(services_.store.reader(), authorization, call.now);
  if (authorization.empty()) return Actor{};
  auto actor = access::identify_token(services_.store.reader(), authorization, call.now);
  return actor ? std::move(*actor) : Actor{};
}

/// A responder that a throwing handler had taken answers 503 by itself.
void ApiHandler::run_raw(Route const& route, RawHandler handler, Call&& call, net::Responder&& responder) {
  auto const id = call.request_id;
  auto const covered = guarded([&] { return judge(route.scope, call, services_.store.reader()); });
  if (!covered) return send_problem(call, covered.error(), responder);
  auto const ran = guarded([&]() -> Result<void> {
    handler(services_, std::move(call), std::move(responder));
    return {};
  });
  if (!ran) log::error("request_failed", {{"request", id}, {"code", ran.error().code}, {"detail", ran.error().detail}});
}

void ApiHandler::run_read(Route const& route, ReadHandler handler, Call const& call, net::Responder& responder) {
  auto reply = guarded([&]() -> Result<Reply> {
    auto& reader = services_.store.reader();
    FLEET_CHECK(judge(route.scope, call, reader));
    return handler(services_, call, reader);
  });
  if (!reply) return send_problem(call, reply.error(), responder);
  responder(render(std::move(*reply), call));
}

void ApiHandler::run_write(Route const& route, WriteHandler handler, Call&& call, net::Responder&& responder) {
  auto use = read_idempotency(route, call);
  if (!use) return send_problem(call, use.error(), responder);
  auto const pending = std::make_shared<Pending>(std::move(call), std::move(responder));
  pending->use = std::move(*use);
  services_.store.write(
      listener_ == Listener::device ? store::Lane::devices : store::Lane::verbs,
      [this, pending, &route, handler](store::Tx& tx) -> Result<void> {
        FLEET_TRY(pending->response, do_write(*pending, route, handler, tx));  // the store turns what it throws into an error
        return {};
      },
      [pending](Result<void> const& written) {
        if (!written) return send_problem(pending->call, written.error(), pending->responder);
        pending->responder(std::move(*pending->response));
      });
}

Result<net::Response> ApiHandler::do_write(Pending& pending, Route const& route, WriteHandler handler, store::Tx& tx) {
  if (pending.use) {
    FLEET_TRY(auto replay, find_replay(tx.connection(), *pending.use, pending.call));
    if (replay) return std::move(*replay);
  }
  FLEET_CHECK(judge(route.scope, pending.call, tx.connection()));
  auto const before = tx.connection().total_changes();
  FLEET_TRY(auto reply, handler(services_, pending.call, tx));
  bool const changed = tx.connection().total_changes() != before;
  FLEET_CHECK(judge_after(route.scope, pending.call, tx.connection()));
  auto kept = reply.replay_body ? *reply.replay_body : reply.body;
  auto response = render(std::move(reply), pending.call);
  if (pending.use && changed) FLEET_CHECK(keep_replay(tx, *pending.use, response, kept, pending.call.now));
  return response;
}

/// Whose turn it is in a pool.
std::string party_of(Call const& call) {
  if (!call.actor.name.empty()) return call.actor.name;
  auto const& address = call.request.peer->address;
  return address.substr(0, address.rfind(':'));
}

void ApiHandler::run_work(Route const& route, WorkHandler handler, Call&& call, net::Responder&& responder) {
  auto use = read_idempotency(route, call);
  if (!use) return send_problem(call, use.error(), responder);
  auto const pending = std::make_shared<Pending>(std::move(call), std::move(responder));
  pending->use = std::move(*use);
  auto const index = static_cast<std::size_t>(route.pool);
  auto const posted = pools_[index]->post(party_of(pending->call), [this, pending, &route, handler] {
    if (!pending->responder.alive()) return;  // whoever asked has gone
    auto response = guarded([&] { return do_work(*pending, route, handler); });
    if (!response) return send_problem(pending->call, response.error(), pending->responder);
    pending->responder(std::move(*response));
  });
  auto const& limits = kPoolLimits[index];
  if (posted == Workers::Posted::full)
    send_problem(pending->call, Error{Kind::unavailable, "busy", fmt::format("{} requests of this kind wait already", limits.waiting), "try again in a moment"},
                 pending->responder);
  if (posted == Workers::Posted::full_for_party)
    send_problem(pending->call,
                 Error{Kind::throttled, "too_many_requests", fmt::format("{} requests of yours wait already", limits.waiting_a_party), "wait for their answers"},
                 pending->responder);
}

Result<net::Response> ApiHandler::do_work(Pending& pending, Route const& route, WorkHandler handler) {
  auto const& use = pending.use;
  auto const name = use ? use->actor + '\n' + use->key : std::string();
  auto const under_way = [&] {
    return Error{Kind::conflict, "idempotency_key_in_use", fmt::format("a request with Idempotency-Key '{}' is under way", use->key), "wait for its answer, then repeat"};
  };
  if (use) {
    std::lock_guard const lock(mutex_);
    if (!working_.insert(name).second) return under_way();
  }
  auto const& turns = services_.store.turns();
  bool begun = false;
  auto const run = [&]() -> Result<net::Response> {
    if (use && turns.is_shared()) {
      FLEET_TRY(begun, services_.store.write_value<bool>(store::Lane::verbs, [&](store::Tx& tx) {
        return access::begin_use(tx, use->actor, use->key, turns.node(), [&](std::string_view node) { return services_.nodes != nullptr && services_.nodes->lives(node); }, pending.call.now);
      }));
      if (!begun) return under_way();
    }
    if (use) {
      FLEET_TRY(auto replay, find_replay(services_.store.reader(), *use, pending.call));
      if (replay) return std::move(*replay);
    }
    FLEET_CHECK(judge(route.scope, pending.call, services_.store.reader()));
    FLEET_TRY(auto reply, handler(services_, pending.call));
    auto const kept = reply.replay_body ? *reply.replay_body : reply.body;
    auto response = render(std::move(reply), pending.call);
    if (use) FLEET_CHECK(services_.store.write_wait(store::Lane::verbs, [&](store::Tx& tx) { return keep_replay(tx, *use, response, kept, pending.call.now); }));
    return response;
  };
  auto response = guarded(run);
  if (begun) {
    auto const ended = services_.store.write_wait(store::Lane::verbs, [&](store::Tx& tx) { return access::end_use(tx, use->actor, use->key, turns.node()); });
    if (!ended) log::warn("use_not_ended", {{"code", ended.error().code}, {"detail", ended.error().detail}});  // this node's own repeats go on all the same
  }
  if (use) {
    std::lock_guard const lock(mutex_);
    working_.erase(name);
  }
  return response;
}

}  // namespace fleet::api
