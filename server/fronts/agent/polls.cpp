#include "server/fronts/agent/polls.hpp"

#include "core/base/log.hpp"
#include "server/events/audit.hpp"
#include "server/delivery/queries.hpp"
#include "server/rollout/shell/engine.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::fronts {
namespace {

constexpr Millis kSweepEvery{100};
constexpr Millis kOthersFlushed = seconds(12);  ///< store::Contacts are written each five
constexpr Millis kMovedLately = std::chrono::hours{1};
// A device whose long poll ran its time asks again at once, or nothing would be parked.
constexpr int kAgainS = 1;
// While draining, devices come back spread so that at most so many make a handshake each second.
constexpr std::size_t kReturnsEachSecond = 100;

struct Slot final : net::Attachment {
  std::shared_ptr<Memory> memory = std::make_shared<Memory>();
};

std::shared_ptr<Memory> memory_of(std::unique_ptr<net::Attachment>* slot) {
  if (slot == nullptr) return std::make_shared<Memory>();
  if (!*slot) *slot = std::make_unique<Slot>();
  return static_cast<Slot&>(**slot).memory;
}

/// What a device's silence is measured by, as its poll tells it. @param told_s  what its answer says; 0: nothing
rollout::Habits habits_of(wire::PollRequest const& poll, int told_s) {
  return {.report = seconds{poll.report_every_s}, .poll = seconds{poll.poll_every_s}, .parked = seconds{poll.wait_s}, .told = seconds{told_s}};
}

std::string idle_body(Services const& services, int next_poll_s, bool renew) {
  wire::PollResponse idle;
  idle.next_poll_s = next_poll_s;
  idle.renew = renew;
  idle.ca_version = services.ca_version;
  idle.sources = {services.devices_url};
  return wire::encode(idle);
}

Result<std::int64_t> number_setting(db::Connection& reader, std::string_view name, std::int64_t min, std::int64_t max, std::int64_t fallback) {
  auto row = reader.prepare(delivery::kGetNumberSetting);
  FLEET_TRY(bool const found, row.bind(1, name).step());
  return found ? std::clamp(row.int64(0), min, max) : fallback;
}

}  // namespace

