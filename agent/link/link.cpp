#include "agent/link/link.hpp"

#include "agent/store/boot_id.hpp"
#include "core/base/log.hpp"
#include "core/crypto/private_key.hpp"

#include <algorithm>

namespace fleet::agent {
namespace {

constexpr int kWaitS = 55;  ///< as long as the protocol lets a poll wait: each costs a kilobyte
constexpr Millis kMargin{20'000};
constexpr std::size_t kCheckBytes = 4096;  ///< an empty file finds room on a full disk
constexpr Millis kBackoffMax = std::chrono::minutes{15};
constexpr Millis kNextPollMax = std::chrono::hours{24};
// A directive this close to its `act_before` is asked for anew: the server then sends the equal one with a later date.
constexpr Millis kFreshFor = std::chrono::hours{24};

/// What a poll led to, where the poll itself is no failure.
bool followed(Result<bool> const& done) {
  if (!done) log::warn("identity.not_changed", {{"code", done.error().code}, {"error", done.error().detail}});
  return done && *done;
}

}  // namespace

Link::Link(Context& context, Remote& remote, Runner& runner, Remotes& all, std::function<void()> directed)
    : context_(context),
      remote_(remote),
      runner_(runner),
      all_(all),
      directed_(std::move(directed)),
      verifier_(context.fs, remote, context.trusted, context.layout.directive_metadata(), context.identity.id),
      authorities_(context.fs, context.layout, context.trusted),
      kept_(context.fs, context.layout),
      boot_id_(read_boot_id(context.fs)),
      server_(remote.server()) {
  auto known = kept_.load(context.identity);
  if (!known) log::warn("credentials.unread", {{"error", known.error().detail}});
  credentials_ = known && !known->empty() ? std::move(*known) : std::vector{Credential{context.identity.private_key, context.identity.certificate}};
  use(0);
  ca_version_ = authorities_.version();
}

/// Somewhere up to the interval, which is the longest: a fleet does not poll in step.
Millis Link::jittered(Millis interval) const {
  return Millis{static_cast<std::int64_t>(static_cast<double>(interval.count()) * (1 - context_.config.poll_jitter * context_.random.uniform()))};
}

void Link::loop() {
  while (!context_.stop) {
    take_offered();
    auto const pause = turn();
    // What holds its key answers to another process alone: this one would be away for good.
    if (context_.outside.own && !crypto::key_device_answers()) {
      log::error("key_device.lost", {{"then", "the agent starts anew"}});
      context_.outside.own->restart();
    }
    if (!context_.stop) wait(pause);
  }
}

Millis Link::turn() {
  auto next = poll_once();
  if (context_.stop) return Millis{0};
  if (!next && mend(next.error())) next = Millis{0};
  if (next) failures_ = 0;
  else runner_.unanswered();
  auto const pause = next ? *next : pause_after(next.error());
  std::lock_guard const lock(mutex_);
  server_ = remote_.server();
  last_error_ = next ? std::string() : next.error().detail;
  return pause;
}

void Link::wait(Millis pause) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, pause, [this] { return hurried_ || context_.stop; });
  hurried_ = false;
}

void Link::hurry() {
  {
    std::lock_guard const lock(mutex_);
    hurried_ = true;
  }
  remote_.cancel();
  changed_.notify_all();
}

/// Full jitter, so that a fleet that lost its server does not come back at once.
Millis Link::pause_after(Error const& error) {
  if (error.code == "cancelled") return Millis{0};
  auto const asked = remote_.retry_after();
  if (failures_++ == 0) log::warn("poll.failed", {{"code", error.code}, {"error", error.detail}});
  auto const most = std::min<double>(static_cast<double>(kBackoffMax.count()), 1000.0 * static_cast<double>(1ULL << std::min(failures_, 20)));
  return std::max(asked, Millis{static_cast<std::int64_t>(most * (0.5 + context_.random.uniform() / 2))});
}

