#include "agent/commands/daemon.hpp"

#include "agent/commands/config_check.hpp"
#include "agent/commands/facts.hpp"
#include "agent/conditions/health.hpp"
#include "agent/delivery/sealed_slot.hpp"
#include "agent/store/credentials.hpp"
#include "agent/store/kept_dirs.hpp"
#include "agent/telemetry/statsd_socket.hpp"
#include "agent/commands/control.hpp"
#include "agent/commands/install.hpp"
#include "agent/report/receipt.hpp"
#include "core/base/dir_lock.hpp"
#include "core/base/log.hpp"
#include "core/proof/process.hpp"
#include "core/wire/json.hpp"

#include <malloc.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <boost/json/serialize.hpp>

#include <csignal>
#include <optional>
#include <utility>

namespace fleet::agent {
namespace {

constexpr unsigned kOthersRead = 0755;  ///< of the root: programs of releases find their files, and nobody else puts one there

std::string error_json(Error const& error) {
  return boost::json::serialize(boost::json::object{
      {"error", boost::json::object{{"kind", to_string(error.kind)}, {"code", error.code}, {"detail", error.detail}, {"hint", error.hint}}}});
}

/// SIGTERM, SIGINT and SIGHUP as a descriptor; blocked in every thread made after.
class Signals {
public:
  Signals() {
    sigset_t wanted;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGTERM);
    sigaddset(&wanted, SIGINT);
    sigaddset(&wanted, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &wanted, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    fd_ = ::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
  }
  Signals(Signals const&) = delete;
  ~Signals() { ::close(fd_); }
  [[nodiscard]] int descriptor() const { return fd_; }
  /// The next one that came; 0: none.
  [[nodiscard]] int take() const {
    signalfd_siginfo info{};
    return ::read(fd_, &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
  }

private:
  int fd_;
};

Result<Told> load_last_told(Context& context) {
  auto told = load_told(context.fs, context.layout.directive());
  if (told) return told;
  // Damaged: the next poll with sequence 0 brings it again, and what runs goes on running.
  log::warn("directive.lost", {{"error", told.error().detail}});
  return Told{};
}

std::string take_bundle(Link& link, Descriptor file) {
  auto bundle = file ? adopt_file(std::move(file), "the bundle") : Result<std::unique_ptr<File>>(Error{Kind::bad_input, "no_file", "no file came with the order"});
  auto const taken = bundle ? link.offer(*std::move(bundle)) : Result<std::int64_t>(bundle.error());
  return taken ? boost::json::serialize(boost::json::object{{"install", *taken}}) : error_json(taken.error());
}

std::string receipt_line(Context& context, Runner& runner, boost::json::value const* after) {
  std::vector<FieldError> faults;
  boost::json::value const none = boost::json::object{};
  wire::ObjectReader reader(after == nullptr ? none : *after, "/after", faults);
  wire::ByTier<std::int64_t> from;
  for (auto const tier : wire::kTiers) from[tier] = reader.integer(wire::tier_name(tier), 0, std::int64_t{1} << 53, 0);
  if (auto const fine = wire::no_faults(faults, "order"); !fine) return error_json(fine.error());
  auto const receipt = make_receipt(context, runner.told().sequence, from);
  if (!receipt) return error_json(receipt.error());
  boost::json::object next;
  for (auto const tier : wire::kTiers) next[wire::tier_name(tier)] = receipt->after[tier];
  return boost::json::serialize(boost::json::object{{"line", receipt->text}, {"after", std::move(next)}, {"more", receipt->more}});
}

std::string answer_line(Context& context, Runner& runner, Link& link, std::string_view line, Descriptor file) {
  auto const value = wire::parse_json(line, 64 * 1024);
  if (!value) return error_json(value.error());
  std::vector<FieldError> faults;
  wire::ObjectReader reader(*value, "", faults);
  auto const wanted = reader.required_text("do", 32);
  auto const model = reader.text("model", 64, {});
  auto const* const after = reader.find("after");
  if (auto const fine = wire::no_faults(faults, "order"); !fine) return error_json(fine.error());
  auto const done = [](Result<void> const& result) { return result ? std::string("{}") : error_json(result.error()); };
  if (wanted == "status") return status_json(context, runner.models(), {link.server(), link.last_contact(), link.last_error()});
  if (wanted == "rollback") return done(runner.roll_back(model));
  if (wanted == "unhold") return done(runner.unhold(model));
  if (wanted == "consent") return done(runner.consent(model));
  if (wanted == "install") return take_bundle(link, std::move(file));
  if (wanted == "installing") return installing_json(link.installing(), runner.models(), runner.told(), runner.bundles().lost());
  if (wanted == "receipt") return receipt_line(context, runner, after);
  return error_json({Kind::bad_input, "unknown_order", "the daemon knows status, rollback, unhold, consent, install, installing and receipt"});
}

/// Without the group that the owner named nobody of it is heard: no reason to leave the device without its agent.
std::optional<gid_t> senders(Config const& config) {
  auto const found = senders_of(config.statsd_group, config.exec.run_as);
  if (!found) log::error("statsd.group_shut_out", {{"error", found.error().detail}, {"hint", found.error().hint}});
  return found ? *found : std::nullopt;
}

/// The owner's file as it is now. What is wrong in it is logged, and the one before goes on; so does one that has not changed, on a device that has not.
std::optional<Config> reread(Fs& fs, Layout const& layout, std::string const& before, Context const& context) {
  auto config = ready_config(fs, layout);
  if (!config) {
    log::error("config.refused", {{"error", config.error().detail}});
    for (auto const& one : config.error().errors) log::error("config.refused", {{"at", one.pointer}, {"error", one.detail}});
    return std::nullopt;
  }
  if (config->written != before || is_another_system(context)) return *std::move(config);
  log::info("config.unchanged", {{"file", layout.config()}});
  return std::nullopt;
}

/// A disk that takes no socket leaves a daemon without it, which still keeps what runs and tells its server; any other error ends the start.
template <class Socket>
Result<std::optional<Socket>> unless_disk_fails(Result<Socket> opened, std::string_view name) {
  if (opened) return std::optional<Socket>(*std::move(opened));
  if (opened.error().kind != Kind::io && opened.error().kind != Kind::unavailable) return opened.error();
  log::error("socket.missing", {{"socket", name}, {"error", opened.error().detail}});
  return std::optional<Socket>();
}

/// Runs until a signal ends it. @returns what the owner's file says now, where SIGHUP asked for that
Result<std::optional<Config>> serve(Fs& fs, Clock& clock, Random& random, Layout const& layout, Config const& config, Signals const& signals, Outside const& outside) {
  FLEET_TRY(auto const daemon, open_daemon(fs, clock, random, layout, config, clock, outside));
  auto& context = *daemon.context;
  FLEET_TRY(auto statsd, unless_disk_fails(StatsdSockets::open(layout.statsd_socket(), senders(config), config.udp_port), "statsd"));
  FLEET_TRY(auto control, unless_disk_fails(ControlSocket::open(layout.control_socket()), "control"));
  std::optional<Config> next;
  log::info("agent.running", {{"device", context.identity.id}, {"root", layout.root}, {"server", daemon.polls->server()}});
  {
    Thread const updater([&] { daemon.runner->loop(); });
    Thread const reporting([&] { daemon.reporter->loop(); });
    Thread const polling([&] { daemon.link->loop(); });
    std::vector<pollfd> fds{{signals.descriptor(), POLLIN, 0}, {control ? control->descriptor() : -1, POLLIN, 0}};
    if (statsd)
      for (auto const& socket : statsd->sockets()) fds.push_back({socket.fd, POLLIN, 0});
    while (!context.stop) {
      if (::poll(fds.data(), fds.size(), -1) < 0) continue;
      int const signal = fds[0].revents != 0 ? signals.take() : 0;
      if (signal == SIGHUP) next = reread(fs, layout, config.written, context);
      context.stop = next || (signal != 0 && signal != SIGHUP);
      if (fds[1].revents != 0) control->serve([&](std::string_view line, Descriptor file) { return answer_line(context, *daemon.runner, *daemon.link, line, std::move(file)); }, clock);
      for (std::size_t i = 2; i < fds.size(); ++i)
        if (fds[i].revents != 0) StatsdSockets::receive(statsd->sockets()[i - 2], context.collector);
    }
    for (auto const& remote : {daemon.polls, daemon.reports}) remote->cancel();
    daemon.runner->stop();
    daemon.reporter->wake();
    daemon.link->hurry();
  }
  log::info("agent.stopped", {{"device", context.identity.id}});
  return next;
}

/// Ours, in memory, and nobody else's to write to: who could would put other files in the place of those that were checked.
Result<void> claim_memory(Fs& fs, std::string const& own) {
  FLEET_CHECK(fs.make_dirs(own, kOthersRead));
  FLEET_TRY(auto const there, fs.info(own));
  if (there.type != FileInfo::Type::directory) return Error{Kind::forbidden, "folder_open", own + " leads elsewhere"};
  FLEET_CHECK(fs.narrow_dir(own, kOthersRead));
  return check_memory_dir(own);
}

/// This device's own folder for what may be in memory alone, made anew after a boot; empty: there is none, and models that need it wait.
std::string ready_memory(Fs& fs, std::string const& dir, std::string const& device) {
  if (dir.empty()) return {};
  auto const own = dir + "/" + device;
  auto const claimed = claim_memory(fs, own);
  if (claimed) return own;
  log::error("memory.not_used", {{"dir", dir}, {"code", claimed.error().code}, {"error", claimed.error().detail}});
  return {};
}

}  // namespace

Result<std::unique_ptr<Context>> open_context(Fs& below, Clock& clock, Random& random, Layout const& layout, Config config, Clock& waits,
                                              Outside const& outside) {
  auto disk = std::make_unique<WatchedFs>(below);
  auto& fs = *disk;
  FLEET_TRY(auto identity, load_identity(fs, layout));
  FLEET_CHECK(find_or_make_dirs(fs, layout.root, layout.state(), 0700));
  FLEET_CHECK(find_or_make_dirs(fs, layout.root, layout.models()));
  for (auto const& [key, fact] : config.report) identity.reported[key] = fact;
  auto const memory = ready_memory(fs, config.memory_dir, identity.id);
  FLEET_TRY(auto journal, Journal::open(fs, layout.journal()));
  OwnerRules rules{config.sensors, config.telemetry_send};
  return std::unique_ptr<Context>(new Context{fs,
                                              clock,
                                              waits,
                                              random,
                                              layout,
                                              std::move(config),
                                              std::move(identity),
                                              TrustedClock::load(fs, clock, layout.floor()),
                                              Slots(fs, layout, memory),
                                              std::move(journal.journal),
                                              Spool::open(fs, layout.spool(), clock),
                                              Collector(clock, std::move(rules)),
                                              {false},
                                              journal.damaged,
                                              std::move(disk),
                                              outside});
}

Result<Daemon> open_daemon(Fs& fs, Clock& clock, Random& random, Layout const& layout, Config const& config, Clock& waits, Outside const& outside) {
  Daemon out;
  FLEET_TRY(out.context, open_context(fs, clock, random, layout, config, waits, outside));
  auto& identity = out.context->identity;
  if (identity.certificate.empty())
    return Error{Kind::unavailable, "enrolment_pending", "the enrolment waits for a person", "approve it with fleetctl device approve, then enrol again"};
  // What a power cut in the middle of a renewal left is no pair: the first that is one is begun with.
  FLEET_TRY(auto const credentials, Credentials(fs, layout).load(identity));
  identity.private_key = credentials.front().private_key;
  identity.certificate = credentials.front().certificate;
  FLEET_TRY(auto const enrolled, load_identity(fs, layout));
  identity.reported = facts_of_device(*out.context, enrolled.reported);
  auto const changed = report_facts(*out.context, enrolled.reported);
  if (!changed) log::warn("facts.not_told", {{"error", changed.error().detail}});
  else out.context->system_changes = *changed;
  out.context->system = digest_of_system(fs, out.context->identity.reported);
  if (auto const made = fs.make_dirs(layout.run()); !made) log::warn("folder.missing", {{"error", made.error().detail}});
  // At once: programs that want to hold it may not be able to make it.
  if (UpdateLock lock(*out.context); lock.is_named()) static_cast<void>(lock.take());
  make_told_ready(fs, layout.directive());
  auto servers = config.servers;
  servers.insert(servers.end(), identity.servers.begin(), identity.servers.end());
  out.remotes = std::make_unique<Remotes>(identity, servers, out.context->trusted, waits, config.proxy.value_or(net::ProxyRules()),
                                          [&fs, layout, config] { return load_source_cas(fs, layout, config); }, outside.connect);
  FLEET_TRY(out.polls, out.remotes->make());
  FLEET_TRY(out.reports, out.remotes->make());
  FLEET_TRY(auto told, load_last_told(*out.context));
  out.runner = std::make_unique<Runner>(*out.context, *out.remotes, std::move(told));
  out.reporter = std::make_unique<Reporter>(*out.context, *out.reports, [runner = out.runner.get()] { return runner->is_working(); });
  // A server that was restored directs every device anew: then it hears again what it forgot.
  out.link = std::make_unique<Link>(*out.context, *out.polls, *out.runner, *out.remotes, [reporter = out.reporter.get()] { reporter->greet(); });
  out.support = std::make_unique<Support>(*out.context, *out.runner, *out.link);
  out.reporter->measure([health = Health(*out.context)]() mutable { health.tell(); });
  out.reporter->offer([support = out.support.get()] { return support->take(); });
  return out;
}

Result<bool> run_daemon(Fs& fs, Clock& clock, Random& random, Layout const& layout, std::string const& slot) {
  ::mallopt(M_ARENA_MAX, 1);
  FLEET_CHECK(fs.narrow_dir(layout.root, kOthersRead));
  FLEET_TRY(auto const lock, DirLock::acquire(fs, layout.root));
  Signals const signals;
  std::atomic<bool> restart{false};
  Outside outside;
  outside.own = OwnProgram{slot, [&restart] {
                             restart = true;
                             ::kill(::getpid(), SIGTERM);  // the way it ends in order
                           },
                           [] { ::alarm(0); }};
  FLEET_TRY(auto config, ready_config(fs, layout));
  proof::prepare_programs(config.exec);
  for (std::optional<Config> before;;) {
    auto next = serve(fs, clock, random, layout, config, signals, outside);
    if (restart || (next && !*next)) return restart.load();
    if (!next && !before) return next.error();
    if (next) {
      before = std::exchange(config, *std::move(*next));
      log::info("config.taken", {{"file", layout.config()}});
    } else {
      log::error("config.not_taken", {{"error", next.error().detail}});
      config = *std::exchange(before, std::nullopt);
    }
  }
}

}  // namespace fleet::agent
