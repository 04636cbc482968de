#include "server/admin/authorities.hpp"
#include "server/node.hpp"
#include "server/admin/address.hpp"
#include "server/admin/blobs.hpp"
#include "server/admin/data_dir.hpp"
#include "server/admin/database.hpp"
#include "server/upkeep/housekeeping.hpp"
#include "server/admin/passphrase.hpp"
#include "server/upkeep/retention.hpp"

#include "core/base/descriptors.hpp"
#include "core/base/dir_lock.hpp"
#include "core/base/log.hpp"
#include "core/net/client.hpp"
#include "server/access/oidc/issuer_keys.hpp"
#include "server/api/handler.hpp"
#include "server/blobs/s3/answers.hpp"
#include "server/blobs/turns.hpp"
#include "server/content/preparer.hpp"
#include "server/fronts/agent/polls.hpp"
#include "server/fronts/agent/reporters.hpp"
#include "server/registry/factory.hpp"
#include "server/rollout/shell/engine.hpp"
#include "server/signing/key_ring.hpp"
#include "server/signing/repository.hpp"
#include "server/nodes/beats.hpp"
#include "server/nodes/feed.hpp"
#include "server/nodes/identity.hpp"
#include "server/nodes/key_share.hpp"
#include "server/telemetry/clickhouse/settings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <thread>