Result<PollSettings> load_poll_settings(db::Connection& reader) {
  PollSettings settings;
  FLEET_TRY(auto const interval, number_setting(reader, "poll_interval_s", 1, 7 * 86'400, settings.interval_s));
  FLEET_TRY(auto const parked, number_setting(reader, "max_parked", 0, 1'000'000, static_cast<std::int64_t>(settings.max_parked)));
  settings.interval_s = static_cast<int>(interval);
  settings.max_parked = static_cast<std::size_t>(parked);
  return settings;
}

Polls::Polls(Services& services, PollSettings settings, Problem problem)
    : services_(services),
      settings_(settings),
      problem_(problem),
      parking_(services.net->threads(), settings.max_parked, [this](PollPtr poll, Parking::Wake why) { woken(std::move(poll), why); }),
      watched_(services.net->threads(), 0) {
  for (bool const renew : {false, true})
    for (int const next : {0, kAgainS, settings.interval_s}) idle_[{renew, next}] = std::make_shared<std::string>(idle_body(services, next, renew));
}

void Polls::handle(Asked const& asked, net::Responder answer) {
  auto decoded = wire::decode_poll_request(asked.body);
  if (!decoded) return answer(problem_(decoded.error(), asked.request_id));
  auto const now = services_.clock.wall();
  auto const mono = services_.clock.mono();
  auto const service = services_.rollouts->heard(asked.device_n, habits_of(*decoded, 0));
  services_.store.note_contact(asked.device_n, {now, decoded->poll_every_s, decoded->report_every_s, service});
  auto poll = std::make_unique<Poll>();
  poll->device_n = asked.device_n;
  poll->nonce = decoded->nonce;
  poll->sequence = delivery::believable_sequence(decoded->directive_sequence);
  // Who follows an older announcement of CAs is answered at once: it must hear of the newer one while it still knows this server.
  poll->waits = decoded->wait_s > 0 && decoded->ca_version.value_or(services_.ca_version) >= services_.ca_version;
  poll->until = mono + seconds{decoded->wait_s};
  poll->memory = memory_of(asked.slot);
  poll->request_id = asked.request_id;
  poll->answer = std::move(answer);
  bool const one_device = nonces_.check(asked.device_n, {decoded->nonce, decoded->prior, decoded->boot_id}, mono);
  poll->told = std::move(*decoded);
  proceed(std::move(poll));
  if (!one_device) accuse(asked.device_n, now);
}

bool Polls::is_fresh(Poll const& poll, SysTime now) const {
  auto const& memory = *poll.memory;
  auto const& epochs = services_.store.epochs();
  return memory.decided && services_.store.turns().is_current(services_.clock.mono()) && memory.record.n == poll.device_n && memory.policy_epoch == epochs.policy() && memory.device_epoch == epochs.device(poll.device_n) &&
         (memory.valid_until == SysTime{} || now < memory.valid_until) && poll.sequence <= memory.record.sequence &&
         (!poll.told || delivery::is_recorded(memory.record, *poll.told));
}

void Polls::proceed(PollPtr poll) {
  if (is_fresh(*poll, services_.clock.wall())) return deliver(std::move(poll));
  examine(std::move(poll));
}

// The epochs are read before the rows: what is committed in between makes the decision look older than it is, never newer.
void Polls::examine(PollPtr poll) {
  auto& memory = *poll->memory;
  auto const now = services_.clock.wall();
  auto const policy_epoch = services_.store.epochs().policy();
  auto const device_epoch = services_.store.epochs().device(poll->device_n);
  auto& reader = services_.store.reader();
  memory.decided = false;
  auto record = delivery::load_record(reader, poll->device_n);
  if (!record) return refuse(*poll, record.error());
  auto const plan = delivery::plan_device(reader, *services_.rollouts, poll->device_n, now);
  if (!plan) return refuse(*poll, plan.error());
  if (poll->told)
    if (auto const looked = delivery::find_strangers(reader, *record, *poll->told); !looked) return refuse(*poll, looked.error());
  bool const recorded = !poll->told || delivery::is_recorded(*record, *poll->told);
  if (!recorded || !delivery::is_settled(*record, *plan, poll->sequence)) return commit(std::move(poll), policy_epoch, device_epoch);
  auto const valid_until = until_renewal(*record, plan->decision.valid_until, now);
  memory = Memory{std::move(*record), true, policy_epoch, device_epoch, valid_until};
  deliver(std::move(poll));
}

void Polls::commit(PollPtr poll, std::uint64_t policy_epoch, std::uint32_t device_epoch) {
  struct Work {
    PollPtr poll;
    delivery::Settled settled;
  };
  auto const work = std::make_shared<Work>(Work{std::move(poll), {}});
  auto const thread = services_.net->current_thread();
  auto const job = [this, work](store::Tx& tx) -> Result<void> {
    auto const& asked = *work->poll;
    auto const* told = asked.told ? &*asked.told : nullptr;
    FLEET_TRY(work->settled, delivery::settle(tx, *services_.rollouts, asked.device_n, told, asked.sequence, services_.clock.wall()));
    return {};
  };
  auto const on_thread = [this, work, policy_epoch, device_epoch](Result<void> const& written) {
    if (!written) return refuse(*work->poll, written.error());
    auto const valid_until = until_renewal(work->settled.record, work->settled.valid_until, services_.clock.wall());
    *work->poll->memory = Memory{std::move(work->settled.record), true, policy_epoch, device_epoch, valid_until};
    deliver(std::move(work->poll));
  };
  services_.store.write(
      store::Lane::devices, job, [this, thread, on_thread](Result<void> const& written) { services_.net->after(thread, Millis{0}, [on_thread, written] { on_thread(written); }); });
}

void Polls::deliver(PollPtr poll) {
  poll->told.reset();
  if (poll->memory->record.sequence > poll->sequence) return send_directive(*poll);
  bool const waits = poll->waits && !services_.draining.load(std::memory_order_relaxed) && services_.clock.mono() < poll->until &&
                     !wants_renewal(poll->memory->record, services_.clock.wall());
  auto const thread = services_.net->current_thread();
  if (waits && parking_.park(thread, poll)) return watch(thread);
  send_idle(*poll, waits ? Why::no_room : Why::ready);
}

void Polls::refuse(Poll& poll, Error const& error) {
  poll.memory->decided = false;
  if (http_status(error.kind) >= 500) log::error("poll.failed", {{"device", poll.device_n}, {"code", error.code}, {"detail", error.detail}});
  poll.answer(problem_(error, poll.request_id));
}

void Polls::send_directive(Poll& poll) {
  auto const& record = poll.memory->record;
  auto const now = services_.clock.wall();
  auto envelope = delivery::sign_directive(services_.store.reader(), *services_.keys, record, poll.nonce, now);
  if (!envelope) return refuse(poll, envelope.error());
  nonces_.answered(poll.device_n, poll.nonce);
  wire::PollResponse const response{
      .directive = std::move(*envelope), .next_poll_s = next_poll_s(poll, Why::waited), .renew = wants_renewal(record, now),
                                    .ca_version = services_.ca_version, .sources = {services_.devices_url}};
  poll.answer(net::json_response(200, wire::encode(response)));
}

void Polls::send_idle(Poll& poll, Why why) {
  nonces_.answered(poll.device_n, poll.nonce);
  poll.answer(idle(next_poll_s(poll, why), wants_renewal(poll.memory->record, services_.clock.wall())));
}

bool Polls::wants_renewal(delivery::DeviceRecord const& record, SysTime now) const { return now >= record.not_after - services_.certificate_lifetime / 3; }

/// A parked poll is answered when its device's certificate should be renewed, too.
SysTime Polls::until_renewal(delivery::DeviceRecord const& record, SysTime valid_until, SysTime now) const {
  auto const due = record.not_after - services_.certificate_lifetime / 3;
  if (due <= now) return valid_until;
  return valid_until == SysTime{} ? due : std::min(valid_until, due);
}

int Polls::next_poll_s(Poll const& poll, Why why) const {
  if (services_.draining.load(std::memory_order_relaxed))
    return std::min(settings_.interval_s, static_cast<int>(1 + released_.load(std::memory_order_relaxed) / kReturnsEachSecond));
  if (why == Why::no_room) {
    if (poll.told) services_.rollouts->heard(poll.device_n, habits_of(*poll.told, settings_.interval_s));  // it will be quiet so long
    return settings_.interval_s;
  }
  return poll.waits && why == Why::waited ? kAgainS : 0;
}

net::Response Polls::idle(int next, bool renew) const {
  net::Response response;
  response.headers.push_back({"Content-Type", "application/json"});
  auto const ready = idle_.find({renew, next});
  if (ready != idle_.end()) response.body = ready->second;
  else response.body = idle_body(services_, next, renew);
  return response;
}

void Polls::woken(PollPtr poll, Parking::Wake why) {
  if (why == Parking::Wake::changed) return proceed(std::move(poll));
  send_idle(*poll, Why::waited);
}

void Polls::watch(std::size_t thread) {
  if (watched_[thread] != 0) return;
  watched_[thread] = 1;
  services_.net->after(thread, kSweepEvery, [this, thread] {
    watched_[thread] = 0;
    parking_.sweep(thread, services_.store.epochs(), services_.clock.wall(), services_.clock.mono());
    if (!parking_.is_empty(thread)) watch(thread);
  });
}

void Polls::drain() {
  released_ = parking_.count();
  for (std::size_t thread = 0; thread < services_.net->threads(); ++thread)
    services_.net->after(thread, Millis{0}, [this, thread] { parking_.release_all(thread); });
}

void Polls::accuse(std::int64_t device_n, SysTime now) {
  // Of several servers one alone sees two machines; what the others heard of the device lately is in the database by then.
  if (services_.store.turns().is_shared())
    return services_.net->after(services_.net->current_thread(), kOthersFlushed, [this, device_n, now] { accuse_now(device_n, now); });
  accuse_now(device_n, now);
}

void Polls::accuse_now(std::int64_t device_n, SysTime now) {
  auto const since = services_.rollouts->clock().now() - kMovedLately;
  auto const job = [device_n, now, since](store::Tx& tx) -> Result<void> {
    {
      auto moved = tx.prepare(delivery::kMovedSince);
      FLEET_TRY(bool const elsewhere, moved.bind_all(device_n, since.count()).step());
      if (elsewhere) return {};
    }
    FLEET_TRY(auto const record, delivery::load_record(tx.connection(), device_n));
    log::warn("device.clone_suspected", {{"device", record.id}});
    FLEET_CHECK(tx.prepare(delivery::kSuspectClone).bind_all(device_n, to_unix_ms(now)).run());
    return events::emit(tx, now, "device.clone_suspected", "device/" + record.id, "device:" + record.id,
                        R"({"detail":"two machines seem to poll as this device: the nonce of its last answer is unknown to it, or its boot is an earlier one"})");
  };
  services_.store.write(store::Lane::devices, job, [](Result<void> const& written) {
    if (!written) log::error("event.lost", {{"type", "device.clone_suspected"}, {"detail", written.error().detail}});
  });
}

}  // namespace fleet::fronts
