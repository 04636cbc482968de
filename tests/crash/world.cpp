#include "tests/crash/own_program.hpp"
#include "tests/crash/programs.hpp"
#include "tests/crash/world.hpp"

#include "agent/commands/boot.hpp"
#include "agent/commands/config_check.hpp"
#include "agent/commands/enroll.hpp"
#include "agent/store/record_file.hpp"
#include "core/base/dir_lock.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::crash {
namespace {

constexpr auto kOrderAgain = std::chrono::hours{1};
constexpr auto kStartAgain = std::chrono::seconds{5};

/// The server in the same process, as a client with this certificate and these CAs reaches it.
class InProcess final : public net::Exchanger {
public:
  InProcess(World& world, net::ClientConfig config, bool is_deaf) : world_(world), config_(std::move(config)), is_deaf_(is_deaf) {}
  Result<net::ClientResponse> send(net::ClientRequest const& request, net::BodySink const& sink) override {
    if (world_.peer.away || is_deaf_) return Error{Kind::unavailable, "refused", "connection refused"};
    if (!config_.trust_any_server && !world_.peer.is_known_by(config_.ca_pem)) return Error{Kind::signature, "peer_not_trusted", "the server's certificate is of another CA"};
    auto response = world_.peer.handle(request, config_.certificate_pem, world_.clock.wall());
    if (response.status >= 300 || !sink) return response;
    auto body = std::exchange(response.body, {});
    bool const breaks = world_.peer.breaks > 0 && body.size() > 1;
    if (breaks) {
      --world_.peer.breaks;
      body.resize(body.size() / 2);
    }
    constexpr std::size_t kPiece = 700;  // in pieces that end in no sector's end
    for (std::size_t from = 0; from < body.size(); from += kPiece)
      FLEET_CHECK(send_piece(response, std::string_view(body).substr(from, kPiece), sink));
    if (breaks) return Error{Kind::unavailable, "answer_cut", "the connection ended in the middle of the answer"};
    return response;
  }
  void cancel() override {}

private:
  Result<void> send_piece(net::ClientResponse const& head, std::string_view piece, net::BodySink const& sink) {
    world_.clock.advance(world_.peer.piece_takes);
    return sink(head, as_bytes(piece));
  }
  World& world_;
  net::ClientConfig config_;
  bool is_deaf_;
};

/// @param is_deaf  it reaches nobody
net::Connect in_process(World& world, bool is_deaf = false) {
  return [&world, is_deaf](net::ClientConfig config, Clock&) -> Result<std::unique_ptr<net::Exchanger>> {
    return std::unique_ptr<net::Exchanger>(std::make_unique<InProcess>(world, std::move(config), is_deaf));
  };
}

/// The machine while it has power.
class Machine {
public:
  explicit Machine(World& world) : world_(world), fs_(make_fs(world.disk)), random_(static_cast<std::uint64_t>(++world.boots) * 7919 + 1) {
    world_.restart = false;
    world_.disk.put("/proc/sys/kernel/random/boot_id", fmt::format("boot-{}\n", world_.boots));
    outside_.connect = in_process(world_);
    outside_.alone = true;
    outside_.run = [this](proof::Command const& command, Clock&, std::atomic<bool> const&) -> Result<proof::Outcome> {
      if (auto tested = run_self_test(world_, *fs_, layout_, command, in_process(world_))) return *std::move(tested);
      return run(world_, *fs_, command);
    };
    world_.peer.heard = [this](wire::ReportItem const& item) { heard(item); };
    world_.peer.polled_now = [this](wire::PollRequest const& poll) { polled(poll); };
  }
  Machine(Machine const&) = delete;
  ~Machine() {
    world_.peer.heard = {};
    world_.peer.polled_now = {};
  }

