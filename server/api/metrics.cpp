#include "server/api/metrics.hpp"

#include "server/access/roles.hpp"
#include "server/blobs/garbage.hpp"
#include "server/blobs/turns.hpp"
#include "server/content/recipes.hpp"
#include "server/events/audit.hpp"
#include "server/fronts/agent/parking.hpp"
#include "server/registry/devices.hpp"
#include "server/rollout/shell/record.hpp"
#include "server/signing/trust_status.hpp"

#include <fmt/format.h>

namespace fleet::api {
namespace {

struct Counter {
  std::string_view name, help;
  std::string_view type;
  std::uint64_t net::ServerCounters::*value;
};
constexpr auto kNetCounters = std::to_array<Counter>({
    {"fleet_net_connections_accepted_total", "Connections accepted.", "counter", &net::ServerCounters::accepted},
    {"fleet_net_connections_open", "Connections open now.", "gauge", &net::ServerCounters::open},
    {"fleet_net_connections_refused_total", "Connections refused over the limit.", "counter", &net::ServerCounters::connections_refused},
    {"fleet_net_requests_total", "Requests handled.", "counter", &net::ServerCounters::requests},
    {"fleet_net_requests_refused_total", "Requests answered with 4xx before they were handled: not HTTP, too large, too slow.", "counter",
     &net::ServerCounters::requests_refused},
    {"fleet_net_handshakes_total", "TLS handshakes.", "counter", &net::ServerCounters::handshakes},
    {"fleet_net_handshakes_resumed_total", "TLS handshakes that resumed a session.", "counter", &net::ServerCounters::resumed},
    {"fleet_net_handshake_failures_total", "TLS handshakes that failed.", "counter", &net::ServerCounters::handshake_failures},
    {"fleet_net_timed_out_total", "Connections closed at a deadline.", "counter", &net::ServerCounters::timed_out},
    {"fleet_net_file_bytes_total", "Bytes of files sent.", "counter", &net::ServerCounters::file_bytes},
    {"fleet_net_egress_waiting", "Connections whose file waits within --egress.", "gauge", &net::ServerCounters::egress_waiting},
});

void add_head(std::string& out, std::string_view name, std::string_view help, std::string_view type) {
  out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void add_by_state(std::string& out, std::vector<std::pair<std::string, std::int64_t>> const& counts, std::string_view name, std::string_view help) {
  add_head(out, name, help, "gauge");
  for (auto const& [state, count] : counts) out += fmt::format("{}{{state=\"{}\"}} {}\n", name, state, count);
}

}  // namespace

Result<Reply> get_metrics(Services& services, Call const& call) {
  if (!call.request.peer->loopback && !access::role_allows(call.actor.role, Permission::read)) {
    return Error{Kind::unauthenticated, "no_token", "/metrics takes a token from elsewhere than this machine",
                 "send Authorization: Bearer <token> of a viewer"};
  }
  Reply reply;
  reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
  auto& out = reply.body;
  auto const counters = services.net ? services.net->counters() : net::ServerCounters{};
  for (auto const& counter : kNetCounters) {
    add_head(out, counter.name, counter.help, counter.type);
    out += fmt::format("{} {}\n", counter.name, counters.*counter.value);
  }
  auto const lanes = services.store.lanes();
  add_head(out, "fleet_store_waiting", "Writes that wait, by lane.", "gauge");
  for (std::size_t i = 0; i < lanes.size(); ++i) out += fmt::format("fleet_store_waiting{{lane=\"{}\"}} {}\n", store::kLaneRules[i].name, lanes[i].waiting);
  add_head(out, "fleet_store_refused_total", "Writes that a full lane refused.", "counter");
  for (std::size_t i = 0; i < lanes.size(); ++i) out += fmt::format("fleet_store_refused_total{{lane=\"{}\"}} {}\n", store::kLaneRules[i].name, lanes[i].refused);
  if (services.parking) {
    add_head(out, "fleet_parked_polls", "Polls that wait for something to do.", "gauge");
    out += fmt::format("fleet_parked_polls {}\n", services.parking->count());
  }
  if (services.turns) {
    auto const turns = services.turns->figures();
    add_head(out, "fleet_delivery_devices", "Devices that have a turn within --egress.", "gauge");
    out += fmt::format("fleet_delivery_devices {}\n", turns.at_it);
    add_head(out, "fleet_delivery_told_later_total", "Requests for objects that were told to come again.", "counter");
    out += fmt::format("fleet_delivery_told_later_total {}\n", turns.told_later);
  }
  auto& reader = services.store.reader();
  FLEET_TRY(auto const devices, registry::count_by_state(reader));
  add_by_state(out, devices, "fleet_devices", "Registered devices by state.");
  FLEET_TRY(auto const rollouts, rollout::count_by_state(reader));
  add_by_state(out, rollouts, "fleet_rollouts", "Rollouts by state.");
  FLEET_TRY(auto const audited, events::last_sequence(reader));
  add_head(out, "fleet_audit_entries_total", "Entries ever written to the audit log.", "counter");
  out += fmt::format("fleet_audit_entries_total {}\n", audited);
  {
    FLEET_TRY(auto const roles, signing::list_roles(reader));
    add_head(out, "fleet_trust_expires_in_seconds", "Until what a role signed expires; signed again at half its lifetime.", "gauge");
    for (auto const& one : roles)
      out += fmt::format("fleet_trust_expires_in_seconds{{role=\"{}\"}} {}\n", one.role, std::chrono::floor<seconds>(one.expires - call.now).count());
  }
  FLEET_TRY(auto const back, blobs::given_back(reader));
  add_head(out, "fleet_blobs_given_back_total", "Files that nothing named any more and that were removed.", "counter");
  out += fmt::format("fleet_blobs_given_back_total {}\n", back.blobs);
  add_head(out, "fleet_blobs_given_back_bytes_total", "Their bytes.", "counter");
  out += fmt::format("fleet_blobs_given_back_bytes_total {}\n", back.bytes);
  add_head(out, "fleet_blobs_leaving_bytes", "Bytes that nothing names and that go within a day.", "gauge");
  out += fmt::format("fleet_blobs_leaving_bytes {}\n", back.waiting_bytes);
  FLEET_TRY(auto const content, routes::figures(reader));
  add_by_state(out, content.recipes, "fleet_content_recipes", "Recipes by state: ready, waiting to be made, refused because they save too little, failed.");
  add_head(out, "fleet_content_objects", "Recipes and wire objects that are kept.", "gauge");
  out += fmt::format("fleet_content_objects {}\n", content.objects);
  add_head(out, "fleet_content_bytes", "Their bytes.", "gauge");
  out += fmt::format("fleet_content_bytes {}\n", content.bytes);
  add_head(out, "fleet_draining", "1 while the server ends.", "gauge");
  out += fmt::format("fleet_draining {}\n", services.draining.load() ? 1 : 0);
  return reply;
}

}  // namespace fleet::api