Result<Millis> Link::poll_once() {
  wire::PollRequest request;
  Bytes nonce(16);
  context_.random.fill(nonce);
  request.nonce = to_base64(nonce);
  request.prior = prior_;
  request.boot_id = boot_id_;
  auto const told = runner_.told();
  bool const stale = told.sequence > 0 && !told.targets.empty() && context_.trusted.now() + kFreshFor >= told.act_before;
  request.directive_sequence = stale ? told.sequence - 1 : told.sequence;
  // A renewed credential is shown at once: the one before counts until then.
  bool proves = std::exchange(proves_renewed_, false);
  auto const models = runner_.models();
  // So is the agent's own program that waits to be answered for the first time.
  if (auto const own = models.find(std::string(wire::kAgentModel)); own != models.end() && own->second.state == State::probation && !was_answered_) proves = true;
  request.wait_s = context_.config.long_poll && !proves ? kWaitS : 0;
  request.report_every_s = static_cast<int>(std::max<std::int64_t>(1, context_.config.telemetry_interval.count() / 1000));
  // What the server judges `online` by: the longest that may pass between two polls.
  auto const gap = context_.config.long_poll ? Millis{kWaitS * 1000} : Millis{0};
  request.poll_every_s = static_cast<int>((gap + context_.config.poll_interval).count() / 1000) + 1;
  request.ca_version = ca_version_;
  request.clock = context_.clock.wall();
  request.agent = FLEET_VERSION;
  auto const trouble = disk_trouble();
  for (auto const& [model, state] : models)
    request.models[model] = {state.running.digest, state.running.version, std::string(to_string(state.state)),
                             state.rollout,        state.attempt,         !trouble.empty() ? trouble : state.waiting.empty() && !state.held.empty() ? "held" : state.waiting,
                             static_cast<std::int64_t>(state.to_fetch), state.variant, state.failed_again()};
  if (!trouble.empty())
    for (auto const& model : unkept_) request.models.try_emplace(model, wire::ModelStatus{"", "", "idle", "", 0, trouble, 0});
  FLEET_TRY(auto const answer, remote_.post("/device/v1/poll", wire::encode(request), Millis{request.wait_s * 1000} + kMargin, 2 * wire::kDirectiveBytesMax));
  FLEET_TRY(auto const response, wire::decode_poll_response(answer.body));
  prior_ = request.nonce;
  {
    std::lock_guard const lock(mutex_);
    server_ = remote_.server();
    last_contact_ = context_.trusted.now();
  }
  was_answered_ = true;
  runner_.answered(response.sources);
  if (!response.directive.empty()) FLEET_CHECK(accept(response.directive, request.nonce));
  if (auto const promoted = used_ == 0 ? kept_.promote() : Result<void>{}; !promoted) log::warn("renewal.not_kept", {{"error", promoted.error().detail}});
  // Answered before its time: the next one may be long again.
  bool again = proves && context_.config.long_poll;
  if (response.ca_version > ca_version_) again = followed(follow_ca(remote_)) || again;
  if (response.renew) again = followed(renew()) || again;
  if (again) return Millis{0};
  // The owner's interval is the longest, where the server names none: it names one under load, and 1 s when a long poll has run its time.
  if (response.next_poll_s == 0) return jittered(context_.config.poll_interval);
  // No answer puts a device to sleep for longer than somebody notices.
  return jittered(std::min<Millis>(std::chrono::seconds{response.next_poll_s}, std::max(kNextPollMax, context_.config.poll_interval)));
}

/// Verified, then kept, then acted on.
Result<void> Link::accept(std::string const& envelope, std::string const& nonce) {
  auto const last = runner_.told();
  FLEET_TRY(auto directive, verifier_.verify(envelope, nonce, last));
  return obey(std::move(directive));
}

Result<void> Link::obey(wire::Directive directive) {
  Told told{directive.sequence, directive.act_before, std::move(directive.targets), std::move(directive.collect)};
  auto const saved = save_told(context_.fs, context_.layout.directive(), told);
  unkept_.clear();
  if (!saved)
    for (auto const& target : told.targets) unkept_.push_back(target.model);
  FLEET_CHECK(saved);
  log::info("directive.accepted", {{"sequence", told.sequence}, {"targets", told.targets.size()}});
  runner_.direct(std::move(told));
  directed_();
  return {};
}

/// A disk that would not take something is tried again at each poll: what is told of it is so now.
std::string Link::disk_trouble() {
  if (context_.disk->trouble().empty()) return {};
  static_cast<void>(context_.fs.replace(context_.layout.state() + "/disk-check", std::string(kCheckBytes, '\n'), 0600));
  return context_.disk->trouble();
}

std::string Link::server() const {
  std::lock_guard const lock(mutex_);
  return server_;
}
SysTime Link::last_contact() const {
  std::lock_guard const lock(mutex_);
  return last_contact_;
}
std::string Link::last_error() const {
  std::lock_guard const lock(mutex_);
  return last_error_;
}

}  // namespace fleet::agent