  /// @returns how long nothing is to be done
  Millis turn() {
    follow_script();
    if (world_.is_over()) return Millis{0};
    if (!world_.enrolled && !enroll()) return kStartAgain;
    if (!process_) process_ = start_process(world_, *fs_, layout_);
    if (process_ && process_->hangs) return wait_for_watchdog();
    if (!process_ || (!daemon_ && !start())) return kStartAgain;
    give_orders();
    if (std::exchange(world_.restart, false)) {
      end_in_order();
      return Millis{1};
    }
    auto const now = world_.clock.mono();
    if (process_->ends_at && now >= *process_->ends_at) return wait_for_watchdog();
    daemon_->link->take_offered();
    if (now >= poll_at_) poll_at_ = world_.clock.mono() + daemon_->link->turn();
    daemon_->runner->round();
    daemon_->reporter->turn();
    auto next = std::min(poll_at_, daemon_->reporter->next_turn());
    if (auto const round = daemon_->runner->next_round()) next = std::min(next, *round);
    if (process_->ends_at) next = std::min(next, *process_->ends_at);
    return std::max(Millis{1}, std::chrono::duration_cast<Millis>(next - world_.clock.mono()));
  }

private:
  void follow_script() {
    while (!world_.is_over()) {
      auto const& step = world_.steps()[world_.at];
      if (!std::exchange(world_.acted, true) && step.act) {
        step.act(world_);
        poll_at_ = {};  // the poll that waits is answered
      }
      if (!step.reached(world_)) return;
      ++world_.at;
      world_.acted = false;
      order_at_ = {};
    }
  }

  /// An order that was only heard is lost with the power: the owner sees that nothing happens, and gives it again.
  void give_orders() {
    auto const& step = world_.steps()[world_.at];
    if (!step.order || world_.clock.mono() < order_at_) return;
    order_at_ = world_.clock.mono() + kOrderAgain;
    step.order(world_, *daemon_);
  }

  bool enroll() {
    agent::EnrollOptions options;
    options.servers = {"https://server:8444"};
    options.ca_file = "/setup/ca.pem";
    options.token_file = "/setup/token";
    options.id = "cam-1";
    options.hardware = "cam-a";
    auto const state = agent::enroll(*fs_, world_.clock, random_, layout_, options, world_.clock, outside_.connect);
    world_.enrolled = state ? *state == "active" : state.error().code == "enrolled";
    if (!state && state.error().code == "device_exists") world_.fault("the enrolment lost the key that its server heard of");
    return world_.enrolled;
  }

  /// The process is ended as it stands.
  Millis wait_for_watchdog() {
    auto const left = process_->ends_at.value_or(MonoTime::max()) - world_.clock.mono();
    if (left > Millis{0}) return std::chrono::duration_cast<Millis>(left);
    drop_process();
    return kStartAgain;
  }
  void end_in_order() {
    daemon_->runner->stop();
    daemon_->runner->rest();
    daemon_->context->spool->spill();
    daemon_.reset();
    agent::forgive_start(*fs_, layout_, process_->slot);
    drop_process();
  }
  void drop_process() {
    daemon_.reset();
    lock_.reset();
    process_.reset();
    world_.restart = false;
  }

  bool start() {
    outside_.connect = in_process(world_, process_->is_deaf);
    outside_.own = agent::OwnProgram{process_->slot, [this] { world_.restart = true; }, [this] { process_->ends_at.reset(); }};
    auto const opened = [&]() -> Result<void> {
      FLEET_CHECK(fs_->narrow_dir(layout_.root, 0755));
      if (!lock_) {
        FLEET_TRY(auto lock, DirLock::acquire(*fs_, layout_.root));
        lock_ = std::make_unique<DirLock>(std::move(lock));
      }
      FLEET_TRY(auto config, agent::ready_config(*fs_, layout_));
      FLEET_TRY(auto daemon, agent::open_daemon(*fs_, world_.clock, random_, layout_, config, world_.clock, outside_));
      daemon_ = std::make_unique<agent::Daemon>(std::move(daemon));
      return {};
    }();
    if (!opened) {
      last_error_ = opened.error().detail;
      if (!world_.disk.refuse) world_.fault(fmt::format("the daemon does not start: {}", last_error_));
      drop_process();
      return false;
    }
    daemon_->runner->settle_at_start();
    poll_at_ = world_.clock.mono();
    return true;
  }

