#include "agent/commands/daemon.hpp"

#include "agent/store/kept_dirs.hpp"
#include "agent/telemetry/statsd_socket.hpp"
#include "agent/commands/control.hpp"
#include "agent/link/link.hpp"
#include "agent/report/reporter.hpp"
#include "core/base/dir_lock.hpp"
#include "core/base/log.hpp"
#include "core/wire/json.hpp"

#include <malloc.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <boost/json/serialize.hpp>

#include <csignal>

namespace fleet::agent {
namespace {

std::string error_json(Error const& error) {
  return boost::json::serialize(boost::json::object{
      {"error", boost::json::object{{"kind", to_string(error.kind)}, {"code", error.code}, {"detail", error.detail}, {"hint", error.hint}}}});
}

/// SIGTERM and SIGINT as a descriptor; blocked in every thread made after.
class Signals {
public:
  Signals() {
    sigset_t wanted;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGTERM);
    sigaddset(&wanted, SIGINT);
    pthread_sigmask(SIG_BLOCK, &wanted, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    fd_ = ::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
  }
  Signals(Signals const&) = delete;
  ~Signals() { ::close(fd_); }
  [[nodiscard]] int descriptor() const { return fd_; }

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

std::string answer_line(Context& context, Runner& runner, Link& link, std::string_view line) {
  auto const value = wire::parse_json(line, 64 * 1024);
  if (!value) return error_json(value.error());
  std::vector<FieldError> faults;
  wire::ObjectReader reader(*value, "", faults);
  auto const wanted = reader.required_text("do", 32);
  auto const model = reader.text("model", 64, {});
  if (auto const fine = wire::no_faults(faults, "order"); !fine) return error_json(fine.error());
  auto const done = [](Result<void> const& result) { return result ? std::string("{}") : error_json(result.error()); };
  if (wanted == "status") return status_json(context, runner.models(), {link.server(), link.last_contact(), link.last_error()});
  if (wanted == "rollback") return done(runner.roll_back(model));
  if (wanted == "unhold") return done(runner.unhold(model));
  return error_json({Kind::bad_input, "unknown_order", "the daemon knows status, rollback and unhold"});
}

/// Facts that changed since the server was told, at the enrolment or by a report, are reported: once.
Result<void> report_facts(Context& context, wire::Labels const& enrolled) {
  auto const as_text = [](wire::Labels const& facts) {
    boost::json::object object;
    for (auto const& [key, fact] : facts) object[key] = fact;
    return boost::json::serialize(object);
  };
  auto const now = as_text(context.identity.reported);
  auto const told = context.fs.read(context.layout.facts(), 64 * 1024);
  if (!told && told.error().kind != Kind::not_found) return told.error();
  if (now == (told ? *told : as_text(enrolled))) return {};
  wire::ReportItem item;
  item.facts = wire::FactsItem{context.trusted.now(), context.identity.reported};
  FLEET_CHECK(context.spool->add(std::move(item)));
  return context.fs.replace(context.layout.facts(), now);
}

}  // namespace

Result<std::unique_ptr<Context>> open_context(Fs& fs, Clock& clock, Random& random, Layout const& layout) {
  FLEET_TRY(auto config, load_config(fs, layout.config()));
  FLEET_TRY(auto identity, load_identity(fs, layout));
  FLEET_CHECK(make_kept_dirs(fs, layout.root, layout.state(), 0700));
  FLEET_CHECK(make_kept_dirs(fs, layout.root, layout.models()));
  for (auto const& [key, fact] : config.report) identity.reported[key] = fact;
  FLEET_TRY(auto journal, Journal::open(fs, layout.journal()));
  FLEET_TRY(auto spool, Spool::open(fs, layout.spool(), clock));
  return std::unique_ptr<Context>(new Context{fs,
                                              clock,
                                              random,
                                              layout,
                                              std::move(config),
                                              std::move(identity),
                                              TrustedClock::load(fs, clock, layout.floor()),
                                              Slots(fs, layout),
                                              std::move(journal.journal),
                                              std::move(spool),
                                              Collector(clock),
                                              {false},
                                              journal.damaged});
}

Result<void> run_daemon(Fs& fs, Clock& clock, Random& random, Layout const& layout) {
  ::mallopt(M_ARENA_MAX, 1);
  FLEET_TRY(auto const lock, DirLock::acquire(layout.root));
  FLEET_TRY(auto const context, open_context(fs, clock, random, layout));
  if (context->identity.certificate.empty())
    return Error{Kind::unavailable, "enrolment_pending", "the enrolment waits for a person", "approve it with fleetctl device approve, then enrol again"};
  FLEET_TRY(auto const enrolled, load_identity(fs, layout));
  FLEET_CHECK(report_facts(*context, enrolled.reported));
  FLEET_CHECK(fs.make_dirs(layout.run()));
  FLEET_TRY(auto statsd, StatsdSockets::open(layout.statsd_socket(), context->config.udp_port));
  FLEET_TRY(auto control, ControlSocket::open(layout.control_socket()));
  auto servers = context->config.servers;
  servers.insert(servers.end(), context->identity.servers.begin(), context->identity.servers.end());
  Remotes remotes(context->identity, servers, context->trusted);
  FLEET_TRY(auto const polls, remotes.make());
  FLEET_TRY(auto const reports, remotes.make());
  FLEET_TRY(auto told, load_last_told(*context));
  Signals const signals;
  Runner runner(*context, remotes, std::move(told));
  Link link(*context, *polls, runner, remotes);
  Reporter reporter(*context, *reports);
  log::info("agent.running", {{"device", context->identity.id}, {"root", layout.root}, {"server", servers.front()}});
  {
    Thread const updater([&] { runner.loop(); });
    Thread const reporting([&] { reporter.loop(); });
    Thread const polling([&] { link.loop(); });
    std::vector<pollfd> fds{{signals.descriptor(), POLLIN, 0}, {control.descriptor(), POLLIN, 0}};
    for (int const fd : statsd.descriptors()) fds.push_back({fd, POLLIN, 0});
    while (!context->stop) {
      if (::poll(fds.data(), fds.size(), -1) < 0) continue;
      if (fds[0].revents != 0) context->stop = true;
      if (fds[1].revents != 0) control.serve([&](std::string_view line) { return answer_line(*context, runner, link, line); });
      for (std::size_t i = 2; i < fds.size(); ++i)
        if (fds[i].revents != 0) statsd.receive(fds[i].fd, [&](std::string_view datagram) { context->collector.take(datagram); });
    }
    for (auto const& remote : {polls, reports}) remote->cancel();
    runner.stop();
    reporter.wake();
    link.hurry();
  }
  log::info("agent.stopped", {{"device", context->identity.id}});
  return {};
}

}  // namespace fleet::agent