namespace fleet {
namespace {

constexpr Millis kDrainDeadline{10'000};
constexpr unsigned kThreadsMax = 32;
constexpr std::uint64_t kOtherDescriptors = 128;  // the database, a reader a thread, logs
constexpr double kOfDescriptors = .7;             // the rest are files on their way out

enum ListenerIndex : std::size_t { kApi, kDevices };

/// SIGTERM and SIGINT are taken by one sigwait(3), in no handler. A second one ends the process at once.
class StopSignals {
public:
  StopSignals() {
    ::signal(SIGPIPE, SIG_IGN);
    ::sigemptyset(&set_);
    ::sigaddset(&set_, SIGTERM);
    ::sigaddset(&set_, SIGINT);
    ::pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  }
  void wait() const {
    int caught = 0;
    ::sigwait(&set_, &caught);
    ::pthread_sigmask(SIG_UNBLOCK, &set_, nullptr);
    log::info("server.stopping", {{"signal", caught}});
  }

private:
  sigset_t set_{};
};

std::string url_of(std::string const& host, std::uint16_t port) {
  return host.find(':') == std::string::npos ? fmt::format("https://{}:{}", host, port) : fmt::format("https://[{}]:{}", host, port);
}

/// How others reach a listener: its own address, or the first host of the certificate when it is bound to every address.
std::string reachable(std::string const& bound, std::string const& first_host) { return bound == "0.0.0.0" || bound == "::" ? first_host : bound; }

/// The parts in the order in which they depend on each other; they end in the opposite order.
struct Running {
  signing::KeyRing keys;
  oidc::IssuerKeys issuers{oidc::fetch_over_tls(system_clock())};
  blobs::Turns turns;
  std::unique_ptr<blobs::BlobStore> blobs;
  std::unique_ptr<store::Store> store;
  store::Lease lease;
  nodes::KeyShare key_share;
  nodes::Feed feed;
  Services services;
  std::unique_ptr<clickhouse::Sink> telemetry;
  std::unique_ptr<rollout::Engine> engine;
  std::unique_ptr<net::Server> net;
  std::unique_ptr<fronts::Polls> polls;
  std::unique_ptr<routes::Preparer> content;
  std::unique_ptr<nodes::Beats> beats;

  Running(admin::Layout const& layout, crypto::KeyFiles const& files, std::unique_ptr<blobs::BlobStore> bytes, std::unique_ptr<store::Store> opened, crypto::CertificateAndKey ca, std::string name, std::uint64_t egress)
      : keys(system_fs(), system_random(), files, layout.keys()),
        turns(egress),
        blobs(std::move(bytes)),
        store(std::move(opened)),
        lease(*store, system_clock(), "lead"),
        key_share(*store, keys),
        feed(*store, system_clock()),
        services{.data_dir = layout.dir,
                 .clock = system_clock(),
                 .fs = system_fs(),
                 .random = system_random(),
                 .store = *store,
                 .ca = std::move(ca),
                 .server_name = std::move(name),
                 .devices_url = {},
                 .lease = &lease,
                 .keys = &keys,
                 .issuers = &issuers,
                 .blobs = blobs.get(),
                 .turns = &turns} {}
  ~Running() { store->close(); }  // what it calls goes before it does
};

/// Which of the fleet's servers a folder on a PostgreSQL is. The first that runs on a database founds them; another must have joined. Nothing: it is alone on a file.
/// @errors conflict (`not_a_node`)
Result<nodes::Identity> identify(admin::Layout const& layout, Fs& fs) {
  if (layout.database_url.empty()) return nodes::Identity{};
  FLEET_TRY(auto const known, nodes::load_identity(fs, layout.node()));
  return known ? *known : nodes::Identity{nodes::make_id(system_clock().wall(), system_random()), {}};
}

/// @param files  of the folder's keys: who founds must have this fleet's
Result<void> enter(store::Store& store, admin::Layout const& layout, crypto::KeyFiles const& files, nodes::Identity const& self) {
  if (self.id.empty()) return {};
  auto& fs = system_fs();
  signing::KeyRing keys(fs, system_random(), files, layout.keys());
  auto const job = [&](store::Tx& tx) -> Result<void> {
    FLEET_TRY(auto const known, nodes::list_nodes(tx.connection()));
    if (std::any_of(known.begin(), known.end(), [&](auto const& node) { return node.id == self.id; })) return {};
    if (!known.empty())
      return Error{Kind::conflict, "not_a_node", fmt::format("the database has {} server{}, and {} is none of them", known.size(), known.size() == 1 ? "" : "s", layout.dir),
                   "let it join: fleet-server node export-keys there, node join here; a copy of a folder is no second server"};
    FLEET_CHECK(admin::check_pair(tx.connection(), keys));
    FLEET_CHECK(nodes::save_identity(fs, layout.node(), self));
    return nodes::add_node(tx, self.id, nodes::host_name(), system_clock().wall());
  };
  return store.write_wait(store::Lane::verbs, job);
}



/// What both listeners may hold together: the descriptors that the system allows, less those of database, logs and files on their way out.
struct Room {
  net::DoorLimits api{.connections = 4'000, .strangers = 2'000, .strangers_an_address = 500, .connections_an_identity = 256};
  net::DoorLimits devices{.connections = 20'000, .strangers = 4'000, .strangers_an_address = 1'000, .connections_an_identity = 16};

  explicit Room(std::uint64_t descriptors) {
    auto const wanted = static_cast<double>(api.connections + devices.connections);
    auto const share = std::min(1., static_cast<double>(descriptors > kOtherDescriptors ? descriptors - kOtherDescriptors : 0) * kOfDescriptors / wanted);
    if (share == 1) return;
    for (auto* door : {&api, &devices})
      for (auto* part : {&door->connections, &door->strangers, &door->strangers_an_address})
        *part = std::max<std::size_t>(8, static_cast<std::size_t>(static_cast<double>(*part) * share));
    log::warn("server.few_descriptors", {{"limit", descriptors}, {"connections", api.connections + devices.connections}, {"hint", "raise LimitNOFILE"}});
  }
};

Result<std::vector<net::AddressRange>> parse_balancers(std::vector<std::string> const& texts) {
  std::vector<net::AddressRange> out;
  for (auto const& text : texts) {
    auto range = net::AddressRange::parse(text);
    if (!range) return Error{Kind::bad_input, range.error().code, "--proxy-protocol-from " + text + ": " + range.error().detail, "for example 10.0.0.7 or 10.0.0.0/8"};
    out.push_back(*range);
  }
  return out;
}

Result<void> listen(Running& running, crypto::CertificateAndKey const& identity, admin::Address const& api, admin::Address const& devices,
                    std::vector<net::AddressRange> const& balancers, std::uint64_t egress) {
  auto& services = running.services;
  net::ListenerConfig base;
  base.certificate_pem = identity.certificate;
  base.private_key_pem = identity.private_key;
  base.balancers = balancers;
  Room const room{raise_descriptor_limit()};
  std::vector<net::ListenerConfig> listeners(2, base);
  listeners[kApi].name = "api";
  listeners[kApi].address = api.host;
  listeners[kApi].port = api.port;
  listeners[kApi].door = room.api;
  listeners[kApi].handler = api::make_handler(services, api::Listener::api);
  listeners[kDevices].name = "devices";
  listeners[kDevices].address = devices.host;
  listeners[kDevices].port = devices.port;
  listeners[kDevices].door = room.devices;
  listeners[kDevices].request_client_certificate = true;
  listeners[kDevices].keep_client_certificate = !services.factories_file.empty();
  listeners[kDevices].client_ca_names_pem = services.ca.certificate;
  listeners[kDevices].handler = api::make_handler(services, api::Listener::device);
  auto const threads = std::clamp(std::thread::hardware_concurrency(), 1U, kThreadsMax);
  FLEET_TRY(running.net, net::Server::create(std::move(listeners), {.egress = egress}, threads, running.services.clock));
  services.net = running.net.get();
  FLEET_TRY(auto const served, crypto::inspect_certificate(identity.certificate));
  services.certificate_until = served.not_after;
  return {};
}

/// The store of blobs, known as this fleet's. One that does not answer now may answer later; one that says no is told at once.
Result<std::unique_ptr<blobs::BlobStore>> find_blobs(admin::Layout const& layout, RunOptions const& options, store::Store& database) {
  admin::Machine const machine{system_clock(), system_random()};
  FLEET_TRY(auto blobs, admin::open_blobs(system_fs(), machine, layout, options.blobs.credentials_file, layout.blobs_scratch(), options.blobs_cache));
  auto const known = admin::check_blobs_mark(database.reader(), *blobs);
  bool const later = !known && s3::is_passing(known.error());
  if (later) log::warn("server.blobs_away", {{"code", known.error().code}, {"detail", known.error().detail}});
  if (!known && !later) return known.error();
  if (known && !*known && blobs->is_shared()) FLEET_CHECK(database.write_wait(store::Lane::verbs, [&](store::Tx& tx) { return admin::mark_blobs(tx, *blobs, machine); }));
  return blobs;
}

Result<void> configure(Services& services, RunOptions const& options) {
  services.certificate_lifetime = options.certificate_lifetime;
  services.factories_file = options.factories_file;
  if (!services.factories_file.empty()) FLEET_CHECK(registry::load_factories(services.fs, services.factories_file));
  return {};
}

/// How others reach a listener, as it was told; empty: it was not. @errors bad_input (code `bad_url`)
Result<std::string> public_url(std::string_view flag, std::string told, std::vector<std::string> const& hosts) {
  while (!told.empty() && told.back() == '/') told.pop_back();
  if (told.empty()) return told;
  auto const url = net::Url::parse(told);
  if (!url || url->scheme != "https" || url->target != "/")
    return Error{Kind::bad_input, "bad_url", fmt::format("{} '{}' is not https://HOST[:PORT]", flag, told)};
  if (std::find(hosts.begin(), hosts.end(), url->host) == hosts.end())
    log::warn("server.public_host", {{"flag", flag}, {"host", url->host}, {"detail", "is not in this server's certificate (init --host)"}});
  return told;
}

/// `endpoints.json`: where the listeners listen, and how others reach them where that was told.
Result<void> announce(admin::Layout const& layout, std::vector<std::pair<std::string_view, std::string>> const& endpoints) {
  std::string text;
  for (auto const& [name, url] : endpoints)
    if (!url.empty()) text += fmt::format(R"({}"{}":"{}")", text.empty() ? "{" : ",", name, url);
  text += "}";
  FLEET_CHECK(system_fs().replace(layout.endpoints(), text + "\n", 0644));
  fmt::print("{}\n", text);
  std::fflush(stdout);
  return {};
}

/// Where samples are kept, if not in the database.
Result<void> open_telemetry(Running& running, admin::Layout const& layout, RunOptions const& options) {
  if (!options.telemetry.empty() && !layout.telemetry_url.empty() && options.telemetry != layout.telemetry_url)
    return Error{Kind::conflict, "two_telemetries", "--telemetry is another than the one that " + layout.settings() + " names", "leave one of them out"};
  auto const& url = options.telemetry.empty() ? layout.telemetry_url : options.telemetry;
  auto& services = running.services;
  if (url.empty()) {
    FLEET_TRY(auto const waiting, telemetry::load_waiting(services.store.reader()));
    if (waiting.rows > 0) log::warn("telemetry.left", {{"rows", waiting.rows}, {"hint", "they wait for the ClickHouse that --telemetry named"}});
    return {};
  }
  clickhouse::Settings const settings{url, options.telemetry_password_file, options.telemetry_ca_file, options.telemetry_waiting_max};
  FLEET_TRY(running.telemetry, clickhouse::open(settings, services.fs, services.store, services.clock, services.random));
  services.telemetry = running.telemetry.get();
  return {};
}

/// Says that this server lives, and hears what others say.
Result<void> join_others(Running& running, std::string const& id, std::string const& api_url) {
  auto& services = running.services;
  nodes::Node self{.id = id, .host = nodes::host_name(), .version = FLEET_VERSION, .api = api_url, .devices = services.devices_url};
  running.beats = std::make_unique<nodes::Beats>(services.store, running.lease, services.rollouts->clock(), services.clock, std::move(self));
  services.nodes = running.beats.get();
  FLEET_CHECK(running.beats->begin());
  running.beats->start();
  running.feed.start();
  return {};
}

Result<void> drain(Running& running, admin::Layout const& layout) {
  running.services.draining = true;
  running.polls->drain();
  running.net->stop(kDrainDeadline);
  running.blobs->stop();
  running.content->stop();
  running.engine->stop();
  if (running.telemetry) running.telemetry->stop();
  running.beats->stop();
  running.feed.stop();
  running.store->close();
  auto const removed = system_fs().remove(layout.endpoints());
  log::info("server.stopped");
  return removed;
}

}  // namespace

Result<void> run(RunOptions const& options) {
  FLEET_TRY(auto const api, admin::Address::parse(options.api));
  FLEET_TRY(auto const devices, admin::Address::parse(options.devices));
  FLEET_TRY(auto const balancers, parse_balancers(options.balancers));
  auto& fs = system_fs();
  FLEET_TRY(auto const layout, admin::find_layout(fs, {options.data_dir, options.database, {}, options.blobs}));
  FLEET_TRY(auto const lock, DirLock::acquire(fs, layout.dir));
  StopSignals const signals;  // before the first thread: all of them inherit the mask
  if (auto const stale = fs.remove(layout.endpoints()); !stale && stale.error().kind != Kind::not_found) return stale.error();

  FLEET_TRY(auto const key_files, admin::open_keys(fs, system_random(), layout, options.passphrase_file));
  FLEET_TRY(auto ca, admin::read_ca(fs, key_files, layout));
  FLEET_TRY(auto const self, identify(layout, fs));
  FLEET_TRY(auto opened, store::Store::open(layout.place(), system_clock(), self.id));
  FLEET_CHECK(enter(*opened, layout, key_files, self));
  FLEET_TRY(auto known_as, admin::load_identity(opened->reader()));
  known_as.hosts.insert(known_as.hosts.end(), self.hosts.begin(), self.hosts.end());
  FLEET_TRY(auto const public_api, public_url("--public-api-url", options.public_api_url, known_as.hosts));
  FLEET_TRY(auto const public_devices, public_url("--public-devices-url", options.public_devices_url, known_as.hosts));
  FLEET_TRY(auto const identity, admin::load_server_identity(fs, key_files, layout, ca, known_as.hosts, {system_clock().wall(), options.certificate_lifetime}));
  FLEET_TRY(auto blobs, find_blobs(layout, options, *opened));
  Running running(layout, key_files, std::move(blobs), std::move(opened), std::move(ca), known_as.name, options.egress);
  auto& services = running.services;
  FLEET_CHECK(running.key_share.catch_up());
  FLEET_CHECK(admin::check_pair(services.store.reader(), running.keys));
  FLEET_CHECK(signing::settle_rotations(services.store.reader(), running.keys));
  FLEET_CHECK(configure(services, options));
  FLEET_CHECK(open_telemetry(running, layout, options));
  auto const tidy = [&services](store::Tx& tx) -> Result<void> {
    FLEET_TRY(auto const nodes, nodes::list_nodes(tx.connection()));
    FLEET_TRY(services.ca_version, admin::announce_ca(tx, services.ca.certificate, nodes.size() > 1));
    return upkeep::tidy_up(tx, services, services.clock.wall());
  };
  FLEET_CHECK(services.store.write_wait(store::Lane::verbs, tidy));

  FLEET_TRY(running.engine, rollout::Engine::create(services));
  services.rollouts = running.engine.get();
  FLEET_CHECK(listen(running, identity, api, devices, balancers, options.egress));
  auto const& host = self.hosts.empty() ? known_as.hosts.front() : self.hosts.front();
  std::vector<std::pair<std::string_view, std::string>> const endpoints{{"api", url_of(reachable(api.host, host), running.net->port(kApi))},
                                                                        {"devices", url_of(reachable(devices.host, host), running.net->port(kDevices))},
                                                                        {"public_api", public_api},
                                                                        {"public_devices", public_devices}};
  services.devices_url = public_devices.empty() ? endpoints[1].second : public_devices;
  FLEET_TRY(auto const poll_settings, fronts::load_poll_settings(services.store.reader()));
  services.reporters = std::make_shared<fronts::Reporters>();
  running.polls = std::make_unique<fronts::Polls>(services, poll_settings, api::problem);
  services.polls = running.polls.get();
  services.parking = &running.polls->parking();

  FLEET_CHECK(join_others(running, self.id, public_api.empty() ? endpoints[0].second : public_api));
  running.engine->start();
  if (running.telemetry) running.telemetry->start([&services] { return services.leads(); });
  running.net->start();
  running.content = std::make_unique<routes::Preparer>(services, options.content_bytes_max);
  running.content->start();
  upkeep::schedule_housekeeping(services);
  upkeep::schedule_retention(services);
  upkeep::schedule_collection(services);
  upkeep::schedule_renewal(services, key_files, known_as.hosts);
  auto const announced = announce(layout, endpoints);
  if (announced) {
    log::info("server.running", {{"name", services.server_name}, {"devices", services.devices_url}, {"threads", running.net->threads()}, {"node", self.id}});
    signals.wait();
  }
  auto const drained = drain(running, layout);
  return announced ? drained : announced;
}

}  // namespace fleet