  /// What is told must be so, and stay so if the power goes now.
  void heard(wire::ReportItem const& item) {
    if (!item.update || !daemon_) return;
    auto const& told = *item.update;
    auto const models = daemon_->runner->models();
    auto const known = models.find(told.model);
    bool const newest = known != models.end() && agent::to_string(known->second.state) == told.state && known->second.rollout == told.rollout;
    bool const final = told.state == "committed" || told.state == "rolled_back" || told.state == "proved";
    if (final && newest) check_runs(told.model, told.running_digest, told.state);
    if (told.state == "committed" && newest) check_is(told.model, told.running_digest, told.state);
    if (told.state == "committed") world_.committed.insert(told.model);
  }
  /// While a link is about to move, of a model or of a set's member, a poll has what was before.
  void polled(wire::PollRequest const& poll) {
    auto const moves = [](auto const& one) { return one.second.state == "switching" || one.second.state == "rolling_back"; };
    if (std::any_of(poll.models.begin(), poll.models.end(), moves)) return;
    for (auto const& [model, status] : poll.models)
      if (status.state == "committed") {
        check_runs(model, status.digest, "a poll");
        check_is(model, status.digest, "a poll");
      }
  }
  void check_is(std::string const& model, std::string const& digest, std::string_view where) {
    if (model == wire::kAgentModel && digest != world_.program) world_.fault(fmt::format("{} tells that the agent is {:.8}, and its process is {:.8}", where, digest, world_.program));
  }
  void check_runs(std::string const& model, std::string const& digest, std::string_view where) {
    SeededRandom none(1);
    auto const left = world_.disk.after_cut(Order::lost, none);
    auto const runs = running(left, model).digest;
    if (runs != digest) world_.fault(fmt::format("{} tells that {} runs {:.8}, and a power cut would leave {:.8}", where, model, digest, runs));
    for (auto& fault : check_disk(world_, left)) world_.fault(fmt::format("told as {}: {}", where, fault));
    for (auto& fault : check_flash(world_, left, model)) world_.fault(fmt::format("told as {}: {}", where, fault));
  }

  World& world_;
  agent::Layout layout_{kRoot};
  std::unique_ptr<Fs> fs_;
  SeededRandom random_;
  agent::Outside outside_;
  std::optional<Process> process_;
  std::unique_ptr<DirLock> lock_;
  std::unique_ptr<agent::Daemon> daemon_;
  MonoTime poll_at_{};
  MonoTime order_at_{};
  std::string last_error_;
};

bool is_of_durable_tier(std::string const& path, std::string& tier) {
  for (auto const* const name : {"critical", "diagnostic"})
    if (path == fmt::format("{}/state/spool/{}", kRoot, name)) {
      tier = name;
      return true;
    }
  return false;
}

}  // namespace

World::World(Life const& of, SysTime now) : life(&of), peer(now), clock(now) {
  disk.make_dirs("/setup");
  disk.put("/setup/ca.pem", peer.ca());
  disk.put("/setup/token", "join");
  disk.put(std::string(kRoot) + "/agent.yaml", of.config);
  put_programs(*this);
  if (of.prepare) of.prepare(*this);
}

void World::fault(std::string text) {
  if (std::find(faults.begin(), faults.end(), text) == faults.end()) faults.push_back(std::move(text));
}

void World::add(Published release) {
  peer.add(release, clock.wall());
  auto name = release.release.model + "@" + release.release.version;
  releases.insert_or_assign(std::move(name), std::move(release));
}

/// What the spool took: a sync of a durable tier that went well is its word.
void note_accepted(World& world, Call call, std::string const& path) {
  std::string tier;
  if (call != Call::datasync || !is_of_durable_tier(path, tier)) return;
  auto const text = world.disk.text(path);
  std::string_view left = text ? *text : std::string_view();
  while (!left.empty()) {
    auto const end = left.find('\n');
    auto const line = left.substr(0, end);
    if (auto const proved = agent::RecordFile::text_of(line)) world.accepted.insert(tier + " " + std::string(*proved));
    if (end == std::string_view::npos) return;
    left.remove_prefix(end + 1);
  }
}

void live(World& world, std::function<bool()> const& stop) {
  auto const began = world.clock.mono();
  Machine machine(world);
  while (!world.is_over() && world.faults.empty() && !(stop && stop())) {
    if (world.clock.mono() - began > world.life->most || world.peer.requests() > world.life->requests_most) {
      world.fault(fmt::format("it does not come to its end: step {} ({}), {} after the start, {} requests", world.at, world.steps()[world.at].name,
                              fleet::to_string(world.clock.mono() - began), world.peer.requests()));
      return;
    }
    if (auto const pause = machine.turn(); pause > Millis{0}) world.clock.advance(pause);
  }
}

}  // namespace fleet::crash
