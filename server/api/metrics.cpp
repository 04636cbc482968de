#include "server/api/metrics.hpp"

#include "server/access/roles.hpp"
#include "server/api/exposition.hpp"
#include "server/api/metrics_rollouts.hpp"
#include "server/api/metrics_telemetry.hpp"
#include "server/blobs/garbage.hpp"
#include "server/blobs/store/blob_store.hpp"
#include "server/blobs/turns.hpp"
#include "server/content/recipes.hpp"
#include "server/events/audit.hpp"
#include "server/fronts/agent/parking.hpp"
#include "server/nodes/beats.hpp"
#include "server/registry/devices.hpp"
#include "server/rollout/shell/presence.hpp"
#include "server/signing/repository.hpp"
#include "server/signing/trust_status.hpp"
#include "server/telemetry/latest.hpp"

namespace fleet::api {
namespace {

/// What a scrape reads.
struct Scrape {
  Services& services;
  db::Connection& reader;
  SysTime now;
};

struct Counter {
  std::string_view name, help;
  std::uint64_t net::ServerCounters::*value;
};
constexpr auto kNetCounters = std::to_array<Counter>({
    {"fleet_net_connections_accepted_total", "Connections accepted.", &net::ServerCounters::accepted},
    {"fleet_net_connections_open", "Connections open now.", &net::ServerCounters::open},
    {"fleet_net_connections_refused_total", "Connections refused over the limit.", &net::ServerCounters::connections_refused},
    {"fleet_net_requests_total", "Requests handled.", &net::ServerCounters::requests},
    {"fleet_net_requests_refused_total", "Requests answered with 4xx before they were handled: not HTTP, too large, too slow.", &net::ServerCounters::requests_refused},
    {"fleet_net_handshakes_total", "TLS handshakes.", &net::ServerCounters::handshakes},
    {"fleet_net_handshakes_resumed_total", "TLS handshakes that resumed a session.", &net::ServerCounters::resumed},
    {"fleet_net_handshake_failures_total", "TLS handshakes that failed.", &net::ServerCounters::handshake_failures},
    {"fleet_net_timed_out_total", "Connections closed at a deadline.", &net::ServerCounters::timed_out},
    {"fleet_net_file_bytes_total", "Bytes of files sent.", &net::ServerCounters::file_bytes},
    {"fleet_net_egress_waiting", "Connections whose file waits within --egress.", &net::ServerCounters::egress_waiting},
});

void add_by_state(Exposition& out, std::vector<std::pair<std::string, std::int64_t>> const& counts, std::string_view name, std::string_view help) {
  out.family(name, help);
  for (auto const& [state, count] : counts) out.add({{"state", state}}, count);
}

std::int64_t seconds_until(SysTime at, SysTime now) { return std::chrono::floor<seconds>(at - now).count(); }

Result<void> add_connections(Scrape const& scrape, Exposition& out) {
  auto const& services = scrape.services;
  auto const counters = services.net ? services.net->counters() : net::ServerCounters{};
  for (auto const& counter : kNetCounters) out.single(counter.name, counter.help, counters.*counter.value);
  if (services.parking) out.single("fleet_parked_polls", "Polls that wait for something to do.", services.parking->count());
  if (!services.turns) return {};
  auto const turns = services.turns->figures();
  out.single("fleet_delivery_devices", "Devices that have a turn within --egress.", turns.at_it);
  out.single("fleet_delivery_told_later_total", "Requests for objects that were told to come again.", turns.told_later);
  return {};
}

Result<void> add_lanes(Scrape const& scrape, Exposition& out) {
  auto const lanes = scrape.services.store.lanes();
  auto const each = [&](std::string_view name, std::string_view help, auto const& value_of) {
    out.family(name, help);
    for (std::size_t i = 0; i < lanes.size(); ++i) out.add({{"lane", store::kLaneRules[i].name}}, value_of(i));
  };
  each("fleet_store_waiting", "Writes that wait, by lane.", [&](std::size_t i) { return lanes[i].waiting; });
  each("fleet_store_waiting_max", "Writes that may wait: a lane that has so many refuses more.", [](std::size_t i) { return store::kLaneRules[i].waiting_max; });
  each("fleet_store_refused_total", "Writes that a full lane refused.", [&](std::size_t i) { return lanes[i].refused; });
  return {};
}

Result<void> add_devices(Scrape const& scrape, Exposition& out) {
  FLEET_TRY(auto const devices, registry::count_by_state(scrape.reader));
  add_by_state(out, devices, "fleet_devices", "Registered devices by state.");
  FLEET_TRY(auto const hour, rollout::last_hour(scrape.reader));
  struct Part {
    std::string_view name, help;
    std::int64_t value;
  };
  auto const seen = hour.value_or(rollout::PastHour{});
  for (auto const& [name, help, value] : {
           Part{"fleet_presence_devices", "Active devices that were ever heard, as of the newest hour that was looked at.", seen.devices},
           Part{"fleet_presence_offline_devices", "Of these, not heard for three of their poll intervals.", seen.away},
           Part{"fleet_presence_hour_timestamp_seconds", "Start of that hour; it is looked at once.", seen.hour * 3600},
       }) {
    out.family(name, help);
    if (hour) out.add({}, value);
  }
  return {};
}

Result<void> add_sensors(Scrape const& scrape, Exposition& out) {
  FLEET_TRY(auto const flagged, telemetry::count_flagged(scrape.reader));
  out.family("fleet_sensors_flagged_devices", "Devices that measure something whose samples count for nothing, by why.");
  for (std::size_t i = 0; i < flagged.size(); ++i) out.add({{"flag", wire::kFlagNames[i]}}, flagged[i]);
  return {};
}

Result<void> add_live(Scrape const& scrape, Exposition& out) { return add_rollouts(scrape.reader, out); }

Result<void> add_sink(Scrape const& scrape, Exposition& out) { return add_telemetry(scrape.reader, scrape.services.telemetry, scrape.now, out); }

Result<void> add_trust(Scrape const& scrape, Exposition& out) {
  FLEET_TRY(auto const roles, signing::list_roles(scrape.reader));
  out.family("fleet_trust_expires_in_seconds", "Until what a role signed expires; signed again at half its lifetime.");
  for (auto const& one : roles) out.add({{"role", one.role}}, seconds_until(one.expires, scrape.now));
  out.family("fleet_trust_lifetime_seconds", "For how long what a role signs is good.");
  for (auto const& one : roles) out.add({{"role", one.role}}, std::chrono::floor<seconds>(signing::lifetime_of(one.role)).count());
  FLEET_TRY(auto const ca, crypto::inspect_certificate(scrape.services.ca.certificate));
  out.family("fleet_certificate_expires_in_seconds", "Until the certificate of the CA that issues ends, and the server's own, which is renewed at two thirds of its lifetime.");
  out.add({{"certificate", "ca"}}, seconds_until(ca.not_after, scrape.now));
  if (auto const until = scrape.services.certificate_until.load(); until != SysTime{}) out.add({{"certificate", "server"}}, seconds_until(until, scrape.now));
  FLEET_TRY(auto const audited, events::last_sequence(scrape.reader));
  out.single("fleet_audit_entries_total", "Entries ever written to the audit log.", audited);
  return {};
}

Result<void> add_content(Scrape const& scrape, Exposition& out) {
  FLEET_TRY(auto const back, blobs::given_back(scrape.reader));
  out.single("fleet_blobs_given_back_total", "Files that nothing named any more and that were removed.", back.blobs);
  out.single("fleet_blobs_given_back_bytes_total", "Their bytes.", back.bytes);
  out.single("fleet_blobs_leaving_bytes", "Bytes that nothing names and that go within a day.", back.waiting_bytes);
  FLEET_TRY(auto const content, routes::figures(scrape.reader));
  add_by_state(out, content.recipes, "fleet_content_recipes", "Recipes by state: ready, waiting to be made, refused because they save too little, failed.");
  out.single("fleet_content_objects", "Recipes and wire objects that are kept.", content.objects);
  out.single("fleet_content_bytes", "Their bytes.", content.bytes);
  return {};
}

Result<void> add_nodes(Scrape const& scrape, Exposition& out) {
  auto const& services = scrape.services;
  if (services.nodes == nullptr || !services.store.turns().is_shared()) return {};
  auto const nodes = services.nodes->nodes();
  out.family("fleet_node_lives", "Whether a server of this fleet said something within 5 s, as this one saw it.");
  for (auto const& one : nodes) out.add({{"node", one.node.id}, {"host", one.node.host}}, one.lives ? 1 : 0);
  out.family("fleet_node_leads", "1 of the server that judges rollouts and tidies up.");
  for (auto const& one : nodes) out.add({{"node", one.node.id}, {"host", one.node.host}}, one.leads ? 1 : 0);
  out.single("fleet_node_behind", "1 where this server does not hear what the others write, and tells devices nothing from memory.",
             services.store.turns().is_current(services.clock.mono()) ? 0 : 1);
  return {};
}

/// Of a store of blobs that is elsewhere.
Result<void> add_blob_store(Scrape const& scrape, Exposition& out) {
  auto const figures = scrape.services.blobs != nullptr ? scrape.services.blobs->figures() : std::nullopt;
  if (!figures) return {};
  struct Part {
    std::string_view name, help;
    std::uint64_t value;
  };
  for (auto const& [name, help, value] : {
           Part{"fleet_blobs_store_asked_total", "Operations on the store of blobs, each with all its attempts.", figures->asked.asked},
           Part{"fleet_blobs_store_again_total", "Attempts after the first.", figures->asked.again},
           Part{"fleet_blobs_store_failed_total", "Operations that failed in the end.", figures->asked.failed},
           Part{"fleet_blobs_store_throttled_total", "Answers that asked for less.", figures->asked.throttled},
           Part{"fleet_blobs_store_altered_total", "Answers that were cut, or not what was given.", figures->asked.altered},
           Part{"fleet_blobs_store_read_bytes_total", "Bytes read from it.", figures->asked.bytes_in},
           Part{"fleet_blobs_store_written_bytes_total", "Bytes written to it.", figures->asked.bytes_out},
           Part{"fleet_blobs_copies", "Copies of its blobs on this disk.", figures->local_files},
           Part{"fleet_blobs_copies_bytes", "Their bytes.", figures->local_bytes},
           Part{"fleet_blobs_copies_found_total", "Files that were there when they were wanted.", figures->found},
           Part{"fleet_blobs_copies_fetched_total", "Files that were fetched.", figures->fetched},
           Part{"fleet_blobs_streams", "Files that are sent while they are fetched.", figures->streams},
           Part{"fleet_blobs_store_failing", "1 while nothing goes well with it.", scrape.services.blobs->trouble() ? std::uint64_t{1} : std::uint64_t{0}},
       })
    out.single(name, help, value);
  return {};
}

Result<void> add_process(Scrape const& scrape, Exposition& out) {
  out.single("fleet_draining", "1 while the server ends.", scrape.services.draining.load() ? 1 : 0);
  return {};
}

/// In the order of the answer.
constexpr auto kParts = std::to_array<Result<void> (*)(Scrape const&, Exposition&)>(
    {&add_connections, &add_lanes, &add_devices, &add_sensors, &add_live, &add_sink, &add_trust, &add_content, &add_blob_store, &add_nodes, &add_process});

}  // namespace

Result<Reply> get_metrics(Services& services, Call const& call) {
  if (!call.request.peer->loopback && !access::role_allows(call.actor.role, Permission::read)) {
    return Error{Kind::unauthenticated, "no_token", "/metrics takes a token from elsewhere than this machine",
                 "send Authorization: Bearer <token> of a viewer"};
  }
  Exposition out;
  Scrape const scrape{services, services.store.reader(), call.now};
  for (auto const part : kParts) FLEET_CHECK(part(scrape, out));
  Reply reply;
  reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
  reply.body = out.take();
  return reply;
}

}  // namespace fleet::api
